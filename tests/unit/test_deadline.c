/* SPDX-License-Identifier: MIT
 *
 * test_deadline.c - points in time: pkd_now, pkd_after, pkd_lot_due. */
#include "lot.h"

#include "support/test.h"

#define SECOND UINT64_C(1000000000)

static void the_clock_never_goes_back(void** state) {
  pkd_deadline_t before = pkd_now();

  (void)state;
  for (unsigned i = 0; i < 10000; i++) {
    pkd_deadline_t now = pkd_now();

    assert_true(now >= before);
    before = now;
  }
}

/* The other clocks jump when somebody sets them. */
static void the_clock_is_the_monotonic_one(void** state) {
  (void)state;
  for (unsigned i = 0; i < 1000; i++) {
    uint64_t before = waitfor_now();
    pkd_deadline_t now = pkd_now();

    assert_in_range(now, before, waitfor_now());
  }
}

static void after_adds_to_the_present(void** state) {
  pkd_deadline_t before = pkd_now();
  pkd_deadline_t then = pkd_after(SECOND);

  (void)state;
  assert_true(then >= before + SECOND);
  assert_true(then <= pkd_now() + SECOND);
  assert_true(pkd_after(0) <= pkd_now());
}

static void a_span_too_long_for_the_clock_never_ends(void** state) {
  (void)state;
  assert_true(pkd_after(UINT64_MAX) == PKD_FOREVER);
  assert_true(pkd_after(UINT64_MAX - 1) == PKD_FOREVER);
  /* the longest that fits does fit */
  assert_true(pkd_after(PKD_FOREVER - pkd_now() - 10 * SECOND) != PKD_FOREVER);
}

static void a_due_is_never_zero(void** state) {
  (void)state;
  assert_int_not_equal(pkd_lot_due(0), 0);
  assert_int_not_equal(pkd_lot_due(PKD_FOREVER), 0);
  for (uint64_t bit = 1; bit != 0; bit <<= 1) {
    assert_int_not_equal(pkd_lot_due(bit), 0);
    assert_int_not_equal(pkd_lot_due(bit << 12), 0);
  }
}

/* Before its time by up to half an hour, after it by up to four hours, wherever
 * the 32 bits wrap. */
static void a_due_is_past_from_its_time_on_across_the_wrap(void** state) {
  const uint64_t wrap = UINT64_C(1) << 44; /* 32 bits of 4096 ns */
  const uint64_t near[] = {0, wrap - SECOND, wrap, 5 * wrap - 1, 77 * SECOND};
  const uint64_t spans[] = {4096, 50000, SECOND, 1800 * SECOND};

  (void)state;
  for (size_t i = 0; i < LENGTH(near); i++) {
    uint32_t due = pkd_lot_due(near[i]);

    assert_true(pkd__due_by(due, due));
    assert_true(pkd__due_by(due, pkd_lot_due(near[i] + 4 * 3600 * SECOND)));
    for (size_t k = 0; k < LENGTH(spans); k++) {
      assert_true(pkd__due_by(due, pkd_lot_due(near[i] + spans[k])));
      /* one more, for the wrap: 0 is said as 1 */
      assert_false(pkd__due_by(due, pkd_lot_due(near[i] - spans[k] - 4096)));
    }
  }
}

static void no_due_is_never_past(void** state) {
  (void)state;
  assert_false(pkd__due_by(0, 1));
  assert_false(pkd__due_by(0, UINT32_MAX));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_clock_never_goes_back),
      cmocka_unit_test(the_clock_is_the_monotonic_one),
      cmocka_unit_test(after_adds_to_the_present),
      cmocka_unit_test(a_span_too_long_for_the_clock_never_ends),
      cmocka_unit_test(a_due_is_never_zero),
      cmocka_unit_test(a_due_is_past_from_its_time_on_across_the_wrap),
      cmocka_unit_test(no_due_is_never_past),
  };
  return cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
}
