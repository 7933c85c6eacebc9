/* SPDX-License-Identifier: MIT
 *
 * actors.c - the worlds of the asynchronous tests. */
#include "actors.h"

enum world worlds[3] = {ONE_LOOP, TWO_LOOPS, LOOP_AND_THREADS};
pkd_loop_t loop_a, loop_b;
uv_loop_t uv_a, uv_b;

static enum world world;
static atomic_int answers; /* in this world */

/* --- loop B ---------------------------------------------------------------- */

static pthread_t thread_b;
static uv_async_t command_bell;
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  void (*work)(void* arg);
  void* arg;
  bool done;
  bool stalled;
  bool resumed;
} command = {.mutex = PTHREAD_MUTEX_INITIALIZER,
             .changed = PTHREAD_COND_INITIALIZER};

static void run_command(uv_async_t* bell) {
  void (*work)(void* arg);
  void* arg;

  (void)bell;
  pthread_mutex_lock(&command.mutex);
  work = command.work;
  arg = command.arg;
  command.work = NULL;
  pthread_mutex_unlock(&command.mutex);
  if (work == NULL)
    return;
  work(arg);
  pthread_mutex_lock(&command.mutex);
  command.done = true;
  pthread_cond_broadcast(&command.changed);
  pthread_mutex_unlock(&command.mutex);
}

static void* run_b(void* arg) {
  (void)arg;
  uv_loop_init(&uv_b);
  uv_async_init(&uv_b, &command_bell, run_command);
  if (pkd_loop_attach(&loop_b, &uv_b) != 0)
    abort();
  pthread_mutex_lock(&command.mutex);
  command.done = true;
  pthread_cond_broadcast(&command.changed);
  pthread_mutex_unlock(&command.mutex);
  uv_run(&uv_b, UV_RUN_DEFAULT);
  return uv_loop_close(&uv_b) == 0 ? NULL : &uv_b;
}

static void ask_b(void (*work)(void* arg), void* arg) {
  pthread_mutex_lock(&command.mutex);
  command.work = work;
  command.arg = arg;
  command.done = false;
  pthread_mutex_unlock(&command.mutex);
  uv_async_send(&command_bell);
}

static void wait_for_b(void) {
  pthread_mutex_lock(&command.mutex);
  while (!command.done)
    pthread_cond_wait(&command.changed, &command.mutex);
  pthread_mutex_unlock(&command.mutex);
}

void on_loop_b(void (*work)(void* arg), void* arg) {
  ask_b(work, arg);
  wait_for_b();
}

static void stall(void* arg) {
  (void)arg;
  pthread_mutex_lock(&command.mutex);
  command.stalled = true;
  pthread_cond_broadcast(&command.changed);
  while (!command.resumed)
    pthread_cond_wait(&command.changed, &command.mutex);
  pthread_mutex_unlock(&command.mutex);
}

void stall_b(void) {
  command.stalled = command.resumed = false;
  ask_b(stall, NULL);
  pthread_mutex_lock(&command.mutex);
  while (!command.stalled)
    pthread_cond_wait(&command.changed, &command.mutex);
  pthread_mutex_unlock(&command.mutex);
}

void resume_b(void) {
  pthread_mutex_lock(&command.mutex);
  command.resumed = true;
  pthread_cond_broadcast(&command.changed);
  while (!command.done)
    pthread_cond_wait(&command.changed, &command.mutex);
  pthread_mutex_unlock(&command.mutex);
}

static void close_b(void* arg) {
  (void)arg;
  uv_close((uv_handle_t*)&command_bell, NULL);
  pkd_loop_detach(&loop_b, NULL);
}

/* --- the world ------------------------------------------------------------- */

int world_open(void** state) {
  world = *(enum world*)*state;
  answers = 0;
  uv_loop_init(&uv_a);
  if (pkd_loop_attach(&loop_a, &uv_a) != 0)
    return -1;
  if (world == TWO_LOOPS) {
    command.done = false;
    pthread_create(&thread_b, NULL, run_b, NULL);
    wait_for_b();
  }
  return 0;
}

int world_close(void** state) {
  void* left = NULL;
  int failed;

  (void)state;
  if (world == TWO_LOOPS) {
    on_loop_b(close_b, NULL);
    pthread_join(thread_b, &left);
  }
  failed = left != NULL;
  pkd_loop_detach(&loop_a, NULL);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  failed |= uv_loop_close(&uv_a) != 0;
  failed |= pkd_lot_for_each(NULL, NULL, NULL) != 0;
  return failed ? -1 : 0;
}

void turn_a(void) {
  uv_run(&uv_a, UV_RUN_NOWAIT);
}

static void nothing(void* arg) {
  (void)arg;
}

void settle(void) {
  for (int i = 0; i < 3; i++) {
    turn_a();
    if (world == TWO_LOOPS)
      on_loop_b(nothing, NULL);
  }
}

size_t waiting_at(const void* object) {
  return pkd_lot_for_each(object, NULL, NULL);
}

/* --- actors ---------------------------------------------------------------- */

struct target mutex_target(pkd_async_mutex_t* mutex) {
  return (struct target){.mutex = mutex, .n = 1};
}

struct target sem_target(pkd_async_sem_t* sem, uint32_t n) {
  return (struct target){.sem = sem, .n = n};
}

struct target rwlock_target(pkd_async_rwlock_t* lock, uint32_t mode) {
  return (struct target){.rwlock = lock, .n = mode};
}

const void* target_address(struct target target) {
  if (target.cond != NULL)
    return target.cond;
  if (target.mutex != NULL)
    return target.mutex;
  return target.sem != NULL ? (const void*)target.sem
                            : (const void*)target.rwlock;
}

enum place place_of(unsigned number) {
  static const enum place places[3][2] = {
      [ONE_LOOP] = {LOOP_A, LOOP_A},
      [TWO_LOOPS] = {LOOP_A, LOOP_B},
      [LOOP_AND_THREADS] = {LOOP_A, THREAD},
  };

  return places[world][number % 2];
}

int next_order(void) {
  return ++answers;
}

void actor_init(struct actor* actor, unsigned number, struct target target) {
  memset(actor, 0, sizeof *actor);
  actor->place = place_of(number);
  actor->target = target;
  actor->timeout = PKD_NO_TIMEOUT;
  actor->status = NOT_YET;
}

static void answer(struct actor* actor, int status) {
  void (*then)(struct actor*) = actor->then;

  actor->order = next_order();
  actor->answers++;
  actor->status = status;
  if (then != NULL)
    then(actor); /* which may free it */
}

static void on_answer(pkd_req_t* req, int status) {
  answer((struct actor*)req, status);
}

static int ask(pkd_loop_t* loop, pkd_req_t* req, const struct target* target) {
  if (target->cond != NULL)
    return pkd_async_cond_wait(loop, req, target->cond, target->mutex,
                               on_answer);
  if (target->mutex != NULL)
    return pkd_async_mutex_lock(loop, req, target->mutex, on_answer);
  if (target->sem != NULL)
    return pkd_async_sem_acquire(loop, req, target->sem, target->n, on_answer);
  if (target->n == PKD_ASYNC_RWLOCK_READ)
    return pkd_async_rwlock_rdlock(loop, req, target->rwlock, on_answer);
  if (target->n == PKD_ASYNC_RWLOCK_WRITE)
    return pkd_async_rwlock_wrlock(loop, req, target->rwlock, on_answer);
  if (target->n == PKD_ASYNC_RWLOCK_UP)
    return pkd_async_rwlock_uplock(loop, req, target->rwlock, on_answer);
  return pkd_async_rwlock_upgrade(loop, req, target->rwlock, on_answer);
}

static int ask_blocking(pkd_req_t* req, const struct target* target,
                        pkd_deadline_t deadline) {
  if (target->cond != NULL)
    return pkd_async_cond_wait_blocking(req, target->cond, target->mutex,
                                        deadline);
  if (target->mutex != NULL)
    return pkd_async_mutex_lock_blocking(req, target->mutex, deadline);
  if (target->sem != NULL)
    return pkd_async_sem_acquire_blocking(req, target->sem, target->n,
                                          deadline);
  if (target->n == PKD_ASYNC_RWLOCK_READ)
    return pkd_async_rwlock_rdlock_blocking(req, target->rwlock, deadline);
  if (target->n == PKD_ASYNC_RWLOCK_WRITE)
    return pkd_async_rwlock_wrlock_blocking(req, target->rwlock, deadline);
  if (target->n == PKD_ASYNC_RWLOCK_UP)
    return pkd_async_rwlock_uplock_blocking(req, target->rwlock, deadline);
  return pkd_async_rwlock_upgrade_blocking(req, target->rwlock, deadline);
}

static void start_on_loop(void* arg) {
  struct actor* actor = arg;
  struct target* target = &actor->target;
  pkd_loop_t* loop = actor->place == LOOP_A ? &loop_a : &loop_b;

  if (actor->timeout != PKD_NO_TIMEOUT)
    pkd_req_set_timeout(&actor->req, actor->timeout);
  actor->started = ask(loop, &actor->req, target);
}

static void* block(void* arg) {
  struct actor* actor = arg;
  struct target* target = &actor->target;
  pkd_deadline_t deadline = actor->timeout == PKD_NO_TIMEOUT
                                ? PKD_FOREVER
                                : pkd_after(actor->timeout * 1000000);

  answer(actor, ask_blocking(&actor->req, target, deadline));
  return NULL;
}

int actor_start(struct actor* actor) {
  size_t before = waiting_at(target_address(actor->target));

  actor->started = 0;
  actor->status = NOT_YET;
  if (actor->place == LOOP_A)
    start_on_loop(actor);
  else if (actor->place == LOOP_B)
    on_loop_b(start_on_loop, actor);
  else {
    actor->has_thread = true;
    pthread_create(&actor->thread, NULL, block, actor);
    WAIT_FOR(actor->status != NOT_YET ||
             waiting_at(target_address(actor->target)) > before);
  }
  return actor->started;
}

void actor_own(struct actor* actor, unsigned number, struct target target) {
  actor_init(actor, number, target);
  assert_int_equal(actor_start(actor), 0);
  assert_int_equal(actor_wait(actor), 0);
}

void actor_queue(struct actor* actor, unsigned number, struct target target) {
  size_t before = waiting_at(target_address(target));

  actor_init(actor, number, target);
  assert_int_equal(actor_start(actor), 0);
  assert_int_equal(waiting_at(target_address(target)), before + 1);
}

void actor_start_at(struct actor* actor, enum place place,
                    struct target target) {
  actor_init(actor, 0, target);
  actor->place = place;
  assert_int_equal(actor_start(actor), 0);
}

int actor_wait(struct actor* actor) {
  WAIT_FOR((turn_a(), actor->status != NOT_YET));
  actor_end(actor);
  return actor->status;
}

void actor_end(struct actor* actor) {
  if (actor->has_thread)
    pthread_join(actor->thread, NULL);
  actor->has_thread = false;
}

int actor_release(struct actor* actor) {
  struct target* target = &actor->target;

  if (target->mutex != NULL)
    return pkd_async_mutex_unlock(&actor->req, target->mutex);
  return target->sem != NULL
             ? pkd_async_sem_release(&actor->req, target->sem, target->n)
             : pkd_async_rwlock_unlock(&actor->req, target->rwlock);
}
