/* SPDX-License-Identifier: MIT
 *
 * test_word_cell.c - walks the rows of the picture in src/word/cell.h. */
#include "word/cell.h"

#include "support/test.h"

/* The word as the picture writes it: version P L. */
#define WORD(n, p, l)                                                          \
  ((uint32_t)(n)*PKD__CELL_VERSION + (p)*PKD__CELL_PARKED +                    \
   (l)*PKD__CELL_LOCKED)

enum { LAST = 0x3fffffff };

static const uint32_t versions[] = {0, 1, 2, LAST - 1, LAST};

static void quiet_leaves_by_a_writer(void** state) {
  (void)state;
  for (size_t i = 0; i < LENGTH(versions); i++) {
    uint32_t n = versions[i];

    assert_true(pkd__cell_is_quiet(WORD(n, 0, 0)));
    assert_int_equal(pkd__cell_locked(WORD(n, 0, 0)), WORD(n, 0, 1));
  }
}

static void a_change_ends_in_the_next_version(void** state) {
  (void)state;
  for (size_t i = 0; i < LENGTH(versions); i++) {
    uint32_t n = versions[i];
    uint32_t next = n == LAST ? 0 : n + 1; /* it goes round */

    assert_false(pkd__cell_is_quiet(WORD(n, 0, 1)));
    assert_int_equal(pkd__cell_waited(WORD(n, 0, 1)), WORD(n, 1, 1));
    assert_int_equal(pkd__cell_ended(WORD(n, 0, 1), true), WORD(next, 0, 0));
    assert_int_equal(pkd__cell_ended(WORD(n, 0, 1), false), WORD(n, 0, 0));
  }
}

static void a_change_with_a_queue_ends_without_one(void** state) {
  (void)state;
  for (size_t i = 0; i < LENGTH(versions); i++) {
    uint32_t n = versions[i];
    uint32_t next = n == LAST ? 0 : n + 1;

    assert_false(pkd__cell_is_quiet(WORD(n, 1, 1)));
    assert_int_equal(pkd__cell_waited(WORD(n, 1, 1)), WORD(n, 1, 1));
    assert_int_equal(pkd__cell_ended(WORD(n, 1, 1), true), WORD(next, 0, 0));
    assert_int_equal(pkd__cell_ended(WORD(n, 1, 1), false), WORD(n, 0, 0));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(quiet_leaves_by_a_writer),
      cmocka_unit_test(a_change_ends_in_the_next_version),
      cmocka_unit_test(a_change_with_a_queue_ends_without_one),
  };
  return cmocka_run_group_tests_name("the cell's counter", tests, NULL, NULL);
}
