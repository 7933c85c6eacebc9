/* SPDX-License-Identifier: MIT
 *
 * watched.h - what the tests of the deadlock watch share: the reports that came,
 * counted, and a table of locks of every kind. A report of a ring fires a token
 * that ends the waits of the ring, so one that is not reported ends in the
 * watchdog. */
#ifndef PKD_TEST_WATCHED_H
#define PKD_TEST_WATCHED_H

#define PKD_DEADLOCK

#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/deadlock.h>
#include <parkade/fair_mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <sys/stat.h>

#if PKD_TSAN_ANNOTATE
/* Orders of locking contradict each other here, for the watch to find: it is not
 * ThreadSanitizer's turn. Races it finds as ever. */
const char* __tsan_default_options(void);
const char* __tsan_default_options(void) {
  return "detect_deadlocks=0";
}
#endif

static pkd_cancel_t stop;
static unsigned certain, potential; /* atomic */
static unsigned reports_over;       /* atomic; of both */
static pkd_deadlock_step_t last[8];
static size_t last_count;

static inline void on_report(void* data, const pkd_deadlock_report_t* report) {
  (void)data;
  last_count = report->count;
  for (size_t i = 0; i < report->count && i < LENGTH(last); i++)
    last[i] = report->steps[i];
  if (report->verdict == PKD_DEADLOCK_CERTAIN) {
    count_up(&certain);
    pkd_cancel_fire(&stop);
  } else {
    count_up(&potential);
  }
  count_up(&reports_over);
}

/** Has a child of last_words() said something? */
static inline bool something_was_said(void) {
  struct stat file;

  return fstat(STDERR_FILENO, &file) == 0 && file.st_size != 0;
}

static inline int watch(void** state) {
  (void)state;
  pkd_deadlock_watch(0);
  pkd_deadlock_on_report(on_report, NULL);
  pkd_deadlock_watch(1);
  certain = potential = reports_over = 0;
  last_count = 0;
  stop = (pkd_cancel_t)PKD_CANCEL_INIT;
  return 0;
}

static inline int rest(void** state) {
  (void)state;
  pkd_deadlock_watch(0);
  return pkd_deadlock_missed() == 0 ? 0 : -1;
}

#define assert_verdict(rings, contradictions)                                  \
  do {                                                                         \
    assert_int_equal(count_of(&certain), rings);                               \
    assert_int_equal(count_of(&potential), contradictions);                    \
  } while (0)

/* --- one table of locks of every kind ------------------------------------------ */

enum kind { MUTEX, FAIR, RE, WRITE, READ, AGAIN, UP, SEM };

union lock {
  pkd_mutex_t mutex;
  pkd_fair_mutex_t fair;
  pkd_remutex_t re;
  pkd_rwlock_t rw;
  pkd_sem_t sem;
};

static inline int take(union lock* l, enum kind kind) {
  switch (kind) {
  case MUTEX:
    return pkd_mutex_lock_cancellable(&l->mutex, &stop, PKD_FOREVER);
  case FAIR:
    return pkd_fair_mutex_lock_cancellable(&l->fair, &stop, PKD_FOREVER);
  case RE:
    return pkd_remutex_lock_cancellable(&l->re, &stop, PKD_FOREVER);
  case WRITE:
    return pkd_rwlock_wrlock_cancellable(&l->rw, &stop, PKD_FOREVER);
  case READ:
    return pkd_rwlock_rdlock_cancellable(&l->rw, &stop, PKD_FOREVER);
  case AGAIN:
    return pkd_rwlock_rdlock_recursive_cancellable(&l->rw, &stop, PKD_FOREVER);
  case UP:
    return pkd_rwlock_uplock_cancellable(&l->rw, &stop, PKD_FOREVER);
  default:
    return pkd_sem_acquire_cancellable(&l->sem, 1, &stop, PKD_FOREVER);
  }
}

static inline void give(union lock* l, enum kind kind) {
  switch (kind) {
  case MUTEX:
    pkd_mutex_unlock(&l->mutex);
    break;
  case FAIR:
    pkd_fair_mutex_unlock(&l->fair);
    break;
  case RE:
    pkd_remutex_unlock(&l->re);
    break;
  case WRITE:
    pkd_rwlock_wrunlock(&l->rw);
    break;
  case READ:
  case AGAIN:
    pkd_rwlock_rdunlock(&l->rw);
    break;
  case UP:
    pkd_rwlock_upunlock(&l->rw);
    break;
  default:
    pkd_sem_release(&l->sem, 1);
    break;
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, watch, rest)

#endif
