/* SPDX-License-Identifier: MIT
 *
 * test_async_barrier.c - all arrive or nobody passes; one leads. */
#include "family.h"

static pkd_async_barrier_t barrier;
static struct wait waits[70];

static void fresh(uint32_t parties) {
  assert_int_equal(pkd_async_barrier_init(&barrier, parties), 0);
  memset(waits, 0, sizeof waits);
}

static void arrive(unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; i++)
    assert_int_equal(
        pkd_async_barrier_arrive(&loop, &waits[i].req, &barrier, record), 0);
}

static int leaders(unsigned first, unsigned count) {
  int sum = 0;

  for (unsigned i = first; i < first + count; i++) {
    assert_int_equal(waits[i].answers, 1);
    assert_in_range(waits[i].status, 0, 1);
    sum += waits[i].status;
  }
  return sum;
}

static void all_pass_when_the_last_arrives_and_it_leads(void** state) {
  (void)state;
  fresh(35);                             /* more than one round of grants */
  for (int turn = 0; turn < 2; turn++) { /* it can be used again */
    memset(waits, 0, sizeof waits);
    arrive(0, 34);
    run_some();
    assert_int_equal(answered, 35 * turn);
    assert_int_equal(pkd_async_barrier_arrived(&barrier), 34);
    arrive(34, 1);
    run_until(35 * turn + 35);
    assert_int_equal(leaders(0, 35), 1);
    assert_int_equal(waits[34].status, 1);
    assert_null(pkd_req_owned(&waits[34].req));
    assert_int_equal(pkd_async_barrier_arrived(&barrier), 0);
  }
}

static void a_barrier_for_one_never_waits(void** state) {
  (void)state;
  fresh(1);
  arrive(0, 3);
  run_until(3);
  assert_int_equal(leaders(0, 3), 3);
  memset(&barrier, 0, sizeof barrier);
  arrive(3, 1);
  run_until(4);
  assert_int_equal(waits[3].status, 1);
}

static void who_is_cancelled_or_late_has_not_arrived(void** state) {
  (void)state;
  fresh(3);
  arrive(0, 1);
  assert_int_equal(pkd_req_set_timeout(&waits[1].req, 1), 0);
  arrive(1, 1);
  assert_int_equal(pkd_req_cancel(&waits[0].req), 0);
  run_until(2);
  assert_int_equal(waits[0].status, UV_ECANCELED);
  assert_int_equal(waits[1].status, UV_ETIMEDOUT);
  assert_int_equal(pkd_async_barrier_arrived(&barrier), 0);
  arrive(2, 2);
  run_some();
  assert_int_equal(answered, 2);
  arrive(4, 1);
  run_until(5);
  assert_int_equal(leaders(2, 3), 1);
}

static void once_complete_it_cannot_be_cancelled(void** state) {
  (void)state;
  fresh(2);
  arrive(0, 2);
  assert_int_equal(pkd_req_cancel(&waits[0].req), UV_EBUSY);
  assert_int_equal(pkd_req_cancel(&waits[1].req), UV_EBUSY);
  run_until(2);
  assert_int_equal(leaders(0, 2), 1);
}

static void abort_sends_all_away_until_a_reset(void** state) {
  (void)state;
  fresh(70);
  arrive(0, 69);
  assert_int_equal(pkd_async_barrier_destroy(&barrier), UV_EBUSY);
  assert_int_equal(pkd_async_barrier_abort(&barrier), 0);
  assert_int_equal(
      pkd_async_barrier_arrive(&loop, &waits[69].req, &barrier, record),
      UV_ESHUTDOWN);
  run_until(69);
  for (int i = 0; i < 69; i++)
    assert_int_equal(waits[i].status, UV_ECANCELED);
  assert_int_equal(pkd_async_barrier_arrived(&barrier), 0);
  assert_int_equal(pkd_async_barrier_reset(&barrier), 0);
  memset(waits, 0, sizeof waits);
  arrive(0, 70);
  run_until(139);
  assert_int_equal(leaders(0, 70), 1);
  assert_int_equal(pkd_async_barrier_destroy(&barrier), 0);
}

enum { PARTIES = 4, TURNS = 200 };
static int led[PARTIES], failed[PARTIES], skew[PARTIES];
static int reached[PARTIES]; /* atomic: the turn each is in */

static void go_round(void* arg, unsigned number) {
  (void)arg;
  for (int turn = 0; turn < ROUNDS(TURNS); turn++) {
    pkd_req_t req = {0};
    int role;

    __atomic_store_n(&reached[number], turn, __ATOMIC_RELAXED);
    role = pkd_async_barrier_arrive_blocking(&req, &barrier, PKD_FOREVER);
    failed[number] += role < 0;
    led[number] += role == 1;
    for (int i = 0; i < PARTIES; i++)
      skew[number] += __atomic_load_n(&reached[i], __ATOMIC_RELAXED) < turn;
  }
}

static void threads_meet_again_and_again(void** state) {
  int sum = 0;
  pkd_req_t req = {0};

  (void)state;
  fresh(PARTIES);
  memset(led, 0, sizeof led);
  team_run(PARTIES, go_round, NULL);
  for (int i = 0; i < PARTIES; i++) {
    assert_int_equal(failed[i], 0);
    assert_int_equal(skew[i], 0); /* nobody passed before all were there */
    sum += led[i];
  }
  assert_int_equal(sum, ROUNDS(TURNS)); /* one leader a turn */
  assert_int_equal(
      pkd_async_barrier_arrive_blocking(&req, &barrier, PKD_FOREVER),
      PKD_EDEADLK);
  assert_int_equal(pkd_async_barrier_init(NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_barrier_init(&barrier, PKD_ASYNC_BARRIER_MAX + 1),
                   UV_EINVAL);
  assert_int_equal(pkd_async_barrier_abort(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_barrier_reset(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_barrier_arrive(&loop, &req, NULL, record),
                   UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(all_pass_when_the_last_arrives_and_it_leads),
      ON_A_LOOP(a_barrier_for_one_never_waits),
      ON_A_LOOP(who_is_cancelled_or_late_has_not_arrived),
      ON_A_LOOP(once_complete_it_cannot_be_cancelled),
      ON_A_LOOP(abort_sends_all_away_until_a_reset),
      ON_A_LOOP(threads_meet_again_and_again),
  };
  return cmocka_run_group_tests_name("async_barrier", tests, NULL, NULL);
}
