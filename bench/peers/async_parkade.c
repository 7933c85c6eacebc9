/* SPDX-License-Identifier: MIT
 *
 * async_parkade.c - the async mutex and semaphore, through their headers only.
 *
 * A yield is pkd_loop_yield: its callback goes through the same ready list as every
 * grant. */
#include <parkade/async.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "async_peers.h"
#include "must.h"
#include "peer.h"

struct run;

struct task {
  pkd_req_t lock;
  pkd_req_t pause;
  uint32_t at; /* of rwlocks: how many it has had */
  struct run* run;
};

/* What the tasks of one round share; `left` is guarded by the lock. */
struct shared {
  pkd_async_mutex_t lock;
  pkd_async_sem_t sem;
  pkd_async_rwlock_t rwlock;
  uint64_t left;
  uint64_t warm;
  uint64_t begin;
  uint64_t end;
};

/* One loop's part. */
struct run {
  uv_loop_t uv;
  pkd_loop_t loop;
  struct shared* shared;
  struct task* task;
  uint64_t tasks;
  uint64_t done;
  pkd_req_cb holds; /* what a task does when the lock is its own */
  uint64_t n;       /* permits */
};

static void open_run(struct run* run, struct shared* shared, uint64_t tasks,
                     pkd_req_cb holds) {
  memset(run, 0, sizeof *run);
  must(uv_loop_init(&run->uv), "uv_loop_init");
  must(pkd_loop_attach(&run->loop, &run->uv), "attach");
  run->shared = shared;
  run->tasks = tasks;
  run->holds = holds;
  run->task = calloc(tasks, sizeof *run->task);
  if (run->task == NULL)
    abort();
  for (uint64_t i = 0; i < tasks; i++) {
    run->task[i].run = run;
    run->task[i].lock.data = &run->task[i];
    run->task[i].pause.data = &run->task[i];
  }
}

static void close_run(struct run* run) {
  must(pkd_loop_detach(&run->loop, NULL), "detach");
  uv_run(&run->uv, UV_RUN_DEFAULT);
  must(uv_loop_close(&run->uv), "uv_loop_close");
  free(run->task);
}

static void start(struct task* task) {
  struct run* run = task->run;

  must(pkd_async_mutex_lock(&run->loop, &task->lock, &run->shared->lock,
                            run->holds),
       "lock");
}

/* One more hand-off. @return false: that was the last */
static bool goes_on(struct shared* s) {
  if (s->warm != 0 && --s->warm == 0)
    s->begin = bench_now();
  if (s->left == 0)
    return false;
  if (--s->left == 0)
    s->end = bench_now();
  return s->left != 0;
}

/* --- a free lock ----------------------------------------------------------- */

static uint64_t try_pairs(uint64_t count) {
  static pkd_async_mutex_t lock;
  static pkd_req_t req;
  uint64_t begin = bench_now();

  for (uint64_t i = 0; i < count; i++) {
    if (pkd_async_mutex_trylock(&req, &lock) != 0)
      abort();
    pkd_async_mutex_unlock(&req, &lock);
  }
  return bench_now() - begin;
}

static void unlock_and_relock(pkd_req_t* req, int status) {
  struct task* task = req->data;

  must(status, "granted");
  pkd_async_mutex_unlock(req, &task->run->shared->lock);
  if (goes_on(task->run->shared))
    start(task);
}

static uint64_t lock_pairs(uint64_t count) {
  struct shared shared = {.left = count + 1, .warm = 1};
  struct run run;

  open_run(&run, &shared, 1, unlock_and_relock);
  start(run.task);
  uv_run(&run.uv, UV_RUN_DEFAULT);
  close_run(&run);
  return shared.end - shared.begin;
}

/* --- held over a yield ----------------------------------------------------- */

static void after_pause(pkd_req_t* req, int status) {
  struct task* task = req->data;
  bool more = goes_on(task->run->shared);

  must(status, "yield");
  pkd_async_mutex_unlock(&task->lock, &task->run->shared->lock);
  if (more)
    start(task);
}

static void hold_over_pause(pkd_req_t* req, int status) {
  struct task* task = req->data;

  must(status, "granted");
  must(pkd_loop_yield(&task->run->loop, &task->pause, after_pause), "yield");
}

static uint64_t yields(uint64_t tasks, uint64_t count) {
  struct shared shared = {.left = count + tasks, .warm = tasks};
  struct run run;

  open_run(&run, &shared, tasks, hold_over_pause);
  for (uint64_t i = 0; i < tasks; i++)
    start(&run.task[i]);
  uv_run(&run.uv, UV_RUN_DEFAULT);
  close_run(&run);
  return shared.end - shared.begin;
}

/* --- a queue, run through -------------------------------------------------- */

static void pass_on(pkd_req_t* req, int status) {
  struct task* task = req->data;

  must(status, "granted");
  goes_on(task->run->shared);
  pkd_async_mutex_unlock(req, &task->run->shared->lock);
}

/* What is done from a callback of the loop, as all that tasks do is. */
struct first {
  pkd_req_t req;
  struct run* run;
  pkd_req_t* holder;
  uint64_t begin;
  uint64_t took;
};

static void run_first(struct first* first, pkd_req_cb cb) {
  struct run* run = first->run;

  first->req.data = first;
  must(pkd_async_mutex_trylock(first->holder, &run->shared->lock), "trylock");
  must(pkd_loop_yield(&run->loop, &first->req, cb), "yield");
  uv_run(&run->uv, UV_RUN_DEFAULT);
}

static void burst_first(pkd_req_t* req, int status) {
  struct first* first = req->data;
  struct run* run = first->run;

  must(status, "yield");
  first->begin = bench_now();
  for (uint64_t i = 0; i < run->tasks; i++)
    start(&run->task[i]);
  first->took = bench_now() - first->begin;
  first->begin = bench_now();
  pkd_async_mutex_unlock(first->holder, &run->shared->lock);
}

static uint64_t burst(uint64_t tasks, uint64_t* enqueued) {
  struct shared shared = {.left = tasks};
  pkd_req_t holder = {0};
  struct run run;
  struct first first = {.run = &run, .holder = &holder};

  open_run(&run, &shared, tasks, pass_on);
  run_first(&first, burst_first);
  close_run(&run);
  *enqueued = first.took;
  return shared.end - first.begin;
}

static void cancelled(pkd_req_t* req, int status) {
  (void)req;
  if (status != UV_ECANCELED)
    abort();
}

static void cancel_first(pkd_req_t* req, int status) {
  struct first* first = req->data;
  struct run* run = first->run;
  uint64_t at = 0;

  must(status, "yield");
  for (uint64_t i = 0; i < run->tasks; i++)
    start(&run->task[i]);
  first->begin = bench_now();
  /* 7919 is prime: another order, every task once (its multiple aside) */
  for (uint64_t i = 0; i < run->tasks; i++) {
    at = (at + 7919) % run->tasks;
    must(pkd_req_cancel(&run->task[at].lock), "cancel");
  }
  first->took = bench_now() - first->begin;
}

static uint64_t cancel_each(uint64_t tasks, bool tell) {
  struct shared shared = {0};
  pkd_req_t holder = {0};
  struct run run;
  struct first first = {.run = &run, .holder = &holder};

  open_run(&run, &shared, tasks, cancelled);
  run_first(&first, cancel_first);
  if (tell)
    first.took = bench_now() - first.begin;
  pkd_async_mutex_unlock(&holder, &shared.lock);
  close_run(&run);
  return first.took;
}

static uint64_t cancel(uint64_t tasks) {
  return cancel_each(tasks, false);
}

static uint64_t cancel_and_tell(uint64_t tasks) {
  return cancel_each(tasks, true);
}

/* --- two loops ------------------------------------------------------------- */

struct side {
  struct shared* shared;
  pthread_barrier_t* both;
  pkd_req_cb holds;
  uint64_t tasks;
  pkd_req_t* holder; /* gives the lock back when both have queued */
};

static void* run_side(void* arg) {
  struct side* side = arg;
  struct run run;

  open_run(&run, side->shared, side->tasks, side->holds);
  pthread_barrier_wait(side->both);
  for (uint64_t i = 0; i < side->tasks; i++)
    start(&run.task[i]);
  if (pthread_barrier_wait(side->both) == PTHREAD_BARRIER_SERIAL_THREAD)
    pkd_async_mutex_unlock(side->holder, &side->shared->lock);
  uv_run(&run.uv, UV_RUN_DEFAULT);
  close_run(&run);
  return NULL;
}

static uint64_t two_loops(uint64_t tasks, uint64_t count, pkd_req_cb holds) {
  struct shared shared = {.left = count + 2 * tasks, .warm = 2 * tasks};
  pthread_barrier_t both;
  pthread_t thread;
  pkd_req_t holder = {0};
  struct side side = {&shared, &both, holds, tasks, &holder};

  must(pkd_async_mutex_trylock(&holder, &shared.lock), "trylock");
  pthread_barrier_init(&both, NULL, 2);
  if (pthread_create(&thread, NULL, run_side, &side) != 0)
    abort();
  run_side(&side);
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&both);
  return shared.end - shared.begin;
}

/* Queues the task's other request before it unlocks: the other loop's request is
 * ahead of it, so every hand-off crosses. */
static void pass_across(pkd_req_t* req, int status) {
  struct task* task = req->data;
  struct run* run = task->run;
  pkd_req_t* next = req == &task->lock ? &task->pause : &task->lock;
  bool more = goes_on(run->shared);

  must(status, "granted");
  if (more)
    must(
        pkd_async_mutex_lock(&run->loop, next, &run->shared->lock, pass_across),
        "lock");
  pkd_async_mutex_unlock(req, &run->shared->lock);
}

static uint64_t cross(uint64_t count) {
  return two_loops(1, count, pass_across);
}

static uint64_t loops(uint64_t tasks, uint64_t count) {
  return two_loops(tasks, count, hold_over_pause);
}

/* --- permits --------------------------------------------------------------- */

static void permits_held(pkd_req_t* req, int status);

static void permits_over(pkd_req_t* req, int status) {
  struct task* task = req->data;
  struct run* run = task->run;
  bool more = goes_on(run->shared);

  must(status, "yield");
  pkd_async_sem_release(&task->lock, &run->shared->sem, 2);
  if (more)
    must(pkd_async_sem_acquire(&run->loop, &task->lock, &run->shared->sem, 2,
                               permits_held),
         "acquire");
}

static void permits_held(pkd_req_t* req, int status) {
  struct task* task = req->data;

  must(status, "granted");
  must(pkd_loop_yield(&task->run->loop, &task->pause, permits_over), "yield");
}

static uint64_t permits(uint64_t k, uint64_t tasks, uint64_t count) {
  struct shared shared = {.left = count + tasks, .warm = tasks};
  struct run run;

  must(pkd_async_sem_init(&shared.sem, (uint32_t)k, 0), "sem_init");
  open_run(&run, &shared, tasks, NULL);
  for (uint64_t i = 0; i < tasks; i++)
    must(pkd_async_sem_acquire(&run.loop, &run.task[i].lock, &shared.sem, 2,
                               permits_held),
         "acquire");
  uv_run(&run.uv, UV_RUN_DEFAULT);
  close_run(&run);
  return shared.end - shared.begin;
}

/* --- readers and writers --------------------------------------------------- */

static void rwlock_held(pkd_req_t* req, int status);

static void rwlock_start(struct task* task) {
  struct run* run = task->run;
  bool writes = task->at++ % 10 == 0;

  must((writes ? pkd_async_rwlock_wrlock : pkd_async_rwlock_rdlock)(
           &run->loop, &task->lock, &run->shared->rwlock, rwlock_held),
       "rwlock");
}

static void rwlock_over(pkd_req_t* req, int status) {
  struct task* task = req->data;
  bool more = goes_on(task->run->shared);

  must(status, "yield");
  pkd_async_rwlock_unlock(&task->lock, &task->run->shared->rwlock);
  if (more)
    rwlock_start(task);
}

static void rwlock_held(pkd_req_t* req, int status) {
  struct task* task = req->data;

  must(status, "granted");
  must(pkd_loop_yield(&task->run->loop, &task->pause, rwlock_over), "yield");
}

static uint64_t rwlocks(uint64_t tasks, uint64_t count) {
  struct shared shared = {.left = count + tasks, .warm = tasks};
  struct run run;

  open_run(&run, &shared, tasks, NULL);
  for (uint64_t i = 0; i < tasks; i++) {
    run.task[i].at = (uint32_t)i;
    rwlock_start(&run.task[i]);
  }
  uv_run(&run.uv, UV_RUN_DEFAULT);
  close_run(&run);
  return shared.end - shared.begin;
}

const struct async_peer async_parkade = {
    .name = "parkade",
    .try_pairs = try_pairs,
    .lock_pairs = lock_pairs,
    .yields = yields,
    .burst = burst,
    .cancel = cancel,
    .cancel_and_tell = cancel_and_tell,
    .cross = cross,
    .loops = loops,
    .permits = permits,
    .rwlocks = rwlocks,
    .wake = async_parkade_wake,
    .mixed = async_parkade_mixed,
};
