/* SPDX-License-Identifier: MIT
 *
 * test_keys.c - a process that has used up the keys by which a thread is told that
 * it ends.
 *
 * Two things need one: the handle of a thread, by which it is parked and unparked,
 * and the watch for deadlocks. Both say that they are not there; no lock needs a
 * key, and all go on as ever. */
#include "sync/watched.h"

#include <parkade/thread.h>

#include <errno.h>

static int use_up_the_keys(void** state) {
  pthread_key_t key;
  int count = 0;

  (void)state;
  while (pthread_key_create(&key, NULL) == 0)
    count++;
  return count == 0;
}

static void a_thread_has_no_handle(void** state) {
  pkd_thread_t self = pkd_thread_self();

  (void)state;
  assert_null(self.place);
  assert_int_equal(pkd_thread_unpark(self), -ESRCH);
  assert_int_equal(pkd_thread_park(0), -ESRCH);
  assert_int_equal(pkd_thread_park_cancellable(&stop, PKD_FOREVER), -ESRCH);
}

/* Two orders that contradict each other. */
static void what_the_watch_does_not_see_is_counted(void** state) {
  size_t before = pkd_deadlock_missed();
  pkd_mutex_t a = PKD_MUTEX_INIT, b = PKD_MUTEX_INIT;

  (void)state;
  PKD_WITH_MUTEX(&a) {
    PKD_WITH_MUTEX(&b) {}
  }
  PKD_WITH_MUTEX(&b) {
    PKD_WITH_MUTEX(&a) {}
  }
  assert_true(pkd_deadlock_missed() >= before + 4);
  assert_verdict(0, 0);
}

static int rest_all_the_same(void** state) {
  (void)state;
  pkd_deadlock_watch(0);
  return 0;
}

static pkd_mutex_t mutex;
static long sections; /* under it */

static void lock_often(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  for (int i = 0; i < ROUNDS(20000); i++)
    PKD_WITH_MUTEX(&mutex) {
      sections++;
    }
}

static void locks_go_on_as_ever(void** state) {
  (void)state;
  team_run(4, lock_often, NULL);
  assert_int_equal(sections, 4 * ROUNDS(20000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_has_no_handle),
      cmocka_unit_test_setup_teardown(what_the_watch_does_not_see_is_counted,
                                      watch, rest_all_the_same),
      cmocka_unit_test(locks_go_on_as_ever),
  };
  return cmocka_run_group_tests_name("keys", tests, use_up_the_keys, NULL);
}
