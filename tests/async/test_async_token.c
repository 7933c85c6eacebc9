/* SPDX-License-Identifier: MIT
 *
 * test_async_token.c - one token ends the waits of requests and of threads. */
#include "family.h"

#include <parkade/mutex.h>

enum { REQS = 3 };

static pkd_async_mutex_t lock;
static pkd_cancel_t token;
static struct wait waits[REQS];
static pkd_req_tie_t ties[REQS];

static void untie_and_record(pkd_req_t* req, int status) {
  pkd_req_untie(&ties[(struct wait*)req - waits]);
  record(req, status);
}

/* The first request holds the lock, the others wait for it. */
static void line_up(void) {
  memset(&lock, 0, sizeof lock);
  memset(&token, 0, sizeof token);
  memset(waits, 0, sizeof waits);
  memset(ties, 0, sizeof ties);
  for (int i = 0; i < REQS; i++)
    assert_int_equal(
        pkd_async_mutex_lock(&loop, &waits[i].req, &lock, untie_and_record), 0);
  run_until(1);
}

static void let_go(int i) {
  assert_int_equal(pkd_async_mutex_unlock(&waits[i].req, &lock), 0);
}

static void firing_ends_the_waits_that_are_tied(void** state) {
  (void)state;
  line_up();
  assert_int_equal(pkd_req_cancel_on(&ties[1], &waits[1].req, &token), 0);
  pkd_cancel_fire(&token);
  run_until(2);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  let_go(0);
  run_until(3);
  assert_int_equal(waits[2].status, 0);
  let_go(2);
}

static void what_is_untied_is_left_alone(void** state) {
  (void)state;
  line_up();
  for (int i = 1; i < REQS; i++)
    assert_int_equal(pkd_req_cancel_on(&ties[i], &waits[i].req, &token), 0);
  pkd_req_untie(&ties[1]);
  pkd_req_untie(&ties[1]);
  pkd_req_untie(NULL);
  pkd_cancel_fire(&token);
  run_until(2);
  assert_int_equal(waits[1].answers, 0);
  assert_int_equal(waits[2].status, UV_ECANCELED);
  let_go(0);
  run_until(3);
  assert_int_equal(waits[1].status, 0);
  let_go(1);
}

static void a_fired_token_cancels_at_once_and_ties_nothing(void** state) {
  pkd_cancel_t past;

  (void)state;
  line_up();
  pkd_cancel_fire(&token);
  pkd_cancel_init(&past, NULL, 0);
  assert_int_equal(pkd_req_cancel_on(&ties[1], &waits[1].req, &token),
                   UV_ECANCELED);
  assert_int_equal(pkd_req_cancel_on(&ties[2], &waits[2].req, &past),
                   UV_ECANCELED);
  run_until(3);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  assert_int_equal(waits[2].status, UV_ECANCELED);
  let_go(0);
}

static void a_grant_wins(void** state) {
  (void)state;
  line_up();
  assert_int_equal(pkd_req_cancel_on(&ties[0], &waits[0].req, &token), 0);
  pkd_cancel_fire(&token); /* it was answered before */
  pkd_req_untie(&ties[0]);
  run_some();
  assert_int_equal(waits[0].answers, 1);
  let_go(0);
  run_until(2);
  let_go(1);
  run_until(3);
  let_go(2);
}

static pkd_mutex_t mutex;
static int thread_rc;

static void wait_in_a_thread(void* arg, unsigned number) {
  (void)number;
  thread_rc = pkd_mutex_lock_cancellable(&mutex, arg, PKD_FOREVER);
}

static void one_token_for_threads_and_tasks_alike(void** state) {
  struct team team;
  pkd_cancel_t child;

  (void)state;
  line_up();
  thread_rc = 1;
  assert_int_equal(pkd_cancel_init(&child, &token, PKD_FOREVER), 0);
  pkd_mutex_lock(&mutex);
  team_start(&team, 1, wait_in_a_thread, &child);
  WAIT_FOR(pkd_lot_for_each(&child, NULL, NULL) == 1);
  assert_int_equal(pkd_req_cancel_on(&ties[1], &waits[1].req, &child), 0);
  assert_int_equal(pkd_req_cancel_on(&ties[2], &waits[2].req, &token), 0);
  pkd_cancel_fire(&token);
  run_until(3);
  team_join(&team);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  assert_int_equal(waits[2].status, UV_ECANCELED);
  assert_int_equal(thread_rc, -ECANCELED);
  pkd_cancel_close(&child);
  pkd_mutex_unlock(&mutex);
  let_go(0);
}

static void fire_it(void* arg, unsigned number) {
  (void)number;
  pkd_cancel_fire(arg);
}

static void firing_elsewhere_races_the_grant(void** state) {
  (void)state;
  for (int round = 0; round < ROUNDS(300); round++) {
    struct team team;

    answered = 0;
    line_up();
    assert_int_equal(pkd_req_cancel_on(&ties[1], &waits[1].req, &token), 0);
    team_start(&team, 1, fire_it, &token);
    let_go(0);
    run_until(2);
    if (waits[1].answers != 0 && waits[1].status == 0)
      let_go(1);
    run_until(3);
    team_join(&team);
    assert_true(waits[1].status == 0 || waits[1].status == UV_ECANCELED);
    assert_int_equal(waits[2].status, 0);
    let_go(2);
  }
}

static void the_tokens_deadline_bounds_the_next_start(void** state) {
  pkd_cancel_t soon;

  (void)state;
  line_up();
  pkd_cancel_init(&soon, NULL, pkd_after(2000000));
  assert_int_equal(pkd_req_cancel(&waits[2].req), 0);
  run_until(2);
  assert_int_equal(pkd_req_set_timeout_of(&waits[2].req, &soon), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &waits[2].req, &lock, record),
                   0);
  run_until(3);
  assert_int_equal(waits[2].status, UV_ETIMEDOUT);
  assert_true(pkd_now() >= pkd_cancel_deadline(&soon));
  assert_int_equal(pkd_req_set_timeout_of(&waits[2].req, &soon), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &waits[2].req, &lock, record),
                   UV_EBUSY); /* past: do not wait at all */
  assert_int_equal(pkd_req_set_timeout_of(&waits[2].req, &token), 0);
  let_go(0);
  run_until(4);
  let_go(1);
}

static void null_is_refused(void** state) {
  (void)state;
  assert_int_equal(pkd_req_cancel_on(NULL, &waits[0].req, &token), UV_EINVAL);
  assert_int_equal(pkd_req_cancel_on(&ties[0], NULL, &token), UV_EINVAL);
  assert_int_equal(pkd_req_cancel_on(&ties[0], &waits[0].req, NULL), UV_EINVAL);
  assert_int_equal(pkd_req_set_timeout_of(NULL, &token), UV_EINVAL);
  assert_int_equal(pkd_req_set_timeout_of(&waits[0].req, NULL), UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(firing_ends_the_waits_that_are_tied),
      ON_A_LOOP(what_is_untied_is_left_alone),
      ON_A_LOOP(a_fired_token_cancels_at_once_and_ties_nothing),
      ON_A_LOOP(a_grant_wins),
      ON_A_LOOP(one_token_for_threads_and_tasks_alike),
      ON_A_LOOP(firing_elsewhere_races_the_grant),
      ON_A_LOOP(the_tokens_deadline_bounds_the_next_start),
      ON_A_LOOP(null_is_refused),
  };
  return cmocka_run_group_tests_name("async_token", tests, NULL, NULL);
}
