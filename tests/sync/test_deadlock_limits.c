/* SPDX-License-Identifier: MIT
 *
 * test_deadlock_limits.c - more than the watch has room for: it counts what it
 * missed, reports nothing that is not so, and goes on with what fits. */
#include "watched.h"

enum { MANY = 4200, HOLDS = 60, SEMS = 300, RING = 20 };

static pkd_mutex_t many[MANY];
static pkd_mutex_t a, b;

static void nest(pkd_mutex_t* outer, pkd_mutex_t* inner) {
  pkd_mutex_lock(outer);
  pkd_mutex_lock(inner);
  pkd_mutex_unlock(inner);
  pkd_mutex_unlock(outer);
}

/* The others miss nothing, see rest(). */
static int rest_all_the_same(void** state) {
  (void)state;
  pkd_deadlock_watch(0);
  return 0;
}

static void more_locks_than_it_remembers_are_counted(void** state) {
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < MANY; i++)
    nest(&a, &many[i]);
  assert_true(pkd_deadlock_missed() > before);
  assert_verdict(0, 0);
  pkd_deadlock_forget(many, sizeof many); /* makes room again */
  nest(&a, &b);
  nest(&b, &a);
  assert_verdict(0, 1);
}

static void more_locks_than_a_thread_may_hold_are_counted(void** state) {
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < HOLDS; i++)
    pkd_mutex_lock(&many[i]);
  for (int i = 0; i < HOLDS; i++)
    pkd_mutex_unlock(&many[i]);
  assert_true(pkd_deadlock_missed() > before);
  assert_verdict(0, 0);
}

static void more_semaphores_than_it_remembers_are_counted(void** state) {
  static pkd_sem_t sems[SEMS];
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < SEMS; i++)
    pkd_sem_release(&sems[i], 1);
  assert_true(pkd_deadlock_missed() > before);
  assert_verdict(0, 0);
}

static void a_ring_longer_than_a_report_is_not_told(void** state) {
  (void)state;
  for (int i = 0; i < RING; i++)
    nest(&many[i], &many[(i + 1) % RING]);
  assert_verdict(0, 0);
  for (int i = 0; i < 10; i++) /* a shorter one is */
    nest(&many[RING + i], &many[RING + (i + 1) % 10]);
  assert_verdict(0, 1);
  assert_int_equal(last_count, 10);
}

static void read_again(void) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  pkd_deadlock_watch(0);
  pkd_deadlock_on_report(NULL, NULL);
  pkd_deadlock_watch(1);
  PKD_WITH_RDLOCK(&l) {
    PKD_WITH_RDLOCK(&l) {}
  }
  abort(); /* the program went on as far as here */
}

static void a_read_within_a_read_is_told_in_words(void** state) {
  char words[8192];

  (void)state;
  assert_int_equal(last_words(read_again, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "a read within a read"));
}

#define LIMIT(test)                                                            \
  cmocka_unit_test_setup_teardown(test, watch, rest_all_the_same)

int main(void) {
  const struct CMUnitTest tests[] = {
      LIMIT(more_locks_than_it_remembers_are_counted),
      LIMIT(more_locks_than_a_thread_may_hold_are_counted),
      LIMIT(more_semaphores_than_it_remembers_are_counted),
      LIMIT(a_ring_longer_than_a_report_is_not_told),
      LIMIT(a_read_within_a_read_is_told_in_words),
  };
  return cmocka_run_group_tests_name("deadlock_limits", tests, NULL, NULL);
}
