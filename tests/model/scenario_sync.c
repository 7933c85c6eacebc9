/* SPDX-License-Identifier: MIT
 *
 * scenario_sync.c - events, latches, onces and barriers under exploration.
 *
 * Plain data beside each primitive is written before and read after what it
 * orders, so a missing order is a data race; whoever waits for ever is a
 * deadlock; and where memory may be freed early, it is. */
#include "scenario.h"

#include <parkade/barrier.h>
#include <parkade/event.h>
#include <parkade/latch.h>
#include <parkade/once.h>

#include <errno.h>

typedef struct shared {
  pkd_event_t event;
  pkd_latch_t latch;
  pkd_once_t once;
  pkd_barrier_t barrier;
  int data;
  int passed[8];
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->event, sizeof s->event, "event");
  explore_name(&s->latch, sizeof s->latch, "latch");
  explore_name(&s->once, sizeof s->once, "once");
  explore_name(&s->barrier, sizeof s->barrier, "barrier");
  explore_name(&s->data, sizeof s->data, "data");
}

static void pass(void) {
  s->passed[explore_self()]++;
}

static int passed(void) {
  int sum = 0;

  for (int i = 0; i < 8; i++)
    sum += s->passed[i];
  return sum;
}

static void spawn(void (*entry)(void* arg), int count) {
  for (int i = 0; i < count; i++)
    explore_spawn(entry, NULL);
}

/* --- events -------------------------------------------------------------- */

static void waits_event(void* arg) {
  (void)arg;
  pkd_event_wait(&s->event);
  explore_assert(s->data == 1);
  pass();
}

static void waits_event_timed(void* arg) {
  int rc = pkd_event_wait_until(&s->event, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == -ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    explore_assert(s->data == 1);
  if (rc == 0)
    pass();
}

static void sets_event(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_event_set(&s->event);
}

static void event(int waiters) {
  start();
  spawn(waits_event, waiters);
  spawn(sets_event, 1);
  explore_join();
  explore_assert(passed() == waiters);
  scenario_nobody_at(&s->event);
}

static void event_timed(int automatic) {
  start();
  if (automatic)
    s->event = (pkd_event_t)PKD_EVENT_AUTO_INIT;
  spawn(waits_event_timed, 2);
  spawn(sets_event, 1);
  explore_join();
  if (automatic)
    explore_assert(passed() == !pkd_event_is_set(&s->event));
  scenario_nobody_at(&s->event);
}

/* One bell, two waiters, two rings: each ring lets one pass, or is coalesced
 * with the other while nobody took it; then one more is rung for the second. */
static void rings(void* arg) {
  (void)arg;
  pkd_event_set(&s->event);
}

static void hears(void* arg) {
  (void)arg;
  pkd_event_wait(&s->event);
  pass();
  if (arg == NULL)
    pkd_event_set(&s->event);
}

static void automatic(int unused) {
  (void)unused;
  start();
  s->event = (pkd_event_t)PKD_EVENT_AUTO_INIT;
  spawn(hears, 2);
  spawn(rings, 1);
  explore_join();
  explore_assert(passed() == 2);
  scenario_nobody_at(&s->event);
}

static void resets_event(void* arg) {
  (void)arg;
  pkd_event_reset(&s->event);
}

static void event_reset(int unused) {
  (void)unused;
  start();
  spawn(waits_event_timed, 1);
  spawn(sets_event, 1);
  spawn(resets_event, 1);
  explore_join();
  scenario_nobody_at(&s->event);
}

/* The waiter frees the event while the set that woke it still returns. */
static pkd_event_t* short_event;

static void waits_and_frees(void* arg) {
  (void)arg;
  pkd_event_wait(short_event);
  explore_free(short_event);
}

static void sets_short(void* arg) {
  (void)arg;
  pkd_event_set(short_event);
}

static void event_freed(int with_auto) {
  start();
  short_event = explore_need(sizeof *short_event);
  explore_name(short_event, sizeof *short_event, "event");
  if (with_auto)
    *short_event = (pkd_event_t)PKD_EVENT_AUTO_INIT;
  spawn(waits_and_frees, 1);
  spawn(sets_short, 1);
  explore_join();
  scenario_nobody_at(short_event);
}

/* --- latches ------------------------------------------------------------- */

static void counts_down(void* arg) {
  (void)arg;
  s->passed[explore_self()] = 1;
  pkd_latch_count_down(&s->latch, 1);
}

static void waits_latch(void* arg) {
  (void)arg;
  pkd_latch_wait(&s->latch);
  explore_assert(s->passed[1] == 1 && s->passed[2] == 1);
}

static void waits_latch_timed(void* arg) {
  int rc = pkd_latch_wait_until(&s->latch, SOON);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    explore_assert(s->passed[1] == 1 && s->passed[2] == 1);
}

static void tries_latch(void* arg) {
  (void)arg;
  if (pkd_latch_trywait(&s->latch) == 0)
    explore_assert(s->passed[1] == 1 && s->passed[2] == 1);
}

static void latch(int kind) {
  static void (*const waiter[])(void*) = {waits_latch, waits_latch_timed,
                                          tries_latch};

  start();
  s->latch = (pkd_latch_t)PKD_LATCH_INIT(2);
  spawn(counts_down, 2);
  spawn(waiter[kind], 1);
  explore_join();
  explore_assert(pkd_latch_count(&s->latch) == 0);
  scenario_nobody_at(&s->latch);
}

/* Who comes when it was opened for others sees as much as they. */
static void latch_waited_and_tried(int unused) {
  (void)unused;
  start();
  s->latch = (pkd_latch_t)PKD_LATCH_INIT(2);
  spawn(counts_down, 2);
  spawn(waits_latch, 1);
  spawn(tries_latch, 1);
  explore_join();
  scenario_nobody_at(&s->latch);
}

static pkd_latch_t* short_latch;

static void arrives_and_frees(void* arg) {
  (void)arg;
  pkd_latch_wait(short_latch);
  explore_free(short_latch);
}

static void arrives(void* arg) {
  (void)arg;
  pkd_latch_count_down(short_latch, 1);
}

static void latch_freed(int unused) {
  (void)unused;
  start();
  short_latch = explore_need(sizeof *short_latch);
  explore_name(short_latch, sizeof *short_latch, "latch");
  *short_latch = (pkd_latch_t)PKD_LATCH_INIT(2);
  spawn(arrives_and_frees, 1);
  spawn(arrives, 2);
  explore_join();
  scenario_nobody_at(short_latch);
}

/* --- onces --------------------------------------------------------------- */

static void initialize(void) {
  s->data++;
}

static void calls_once(void* arg) {
  (void)arg;
  pkd_once_call(&s->once, initialize);
  explore_assert(s->data == 1);
}

static int fail_first(void* arg) {
  (void)arg;
  return ++s->data == 1 ? -EIO : 0;
}

static void tries_once(void* arg) {
  int rc = pkd_once_try(&s->once, fail_first, NULL);

  (void)arg;
  explore_assert(rc == 0 || rc == -EIO);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    explore_assert(s->data == 2);
}

static void tries_once_timed(void* arg) {
  int rc = pkd_once_try_cancellable(&s->once, fail_first, NULL, NULL, SOON);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : rc == -EIO ? 1 : 2);
  if (rc == 0)
    explore_assert(s->data == 2);
}

static void once(int threads) {
  start();
  spawn(calls_once, threads);
  explore_join();
  scenario_nobody_at(&s->once);
}

static void once_fails(int timed) {
  start();
  spawn(tries_once, 2);
  spawn(timed ? tries_once_timed : tries_once, 1);
  explore_join();
  scenario_nobody_at(&s->once);
}

/* --- barriers ------------------------------------------------------------ */

static void meets(void* arg) {
  int rc;

  (void)arg;
  s->passed[explore_self()] = 1;
  rc = pkd_barrier_wait(&s->barrier);
  explore_assert(rc == 0 || rc == 1);
  explore_assert(passed() == s->data);
}

static void barrier(int threads) {
  start();
  s->data = threads;
  pkd_barrier_init(&s->barrier, (uint32_t)threads);
  spawn(meets, threads);
  explore_join();
  scenario_nobody_at(&s->barrier);
}

static void meets_twice(void* arg) {
  int serial;

  (void)arg;
  serial = pkd_barrier_wait(&s->barrier);
  if (serial == 1)
    s->data++;
  serial = pkd_barrier_wait(&s->barrier);
  if (serial == 1)
    s->data++;
}

static void barrier_twice(int unused) {
  (void)unused;
  start();
  pkd_barrier_init(&s->barrier, 2);
  spawn(meets_twice, 2);
  explore_join();
  explore_assert(s->data == 2);
  scenario_nobody_at(&s->barrier);
}

static void meets_in_time(void* arg) {
  int rc = pkd_barrier_wait_until(&s->barrier, SOON);

  (void)arg;
  explore_outcome(rc >= 0 ? 0 : 1);
  if (rc >= 0)
    pass();
}

static void barrier_timed(int unused) {
  (void)unused;
  start();
  pkd_barrier_init(&s->barrier, 2);
  spawn(meets_in_time, 3);
  explore_join();
  explore_assert(passed() == 0 || passed() == 2);
  scenario_nobody_at(&s->barrier);
}

static pkd_barrier_t* short_barrier;

static void meets_and_frees(void* arg) {
  (void)arg;
  if (pkd_barrier_wait(short_barrier) == 0)
    explore_free(short_barrier);
}

static void barrier_freed(int unused) {
  (void)unused;
  start();
  short_barrier = explore_need(sizeof *short_barrier);
  explore_name(short_barrier, sizeof *short_barrier, "barrier");
  pkd_barrier_init(short_barrier, 2);
  spawn(meets_and_frees, 2);
  explore_join();
  scenario_nobody_at(short_barrier);
}

const explore_scenario_t explore_sync[] = {
    {"sync/event", event, 1, OK, 0, DEEP},
    {"sync/event-of-three", event, 2, OK, 0, DEEP},
    {"sync/event-timed", event_timed, 0, OK, 3, LATE_NARROW},
    {"sync/event-reset", event_reset, 0, OK, 3, LATE_DEEP},
    {"sync/event-freed", event_freed, 0, OK, 0, DEEP},
    {"sync/auto-event", automatic, 0, OK, 0, DEEP},
    {"sync/auto-event-timed", event_timed, 1, OK, 3, LATE_NARROW},
    {"sync/auto-event-freed", event_freed, 1, OK, 0, DEEP},
    {"sync/latch", latch, 0, OK, 0, DEEP},
    {"sync/latch-timed", latch, 1, OK, 3, LATE_DEEP},
    {"sync/latch-try", latch, 2, OK, 0, DEEP},
    {"sync/latch-waited-and-tried", latch_waited_and_tried, 0, OK, 0, NARROW},
    {"sync/latch-freed", latch_freed, 0, OK, 0, DEEP},
    {"sync/once", once, 2, OK, 0, DEEP},
    {"sync/once-of-three", once, 3, OK, 0, WIDE},
    {"sync/once-fails", once_fails, 0, OK, 3, WIDE},
    {"sync/once-fails-timed", once_fails, 1, OK, 7, LATE_NARROW},
    {"sync/barrier", barrier, 2, OK, 0, DEEP},
    {"sync/barrier-of-three", barrier, 3, OK, 0, DEEP},
    {"sync/barrier-twice", barrier_twice, 0, OK, 0, DEEP},
    {"sync/barrier-timed", barrier_timed, 0, OK, 3, LATE_NARROW},
    {"sync/barrier-freed", barrier_freed, 0, OK, 0, DEEP},
    {.name = NULL},
};
