/* SPDX-License-Identifier: MIT
 *
 * test_signals.c - waiters of every primitive under a storm of signals: none
 * returns early, none is late for it, and waiting costs no time of the processor.
 *
 * The handler does nothing; SA_RESTART is off, so each signal ends the system
 * call in which the waiter sleeps. */
#include <support/test.h>

#include <parkade/barrier.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/lot.h>
#include <parkade/mutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
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
static pkd_cond_t cond;
static pkd_mutex_t cond_mutex;

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

static void take_all(void) {
  pkd_mutex_lock(&mutex);
  pkd_fair_mutex_lock(&fair);
  pkd_rwlock_wrlock(&rwlock);
}

static void give_all(void) {
  pkd_mutex_unlock(&mutex);
  pkd_fair_mutex_unlock(&fair);
  pkd_rwlock_wrunlock(&rwlock);
  pkd_sem_release(&sem, 1);
  pkd_event_set(&event);
  pkd_latch_count_down(&latch, 1);
  pkd_barrier_wait(&barrier);
  pkd_mutex_lock(&cond_mutex);
  pkd_cond_broadcast(&cond);
  pkd_mutex_unlock(&cond_mutex);
}

static const struct {
  int (*wait)(pkd_deadline_t end);
  const void* key;
} kinds[] = {
    {wait_mutex, &mutex}, {wait_fair, &fair},    {wait_read, &rwlock},
    {wait_up, &rwlock},   {wait_write, &rwlock}, {wait_sem, &sem},
    {wait_event, &event}, {wait_latch, &latch},  {wait_barrier, &barrier},
    {wait_cond, &cond},
};
enum { KINDS = LENGTH(kinds) };

/* --- waiters --------------------------------------------------------------- */

struct waiter {
  unsigned kind;
  pkd_deadline_t end; /* of its timed wait, before one for ever */
  pthread_t thread;
  int timed;
  pkd_deadline_t timed_at;
  int untimed;
};

static void* wait_twice(void* arg) {
  struct waiter* w = arg;

  w->timed = kinds[w->kind].wait(w->end);
  w->timed_at = pkd_now();
  w->untimed = kinds[w->kind].wait(PKD_FOREVER);
  return NULL;
}

static void do_nothing(int number) {
  (void)number;
}

static size_t all_waiting(void) {
  size_t n = 0;

  for (unsigned i = 0; i < KINDS; i++)
    if (i == 0 || kinds[i].key != kinds[i - 1].key)
      n += pkd_lot_for_each(kinds[i].key, NULL, NULL);
  return n;
}

static void storm(struct waiter* waiters, pkd_deadline_t until) {
  while (pkd_now() < until) {
    struct timespec pause = {0, 50000};

    for (unsigned i = 0; i < KINDS; i++)
      pthread_kill(waiters[i].thread, SIGUSR1);
    nanosleep(&pause, NULL);
  }
}

static void signals_neither_end_a_wait_nor_delay_its_end(void** state) {
  struct waiter waiters[KINDS];
  struct sigaction quiet;
  pkd_deadline_t end;

  (void)state;
  memset(&quiet, 0, sizeof quiet);
  memset(waiters, 0, sizeof waiters);
  quiet.sa_handler = do_nothing;
  sigaction(SIGUSR1, &quiet, NULL);
  take_all();
  end = pkd_after(100 * MS);
  for (unsigned i = 0; i < KINDS; i++) {
    waiters[i].kind = i;
    waiters[i].end = end;
    assert_int_equal(
        pthread_create(&waiters[i].thread, NULL, wait_twice, &waiters[i]), 0);
  }
  storm(waiters, end + 50 * MS);
  WAIT_FOR(all_waiting() == KINDS); /* in their second waits by now, all */
  storm(waiters, pkd_after(50 * MS));
  assert_int_equal(all_waiting(), KINDS);
  give_all();
  for (unsigned i = 0; i < KINDS; i++)
    pthread_join(waiters[i].thread, NULL);
  for (unsigned i = 0; i < KINDS; i++) {
    assert_int_equal(waiters[i].timed, -ETIMEDOUT);
    assert_true(waiters[i].timed_at >= end);
    assert_int_equal(waiters[i].untimed, 0);
  }
  assert_int_equal(mutex.word, 0);
  assert_int_equal(fair.word, 0);
  assert_int_equal(rwlock.word, 0);
  assert_null(cond.lock);
}

/* A wait of 50 ms sleeps; one that polled or yielded would burn most of it. */
static void waiting_costs_no_processor_time(void** state) {
  (void)state;
  take_all();
  for (unsigned i = 0; i < KINDS; i++) {
    struct timespec before, after;
    uint64_t used;

    if (kinds[i].key == (const void*)&latch ||
        kinds[i].key == (const void*)&event)
      continue; /* open since the test before */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_int_equal(kinds[i].wait(pkd_after(50 * MS)), -ETIMEDOUT);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    used = (uint64_t)(after.tv_sec - before.tv_sec) * 1000 * MS +
           (uint64_t)after.tv_nsec - (uint64_t)before.tv_nsec;
    assert_true(used < 10 * MS);
  }
  pkd_mutex_unlock(&mutex);
  pkd_fair_mutex_unlock(&fair);
  pkd_rwlock_wrunlock(&rwlock);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(signals_neither_end_a_wait_nor_delay_its_end),
      cmocka_unit_test(waiting_costs_no_processor_time),
  };
  return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
