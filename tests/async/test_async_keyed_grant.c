/* SPDX-License-Identifier: MIT
 *
 * test_async_keyed_grant.c - keys of a loop that is stuck, many at once.
 *
 * test_async_grant_every.c has the cases of one key, and test_async_grant_storm.c
 * has keys in a storm. Built twice, as
 * test_async_keyed.c is. */
#include "stuck.h"

enum { HELD = 80 };

static pkd_async_keyed_t keyed;

static struct {
  pkd_req_t req;
  atomic_int status;
} of_b[HELD], of_a[HELD];

static void answered(pkd_req_t* req, int status) {
  *(atomic_int*)req->data = status;
}

static void ask_on_b(void* arg) {
  (void)arg;
  for (uint64_t key = 0; key < HELD; key++)
    pkd_async_keyed_lock_u64(&loop_b, &of_b[key].req, &keyed, key, answered);
}

/* More keys than are found under one hold of any lock. */
static void each_key_of_a_stuck_loop_goes_on(void** state) {
  static pkd_req_t holders[HELD];

  (void)state;
  memset(&keyed, 0, sizeof keyed);
  memset(holders, 0, sizeof holders);
  be_patient(SHORT);
  for (uint64_t key = 0; key < HELD; key++) {
    of_a[key].req.data = &of_a[key].status;
    of_b[key].req.data = &of_b[key].status;
    of_a[key].status = of_b[key].status = NOT_YET;
    assert_int_equal(pkd_async_keyed_trylock_u64(&holders[key], &keyed, key),
                     0);
  }
  on_loop_b(ask_on_b, NULL);
  stall_b();
  for (uint64_t key = 0; key < HELD; key++) {
    assert_int_equal(pkd_async_keyed_lock_u64(&loop_a, &of_a[key].req, &keyed,
                                              key, answered),
                     0);
    assert_int_equal(pkd_async_keyed_unlock(&holders[key], &keyed), 0);
  }
  for (int key = 0; key < HELD; key++) {
    WAIT_FOR((turn_a(), of_a[key].status != NOT_YET));
    assert_int_equal(of_a[key].status, 0);
    assert_int_equal(of_b[key].status, NOT_YET);
  }
  assert_int_equal(grants_of_b().undelivered, 0);
  wake_b();
  for (int key = 0; key < HELD; key++) {
    assert_int_equal(of_b[key].status, NOT_YET); /* it is back, and waits */
    assert_int_equal(pkd_async_keyed_unlock(&of_a[key].req, &keyed), 0);
    WAIT_FOR((turn_a(), of_b[key].status != NOT_YET));
    assert_int_equal(of_b[key].status, 0);
    assert_int_equal(pkd_async_keyed_unlock(&of_b[key].req, &keyed), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_WORLD(each_key_of_a_stuck_loop_goes_on, TWO_LOOPS),
  };

  return cmocka_run_group_tests_name("async_keyed_grant", tests, NULL, NULL);
}
