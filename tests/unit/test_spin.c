/* SPDX-License-Identifier: MIT
 *
 * test_spin.c - how long a spin is, on processors of any kind.
 *
 * The source itself is in here, over a system that the test makes up: how many
 * processors, and what a pause costs. For it measures once per process. */
#include "../../src/spin.c"

#include "support/test.h"

static unsigned cpus;
static uint64_t clock_ns;
static uint64_t cost;   /* of a pause */
static uint64_t call;   /* a call of the system costs so much, ... */
static unsigned slow;   /* ... and so many of them ten times as much */
static unsigned paused; /* so many times */

unsigned pkd__os_cpus(void) {
  return cpus;
}

uint64_t pkd__os_now(void) {
  return clock_ns;
}

void pkd__os_relax(void) {
  clock_ns += cost;
  paused++;
}

void pkd__os_wake(uint32_t* word) {
  assert_non_null(word);
  clock_ns += slow > 0 ? 10 * call : call;
  slow -= slow > 0;
}

/* One spin to its end. @return how long it was, in pauses */
static unsigned spin_out(unsigned on_cpus, uint64_t pause_ns) {
  pkd__spin_t spin = PKD__SPIN_INIT;
  pkd__spin_t first = PKD__SPIN_INIT;
  uint32_t last = 0;

  cpus = on_cpus;
  cost = pause_ns;
  budget = 0;
  pkd__spin(&first); /* measures */
  paused = 0;
  while (pkd__spin(&spin)) {
    assert_int_equal(spin.round, last == 0 ? 1 : 3 * last);
    last = spin.round;
  }
  assert_int_equal(paused, spin.pauses);
  return paused;
}

static void nobody_spins_on_a_single_processor(void** state) {
  (void)state;
  assert_int_equal(spin_out(1, 10), 0);
  assert_int_equal(spin_out(1, 0), 0);
}

/* As long as a sleep, and as many whole rounds as that leaves room for: the next
 * would be three times the last, so it is more than a third. */
static void is_as_long(uint64_t sleep_ns, uint64_t pause_ns) {
  assert_in_range(spin_out(2, pause_ns) * pause_ns, sleep_ns / 3 - pause_ns,
                  sleep_ns);
}

static void a_spin_is_as_long_as_a_sleep(void** state) {
  static const uint64_t pauses[] = {1, 5, 10, 25, 50, 100};

  (void)state;
  for (size_t i = 0; i < LENGTH(pauses); i++) {
    call = 300;
    is_as_long(3000, pauses[i]);
    call = 1100;
    is_as_long(11000, pauses[i]);
  }
}

static void a_sleep_is_neither_free_nor_endless(void** state) {
  (void)state;
  call = 0;
  is_as_long(2000, 20);
  call = 100;
  is_as_long(2000, 20);
  call = 1000000;
  is_as_long(16000, 20);
}

/* While the calls are measured somebody else has the processor for a while. */
static void the_cheapest_call_counts(void** state) {
  (void)state;
  call = 300;
  slow = 2;
  is_as_long(3000, 20);
  assert_int_equal(slow, 0);
}

static void a_pause_that_seems_to_last_long_still_leaves_a_few(void** state) {
  (void)state;
  call = 0;
  assert_int_equal(spin_out(2, 100000), 1 + 3 + 9);
}

/* The clock is so coarse that no time has passed. */
static void a_clock_that_stands_still_bounds_it_as_well(void** state) {
  (void)state;
  call = 0;
  assert_int_equal(spin_out(2, 0), 1 + 3 + 9 + 27 + 81 + 243 + 729);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_spins_on_a_single_processor),
      cmocka_unit_test(a_spin_is_as_long_as_a_sleep),
      cmocka_unit_test(a_sleep_is_neither_free_nor_endless),
      cmocka_unit_test(the_cheapest_call_counts),
      cmocka_unit_test(a_pause_that_seems_to_last_long_still_leaves_a_few),
      cmocka_unit_test(a_clock_that_stands_still_bounds_it_as_well),
  };
  return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
