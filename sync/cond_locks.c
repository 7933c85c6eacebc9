/* SPDX-License-Identifier: MIT
 *
 * cond_locks.c - the mutex, the fair mutex and the reader-writer lock, as a
 * condition sees them.
 *
 * The bits that lead a holder into the queue are set under the lot's lock of the
 * lock, with the waiter moved in the same step; so they are as exact as if the
 * waiter had queued by itself. */
#include "cond_locks.h"

#include <parkade/fair_mutex.h>
#include <parkade/rwlock.h>

#include "atomic.h"
#include "mutex_tokens.h"
#include "rwlock_pass.h"
#include "word/fair_mutex.h"
#include "word/mutex.h"

_Static_assert((int)PKD__COND_RDLOCK == (int)PKD__RW_READ &&
                   (int)PKD__COND_WRLOCK == (int)PKD__RW_WRITE,
               "a rwlock reads its mode in a condition's token");

/* --- the mutex ------------------------------------------------------------- */

static void mutex_unlock(void* m) PKD_NO_ANALYSIS {
  pkd_mutex_unlock(m);
}

static bool mutex_bind(void* lock) {
  pkd_mutex_t* m = lock;
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: the exchange decides */

  while (!pkd__mutex_is_free(old)) {
    /* relaxed: the lot's lock orders the queue; P only leads there */
    if (pkd__cas_relaxed(&m->word, &old, pkd__mutex_parked(old, false)))
      return true;
  }
  return false;
}

static void mutex_follow(void* m) {
  /* relaxed: as in mutex_bind */
  pkd__or_relaxed(&((pkd_mutex_t*)m)->word, (uint8_t)PKD__MUTEX_PARKED);
}

static int mutex_lock_woken(void* m, const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline, uint64_t token) {
  return pkd__mutex_lock_woken(m, cancel, deadline, token);
}

static int mutex_try_late(void* m) {
  return pkd_mutex_trylock(m);
}

static const struct pkd__cond_lock mutex = {
    mutex_unlock,   mutex_bind,         NULL, mutex_follow, mutex_lock_woken,
    mutex_try_late, pkd__mutex_gave_up,
};

/* --- the fair mutex -------------------------------------------------------- */

static void fair_unlock(void* m) PKD_NO_ANALYSIS {
  pkd_fair_mutex_unlock(m);
}

static bool fair_bind(void* lock) {
  pkd_fair_mutex_t* m = lock;
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: the exchange decides */

  while (!pkd__fair_is_free(old)) {
    /* relaxed: as in mutex_bind */
    if (pkd__cas_relaxed(&m->word, &old, pkd__fair_waited(old)))
      return true;
  }
  return false;
}

/* It is never free while somebody is queued, so who is woken has it already. */
static bool fair_take(void* lock) {
  pkd_fair_mutex_t* m = lock;
  uint8_t free_word = 0;

  /* (F1) acquire, pairs with (F2): on behalf of the one who is woken */
  return pkd__cas_acquire(&m->word, &free_word, pkd__fair_taken(free_word));
}

static void fair_follow(void* m) {
  /* relaxed: as in mutex_bind */
  pkd__or_relaxed(&((pkd_fair_mutex_t*)m)->word, (uint8_t)PKD__FAIR_PARKED);
}

/* Woken from either queue, one has been handed it. */
static int fair_lock_woken(void* m, const pkd_cancel_t* cancel,
                           pkd_deadline_t deadline, uint64_t token) {
  (void)m;
  (void)cancel;
  (void)deadline;
  (void)token;
  return 0;
}

static int fair_try_late(void* m) {
  return pkd_fair_mutex_trylock(m);
}

static void fair_gave_up(void* m, const void* key, int was_last) {
  (void)key;
  /* relaxed: under the lot's lock, where alone P changes */
  if (was_last)
    pkd__and_relaxed(&((pkd_fair_mutex_t*)m)->word, (uint8_t)~PKD__FAIR_PARKED);
}

static const struct pkd__cond_lock fair_mutex = {
    fair_unlock,     fair_bind,     fair_take,    fair_follow,
    fair_lock_woken, fair_try_late, fair_gave_up,
};

/* --- the reader-writer lock ------------------------------------------------ */

static void rd_unlock(void* l) PKD_NO_ANALYSIS {
  pkd_rwlock_rdunlock(l);
}

static void wr_unlock(void* l) PKD_NO_ANALYSIS {
  pkd_rwlock_wrunlock(l);
}

/* Moves a waiter only if it could not enter, and, so that it is not passed over
 * for ever, only if somebody is bound to look into the queue for it: the writer,
 * or the last of readers who are kept from coming. */
static bool rw_bind(pkd_rwlock_t* l, enum pkd__rw_mode mode) {
  bool pends = pkd__rw_pends(mode, l->policy == PKD_RWLOCK_PREFER_READERS);
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: exchange decides */

  while (!pkd__rw_may(old, mode) &&
         (pends || pkd__rw_is(old, PKD__RW_HELD | PKD__RW_PENDING))) {
    /* relaxed: as in mutex_bind */
    if (pkd__cas_relaxed(&l->word, &old, pkd__rw_queued(old, pends, false)))
      return true;
  }
  return false;
}

static bool rd_bind(void* l) {
  return rw_bind(l, PKD__RW_READ);
}

static bool wr_bind(void* l) {
  return rw_bind(l, PKD__RW_WRITE);
}

static void rw_follow(void* l) {
  /* relaxed: as in mutex_bind */
  pkd__or_relaxed(&((pkd_rwlock_t*)l)->word, (uint32_t)PKD__RW_QUEUED);
}

/* Whoever was woken by the condition itself, with others moved behind it, looks
 * after them: a reader's unlock may not be the last, a writer may have to wait. */
static int rw_lock_woken(pkd_rwlock_t* l, enum pkd__rw_mode mode,
                         const pkd_cancel_t* cancel, pkd_deadline_t deadline,
                         uint64_t token) {
  bool called = token != PKD__TOKEN_HANDOFF && token != PKD__TOKEN_WAKER;
  int rc = 0;

  if (called && mode == PKD__RW_WRITE && l->policy == PKD_RWLOCK_PREFER_READERS)
    pkd__rw_pass_gave_up(l); /* readers behind us need not wait for us */
  if (token != PKD__TOKEN_HANDOFF)
    rc = pkd__rwlock_lock_woken(l, mode, cancel, deadline,
                                token == PKD__TOKEN_WAKER);
  if (called && rc == 0 && mode == PKD__RW_READ)
    pkd__rw_pass_gave_up(l);
  return rc;
}

static int rd_lock_woken(void* l, const pkd_cancel_t* cancel,
                         pkd_deadline_t deadline, uint64_t token) {
  return rw_lock_woken(l, PKD__RW_READ, cancel, deadline, token);
}

static int wr_lock_woken(void* l, const pkd_cancel_t* cancel,
                         pkd_deadline_t deadline, uint64_t token) {
  return rw_lock_woken(l, PKD__RW_WRITE, cancel, deadline, token);
}

/* It may have been in the lock's queue, or in front of some who are. */
static int rw_try_late(pkd_rwlock_t* l, enum pkd__rw_mode mode) {
  int rc = pkd__rwlock_try(l, mode);

  pkd__rw_pass_gave_up(l);
  return rc;
}

static int rd_try_late(void* l) {
  return rw_try_late(l, PKD__RW_READ);
}

static int wr_try_late(void* l) {
  return rw_try_late(l, PKD__RW_WRITE);
}

static const struct pkd__cond_lock rdlock = {
    rd_unlock,           rd_bind, NULL, rw_follow, rd_lock_woken, rd_try_late,
    pkd__rwlock_gave_up,
};

static const struct pkd__cond_lock wrlock = {
    wr_unlock,           wr_bind, NULL, rw_follow, wr_lock_woken, wr_try_late,
    pkd__rwlock_gave_up,
};

/* --- which ----------------------------------------------------------------- */

uint64_t pkd__cond_token(enum pkd__cond_kind kind) {
  return PKD__COND_TAG | (uint64_t)kind;
}

const struct pkd__cond_lock* pkd__cond_lock_of(uint64_t token) {
  switch (token & 7) {
  case PKD__COND_RDLOCK:
    return &rdlock;
  case PKD__COND_WRLOCK:
    return &wrlock;
  case PKD__COND_FAIR:
    return &fair_mutex;
  default:
    return &mutex;
  }
}
