/* SPDX-License-Identifier: MIT
 *
 * sem.c - pkd_sem_t. The word is drawn in word/sem.h.
 *
 * While W is set the permits belong to the queue: newcomers line up, and only
 * settle() moves permits, under the lot's lock, to the oldest waiters first. A
 * woken waiter owns what it asked for. A waiter takes, or sets W and is queued,
 * in one step under that lock, so no release falls between.
 *
 * The exchange that gives permits is the last touch of the semaphore: a waiter
 * that was served may free it. */
#include <parkade/sem.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "bucket.h"
#include "spin.h"
#include "word/sem.h"

_Static_assert(PKD_SEM_MAX == PKD__SEM_LIMIT && PKD__SEM_WAITERS == 1 &&
                   PKD__SEM_ONE == 2,
               "the header counts as the word");

static int settle(pkd_sem_t* s, uint32_t added);

static bool is_count(uint32_t n) {
  return n != 0 && n <= PKD_SEM_MAX;
}

/* --- acquire --------------------------------------------------------------- */

/* (S1) acquire, pairs with (S2) and (S3): what the releasers did before is
 * visible. */
static bool take(pkd_sem_t* s, uint32_t n, uint32_t* old) {
  while (pkd__sem_has(*old, n)) {
    if (pkd__cas_acquire(&s->word, old, pkd__sem_taken(*old, n)))
      return true;
  }
  return false;
}

struct wait {
  pkd_sem_t* s;
  uint32_t n;
};

/* Under the lot's lock. @return nonzero to wait */
static int take_or_queue(void* arg) {
  struct wait* w = arg;
  uint32_t old = pkd__load_relaxed(&w->s->word); /* relaxed: exchanges decide */

  do {
    if (take(w->s, w->n, &old))
      return 0;
    /* relaxed: the lot's lock orders the queue; W only leads there */
  } while (!pkd__cas_relaxed(&w->s->word, &old, pkd__sem_queued(old)));
  return 1;
}

static void gave_up(void* arg, const void* key, int was_last) {
  struct wait* w = arg;

  (void)key;
  /* relaxed: W changes under the lot's lock only */
  if (was_last)
    pkd__and_relaxed(&w->s->word, ~PKD__SEM_WAITERS);
}

static int queue(pkd_sem_t* s, uint32_t n, const pkd_cancel_t* cancel,
                 pkd_deadline_t deadline) {
  struct wait w = {s, n};
  pkd_park_t how = {0};
  int rc;

  how.validate = take_or_queue;
  how.timed_out = gave_up;
  how.arg = &w;
  how.token = n;
  how.cancel = cancel;
  rc = pkd_lot_park(s, &how, deadline, NULL);
  if (rc == 0 || rc == -EAGAIN)
    return 0;
  /* We may have stood in front of one that can be served. */
  settle(s, 0);
  return rc;
}

int pkd__sem_tryacquire(pkd_sem_t* s, uint32_t n) {
  uint32_t old = pkd__load_relaxed(&s->word); /* relaxed: a first look */

  if (!is_count(n))
    return -EINVAL;
  if (pkd__sem_has_waiters(old) && pkd__forked()) {
    settle(s, 0); /* they may not be in this process */
    old = pkd__load_relaxed(&s->word);
  }
  return take(s, n, &old) ? 0 : -EBUSY;
}

int pkd__sem_acquire(pkd_sem_t* s, uint32_t n, const pkd_cancel_t* cancel,
                     pkd_deadline_t deadline) {
  pkd__spin_t spin = PKD__SPIN_INIT;
  int rc;

  do {
    rc = pkd__sem_tryacquire(s, n);
    if (rc != -EBUSY)
      return rc;
    /* relaxed: a hint; with a queue there is nothing to spin for */
  } while (!pkd__sem_has_waiters(pkd__load_relaxed(&s->word)) &&
           pkd__spin(&spin));
  return queue(s, n, cancel, deadline);
}

/* --- release --------------------------------------------------------------- */

struct settle {
  pkd_sem_t* s;
  uint32_t added;
  uint32_t left; /* permits not given to a waiter yet */
  uint32_t served;
  bool begun;
  int rc;
};

static pkd_unpark_op_t serve(void* arg, pkd_waiter_t* waiter) {
  struct settle* d = arg;

  if (!d->begun) {
    /* relaxed: the number stands still, since W is set and we hold the lock */
    uint32_t word = pkd__load_relaxed(&d->s->word);

    d->begun = true;
    if (pkd__sem_overflows(word, d->added))
      return PKD_UNPARK_STOP;
    d->left = pkd__sem_permits(word) + d->added;
  }
  if (waiter->token > d->left)
    return PKD_UNPARK_STOP;
  d->left -= (uint32_t)waiter->token;
  d->served += (uint32_t)waiter->token;
  return PKD_UNPARK_WAKE;
}

/* Under the lot's lock, with those chosen who are served. */
static uint64_t give(void* arg, const pkd_unpark_result_t* result) {
  struct settle* d = arg;
  uint32_t old = pkd__load_relaxed(&d->s->word); /* relaxed: exchange decides */

  do {
    if (pkd__sem_overflows(old, d->added)) {
      d->rc = -EOVERFLOW;
      return 0;
    }
    /* (S3) acq_rel, pairs with (S1) and (S2): whom we wake sees through us what
     * those did whose permits lay there before it queued. Not a store: with nobody
     * queued newcomers may be taking. */
  } while (!pkd__cas_acq_rel(
      &d->s->word, &old,
      pkd__sem_settled(old, d->added, d->served, result->have_more != 0)));
  return 0;
}

/* Adds permits and serves the queue. */
static int settle(pkd_sem_t* s, uint32_t added) {
  struct settle d = {s, added, 0, 0, false, 0};

  pkd_lot_unpark_filter(s, serve, give, &d);
  return d.rc;
}

int pkd__sem_release(pkd_sem_t* s, uint32_t n) {
  uint32_t old = pkd__load_relaxed(&s->word); /* relaxed: exchanges decide */

  if (!is_count(n))
    return -EINVAL;
  do {
    if (pkd__sem_has_waiters(old))
      return settle(s, n);
    if (pkd__sem_overflows(old, n))
      return -EOVERFLOW;
    /* (S2) release, pairs with (S1) and (S3). */
  } while (!pkd__cas_release(&s->word, &old, old + n * PKD__SEM_ONE));
  return 0;
}
