/* SPDX-License-Identifier: MIT
 *
 * test_word_once.c - walks the rows of the picture in src/word/once.h: every
 * legal byte, and every exit it gives it. */
#include "word/once.h"

#include "support/test.h"

/* The byte as the picture writes it: D P R. */
#define WORD(d, p, r)                                                          \
  ((uint8_t)((d)*PKD__ONCE_DONE + (p)*PKD__ONCE_PARKED + (r)*PKD__ONCE_RUNNING))

enum { FAILURE = false, SUCCESS = true };
enum { NO_MORE = false, MORE = true };

static void the_bits_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_int_equal(WORD(1, 0, 0), 4); /* ABI: pkd_once_is_done knows it */
  assert_int_equal(WORD(0, 1, 0), 2);
  assert_int_equal(WORD(0, 0, 1), 1);
}

static void row_000_new(void** state) {
  (void)state;
  assert_false(pkd__once_is_done(WORD(0, 0, 0)));
  assert_false(pkd__once_is_running(WORD(0, 0, 0)));
  assert_int_equal(pkd__once_started(WORD(0, 0, 0)), WORD(0, 0, 1));
}

static void row_001_running(void** state) {
  (void)state;
  assert_false(pkd__once_is_done(WORD(0, 0, 1)));
  assert_true(pkd__once_is_running(WORD(0, 0, 1)));
  assert_false(pkd__once_is_waited(WORD(0, 0, 1)));
  assert_int_equal(pkd__once_ended(SUCCESS, NO_MORE), WORD(1, 0, 0));
  assert_int_equal(pkd__once_ended(FAILURE, NO_MORE), WORD(0, 0, 0));
  assert_int_equal(pkd__once_waited(WORD(0, 0, 1)), WORD(0, 1, 1));
}

static void row_011_running_with_a_queue(void** state) {
  (void)state;
  assert_true(pkd__once_is_running(WORD(0, 1, 1)));
  assert_true(pkd__once_is_waited(WORD(0, 1, 1)));
  assert_int_equal(pkd__once_waited(WORD(0, 1, 1)), WORD(0, 1, 1));
  assert_int_equal(pkd__once_ended(FAILURE, MORE), WORD(0, 1, 0));
  assert_int_equal(pkd__once_unwaited(WORD(0, 1, 1)), WORD(0, 0, 1));
}

static void row_010_failed_with_a_queue(void** state) {
  (void)state;
  assert_false(pkd__once_is_done(WORD(0, 1, 0)));
  assert_false(pkd__once_is_running(WORD(0, 1, 0)));
  assert_int_equal(pkd__once_started(WORD(0, 1, 0)), WORD(0, 1, 1));
  assert_int_equal(pkd__once_unwaited(WORD(0, 1, 0)), WORD(0, 0, 0));
}

static void row_100_done(void** state) {
  (void)state;
  assert_true(pkd__once_is_done(WORD(1, 0, 0)));
  assert_false(pkd__once_is_running(WORD(1, 0, 0)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bits_stand_where_the_picture_says),
      cmocka_unit_test(row_000_new),
      cmocka_unit_test(row_001_running),
      cmocka_unit_test(row_011_running_with_a_queue),
      cmocka_unit_test(row_010_failed_with_a_queue),
      cmocka_unit_test(row_100_done),
  };
  return cmocka_run_group_tests_name("the once's byte", tests, NULL, NULL);
}
