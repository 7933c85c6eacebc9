/* SPDX-License-Identifier: MIT
 *
 * test_clock.c - every call that waits, with deadlines at the ends of the clock.
 *
 * A deadline in the past, 0 included, is a try; one beyond all clocks does not
 * come. The limits at which a deadline no longer fits a timespec, a signed number
 * or the kernel's own clock lie in between. */
#include "waits.h"

#include <inttypes.h>

static void a_past_deadline_only_tries(void** state) {
  const pkd_deadline_t now = pkd_now();
  const pkd_deadline_t past[] = {0, 1, now / 2, now - 1, now};

  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    wait_kinds[i].take();
    for (size_t k = 0; k < LENGTH(past); k++)
      if (wait_kinds[i].wait(past[k]) != -ETIMEDOUT)
        fail_msg("%s does not end at %" PRIu64, wait_kinds[i].name, past[k]);
    wait_kinds[i].give();
  }
  all_is_as_it_was();
}

static void a_far_deadline_does_not_come(void** state) {
  const pkd_deadline_t far[] = {
      pkd_now() + 3600 * SECOND,
      (uint64_t)INT32_MAX * SECOND - 1, /* src/os sleeps for ever from here */
      (uint64_t)INT32_MAX * SECOND,
      (uint64_t)UINT32_MAX * SECOND,
      INT64_MAX,
      (uint64_t)INT64_MAX + 1,
      UINT64_MAX - 1,
      PKD_FOREVER,
  };

  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++)
    for (size_t k = 0; k < LENGTH(far); k++) {
      struct waiting w;

      wait_kinds[i].take();
      start_waiting(&w, &wait_kinds[i], far[k]);
      if (__atomic_load_n(&w.ended, __ATOMIC_ACQUIRE) != 0)
        fail_msg("%s ends before %" PRIu64, wait_kinds[i].name, far[k]);
      wait_kinds[i].give();
      if (join_waiting(&w) != 0)
        fail_msg("%s until %" PRIu64 ": %d", wait_kinds[i].name, far[k], w.rc);
    }
  all_is_as_it_was();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_past_deadline_only_tries),
      cmocka_unit_test(a_far_deadline_does_not_come),
  };
  return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
