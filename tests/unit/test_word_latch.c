/* SPDX-License-Identifier: MIT
 *
 * test_word_latch.c - each row of the picture in src/word/latch.h. */
#include <support/test.h>

#include "word/latch.h"

#define WORD(left, waiters) ((uint32_t)(left)*2 + (waiters))

static void zeroed_memory_is_open(void** state) {
  (void)state;
  assert_true(pkd__latch_is_open(0));
  assert_false(pkd__latch_is_open(WORD(1, 0)));
  assert_false(pkd__latch_is_open(WORD(1, 1)));
}

static void a_count_that_leaves_some_keeps_the_queue(void** state) {
  (void)state;
  assert_int_equal(pkd__latch_counted(WORD(3, 0), 2), WORD(1, 0));
  assert_int_equal(pkd__latch_counted(WORD(3, 1), 2), WORD(1, 1));
  assert_false(pkd__latch_lets_go(WORD(3, 1), 2));
}

static void
only_the_last_count_with_a_queue_goes_through_the_lot(void** state) {
  (void)state;
  assert_true(pkd__latch_lets_go(WORD(3, 1), 3));
  assert_false(pkd__latch_lets_go(WORD(3, 0), 3));
  assert_int_equal(pkd__latch_counted(WORD(3, 0), 3), WORD(0, 0));
}

static void a_waiter_shows_in_the_word_while_it_is_queued(void** state) {
  (void)state;
  assert_int_equal(pkd__latch_queued(WORD(2, 0)), WORD(2, 1));
  assert_int_equal(pkd__latch_unqueued(WORD(2, 1)), WORD(2, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zeroed_memory_is_open),
      cmocka_unit_test(a_count_that_leaves_some_keeps_the_queue),
      cmocka_unit_test(only_the_last_count_with_a_queue_goes_through_the_lot),
      cmocka_unit_test(a_waiter_shows_in_the_word_while_it_is_queued),
  };
  return cmocka_run_group_tests_name("word/latch", tests, NULL, NULL);
}
