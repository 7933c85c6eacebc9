/* SPDX-License-Identifier: MIT
 *
 * test_word_async_sem.c - walks the rows of the picture in
 * src/word/async_sem.h. */
#include "word/async_sem.h"

#include "support/test.h"

/* The word as the picture writes it: C Q available. */
#define WORD(c, q, available)                                                  \
  ((uint64_t)(uint32_t)(available) << 32 | (c)*PKD__ASYNC_SEM_CLOSED |         \
   (q)*PKD__ASYNC_SEM_QUEUED)

static void the_fields_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_true(WORD(0, 1, 0) == 1);
  assert_true(WORD(1, 0, 0) == 2);
  assert_true(pkd__async_sem_of(7) == UINT64_C(7) << 32);
  assert_int_equal(pkd__async_sem_available(WORD(1, 1, 7)), 7);
  assert_int_equal(pkd__async_sem_available(WORD(1, 1, -7)), -7);
}

static void row_00_nobody_waits(void** state) {
  uint64_t word = WORD(0, 0, 5);

  (void)state;
  assert_true(pkd__async_sem_take(&word, 2));
  assert_true(word == WORD(0, 0, 3));
  assert_false(pkd__async_sem_take(&word, 4));
  assert_true(word == WORD(0, 0, 3)); /* nothing is hoarded */
  assert_true(pkd__async_sem_take(&word, 3));
  assert_true(word == WORD(0, 0, 0));
  assert_true(pkd__async_sem_left(word, 5) == WORD(0, 0, 5));
}

static void row_01_the_head_waits(void** state) {
  uint64_t word = WORD(0, 1, 1);

  (void)state;
  assert_false(pkd__async_sem_take(&word, 3));
  word = pkd__async_sem_left(word, 2);
  assert_true(word == WORD(0, 1, 3));
  assert_true(pkd__async_sem_take(&word, 3));
  assert_true(word == WORD(0, 1, 0));
}

static void row_10_closed(void** state) {
  (void)state;
  assert_true(pkd__async_sem_left(WORD(1, 0, 2), 3) == WORD(1, 0, 5));
}

static void none_are_always_there(void** state) {
  uint64_t word = WORD(0, 1, -3);

  (void)state;
  assert_true(pkd__async_sem_take(&word, 0));
  assert_true(word == WORD(0, 1, -3));
  assert_false(pkd__async_sem_take(&word, 1));
}

static void permits_may_go_below_zero_and_be_repaid(void** state) {
  uint64_t word = pkd__async_sem_left(WORD(0, 1, 1), -4);

  (void)state;
  assert_true(word == WORD(0, 1, -3));
  word = pkd__async_sem_left(word, 4);
  assert_true(word == WORD(0, 1, 1));
}

static void the_extremes_do_not_spill_into_the_bits(void** state) {
  uint64_t word = WORD(0, 1, INT32_MAX);

  (void)state;
  assert_true(pkd__async_sem_take(&word, INT32_MAX));
  assert_true(word == WORD(0, 1, 0));
  assert_true(pkd__async_sem_left(word, INT32_MAX) == WORD(0, 1, INT32_MAX));
  assert_true(pkd__async_sem_left(word, -(int64_t)INT32_MAX) ==
              WORD(0, 1, -INT32_MAX));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_fields_stand_where_the_picture_says),
      cmocka_unit_test(row_00_nobody_waits),
      cmocka_unit_test(row_01_the_head_waits),
      cmocka_unit_test(row_10_closed),
      cmocka_unit_test(none_are_always_there),
      cmocka_unit_test(permits_may_go_below_zero_and_be_repaid),
      cmocka_unit_test(the_extremes_do_not_spill_into_the_bits),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
