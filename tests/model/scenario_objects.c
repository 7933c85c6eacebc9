/* SPDX-License-Identifier: MIT
 *
 * scenario_objects.c - the asynchronous objects beside the mutex, each between loops
 * and a thread that blocks: permits, events, what is done once, gates, barriers and
 * conditions.
 *
 * What one of them has to order is plain data: who is let through too early, or does
 * not see what was done before, is a race. */
#include "cast.h"

#include <parkade/async/barrier.h>
#include <parkade/async/cond.h>
#include <parkade/async/event.h>
#include <parkade/async/gate.h>
#include <parkade/async/once.h>
#include <parkade/async/sem.h>

static struct shared {
  pkd_async_sem_t sem;
  pkd_async_event_t event;
  pkd_async_once_t once;
  pkd_async_gate_t gate;
  pkd_async_barrier_t barrier;
  pkd_async_cond_t cond;
  int data;   /* under one of them, or published by it */
  int met[8]; /* by thread: it has come, or gone through */
} * s;

static void start(void) {
  cast_start();
  s = explore_need(sizeof *s);
  explore_name(&s->sem, sizeof s->sem, "semaphore");
  explore_name(&s->event, sizeof s->event, "event");
  explore_name(&s->once, sizeof s->once, "once");
  explore_name(&s->gate, sizeof s->gate, "gate");
  explore_name(&s->barrier, sizeof s->barrier, "barrier");
  explore_name(&s->cond, sizeof s->cond, "condition");
  explore_name(&s->data, sizeof s->data, "data");
}

/* --- permits ------------------------------------------------------------- */

static void use_and_release(pkd_req_t* req, int status) {
  task_note(req, status);
  if (status != 0)
    return;
  s->data++;
  explore_assert(pkd_async_sem_release(req, &s->sem, 1) == 0);
}

static void loop_acquires(void* arg) {
  task_t* task = arg;

  pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 1, use_and_release);
  task_run(task, 1);
  explore_assert(task->status == 0);
}

static void loop_acquires_or_not(void* arg) {
  task_t* task = arg;
  int rc;

  pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 1, use_and_release);
  rc = pkd_req_cancel(&task->req);
  task_run(task, 1);
  explore_assert(task->status == (rc == 0 ? UV_ECANCELED : 0));
}

static void thread_acquires(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_sem_acquire_blocking(&req, &s->sem, 1, PKD_FOREVER) == 0);
  s->data++;
  explore_assert(pkd_async_sem_release(&req, &s->sem, 1) == 0);
}

static void sem(int cancels) {
  start();
  pkd_async_sem_init(&s->sem, 1, 1);
  cast_loop(cancels ? loop_acquires_or_not : loop_acquires);
  cast_loop(loop_acquires);
  explore_spawn(thread_acquires, NULL);
  cast_finish();
  explore_assert(pkd_async_sem_available(&s->sem) == 1);
  scenario_nobody_at(&s->sem);
}

/* --- an event ------------------------------------------------------------ */

static void look_at_data(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status != 0 || s->data == 1);
}

static void loop_waits_event(void* arg) {
  task_t* task = arg;

  pkd_async_event_wait(&task->loop, &task->req, &s->event, look_at_data);
  task_run(task, 1);
}

static void thread_waits_event(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(pkd_async_event_wait_blocking(&req, &s->event, PKD_FOREVER) ==
                 0);
  explore_assert(s->data == 1);
}

static void sets_event(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_async_event_set(&s->event);
}

static void event(int with_thread) {
  start();
  cast_loop(loop_waits_event);
  if (with_thread)
    explore_spawn(thread_waits_event, NULL);
  else
    cast_loop(loop_waits_event);
  explore_spawn(sets_event, NULL);
  cast_finish();
  scenario_nobody_at(&s->event);
}

/* One notification, and one of two that may be cancelled: it is not lost. */
static void loop_waits_or_not(void* arg) {
  task_t* task = arg;

  pkd_async_event_wait(&task->loop, &task->req, &s->event, task_note);
  pkd_req_cancel(&task->req);
  task_run(task, 1);
  if (task->status == 0)
    pkd_async_event_notify_one(&s->event);
}

static void notifies(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_async_event_notify_one(&s->event);
}

static void event_cancelled(int unused) {
  (void)unused;
  start();
  cast_loop(loop_waits_or_not);
  explore_spawn(thread_waits_event, NULL);
  explore_spawn(notifies, NULL);
  cast_finish();
  scenario_nobody_at(&s->event);
}

/* One notification, and two who take it: one of them passes. */
static void takes_notice(void* arg) {
  int rc = pkd_async_event_try_wait(arg, &s->event);

  explore_assert(rc == 0 || rc == UV_EBUSY);
  s->met[explore_self()] = rc == 0;
}

static void waits_for_notice(void* arg) {
  explore_assert(pkd_async_event_wait_blocking(arg, &s->event, PKD_FOREVER) ==
                 0);
  s->met[explore_self()] = 1;
}

static void event_noticed(int waits) {
  pkd_req_t* req[3];

  start();
  for (int i = 0; i < 3; i++)
    req[i] = explore_need(sizeof *req[i]);
  if (waits) {
    explore_spawn(waits_for_notice, req[0]);
    explore_spawn(notifies, NULL);
  } else {
    pkd_async_event_notify_one(&s->event);
    explore_spawn(takes_notice, req[0]);
    explore_spawn(takes_notice, req[1]);
  }
  cast_finish();
  explore_assert(s->met[1] + s->met[2] == 1);
  explore_assert(pkd_async_event_try_wait(req[2], &s->event) == UV_EBUSY);
}

/* --- what is done once --------------------------------------------------- */

static void initialize(pkd_req_t* req, int status) {
  task_note(req, status);
  if (status == 1) {
    s->data++;
    pkd_async_once_done(req, &s->once, 0);
  }
  explore_assert(s->data == 1);
}

static void loop_initializes(void* arg) {
  task_t* task = arg;

  pkd_async_once_call(&task->loop, &task->req, &s->once, initialize);
  task_run(task, 1);
}

static void thread_initializes(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_once_call_blocking(&req, &s->once, PKD_FOREVER);

  (void)arg;
  explore_assert(rc == 0 || rc == 1);
  if (rc == 1) {
    s->data++;
    pkd_async_once_done(&req, &s->once, 0);
  }
  explore_assert(s->data == 1);
}

static void once(int with_thread) {
  start();
  cast_loop(loop_initializes);
  if (with_thread)
    explore_spawn(thread_initializes, NULL);
  cast_loop(loop_initializes);
  cast_finish();
  scenario_nobody_at(&s->once);
}

static void finds_it_done(void* arg) {
  int done = pkd_async_once_is_done(&s->once);

  (void)arg;
  explore_outcome(done);
  if (done)
    explore_assert(s->data == 1);
}

static void once_is_done(int unused) {
  (void)unused;
  start();
  explore_spawn(thread_initializes, NULL);
  explore_spawn(finds_it_done, NULL);
  cast_finish();
}

/* --- a gate -------------------------------------------------------------- */

static void goes_through(void* arg) {
  (void)arg;
  if (pkd_async_gate_enter(&s->gate) != 0)
    return;
  s->met[explore_self()] = 1;
  explore_assert(pkd_async_gate_leave(&s->gate) == 0);
}

static void all_out(pkd_req_t* req, int status) {
  task_note(req, status);
  s->data = s->met[2] + s->met[3];
}

static void loop_closes(void* arg) {
  task_t* task = arg;

  pkd_async_gate_close(&task->loop, &task->req, &s->gate, all_out);
  task_run(task, 1);
  explore_assert(task->status == 0);
}

static void gate(int unused) {
  (void)unused;
  start();
  cast_loop(loop_closes);
  explore_spawn(goes_through, NULL);
  explore_spawn(goes_through, NULL);
  cast_finish();
  explore_assert(s->data == s->met[2] + s->met[3]);
  explore_assert(pkd_async_gate_inside(&s->gate) == 0);
  scenario_nobody_at(&s->gate);
}

/* --- a barrier ----------------------------------------------------------- */

static void all_here(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(s->met[1] && s->met[2]);
}

static void loop_arrives(void* arg) {
  task_t* task = arg;

  s->met[explore_self()] = 1;
  pkd_async_barrier_arrive(&task->loop, &task->req, &s->barrier, all_here);
  task_run(task, 1);
}

static void thread_arrives(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  s->met[explore_self()] = 1;
  explore_assert(
      pkd_async_barrier_arrive_blocking(&req, &s->barrier, PKD_FOREVER) >= 0);
  explore_assert(s->met[1] && s->met[2]);
}

static void barrier(int with_thread) {
  start();
  pkd_async_barrier_init(&s->barrier, 2);
  cast_loop(loop_arrives);
  if (with_thread)
    explore_spawn(thread_arrives, NULL);
  else
    cast_loop(loop_arrives);
  cast_finish();
  scenario_nobody_at(&s->barrier);
}

/* --- a condition that nobody waits for any more -------------------------- */

static void leaves_cond(void* arg) {
  pkd_req_t req = {0};
  int rc;

  (void)arg;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &cast->m, PKD_FOREVER) ==
                 0);
  s->data = 1;
  rc = pkd_async_cond_wait_blocking(&req, &s->cond, &cast->m, SOON);
  explore_assert(rc == 0 || rc == UV_ETIMEDOUT);
  if (rc == 0)
    explore_assert(pkd_async_mutex_unlock(&req, &cast->m) == 0);
}

/* Who has seen somebody wait, and then finds nobody, has the memory to itself:
 * the plain store is a race if the one who left is not done with it. */
static void reuses_cond(void* arg) {
  int data = 0;
  int woken;

  (void)arg;
  while (data == 0) {
    pkd_req_t req = {0};

    explore_assert(pkd_async_mutex_lock_blocking(&req, &cast->m, PKD_FOREVER) ==
                   0);
    data = s->data;
    explore_assert(pkd_async_mutex_unlock(&req, &cast->m) == 0);
    if (data == 0)
      explore_yield();
  }
  woken = pkd_async_cond_signal(&s->cond);
  explore_outcome(woken);
  if (woken == 0)
    s->cond = (pkd_async_cond_t){0};
}

static void cond_reused(int unused) {
  (void)unused;
  start();
  explore_spawn(leaves_cond, NULL);
  explore_spawn(reuses_cond, NULL);
  cast_finish();
  scenario_nobody_at(&s->cond);
}

const explore_scenario_t explore_objects[] = {
    {"loops/sem", sem, 0, OK, 0, NARROW},
    {"loops/sem-cancelled", sem, 1, OK, 0, NARROW},
    {"loops/event", event, 0, OK, 0, NARROW},
    {"loops/event-and-thread", event, 1, OK, 0, NARROW},
    {"loops/event-cancelled", event_cancelled, 0, OK, 0, NARROW},
    {"loops/event-noticed-by-two", event_noticed, 0, OK, 0, WIDE},
    {"loops/event-noticed-late", event_noticed, 1, OK, 0, WIDE},
    {"loops/once", once, 0, OK, 0, WIDE},
    {"loops/once-and-thread", once, 1, OK, 0, NARROW},
    {"loops/once-is-done", once_is_done, 0, OK, 3, DEEP},
    {"loops/gate", gate, 0, OK, 0, WIDE},
    {"loops/barrier", barrier, 0, OK, 0, DEEP},
    {"loops/barrier-and-thread", barrier, 1, OK, 0, DEEP},
    {"loops/cond-reused",
     cond_reused,
     0,
     OK,
     3,
     {.preemptions = 1, .stale = 1, .timeouts = 1}},
    {.name = NULL},
};
