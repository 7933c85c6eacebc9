/* SPDX-License-Identifier: MIT
 *
 * test_restart.c - a number of signals for every call that waits, with SA_RESTART
 * and without: none ends the wait. (How deadlines fare under a storm, and what
 * waiting costs, is in sync/test_signals.c and async/test_async_signals.c.) */
#include "waits.h"

#include <signal.h>

enum { KINDS_MAX = 32, SIGNALS = 300 /* for each waiter */ };

static int handled; /* atomic */

static void count_signal(int number) {
  (void)number;
  __atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void handle_signals(int flags) {
  struct sigaction action;

  memset(&action, 0, sizeof action);
  action.sa_handler = count_signal;
  action.sa_flags = flags;
  sigaction(SIGUSR1, &action, NULL);
  handled = 0;
}

/* Signals for all, until so many were handled in all. */
static void storm(struct waiting* waiting, int least) {
  while (__atomic_load_n(&handled, __ATOMIC_RELAXED) < least) {
    for (size_t i = 0; i < wait_kind_count; i++)
      pthread_kill(waiting[i].thread, SIGUSR1);
    pause_us(50);
  }
}

static size_t ended(const struct waiting* waiting) {
  size_t n = 0;

  for (size_t i = 0; i < wait_kind_count; i++)
    n += __atomic_load_n(&waiting[i].ended, __ATOMIC_ACQUIRE) != 0;
  return n;
}

static void start_all(struct waiting* waiting, pkd_deadline_t deadline) {
  assert_true(wait_kind_count <= KINDS_MAX);
  for (size_t i = 0; i < wait_kind_count; i++) {
    wait_kinds[i].take();
    start_waiting(&waiting[i], &wait_kinds[i], deadline);
  }
}

static void signals_end_no_wait(int flags) {
  struct waiting waiting[KINDS_MAX];

  if (PKD_TEST_SLOW)
    skip(); /* ThreadSanitizer keeps a signal back while its thread sleeps */
  handle_signals(flags);
  start_all(waiting, PKD_FOREVER);
  storm(waiting, SIGNALS * (int)wait_kind_count);
  assert_int_equal(ended(waiting), 0);
  for (size_t i = 0; i < wait_kind_count; i++)
    wait_kinds[i].give();
  for (size_t i = 0; i < wait_kind_count; i++)
    if (join_waiting(&waiting[i]) != 0)
      fail_msg("%s: %d", wait_kinds[i].name, waiting[i].rc);
  all_is_as_it_was();
}

static void signals_that_interrupt_end_no_wait(void** state) {
  (void)state;
  signals_end_no_wait(0);
}

static void signals_that_restart_end_no_wait(void** state) {
  (void)state;
  signals_end_no_wait(SA_RESTART);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signals_that_interrupt_end_no_wait),
      cmocka_unit_test(signals_that_restart_end_no_wait),
  };
  return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
