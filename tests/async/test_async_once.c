/* SPDX-License-Identifier: MIT
 *
 * test_async_once.c - who initialises, and who next if that fails. */
#include "family.h"

static pkd_async_once_t once;
static struct wait waits[8];

static void fresh(void) {
  memset(&once, 0, sizeof once);
  memset(waits, 0, sizeof waits);
}

static void call(unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; i++)
    assert_int_equal(pkd_async_once_call(&loop, &waits[i].req, &once, record),
                     0);
}

static void the_first_leads_and_all_pass_when_it_is_done(void** state) {
  (void)state;
  fresh();
  call(0, 4);
  run_until(1);
  run_some();
  assert_int_equal(answered, 1);
  assert_int_equal(waits[0].status, 1);
  assert_false(pkd_async_once_is_done(&once));
  assert_int_equal(pkd_async_once_call(&loop, &waits[0].req, &once, record),
                   UV_EBUSY); /* it owns the turn */
  assert_int_equal(pkd_async_once_done(&waits[1].req, &once, 0), UV_EPERM);
  assert_int_equal(pkd_async_once_done(&waits[0].req, &once, 0), 0);
  assert_true(pkd_async_once_is_done(&once));
  run_until(4);
  for (unsigned i = 1; i < 4; i++) {
    assert_int_equal(waits[i].status, 0);
    assert_null(pkd_req_owned(&waits[i].req));
  }
  assert_int_equal(pkd_async_once_done(&waits[0].req, &once, 0), UV_EPERM);
  call(4, 1);
  run_until(5);
  assert_int_equal(waits[4].status, 0);
}

static void after_a_failure_the_next_who_waits_leads(void** state) {
  (void)state;
  fresh();
  call(0, 3);
  run_until(1);
  assert_int_equal(pkd_async_once_done(&waits[0].req, &once, UV_ENOENT), 0);
  run_until(2);
  assert_int_equal(waits[1].status, 1);
  assert_int_equal(waits[2].answers, 0);
  assert_int_equal(pkd_async_once_done(&waits[1].req, &once, UV_ENOENT), 0);
  run_until(3);
  assert_int_equal(waits[2].status, 1);
  assert_int_equal(pkd_async_once_done(&waits[2].req, &once, UV_ENOENT), 0);
  call(3, 1); /* nobody waited: the next to come leads */
  run_until(4);
  assert_int_equal(waits[3].status, 1);
  assert_int_equal(pkd_async_once_done(&waits[3].req, &once, 0), 0);
}

static void a_cancelled_initialiser_hands_its_turn_on(void** state) {
  (void)state;
  fresh();
  call(0, 2);
  assert_int_equal(pkd_req_cancel(&waits[0].req), 0); /* before its callback */
  run_until(2);
  assert_int_equal(waits[0].status, UV_ECANCELED);
  assert_int_equal(waits[1].status, 1);
  assert_int_equal(pkd_req_cancel(&waits[1].req), UV_EBUSY);
  assert_int_equal(pkd_async_once_done(&waits[1].req, &once, 0), 0);
}

static void what_is_done_cannot_be_cancelled(void** state) {
  (void)state;
  fresh();
  call(0, 2);
  run_until(1);
  assert_int_equal(pkd_async_once_done(&waits[0].req, &once, 0), 0);
  assert_int_equal(pkd_req_cancel(&waits[1].req), UV_EBUSY);
  run_until(2);
  assert_int_equal(waits[1].status, 0);
}

static void a_wait_can_be_cancelled_or_late(void** state) {
  (void)state;
  fresh();
  call(0, 2);
  assert_int_equal(pkd_req_set_timeout(&waits[2].req, 1), 0);
  call(2, 1);
  run_until(1);
  assert_int_equal(pkd_req_cancel(&waits[1].req), 0);
  run_until(3);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  assert_int_equal(waits[2].status, UV_ETIMEDOUT);
  assert_int_equal(pkd_async_once_destroy(&once), UV_EBUSY);
  assert_int_equal(pkd_async_once_done(&waits[0].req, &once, 0), 0);
  assert_int_equal(pkd_async_once_destroy(&once), 0);
}

static int runs, passes, wrong; /* atomic */

static void block(void* arg, unsigned number) {
  pkd_req_t req = {0};
  int role = pkd_async_once_call_blocking(&req, &once, PKD_FOREVER);

  (void)arg;
  if (role == 1) {
    __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
    /* the first tries fail */
    pkd_async_once_done(&req, &once, runs < 3 ? UV_EIO : 0);
  } else if (role == 0) {
    __atomic_fetch_add(&passes, 1, __ATOMIC_RELAXED);
    if (!pkd_async_once_is_done(&once))
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
  } else {
    __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
  }
  (void)number;
}

static void threads_try_until_one_succeeds(void** state) {
  pkd_req_t req = {0};

  (void)state;
  for (int round = 0; round < ROUNDS(50); round++) {
    fresh();
    runs = passes = wrong = 0;
    team_run(8, block, NULL);
    assert_int_equal(runs, 3);
    assert_int_equal(passes, 5);
    assert_int_equal(wrong, 0);
  }
  assert_int_equal(pkd_async_once_try(&req, &once), 0);
  fresh();
  assert_int_equal(pkd_async_once_try(&req, &once), 1);
  assert_int_equal(pkd_async_once_done(&req, &once, 1), UV_EINVAL);
  assert_int_equal(pkd_async_once_done(NULL, &once, 0), UV_EINVAL);
  assert_int_equal(pkd_async_once_done(&req, &once, 0), 0);
  assert_int_equal(pkd_async_once_try(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_once_call_blocking(&req, &once, PKD_FOREVER),
                   PKD_EDEADLK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(the_first_leads_and_all_pass_when_it_is_done),
      ON_A_LOOP(after_a_failure_the_next_who_waits_leads),
      ON_A_LOOP(a_cancelled_initialiser_hands_its_turn_on),
      ON_A_LOOP(what_is_done_cannot_be_cancelled),
      ON_A_LOOP(a_wait_can_be_cancelled_or_late),
      ON_A_LOOP(threads_try_until_one_succeeds),
  };
  return cmocka_run_group_tests_name("async_once", tests, NULL, NULL);
}
