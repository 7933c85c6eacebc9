/* SPDX-License-Identifier: MIT
 *
 * test_async_event.c - who passes an event, and what becomes of a notification
 * whose waiter is cancelled. */
#include "family.h"

static pkd_async_event_t event;
static struct wait waits[40];

static void start(unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; i++)
    assert_int_equal(pkd_async_event_wait(&loop, &waits[i].req, &event, record),
                     0);
}

static void fresh(void) {
  memset(&event, 0, sizeof event);
  memset(waits, 0, sizeof waits);
}

static void an_unset_event_keeps_all_and_set_lets_all_pass(void** state) {
  (void)state;
  fresh();
  start(0, 40); /* more than one round of grants */
  run_some();
  assert_int_equal(answered, 0);
  assert_int_equal(pkd_async_event_set(&event), 0);
  assert_int_equal(answered, 0); /* no callback inside the call */
  run_until(40);
  for (unsigned i = 0; i < 40; i++) {
    assert_int_equal(waits[i].status, 0);
    assert_int_equal(waits[i].order, i + 1);
    assert_null(pkd_req_owned(&waits[i].req)); /* idle again */
  }
  start(0, 1); /* it stays open */
  run_until(41);
  assert_int_equal(pkd_async_event_clear(&event), 0);
  assert_false(pkd_async_event_is_set(&event));
  start(1, 1);
  run_some();
  assert_int_equal(answered, 41);
  assert_int_equal(pkd_req_cancel(&waits[1].req), 0);
  run_until(42);
}

static void notify_one_wakes_the_oldest_or_is_stored_once(void** state) {
  (void)state;
  fresh();
  start(0, 2);
  pkd_async_event_notify_one(&event);
  run_until(1);
  run_some();
  assert_int_equal(waits[0].answers, 1);
  assert_int_equal(waits[1].answers, 0);
  pkd_async_event_notify_one(&event);
  run_until(2);
  pkd_async_event_notify_one(&event);
  pkd_async_event_notify_one(&event); /* one is stored, not two */
  start(0, 2);
  run_until(3);
  run_some();
  assert_int_equal(answered, 3);
  assert_int_equal(pkd_req_cancel(&waits[1].req), 0);
  run_until(4);
  assert_int_equal(waits[1].status, UV_ECANCELED);
}

static void notify_all_is_for_those_who_wait_and_is_not_stored(void** state) {
  (void)state;
  fresh();
  pkd_async_event_notify_all(&event);
  start(0, 35);
  run_some();
  assert_int_equal(answered, 0);
  pkd_async_event_notify_all(&event);
  start(35, 1); /* came later */
  run_until(35);
  run_some();
  assert_int_equal(waits[35].answers, 0);
  pkd_async_event_notify_one(&event);
  run_until(36);
}

static void who_armed_before_notify_all_passes_though_others_wait(void** s) {
  uint32_t since;

  (void)s;
  fresh();
  since = pkd_async_event_arm(&event);
  pkd_async_event_notify_all(&event);
  start(0, 1); /* in the new epoch: waits */
  assert_int_equal(
      pkd_async_event_wait_since(&loop, &waits[1].req, &event, since, record),
      0);
  run_until(1);
  assert_int_equal(waits[1].answers, 1);
  assert_int_equal(waits[0].answers, 0);
  pkd_async_event_notify_all(&event);
  run_until(2);
}

/* Also one that does not want to wait: it has not to. */
static void who_armed_before_notify_all_passes_without_time(void** state) {
  uint32_t since;

  (void)state;
  fresh();
  since = pkd_async_event_arm(&event);
  assert_int_equal(pkd_async_event_notify_all(&event), 0);
  start(0, 1); /* it came later, and waits */
  pkd_req_set_timeout(&waits[1].req, 0);
  assert_int_equal(
      pkd_async_event_wait_since(&loop, &waits[1].req, &event, since, record),
      0);
  run_until(1);
  assert_int_equal(waits[1].status, 0);
  assert_int_equal(waits[0].answers, 0);
  pkd_req_set_timeout(&waits[2].req, 0);
  assert_int_equal(pkd_async_event_wait(&loop, &waits[2].req, &event, record),
                   UV_EBUSY);
  assert_int_equal(pkd_async_event_close(&event), 0);
  run_until(2);
}

static void a_notification_of_a_cancelled_wait_goes_to_the_next(void** s) {
  (void)s;
  fresh();
  start(0, 2);
  pkd_async_event_notify_one(&event);
  assert_int_equal(pkd_req_cancel(&waits[0].req), 0); /* granted, undelivered */
  run_until(2);
  assert_int_equal(waits[0].status, UV_ECANCELED);
  assert_int_equal(waits[1].status, 0);
  start(2, 1);
  pkd_async_event_notify_one(&event);
  assert_int_equal(pkd_req_cancel(&waits[2].req), 0);
  start(3, 1); /* nobody was there: it was stored again */
  run_until(4);
  assert_int_equal(waits[3].status, 0);
  /* but what notify_all gave is nobody else's */
  start(4, 1);
  pkd_async_event_notify_all(&event);
  assert_int_equal(pkd_req_cancel(&waits[4].req), 0);
  start(5, 1);
  run_until(5);
  run_some();
  assert_int_equal(waits[5].answers, 0);
  pkd_async_event_set(&event);
  run_until(6);
}

static void timeouts_and_close_end_the_wait(void** state) {
  (void)state;
  fresh();
  pkd_req_set_timeout(&waits[0].req, 0);
  assert_int_equal(pkd_async_event_wait(&loop, &waits[0].req, &event, record),
                   UV_EBUSY);
  pkd_req_set_timeout(&waits[0].req, 1);
  start(0, 2);
  run_until(1);
  assert_int_equal(waits[0].status, UV_ETIMEDOUT);
  assert_int_equal(pkd_async_event_destroy(&event), UV_EBUSY);
  assert_int_equal(pkd_async_event_close(&event), 0);
  run_until(2);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  assert_int_equal(pkd_async_event_wait(&loop, &waits[2].req, &event, record),
                   UV_ESHUTDOWN);
  assert_int_equal(pkd_async_event_destroy(&event), 0);
}

static int verdicts[4];

static void block(void* arg, unsigned number) {
  pkd_req_t req = {0};

  (void)arg;
  verdicts[number] = pkd_async_event_wait_blocking(&req, &event, PKD_FOREVER);
}

static void threads_stand_in_the_same_queue(void** state) {
  struct team team;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  team_start(&team, 4, block, NULL);
  WAIT_FOR(pkd_lot_for_each(&event, NULL, NULL) == 4);
  start(0, 1);
  for (int i = 0; i < 4; i++)
    pkd_async_event_notify_one(&event);
  team_join(&team);
  for (int i = 0; i < 4; i++)
    assert_int_equal(verdicts[i], 0);
  run_some();
  assert_int_equal(answered, 0);
  pkd_async_event_notify_one(&event);
  run_until(1);
  assert_int_equal(pkd_async_event_wait_blocking(&req, &event, PKD_FOREVER),
                   PKD_EDEADLK);
  assert_int_equal(pkd_async_event_try_wait(&req, &event), UV_EBUSY);
  pkd_async_event_notify_one(&event);
  assert_int_equal(pkd_async_event_try_wait(&req, &event), 0);
  assert_int_equal(pkd_async_event_try_wait(&req, &event), UV_EBUSY);
}

static void a_null_is_refused(void** state) {
  pkd_req_t req = {0};

  (void)state;
  assert_int_equal(pkd_async_event_set(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_clear(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_notify_one(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_notify_all(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_close(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_destroy(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_try_wait(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_wait(&loop, &req, NULL, record), UV_EINVAL);
  assert_int_equal(pkd_async_event_wait(&loop, NULL, &event, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_event_wait(NULL, &req, &event, record), UV_EINVAL);
  assert_int_equal(pkd_async_event_wait(&loop, &req, &event, NULL), UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(an_unset_event_keeps_all_and_set_lets_all_pass),
      ON_A_LOOP(notify_one_wakes_the_oldest_or_is_stored_once),
      ON_A_LOOP(notify_all_is_for_those_who_wait_and_is_not_stored),
      ON_A_LOOP(who_armed_before_notify_all_passes_though_others_wait),
      ON_A_LOOP(who_armed_before_notify_all_passes_without_time),
      ON_A_LOOP(a_notification_of_a_cancelled_wait_goes_to_the_next),
      ON_A_LOOP(timeouts_and_close_end_the_wait),
      ON_A_LOOP(threads_stand_in_the_same_queue),
      ON_A_LOOP(a_null_is_refused),
  };
  return cmocka_run_group_tests_name("async_event", tests, NULL, NULL);
}
