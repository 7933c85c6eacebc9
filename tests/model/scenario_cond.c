/* SPDX-License-Identifier: MIT
 *
 * scenario_cond.c - pkd_cond_t with pkd_mutex_t under exploration.
 *
 * Consumers wait for items, producers put one and signal. A signal that got
 * lost, or went to one who left, is a consumer who waits for ever: a deadlock.
 * A wait that ended without a signal is counted, as is one signal that ended
 * two waits. */
#include "scenario.h"

#include <parkade/cond.h>

#include <errno.h>

typedef struct shared {
  pkd_mutex_t m;
  pkd_cond_t c;
  int items;   /* under m */
  int taken;   /* under m */
  int signals; /* under m: promised by signal's and broadcast's returns */
  int ended;   /* under m: waits that returned 0 */
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutex");
  explore_name(&s->c, sizeof s->c, "condition");
  explore_name(&s->items, sizeof s->items, "items");
}

static void finish(void) {
  explore_join();
  explore_assert(s->m.word == 0);
  explore_assert(s->c.lock == NULL);
  scenario_nobody_at(&s->m);
  scenario_nobody_at(&s->c);
}

/* With m held; sees each signal's promise kept exactly once. */
static void wait_for_item(void) {
  while (s->items == 0) {
    int rc = pkd_cond_wait(&s->c, &s->m);
    explore_assert(rc == 0);
    s->ended++;
  }
}

static void take(void) {
  s->items--;
  s->taken++;
}

static void consumes(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  wait_for_item();
  take();
  pkd_mutex_unlock(&s->m);
}

static void produces(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items++;
  s->signals += pkd_cond_signal(&s->c);
  pkd_mutex_unlock(&s->m);
}

/* Signals with the mutex free: the waiter is woken, not moved. */
static void produces_then_signals(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items++;
  pkd_mutex_unlock(&s->m);
  pkd_cond_signal(&s->c);
}

static void produces_for_all(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items = 2;
  s->signals += (int)pkd_cond_broadcast(&s->c);
  pkd_mutex_unlock(&s->m);
}

static void produces_then_broadcasts(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items = 2;
  pkd_mutex_unlock(&s->m);
  pkd_cond_broadcast(&s->c);
}

/* Gives up in time; one that got its item makes another. So a consumer beside
 * it always gets one, if no signal is lost with the one who left. */
static void consumes_in_time(void* arg) {
  int rc = 0;

  (void)arg;
  pkd_mutex_lock(&s->m);
  while (rc == 0 && s->items == 0) { /* held only if rc is 0 */
    rc = pkd_cond_wait_until(&s->c, &s->m, SOON);
    if (rc == 0)
      s->ended++;
  }
  explore_outcome(rc == 0 ? 0 : rc == -ETIMEDOUT ? 1 : 2);
  if (rc == PKD_ENOTHELD)
    return;
  if (rc == 0) {
    take();
    s->items++;
    pkd_cond_signal(&s->c);
  }
  pkd_mutex_unlock(&s->m);
}

static void two(int signals_late) {
  start();
  explore_spawn(consumes, NULL);
  explore_spawn(signals_late ? produces_then_signals : produces, NULL);
  finish();
  explore_assert(s->taken == 1);
  if (!signals_late)
    explore_assert(s->signals == s->ended);
}

static void two_consumers(int signals_late) {
  void (*produce)(void*) = signals_late ? produces_then_signals : produces;

  start();
  explore_spawn(consumes, NULL);
  explore_spawn(consumes, NULL);
  explore_spawn(produce, NULL);
  explore_spawn(produce, NULL);
  finish();
  explore_assert(s->taken == 2);
}

static void two_called(int signals_late) {
  start();
  explore_spawn(consumes, NULL);
  explore_spawn(consumes, NULL);
  explore_spawn(signals_late ? produces_then_broadcasts : produces_for_all,
                NULL);
  finish();
  explore_assert(s->taken == 2);
  if (!signals_late)
    explore_assert(s->signals == s->ended);
}

static void one_in_time(int signals_late) {
  start();
  explore_spawn(consumes_in_time, NULL);
  explore_spawn(signals_late ? produces_then_signals : produces, NULL);
  finish();
}

static void one_leaves(int signals_late) {
  start();
  explore_spawn(consumes_in_time, NULL);
  explore_spawn(consumes, NULL);
  explore_spawn(signals_late ? produces_then_signals : produces, NULL);
  finish();
}

/* A third party keeps the mutex busy while a signalled waiter's time ends. */
static void uses_mutex(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->ended += 0;
  pkd_mutex_unlock(&s->m);
}

static void busy_mutex(int with_second) {
  start();
  explore_spawn(consumes_in_time, NULL);
  explore_spawn(produces, NULL);
  explore_spawn(uses_mutex, NULL);
  if (with_second)
    explore_spawn(consumes, NULL);
  finish();
}

/* The condition goes right after the broadcast, its waiters still returning. */
static pkd_cond_t* short_lived;

static void waits_until_called(void* arg) {
  int rc = 0;

  pkd_mutex_lock(&s->m);
  if (s->items == 0)
    rc = pkd_cond_wait_until(short_lived, &s->m,
                             arg == NULL ? PKD_FOREVER : SOON);
  if (rc != PKD_ENOTHELD)
    pkd_mutex_unlock(&s->m);
  explore_outcome(rc == 0 ? 0 : 1);
}

static void calls_and_frees(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items = 1;
  pkd_cond_broadcast(short_lived);
  explore_free(short_lived);
  pkd_mutex_unlock(&s->m);
}

/* The only one who waits is called: nobody does any more. */
static void signals_and_frees(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items = 1;
  pkd_cond_signal(short_lived);
  explore_free(short_lived);
  pkd_mutex_unlock(&s->m);
}

static void freed_after_signal(int unused) {
  (void)unused;
  start();
  short_lived = explore_need(sizeof *short_lived);
  explore_name(short_lived, sizeof *short_lived, "short-lived");
  explore_spawn(waits_until_called, s);
  explore_spawn(signals_and_frees, NULL);
  explore_join();
  explore_assert(s->m.word == 0);
  scenario_nobody_at(short_lived);
  finish();
}

static void freed_after_broadcast(int timed) {
  start();
  short_lived = explore_need(sizeof *short_lived);
  explore_name(short_lived, sizeof *short_lived, "short-lived");
  explore_spawn(waits_until_called, NULL);
  explore_spawn(waits_until_called, timed ? s : NULL);
  explore_spawn(calls_and_frees, NULL);
  explore_join();
  explore_assert(s->m.word == 0);
  scenario_nobody_at(short_lived);
  finish();
}

/* Nobody waits any more, says a call that found nobody: then the condition is the
 * caller's memory again. The plain store is a race if it is not. */
static void waits_in_time(void* arg) {
  int rc;

  (void)arg;
  pkd_mutex_lock(&s->m);
  s->items = 1;
  rc = pkd_cond_wait_until(&s->c, &s->m, SOON);
  if (rc != PKD_ENOTHELD)
    pkd_mutex_unlock(&s->m);
}

static void reuses(void* arg) {
  bool broadcasts = arg != NULL;
  int items = 0;
  size_t woken;

  while (items == 0) {
    pkd_mutex_lock(&s->m);
    items = s->items;
    pkd_mutex_unlock(&s->m);
    if (items == 0)
      explore_yield();
  }
  woken =
      broadcasts ? pkd_cond_broadcast(&s->c) : (size_t)pkd_cond_signal(&s->c);
  explore_outcome((int)woken);
  if (woken == 0)
    s->c = (pkd_cond_t){0};
}

static void reused(int broadcasts) {
  start();
  explore_spawn(waits_in_time, NULL);
  explore_spawn(reuses, broadcasts ? s : NULL);
  finish();
}

const explore_scenario_t explore_cond[] = {
    {"cond/signal", two, 0, OK, 0, {.preemptions = 4, .stale = 1}},
    {"cond/late-signal", two, 1, OK, 0, {.preemptions = 4, .stale = 1}},
    {"cond/spurious", two, 0, OK, 0, {.preemptions = 3, .spurious = 2}},
    {"cond/two-consumers", two_consumers, 0, OK, 0, NARROW},
    {"cond/two-consumers-late-signal", two_consumers, 1, OK, 0, NARROW},
    {"cond/broadcast", two_called, 0, OK, 0, {.preemptions = 3}},
    {"cond/broadcast-stale", two_called, 0, OK, 0, WIDE},
    {"cond/late-broadcast", two_called, 1, OK, 0, {.preemptions = 3}},
    {"cond/late-broadcast-stale", two_called, 1, OK, 0, WIDE},
    {"cond/timed",
     one_in_time,
     0,
     OK,
     7,
     {.preemptions = 3, .stale = 1, .timeouts = 2}},
    {"cond/timed-late-signal",
     one_in_time,
     1,
     OK,
     7,
     {.preemptions = 3, .stale = 1, .timeouts = 2}},
    {"cond/one-leaves", one_leaves, 0, OK, 7, LATE_NARROW},
    {"cond/one-leaves-late-signal", one_leaves, 1, OK, 7, LATE_NARROW},
    {"cond/busy-mutex", busy_mutex, 0, OK, 7, LATE_NARROW},
    {"cond/busy-mutex-and-second",
     busy_mutex,
     1,
     OK,
     7,
     {.preemptions = 1, .timeouts = 1}},
    {"cond/due", two_called, 1, OK, 0, {.preemptions = 2, .jumps = 1}},
    {"cond/freed-after-broadcast",
     freed_after_broadcast,
     0,
     OK,
     1,
     {.preemptions = 3}},
    {"cond/freed-after-broadcast-timed", freed_after_broadcast, 1, OK, 3,
     LATE_NARROW},
    {"cond/freed-after-signal", freed_after_signal, 0, OK, 3, LATE_WIDE},
    {"cond/reused-after-signal", reused, 0, OK, 3, LATE_WIDE},
    {"cond/reused-after-broadcast", reused, 1, OK, 3, LATE_WIDE},
    {.name = NULL},
};
