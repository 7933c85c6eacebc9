/* SPDX-License-Identifier: MIT
 *
 * test_async_calendar.c - timeouts of weeks. The library is built with a clock that
 * is the test's. */
#include "family.h"

uint64_t test_hrtime(void);

static uint64_t skipped; /* nanoseconds */
static pkd_async_mutex_t mutex;
static pkd_req_t owner;
static struct wait waits[2];

uint64_t test_hrtime(void) {
  return uv_hrtime() + skipped;
}

static void skip_days(unsigned days) {
  skipped += days * UINT64_C(86400000000000);
}

/* The longest there are: three and a half weeks. */
static void lock_for_weeks(struct wait* wait) {
  assert_int_equal(pkd_req_set_timeout(&wait->req, UINT64_C(1) << 31), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &wait->req, &mutex, record), 0);
}

static void a_long_wait_ends_no_wait_that_begins_weeks_later(void** state) {
  (void)state;
  assert_int_equal(pkd_async_mutex_trylock(&owner, &mutex), 0);
  lock_for_weeks(&waits[0]);
  skip_days(20);
  lock_for_weeks(&waits[1]);
  run_some();
  assert_int_equal(answered, 0);
  assert_int_equal(pkd_async_mutex_unlock(&owner, &mutex), 0);
  run_until(1);
  assert_int_equal(waits[0].status, 0);
  assert_int_equal(pkd_async_mutex_unlock(&waits[0].req, &mutex), 0);
  run_until(2);
  assert_int_equal(waits[1].status, 0);
  assert_int_equal(pkd_async_mutex_unlock(&waits[1].req, &mutex), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(a_long_wait_ends_no_wait_that_begins_weeks_later),
  };
  return cmocka_run_group_tests_name("async_calendar", tests, NULL, NULL);
}
