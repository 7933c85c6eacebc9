/* SPDX-License-Identifier: MIT
 *
 * cast.c - who plays in the scenarios of the asynchronous locks. */
#include "cast.h"

#include "../../async/grant.h"

cast_t* cast;

static int tasks; /* how many play */

/* Freed by the last of its users, right after its unlock. */
static struct object {
  pkd_async_mutex_t m;
  int users; /* under m */
} * object;

void cast_start(void) {
  static const char* const names[] = {"task1", "task2", "task3"};

  cast = explore_need(sizeof *cast);
  cast->cancel_rc = UV_EBUSY;
  explore_name(&cast->m, sizeof cast->m, "mutex");
  explore_name(&cast->ticket, sizeof cast->ticket, "ticket");
  explore_name(&cast->counter, sizeof cast->counter, "counter");
  for (int i = 0; i < 3; i++)
    explore_name(&cast->task[i], sizeof cast->task[i], names[i]);
}

void cast_finish(void) {
  int entered = 0;

  explore_join();
  for (int i = 0; i < 8; i++)
    entered += cast->entered[i];
  explore_assert(cast->counter == entered);
  explore_assert(!pkd_async_mutex_is_locked(&cast->m));
  explore_assert(pkd__away == 0);
  scenario_nobody_at(&cast->m);
  if (object != NULL)
    scenario_nobody_at(object);
}

static void attach(void* arg) {
  task_t* task = arg;

  uv_loop_init(&task->uv);
  pkd_loop_attach(&task->loop, &task->uv);
  task->req.data = task->second.data = task;
}

static void enter(void (*entry)(void* task), void (*setup)(void* task)) {
  task_t* task = &cast->task[tasks++];

  explore_spawn(entry, task);
  explore_setup(setup, task);
}

static void attach_late(void* arg) {
  task_t* task = arg;

  attach(task);
  pkd_loop_set_grant_timeout(&task->loop, 1);
}

void cast_loop(void (*entry)(void* task)) {
  enter(entry, attach);
}

void cast_late_loop(void (*entry)(void* task)) {
  enter(entry, attach_late);
}

void cast_count(void) {
  cast->counter++;
  cast->entered[explore_self()]++;
}

void cast_tell(pkd_req_t* req) {
  __atomic_store_n(&cast->known, req, __ATOMIC_RELEASE);
}

pkd_req_t* cast_known(void) {
  return __atomic_load_n(&cast->known, __ATOMIC_ACQUIRE);
}

pkd_req_t* cast_await_known(void) {
  pkd_req_t* req;

  while ((req = cast_known()) == NULL)
    explore_yield();
  return req;
}

/* --- tasks ---------------------------------------------------------------- */

void task_note(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task->answers++;
  task->status = status;
}

void task_run(task_t* task, int answers) {
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == answers);
}

void task_overwrite(pkd_req_t* req) {
  req->waiter.token = 0;
  req->waiter.key = NULL;
  req->waiter.state = 0;
  req->extra[0] = 0;
}

void task_lock(task_t* task, pkd_req_t* req, pkd_req_cb cb) {
  explore_assert(pkd_async_mutex_lock(&task->loop, req, &cast->m, cb) == 0);
}

void count_and_unlock(pkd_req_t* req, int status) {
  task_note(req, status);
  if (status != 0)
    return;
  cast_count();
  explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
}

void loop_locks(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_unlock);
  task_run(task, 1);
  explore_assert(task->status == 0);
}

void loop_locks_twice(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_unlock);
  task_lock(task, &task->second, count_and_unlock);
  task_run(task, 2);
}

void loop_is_cancelled(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_unlock);
  cast_tell(&task->req);
  task_run(task, 1);
}

void loop_times_out(void* arg) {
  task_t* task = arg;

  pkd_req_set_timeout(&task->req, 5);
  task_lock(task, &task->req, count_and_unlock);
  task_run(task, 1);
  explore_assert(task->status == 0 || task->status == UV_ETIMEDOUT);
  explore_outcome(task->status == 0 ? 0 : 1);
}

void loop_meets_close(void* arg) {
  task_t* task = arg;
  int rc =
      pkd_async_mutex_lock(&task->loop, &task->req, &cast->m, count_and_unlock);

  explore_assert(rc == 0 || rc == UV_ESHUTDOWN);
  if (rc != 0) {
    explore_outcome(2);
    return;
  }
  task_run(task, 1);
  explore_assert(task->status == 0 || task->status == UV_ECANCELED);
  explore_outcome(task->status == 0 ? 0 : 1);
}

static void note_detached(pkd_loop_t* loop) {
  (void)loop;
  cast->detached++;
}

void loop_detaches(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_unlock);
  explore_assert(pkd_loop_detach(&task->loop, note_detached) == 0);
  task_run(task, 1);
  explore_assert(cast->detached == 1 && task->status == UV_ECANCELED);
  explore_assert(uv_loop_close(&task->uv) == 0);
}

/* --- threads -------------------------------------------------------------- */

void thread_locks(void* unused) {
  pkd_req_t req = {0};

  (void)unused;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &cast->m, PKD_FOREVER) ==
                 0);
  cast_count();
  explore_assert(pkd_async_mutex_unlock(&req, &cast->m) == 0);
}

void thread_tries(void* unused) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_trylock(&req, &cast->m);

  (void)unused;
  explore_assert(rc == 0 || rc == UV_EBUSY);
  explore_outcome(rc == 0);
  if (rc != 0)
    return;
  cast_count();
  explore_assert(pkd_async_mutex_unlock(&req, &cast->m) == 0);
}

void thread_cancels(void* unused) {
  pkd_req_t* req = cast_known();

  (void)unused;
  if (req == NULL)
    return;
  cast->cancel_rc = pkd_req_cancel(req);
  explore_outcome(cast->cancel_rc == 0          ? 0
                  : cast->cancel_rc == UV_EBUSY ? 1
                                                : 2);
}

void thread_closes(void* unused) {
  (void)unused;
  explore_assert(pkd_async_mutex_close(&cast->m) == 0);
}

void ticket_owns(void* unused) {
  (void)unused;
  explore_assert(pkd_async_mutex_trylock(&cast->ticket, &cast->m) == 0);
}

void thread_unlocks(void* unused) {
  (void)unused;
  cast_count();
  explore_assert(pkd_async_mutex_unlock(&cast->ticket, &cast->m) == 0);
}

void thread_watches(void* unused) {
  (void)unused;
  pkd__grants_look(pkd_now() + 1000000000);
}

/* --- an object that the last of its users frees ---------------------------- */

void cast_object(int users) {
  object = explore_need(sizeof *object);
  explore_name(object, sizeof *object, "object");
  object->users = users;
}

static void use_then_free(pkd_req_t* req) {
  int left = --object->users;

  explore_assert(pkd_async_mutex_unlock(req, &object->m) == 0);
  if (left == 0)
    explore_free(object);
}

static void use_on_loop(pkd_req_t* req, int status) {
  task_note(req, status);
  use_then_free(req);
}

void loop_uses(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_mutex_lock(&task->loop, &task->req, &object->m,
                                      use_on_loop) == 0);
  task_run(task, 1);
}

void thread_uses(void* unused) {
  pkd_req_t req = {0};

  (void)unused;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &object->m, PKD_FOREVER) ==
                 0);
  use_then_free(&req);
}

void cast_cancelled(void (*entry)(void* task), bool late, int with_thread) {
  cast_start();
  if (late)
    cast_late_loop(entry);
  else
    cast_loop(entry);
  if (late)
    explore_spawn(thread_watches, NULL);
  explore_spawn(thread_cancels, NULL);
  if (with_thread)
    explore_spawn(thread_locks, NULL);
  explore_join();
  explore_assert(cast->task[0].status ==
                 (cast->cancel_rc == 0 ? UV_ECANCELED : 0));
  cast_finish();
}
