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

/* One spin to its end. @return how long it was, in pauses */
static unsigned spin_out(unsigned on_cpus, uint64_t pause_ns) {
  pkd__spin_t spin = PKD__SPIN_INIT;
  pkd__spin_t first = PKD__SPIN_INIT;
  uint32_t longest = 0;

  cpus = on_cpus;
  cost = pause_ns;
  budget = 0;
  pkd__spin(&first); /* measures */
  paused = 0;
  while (pkd__spin(&spin)) {
    assert_in_range(spin.round, longest, 64); /* longer each time, up to this */
    longest = spin.round;
  }
  assert_int_equal(paused, spin.pauses);
  return paused;
}

static void nobody_spins_on_a_single_processor(void** state) {
  (void)state;
  assert_int_equal(spin_out(1, 10), 0);
  assert_int_equal(spin_out(1, 0), 0);
}

/* Two microseconds in all, and no round that is begun is cut short. */
static void a_spin_is_bounded_in_time(void** state) {
  static const uint64_t costs[] = {1, 5, 10, 25, 50, 100};

  (void)state;
  for (size_t i = 0; i < LENGTH(costs); i++) {
    uint64_t spent = spin_out(2, costs[i]) * costs[i];

    assert_in_range(spent, 2000 - 2 * costs[i], 2000 + 64 * costs[i]);
  }
}

static void a_pause_that_seems_to_last_long_still_leaves_a_few(void** state) {
  (void)state;
  assert_in_range(spin_out(2, 100000), 8, 15);
}

/* The clock is so coarse that no time has passed. */
static void a_clock_that_stands_still_bounds_it_as_well(void** state) {
  (void)state;
  assert_in_range(spin_out(2, 0), 1999, 2064);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nobody_spins_on_a_single_processor),
      cmocka_unit_test(a_spin_is_bounded_in_time),
      cmocka_unit_test(a_pause_that_seems_to_last_long_still_leaves_a_few),
      cmocka_unit_test(a_clock_that_stands_still_bounds_it_as_well),
  };
  return cmocka_run_group_tests_name("spin", tests, NULL, NULL);
}
