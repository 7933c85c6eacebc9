/* SPDX-License-Identifier: MIT
 *
 * test_async_sem.c - permits: acquired many at a time, released piece by piece,
 * added, forgotten, resized. */
#include "actors.h"

static pkd_async_sem_t sem;

static void take(struct actor* actor, unsigned number, uint32_t n) {
  actor_own(actor, number, sem_target(&sem, n));
}

static void queue(struct actor* actor, unsigned number, uint32_t n) {
  actor_queue(actor, number, sem_target(&sem, n));
}

static void zeroed_memory_is_a_semaphore_without_permits(void** state) {
  pkd_req_t req = {0};

  (void)state;
  memset(&sem, 0, sizeof sem);
  assert_int_equal(sizeof sem, 16);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 1), UV_EBUSY);
  assert_int_equal(pkd_async_sem_add(&sem, 1), 0);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 1), 0);
  assert_int_equal(pkd_async_sem_release(&req, &sem, 1), 0);
}

static void the_initialisers_agree(void** state) {
  static pkd_async_sem_t own = PKD_ASYNC_SEM_INIT(3, 5);

  (void)state;
  assert_int_equal(pkd_async_sem_init(&sem, 3, 5), 0);
  assert_memory_equal(&sem, &own, sizeof sem);
  assert_int_equal(pkd_async_sem_available(&own), 3);
  assert_int_equal(pkd_async_sem_init(&sem, 6, 5), UV_EINVAL);
  assert_int_equal(pkd_async_sem_init(&sem, UINT32_MAX, 0), UV_EINVAL);
  assert_int_equal(pkd_async_sem_init(&sem, 0, UINT32_MAX), UV_EINVAL);
  assert_int_equal(pkd_async_sem_init(NULL, 0, 0), UV_EINVAL);
}

static void permits_go_to_as_many_as_there_are(void** state) {
  struct actor actors[4];

  (void)state;
  pkd_async_sem_init(&sem, 3, 0);
  for (unsigned i = 0; i < 3; i++)
    take(&actors[i], i, 1);
  queue(&actors[3], 3, 1);
  settle();
  assert_int_equal(actors[3].answers, 0);
  assert_int_equal(actor_release(&actors[1]), 0);
  assert_int_equal(actor_wait(&actors[3]), 0);
  assert_int_equal(actor_release(&actors[0]), 0);
  assert_int_equal(actor_release(&actors[2]), 0);
  assert_int_equal(actor_release(&actors[3]), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 3);
}

static void the_head_is_not_overtaken_and_hoards_nothing(void** state) {
  struct actor a, b, big, small;

  (void)state;
  pkd_async_sem_init(&sem, 4, 4);
  take(&a, 0, 2);
  take(&b, 1, 2);
  queue(&big, 0, 4);
  queue(&small, 1, 1);
  assert_int_equal(actor_release(&a), 0);
  settle();
  assert_int_equal(big.answers + small.answers, 0);
  assert_int_equal(pkd_async_sem_available(&sem), 2); /* visible, not hoarded */
  assert_int_equal(actor_release(&b), 0);
  assert_int_equal(actor_wait(&big), 0);
  assert_int_equal(small.answers, 0);
  assert_int_equal(actor_release(&big), 0);
  assert_int_equal(actor_wait(&small), 0);
  assert_int_equal(actor_release(&small), 0);
}

static void one_release_admits_as_many_as_fit_in_order(void** state) {
  struct actor owner, actors[5];
  static const uint32_t wants[5] = {2, 1, 2, 3, 1};

  (void)state;
  pkd_async_sem_init(&sem, 5, 0);
  take(&owner, 0, 5);
  for (unsigned i = 0; i < 5; i++)
    queue(&actors[i], i, wants[i]);
  assert_int_equal(actor_release(&owner), 0);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(actor_wait(&actors[i]), 0);
  settle();
  assert_int_equal(waiting_at(&sem), 2);
  assert_int_equal(actor_release(&actors[0]), 0);
  settle();
  assert_int_equal(waiting_at(&sem), 2); /* 2 are there, 3 are wanted */
  assert_int_equal(actor_release(&actors[1]), 0);
  assert_int_equal(actor_wait(&actors[3]), 0);
  assert_int_equal(actor_release(&actors[2]), 0);
  assert_int_equal(actor_wait(&actors[4]), 0);
  assert_int_equal(actor_release(&actors[3]), 0);
  assert_int_equal(actor_release(&actors[4]), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 5);
}

static void try_never_overtakes_the_queue(void** state) {
  struct actor owner, big;
  pkd_req_t req = {0};

  (void)state;
  pkd_async_sem_init(&sem, 3, 0);
  take(&owner, 1, 2);
  queue(&big, 0, 3);
  assert_int_equal(pkd_async_sem_available(&sem), 1);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 1), UV_EBUSY);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&big), 0);
  assert_int_equal(actor_release(&big), 0);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 1), 0);
  assert_int_equal(pkd_async_sem_release(&req, &sem, 1), 0);
}

static void more_than_the_maximum_is_refused_at_once(void** state) {
  struct actor actor;
  pkd_req_t req = {0};

  (void)state;
  pkd_async_sem_init(&sem, 2, 4);
  actor_init(&actor, 0, sem_target(&sem, 5));
  assert_int_equal(actor_start(&actor), UV_EINVAL);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 5), UV_EINVAL);
  assert_int_equal(pkd_async_sem_acquire_blocking(&req, &sem, 5, 0), UV_EINVAL);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, UINT32_MAX),
                   UV_EINVAL);
  settle();
  assert_int_equal(actor.answers, 0);
}

static void none_are_had_when_nobody_is_ahead(void** state) {
  struct actor owner, big, none;

  (void)state;
  pkd_async_sem_init(&sem, 1, 0);
  take(&owner, 0, 1);
  take(&none, 1, 0); /* at once, though no permit is free */
  assert_int_equal(pkd_async_sem_owned(&none.req, &sem), 0);
  assert_int_equal(actor_release(&none), 0);
  assert_null(pkd_req_owned(&none.req));
  queue(&big, 0, 1);
  queue(&none, 1, 0); /* waits for its turn only */
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&big), 0);
  assert_int_equal(actor_wait(&none), 0);
  assert_int_equal(actor_release(&none), 0);
  assert_int_equal(actor_release(&big), 0);
}

static void permits_are_released_piece_by_piece(void** state) {
  struct actor owner, waiter;

  (void)state;
  pkd_async_sem_init(&sem, 5, 5);
  take(&owner, 1, 5);
  queue(&waiter, 0, 2);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 0), 0);
  assert_int_equal(pkd_async_sem_owned(&owner.req, &sem), 5);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), 0);
  settle();
  assert_int_equal(waiter.answers, 0);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(pkd_async_sem_owned(&owner.req, &sem), 3);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 4), UV_EPERM);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 3), 0);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), UV_EPERM);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 0), UV_EPERM);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 5);
}

static void nobody_releases_what_is_not_theirs(void** state) {
  pkd_async_sem_t other = PKD_ASYNC_SEM_INIT(1, 0);
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  struct actor owner, waiter;

  (void)state;
  pkd_async_sem_init(&sem, 1, 0);
  take(&owner, 0, 1);
  queue(&waiter, 1, 1);
  assert_int_equal(pkd_async_sem_release(&waiter.req, &sem, 1), UV_EPERM);
  assert_int_equal(pkd_async_sem_release(&owner.req, &other, 1), UV_EPERM);
  assert_int_equal(pkd_async_mutex_unlock(&owner.req, &mutex), UV_EPERM);
  assert_int_equal(pkd_async_sem_forget(&waiter.req, &sem, 1), UV_EPERM);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
}

static void added_permits_admit_waiters_up_to_the_maximum(void** state) {
  struct actor actors[3];

  (void)state;
  pkd_async_sem_init(&sem, 0, 3);
  for (unsigned i = 0; i < 3; i++)
    queue(&actors[i], i, 1);
  assert_int_equal(pkd_async_sem_add(&sem, 4), UV_EOVERFLOW);
  assert_int_equal(pkd_async_sem_add(&sem, 2), 0);
  assert_int_equal(actor_wait(&actors[0]), 0);
  assert_int_equal(actor_wait(&actors[1]), 0);
  assert_int_equal(pkd_async_sem_add(&sem, 2), UV_EOVERFLOW);
  assert_int_equal(actors[2].answers, 0);
  assert_int_equal(pkd_async_sem_add(&sem, 1), 0);
  assert_int_equal(actor_wait(&actors[2]), 0);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(actor_release(&actors[i]), 0);
  assert_int_equal(pkd_async_sem_add(&sem, 1), UV_EOVERFLOW);
  assert_int_equal(pkd_async_sem_add(&sem, 0), 0);
  pkd_async_sem_init(&sem, INT32_MAX, 0);
  assert_int_equal(pkd_async_sem_add(&sem, 1), UV_EOVERFLOW);
}

static void forgotten_permits_do_not_come_back(void** state) {
  struct actor owner;
  pkd_req_t req = {0};

  (void)state;
  pkd_async_sem_init(&sem, 3, 3);
  take(&owner, 1, 3);
  assert_int_equal(pkd_async_sem_forget(&owner.req, &sem, 2), 0);
  assert_int_equal(pkd_async_sem_owned(&owner.req, &sem), 1);
  assert_int_equal(pkd_async_sem_forget(&owner.req, &sem, 2), UV_EPERM);
  assert_int_equal(actor_release(&owner), UV_EPERM); /* asks for 3 */
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 1);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 2), UV_EBUSY);
  assert_int_equal(pkd_async_sem_add(&sem, 2), 0); /* room for two again */
  assert_int_equal(pkd_async_sem_add(&sem, 1), UV_EOVERFLOW);
  assert_int_equal(pkd_async_sem_destroy(&sem), 0);
}

static void resize_below_what_is_held_is_repaid_by_releases(void** state) {
  struct actor owner, waiter;

  (void)state;
  pkd_async_sem_init(&sem, 4, 8);
  take(&owner, 0, 4);
  queue(&waiter, 1, 1);
  assert_int_equal(pkd_async_sem_resize(&sem, 1), 0);
  assert_int_equal(pkd_async_sem_available(&sem), -3);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 3), 0);
  settle();
  assert_int_equal(pkd_async_sem_available(&sem), 0);
  assert_int_equal(waiter.answers, 0);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 1);
}

static void resize_upwards_admits_waiters(void** state) {
  struct actor owner, actors[3];

  (void)state;
  pkd_async_sem_init(&sem, 1, 4);
  take(&owner, 1, 1);
  for (unsigned i = 0; i < 3; i++)
    queue(&actors[i], i, 1);
  assert_int_equal(pkd_async_sem_resize(&sem, 5), UV_EINVAL);
  assert_int_equal(pkd_async_sem_resize(&sem, 4), 0);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(actor_wait(&actors[i]), 0);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(actor_release(&actors[i]), 0);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 4);
}

/* More go than there are to be in all. */
static void forgetting_what_a_resize_left_owing_makes_room(void** state) {
  struct actor owner;

  (void)state;
  pkd_async_sem_init(&sem, 4, 4);
  take(&owner, 0, 4);
  assert_int_equal(pkd_async_sem_resize(&sem, 1), 0);
  assert_int_equal(pkd_async_sem_forget(&owner.req, &sem, 4), 0);
  assert_int_equal(pkd_async_sem_available(&sem), -3);
  assert_int_equal(pkd_async_sem_add(&sem, 5), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 2);
  assert_int_equal(pkd_async_sem_resize(&sem, 4), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 4);
  assert_int_equal(pkd_async_sem_add(&sem, 1), UV_EOVERFLOW);
}

static void close_sends_waiters_away_and_grants_stand(void** state) {
  struct actor owner, granted, waiter;
  pkd_req_t req = {0};

  (void)state;
  pkd_async_sem_init(&sem, 2, 0);
  take(&owner, 1, 2);
  queue(&granted, 0, 1); /* loop A: not delivered until it turns */
  queue(&waiter, 1, 2);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), 0);
  assert_int_equal(pkd_async_sem_close(&sem), 0);
  assert_int_equal(actor_wait(&granted), 0);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  assert_int_equal(actor_start(&waiter),
                   waiter.place == THREAD ? 0 : UV_ESHUTDOWN);
  if (waiter.place == THREAD)
    assert_int_equal(actor_wait(&waiter), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 0), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_sem_destroy(&sem), UV_EBUSY);
  assert_int_equal(pkd_async_sem_release(&owner.req, &sem, 1), 0);
  assert_int_equal(pkd_async_sem_forget(&granted.req, &sem, 1), 0);
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 1), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_sem_destroy(&sem), 0);
}

static void destroy_of_a_busy_semaphore_is_refused(void** state) {
  struct actor owner, waiter;

  (void)state;
  pkd_async_sem_init(&sem, 1, 0);
  take(&owner, 0, 1);
  assert_int_equal(pkd_async_sem_destroy(&sem), UV_EBUSY);
  queue(&waiter, 1, 2);
  assert_int_equal(pkd_async_sem_destroy(&sem), UV_EBUSY);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_async_sem_destroy(&sem), UV_EBUSY);
  assert_int_equal(pkd_req_cancel(&waiter.req), 0);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  assert_int_equal(pkd_async_sem_destroy(&sem), 0);
}

static void null_arguments_are_refused(void** state) {
  pkd_req_t req = {0};

  (void)state;
  pkd_async_sem_init(&sem, 1, 0);
  assert_int_equal(pkd_async_sem_acquire(&loop_a, &req, &sem, 1, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_async_sem_try_acquire(&req, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_try_acquire(NULL, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_acquire_blocking(&req, NULL, 1, 0), UV_EINVAL);
  assert_int_equal(pkd_async_sem_release(NULL, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_release(&req, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_forget(&req, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_add(NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_resize(NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_close(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_sem_destroy(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_sem_owned(NULL, &sem), 0);
  assert_int_equal(pkd_async_sem_available(NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_ONE_WORLD(zeroed_memory_is_a_semaphore_without_permits),
      IN_ONE_WORLD(the_initialisers_agree),
      IN_EACH_WORLD(permits_go_to_as_many_as_there_are),
      IN_EACH_WORLD(the_head_is_not_overtaken_and_hoards_nothing),
      IN_EACH_WORLD(one_release_admits_as_many_as_fit_in_order),
      IN_EACH_WORLD(try_never_overtakes_the_queue),
      IN_ONE_WORLD(more_than_the_maximum_is_refused_at_once),
      IN_EACH_WORLD(none_are_had_when_nobody_is_ahead),
      IN_EACH_WORLD(permits_are_released_piece_by_piece),
      IN_EACH_WORLD(nobody_releases_what_is_not_theirs),
      IN_EACH_WORLD(added_permits_admit_waiters_up_to_the_maximum),
      IN_EACH_WORLD(forgotten_permits_do_not_come_back),
      IN_EACH_WORLD(resize_below_what_is_held_is_repaid_by_releases),
      IN_EACH_WORLD(resize_upwards_admits_waiters),
      IN_EACH_WORLD(forgetting_what_a_resize_left_owing_makes_room),
      IN_EACH_WORLD(close_sends_waiters_away_and_grants_stand),
      IN_EACH_WORLD(destroy_of_a_busy_semaphore_is_refused),
      IN_ONE_WORLD(null_arguments_are_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
