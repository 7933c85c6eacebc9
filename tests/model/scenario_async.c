/* SPDX-License-Identifier: MIT
 *
 * scenario_async.c - pkd_async_mutex_t and its requests under exploration: loops
 * and threads on the shim of libuv.
 *
 * Each loop has a thread of its own. What the mutex guards is a plain counter;
 * a loop ends when all its requests were answered, so an answer that got lost
 * is a loop that sleeps for ever: a deadlock. At the end every accepted request
 * has had exactly one answer and the mutex is free. */
#include "scenario.h"

#include <parkade/async/mutex.h>

#define ACTORS 4

typedef struct actor {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req;
  int answers;
  int status;
} actor_t;

typedef struct shared {
  pkd_async_mutex_t m;
  int counter; /* under m */
  actor_t actor[ACTORS];
  int entered[ACTORS + 1];
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutex");
  explore_name(&s->counter, sizeof s->counter, "counter");
  for (int i = 0; i < ACTORS; i++) {
    static const char* const names[] = {"req1", "req2", "req3", "req4"};
    explore_name(&s->actor[i].req, sizeof s->actor[i].req, names[i]);
  }
}

static void finish(void) {
  int entered = 0;

  explore_join();
  for (int i = 0; i <= ACTORS; i++)
    entered += s->entered[i];
  explore_assert(s->counter == entered);
  explore_assert(!pkd_async_mutex_is_locked(&s->m));
  scenario_nobody_at(&s->m);
}

static actor_t* me(void) {
  return &s->actor[explore_self() - 1];
}

/* Attached before the threads run: long, and not what is explored here. */
static void attach(void* arg) {
  actor_t* actor = arg;

  uv_loop_init(&actor->uv);
  pkd_loop_attach(&actor->loop, &actor->uv);
  actor->req.data = actor;
}

static int actors;

/* Only threads without a loop may block. */
static void spawn(void (*entry)(void* arg), bool has_loop) {
  explore_spawn(entry, NULL);
  if (has_loop)
    explore_setup(attach, &s->actor[actors]);
  actors++;
}

static void enter_section(void) {
  s->counter++;
  s->entered[explore_self()]++;
}

/* --- loops that lock ----------------------------------------------------- */

static void note_answer(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  actor->answers++;
  actor->status = status;
}

static void count_and_unlock(pkd_req_t* req, int status) {
  note_answer(req, status);
  if (status != 0)
    return;
  enter_section();
  explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
}

static void lock_on_loop(actor_t* actor, pkd_req_cb cb) {
  explore_assert(pkd_async_mutex_lock(&actor->loop, &actor->req, &s->m, cb) ==
                 0);
}

static void run(actor_t* actor) {
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1);
}

static void loop_locks(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, count_and_unlock);
  run(actor);
  explore_assert(actor->status == 0);
}

/* The second time from a callback, where the loop's thread is known. */
static void count_and_come_again(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  note_answer(req, status);
  explore_assert(status == 0);
  enter_section();
  explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
  if (actor->answers == 1)
    lock_on_loop(actor, count_and_come_again);
}

static void loop_comes_again(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, count_and_come_again);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 2);
}

/* Keeps the mutex for one more turn of its loop. */
static void unlock_in_idle(uv_idle_t* idle) {
  pkd_req_t* req = idle->data;

  enter_section();
  explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
  uv_close((uv_handle_t*)idle, NULL);
}

static uv_idle_t* later;

static void unlock_later(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  note_answer(req, status);
  explore_assert(status == 0);
  uv_idle_init(&actor->uv, later);
  later->data = req;
  uv_idle_start(later, unlock_in_idle);
}

static void loop_keeps(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, unlock_later);
  run(actor);
}

/* --- requests that end early --------------------------------------------- */

static void loop_cancels(void* arg) {
  actor_t* actor = me();
  int rc;

  (void)arg;
  lock_on_loop(actor, count_and_unlock);
  rc = pkd_req_cancel(&actor->req);
  run(actor);
  explore_assert(rc == 0 ? actor->status == UV_ECANCELED
                         : rc == UV_EBUSY && actor->status == 0);
  explore_outcome(rc == 0 ? 0 : 1);
}

static pkd_req_t* started;
static pkd_req_t* ticket;
static int cancel_rc = UV_EBUSY;

/* From elsewhere, at any time after the start was heard of. */
static void cancels_first(void* arg) {
  pkd_req_t* req = __atomic_load_n(&started, __ATOMIC_ACQUIRE);

  (void)arg;
  if (req == NULL)
    return;
  cancel_rc = pkd_req_cancel(req);
  explore_outcome(cancel_rc == 0 ? 0 : cancel_rc == UV_EBUSY ? 1 : 2);
}

static void loop_times_out(void* arg) {
  actor_t* actor = me();

  (void)arg;
  pkd_req_set_timeout(&actor->req, 5);
  lock_on_loop(actor, count_and_unlock);
  run(actor);
  explore_assert(actor->status == 0 || actor->status == UV_ETIMEDOUT);
  explore_outcome(actor->status == 0 ? 0 : 1);
}

/* --- threads ------------------------------------------------------------- */

static void thread_blocks(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &s->m, PKD_FOREVER);

  (void)arg;
  explore_assert(rc == 0);
  enter_section();
  explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
}

static void thread_blocks_timed(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &s->m, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == UV_ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  enter_section();
  explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
}

static void thread_tries(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_trylock(&req, &s->m);

  (void)arg;
  explore_assert(rc == 0 || rc == UV_EBUSY);
  if (rc != 0)
    return;
  enter_section();
  explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
}

static void thread_closes(void* arg) {
  (void)arg;
  explore_assert(pkd_async_mutex_close(&s->m) == 0);
}

/* --- who plays ----------------------------------------------------------- */

typedef void thread_t(void* arg);

static bool blocks(thread_t* thread) {
  return thread == thread_blocks || thread == thread_blocks_timed;
}

static thread_t* const casts[][ACTORS] = {
    {loop_locks, loop_locks},
    {loop_locks, loop_locks, loop_locks},
    {loop_keeps, loop_locks},
    {loop_cancels, loop_locks},
    {loop_cancels, loop_cancels, loop_locks},
    {loop_times_out, loop_locks},
    {loop_times_out, loop_keeps},
    {loop_locks, thread_blocks},
    {loop_locks, thread_blocks, thread_blocks},
    {loop_locks, thread_blocks_timed},
    {loop_locks, thread_tries, thread_tries},
    {loop_cancels, thread_blocks, thread_blocks_timed},
    {thread_blocks, thread_blocks, thread_blocks},
    {loop_comes_again, loop_locks},
    {loop_comes_again, thread_blocks, thread_tries},
};

enum {
  TWO_LOOPS,
  THREE_LOOPS,
  KEEPS,
  CANCEL,
  TWO_CANCEL,
  TIMEOUT,
  TIMEOUT_OF_KEPT,
  LOOP_AND_THREAD,
  LOOP_AND_TWO_THREADS,
  LOOP_AND_TIMED,
  LOOP_AND_TRIES,
  ALL_ENDS,
  THREADS,
  AGAIN,
  AGAIN_AMONG_THREADS
};

static void cast(int number) {
  start();
  later = explore_need(sizeof *later);
  for (int i = 0; i < ACTORS && casts[number][i] != NULL; i++)
    spawn(casts[number][i], !blocks(casts[number][i]));
  finish();
}

/* Another thread cancels what a loop waits for, at any time. */
static void loop_is_cancelled(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, count_and_unlock);
  __atomic_store_n(&started, &actor->req, __ATOMIC_RELEASE);
  run(actor);
}

static void foreign_cancel(int with_thread) {
  start();
  spawn(loop_is_cancelled, true);
  spawn(cancels_first, false);
  if (with_thread)
    spawn(thread_blocks, false);
  explore_join();
  if (cancel_rc == 0)
    explore_assert(s->actor[0].status == UV_ECANCELED);
  else
    explore_assert(s->actor[0].status == 0);
  finish();
}

/* The same, but what is cancelled was free, or passed on, within a turn. */
static void come_again_and_tell(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  note_answer(req, status);
  explore_assert(status == 0 || status == UV_ECANCELED);
  if (status == 0) {
    enter_section();
    explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
  }
  if (actor->answers > 1)
    return;
  lock_on_loop(actor, come_again_and_tell);
  __atomic_store_n(&started, req, __ATOMIC_RELEASE);
}

static void loop_is_cancelled_again(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, come_again_and_tell);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 2);
}

static void foreign_cancel_again(int with_thread) {
  start();
  spawn(loop_is_cancelled_again, true);
  spawn(cancels_first, false);
  if (with_thread)
    spawn(thread_blocks, false);
  explore_join();
  explore_assert((cancel_rc == 0) == (s->actor[0].status == UV_ECANCELED));
  finish();
}

/* Two show one ticket: one of them is right. */
static int shown[2];

static void shows(pkd_req_t* req, int number) {
  shown[number] = pkd_async_mutex_unlock(req, &s->m);
  explore_assert(shown[number] == 0 || shown[number] == UV_EPERM);
}

static void thread_owns_and_shows(void* arg) {
  pkd_req_t* req = &s->actor[0].req;

  (void)arg;
  if (pkd_async_mutex_trylock(req, &s->m) != 0) {
    shown[0] = UV_EPERM;
    return;
  }
  enter_section();
  __atomic_store_n(&ticket, req, __ATOMIC_RELEASE);
  shows(req, 0);
}

static void thread_shows(void* arg) {
  pkd_req_t* theirs = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);

  (void)arg;
  shown[1] = UV_EPERM;
  if (theirs != NULL)
    shows(theirs, 1);
}

static void ticket_shown_twice(int with_thread) {
  start();
  spawn(thread_owns_and_shows, false);
  spawn(thread_shows, false);
  if (with_thread)
    spawn(thread_blocks, false);
  explore_join();
  explore_assert(shown[0] != 0 || shown[1] != 0);
  explore_assert(ticket == NULL || shown[0] == 0 || shown[1] == 0);
  explore_outcome(shown[0] == 0 ? 0 : shown[1] == 0 ? 1 : 2);
  finish();
}

/* The ticket is passed on to another request, while a thread shows it: either the
 * one or the other. */
static void thread_owns_and_passes(void* arg) {
  static int rc;
  pkd_req_t* from = &s->actor[0].req;
  pkd_req_t* to = &s->actor[1].req;

  (void)arg;
  if (pkd_async_mutex_trylock(from, &s->m) != 0) {
    shown[0] = UV_EPERM;
    return;
  }
  enter_section();
  __atomic_store_n(&ticket, from, __ATOMIC_RELEASE);
  rc = pkd_req_transfer(from, to);
  explore_assert(rc == 0 || rc == UV_EPERM);
  shown[0] = rc;
  if (rc != 0)
    return;
  explore_assert(pkd_async_mutex_unlock(from, &s->m) == UV_EPERM);
  enter_section(); /* it is its own still */
  explore_assert(pkd_async_mutex_unlock(to, &s->m) == 0);
}

static void ticket_passed_and_shown(int with_thread) {
  start();
  spawn(thread_owns_and_passes, false);
  spawn(thread_shows, false);
  if (with_thread)
    spawn(thread_blocks, false);
  explore_join();
  explore_assert(shown[0] != 0 || shown[1] != 0);
  explore_assert(ticket == NULL || shown[0] == 0 || shown[1] == 0);
  explore_outcome(shown[0] == 0 ? 0 : shown[1] == 0 ? 1 : 2);
  finish();
}

/* --- yields -------------------------------------------------------------- */

static pkd_req_t resting;
static int yielded, rest_status;

static void after_rest(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  explore_assert(status == 0 || status == UV_ECANCELED);
  rest_status = status;
  yielded++;
  enter_section(); /* the mutex was held all the time */
  explore_assert(pkd_async_mutex_unlock(&actor->req, &s->m) == 0);
}

static void hold_over_rest(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  note_answer(req, status);
  enter_section();
  resting.data = actor;
  explore_assert(pkd_loop_yield(&actor->loop, &resting, after_rest) == 0);
  __atomic_store_n(&ticket, &resting, __ATOMIC_RELEASE);
}

static void loop_holds_over_rest(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, hold_over_rest);
  run(actor);
  explore_assert(yielded == 1);
}

static void thread_cancels_rest(void* arg) {
  pkd_req_t* theirs = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);

  (void)arg;
  if (theirs != NULL)
    cancel_rc = pkd_req_cancel(theirs);
}

static void yield_cancelled(int with_loop) {
  start();
  spawn(loop_holds_over_rest, true);
  spawn(thread_cancels_rest, false);
  if (with_loop)
    spawn(loop_locks, true);
  explore_join();
  explore_assert((cancel_rc == 0) == (rest_status == UV_ECANCELED));
  explore_outcome(rest_status == 0 ? 0 : 1);
  finish();
}

/* Close: who waits is told, who comes is refused, who owns keeps it. */
static void loop_meets_close(void* arg) {
  actor_t* actor = me();
  int rc;

  (void)arg;
  rc = pkd_async_mutex_lock(&actor->loop, &actor->req, &s->m, count_and_unlock);
  explore_assert(rc == 0 || rc == UV_ESHUTDOWN);
  if (rc != 0) {
    explore_outcome(2);
    return;
  }
  run(actor);
  explore_assert(actor->status == 0 || actor->status == UV_ECANCELED);
  explore_outcome(actor->status == 0 ? 0 : 1);
}

static void close_mutex(int loops) {
  start();
  for (int i = 0; i < loops; i++)
    spawn(loop_meets_close, true);
  spawn(thread_closes, false);
  finish();
}

/* The ticket travels: locked on a loop, given back by a thread. */
static void publish_ticket(pkd_req_t* req, int status) {
  note_answer(req, status);
  enter_section();
  __atomic_store_n(&ticket, req, __ATOMIC_RELEASE);
}

static void loop_hands_over(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, publish_ticket);
  run(actor);
}

static void thread_gives_back(void* arg) {
  pkd_req_t* theirs = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);

  (void)arg;
  while (theirs == NULL) {
    explore_yield();
    theirs = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);
  }
  enter_section();
  explore_assert(pkd_async_mutex_unlock(theirs, &s->m) == 0);
}

static void travelling_ticket(int with_loop) {
  start();
  spawn(loop_hands_over, true);
  spawn(thread_gives_back, false);
  if (with_loop)
    spawn(loop_locks, true);
  finish();
}

/* The last user frees the mutex right after its unlock. */
static struct {
  pkd_async_mutex_t m;
  int users; /* under m */
} * object;

static void use_then_free(pkd_req_t* req) {
  int left = --object->users;

  explore_assert(pkd_async_mutex_unlock(req, &object->m) == 0);
  if (left == 0)
    explore_free(object);
}

static void use_on_loop(pkd_req_t* req, int status) {
  note_answer(req, status);
  use_then_free(req);
}

static void loop_uses(void* arg) {
  actor_t* actor = me();

  (void)arg;
  explore_assert(pkd_async_mutex_lock(&actor->loop, &actor->req, &object->m,
                                      use_on_loop) == 0);
  run(actor);
}

static void thread_uses(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &object->m, PKD_FOREVER) ==
                 0);
  use_then_free(&req);
}

static void freed_by_last(int with_thread) {
  start();
  object = explore_need(sizeof *object);
  explore_name(object, sizeof *object, "object");
  object->users = 2;
  spawn(loop_uses, true);
  spawn(with_thread ? thread_uses : loop_uses, !with_thread);
  finish();
  scenario_nobody_at(object);
}

/* A loop is detached with its request anywhere between queue and callback. */
static int detached;

static void note_detached(pkd_loop_t* loop) {
  (void)loop;
  detached++;
}

static void loop_detaches(void* arg) {
  actor_t* actor = me();

  (void)arg;
  lock_on_loop(actor, count_and_unlock);
  explore_assert(pkd_loop_detach(&actor->loop, note_detached) == 0);
  run(actor);
  explore_assert(detached == 1 && actor->status == UV_ECANCELED);
  explore_assert(uv_loop_close(&actor->uv) == 0);
}

static void detach(int with_loop) {
  start();
  spawn(loop_detaches, true);
  spawn(with_loop ? loop_locks : thread_blocks, with_loop);
  finish();
}

#define OK EXPLORE_OK

const explore_scenario_t explore_async[] = {
    {"async/two-loops", cast, TWO_LOOPS, OK, 0, {.preemptions = 3, .stale = 1}},
    {"async/three-loops", cast, THREE_LOOPS, OK, 0, {.preemptions = 2}},
    {"async/ghost-bell",
     cast,
     TWO_LOOPS,
     OK,
     0,
     {.preemptions = 2, .spurious = 1}},
    {"async/keeps", cast, KEEPS, OK, 0, {.preemptions = 3, .stale = 1}},
    {"async/cancel", cast, CANCEL, OK, 1, {.preemptions = 3, .stale = 1}},
    {"async/two-cancel", cast, TWO_CANCEL, OK, 1, {.preemptions = 2}},
    {"async/foreign-cancel",
     foreign_cancel,
     0,
     OK,
     7,
     {.preemptions = 3, .stale = 1}},
    {"async/foreign-cancel-with-thread",
     foreign_cancel,
     1,
     OK,
     7,
     {.preemptions = 2, .stale = 1}},
    {"async/timeout", cast, TIMEOUT, OK, 1, {.preemptions = 2}},
    {"async/timeout-of-kept",
     cast,
     TIMEOUT_OF_KEPT,
     OK,
     3,
     {.preemptions = 2, .timeouts = 1}},
    {"async/loop-and-thread",
     cast,
     LOOP_AND_THREAD,
     OK,
     0,
     {.preemptions = 3, .stale = 1}},
    {"async/loop-and-two-threads",
     cast,
     LOOP_AND_TWO_THREADS,
     OK,
     0,
     {.preemptions = 2}},
    {"async/loop-and-timed",
     cast,
     LOOP_AND_TIMED,
     OK,
     3,
     {.preemptions = 3, .timeouts = 1}},
    {"async/loop-and-tries", cast, LOOP_AND_TRIES, OK, 0, {.preemptions = 2}},
    {"async/all-ends",
     cast,
     ALL_ENDS,
     OK,
     3,
     {.preemptions = 2, .timeouts = 1}},
    {"async/threads", cast, THREADS, OK, 0, {.preemptions = 2, .stale = 1}},
    {"async/again", cast, AGAIN, OK, 0, {.preemptions = 2, .stale = 1}},
    {"async/again-among-threads",
     cast,
     AGAIN_AMONG_THREADS,
     OK,
     0,
     {.preemptions = 2}},
    {"async/foreign-cancel-again",
     foreign_cancel_again,
     0,
     OK,
     7,
     {.preemptions = 2, .stale = 1}},
    {"async/foreign-cancel-again-with-thread",
     foreign_cancel_again,
     1,
     OK,
     7,
     {.preemptions = 2}},
    {"async/ticket-shown-twice",
     ticket_shown_twice,
     0,
     OK,
     3,
     {.preemptions = 3, .stale = 1}},
    {"async/ticket-shown-twice-with-thread",
     ticket_shown_twice,
     1,
     OK,
     7,
     {.preemptions = 2, .stale = 1}},
    {"async/ticket-passed-and-shown",
     ticket_passed_and_shown,
     0,
     OK,
     3,
     {.preemptions = 3, .stale = 1}},
    {"async/ticket-passed-and-shown-with-thread",
     ticket_passed_and_shown,
     1,
     OK,
     7,
     {.preemptions = 2, .stale = 1}},
    {"async/yield-cancelled",
     yield_cancelled,
     0,
     OK,
     3,
     {.preemptions = 3, .stale = 1}},
    {"async/yield-cancelled-with-loop",
     yield_cancelled,
     1,
     OK,
     3,
     {.preemptions = 2}},
    {"async/close", close_mutex, 1, OK, 5, {.preemptions = 3, .stale = 1}},
    {"async/close-with-two", close_mutex, 2, OK, 7, {.preemptions = 2}},
    {"async/ticket-travels",
     travelling_ticket,
     0,
     OK,
     0,
     {.preemptions = 3, .stale = 1}},
    {"async/ticket-travels-to-loop",
     travelling_ticket,
     1,
     OK,
     0,
     {.preemptions = 2}},
    {"async/freed-by-last-loop",
     freed_by_last,
     0,
     OK,
     0,
     {.preemptions = 3, .stale = 1}},
    {"async/freed-by-last-of-both",
     freed_by_last,
     1,
     OK,
     0,
     {.preemptions = 3, .stale = 1}},
    {"async/detach", detach, 0, OK, 0, {.preemptions = 2, .stale = 1}},
    {"async/detach-two-loops", detach, 1, OK, 0, {.preemptions = 2}},
    {.name = NULL},
};
