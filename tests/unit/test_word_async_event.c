/* SPDX-License-Identifier: MIT
 *
 * test_word_async_event.c - the rows of the picture in word/async_event.h. */
#include "support/test.h"

#include "word/async_event.h"

enum { Q = 1, C = 2, S = 4, N = 8 };
#define EPOCH(n) ((uint64_t)(n) << 32)

static uint64_t pass(uint64_t word, uint32_t epoch, int passes, uint32_t used) {
  uint32_t consumed = 77;

  assert_int_equal(pkd__async_event_pass(&word, epoch, &consumed), passes);
  assert_int_equal(consumed, used);
  return word;
}

static void nothing_happened_nobody_passes(void** state) {
  (void)state;
  assert_int_equal(pass(0, 0, 0, PKD__ASYNC_EVENT_NOTHING), 0);
  assert_int_equal(pass(Q, 0, 0, PKD__ASYNC_EVENT_NOTHING), Q);
}

static void a_notice_lets_one_pass_and_is_used_up(void** state) {
  uint64_t word = pkd__async_event_after(Q, PKD__ASYNC_EVENT_NOTIFY_ONE);

  (void)state;
  assert_int_equal(word, Q | N);
  assert_int_equal(pkd__async_event_after(word, PKD__ASYNC_EVENT_NOTIFY_ONE),
                   Q | N);
  assert_int_equal(pass(word, 0, 1, PKD__ASYNC_EVENT_NOTIFY_ONE), Q);
}

static void a_new_epoch_lets_those_of_the_old_pass(void** state) {
  uint64_t word = pkd__async_event_after(EPOCH(3), PKD__ASYNC_EVENT_NOTIFY_ALL);

  (void)state;
  assert_int_equal(word, EPOCH(4));
  assert_int_equal(pkd__async_event_epoch(word), 4);
  assert_int_equal(pass(word, 3, 1, PKD__ASYNC_EVENT_NOTHING), EPOCH(4));
  assert_int_equal(pass(word, 4, 0, PKD__ASYNC_EVENT_NOTHING), EPOCH(4));
  word = pkd__async_event_after(EPOCH(UINT32_MAX) | S,
                                PKD__ASYNC_EVENT_NOTIFY_ALL);
  assert_int_equal(word, S); /* it wraps, and touches nothing else */
}

static void an_open_event_lets_everybody_pass_and_keeps_a_notice(void** state) {
  uint64_t word = pkd__async_event_after(N, PKD__ASYNC_EVENT_OPEN);

  (void)state;
  assert_int_equal(word, S | N);
  assert_int_equal(pass(word, 0, 1, PKD__ASYNC_EVENT_NOTHING), S | N);
}

static void clear_takes_both_away_and_leaves_the_rest(void** state) {
  (void)state;
  assert_int_equal(
      pkd__async_event_after(EPOCH(5) | S | N | C | Q, PKD__ASYNC_EVENT_CLEAR),
      EPOCH(5) | C | Q);
  assert_int_equal(
      pkd__async_event_after(EPOCH(5) | N, PKD__ASYNC_EVENT_NOTHING),
      EPOCH(5) | N);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_happened_nobody_passes),
      cmocka_unit_test(a_notice_lets_one_pass_and_is_used_up),
      cmocka_unit_test(a_new_epoch_lets_those_of_the_old_pass),
      cmocka_unit_test(an_open_event_lets_everybody_pass_and_keeps_a_notice),
      cmocka_unit_test(clear_takes_both_away_and_leaves_the_rest),
  };
  return cmocka_run_group_tests_name("word_async_event", tests, NULL, NULL);
}
