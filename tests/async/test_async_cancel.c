/* SPDX-License-Identifier: MIT
 *
 * test_async_cancel.c - the end of a wait by cancel, at each state a request can
 * be in; for the mutex and the semaphore, in each world. */
#include "actors.h"

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;

/* Both kinds, with room for one. */
static struct target kind(int which) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
  sem = (pkd_async_sem_t)PKD_ASYNC_SEM_INIT(1, 0);
  return which == 0 ? mutex_target(&mutex) : sem_target(&sem, 1);
}

static void a_request_never_started_cannot_be_cancelled(void** state) {
  pkd_req_t req = {0};

  (void)state;
  assert_int_equal(pkd_req_cancel(&req), UV_EINVAL);
  assert_int_equal(pkd_req_cancel(NULL), UV_EINVAL);
}

static void cancel_of_a_queued_request_is_its_only_answer(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, waiter;

    actor_own(&owner, 0, target);
    actor_queue(&waiter, 1, target);
    assert_int_equal(pkd_req_cancel(&waiter.req), 0);
    assert_int_equal(waiting_at(target_address(target)), 0);
    assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
    assert_int_equal(actor_release(&owner), 0);
    settle();
    assert_int_equal(waiter.answers, 1);
    assert_null(pkd_req_owned(&waiter.req));
    assert_int_equal(actor_release(&waiter), UV_EPERM);
  }
}

static void cancel_may_be_asked_twice_before_the_callback(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, waiter;

    actor_own(&owner, 0, target);
    actor_queue(&waiter, 0, target);
    assert_int_equal(pkd_req_cancel(&waiter.req), 0);
    assert_int_equal(pkd_req_cancel(&waiter.req), 0);
    assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
    assert_int_equal(pkd_req_cancel(&waiter.req), UV_EINVAL);
    assert_int_equal(waiter.answers, 1);
    assert_int_equal(actor_release(&owner), 0);
  }
}

static void cancel_of_an_undelivered_grant_passes_it_on(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, granted, next;

    actor_own(&owner, 1, target);
    actor_queue(&granted, 0, target); /* loop A: turns only when told to */
    actor_queue(&next, 1, target);
    assert_int_equal(actor_release(&owner), 0);
    assert_int_equal(waiting_at(target_address(target)), 1);
    assert_int_equal(granted.status, NOT_YET);
    assert_int_equal(actor_release(&granted), UV_EPERM);
    assert_int_equal(pkd_req_cancel(&granted.req), 0);
    /* at once, not when the callback comes */
    assert_int_equal(waiting_at(target_address(target)), 0);
    assert_int_equal(actor_wait(&next), 0);
    assert_int_equal(actor_wait(&granted), UV_ECANCELED);
    assert_int_equal(granted.answers, 1);
    assert_int_equal(actor_release(&granted), UV_EPERM);
    assert_int_equal(actor_release(&next), 0);
  }
}

static void cancel_of_an_uncontended_grant_frees_the_lock(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor first, second;

    actor_init(&first, 0, target);
    actor_init(&second, 1, target);
    assert_int_equal(actor_start(&first), 0);
    assert_int_equal(first.status, NOT_YET); /* never inside the call */
    assert_int_equal(pkd_req_cancel(&first.req), 0);
    assert_int_equal(actor_start(&second), 0);
    assert_int_equal(actor_wait(&second), 0);
    assert_int_equal(actor_wait(&first), UV_ECANCELED);
    assert_int_equal(actor_release(&second), 0);
  }
}

static void cancel_after_delivery_is_too_late(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner;

    actor_own(&owner, 1, target);
    assert_int_equal(pkd_req_cancel(&owner.req), UV_EBUSY);
    assert_ptr_equal(pkd_req_owned(&owner.req), target_address(target));
    assert_int_equal(actor_release(&owner), 0);
    assert_int_equal(pkd_req_cancel(&owner.req), UV_EINVAL);
    assert_int_equal(owner.answers, 1);
  }
}

static void cancel_in_the_middle_keeps_the_order_of_the_others(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor actors[5];

    actor_own(&actors[0], 0, target);
    for (unsigned i = 1; i < 5; i++)
      actor_queue(&actors[i], i, target);
    assert_int_equal(pkd_req_cancel(&actors[2].req), 0);
    assert_int_equal(actor_wait(&actors[2]), UV_ECANCELED);
    assert_int_equal(pkd_req_cancel(&actors[4].req), 0); /* the tail */
    assert_int_equal(actor_wait(&actors[4]), UV_ECANCELED);
    assert_int_equal(actor_release(&actors[0]), 0);
    assert_int_equal(actor_wait(&actors[1]), 0);
    assert_int_equal(actors[3].answers, 0);
    assert_int_equal(actor_release(&actors[1]), 0);
    assert_int_equal(actor_wait(&actors[3]), 0);
    assert_int_equal(actor_release(&actors[3]), 0);
  }
}

static void cancel_of_a_big_head_lets_the_small_ones_in(void** state) {
  struct actor owner, big, small[2];

  (void)state;
  pkd_async_sem_init(&sem, 4, 0);
  actor_own(&owner, 0, sem_target(&sem, 2));
  actor_queue(&big, 1, sem_target(&sem, 3));
  for (unsigned i = 0; i < 2; i++)
    actor_queue(&small[i], i, sem_target(&sem, 1));
  settle();
  assert_int_equal(waiting_at(&sem), 3); /* nobody overtakes the big one */
  assert_int_equal(pkd_req_cancel(&big.req), 0);
  assert_int_equal(actor_wait(&small[0]), 0);
  assert_int_equal(actor_wait(&small[1]), 0);
  assert_int_equal(actor_wait(&big), UV_ECANCELED);
  assert_int_equal(actor_release(&small[0]), 0);
  assert_int_equal(actor_release(&small[1]), 0);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 4);
}

static void cancel_of_a_granted_big_one_gives_all_of_it_back(void** state) {
  struct actor owner, big, small[3];

  (void)state;
  pkd_async_sem_init(&sem, 3, 0);
  actor_own(&owner, 1, sem_target(&sem, 3));
  actor_queue(&big, 0, sem_target(&sem, 3));
  for (unsigned i = 0; i < 3; i++)
    actor_queue(&small[i], i, sem_target(&sem, 1));
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_req_cancel(&big.req), 0);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(actor_wait(&small[i]), 0);
    assert_int_equal(actor_release(&small[i]), 0);
  }
  assert_int_equal(actor_wait(&big), UV_ECANCELED);
  assert_int_equal(pkd_async_sem_available(&sem), 3);
}

/* A loop that is stuck in a callback does not keep what it was granted. */
static void a_stalled_loops_grant_can_be_revoked(void** state) {
  (void)state;
  for (int k = 0; k < 2; k++) {
    struct target target = kind(k);
    struct actor owner, stuck, next;

    actor_own(&owner, 0, target);
    actor_queue(&stuck, 1, target);
    actor_queue(&next, 0, target);
    stall_b();
    assert_int_equal(actor_release(&owner), 0);
    turn_a();
    assert_int_equal(next.answers, 0);
    assert_int_equal(pkd_req_cancel(&stuck.req), 0);
    assert_int_equal(actor_wait(&next), 0);
    assert_int_equal(stuck.answers, 0);
    resume_b();
    assert_int_equal(actor_wait(&stuck), UV_ECANCELED);
    assert_int_equal(actor_release(&next), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_ONE_WORLD(a_request_never_started_cannot_be_cancelled),
      IN_EACH_WORLD(cancel_of_a_queued_request_is_its_only_answer),
      IN_EACH_WORLD(cancel_may_be_asked_twice_before_the_callback),
      IN_EACH_WORLD(cancel_of_an_undelivered_grant_passes_it_on),
      IN_EACH_WORLD(cancel_of_an_uncontended_grant_frees_the_lock),
      IN_EACH_WORLD(cancel_after_delivery_is_too_late),
      IN_EACH_WORLD(cancel_in_the_middle_keeps_the_order_of_the_others),
      IN_EACH_WORLD(cancel_of_a_big_head_lets_the_small_ones_in),
      IN_EACH_WORLD(cancel_of_a_granted_big_one_gives_all_of_it_back),
      IN_WORLD(a_stalled_loops_grant_can_be_revoked, TWO_LOOPS),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
