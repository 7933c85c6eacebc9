/* SPDX-License-Identifier: MIT
 *
 * scenario_rounds.c - more wait than are served under one hold of the lot's lock.
 *
 * So there is a moment when some of them have been told what came, and the others
 * have not. The first to be told does at once what is right for one who knows it. */
#include "cast.h"

#include <parkade/async/barrier.h>
#include <parkade/async/event.h>
#include <parkade/async/once.h>

#define CROWD 33 /* a round and one more; ROUND in engine.c */
#define ROUNDS                                                                 \
  { .preemptions = 1, .steps = 20000 }

static struct crowd {
  pkd_async_event_t event;
  pkd_async_barrier_t barrier;
  pkd_async_once_t once;
  pkd_req_t req[CROWD];
} * s;

static void start(void) {
  cast_start();
  s = explore_need(sizeof *s);
  explore_name(s, sizeof *s, "crowd");
}

static pkd_req_t* crowd_of(task_t* task, int i) {
  s->req[i].data = task;
  return &s->req[i];
}

static void loop_is_answered(void* arg) {
  task_run(arg, CROWD);
}

/* --- an event ------------------------------------------------------------ */

/* Who waits when it is set passes, also if it is cleared right after that. */
static void passes_and_clears(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status == 0);
  if (((task_t*)req->data)->answers == 1)
    explore_assert(pkd_async_event_clear(&s->event) == 0);
}

static void crowd_waits_event(void* arg) {
  task_t* task = arg;

  for (int i = 0; i < CROWD; i++)
    explore_assert(pkd_async_event_wait(&task->loop, crowd_of(task, i),
                                        &s->event, passes_and_clears) == 0);
}

static void sets(void* unused) {
  (void)unused;
  explore_assert(pkd_async_event_set(&s->event) == 0);
}

static void event(int unused) {
  (void)unused;
  start();
  cast_loop(loop_is_answered);
  explore_setup(crowd_waits_event, &cast->task[0]);
  explore_spawn(sets, NULL);
  cast_finish();
  explore_assert(!pkd_async_event_is_set(&s->event));
  scenario_nobody_at(&s->event);
}

/* --- a barrier ----------------------------------------------------------- */

/* Who is told that it is broken mends it. */
static void is_told_and_resets(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status == UV_ECANCELED);
  if (((task_t*)req->data)->answers == 1)
    explore_assert(pkd_async_barrier_reset(&s->barrier) == 0);
}

static void crowd_arrives(void* arg) {
  task_t* task = arg;

  for (int i = 0; i < CROWD; i++)
    explore_assert(pkd_async_barrier_arrive(&task->loop, crowd_of(task, i),
                                            &s->barrier,
                                            is_told_and_resets) == 0);
}

static void aborts(void* unused) {
  (void)unused;
  explore_assert(pkd_async_barrier_abort(&s->barrier) == 0);
}

static void barrier(int unused) {
  pkd_req_t req = {0};

  (void)unused;
  start();
  pkd_async_barrier_init(&s->barrier, CROWD + 1);
  cast_loop(loop_is_answered);
  explore_setup(crowd_arrives, &cast->task[0]);
  explore_spawn(aborts, NULL);
  cast_finish();
  explore_assert(pkd_async_barrier_arrive_blocking(&req, &s->barrier, 0) ==
                 UV_ETIMEDOUT);
  scenario_nobody_at(&s->barrier);
}

/* --- done ---------------------------------------------------------------- */

/* Who is told that it is done finds it done. */
static void is_told_and_tries(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  explore_assert(status == 0);
  if (task->answers == 1)
    explore_assert(pkd_async_once_try(&task->second, &s->once) == 0);
}

static void crowd_calls(void* arg) {
  task_t* task = arg;

  for (int i = 0; i < CROWD; i++)
    explore_assert(pkd_async_once_call(&task->loop, crowd_of(task, i), &s->once,
                                       is_told_and_tries) == 0);
}

static void is_done(void* unused) {
  (void)unused;
  explore_assert(pkd_async_once_done(&cast->ticket, &s->once, 0) == 0);
}

static void once(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_once_try(&cast->ticket, &s->once) == 1);
  cast_loop(loop_is_answered);
  explore_setup(crowd_calls, &cast->task[0]);
  explore_spawn(is_done, NULL);
  cast_finish();
  scenario_nobody_at(&s->once);
}

const explore_scenario_t explore_rounds[] = {
    {"loops/rounds-event", event, 0, OK, 0, ROUNDS},
    {"loops/rounds-barrier", barrier, 0, OK, 0, ROUNDS},
    {"loops/rounds-once", once, 0, OK, 0, ROUNDS},
    {.name = NULL},
};
