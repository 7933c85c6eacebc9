/* SPDX-License-Identifier: MIT
 *
 * fair_mutex.c - the slow paths of pkd_fair_mutex_t. The byte is drawn in
 * word/fair_mutex.h.
 *
 * Strict order rests on one rule: whether a thread has the mutex or waits for it
 * is decided under the lot's lock, in the step that queues it. So from a
 * waiter's first moment in the queue until it is served the byte says "held",
 * each unlock goes through the same lock and hands over, and there is no moment
 * at which somebody waits for a mutex that a newcomer could take. Nobody spins
 * outside the queue: that would be a place where one is overtaken.
 *
 * A waiter's park token is its thread's number, for those who look into the
 * queue. The step that lets go is the last touch of the byte. */
#include <parkade/fair_mutex.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "panic.h"
#include "word/fair_mutex.h"

/* Under the lot's lock: the mutex is taken here, or waited for.
 * @return 0 taken; 1 wait */
static int take_or_wait(void* arg) {
  uint8_t* word = &((pkd_fair_mutex_t*)arg)->word;
  uint8_t old = pkd__load_relaxed(word); /* relaxed: the exchanges decide */

  for (;;) {
    if (pkd__fair_is_free(old)) {
      /* (F1) */
      if (pkd__cas_acquire(word, &old, pkd__fair_taken(old)))
        return 0;
    } else if (pkd__fair_is_waited(old) ||
               /* relaxed: the lot's lock orders the queue */
               pkd__cas_relaxed(word, &old, pkd__fair_waited(old))) {
      return 1;
    }
  }
}

static void gave_up(void* arg, const void* key, int was_last) {
  uint8_t* word = &((pkd_fair_mutex_t*)arg)->word;

  (void)key;
  /* relaxed: under the lot's lock; the holder's unlock fails on the bit or not,
   * and is right either way */
  if (was_last)
    pkd__and_relaxed(word, (uint8_t)~PKD__FAIR_PARKED);
}

int pkd__fair_mutex_lock_slow(pkd_fair_mutex_t* m, const pkd_cancel_t* cancel,
                              pkd_deadline_t deadline) {
  pkd_park_t how = {0};
  int rc;

  how.validate = take_or_wait;
  how.timed_out = gave_up;
  how.arg = m;
  how.token = pkd_thread_id();
  how.cancel = cancel;
  rc = pkd_lot_park(m, &how, deadline, NULL);
  return rc == -EAGAIN ? 0 : rc;
}

/* Under the lot's lock, with the oldest waiter chosen or none there. */
static uint64_t hand_over(void* arg, const pkd_unpark_result_t* result) {
  uint8_t* word = &((pkd_fair_mutex_t*)arg)->word;

  if (result->unparked != 0) {
    /* relaxed: L stays set, nobody else may write the byte now; the parker of
     * the new holder carries the order */
    pkd__store_relaxed(word, pkd__fair_handed(result->have_more != 0));
  } else {
    /* (F2) release, pairs with (F1). The last waiter gave up meanwhile, or this
     * is the child of a fork. */
    pkd__store_release(word, (uint8_t)0);
  }
  return 0;
}

static void unlock(const char* call, pkd_fair_mutex_t* m) {
  /* relaxed: a misuse is one whatever the order */
  if (pkd__fair_is_free(pkd__load_relaxed(&m->word)))
    pkd__panic(call, m, "is not locked; unlock only what you have locked");
  pkd_lot_unpark_one(m, hand_over, m);
}

void pkd__fair_mutex_unlock_slow(pkd_fair_mutex_t* m) {
  unlock("pkd_fair_mutex_unlock", m);
}

void pkd__fair_mutex_bump(pkd_fair_mutex_t* m) PKD_NO_ANALYSIS {
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: a hint */

  if (pkd__fair_is_free(old))
    pkd__panic("pkd_fair_mutex_bump", m,
               "is not locked; bump only what you hold");
  if (pkd__fair_is_waited(old)) {
    unlock("pkd_fair_mutex_bump", m);
    pkd_fair_mutex_lock(m);
  }
}
