/* SPDX-License-Identifier: MIT
 *
 * test_signals.c - waiters of every primitive under a storm of signals: none
 * returns early, none is late for it, and waiting costs no time of the processor.
 */
#include <support/storm.h>

#include <parkade/barrier.h>
#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/lot.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static pkd_mutex_t mutex;
static pkd_fair_mutex_t fair;
static pkd_rwlock_t rwlock;
static pkd_sem_t sem;
static pkd_event_t event;
static pkd_latch_t latch = PKD_LATCH_INIT(1);
static pkd_barrier_t barrier = PKD_BARRIER_INIT(2);
static pkd_cond_t cond, cond_fair, cond_read, cond_write;
static pkd_mutex_t cond_mutex;
static pkd_fair_mutex_t fair_mutex;
static pkd_rwlock_t read_lock, write_lock;
static pkd_remutex_t re;
static pkd_rwlock_t shared;
static pkd_once_t once;
static pkd_cancel_t token;
static pkd_thread_t parked; /* who waits for its own token */
static pthread_t initialiser;
static unsigned initialising, initialised; /* atomic */

/* --- a wait of each kind, while the main thread has what is waited for ------ */

static int wait_mutex(pkd_deadline_t end) {
  int rc = pkd_mutex_lock_until(&mutex, end);

  if (rc == 0)
    pkd_mutex_unlock(&mutex);
  return rc;
}

static int wait_fair(pkd_deadline_t end) {
  int rc = pkd_fair_mutex_lock_until(&fair, end);

  if (rc == 0)
    pkd_fair_mutex_unlock(&fair);
  return rc;
}

static int wait_read(pkd_deadline_t end) {
  int rc = pkd_rwlock_rdlock_until(&rwlock, end);

  if (rc == 0)
    pkd_rwlock_rdunlock(&rwlock);
  return rc;
}

static int wait_write(pkd_deadline_t end) {
  int rc = pkd_rwlock_wrlock_until(&rwlock, end);

  if (rc == 0)
    pkd_rwlock_wrunlock(&rwlock);
  return rc;
}

static int wait_up(pkd_deadline_t end) {
  int rc = pkd_rwlock_uplock_until(&rwlock, end);

  if (rc == 0)
    pkd_rwlock_upunlock(&rwlock);
  return rc;
}

static int wait_sem(pkd_deadline_t end) {
  return pkd_sem_acquire_until(&sem, 1, end);
}

static int wait_event(pkd_deadline_t end) {
  return pkd_event_wait_until(&event, end);
}

static int wait_latch(pkd_deadline_t end) {
  return pkd_latch_wait_until(&latch, end);
}

static int wait_barrier(pkd_deadline_t end) {
  int rc = pkd_barrier_wait_until(&barrier, end);

  return rc > 0 ? 0 : rc;
}

static int wait_cond(pkd_deadline_t end) {
  int rc;

  pkd_mutex_lock(&cond_mutex);
  rc = pkd_cond_wait_until(&cond, &cond_mutex, end);
  pkd_mutex_unlock(&cond_mutex);
  return rc;
}

static int wait_re(pkd_deadline_t end) {
  int rc = pkd_remutex_lock_until(&re, end);

  if (rc == 0)
    pkd_remutex_unlock(&re);
  return rc;
}

static int wait_again(pkd_deadline_t end) {
  int rc = pkd_rwlock_rdlock_recursive_until(&rwlock, end);

  if (rc == 0)
    pkd_rwlock_rdunlock(&rwlock);
  return rc;
}

static int wait_upgrade(pkd_deadline_t end) {
  int rc;

  pkd_rwlock_uplock(&shared);
  rc = pkd_rwlock_upgrade_until(&shared, end);
  if (rc == 0)
    pkd_rwlock_wrunlock(&shared);
  else
    pkd_rwlock_upunlock(&shared);
  return rc;
}

static int wait_cond_fair(pkd_deadline_t end) {
  int rc;

  pkd_fair_mutex_lock(&fair_mutex);
  rc = pkd_cond_wait_fair_until(&cond_fair, &fair_mutex, end);
  pkd_fair_mutex_unlock(&fair_mutex);
  return rc;
}

static int wait_cond_read(pkd_deadline_t end) {
  int rc;

  pkd_rwlock_rdlock(&read_lock);
  rc = pkd_cond_wait_rdlock_until(&cond_read, &read_lock, end);
  pkd_rwlock_rdunlock(&read_lock);
  return rc;
}

static int wait_cond_write(pkd_deadline_t end) {
  int rc;

  pkd_rwlock_wrlock(&write_lock);
  rc = pkd_cond_wait_wrlock_until(&cond_write, &write_lock, end);
  pkd_rwlock_wrunlock(&write_lock);
  return rc;
}

static int initialise(void* arg) {
  (void)arg;
  __atomic_store_n(&initialising, 1, __ATOMIC_RELEASE);
  WAIT_FOR(__atomic_load_n(&initialised, __ATOMIC_ACQUIRE));
  return 0;
}

static void* run_initialiser(void* arg) {
  pkd_once_try(&once, initialise, arg);
  return NULL;
}

static int wait_once(pkd_deadline_t end) {
  return pkd_once_try_cancellable(&once, initialise, NULL, NULL, end);
}

static int wait_token(pkd_deadline_t end) {
  int rc = pkd_cancel_wait(&token, end);

  return rc == -ECANCELED ? 0 : rc;
}

static int wait_parked(pkd_deadline_t end) {
  if (end != PKD_FOREVER) /* the first time; the count of waits publishes it */
    parked = pkd_thread_self();
  return pkd_thread_park(end);
}

static void take_all(void) {
  pkd_mutex_lock(&mutex);
  pkd_fair_mutex_lock(&fair);
  pkd_rwlock_wrlock(&rwlock);
  pkd_remutex_lock(&re);
  pkd_rwlock_rdlock(&shared);
}

static void give_locks(void) {
  pkd_mutex_unlock(&mutex);
  pkd_fair_mutex_unlock(&fair);
  pkd_rwlock_wrunlock(&rwlock);
  pkd_remutex_unlock(&re);
  pkd_rwlock_rdunlock(&shared);
}

static void give_all(void) {
  give_locks();
  pkd_cancel_fire(&token);
  __atomic_store_n(&initialised, 1, __ATOMIC_RELEASE);
  pthread_join(initialiser, NULL);
  pkd_thread_unpark(parked);
  pkd_cond_broadcast(&cond_fair);
  pkd_cond_broadcast(&cond_read);
  pkd_cond_broadcast(&cond_write);
  pkd_sem_release(&sem, 1);
  pkd_event_set(&event);
  pkd_latch_count_down(&latch, 1);
  pkd_barrier_wait(&barrier);
  pkd_mutex_lock(&cond_mutex);
  pkd_cond_broadcast(&cond);
  pkd_mutex_unlock(&cond_mutex);
}

static const struct storm_kind kinds[] = {
    {wait_mutex, &mutex},
    {wait_fair, &fair},
    {wait_re, &re.mutex},
    {wait_read, &rwlock},
    {wait_again, &rwlock},
    {wait_up, &rwlock},
    {wait_write, &rwlock},
    {wait_upgrade, &shared},
    {wait_sem, &sem},
    {wait_cond, &cond},
    {wait_cond_fair, &cond_fair},
    {wait_cond_read, &cond_read},
    {wait_cond_write, &cond_write},
    {wait_event, &event},
    {wait_latch, &latch},
    {wait_barrier, &barrier},
    {wait_once, &once},
    {wait_token, &token},
    {wait_parked, NULL},
};
enum { KINDS = LENGTH(kinds) };

static int begin(void** state) {
  (void)state;
  take_all();
  pthread_create(&initialiser, NULL, run_initialiser, NULL);
  WAIT_FOR(__atomic_load_n(&initialising, __ATOMIC_ACQUIRE));
  return 0;
}

struct cost {
  const struct storm_kind* kind;
  int rc;
  uint64_t used; /* nanoseconds of a processor */
};

static uint64_t used_by_thread(void) {
  struct timespec used;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000 * MS + (uint64_t)used.tv_nsec;
}

static void* wait_and_measure(void* arg) {
  struct cost* cost = arg;
  uint64_t before = used_by_thread();

  cost->rc = cost->kind->wait(pkd_after(50 * MS));
  cost->used = used_by_thread() - before;
  return NULL;
}

/* A wait of 50 ms sleeps; one that polled or yielded would burn most of it. */
static void waiting_costs_no_processor_time(void** state) {
  struct cost costs[KINDS];
  pthread_t threads[KINDS];

  (void)state;
  for (unsigned i = 0; i < KINDS; i++) {
    costs[i].kind = &kinds[i];
    pthread_create(&threads[i], NULL, wait_and_measure, &costs[i]);
  }
  for (unsigned i = 0; i < KINDS; i++)
    pthread_join(threads[i], NULL);
  for (unsigned i = 0; i < KINDS; i++) {
    assert_int_equal(costs[i].rc, -ETIMEDOUT);
    assert_true(costs[i].used < 10 * MS);
  }
}

static void signals_neither_end_a_wait_nor_delay_its_end(void** state) {
  (void)state;
  storm_over(kinds, KINDS, -ETIMEDOUT, give_all);
  assert_int_equal(mutex.word, 0);
  assert_int_equal(fair.word, 0);
  assert_int_equal(rwlock.word, 0);
  assert_int_equal(re.mutex.word, 0);
  assert_int_equal(shared.word, 0);
  assert_null(cond.lock);
  assert_null(cond_fair.lock);
  assert_null(cond_read.lock);
  assert_null(cond_write.lock);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(waiting_costs_no_processor_time),
      /* the last: it gives what begin() has taken */
      cmocka_unit_test(signals_neither_end_a_wait_nor_delay_its_end),
  };
  return cmocka_run_group_tests_name("signals", tests, begin, NULL);
}
