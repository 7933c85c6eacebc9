/* SPDX-License-Identifier: MIT
 *
 * test_word_mutex.c - walks the rows of the picture in src/word/mutex.h: every
 * legal byte, and every exit that the picture gives it. */
#include "word/mutex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The byte as the picture writes it: W P L. */
#define WORD(w, p, l)                                                          \
  ((uint8_t)((w)*PKD__MUTEX_WAKING + (p)*PKD__MUTEX_PARKED +                   \
             (l)*PKD__MUTEX_LOCKED))

enum { NEWCOMER = false, WAKER = true };
enum { NOBODY = false, WOKE_ONE = true };
enum { NO_MORE = false, MORE = true };

static void the_bits_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_int_equal(WORD(0, 0, 1), 1); /* ABI: the inline fast path knows it */
  assert_int_equal(WORD(0, 1, 0), 2);
  assert_int_equal(WORD(1, 0, 0), 4);
}

static void row_000_free(void** state) {
  (void)state;
  assert_true(pkd__mutex_is_free(WORD(0, 0, 0)));
  assert_int_equal(pkd__mutex_taken(WORD(0, 0, 0), NEWCOMER), WORD(0, 0, 1));
  assert_false(pkd__mutex_may_sleep(WORD(0, 0, 0)));
}

static void row_001_held(void** state) {
  (void)state;
  assert_false(pkd__mutex_is_free(WORD(0, 0, 1)));
  assert_false(pkd__mutex_has_queue(WORD(0, 0, 1)));
  assert_false(pkd__mutex_has_waker(WORD(0, 0, 1)));
  assert_int_equal(pkd__mutex_released(WORD(0, 0, 1)), WORD(0, 0, 0));
  assert_int_equal(pkd__mutex_parked(WORD(0, 0, 1), NEWCOMER), WORD(0, 1, 1));
  /* not announced: the holder's unlock would not look for it */
  assert_false(pkd__mutex_may_sleep(WORD(0, 0, 1)));
}

static void row_010_free_and_someone_about_to_look_again(void** state) {
  (void)state;
  assert_true(pkd__mutex_is_free(WORD(0, 1, 0)));
  assert_int_equal(pkd__mutex_taken(WORD(0, 1, 0), NEWCOMER), WORD(0, 1, 1));
  assert_false(pkd__mutex_may_sleep(WORD(0, 1, 0)));
}

static void row_011_held_with_a_queue(void** state) {
  uint8_t held = WORD(0, 1, 1);

  (void)state;
  assert_false(pkd__mutex_is_free(held));
  assert_true(pkd__mutex_may_sleep(held));
  assert_true(pkd__mutex_has_queue(held));
  assert_false(pkd__mutex_has_waker(held));
  assert_int_equal(pkd__mutex_passed(held, WOKE_ONE, MORE), WORD(1, 1, 0));
  assert_int_equal(pkd__mutex_passed(held, WOKE_ONE, NO_MORE), WORD(1, 0, 0));
  assert_int_equal(pkd__mutex_passed(held, NOBODY, NO_MORE), WORD(0, 0, 0));
  /* handed over: the last of the queue got it, or the last one gave up */
  assert_int_equal(pkd__mutex_unparked(held), WORD(0, 0, 1));
}

static void row_100_free_and_one_on_its_way(void** state) {
  (void)state;
  assert_true(pkd__mutex_is_free(WORD(1, 0, 0)));
  assert_int_equal(pkd__mutex_taken(WORD(1, 0, 0), NEWCOMER), WORD(1, 0, 1));
  assert_int_equal(pkd__mutex_taken(WORD(1, 0, 0), WAKER), WORD(0, 0, 1));
  assert_false(pkd__mutex_may_sleep(WORD(1, 0, 0)));
}

static void row_101_held_and_one_on_its_way(void** state) {
  uint8_t held = WORD(1, 0, 1);

  (void)state;
  assert_false(pkd__mutex_has_queue(held));
  assert_true(pkd__mutex_has_waker(held));
  assert_int_equal(pkd__mutex_released(held), WORD(1, 0, 0));
  assert_int_equal(pkd__mutex_parked(held, WAKER), WORD(0, 1, 1));
  assert_int_equal(pkd__mutex_parked(held, NEWCOMER), WORD(1, 1, 1));
  assert_false(pkd__mutex_may_sleep(held));
}

static void row_110_free_with_a_queue_and_one_on_its_way(void** state) {
  (void)state;
  assert_true(pkd__mutex_is_free(WORD(1, 1, 0)));
  assert_int_equal(pkd__mutex_taken(WORD(1, 1, 0), NEWCOMER), WORD(1, 1, 1));
  assert_int_equal(pkd__mutex_taken(WORD(1, 1, 0), WAKER), WORD(0, 1, 1));
  assert_false(pkd__mutex_may_sleep(WORD(1, 1, 0)));
}

static void row_111_held_with_a_queue_and_one_on_its_way(void** state) {
  uint8_t held = WORD(1, 1, 1);

  (void)state;
  assert_true(pkd__mutex_may_sleep(held));
  assert_true(pkd__mutex_has_queue(held));
  assert_true(pkd__mutex_has_waker(held));
  assert_int_equal(pkd__mutex_released(held), WORD(1, 1, 0));
  assert_int_equal(pkd__mutex_parked(held, WAKER), WORD(0, 1, 1));
  assert_int_equal(pkd__mutex_hidden(held), WORD(0, 0, 0));
  assert_int_equal(pkd__mutex_unparked(held), WORD(1, 0, 1));
  assert_int_equal(pkd__mutex_passed(held, NOBODY, NO_MORE), WORD(1, 0, 0));
}

static void row_0xx_with_a_hidden_waker(void** state) {
  (void)state;
  /* it cannot know who queued before it was hidden */
  assert_int_equal(pkd__mutex_taken(WORD(0, 0, 0), WAKER), WORD(0, 1, 1));
  assert_int_equal(pkd__mutex_taken(WORD(0, 1, 0), WAKER), WORD(0, 1, 1));
  assert_int_equal(pkd__mutex_parked(WORD(0, 0, 1), WAKER), WORD(0, 1, 1));
}

/* What no row says, no function does. */
static void no_move_leaves_the_picture_or_clears_a_bit_of_others(void** state) {
  (void)state;
  for (unsigned word = 0; word < 8; word++) {
    uint8_t w = (uint8_t)word;
    uint8_t others = (uint8_t)(w & PKD__MUTEX_WAKING);

    assert_int_equal(pkd__mutex_taken(w, NEWCOMER), w | PKD__MUTEX_LOCKED);
    assert_int_equal(pkd__mutex_parked(w, NEWCOMER), w | PKD__MUTEX_PARKED);
    assert_int_equal(pkd__mutex_released(w), w & ~PKD__MUTEX_LOCKED);
    assert_int_equal(pkd__mutex_passed(w, NOBODY, MORE),
                     others | PKD__MUTEX_PARKED);
    assert_int_equal(pkd__mutex_taken(w, WAKER) & PKD__MUTEX_WAKING, 0);
    assert_int_equal(pkd__mutex_parked(w, WAKER) & PKD__MUTEX_WAKING, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bits_stand_where_the_picture_says),
      cmocka_unit_test(row_000_free),
      cmocka_unit_test(row_001_held),
      cmocka_unit_test(row_010_free_and_someone_about_to_look_again),
      cmocka_unit_test(row_011_held_with_a_queue),
      cmocka_unit_test(row_100_free_and_one_on_its_way),
      cmocka_unit_test(row_101_held_and_one_on_its_way),
      cmocka_unit_test(row_110_free_with_a_queue_and_one_on_its_way),
      cmocka_unit_test(row_111_held_with_a_queue_and_one_on_its_way),
      cmocka_unit_test(row_0xx_with_a_hidden_waker),
      cmocka_unit_test(no_move_leaves_the_picture_or_clears_a_bit_of_others),
  };
  return cmocka_run_group_tests_name("word/mutex", tests, NULL, NULL);
}
