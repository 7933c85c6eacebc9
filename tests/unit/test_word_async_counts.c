/* SPDX-License-Identifier: MIT
 *
 * test_word_async_counts.c - the rows of the pictures in word/async_once.h,
 * word/async_gate.h and word/async_barrier.h. */
#include "support/test.h"

#include "word/async_barrier.h"
#include "word/async_gate.h"
#include "word/async_once.h"

#define HIGH(n) ((uint64_t)(n) << 32)

/* --- once: D R Q ----------------------------------------------------------- */

static void a_new_once_is_led_by_the_first(void** state) {
  uint64_t word = 0;

  (void)state;
  assert_true(pkd__async_once_lead(&word));
  assert_int_equal(word, 2);
  assert_false(pkd__async_once_lead(&word));
  assert_int_equal(word, 2);
}

static void a_failed_once_is_led_by_the_next(void** state) {
  uint64_t word = pkd__async_once_after(3, false);

  (void)state;
  assert_int_equal(word, 1);
  assert_true(pkd__async_once_lead(&word));
  assert_int_equal(word, 3);
}

static void a_done_once_is_done_for_ever(void** state) {
  uint64_t word = pkd__async_once_after(2, true);

  (void)state;
  assert_int_equal(word, 4);
  assert_false(pkd__async_once_lead(&word));
  assert_int_equal(word, 4);
  assert_int_equal(pkd__async_once_after(3, true), 5);
}

/* --- gate: inside S Q ------------------------------------------------------ */

static void an_open_gate_counts(void** state) {
  uint64_t word = 0;

  (void)state;
  assert_true(pkd__async_gate_enter(&word));
  assert_true(pkd__async_gate_enter(&word));
  assert_int_equal(word, HIGH(2));
  assert_int_equal(pkd__async_gate_inside(word), 2);
  assert_int_equal(pkd__async_gate_leave(word), HIGH(1));
}

static void a_shut_gate_lets_nobody_in_and_everybody_out(void** state) {
  uint64_t word = HIGH(1) | 3;

  (void)state;
  assert_false(pkd__async_gate_enter(&word));
  assert_int_equal(word, HIGH(1) | 3);
  assert_int_equal(pkd__async_gate_leave(word), 3);
}

static void a_full_gate_lets_nobody_in(void** state) {
  uint64_t word = HIGH(UINT32_MAX);

  (void)state;
  assert_false(pkd__async_gate_enter(&word));
  assert_int_equal(word, HIGH(UINT32_MAX));
}

/* --- barrier: generation arrived B Q --------------------------------------- */

static void the_last_of_three_completes_a_barrier(void** state) {
  uint64_t word = HIGH(7);

  (void)state;
  assert_false(pkd__async_barrier_complete(&word, 3));
  word = pkd__async_barrier_join(word | 1);
  assert_int_equal(pkd__async_barrier_arrived(word), 1);
  assert_false(pkd__async_barrier_complete(&word, 3));
  word = pkd__async_barrier_join(word);
  assert_int_equal(word, HIGH(7) | 2 << 2 | 1);
  assert_true(pkd__async_barrier_complete(&word, 3));
  assert_int_equal(word, HIGH(8) | 1);
}

static void who_arrived_knows_the_generation_by(void** state) {
  uint32_t here = pkd__async_barrier_here(HIGH(7) | 9);

  (void)state;
  assert_int_not_equal(here, 0);
  assert_int_equal(here, pkd__async_barrier_here(HIGH(7)));
  assert_int_not_equal(here, pkd__async_barrier_here(HIGH(8)));
  assert_int_not_equal(pkd__async_barrier_here(0), 0);
}

static void who_leaves_has_not_arrived(void** state) {
  (void)state;
  assert_int_equal(pkd__async_barrier_gone(HIGH(7) | 2 << 2 | 1),
                   HIGH(7) | 1 << 2 | 1);
}

static void a_barrier_for_one_or_none_is_complete_at_once(void** state) {
  uint64_t word = HIGH(UINT32_MAX);

  (void)state;
  assert_true(pkd__async_barrier_complete(&word, 1));
  assert_int_equal(word, 0); /* the generation wraps */
  assert_true(pkd__async_barrier_complete(&word, 0));
  assert_int_equal(word, HIGH(1));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_once_is_led_by_the_first),
      cmocka_unit_test(a_failed_once_is_led_by_the_next),
      cmocka_unit_test(a_done_once_is_done_for_ever),
      cmocka_unit_test(an_open_gate_counts),
      cmocka_unit_test(a_shut_gate_lets_nobody_in_and_everybody_out),
      cmocka_unit_test(a_full_gate_lets_nobody_in),
      cmocka_unit_test(the_last_of_three_completes_a_barrier),
      cmocka_unit_test(who_arrived_knows_the_generation_by),
      cmocka_unit_test(who_leaves_has_not_arrived),
      cmocka_unit_test(a_barrier_for_one_or_none_is_complete_at_once),
  };
  return cmocka_run_group_tests_name("word_async_counts", tests, NULL, NULL);
}
