/* SPDX-License-Identifier: MIT
 *
 * scenario_req.c - what comes with the state of a request.
 *
 * A thread that has a request may look at its state at any time: to cancel the
 * wait, to show it as a ticket, to start it anew, or to find rings. All that it
 * then goes by was written by others, before they set the state. Where those two
 * know nothing else of each other, the state alone orders them, and that is how
 * it is here: nobody says when a request is over, granted or given back. What the
 * next user writes in a request, plain, is a race if the last one is not done.
 *
 * Who looks for rings is in scenario_rings.c. */
#include "cast.h"

#include <parkade/async/cond.h>
#include <parkade/async/event.h>
#include <parkade/async/gate.h>
#include <parkade/async/keyed.h>
#include <parkade/async/once.h>
#include <parkade/async/sem.h>

static struct shared {
  pkd_async_mutex_t other;
  pkd_async_sem_t sem;
  pkd_async_sem_t spare;
  pkd_async_event_t event;
  pkd_async_cond_t cond;
  pkd_async_once_t once;
  pkd_async_keyed_t keyed;
  int told; /* atomic */
  int data; /* published by permits that come back */
} * s;

static void start(void) {
  cast_start();
  s = explore_need(sizeof *s);
  explore_name(&s->other, sizeof s->other, "other");
  explore_name(&s->sem, sizeof s->sem, "sem");
  explore_name(&s->cond, sizeof s->cond, "cond");
  pkd_async_sem_init(&s->sem, 2, 2);
  pkd_async_sem_init(&s->spare, 1, 1);
}

static void finish(void) {
  cast_finish();
  scenario_nobody_at(&s->sem);
  scenario_nobody_at(&s->cond);
}

/* --- cancelled, and used for something else ------------------------------- */

enum { MUTEX, SEM, YIELD, ONCE, KEYED };

#define KEY "k", 1
#define ANOTHER "another", 7

static void answer(pkd_req_t* req, int status) {
  task_note(req, status);
  if (status == UV_ECANCELED)
    task_overwrite(req);
}

static int kind;

static void loop_overwrites(void* arg) {
  task_t* task = arg;
  pkd_req_t* req = &task->req;
  int rc;

  if (kind == MUTEX)
    rc = pkd_async_mutex_lock(&task->loop, req, &cast->m, answer);
  else if (kind == SEM)
    rc = pkd_async_sem_acquire(&task->loop, req, &s->sem, 2, answer);
  else
    rc = pkd_loop_yield(&task->loop, req, answer);
  explore_assert(rc == 0);
  cast_tell(req);
  task_run(task, 1);
  if (task->status != 0)
    return;
  if (kind == MUTEX)
    explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
  if (kind == SEM)
    explore_assert(pkd_async_sem_release(req, &s->sem, 2) == 0);
}

static void cancels(void* arg) {
  pkd_req_t* req = cast_known();

  (void)arg;
  if (req != NULL)
    explore_outcome(pkd_req_cancel(req) == 0 ? 0 : 1);
}

static void cancelled_then_overwritten(int what) {
  kind = what;
  start();
  cast_loop(loop_overwrites);
  explore_spawn(cancels, NULL);
  finish();
  explore_assert(pkd_async_sem_available(&s->sem) == 2);
}

/* A wait that blocks tells nobody that it has begun: it is cancelled as soon as it
 * is found in the queue. What it owned before had another address. */
static void waits_until_cancelled(void* arg) {
  (void)arg;
  explore_assert(pkd_async_cond_wait_blocking(&cast->ticket, &s->cond, &cast->m,
                                              PKD_FOREVER) == UV_ECANCELED);
}

static void cancels_at_last(void* arg) {
  (void)arg;
  while (pkd_req_cancel(&cast->ticket) != 0)
    explore_yield();
}

static void cancelled_cond(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_mutex_trylock(&cast->ticket, &cast->m) == 0);
  explore_spawn(waits_until_cancelled, NULL);
  explore_spawn(cancels_at_last, NULL);
  finish();
}

static void waits_for_key(void* arg) {
  int rc =
      pkd_async_keyed_lock_blocking(&cast->ticket, &s->keyed, KEY, PKD_FOREVER);

  (void)arg;
  explore_assert(rc == 0 || rc == UV_ECANCELED);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    explore_assert(pkd_async_keyed_unlock(&cast->ticket, &s->keyed) == 0);
}

static void unlocks_first_key(void* arg) {
  (void)arg;
  explore_assert(pkd_async_keyed_unlock(&cast->task[0].req, &s->keyed) == 0);
}

static void cancels_first(void* arg) {
  (void)arg;
  explore_outcome(pkd_req_cancel(&cast->task[0].req) == 0 ? 0 : 1);
}

static void cancels_ticket(void* arg) {
  (void)arg;
  pkd_req_cancel(&cast->ticket);
}

/* It has had another key, for which somebody else stands now. */
static void cancelled_key(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_keyed_trylock(&cast->ticket, &s->keyed, ANOTHER) ==
                 0);
  explore_assert(pkd_async_keyed_unlock(&cast->ticket, &s->keyed) == 0);
  explore_assert(
      pkd_async_keyed_trylock(&cast->task[0].second, &s->keyed, ANOTHER) == 0);
  explore_assert(pkd_async_keyed_trylock(&cast->task[0].req, &s->keyed, KEY) ==
                 0);
  explore_spawn(waits_for_key, NULL);
  explore_spawn(unlocks_first_key, NULL);
  explore_spawn(cancels_ticket, NULL);
  finish();
}

/* --- cancelled, and what it waited for freed ------------------------------- */

/* Whose wait is over may be the last who knows the object, and free it, whoever
 * ended the wait. */
static struct last {
  pkd_async_mutex_t m;
  pkd_async_sem_t sem;
  pkd_async_event_t event;
  pkd_async_gate_t gate;
  pkd_async_once_t once;
} * last;

enum { EVENT = 5, GATE };

static void frees(pkd_req_t* req, int status) {
  task_note(req, status);
  if (kind == MUTEX && status == 0)
    explore_assert(pkd_async_mutex_unlock(req, &last->m) == 0);
  if (kind == SEM && status == 0)
    explore_assert(pkd_async_sem_release(req, &last->sem, 1) == 0);
  if (kind == ONCE && status == 1)
    explore_assert(pkd_async_once_done(req, &last->once, 0) == 0);
  explore_free(last);
}

static int begin_last(task_t* task) {
  pkd_req_t* req = &task->req;

  if (kind == SEM)
    return pkd_async_sem_acquire(&task->loop, req, &last->sem, 1, frees);
  if (kind == EVENT)
    return pkd_async_event_wait(&task->loop, req, &last->event, frees);
  if (kind == GATE)
    return pkd_async_gate_close(&task->loop, req, &last->gate, frees);
  if (kind == ONCE)
    return pkd_async_once_call(&task->loop, req, &last->once, frees);
  return pkd_async_mutex_lock(&task->loop, req, &last->m, frees);
}

static void loop_frees(void* arg) {
  task_t* task = arg;

  explore_assert(begin_last(task) == 0);
  cast_tell(&task->req);
  task_run(task, 1);
}

static void cancelled_then_freed(int what) {
  kind = what;
  start();
  last = explore_need(sizeof *last);
  explore_name(last, sizeof *last, "object");
  pkd_async_sem_init(&last->sem, 1, 1);
  pkd_async_event_notify_one(&last->event);
  cast_loop(loop_frees);
  explore_spawn(cancels, NULL);
  finish();
}

/* --- a notification that is given back ------------------------------------- */

/* It goes to the one who waits, and not to one who comes meanwhile. */
static void hands_on(pkd_req_t* req, int status) {
  task_note(req, status);
  if (req == &cast->task[0].req && status == 0)
    explore_assert(pkd_async_event_notify_one(&s->event) == 0);
  else
    explore_assert(req == &cast->task[0].req ? status == UV_ECANCELED
                                             : status == 0);
}

static void two_wait(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_event_notify_one(&s->event) == 0);
  explore_assert(
      pkd_async_event_wait(&task->loop, &task->req, &s->event, hands_on) == 0);
  explore_assert(pkd_async_event_wait(&task->loop, &task->second, &s->event,
                                      hands_on) == 0);
}

static void loop_hands_on(void* arg) {
  task_run(arg, 2);
}

static void comes_late(void* arg) {
  (void)arg;
  explore_assert(pkd_async_event_try_wait(&cast->ticket, &s->event) ==
                 UV_EBUSY);
}

static void given_back(int unused) {
  (void)unused;
  start();
  cast_loop(loop_hands_on);
  explore_setup(two_wait, &cast->task[0]);
  explore_spawn(cancels_first, NULL);
  explore_spawn(comes_late, NULL);
  finish();
}

/* --- the state is all that tells of a grant ------------------------------- */

static int give_back(pkd_req_t* req) {
  if (kind == SEM)
    return pkd_async_sem_release(req, &s->sem, 2);
  if (kind == ONCE)
    return pkd_async_once_done(req, &s->once, 0);
  if (kind == KEYED)
    return pkd_async_keyed_unlock(req, &s->keyed);
  return pkd_async_mutex_unlock(req, &cast->m);
}

/* Shows the ticket until it is one. */
static void gives_back(void* arg) {
  pkd_req_t* req = cast_await_known();

  (void)arg;
  while (give_back(req) != 0)
    explore_yield();
}

static void sees_and_gives_back(void* arg) {
  pkd_req_t* req = cast_await_known();

  (void)arg;
  while (pkd_req_owned(req) != &cast->m)
    explore_yield();
  cast_count();
  explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
}

static void loop_starts(void* arg) {
  task_t* task = arg;

  if (kind == SEM)
    pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 2, task_note);
  else if (kind == ONCE)
    pkd_async_once_call(&task->loop, &task->req, &s->once, task_note);
  else if (kind == KEYED)
    pkd_async_keyed_lock(&task->loop, &task->req, &s->keyed, KEY, task_note);
  else
    pkd_async_mutex_lock(&task->loop, &task->req, &cast->m, task_note);
  cast_tell(&task->req);
  task_run(task, 1);
}

static void shown_before_told(int what) {
  kind = what;
  start();
  cast_loop(loop_starts);
  explore_spawn(gives_back, NULL);
  finish();
  explore_assert(pkd_async_sem_available(&s->sem) == 2);
}

static void seen_before_told(int unused) {
  (void)unused;
  start();
  cast_loop(loop_starts);
  explore_spawn(sees_and_gives_back, NULL);
  explore_spawn(thread_locks, NULL);
  finish();
  explore_assert(cast->counter == 2);
}

/* --- given back by another thread, and started anew ----------------------- */

static void tries_again(void* arg) {
  (void)arg;
  while (pkd_async_mutex_trylock(&cast->ticket, &s->other) != 0)
    explore_yield();
  explore_assert(pkd_async_mutex_unlock(&cast->ticket, &s->other) == 0);
}

static void tried_again(int unused) {
  (void)unused;
  start();
  ticket_owns(NULL);
  explore_spawn(thread_unlocks, NULL);
  explore_spawn(tries_again, NULL);
  finish();
}

static void unlocks_key(void* arg) {
  (void)arg;
  explore_assert(pkd_async_keyed_unlock(&cast->ticket, &s->keyed) == 0);
}

/* Who owns a key stands in the lot, where others compare theirs with it. */
static void sets_timeout_of_key(void* arg) {
  (void)arg;
  explore_assert(pkd_req_set_timeout(&cast->ticket, 7) == 0);
  explore_assert(pkd_async_keyed_unlock(&cast->ticket, &s->keyed) == 0);
}

static void tries_key(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  if (pkd_async_keyed_trylock(&req, &s->keyed, KEY) == 0)
    explore_assert(pkd_async_keyed_unlock(&req, &s->keyed) == 0);
}

static void timeout_of_key(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_keyed_trylock(&cast->ticket, &s->keyed, KEY) == 0);
  explore_spawn(sets_timeout_of_key, NULL);
  explore_spawn(tries_key, NULL);
  finish();
}

static void tries_another_key(void* arg) {
  (void)arg;
  while (pkd_async_keyed_trylock(&cast->ticket, &s->keyed, ANOTHER) != 0)
    explore_yield();
  explore_assert(pkd_async_keyed_unlock(&cast->ticket, &s->keyed) == 0);
}

static void tried_again_keyed(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_keyed_trylock(&cast->ticket, &s->keyed, KEY) == 0);
  explore_spawn(unlocks_key, NULL);
  explore_spawn(tries_another_key, NULL);
  finish();
}

/* In its own callback, where the loop's thread is known. */
static void lock_again(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  if (task->answers > 1)
    return;
  cast_tell(req);
  while (pkd_async_mutex_lock(&task->loop, req, &s->other, lock_again) != 0)
    explore_yield();
}

static void loop_locks_again(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_lock(&task->loop, &task->req, &cast->m, lock_again);
  task_run(task, 2);
  explore_assert(pkd_async_mutex_unlock(&task->req, &s->other) == 0);
}

static void locked_again(int unused) {
  (void)unused;
  kind = MUTEX;
  start();
  cast_loop(loop_locks_again);
  explore_spawn(gives_back, NULL);
  finish();
}

/* Two give back a part each; who comes last makes the request idle. */
static void releases_one(void* arg) {
  (void)arg;
  explore_assert(pkd_async_sem_release(&cast->ticket, &s->sem, 1) == 0);
}

static void acquires_again(void* arg) {
  (void)arg;
  while (pkd_async_sem_try_acquire(&cast->ticket, &s->spare, 1) != 0)
    explore_yield();
}

static void parts(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_sem_try_acquire(&cast->ticket, &s->sem, 2) == 0);
  explore_spawn(releases_one, NULL);
  explore_spawn(releases_one, NULL);
  explore_spawn(acquires_again, NULL);
  finish();
  explore_assert(pkd_async_sem_available(&s->sem) == 2);
}

/* Permits that come back while somebody waits for fewer. */
static void waits_for_one(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_sem_acquire_blocking(&req, &s->sem, 1, PKD_FOREVER) == 0);
}

static void releases_two(void* arg) {
  (void)arg;
  s->data = 1;
  explore_assert(pkd_async_sem_release(&cast->ticket, &s->sem, 2) == 0);
}

static void takes_rest(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_sem_try_acquire(&req, &s->sem, 1);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    explore_assert(s->data == 1);
}

static void rest(int unused) {
  (void)unused;
  start();
  explore_assert(pkd_async_sem_try_acquire(&cast->ticket, &s->sem, 2) == 0);
  explore_spawn(waits_for_one, NULL);
  explore_spawn(releases_two, NULL);
  explore_spawn(takes_rest, NULL);
  finish();
}

/* --- a signal that its receiver gives up ---------------------------------- */

/* The first passes on what it was signalled, or was signalled in vain. */
static void first_woken(pkd_req_t* req, int status) {
  task_note(req, status);
  if (status != 0)
    return;
  explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
  pkd_async_cond_signal(&s->cond);
}

static void second_woken(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status == 0);
  explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
}

static void wait_for_signal(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_trylock(&task->req, &cast->m);
  pkd_async_cond_wait(&task->loop, &task->req, &s->cond, &cast->m, first_woken);
  pkd_async_mutex_trylock(&task->second, &cast->m);
  pkd_async_cond_wait(&task->loop, &task->second, &s->cond, &cast->m,
                      second_woken);
}

static void loop_awaits_signal(void* arg) {
  task_run(arg, 2);
}

static void signals(void* arg) {
  (void)arg;
  explore_assert(pkd_async_cond_signal(&s->cond) == 1);
}

static void signals_and_unlocks(void* arg) {
  signals(arg);
  explore_assert(pkd_async_mutex_unlock(&cast->ticket, &cast->m) == 0);
}

static void signal_given_up(int held) {
  start();
  cast_loop(loop_awaits_signal);
  explore_setup(wait_for_signal, &cast->task[0]);
  explore_spawn(held ? signals_and_unlocks : signals, NULL);
  if (held)
    explore_setup(ticket_owns, NULL);
  explore_spawn(cancels_first, NULL);
  finish();
}

/* --- an event that tells of what was done before -------------------------- */

static void tells(void* arg) {
  (void)arg;
  __atomic_store_n(&s->told, 1, __ATOMIC_RELAXED);
  pkd_async_event_notify_all(&s->event);
}

static void loop_arms(void* arg) {
  task_t* task = arg;
  uint32_t epoch = pkd_async_event_arm(&s->event);

  if (__atomic_load_n(&s->told, __ATOMIC_RELAXED) != 0)
    return;
  pkd_async_event_wait_since(&task->loop, &task->req, &s->event, epoch,
                             task_note);
  task_run(task, 1);
}

static void armed(int unused) {
  (void)unused;
  start();
  cast_loop(loop_arms);
  explore_spawn(tells, NULL);
  finish();
}

const explore_scenario_t explore_req[] = {
    {"req/cancelled-mutex", cancelled_then_overwritten, MUTEX, OK, 3, WIDE},
    {"req/cancelled-sem", cancelled_then_overwritten, SEM, OK, 3, WIDE},
    {"req/cancelled-yield", cancelled_then_overwritten, YIELD, OK, 3, WIDE},
    {"req/freed-mutex", cancelled_then_freed, MUTEX, OK, 3, WIDE},
    {"req/freed-sem", cancelled_then_freed, SEM, OK, 3, WIDE},
    {"req/freed-event", cancelled_then_freed, EVENT, OK, 3, WIDE},
    {"req/freed-gate", cancelled_then_freed, GATE, OK, 3, WIDE},
    {"req/freed-once", cancelled_then_freed, ONCE, OK, 3, WIDE},
    {"req/notice-given-back", given_back, 0, OK, 3, WIDE},
    {"req/cancelled-cond",
     cancelled_cond,
     0,
     OK,
     0,
     {.preemptions = 1, .stale = 2}},
    {"req/cancelled-key", cancelled_key, 0, OK, 3, {.stale = 2}},
    {"req/shown-mutex", shown_before_told, MUTEX, OK, 0, FLAT},
    {"req/shown-sem", shown_before_told, SEM, OK, 0, FLAT},
    {"req/shown-once", shown_before_told, ONCE, OK, 0, FLAT},
    {"req/shown-key", shown_before_told, KEYED, OK, 0, FLAT},
    {"req/seen-mutex", seen_before_told, MUTEX, OK, 0, FLAT},
    {"req/tried-again", tried_again, 0, OK, 0, WIDE},
    {"req/tried-again-keyed", tried_again_keyed, 0, OK, 0, FLAT},
    {"req/timeout-of-key", timeout_of_key, 0, OK, 0, WIDE},
    {"req/locked-again", locked_again, 0, OK, 0, FLAT},
    {"req/parts", parts, 0, OK, 0, FLAT},
    {"req/rest", rest, 0, OK, 3, WIDE},
    {"req/signal-given-up", signal_given_up, 0, OK, 3, FLAT},
    {"req/signal-given-up-held", signal_given_up, 1, OK, 3, FLAT},
    {"req/armed", armed, 0, OK, 0, FLAT},
    {.name = NULL},
};
