/* SPDX-License-Identifier: MIT
 *
 * test_async_signals.c - threads that block for the locks of tasks, every kind of
 * them, under a storm of signals. (A task sleeps in its loop, which knows about
 * signals.) */
#include <support/storm.h>

#include <parkade/async.h>

static pkd_async_mutex_t mutex;
static pkd_async_keyed_t keyed;
static pkd_async_sem_t sem;
static pkd_async_rwlock_t rwlock, shared;
static pkd_async_cond_t cond;
static pkd_async_mutex_t cond_mutex;
static pkd_async_event_t event;
static pkd_async_barrier_t barrier = PKD_ASYNC_BARRIER_INIT(2);
static pkd_async_once_t once;
static pkd_async_gate_t gate;
static pkd_req_t has_mutex, has_key, has_rwlock, has_shared, leads;
static pkd_async_mutex_t first, second;
static pkd_req_t has_second;

/* A wait, and giving back what it brought. */
#define WAIT(name, wait, give)                                                 \
  static int name(pkd_deadline_t end) {                                        \
    pkd_req_t req = {0};                                                       \
    int rc = (wait);                                                           \
                                                                               \
    return rc == 0 ? (give) : rc;                                              \
  }

WAIT(wait_mutex, pkd_async_mutex_lock_blocking(&req, &mutex, end),
     pkd_async_mutex_unlock(&req, &mutex))
WAIT(wait_keyed, pkd_async_keyed_lock_blocking_u64(&req, &keyed, 7, end),
     pkd_async_keyed_unlock(&req, &keyed))
WAIT(wait_sem, pkd_async_sem_acquire_blocking(&req, &sem, 2, end),
     pkd_async_sem_release(&req, &sem, 2))
WAIT(wait_read, pkd_async_rwlock_rdlock_blocking(&req, &rwlock, end),
     pkd_async_rwlock_unlock(&req, &rwlock))
WAIT(wait_write, pkd_async_rwlock_wrlock_blocking(&req, &rwlock, end),
     pkd_async_rwlock_unlock(&req, &rwlock))
WAIT(wait_up, pkd_async_rwlock_uplock_blocking(&req, &rwlock, end),
     pkd_async_rwlock_unlock(&req, &rwlock))
WAIT(wait_event, pkd_async_event_wait_blocking(&req, &event, end), 0)
WAIT(wait_once, pkd_async_once_call_blocking(&req, &once, end), 0)
WAIT(wait_gate, pkd_async_gate_close_blocking(&req, &gate, end), 0)

static int wait_upgrade(pkd_deadline_t end) {
  pkd_req_t req = {0};
  int rc = pkd_async_rwlock_uplock_blocking(&req, &shared, PKD_FOREVER);

  if (rc == 0)
    rc = pkd_async_rwlock_upgrade_blocking(&req, &shared, end);
  pkd_async_rwlock_unlock(&req, &shared);
  return rc;
}

static int wait_barrier(pkd_deadline_t end) {
  pkd_req_t req = {0};
  int rc = pkd_async_barrier_arrive_blocking(&req, &barrier, end);

  return rc == 1 ? 0 : rc;
}

static int wait_cond(pkd_deadline_t end) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &cond_mutex, PKD_FOREVER);

  if (rc == 0)
    rc = pkd_async_cond_wait_blocking(&req, &cond, &cond_mutex, end);
  if (rc == 0)
    rc = pkd_async_mutex_unlock(&req, &cond_mutex);
  return rc;
}

/* Gets the first at once, and waits for the second. */
static int wait_many(pkd_deadline_t end) {
  pkd_many_item_t items[2];
  pkd_many_t many = {0};
  int rc;

  memset(items, 0, sizeof items);
  items[0].take = pkd_take_mutex(&first);
  items[1].take = pkd_take_mutex(&second);
  rc = pkd_many_lock_blocking(&many, items, 2, end);
  return rc == 0 ? pkd_many_unlock(&many) : rc;
}

static const struct storm_kind kinds[] = {
    {wait_mutex, &mutex},    {wait_keyed, NULL},       {wait_sem, &sem},
    {wait_read, &rwlock},    {wait_write, &rwlock},    {wait_up, &rwlock},
    {wait_upgrade, &shared}, {wait_event, &event},     {wait_once, &once},
    {wait_gate, &gate},      {wait_barrier, &barrier}, {wait_cond, &cond},
    {wait_many, &second},
};

static int given; /* how many of the calls below failed */

static void give_all(void) {
  pkd_req_t req = {0};

  given += pkd_async_mutex_unlock(&has_mutex, &mutex) != 0;
  given += pkd_async_keyed_unlock(&has_key, &keyed) != 0;
  given += pkd_async_sem_add(&sem, 2) != 0;
  given += pkd_async_rwlock_unlock(&has_rwlock, &rwlock) != 0;
  given += pkd_async_rwlock_unlock(&has_shared, &shared) != 0;
  given += pkd_async_event_set(&event) != 0;
  given += pkd_async_once_done(&leads, &once, 0) != 0;
  given += pkd_async_gate_leave(&gate) != 0;
  given += pkd_async_barrier_arrive_blocking(&req, &barrier, PKD_FOREVER) != 1;
  given += pkd_async_cond_broadcast(&cond) != 1;
  given += pkd_async_mutex_unlock(&has_second, &second) != 0;
}

static void signals_neither_end_a_blocking_wait_nor_delay_it(void** state) {
  (void)state;
  assert_int_equal(pkd_async_mutex_trylock(&has_mutex, &mutex), 0);
  assert_int_equal(pkd_async_keyed_trylock_u64(&has_key, &keyed, 7), 0);
  assert_int_equal(pkd_async_rwlock_trywrlock(&has_rwlock, &rwlock), 0);
  assert_int_equal(pkd_async_rwlock_tryrdlock(&has_shared, &shared), 0);
  assert_int_equal(pkd_async_once_try(&leads, &once), 1);
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
  assert_int_equal(pkd_async_mutex_trylock(&has_second, &second), 0);
  storm_over(kinds, LENGTH(kinds), UV_ETIMEDOUT, give_all);
  assert_int_equal(given, 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
  assert_int_equal(pkd_async_sem_destroy(&sem), 0);
  assert_int_equal(pkd_async_rwlock_destroy(&rwlock), 0);
  assert_int_equal(pkd_async_rwlock_destroy(&shared), 0);
  assert_int_equal(pkd_async_cond_destroy(&cond), 0);
  assert_int_equal(pkd_async_mutex_destroy(&cond_mutex), 0);
  assert_int_equal(pkd_async_event_destroy(&event), 0);
  assert_int_equal(pkd_async_once_destroy(&once), 0);
  assert_int_equal(pkd_async_gate_destroy(&gate), 0);
  assert_int_equal(pkd_async_barrier_destroy(&barrier), 0);
  assert_int_equal(pkd_async_mutex_destroy(&first), 0);
  assert_int_equal(pkd_async_mutex_destroy(&second), 0);
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signals_neither_end_a_blocking_wait_nor_delay_it),
  };
  return cmocka_run_group_tests_name("async signals", tests, NULL, NULL);
}
