/* SPDX-License-Identifier: MIT
 *
 * test_cancel_storm.c - every lock at once, under tokens that keep being fired,
 * deadlines that keep passing, and hand-overs that race both.
 *
 * Whoever is told 0 has the lock: the plain counters are exact at the end. Whoever
 * is told anything else has left no trace: every word is free at the end, and
 * nobody is queued. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

enum { WORKERS = 6, TOKENS = 4000, KINDS = 7 };

static struct {
  pkd_mutex_t mutex;
  pkd_fair_mutex_t fair;
  pkd_remutex_t re;
  pkd_rwlock_t rw;
  pkd_sem_t sem;
  pkd_cond_t cond;
  pkd_mutex_t cond_mutex;
  unsigned counter[KINDS]; /* under the lock of that kind */
} s;

static pkd_cancel_t tokens[TOKENS];
static unsigned current; /* atomic; the token of this moment */
static unsigned working; /* atomic */
static unsigned entered[WORKERS][KINDS];
static unsigned odd_results;     /* atomic */
static unsigned late, cancelled; /* atomic; how waits ended */
static uint64_t seed;

static const pkd_cancel_t* token_now(void) {
  return &tokens[count_of(&current)];
}

static int enter(int kind, const pkd_cancel_t* cancel, pkd_deadline_t until) {
  switch (kind) {
  case 0:
    return pkd_mutex_lock_cancellable(&s.mutex, cancel, until);
  case 1:
    return pkd_fair_mutex_lock_cancellable(&s.fair, cancel, until);
  case 2:
    return pkd_remutex_lock_cancellable(&s.re, cancel, until);
  case 3:
    return pkd_rwlock_wrlock_cancellable(&s.rw, cancel, until);
  case 4:
    return pkd_sem_acquire_cancellable(&s.sem, 2, cancel, until);
  case 5:
    return pkd_rwlock_rdlock_cancellable(&s.rw, cancel, until);
  default:
    pkd_mutex_lock(&s.cond_mutex);
    return pkd_cond_wait_cancellable(&s.cond, &s.cond_mutex, cancel, until);
  }
}

static void section(int kind, unsigned number) {
  if (kind == 5) { /* a reader: may only look */
    entered[number][5] += s.counter[3] != UINT32_MAX;
    return;
  }
  s.counter[kind]++;
  entered[number][kind]++;
}

static void depart(int kind, bool fair) {
  switch (kind) {
  case 0:
    fair ? pkd_mutex_unlock_fair(&s.mutex) : pkd_mutex_unlock(&s.mutex);
    break;
  case 1:
    pkd_fair_mutex_unlock(&s.fair);
    break;
  case 2:
    fair ? pkd_remutex_unlock_fair(&s.re) : pkd_remutex_unlock(&s.re);
    break;
  case 3:
    fair ? pkd_rwlock_wrunlock_fair(&s.rw) : pkd_rwlock_wrunlock(&s.rw);
    break;
  case 4:
    pkd_sem_release(&s.sem, 2);
    break;
  case 5:
    pkd_rwlock_rdunlock(&s.rw);
    break;
  default:
    pkd_cond_signal(&s.cond);
    pkd_mutex_unlock(&s.cond_mutex);
    break;
  }
}

static void work(unsigned number) {
  rng_t rng = rng_stream(seed, number);

  for (int i = 0; i < ROUNDS(4000); i++) {
    int kind = (int)rng_below(&rng, KINDS);
    bool timed = kind == 6 || rng_below(&rng, 2) == 0;
    pkd_deadline_t until =
        timed ? pkd_after(rng_below(&rng, 60000)) : PKD_FOREVER;
    int rc = enter(kind, token_now(), until);

    if (rc != 0 && rc != -ETIMEDOUT && rc != -ECANCELED &&
        !(kind == 6 && rc == PKD_ENOTHELD))
      count_up(&odd_results);
    if (rc == -ETIMEDOUT || rc == PKD_ENOTHELD)
      count_up(&late);
    if (rc == -ECANCELED)
      count_up(&cancelled);
    if (rc == 0 || (kind == 6 && rc != PKD_ENOTHELD)) {
      section(kind, number);
      if (i % 16 == 0)
        sched_yield();
      depart(kind, i % 2 == 0);
    }
  }
}

static void work_or_fire(void* arg, unsigned number) {
  (void)arg;
  if (number < WORKERS) {
    work(number);
    __atomic_sub_fetch(&working, 1, __ATOMIC_ACQ_REL);
    return;
  }
  for (unsigned i = 0; i + 1 < TOKENS && count_of(&working) != 0; i++) {
    pause_us(100);
    __atomic_store_n(&current, i + 1, __ATOMIC_RELEASE);
    pkd_cancel_fire(&tokens[i]);
  }
}

static void no_lock_and_no_waiter_is_lost(void** state) {
  unsigned total[KINDS] = {0};

  (void)state;
  s.sem = (pkd_sem_t)PKD_SEM_INIT(3);
  working = WORKERS;
  team_run(WORKERS + 1, work_or_fire, NULL);
  assert_int_equal(odd_results, 0);
  /* or there was no storm */
  assert_int_not_equal(late, 0);
  assert_int_not_equal(cancelled, 0);
  for (int w = 0; w < WORKERS; w++)
    for (int k = 0; k < KINDS; k++)
      total[k] += entered[w][k];
  for (int k = 0; k < KINDS; k++)
    if (k != 5)
      assert_int_equal(s.counter[k], total[k]);
  assert_int_equal(s.mutex.word, 0);
  assert_int_equal(s.fair.word, 0);
  assert_int_equal(s.re.mutex.word, 0);
  assert_int_equal(pkd_rwlock_is_locked(&s.rw), 0);
  assert_int_equal(pkd_sem_value(&s.sem), 3);
  assert_null(s.cond.lock);
  assert_int_equal(s.cond_mutex.word, 0);
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_lock_and_no_waiter_is_lost),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("cancel storm", tests, NULL, NULL);
}
