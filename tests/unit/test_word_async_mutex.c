/* SPDX-License-Identifier: MIT
 *
 * test_word_async_mutex.c - walks the rows of the picture in
 * src/word/async_mutex.h. */
#include "word/async_mutex.h"

#include "support/test.h"

/* The word as the picture writes it: C Q L. */
#define WORD(c, q, l)                                                          \
  ((uint64_t)((c)*PKD__ASYNC_MUTEX_CLOSED + (q)*PKD__ASYNC_MUTEX_QUEUED +      \
              (l) * (OWNER | PKD__ASYNC_MUTEX_LOCKED)))

/* Two requests, as the word names them. */
#define OWNER (UINT32_C(5) << 5)
#define OTHER (UINT32_MAX - 31)

static void the_bits_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_int_equal(WORD(0, 0, 1), 1 | OWNER);
  assert_int_equal(WORD(0, 1, 0), 2);
  assert_int_equal(WORD(1, 0, 0), 4);
}

static void row_000_free(void** state) {
  uint64_t word = WORD(0, 0, 0);

  (void)state;
  assert_int_equal(word & PKD__ASYNC_MUTEX_BUSY, 0);
  assert_true(pkd__async_mutex_take(&word, OWNER));
  assert_int_equal(word, WORD(0, 0, 1));
}

static void row_001_held(void** state) {
  uint64_t word = WORD(0, 0, 1);

  (void)state;
  assert_int_not_equal(word & PKD__ASYNC_MUTEX_BUSY, 0);
  assert_false(pkd__async_mutex_take(&word, OWNER));
  assert_int_equal(word, WORD(0, 0, 1));
  assert_int_equal(pkd__async_mutex_left(word), WORD(0, 0, 0));
}

static void row_011_held_with_a_queue_hands_off(void** state) {
  uint64_t word = WORD(0, 1, 1);

  (void)state;
  assert_int_not_equal(word & PKD__ASYNC_MUTEX_BUSY, 0);
  assert_false(pkd__async_mutex_take(&word, OWNER));
  word = pkd__async_mutex_left(word); /* in a copy: nobody sees this */
  assert_int_equal(word, WORD(0, 1, 0));
  assert_true(pkd__async_mutex_take(&word, OWNER));
  assert_int_equal(word, WORD(0, 1, 1));
}

static void row_010_is_taken_by_who_is_not_away(void** state) {
  uint64_t word = WORD(0, 1, 0);

  (void)state;
  assert_true(pkd__async_mutex_take(&word, OWNER));
  assert_int_equal(word, WORD(0, 1, 1));
  assert_int_equal(pkd__async_mutex_left(word), WORD(0, 1, 0));
}

static void row_100_closed(void** state) {
  (void)state;
  assert_int_equal(WORD(1, 0, 0) & PKD__ASYNC_MUTEX_BUSY, 0);
}

static void row_101_closed_and_held(void** state) {
  (void)state;
  assert_int_not_equal(WORD(1, 0, 1) & PKD__ASYNC_MUTEX_BUSY, 0);
  assert_int_equal(pkd__async_mutex_left(WORD(1, 0, 1)), WORD(1, 0, 0));
}

static void the_owner_is_named_while_it_is_locked(void** state) {
  uint64_t word = WORD(0, 1, 0) | PKD__ASYNC_MUTEX_POISONED;

  (void)state;
  assert_false(pkd__async_mutex_has(word, OWNER));
  assert_false(pkd__async_mutex_has(word, 0)); /* free: nobody has it */
  assert_true(pkd__async_mutex_take(&word, OWNER));
  assert_true(pkd__async_mutex_has(word, OWNER));
  assert_false(pkd__async_mutex_has(word, OTHER));
  assert_false(pkd__async_mutex_take(&word, OTHER));
  assert_true(pkd__async_mutex_has(word, OWNER));
  word = pkd__async_mutex_passed(word, OTHER);
  assert_false(pkd__async_mutex_has(word, OWNER));
  assert_true(pkd__async_mutex_has(word, OTHER));
  assert_int_equal(pkd__async_mutex_left(word),
                   WORD(0, 1, 0) | PKD__ASYNC_MUTEX_POISONED);
}

static void poison_stays_until_it_is_mended(void** state) {
  uint64_t word = pkd__async_mutex_poisoned(WORD(0, 0, 1));

  (void)state;
  assert_int_equal(word, PKD__ASYNC_MUTEX_POISONED);
  assert_int_equal(word & PKD__ASYNC_MUTEX_BUSY, 0);
  assert_true(pkd__async_mutex_take(&word, OWNER));
  assert_int_equal(word, PKD__ASYNC_MUTEX_POISONED | WORD(0, 0, 1));
  assert_int_equal(pkd__async_mutex_left(word), PKD__ASYNC_MUTEX_POISONED);
  assert_int_equal(pkd__async_mutex_mended(word), WORD(0, 0, 1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bits_stand_where_the_picture_says),
      cmocka_unit_test(row_000_free),
      cmocka_unit_test(row_001_held),
      cmocka_unit_test(row_011_held_with_a_queue_hands_off),
      cmocka_unit_test(row_010_is_taken_by_who_is_not_away),
      cmocka_unit_test(row_100_closed),
      cmocka_unit_test(row_101_closed_and_held),
      cmocka_unit_test(the_owner_is_named_while_it_is_locked),
      cmocka_unit_test(poison_stays_until_it_is_mended),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
