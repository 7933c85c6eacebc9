/* SPDX-License-Identifier: MIT
 *
 * test_async_storm.c - everything at once, by chance: loops, threads, cancels
 * from anywhere, timeouts, releases by strangers; and then nothing is lost.
 *
 * What the locks guard is plain data, so a sanitizer sees when they do not. Runs
 * PKD_TEST_STORM milliseconds, or one second. */
#include <parkade/async.h>

#include "support/test.h"

#include <stdatomic.h>

enum { LOOPS = 3, THREADS = 3, TASKS = 24, OBJECTS = 4, PERMITS = 5 };

/* Two mutexes and two semaphores. */
static struct object {
  pkd_async_mutex_t mutex;
  pkd_async_sem_t sem;
  bool counts;
  atomic_int inside; /* permits in use, or owners */
  uint64_t sum;      /* a mutex guards it */
} objects[OBJECTS];

struct task {
  pkd_req_t req;
  struct storm_loop* loop;
  uv_mutex_t guard; /* a request is not started and cancelled at once */
  struct object* object;
  uint32_t n;
  struct task* next; /* in the loop's list of those who hold */
  int waiting;       /* started, not answered */
};

static struct storm_loop {
  uv_loop_t uv;
  pkd_loop_t loop;
  uv_prepare_t prepare;
  uv_idle_t idle;
  uv_thread_t thread;
  rng_t rng;
  struct task tasks[TASKS];
  struct task* holding;
  uint64_t starts, answers;
} loops[LOOPS];

static atomic_bool over;
static atomic_int wrong; /* things that must not be */

/* Tickets to be given back by whoever comes first. */
static struct {
  uv_mutex_t mutex;
  struct task* first;
} lost_and_found;

static void enter(struct object* object, uint32_t n) {
  int inside = atomic_fetch_add(&object->inside, (int)n) + (int)n;

  if (inside > (object->counts ? PERMITS : 1))
    wrong++;
  if (!object->counts)
    object->sum++; /* plain: a race here is the lock's fault */
}

static void leave(struct task* task) {
  struct object* object = task->object;
  uint32_t n = task->n;
  int err;

  object->inside -= (int)n;
  err = object->counts ? pkd_async_sem_release(&task->req, &object->sem, n)
                       : pkd_async_mutex_unlock(&task->req, &object->mutex);
  if (err != 0)
    wrong++;
}

static void answered(pkd_req_t* req, int status) {
  struct task* task = (struct task*)req;
  struct storm_loop* loop = task->loop;

  loop->answers++;
  task->waiting = 0;
  if (status < 0) {
    if (status != UV_ECANCELED && status != UV_ETIMEDOUT)
      wrong++;
    return;
  }
  enter(task->object, task->n);
  switch (rng_below(&loop->rng, 3)) {
  case 0:
    leave(task);
    break;
  case 1: /* held over a turn */
    task->next = loop->holding;
    loop->holding = task;
    break;
  default: /* given back by somebody else */
    task->waiting = 1;
    uv_mutex_lock(&lost_and_found.mutex);
    task->next = lost_and_found.first;
    lost_and_found.first = task;
    uv_mutex_unlock(&lost_and_found.mutex);
  }
}

static bool give_back_one(void) {
  struct task* task;

  uv_mutex_lock(&lost_and_found.mutex);
  task = lost_and_found.first;
  if (task != NULL)
    lost_and_found.first = task->next;
  uv_mutex_unlock(&lost_and_found.mutex);
  if (task != NULL) {
    uv_mutex_lock(&task->guard);
    leave(task);
    task->waiting = 0;
    uv_mutex_unlock(&task->guard);
  }
  return task != NULL;
}

static void start(struct storm_loop* loop, struct task* task) {
  struct object* object = &objects[rng_below(&loop->rng, OBJECTS)];
  int err;

  uv_mutex_lock(&task->guard);
  if (task->waiting == 0 && pkd_req_owned(&task->req) == NULL) {
    task->object = object;
    task->n = object->counts ? (uint32_t)rng_below(&loop->rng, PERMITS) + 1 : 1;
    if (rng_below(&loop->rng, 3) == 0)
      pkd_req_set_timeout(&task->req, rng_below(&loop->rng, 4));
    err = object->counts
              ? pkd_async_sem_acquire(&loop->loop, &task->req, &object->sem,
                                      task->n, answered)
              : pkd_async_mutex_lock(&loop->loop, &task->req, &object->mutex,
                                     answered);
    task->waiting = err == 0;
    loop->starts += err == 0;
    if (err != 0 && err != UV_EBUSY)
      wrong++;
  }
  uv_mutex_unlock(&task->guard);
}

static void cancel_some(rng_t* rng) {
  struct storm_loop* loop = &loops[rng_below(rng, LOOPS)];
  struct task* task = &loop->tasks[rng_below(rng, TASKS)];
  int err;

  uv_mutex_lock(&task->guard);
  err = pkd_req_cancel(&task->req);
  if (err != 0 && err != UV_EBUSY && err != UV_EINVAL)
    wrong++;
  uv_mutex_unlock(&task->guard);
}

static void on_turn(uv_prepare_t* prepare) {
  struct storm_loop* loop = prepare->data;

  while (loop->holding != NULL) {
    struct task* task = loop->holding;

    loop->holding = task->next;
    leave(task);
  }
  if (over) {
    uv_idle_stop(&loop->idle);
    while (give_back_one())
      continue;
    return;
  }
  give_back_one();
  for (int i = 0; i < 4; i++)
    start(loop, &loop->tasks[rng_below(&loop->rng, TASKS)]);
  if (rng_below(&loop->rng, 4) == 0)
    cancel_some(&loop->rng);
}

static void turn_again(uv_idle_t* idle) {
  (void)idle;
}

static void run_loop(void* arg) {
  struct storm_loop* loop = arg;

  uv_loop_init(&loop->uv);
  pkd_loop_attach(&loop->loop, &loop->uv);
  for (int i = 0; i < TASKS; i++) {
    loop->tasks[i].loop = loop;
    loop->tasks[i].object = &objects[0];
  }
  uv_prepare_init(&loop->uv, &loop->prepare);
  loop->prepare.data = loop;
  uv_prepare_start(&loop->prepare, on_turn);
  uv_unref((uv_handle_t*)&loop->prepare);
  uv_idle_init(&loop->uv, &loop->idle);
  uv_idle_start(&loop->idle, turn_again);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  while (loop->holding != NULL || give_back_one())
    on_turn(&loop->prepare);
  uv_close((uv_handle_t*)&loop->prepare, NULL);
  uv_close((uv_handle_t*)&loop->idle, NULL);
  pkd_loop_detach(&loop->loop, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  if (uv_loop_close(&loop->uv) != 0)
    wrong++;
}

struct storm_thread {
  uv_thread_t thread;
  rng_t rng;
};

static void run_thread(void* arg) {
  struct storm_thread* self = arg;

  while (!over) {
    struct task task = {.loop = NULL};
    pkd_deadline_t deadline = PKD_FOREVER;
    int err;

    give_back_one();
    cancel_some(&self->rng);
    task.object = &objects[rng_below(&self->rng, OBJECTS)];
    task.n =
        task.object->counts ? (uint32_t)rng_below(&self->rng, PERMITS) + 1 : 1;
    if (rng_below(&self->rng, 2) == 0)
      deadline = pkd_after(rng_below(&self->rng, 2000000));
    else
      deadline = pkd_after(50000000); /* all who could give back may wait */
    err = task.object->counts
              ? pkd_async_sem_acquire_blocking(&task.req, &task.object->sem,
                                               task.n, deadline)
              : pkd_async_mutex_lock_blocking(&task.req, &task.object->mutex,
                                              deadline);
    if (err == 0) {
      enter(task.object, task.n);
      leave(&task);
    } else if (err != UV_ETIMEDOUT) {
      wrong++;
    }
  }
  while (give_back_one())
    continue;
}

static unsigned long duration(void) {
  const char* ms = getenv("PKD_TEST_STORM");

  return ms == NULL ? 1000 : strtoul(ms, NULL, 10);
}

static uint64_t seed;

static void nothing_is_lost_whatever_happens(void** state) {
  struct storm_thread threads[THREADS];
  uint64_t starts = 0;
  uint64_t answers = 0;
  uint64_t granted = 0;

  (void)state;
  uv_mutex_init(&lost_and_found.mutex);
  for (int i = 0; i < OBJECTS; i++) {
    objects[i].counts = i % 2 == 1;
    pkd_async_sem_init(&objects[i].sem, PERMITS, PERMITS);
  }
  for (unsigned i = 0; i < LOOPS; i++) {
    loops[i].rng = rng_stream(seed, i);
    for (int j = 0; j < TASKS; j++)
      uv_mutex_init(&loops[i].tasks[j].guard);
  }
  for (unsigned i = 0; i < LOOPS; i++)
    uv_thread_create(&loops[i].thread, run_loop, &loops[i]);
  for (unsigned i = 0; i < THREADS; i++) {
    threads[i].rng = rng_stream(seed, LOOPS + i);
    uv_thread_create(&threads[i].thread, run_thread, &threads[i]);
  }
  uv_sleep((unsigned)duration());
  over = true;
  for (int i = 0; i < THREADS; i++)
    uv_thread_join(&threads[i].thread);
  for (int i = 0; i < LOOPS; i++) {
    uv_thread_join(&loops[i].thread);
    starts += loops[i].starts;
    answers += loops[i].answers;
  }
  assert_int_equal(wrong, 0);
  assert_int_equal(starts, answers);
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
  for (int i = 0; i < OBJECTS; i++) {
    assert_int_equal(objects[i].inside, 0);
    assert_int_equal(pkd_async_mutex_destroy(&objects[i].mutex), 0);
    assert_int_equal(pkd_async_sem_available(&objects[i].sem), PERMITS);
    assert_int_equal(pkd_async_sem_destroy(&objects[i].sem), 0);
    granted += objects[i].sum;
  }
  printf("%llu requests of loops, %llu mutex grants\n",
         (unsigned long long)starts, (unsigned long long)granted);
  assert_true(starts > 0 && granted > 0);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_lost_whatever_happens),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
