/* SPDX-License-Identifier: MIT
 *
 * test_deadline.c - points in time: pkd_now, pkd_after, pkd_lot_due. */
#include <parkade/lot.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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
    assert_int_not_equal(pkd_lot_due(bit << 10), 0);
  }
}

/* Later is later by the sign of the difference, wherever the 32 bits wrap. */
static void a_later_due_compares_later_across_the_wrap(void** state) {
  const uint64_t wrap = UINT64_C(1) << 42; /* 32 bits of 1024 ns */
  const uint64_t near[] = {0, wrap - SECOND, wrap, 5 * wrap - 1, 77 * SECOND};

  (void)state;
  for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
    uint32_t due = pkd_lot_due(near[i]);

    assert_true((int32_t)(pkd_lot_due(near[i] + 1800 * SECOND) - due) > 0);
    assert_true((int32_t)(pkd_lot_due(near[i] + 4096) - due) > 0);
    assert_true((int32_t)(pkd_lot_due(near[i]) - due) == 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_clock_never_goes_back),
      cmocka_unit_test(after_adds_to_the_present),
      cmocka_unit_test(a_span_too_long_for_the_clock_never_ends),
      cmocka_unit_test(a_due_is_never_zero),
      cmocka_unit_test(a_later_due_compares_later_across_the_wrap),
  };
  return cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
}
