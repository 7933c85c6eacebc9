/* SPDX-License-Identifier: MIT
 *
 * test_word_fair_mutex.c - walks the rows of the picture in
 * src/word/fair_mutex.h: every legal byte, and every exit it gives it. */
#include "word/fair_mutex.h"

#include "support/test.h"

/* The byte as the picture writes it: P L. */
#define WORD(p, l) ((uint8_t)((p)*PKD__FAIR_PARKED + (l)*PKD__FAIR_LOCKED))

static void the_bits_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_int_equal(WORD(0, 1), 1); /* ABI: the inline fast path knows it */
  assert_int_equal(WORD(1, 0), 2);
}

static void row_00_free(void** state) {
  (void)state;
  assert_true(pkd__fair_is_free(WORD(0, 0)));
  assert_false(pkd__fair_is_waited(WORD(0, 0)));
  assert_int_equal(pkd__fair_taken(WORD(0, 0)), WORD(0, 1));
}

static void row_01_held(void** state) {
  (void)state;
  assert_false(pkd__fair_is_free(WORD(0, 1)));
  assert_false(pkd__fair_is_waited(WORD(0, 1)));
  assert_int_equal(pkd__fair_waited(WORD(0, 1)), WORD(1, 1));
}

static void row_11_held_with_a_queue(void** state) {
  (void)state;
  assert_false(pkd__fair_is_free(WORD(1, 1)));
  assert_true(pkd__fair_is_waited(WORD(1, 1)));
  assert_int_equal(pkd__fair_handed(true), WORD(1, 1));
  assert_int_equal(pkd__fair_handed(false), WORD(0, 1));
  assert_int_equal(pkd__fair_unwaited(WORD(1, 1)), WORD(0, 1));
  /* one more waiter changes nothing */
  assert_int_equal(pkd__fair_waited(WORD(1, 1)), WORD(1, 1));
}

/* No function leads to "free, with a queue": that is what makes it fair. */
static void row_10_is_never_reached(void** state) {
  static const uint8_t legal[] = {WORD(0, 0), WORD(0, 1), WORD(1, 1)};

  (void)state;
  for (size_t i = 0; i < LENGTH(legal); i++) {
    if (pkd__fair_is_free(legal[i]))
      assert_int_not_equal(pkd__fair_taken(legal[i]), WORD(1, 0));
    else
      assert_int_not_equal(pkd__fair_waited(legal[i]), WORD(1, 0));
    assert_int_not_equal(pkd__fair_unwaited(legal[i]), WORD(1, 0));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bits_stand_where_the_picture_says),
      cmocka_unit_test(row_00_free),
      cmocka_unit_test(row_01_held),
      cmocka_unit_test(row_11_held_with_a_queue),
      cmocka_unit_test(row_10_is_never_reached),
  };
  return cmocka_run_group_tests_name("the fair mutex's byte", tests, NULL,
                                     NULL);
}
