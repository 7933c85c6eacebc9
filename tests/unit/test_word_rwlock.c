/* SPDX-License-Identifier: MIT
 *
 * test_word_rwlock.c - each row of the picture in src/word/rwlock.h. */
#include <support/test.h>

#include "word/rwlock.h"

#define H PKD__RW_HELD
#define U PKD__RW_UPGRADABLE
#define P PKD__RW_PENDING
#define Q PKD__RW_QUEUED
#define K PKD__RW_WAKING
#define R(n) ((uint32_t)(n)*PKD__RW_READER)

static const enum pkd__rw_mode modes[] = {PKD__RW_READ, PKD__RW_RECURSIVE,
                                          PKD__RW_UP, PKD__RW_WRITE,
                                          PKD__RW_UPGRADE};

static void the_bits_stand_where_the_picture_says(void** state) {
  (void)state;
  assert_true(H == 1 && U == 2 && P == 4 && Q == 8 && K == 16);
  assert_int_equal(PKD__RW_READER, 32);
  assert_int_equal(pkd__rw_readers(R(3) | 31), 3);
  assert_true(pkd__rw_is_free(P | Q | K));
  assert_false(pkd__rw_is_free(H));
  assert_false(pkd__rw_is_free(U));
  assert_false(pkd__rw_is_free(R(1)));
}

static void zeroed_memory_lets_everybody_in(void** state) {
  (void)state;
  for (size_t i = 0; i < LENGTH(modes); i++)
    assert_true(pkd__rw_may(0, modes[i]));
}

/* The table "who enters when": every combination of bits, Q and K without a say. */
static void who_may_enter_is_what_the_table_says(void** state) {
  (void)state;
  for (uint32_t word = 0; word < R(3); word++) {
    bool h = word & H, u = word & U, p = word & P;
    uint32_t readers = word / R(1);

    assert_int_equal(pkd__rw_may(word, PKD__RW_READ), !h && !p);
    assert_int_equal(pkd__rw_may(word, PKD__RW_RECURSIVE),
                     !h && (!p || u || readers > 0));
    assert_int_equal(pkd__rw_may(word, PKD__RW_UP), !h && !p && !u);
    assert_int_equal(pkd__rw_may(word, PKD__RW_WRITE),
                     !h && !u && readers == 0);
    if (u)
      assert_int_equal(pkd__rw_may(word, PKD__RW_UPGRADE), readers == 0);
  }
}

static void entering_makes_what_the_table_says(void** state) {
  (void)state;
  assert_int_equal(pkd__rw_entered(R(1) | Q | K, PKD__RW_READ, false),
                   R(2) | Q | K);
  assert_int_equal(pkd__rw_entered(R(1) | P | Q, PKD__RW_RECURSIVE, false),
                   R(2) | P | Q);
  assert_int_equal(pkd__rw_entered(R(1) | Q, PKD__RW_UP, false), R(1) | U | Q);
  assert_int_equal(pkd__rw_entered(P | Q | K, PKD__RW_WRITE, false), H | Q | K);
  assert_int_equal(pkd__rw_entered(P | Q | K, PKD__RW_WRITE, true), H | Q);
  assert_int_equal(pkd__rw_entered(U | P | Q, PKD__RW_UPGRADE, false), H | Q);
}

static void who_waits_sets_its_bits(void** state) {
  (void)state;
  assert_true(pkd__rw_pends(PKD__RW_WRITE, false));
  assert_false(pkd__rw_pends(PKD__RW_WRITE, true));
  assert_true(pkd__rw_pends(PKD__RW_UPGRADE, true));
  assert_false(pkd__rw_pends(PKD__RW_READ, false));
  assert_false(pkd__rw_pends(PKD__RW_RECURSIVE, false));
  assert_false(pkd__rw_pends(PKD__RW_UP, false));
  assert_int_equal(pkd__rw_queued(R(1) | K, true, false), R(1) | Q | P | K);
  assert_int_equal(pkd__rw_queued(R(1) | K, true, true), R(1) | Q | P);
  assert_int_equal(pkd__rw_queued(H, false, false), H | Q);
}

static void the_last_reader_looks_unless_one_is_on_its_way(void** state) {
  (void)state;
  assert_true(pkd__rw_reader_must_wake(Q, true));
  assert_true(pkd__rw_reader_must_wake(Q | P, true));
  assert_false(pkd__rw_reader_must_wake(P, true));
  assert_false(pkd__rw_reader_must_wake(R(1) | Q | P, true));
  assert_false(pkd__rw_reader_must_wake(Q | K, true));
  /* with U, an upgrader may be asleep whom the woken writer cannot help */
  assert_true(pkd__rw_reader_must_wake(Q | K | U, true));
  /* at times, and in the child of a fork, nobody is believed on its way */
  assert_true(pkd__rw_reader_must_wake(Q | K, false));
  /* readers go on while somebody sleeps: at times one looks who that is */
  assert_false(pkd__rw_reader_must_wake(R(1) | Q | K, true));
  assert_true(pkd__rw_reader_must_wake(R(1) | Q | K, false));
  assert_false(pkd__rw_reader_must_wake(R(1) | Q | P, false));
  assert_false(pkd__rw_reader_must_wake(R(1) | K, false));
}

static void who_gives_u_up_looks_for_another(void** state) {
  (void)state;
  assert_true(pkd__rw_up_must_wake(Q, true));
  assert_false(pkd__rw_up_must_wake(Q | K, true));
  assert_true(pkd__rw_up_must_wake(R(1) | Q, true));
  assert_false(pkd__rw_up_must_wake(R(1) | Q | P, true));
  assert_false(pkd__rw_up_must_wake(R(1), true));
}

static void the_writer_looks_unless_one_is_on_its_way(void** state) {
  (void)state;
  assert_false(pkd__rw_writer_must_wake(H, true));
  assert_true(pkd__rw_writer_must_wake(H | Q, true));
  assert_false(pkd__rw_writer_must_wake(H | Q | K, true));
  assert_true(pkd__rw_writer_must_wake(H | Q | K, false));
}

static void
the_writer_leaves_what_it_keeps_and_readers_come_first(void** state) {
  (void)state;
  assert_int_equal(pkd__rw_released(H | P | K | R(1), 0, false), K | R(1));
  assert_int_equal(pkd__rw_released(H | P, 0, true), P);
  assert_int_equal(pkd__rw_released(H, PKD__RW_READER, false), R(1));
  assert_int_equal(pkd__rw_released(H, U, false), U);
}

static void passing_on_adds_those_let_in(void** state) {
  (void)state;
  assert_int_equal(pkd__rw_passed(H | P | Q | K, 0, false, false, false), K);
  assert_int_equal(pkd__rw_passed(H | Q, 0, false, true, true), K | Q);
  assert_int_equal(pkd__rw_passed(H | Q | R(1), R(3) + U, true, false, true),
                   R(4) | U | P | Q);
}

static void
a_woken_writer_is_late_after_a_tenth_of_a_millisecond(void** state) {
  const uint64_t us = 1000;
  const uint64_t second = 1000000 * us;

  (void)state;
  for (uint64_t at = 0; at < 3 * second; at += second / 16 + 7) {
    uint16_t woken = pkd__rw_stamp(at);

    assert_false(pkd__rw_is_late(woken, at));
    assert_false(pkd__rw_is_late(woken, at + 90 * us));
    assert_true(pkd__rw_is_late(woken, at + 120 * us));
    assert_true(pkd__rw_is_late(woken, at + second)); /* it wraps later */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_bits_stand_where_the_picture_says),
      cmocka_unit_test(zeroed_memory_lets_everybody_in),
      cmocka_unit_test(who_may_enter_is_what_the_table_says),
      cmocka_unit_test(entering_makes_what_the_table_says),
      cmocka_unit_test(who_waits_sets_its_bits),
      cmocka_unit_test(the_last_reader_looks_unless_one_is_on_its_way),
      cmocka_unit_test(who_gives_u_up_looks_for_another),
      cmocka_unit_test(the_writer_looks_unless_one_is_on_its_way),
      cmocka_unit_test(the_writer_leaves_what_it_keeps_and_readers_come_first),
      cmocka_unit_test(passing_on_adds_those_let_in),
      cmocka_unit_test(a_woken_writer_is_late_after_a_tenth_of_a_millisecond),
  };
  return cmocka_run_group_tests_name("word/rwlock", tests, NULL, NULL);
}
