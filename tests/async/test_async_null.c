/* SPDX-License-Identifier: MIT
 *
 * test_async_null.c - arguments that cannot be: each is refused, with the code that
 * the header says, no callback comes, and nothing is changed. */
#include "family.h"

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;
static pkd_async_cond_t cond;
static pkd_async_rwlock_t rwlock;
static pkd_async_once_t once;
static pkd_async_gate_t gate;
static pkd_async_event_t event;
static pkd_async_barrier_t barrier;
static pkd_async_keyed_t keyed;
static pkd_req_t req, other;

static int fresh(void** state) {
  memset(&mutex, 0, sizeof mutex);
  memset(&cond, 0, sizeof cond);
  memset(&rwlock, 0, sizeof rwlock);
  memset(&once, 0, sizeof once);
  memset(&gate, 0, sizeof gate);
  memset(&event, 0, sizeof event);
  memset(&keyed, 0, sizeof keyed);
  memset(&req, 0, sizeof req);
  memset(&other, 0, sizeof other);
  pkd_async_sem_init(&sem, 4, 8);
  pkd_async_barrier_init(&barrier, 2);
  return open_loop(state);
}

static int refused(void** state) {
  return answered != 0 || close_loop(state) != 0;
}

static void a_loop_that_is_missing_is_refused(void** state) {
  pkd_loop_t blank = {0};
  pkd_loop_grants_t grants;

  (void)state;
  assert_int_equal(pkd_loop_attach(NULL, &uv), UV_EINVAL);
  assert_int_equal(pkd_loop_adopt(NULL), UV_EINVAL);
  assert_int_equal(pkd_loop_adopt(&blank), UV_EINVAL);
  assert_int_equal(pkd_loop_detach(NULL, NULL), UV_EINVAL);
  assert_int_equal(pkd_loop_held(NULL), 0);
  assert_int_equal(pkd_loop_pending(NULL), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(NULL, 5), UV_EINVAL);
  assert_int_equal(pkd_loop_get_grants(NULL, &grants), UV_EINVAL);
  assert_int_equal(pkd_loop_get_grants(&loop, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock(NULL, &req, &mutex, record), UV_EINVAL);
}

static void a_loop_that_detaches_takes_no_more(void** state) {
  pkd_loop_grants_t grants;
  pkd_loop_t gone = {0};
  uv_loop_t own;

  (void)state;
  assert_int_equal(uv_loop_init(&own), 0);
  assert_int_equal(pkd_loop_attach(&gone, &own), 0);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_loop_detach(&gone, NULL), 0);
  for (int pass = 0; pass < 2; pass++) { /* on its way, and gone */
    assert_int_equal(pkd_async_cond_wait(&gone, &req, &cond, &mutex, record),
                     UV_ESHUTDOWN);
    assert_int_equal(pkd_async_mutex_lock(&gone, &other, &mutex, record),
                     UV_ESHUTDOWN);
    assert_int_equal(pkd_loop_adopt(&gone), UV_ESHUTDOWN);
    assert_int_equal(pkd_loop_set_grant_timeout(&gone, 5), UV_ESHUTDOWN);
    assert_int_equal(pkd_loop_detach(&gone, NULL), UV_EALREADY);
    uv_run(&own, UV_RUN_DEFAULT);
  }
  assert_int_equal(pkd_loop_held(&gone), 0);
  assert_int_equal(pkd_loop_get_grants(&gone, &grants), UV_ESHUTDOWN);
  assert_int_equal(uv_loop_close(&own), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
}

static void a_wait_at_a_condition_wants_all_it_needs(void** state) {
  const pkd_deadline_t soon = pkd_now();

  (void)state;
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_async_cond_wait(NULL, &req, &cond, &mutex, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait(&loop, NULL, &cond, &mutex, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait(&loop, &req, NULL, &mutex, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait(&loop, &req, &cond, NULL, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait(&loop, &req, &cond, &mutex, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait(&loop, &other, &cond, &mutex, record),
                   UV_EPERM);
  assert_int_equal(pkd_async_cond_wait_blocking(NULL, &cond, &mutex, soon),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait_blocking(&req, NULL, &mutex, soon),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait_blocking(&req, &cond, NULL, soon),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait_blocking(&other, &cond, &mutex, soon),
                   UV_EPERM);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0); /* still owned */
}

static void permits_are_not_moved_from_or_to_nowhere(void** state) {
  (void)state;
  assert_int_equal(pkd_async_sem_try_acquire(&req, &sem, 3), 0);
  assert_int_equal(pkd_async_sem_split(NULL, &other, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&req, NULL, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&req, &other, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&req, &other, &sem, 0), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&req, &req, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_split(&req, &other, &sem, 4), UV_EPERM);
  assert_int_equal(pkd_async_sem_merge(NULL, &other, &sem), UV_EINVAL);
  assert_int_equal(pkd_async_sem_merge(&req, NULL, &sem), UV_EINVAL);
  assert_int_equal(pkd_async_sem_merge(&req, &other, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_sem_merge(&req, &req, &sem), UV_EINVAL);
  assert_int_equal(pkd_async_sem_merge(&req, &other, &sem), UV_EPERM);
  assert_int_equal(pkd_async_sem_merge(&other, &req, &sem), UV_EPERM);
  assert_int_equal(pkd_async_sem_forget(NULL, &sem, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_forget(&req, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_async_sem_forget(&req, &sem, 4), UV_EPERM);
  assert_int_equal(pkd_async_sem_forget(&req, &sem, 0), 0);
  assert_int_equal(pkd_async_sem_owned(NULL, &sem), 0);
  assert_int_equal(pkd_async_sem_owned(&req, NULL), 0);
  assert_int_equal(pkd_async_sem_owned(&other, &sem), 0);
  assert_int_equal(pkd_async_sem_owned(&req, &sem), 3);
  assert_int_equal(pkd_async_sem_available(NULL), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 1);
  assert_int_equal(pkd_async_sem_release(&req, &sem, 3), 0);
}

static void what_is_no_object_is_in_no_state(void** state) {
  (void)state;
  assert_int_equal(pkd_async_mutex_is_locked(NULL), 0);
  assert_int_equal(pkd_async_event_is_set(NULL), 0);
  assert_int_equal(pkd_async_event_is_set(&event), 0);
  assert_int_equal(pkd_async_event_set(&event), 0);
  assert_int_equal(pkd_async_event_is_set(&event), 1);
  assert_int_equal(pkd_async_gate_inside(NULL), 0);
  assert_int_equal(pkd_async_gate_close(&loop, &req, NULL, record), UV_EINVAL);
  assert_int_equal(pkd_async_gate_close_blocking(&req, NULL, 0), UV_EINVAL);
  assert_int_equal(pkd_async_barrier_arrived(NULL), 0);
  assert_int_equal(pkd_async_barrier_reset(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_barrier_reset(&barrier), 0); /* it is not broken */
  assert_int_equal(pkd_async_mutex_close(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_sem_close(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_event_close(NULL), UV_EINVAL);
}

static void nobody_gives_back_what_is_not_there(void** state) {
  (void)state;
  assert_int_equal(pkd_async_mutex_mend(NULL, &mutex), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_mend(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_mend(&req, &mutex), UV_EPERM);
  assert_int_equal(pkd_async_once_done(NULL, &once, 0), UV_EINVAL);
  assert_int_equal(pkd_async_once_done(&req, NULL, 0), UV_EINVAL);
  assert_int_equal(pkd_async_once_done(&req, &once, 1), UV_EINVAL);
  assert_int_equal(pkd_async_once_done(&req, &once, 0), UV_EPERM);
  assert_int_equal(pkd_async_keyed_unlock(&req, &keyed), UV_EPERM);
  assert_int_equal(pkd_req_transfer(&req, &other), UV_EPERM);
}

static void a_lock_moves_only_for_who_has_it(void** state) {
  (void)state;
  assert_int_equal(pkd_async_rwlock_upgrade(&loop, NULL, &rwlock, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_upgrade(&loop, &req, NULL, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_upgrade(&loop, &req, &rwlock, record),
                   UV_EPERM);
  assert_int_equal(pkd_async_rwlock_tryupgrade(&req, &rwlock), UV_EPERM);
  assert_int_equal(pkd_async_rwlock_upgrade_blocking(&req, &rwlock, 0),
                   UV_EPERM);
  assert_int_equal(pkd_async_rwlock_downgrade(NULL, &rwlock), UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_downgrade(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_downgrade(&req, &rwlock), UV_EPERM);
  assert_int_equal(pkd_async_rwlock_wrlock(&loop, &req, &rwlock, NULL),
                   UV_EINVAL);
}

static void no_work(pkd_work_t* work) {
  (void)work;
}

static void no_end(pkd_work_t* work, int status) {
  (void)work, (void)status;
}

static void work_wants_all_it_needs(void** state) {
  pkd_take_t take = pkd_take_mutex(&mutex);
  pkd_take_t nothing = {.object = &mutex};
  pkd_work_t work = {0};

  (void)state;
  assert_int_equal(pkd_queue_work(NULL, &work, take, no_work, no_end),
                   UV_EINVAL);
  assert_int_equal(pkd_queue_work(&loop, NULL, take, no_work, no_end),
                   UV_EINVAL);
  assert_int_equal(pkd_queue_work(&loop, &work, take, NULL, no_end), UV_EINVAL);
  assert_int_equal(pkd_queue_work(&loop, &work, take, no_work, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_queue_work(&loop, &work, nothing, no_work, no_end),
                   UV_EINVAL);
  assert_int_equal(pkd_work_set_timeout(NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_work_cancel(NULL), UV_EINVAL);
  assert_int_equal(pkd_work_cancel(&work), UV_EINVAL);
  assert_false(pkd_async_mutex_is_locked(&mutex));
}

static void several_at_once_want_each_to_be_something(void** state) {
  pkd_many_item_t items[2] = {{.take = pkd_take_mutex(&mutex)},
                              {.take = {.object = &sem}}};
  pkd_many_t many = {0};

  (void)state;
  assert_int_equal(pkd_many_trylock(NULL, items, 1), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, items, 0), UV_EINVAL);
  assert_int_equal(pkd_many_lock_blocking(&many, items, 0, 0), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, items, 2), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_is_locked(&mutex), 0); /* given back */
  items[1].take = items[0].take;
  assert_int_equal(pkd_many_trylock(&many, items, 2), UV_EINVAL);
  items[1].take.object = NULL;
  assert_int_equal(pkd_many_trylock(&many, items, 2), UV_EINVAL);
  items[0].take = pkd_take_key(&keyed, "a", 1);
  items[1].take = pkd_take_key(&keyed, "b", 1);
  assert_int_equal(pkd_many_trylock(&many, items, 2), 0);
  assert_int_equal(pkd_many_trylock(&many, items, 2), UV_EBUSY);
  assert_int_equal(pkd_many_cancel(&many), UV_EBUSY);
  assert_int_equal(pkd_many_unlock(&many), 0);
}

#define REFUSED(test) cmocka_unit_test_setup_teardown(test, fresh, refused)

int main(void) {
  const struct CMUnitTest tests[] = {
      REFUSED(a_loop_that_is_missing_is_refused),
      REFUSED(a_loop_that_detaches_takes_no_more),
      REFUSED(a_wait_at_a_condition_wants_all_it_needs),
      REFUSED(permits_are_not_moved_from_or_to_nowhere),
      REFUSED(what_is_no_object_is_in_no_state),
      REFUSED(nobody_gives_back_what_is_not_there),
      REFUSED(a_lock_moves_only_for_who_has_it),
      REFUSED(work_wants_all_it_needs),
      REFUSED(several_at_once_want_each_to_be_something),
  };
  return cmocka_run_group_tests_name("async_null", tests, NULL, NULL);
}
