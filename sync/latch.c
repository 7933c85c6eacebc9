/* SPDX-License-Identifier: MIT
 *
 * latch.c - pkd_latch_t. The word is drawn in word/latch.h.
 *
 * The count that opens a latch with waiters is made under the lot's lock, where
 * they are dequeued: until then the latch is closed, so nobody can have found it
 * open and freed it, and after it only dequeued waiters are named. */
#include <parkade/latch.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "panic.h"
#include "word/latch.h"

/* --- waiting --------------------------------------------------------------- */

/* (L1) acquire, pairs with (L2) and (L3): what was done before each count shows. */
static bool is_open(const pkd_latch_t* l) {
  return pkd__latch_is_open(pkd__load_acquire(&l->word));
}

/* Under the lot's lock. @return nonzero to wait */
static int queue_if_closed(void* arg) {
  pkd_latch_t* l = arg;
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: exchange decides */

  while (!pkd__latch_is_open(old)) {
    /* relaxed: the lot's lock orders the queue; W only leads there */
    if (pkd__cas_relaxed(&l->word, &old, pkd__latch_queued(old)))
      return 1;
  }
  return 0;
}

static void gave_up(void* arg, const void* key, int was_last) {
  pkd_latch_t* l = arg;

  (void)key;
  /* relaxed: W changes under the lot's lock only */
  if (was_last)
    pkd__and_relaxed(&l->word, pkd__latch_unqueued(UINT32_MAX));
}

int pkd__latch_wait(pkd_latch_t* l, const pkd_cancel_t* cancel,
                    pkd_deadline_t deadline) {
  pkd_park_t how = {0};
  int rc;

  if (is_open(l))
    return 0;
  how.validate = queue_if_closed;
  how.timed_out = gave_up;
  how.arg = l;
  how.cancel = cancel;
  rc = pkd_lot_park(l, &how, deadline, NULL);
  if (rc != -EAGAIN)
    return rc;
  (void)is_open(l); /* it is; (L1) for what was done before */
  return 0;
}

/* --- counting -------------------------------------------------------------- */

static pkd_unpark_op_t let_go(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_WAKE;
}

/* Under the lot's lock, with all waiters dequeued. */
static uint64_t open_up(void* arg, const pkd_unpark_result_t* result) {
  pkd_latch_t* l = arg;

  (void)result;
  /* (L3) acq_rel, pairs with (L1) and (L2): whom we wake sees through us what the
   * others did. */
  pkd__exchange_acq_rel(&l->word, 0);
  return 0;
}

void pkd__latch_count_down(pkd_latch_t* l, uint32_t n) {
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: exchange decides */

  if (n == 0)
    return;
  do {
    if (pkd__latch_left(old) < n)
      pkd__panic("pkd_latch_count_down", l,
                 "has fewer left than are counted; count each thing once");
    if (pkd__latch_lets_go(old, n)) {
      pkd_lot_unpark_filter(l, let_go, open_up, l);
      return;
    }
    /* (L2) release, pairs with (L1) and (L3): each count passes on those before
     * it. */
  } while (!pkd__cas_release(&l->word, &old, pkd__latch_counted(old, n)));
}
