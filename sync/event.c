/* SPDX-License-Identifier: MIT
 *
 * event.c - pkd_event_t. The word is drawn in word/event.h.
 *
 * A waiter passes or sets W in one exchange, under the lot's lock, and is queued
 * in the same step; a set that sees W goes through that lock. So no set falls
 * between a waiter's look and its sleep. The exchange that sets is the last
 * touch of the event: after it only waiters that were dequeued are named. */
#include <parkade/event.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "word/event.h"

/* --- waiting --------------------------------------------------------------- */

/* (E1) acquire, pairs with (E2): what the setter did before is visible. The
 * exchange stands also where it changes nothing: it carries the order. */
static bool pass(pkd_event_t* e, uint32_t* old) {
  while (pkd__event_is_set(*old)) {
    if (pkd__cas_acquire(&e->word, old, pkd__event_passed(*old)))
      return true;
  }
  return false;
}

/* Under the lot's lock. @return nonzero to wait */
static int pass_or_queue(void* arg) {
  pkd_event_t* e = arg;
  uint32_t old = pkd__load_relaxed(&e->word); /* relaxed: exchanges decide */

  do {
    if (pass(e, &old))
      return 0;
    /* relaxed: the lot's lock orders the queue; W only leads there */
  } while (!pkd__cas_relaxed(&e->word, &old, pkd__event_queued(old)));
  return 1;
}

static void gave_up(void* arg, const void* key, int was_last) {
  pkd_event_t* e = arg;

  (void)key;
  /* relaxed: W changes under the lot's lock only */
  if (was_last)
    pkd__and_relaxed(&e->word, pkd__event_unqueued(UINT32_MAX));
}

int pkd__event_trywait(pkd_event_t* e) {
  uint32_t old = pkd__load_relaxed(&e->word); /* relaxed: a first look */

  return pass(e, &old) ? 0 : -EBUSY;
}

int pkd__event_wait(pkd_event_t* e, const pkd_cancel_t* cancel,
                    pkd_deadline_t deadline) {
  pkd_park_t how = {0};
  int rc;

  if (pkd__event_trywait(e) == 0)
    return 0;
  how.validate = pass_or_queue;
  how.timed_out = gave_up;
  how.arg = e;
  how.cancel = cancel;
  rc = pkd_lot_park(e, &how, deadline, NULL);
  return rc == -EAGAIN ? 0 : rc;
}

/* --- setting --------------------------------------------------------------- */

struct set {
  pkd_event_t* e;
  bool woken;
};

static pkd_unpark_op_t let_pass(void* arg, pkd_waiter_t* waiter) {
  struct set* set = arg;
  /* relaxed: A does not change */
  bool one = pkd__event_is_auto(pkd__load_relaxed(&set->e->word));

  (void)waiter;
  if (one && set->woken)
    return PKD_UNPARK_STOP;
  set->woken = true;
  return PKD_UNPARK_WAKE;
}

/* Under the lot's lock, with those chosen who pass. */
static uint64_t happen(void* arg, const pkd_unpark_result_t* result) {
  struct set* set = arg;
  uint32_t* word = &set->e->word;
  uint32_t old = pkd__load_relaxed(word); /* relaxed: the exchange decides */

  /* (E2) release, pairs with (E1). Not a store: a reset may come between. */
  while (!pkd__cas_release(
      word, &old,
      pkd__event_happened(old, set->woken, result->have_more != 0))) {
  }
  return 0;
}

void pkd__event_set(pkd_event_t* e) {
  uint32_t old = pkd__load_relaxed(&e->word); /* relaxed: exchanges decide */

  do {
    if (pkd__event_has_waiters(old)) {
      struct set set = {e, false};

      pkd_lot_unpark_filter(e, let_pass, happen, &set);
      return;
    }
    /* (E2) also where it is set already: this set shows more than the last */
  } while (!pkd__cas_release(&e->word, &old, old | PKD__EVENT_SET));
}

void pkd_event_reset(pkd_event_t* e) {
  /* relaxed: it takes back; it shows nothing */
  pkd__and_relaxed(&e->word, pkd__event_cleared(UINT32_MAX));
}
