/* SPDX-License-Identifier: MIT
 *
 * test_word_event.c - each row of the picture in src/word/event.h. */
#include <support/test.h>

#include "word/event.h"

#define WORD(automatic, waiters, set)                                          \
  ((uint32_t)((automatic)*4 + (waiters)*2 + (set)))
#define WOKEN true
#define MORE true

static void the_bits_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_true(pkd__event_is_set(1) && !pkd__event_is_set(6));
  assert_true(pkd__event_has_waiters(2) && !pkd__event_has_waiters(5));
  assert_true(pkd__event_is_auto(4) && !pkd__event_is_auto(3));
}

static void a_manual_event_stays_set(void** state) {
  (void)state;
  assert_int_equal(pkd__event_passed(WORD(0, 0, 1)), WORD(0, 0, 1));
  assert_int_equal(pkd__event_cleared(WORD(0, 0, 1)), WORD(0, 0, 0));
  assert_int_equal(pkd__event_happened(WORD(0, 1, 0), WOKEN, !MORE),
                   WORD(0, 0, 1));
  assert_int_equal(pkd__event_happened(WORD(0, 1, 0), !WOKEN, !MORE),
                   WORD(0, 0, 1));
}

static void an_automatic_event_is_used_up_by_one(void** state) {
  (void)state;
  assert_int_equal(pkd__event_passed(WORD(1, 0, 1)), WORD(1, 0, 0));
  assert_int_equal(pkd__event_happened(WORD(1, 1, 0), WOKEN, MORE),
                   WORD(1, 1, 0));
  assert_int_equal(pkd__event_happened(WORD(1, 1, 0), WOKEN, !MORE),
                   WORD(1, 0, 0));
  assert_int_equal(pkd__event_happened(WORD(1, 1, 0), !WOKEN, !MORE),
                   WORD(1, 0, 1));
}

static void a_waiter_shows_in_the_word_while_it_is_queued(void** state) {
  (void)state;
  assert_int_equal(pkd__event_queued(WORD(0, 0, 0)), WORD(0, 1, 0));
  assert_int_equal(pkd__event_queued(WORD(1, 0, 0)), WORD(1, 1, 0));
  assert_int_equal(pkd__event_unqueued(WORD(1, 1, 0)), WORD(1, 0, 0));
}

static void what_a_fork_left_behind_is_cleaned_by_the_next_set(void** state) {
  (void)state;
  assert_int_equal(pkd__event_happened(WORD(0, 1, 1), !WOKEN, !MORE),
                   WORD(0, 0, 1));
  assert_int_equal(pkd__event_happened(WORD(1, 1, 1), !WOKEN, !MORE),
                   WORD(1, 0, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bits_stand_where_the_picture_says),
      cmocka_unit_test(a_manual_event_stays_set),
      cmocka_unit_test(an_automatic_event_is_used_up_by_one),
      cmocka_unit_test(a_waiter_shows_in_the_word_while_it_is_queued),
      cmocka_unit_test(what_a_fork_left_behind_is_cleaned_by_the_next_set),
  };
  return cmocka_run_group_tests_name("word/event", tests, NULL, NULL);
}
