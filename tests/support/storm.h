/* SPDX-License-Identifier: MIT
 *
 * storm.h - a storm of signals over a waiter of each kind.
 *
 * Each waits twice: with a deadline, in vain, and then for ever. The handler does
 * nothing and SA_RESTART is off, so each signal ends the system call in which the
 * waiter sleeps. None may return early, and none without what it waits for. */
#ifndef PKD_TEST_STORM_H
#define PKD_TEST_STORM_H

#include <parkade/lot.h>

#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

/** A way to wait. Those who wait at one key stand together in their table. */
struct storm_kind {
  int (*wait)(pkd_deadline_t end); /* 0, or the code of a deadline */
  const void* key;                 /* NULL: a place of the thread's own */
};

struct storm_waiter {
  const struct storm_kind* kind;
  pkd_deadline_t end;
  pthread_t thread;
  int timed;
  pkd_deadline_t timed_at;
  int untimed;
};

static unsigned storm_in_second; /* atomic: waits for ever that have begun */

static inline void* storm_wait_twice(void* arg) {
  struct storm_waiter* w = arg;

  w->timed = w->kind->wait(w->end);
  w->timed_at = pkd_now();
  __atomic_add_fetch(&storm_in_second, 1, __ATOMIC_ACQ_REL);
  w->untimed = w->kind->wait(PKD_FOREVER);
  return NULL;
}

static inline void storm_do_nothing(int number) {
  (void)number;
}

static inline void storm_rage(const struct storm_waiter* waiters, size_t count,
                              pkd_deadline_t until) {
  while (pkd_now() < until) {
    struct timespec pause = {0, 50000};

    for (size_t i = 0; i < count; i++)
      pthread_kill(waiters[i].thread, SIGUSR1);
    nanosleep(&pause, NULL);
  }
}

/* Everybody is in the second wait and, as far as it can be seen, asleep. */
static inline bool storm_all_wait(const struct storm_kind* kinds,
                                  size_t count) {
  size_t asleep = 0;

  if (__atomic_load_n(&storm_in_second, __ATOMIC_ACQUIRE) != count)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (kinds[i].key == NULL)
      asleep++;
    else if (i == 0 || kinds[i].key != kinds[i - 1].key)
      asleep += pkd_lot_for_each(kinds[i].key, NULL, NULL);
  }
  return asleep == count;
}

/** Lets a waiter of each kind wait twice in a storm.
 *
 * @param count  how many kinds; at most 32
 * @param late   what a wait returns when its deadline has passed
 * @param give   gives everybody what they wait for */
static inline void storm_over(const struct storm_kind* kinds, size_t count,
                              int late, void (*give)(void)) {
  const uint64_t ms = 1000000;
  struct storm_waiter waiters[32];
  struct sigaction quiet;
  pkd_deadline_t end = pkd_after(100 * ms);

  memset(&quiet, 0, sizeof quiet);
  memset(waiters, 0, sizeof waiters);
  quiet.sa_handler = storm_do_nothing;
  sigaction(SIGUSR1, &quiet, NULL);
  __atomic_store_n(&storm_in_second, 0, __ATOMIC_RELEASE);
  for (size_t i = 0; i < count; i++) {
    waiters[i].kind = &kinds[i];
    waiters[i].end = end;
    assert_int_equal(
        pthread_create(&waiters[i].thread, NULL, storm_wait_twice, &waiters[i]),
        0);
  }
  storm_rage(waiters, count, end + 50 * ms);
  WAIT_FOR(storm_all_wait(kinds, count));
  storm_rage(waiters, count, pkd_after(50 * ms));
  assert_true(storm_all_wait(kinds, count));
  give();
  for (size_t i = 0; i < count; i++)
    pthread_join(waiters[i].thread, NULL);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(waiters[i].timed, late);
    assert_true(waiters[i].timed_at >= end);
    assert_int_equal(waiters[i].untimed, 0);
  }
}

#endif
