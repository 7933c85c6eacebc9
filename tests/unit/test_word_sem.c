/* SPDX-License-Identifier: MIT
 *
 * test_word_sem.c - each row of the picture in src/word/sem.h. */
#include <support/test.h>

#include "word/sem.h"

#define WORD(permits, waiters) ((uint32_t)(permits)*2 + (waiters))

static void zeroed_memory_has_no_permits_and_nobody_waits(void** state) {
  (void)state;
  assert_int_equal(pkd__sem_permits(0), 0);
  assert_false(pkd__sem_has_waiters(0));
  assert_false(pkd__sem_has(0, 1));
}

static void with_nobody_waiting_a_newcomer_takes_what_is_there(void** state) {
  (void)state;
  assert_true(pkd__sem_has(WORD(3, 0), 3));
  assert_false(pkd__sem_has(WORD(3, 0), 4));
  assert_int_equal(pkd__sem_taken(WORD(3, 0), 3), WORD(0, 0));
  assert_int_equal(pkd__sem_taken(WORD(3, 0), 1), WORD(2, 0));
  assert_int_equal(pkd__sem_queued(WORD(3, 0)), WORD(3, 1));
}

static void with_waiters_a_newcomer_takes_nothing(void** state) {
  (void)state;
  assert_true(pkd__sem_has_waiters(WORD(3, 1)));
  assert_false(pkd__sem_has(WORD(3, 1), 1));
  assert_int_equal(pkd__sem_queued(WORD(3, 1)), WORD(3, 1));
}

static void settling_adds_serves_and_tells_who_is_left(void** state) {
  (void)state;
  assert_int_equal(pkd__sem_settled(WORD(3, 1), 4, 5, true), WORD(2, 1));
  assert_int_equal(pkd__sem_settled(WORD(3, 1), 4, 7, false), WORD(0, 0));
  assert_int_equal(pkd__sem_settled(WORD(3, 1), 0, 0, false), WORD(3, 0));
}

static void the_count_stops_at_its_limit(void** state) {
  (void)state;
  assert_false(pkd__sem_overflows(WORD(PKD__SEM_LIMIT - 1, 1), 1));
  assert_true(pkd__sem_overflows(WORD(PKD__SEM_LIMIT, 0), 1));
  assert_true(pkd__sem_overflows(WORD(1, 0), PKD__SEM_LIMIT));
  assert_false(pkd__sem_overflows(WORD(0, 1), PKD__SEM_LIMIT));
  assert_int_equal(pkd__sem_settled(0, PKD__SEM_LIMIT, 0, true), UINT32_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zeroed_memory_has_no_permits_and_nobody_waits),
      cmocka_unit_test(with_nobody_waiting_a_newcomer_takes_what_is_there),
      cmocka_unit_test(with_waiters_a_newcomer_takes_nothing),
      cmocka_unit_test(settling_adds_serves_and_tells_who_is_left),
      cmocka_unit_test(the_count_stops_at_its_limit),
  };
  return cmocka_run_group_tests_name("word/sem", tests, NULL, NULL);
}
