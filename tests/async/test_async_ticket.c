/* SPDX-License-Identifier: MIT
 *
 * test_async_ticket.c - what an owner can do with its ticket: hand it over,
 * split it, merge it, and say that it leaves a mess. */
#include "actors.h"

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;

static void fresh(void) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
  pkd_async_sem_init(&sem, 5, 5);
}

static void take(struct actor* actor, unsigned number, struct target target) {
  actor_init(actor, number, target);
  assert_int_equal(actor_start(actor), 0);
  assert_true(actor_wait(actor) >= 0);
}

/* --- hand over ------------------------------------------------------------- */

static void a_ticket_can_be_handed_over(void** state) {
  struct actor owner, waiter;
  pkd_req_t heir = {0};

  (void)state;
  fresh();
  take(&owner, 1, mutex_target(&mutex));
  actor_init(&waiter, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(pkd_req_transfer(&owner.req, &heir), 0);
  assert_null(pkd_req_owned(&owner.req));
  assert_ptr_equal(pkd_req_owned(&heir), &mutex);
  assert_int_equal(actor_release(&owner), UV_EPERM);
  assert_int_equal(pkd_loop_held(&loop_a), 0);
  settle();
  assert_int_equal(waiter.answers, 0); /* free at no moment */
  assert_int_equal(pkd_async_mutex_unlock(&heir, &mutex), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
}

static void permits_and_modes_go_with_the_ticket(void** state) {
  pkd_async_rwlock_t lock = PKD_ASYNC_RWLOCK_INIT;
  pkd_req_t from = {0};
  pkd_req_t to = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_sem_try_acquire(&from, &sem, 3), 0);
  assert_int_equal(pkd_req_transfer(&from, &to), 0);
  assert_int_equal(pkd_async_sem_owned(&to, &sem), 3);
  assert_int_equal(pkd_async_sem_release(&to, &sem, 3), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 5);
  assert_int_equal(pkd_async_rwlock_trywrlock(&from, &lock), 0);
  assert_int_equal(pkd_req_transfer(&from, &to), 0);
  assert_int_equal(pkd_async_rwlock_owned(&to, &lock), PKD_ASYNC_RWLOCK_WRITE);
  assert_int_equal(pkd_async_rwlock_unlock(&to, &lock), 0);
}

struct handover {
  pkd_req_t worker, task;
  int err;
};

static void work(void* arg) {
  struct handover* handover = arg;

  handover->err =
      pkd_async_mutex_lock_blocking(&handover->worker, &mutex, PKD_FOREVER);
  if (handover->err == 0)
    handover->err = pkd_req_transfer(&handover->worker, &handover->task);
}

static void a_worker_hands_its_lock_to_a_task(void** state) {
  struct handover handover = {.err = NOT_YET};
  uv_thread_t thread;

  (void)state;
  fresh();
  uv_thread_create(&thread, work, &handover);
  uv_thread_join(&thread);
  assert_int_equal(handover.err, 0);
  assert_int_equal(pkd_async_mutex_unlock(&handover.task, &mutex), 0);
}

static void what_cannot_be_handed_over_is_refused(void** state) {
  struct actor owner, waiter;
  pkd_req_t req = {0};
  pkd_req_t busy = {0};

  (void)state;
  fresh();
  take(&owner, 0, mutex_target(&mutex));
  actor_init(&waiter, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(pkd_async_sem_try_acquire(&busy, &sem, 1), 0);
  assert_int_equal(pkd_req_transfer(&waiter.req, &req), UV_EPERM);
  assert_int_equal(pkd_req_transfer(&req, &waiter.req), UV_EALREADY);
  assert_int_equal(pkd_req_transfer(&owner.req, &busy), UV_EBUSY);
  assert_int_equal(pkd_req_transfer(&owner.req, &owner.req), UV_EINVAL);
  assert_int_equal(pkd_req_transfer(NULL, &req), UV_EINVAL);
  assert_int_equal(pkd_req_transfer(&owner.req, NULL), UV_EINVAL);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_sem_release(&busy, &sem, 1), 0);
}

/* --- split, merge ---------------------------------------------------------- */

static void permits_can_be_split_and_merged(void** state) {
  struct actor owner, waiter;
  pkd_req_t part = {0};

  (void)state;
  fresh();
  take(&owner, 1, sem_target(&sem, 5));
  actor_init(&waiter, 0, sem_target(&sem, 1));
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(pkd_async_sem_split(&owner.req, &part, &sem, 2), 0);
  assert_int_equal(pkd_async_sem_owned(&owner.req, &sem), 3);
  assert_int_equal(pkd_async_sem_owned(&part, &sem), 2);
  settle();
  assert_int_equal(waiter.answers, 0); /* none was free meanwhile */
  assert_int_equal(pkd_async_sem_merge(&part, &owner.req, &sem), 0);
  assert_int_equal(pkd_async_sem_owned(&part, &sem), 5);
  assert_null(pkd_req_owned(&owner.req));
  assert_int_equal(pkd_async_sem_release(&part, &sem, 5), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 5);
}

static void split_and_merge_refuse_what_is_not_there(void** state) {
  pkd_async_sem_t other = PKD_ASYNC_SEM_INIT(1, 0);
  pkd_req_t a = {0};
  pkd_req_t b = {0};
  pkd_req_t foreign = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_sem_try_acquire(&a, &sem, 2), 0);
  assert_int_equal(pkd_async_sem_try_acquire(&foreign, &other, 1), 0);
  assert_int_equal(pkd_async_sem_split(&a, &b, &sem, 3), UV_EPERM);
  assert_int_equal(pkd_async_sem_split(&a, &b, &sem, 0), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&a, &a, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&a, &foreign, &sem, 1), UV_EBUSY);
  assert_int_equal(pkd_async_sem_merge(&a, &foreign, &sem), UV_EPERM);
  assert_int_equal(pkd_async_sem_merge(&a, &b, &sem), UV_EPERM);
  assert_int_equal(pkd_async_sem_owned(&a, &sem), 2);
  assert_int_equal(pkd_async_sem_split(&a, &b, &sem, 2), 0); /* all of them */
  assert_null(pkd_req_owned(&a));
  assert_int_equal(pkd_async_sem_release(&b, &sem, 2), 0);
  assert_int_equal(pkd_async_sem_release(&foreign, &other, 1), 0);
}

/* --- poison ---------------------------------------------------------------- */

static void
a_poisoned_mutex_tells_every_owner_until_it_is_mended(void** state) {
  struct actor owner, next;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  for (int contended = 0; contended < 2; contended++) {
    take(&owner, 0, mutex_target(&mutex));
    assert_int_equal(owner.status, 0);
    actor_init(&next, 1, mutex_target(&mutex));
    if (contended)
      assert_int_equal(actor_start(&next), 0);
    assert_int_equal(pkd_async_mutex_unlock_poisoned(&owner.req, &mutex), 0);
    if (!contended)
      assert_int_equal(actor_start(&next), 0);
    assert_int_equal(actor_wait(&next), PKD_POISONED);
    assert_int_equal(actor_release(&next), 0); /* it knows of no remedy */
    assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), PKD_POISONED);
    actor_init(&next, 1, mutex_target(&mutex));
    if (contended)
      assert_int_equal(actor_start(&next), 0);
    assert_int_equal(pkd_async_mutex_mend(&req, &mutex), 0);
    assert_ptr_equal(pkd_req_owned(&req), &mutex);
    assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
    if (!contended)
      assert_int_equal(actor_start(&next), 0);
    assert_int_equal(actor_wait(&next), 0);
    assert_int_equal(actor_release(&next), 0);
  }
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
}

static void only_the_owner_poisons_or_mends(void** state) {
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_unlock_poisoned(&req, &mutex), UV_EPERM);
  assert_int_equal(pkd_async_mutex_mend(&req, &mutex), UV_EPERM);
  assert_int_equal(pkd_async_mutex_mend(NULL, &mutex), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_unlock_poisoned(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
}

static void work_and_many_take_a_poisoned_mutex(void** state) {
  pkd_many_item_t items[1];
  pkd_many_t many = {0};
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_async_mutex_unlock_poisoned(&req, &mutex), 0);
  memset(items, 0, sizeof items);
  items[0].take = pkd_take_mutex(&mutex);
  assert_int_equal(pkd_many_trylock(&many, items, 1), 0);
  assert_true(pkd_async_mutex_is_locked(&mutex));
  assert_int_equal(pkd_many_unlock(&many), 0);
  assert_false(pkd_async_mutex_is_locked(&mutex));
}

static void requests_that_lie_near_or_alike_have_other_names(void** state) {
  static pkd_req_t reqs[2];
  uintptr_t at = (uintptr_t)&reqs[0];

  (void)state;
  assert_int_equal(pkd__async_mutex_owner(&reqs[0]) & 31, 0);
  assert_int_not_equal(pkd__async_mutex_owner(&reqs[0]),
                       pkd__async_mutex_owner(&reqs[1]));
  for (unsigned bit = 3; bit < sizeof at * 8; bit++) {
    const pkd_req_t* other = (const pkd_req_t*)(at ^ (uintptr_t)1 << bit);

    if (bit < 57) /* none lies higher */
      assert_int_not_equal(pkd__async_mutex_owner(&reqs[0]),
                           pkd__async_mutex_owner(other));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_EACH_WORLD(a_ticket_can_be_handed_over),
      IN_ONE_WORLD(permits_and_modes_go_with_the_ticket),
      IN_ONE_WORLD(a_worker_hands_its_lock_to_a_task),
      IN_ONE_WORLD(what_cannot_be_handed_over_is_refused),
      IN_EACH_WORLD(permits_can_be_split_and_merged),
      IN_ONE_WORLD(split_and_merge_refuse_what_is_not_there),
      IN_EACH_WORLD(a_poisoned_mutex_tells_every_owner_until_it_is_mended),
      IN_ONE_WORLD(only_the_owner_poisons_or_mends),
      IN_ONE_WORLD(work_and_many_take_a_poisoned_mutex),
      IN_ONE_WORLD(requests_that_lie_near_or_alike_have_other_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
