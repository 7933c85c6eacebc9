/* SPDX-License-Identifier: MIT
 *
 * test_async_gate.c - nobody enters a shut gate, and who closed it hears of the
 * last to leave. */
#include "family.h"

static pkd_async_gate_t gate;
static struct wait waits[4];

static void fresh(void) {
  memset(&gate, 0, sizeof gate);
  memset(waits, 0, sizeof waits);
}

static void closing_waits_for_the_last_inside(void** state) {
  (void)state;
  fresh();
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
  assert_int_equal(pkd_async_gate_inside(&gate), 2);
  for (int i = 0; i < 2; i++)
    assert_int_equal(pkd_async_gate_close(&loop, &waits[i].req, &gate, record),
                     0);
  assert_int_equal(pkd_async_gate_enter(&gate), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_gate_leave(&gate), 0);
  run_some();
  assert_int_equal(answered, 0);
  assert_int_equal(pkd_async_gate_destroy(&gate), UV_EBUSY);
  assert_int_equal(pkd_async_gate_leave(&gate), 0);
  run_until(2);
  assert_int_equal(waits[0].status, 0);
  assert_int_equal(waits[1].status, 0);
  assert_int_equal(pkd_async_gate_leave(&gate), UV_EPERM);
  assert_int_equal(pkd_async_gate_close(&loop, &waits[2].req, &gate, record),
                   0);
  run_until(3);
  assert_int_equal(pkd_async_gate_destroy(&gate), 0);
}

static void more_than_can_be_counted_are_refused(void** state) {
  const uint64_t full = UINT64_C(0xffffffff) << 32; /* who are inside */

  (void)state;
  fresh();
  gate.word = full;
  assert_int_equal(pkd_async_gate_enter(&gate), UV_EAGAIN);
  assert_int_equal(pkd_async_gate_leave(&gate), 0);
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
  assert_int_equal(pkd_async_gate_inside(&gate), UINT32_MAX);
}

static void a_cancelled_close_leaves_the_gate_shut(void** state) {
  (void)state;
  fresh();
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
  assert_int_equal(pkd_async_gate_close(&loop, &waits[0].req, &gate, record),
                   0);
  assert_int_equal(pkd_req_set_timeout(&waits[1].req, 1), 0);
  assert_int_equal(pkd_async_gate_close(&loop, &waits[1].req, &gate, record),
                   0);
  assert_int_equal(pkd_req_cancel(&waits[0].req), 0);
  run_until(2);
  assert_int_equal(waits[0].status, UV_ECANCELED);
  assert_int_equal(waits[1].status, UV_ETIMEDOUT);
  assert_int_equal(pkd_async_gate_enter(&gate), UV_ESHUTDOWN);
  assert_int_equal(pkd_req_set_timeout(&waits[2].req, 0), 0);
  assert_int_equal(pkd_async_gate_close(&loop, &waits[2].req, &gate, record),
                   UV_EBUSY);
  assert_int_equal(pkd_async_gate_leave(&gate), 0);
  assert_int_equal(pkd_async_gate_close(&loop, &waits[2].req, &gate, record),
                   0);
  run_until(3);
  assert_int_equal(waits[2].status, 0);
}

static int inside, seen_inside; /* atomic */

static void come_and_go(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  while (pkd_async_gate_enter(&gate) == 0) {
    __atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
    pkd_async_gate_leave(&gate);
  }
}

static void look_inside(pkd_req_t* req, int status) {
  seen_inside = __atomic_load_n(&inside, __ATOMIC_RELAXED);
  record(req, status);
}

static void nobody_is_inside_when_the_callback_runs(void** state) {
  (void)state;
  for (int round = 0; round < ROUNDS(200); round++) {
    struct team team;

    fresh();
    seen_inside = -1;
    team_start(&team, 3, come_and_go, NULL);
    assert_int_equal(
        pkd_async_gate_close(&loop, &waits[0].req, &gate, look_inside), 0);
    run_until(round + 1);
    assert_int_equal(seen_inside, 0);
    team_join(&team);
  }
}

static int closed_with;

static void close_and_wait(void* arg, unsigned number) {
  pkd_req_t req = {0};

  (void)arg;
  (void)number;
  closed_with = pkd_async_gate_close_blocking(&req, &gate, PKD_FOREVER);
}

static void a_thread_can_close_it_too(void** state) {
  struct team team;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  closed_with = 1;
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
  team_start(&team, 1, close_and_wait, NULL);
  WAIT_FOR(pkd_lot_for_each(&gate, NULL, NULL) == 1);
  assert_int_equal(pkd_async_gate_leave(&gate), 0);
  team_join(&team);
  assert_int_equal(closed_with, 0);
  assert_int_equal(pkd_async_gate_close_blocking(&req, &gate, PKD_FOREVER),
                   PKD_EDEADLK);
  assert_int_equal(pkd_async_gate_close_blocking(&req, NULL, PKD_FOREVER),
                   UV_EINVAL);
  assert_int_equal(pkd_async_gate_close(&loop, &req, NULL, record), UV_EINVAL);
  assert_int_equal(pkd_async_gate_enter(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_gate_leave(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_gate_destroy(NULL), UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(closing_waits_for_the_last_inside),
      ON_A_LOOP(more_than_can_be_counted_are_refused),
      ON_A_LOOP(a_cancelled_close_leaves_the_gate_shut),
      ON_A_LOOP(nobody_is_inside_when_the_callback_runs),
      ON_A_LOOP(a_thread_can_close_it_too),
  };
  return cmocka_run_group_tests_name("async_gate", tests, NULL, NULL);
}
