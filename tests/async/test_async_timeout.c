/* SPDX-License-Identifier: MIT
 *
 * test_async_timeout.c - waits that end by themselves. Time passes here, but no
 * test depends on how fast: deadlines are past or far away when it matters. */
#include "actors.h"

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;

static struct target kind(int which) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
  sem = (pkd_async_sem_t)PKD_ASYNC_SEM_INIT(1, 0);
  return which == 0 ? mutex_target(&mutex) : sem_target(&sem, 1);
}

static void wait_with(struct actor* actor, unsigned number,
                      struct target target, uint64_t ms) {
  actor_init(actor, number, target);
  actor->timeout = ms;
  assert_int_equal(actor_start(actor), 0);
}

static void a_wait_ends_when_its_time_is_up(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, waiter;
    uint64_t start = uv_hrtime();

    actor_own(&owner, 0, target);
    wait_with(&waiter, 1, target, 15);
    assert_int_equal(actor_wait(&waiter), UV_ETIMEDOUT);
    assert_true(uv_hrtime() - start >= 15000000); /* never early */
    assert_int_equal(waiting_at(target_address(target)), 0);
    assert_int_equal(actor_release(&waiter), UV_EPERM);
    assert_int_equal(pkd_req_cancel(&waiter.req), UV_EINVAL);
    assert_int_equal(actor_release(&owner), 0);
    settle();
    assert_int_equal(waiter.answers, 1);
  }
}

static void timeouts_come_in_the_order_of_their_deadlines(void** state) {
  static const uint64_t ms[6] = {70, 10, 130, 40, 1, 100};
  static const unsigned by_time[6] = {4, 1, 3, 0, 5, 2};
  struct actor owner, actors[6];

  (void)state;
  actor_own(&owner, 0, kind(0));
  for (unsigned i = 0; i < 6; i++)
    wait_with(&actors[i], 0, mutex_target(&mutex), ms[i]);
  for (unsigned i = 0; i < 6; i++)
    assert_int_equal(actor_wait(&actors[i]), UV_ETIMEDOUT);
  for (unsigned i = 1; i < 6; i++)
    assert_true(actors[by_time[i - 1]].order < actors[by_time[i]].order);
  assert_int_equal(actor_release(&owner), 0);
}

static void a_timed_out_tail_does_not_cut_off_who_comes_next(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, first, tail, last;

    actor_own(&owner, 0, target);
    wait_with(&first, 0, target, PKD_NO_TIMEOUT);
    wait_with(&tail, 1, target, 5);
    assert_int_equal(actor_wait(&tail), UV_ETIMEDOUT);
    wait_with(&last, 1, target, PKD_NO_TIMEOUT);
    assert_int_equal(actor_release(&owner), 0);
    assert_int_equal(actor_wait(&first), 0);
    assert_int_equal(actor_release(&first), 0);
    assert_int_equal(actor_wait(&last), 0);
    assert_int_equal(actor_release(&last), 0);
  }
}

static void a_timed_out_big_head_lets_the_small_ones_in(void** state) {
  struct actor owner, big, small;

  (void)state;
  pkd_async_sem_init(&sem, 4, 0);
  actor_own(&owner, 0, sem_target(&sem, 2));
  wait_with(&big, 1, sem_target(&sem, 3), 5);
  wait_with(&small, 0, sem_target(&sem, 1), PKD_NO_TIMEOUT);
  assert_int_equal(actor_wait(&big), UV_ETIMEDOUT);
  assert_int_equal(actor_wait(&small), 0);
  assert_int_equal(actor_release(&small), 0);
  assert_int_equal(actor_release(&owner), 0);
}

static void let_pass(uint64_t ms) {
  uint64_t end = uv_hrtime() + ms * 1000000;

  while (uv_hrtime() < end)
    continue;
}

static void a_grant_that_came_first_wins_over_the_deadline(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, waiter;

    actor_own(&owner, 1, target);
    wait_with(&waiter, 0, target, 3); /* loop A does not turn meanwhile */
    let_pass(8);
    assert_int_equal(actor_release(&owner), 0);
    let_pass(2);
    assert_int_equal(actor_wait(&waiter), 0);
    assert_int_equal(actor_release(&waiter), 0);
  }
}

/* Grants and deadlines in the same millisecond: whoever wins, it is one of the
 * two, once, and the lock is never lost. */
static void a_tie_has_one_winner(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(100); i++) {
    struct target target = kind(i % 2);
    struct actor owner, waiter;
    int status;

    actor_own(&owner, 0, target);
    wait_with(&waiter, 1, target, 1);
    let_pass(1);
    assert_int_equal(actor_release(&owner), 0);
    status = actor_wait(&waiter);
    assert_true(status == 0 || status == UV_ETIMEDOUT);
    assert_int_equal(actor_release(&waiter), status == 0 ? 0 : UV_EPERM);
    assert_int_equal(waiter.answers, 1);
    actor_own(&owner, 0, target); /* it is free again */
    assert_int_equal(actor_release(&owner), 0);
  }
}

static void zero_means_try(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, waiter;

    actor_own(&owner, 1, target);
    actor_init(&waiter, 0, target);
    waiter.timeout = 0;
    assert_int_equal(actor_start(&waiter), UV_EBUSY);
    settle();
    assert_int_equal(waiter.answers, 0);
    assert_int_equal(actor_release(&owner), 0);
    waiter.timeout = 0;
    assert_int_equal(actor_start(&waiter), 0); /* free: granted, called back */
    assert_int_equal(waiter.answers, 0);
    assert_int_equal(actor_wait(&waiter), 0);
    assert_int_equal(actor_release(&waiter), 0);
  }
}

static void a_timeout_is_used_up_by_one_start(void** state) {
  struct actor owner, waiter;

  (void)state;
  actor_own(&owner, 0, kind(0));
  actor_init(&waiter, 0, mutex_target(&mutex));
  assert_int_equal(pkd_req_set_timeout(&waiter.req, 0), 0);
  assert_int_equal(actor_start(&waiter), UV_EBUSY);
  assert_int_equal(actor_start(&waiter), 0); /* queued, as if none was set */
  assert_int_equal(pkd_req_set_timeout(&waiter.req, 1), UV_EALREADY);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  /* set while it owns: for the next start */
  assert_int_equal(pkd_req_set_timeout(&waiter.req, 2), 0);
  assert_int_equal(actor_release(&waiter), 0);
  actor_own(&owner, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  waiter.status = NOT_YET;
  assert_int_equal(actor_wait(&waiter), UV_ETIMEDOUT);
  assert_int_equal(actor_release(&owner), 0);
}

static void endless_timeouts_set_no_timer(void** state) {
  struct actor owner, waiter;

  (void)state;
  actor_own(&owner, 0, kind(0));
  wait_with(&waiter, 0, mutex_target(&mutex), (UINT64_C(1) << 31) + 1);
  assert_int_equal(uv_backend_timeout(&uv_a), -1);
  assert_int_equal(pkd_req_cancel(&waiter.req), 0);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  wait_with(&waiter, 0, mutex_target(&mutex), UINT64_C(1) << 31);
  assert_true(uv_backend_timeout(&uv_a) > 0);
  assert_int_equal(pkd_req_cancel(&waiter.req), 0);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  assert_int_equal(actor_release(&owner), 0);
}

static void a_blocking_wait_with_a_past_deadline_is_a_try(void** state) {
  struct actor owner, waiter;

  (void)state;
  actor_own(&owner, 0, kind(0));
  actor_init(&waiter, 1, mutex_target(&mutex));
  waiter.timeout = 0;
  assert_int_equal(waiter.place, THREAD);
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(actor_wait(&waiter), UV_ETIMEDOUT);
  assert_int_equal(actor_release(&owner), 0);
  waiter.timeout = 0;
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
}

static int timeouts;

static void count(pkd_req_t* req, int status) {
  (void)req;
  timeouts += status == UV_ETIMEDOUT;
}

static void many_timeouts_share_one_timer(void** state) {
  enum { MANY = 5000 };
  pkd_req_t* reqs = calloc(MANY, sizeof *reqs);
  struct actor owner;

  (void)state;
  timeouts = 0;
  actor_own(&owner, 0, kind(0));
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(
        pkd_req_set_timeout(&reqs[i], 1 + (uint64_t)(i * 7919) % 300), 0);
    assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[i], &mutex, count), 0);
  }
  WAIT_FOR((turn_a(), pkd_loop_pending(&loop_a) == 0));
  assert_int_equal(timeouts, MANY);
  assert_int_equal(waiting_at(&mutex), 0);
  assert_int_equal(actor_release(&owner), 0);
  free(reqs);
}

/* Of those whose time is up at once, a turn of the loop ends some, the next ones
 * the others. */
static void a_crowd_whose_time_is_up_ends_in_turns(void** state) {
  enum { CROWD = 600 };
  static pkd_req_t reqs[CROWD];
  struct actor owner;
  uint64_t end;

  (void)state;
  memset(reqs, 0, sizeof reqs);
  timeouts = 0;
  actor_own(&owner, 0, kind(0));
  for (int i = 0; i < CROWD; i++) {
    assert_int_equal(pkd_req_set_timeout(&reqs[i], 1), 0);
    assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[i], &mutex, count), 0);
  }
  end = uv_hrtime() + 5000000;
  WAIT_FOR(uv_hrtime() > end);
  WAIT_FOR((turn_a(), pkd_loop_pending(&loop_a) == 0));
  assert_int_equal(timeouts, CROWD);
  assert_int_equal(waiting_at(&mutex), 0);
  assert_int_equal(actor_release(&owner), 0);
}

/* --- a loop whose time stands still ------------------------------------------ */

static pkd_loop_t late;
static pkd_req_t late_wait;
static int late_status;

static void leaves(pkd_req_t* req, int status) {
  (void)req;
  late_status = status;
  assert_int_equal(pkd_loop_detach(&late, NULL), 0);
}

/* The loop's time is that of the beginning of this callback. */
static void is_attached_late(uv_timer_t* timer) {
  uint64_t begun = uv_now(timer->loop);

  WAIT_FOR(uv_hrtime() / 1000000 > begun);
  assert_int_equal(pkd_loop_attach(&late, timer->loop), 0);
  assert_int_equal(pkd_req_set_timeout(&late_wait, 60000), 0);
  assert_int_equal(pkd_async_mutex_lock(&late, &late_wait, &mutex, leaves), 0);
}

static void ends_the_wait(uv_prepare_t* prepare) {
  assert_int_equal(pkd_req_cancel(&late_wait), 0);
  uv_close((uv_handle_t*)prepare, NULL);
}

static void a_loop_goes_on_that_is_attached_late_in_a_timer(void** state) {
  struct actor owner;
  uv_prepare_t prepare;
  uv_timer_t timer;
  uv_loop_t uv;

  (void)state;
  actor_own(&owner, 0, kind(0));
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(uv_prepare_init(&uv, &prepare), 0);
  assert_int_equal(uv_prepare_start(&prepare, ends_the_wait), 0);
  assert_int_equal(uv_timer_init(&uv, &timer), 0);
  assert_int_equal(uv_timer_start(&timer, is_attached_late, 0, 0), 0);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  assert_int_equal(late_status, UV_ECANCELED);
  uv_close((uv_handle_t*)&timer, NULL);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&uv), 0);
  assert_int_equal(actor_release(&owner), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_EACH_WORLD(a_wait_ends_when_its_time_is_up),
      IN_ONE_WORLD(timeouts_come_in_the_order_of_their_deadlines),
      IN_EACH_WORLD(a_timed_out_tail_does_not_cut_off_who_comes_next),
      IN_EACH_WORLD(a_timed_out_big_head_lets_the_small_ones_in),
      IN_EACH_WORLD(a_grant_that_came_first_wins_over_the_deadline),
      IN_EACH_WORLD(a_tie_has_one_winner),
      IN_ONE_WORLD(zero_means_try),
      IN_ONE_WORLD(a_timeout_is_used_up_by_one_start),
      IN_ONE_WORLD(endless_timeouts_set_no_timer),
      IN_WORLD(a_blocking_wait_with_a_past_deadline_is_a_try, 2),
      IN_ONE_WORLD(many_timeouts_share_one_timer),
      IN_ONE_WORLD(a_crowd_whose_time_is_up_ends_in_turns),
      IN_ONE_WORLD(a_loop_goes_on_that_is_attached_late_in_a_timer),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
