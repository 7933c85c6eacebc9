/* SPDX-License-Identifier: MIT
 *
 * mutex.c - the slow paths of pkd_mutex_t. The byte is drawn in word/mutex.h.
 *
 * No wake-up is lost: a waiter sets P and then sleeps only if, under the lot's
 * lock, it still sees L and P; an unlock that sees P either goes through that
 * lock, or leaves the work to a designated waker, who is awake and will take the
 * mutex (and then unlock it) or will clear W before it sleeps. W is cleared by
 * the same exchange that sees L set, so the holder of that moment will find P
 * without W. W hidden by an unlock: word/mutex.h says what the waker does then.
 *
 * Barging is bounded: a waiter keeps the time at which its patience ends, and a
 * designated waker that lost goes back to the head of the queue. An unlock that
 * finds the oldest waiter past its due leaves L set and hands the mutex over. The
 * one behind it has to grant the new owner a tenure: with many waiters past
 * their due, every section would otherwise cost a sleep and a wake.
 *
 * While P or W is set, lock and unlock come here, twice the price of the fast
 * paths. A designated waker that gets no processor would make that last for a
 * time slice. So now and then an unlock does not rely on it: it looks into the
 * lot, hands over if the oldest waiter is past its due, and hides both bits if
 * not.
 *
 * The exchange that lets go is the last touch of the byte, fast path and slow:
 * whoever gets the lock may free it. */
#include <parkade/mutex.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "bucket.h"
#include "lot.h"
#include "mutex_tokens.h"
#include "os/os.h"
#include "panic.h"
#include "spin.h"
#include "word/mutex.h"

/* After this long in the queue the lock is handed over: half of the millisecond
 * that WebKit's and parking_lot's mutexes allow. */
#define PATIENCE_NS 500000u

/* How long a new owner may keep the lock from the next in the queue that is past
 * its due: ten times what the hand-over itself costs. */
#define TENURE_NS 50000u

/* One thread's attempt to lock. */
struct attempt {
  pkd_mutex_t* m;
  pkd_deadline_t deadline;
  const pkd_cancel_t* cancel; /* or NULL */
  uint32_t due;               /* end of patience; 0 until the first sleep */
  bool waker;                 /* bit W is ours */
  pkd__spin_t spin;
};

static int still_held(void* m) {
  /* relaxed: the lot's lock orders it against the unlock that clears L */
  return pkd__mutex_may_sleep(pkd__load_relaxed(&((pkd_mutex_t*)m)->word));
}

/* Asleep in the queue until woken or late.
 * @return 0 compete again; 1 handed over; -ETIMEDOUT, -ECANCELED */
static int sleep_in_queue(struct attempt* a) {
  pkd_park_t how = {0};
  pkd_parked_t parked = {PKD__TOKEN_NONE, 0};
  int rc;

  if (a->due == 0)
    a->due = pkd_lot_due(pkd_after(PATIENCE_NS));
  how.validate = still_held;
  how.timed_out = pkd__mutex_gave_up;
  how.arg = a->m;
  how.due = a->due;
  how.front = a->waker;
  how.cancel = a->cancel;
  a->waker = false;
  rc = pkd_lot_park(a->m, &how, a->deadline, &parked);
  if (rc == -ETIMEDOUT || rc == -ECANCELED)
    return rc;
  a->waker = rc == 0 && parked.token == PKD__TOKEN_WAKER;
  a->spin = (pkd__spin_t)PKD__SPIN_INIT;
  return rc == 0 && parked.token == PKD__TOKEN_HANDOFF;
}

static int lock(struct attempt* a) {
  /* relaxed: a first look; the exchanges decide */
  uint8_t old = pkd__load_relaxed(&a->m->word);

  for (;;) {
    if (pkd__mutex_is_free(old)) {
      /* (X1) */
      if (pkd__cas_acquire(&a->m->word, &old, pkd__mutex_taken(old, a->waker)))
        return 0;
    } else if (pkd__spin(&a->spin)) {
      old = pkd__load_relaxed(&a->m->word); /* relaxed: as above */
    } else {
      uint8_t parked = pkd__mutex_parked(old, a->waker);

      /* relaxed: publishes nothing; sleep_in_queue looks again in the lot */
      if (parked == old || pkd__cas_relaxed(&a->m->word, &old, parked)) {
        int rc = sleep_in_queue(a);

        if (rc != 0)
          return rc < 0 ? rc : 0;
        old = pkd__load_relaxed(&a->m->word); /* relaxed: as above */
      }
    }
  }
}

int pkd__mutex_lock_slow(pkd_mutex_t* m, pkd_deadline_t deadline) {
  struct attempt a = {m, deadline, NULL, 0, false, PKD__SPIN_INIT};

  return lock(&a);
}

int pkd__mutex_lock_cancellable_slow(pkd_mutex_t* m, const pkd_cancel_t* cancel,
                                     pkd_deadline_t deadline) {
  struct attempt a = {m, deadline, cancel, 0, false, PKD__SPIN_INIT};

  return lock(&a);
}

int pkd__mutex_lock_woken(pkd_mutex_t* m, const pkd_cancel_t* cancel,
                          pkd_deadline_t deadline, uint64_t token) {
  struct attempt a = {
      m, deadline, cancel, 0, token == PKD__TOKEN_WAKER, PKD__SPIN_INIT};

  return token == PKD__TOKEN_HANDOFF ? 0 : lock(&a);
}

int pkd__mutex_trylock_slow(pkd_mutex_t* m) {
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: a hint */

  while (pkd__mutex_is_free(old)) {
    /* (X1) */
    if (pkd__cas_acquire(&m->word, &old, pkd__mutex_taken(old, false)))
      return 0;
  }
  return -EBUSY;
}

void pkd__mutex_gave_up(void* arg, const void* key, int was_last) {
  pkd_mutex_t* m = arg;

  (void)key;
  /* relaxed: under the lot's lock, the only place where P is cleared */
  if (was_last)
    pkd__and_relaxed(&m->word, (uint8_t)~PKD__MUTEX_PARKED);
}

/* --- unlock ---------------------------------------------------------------- */

struct release {
  pkd_mutex_t* m;
  bool fair;     /* hand over, whatever the time */
  bool doubtful; /* one is on its way, but this time we look ourselves */
  bool chosen;   /* the oldest waiter is to be woken ... */
  bool hand;     /* ... and to own the mutex when it wakes */
  bool again;    /* what we relied on has changed; still held */
};

/* Under the lot's lock, shown the oldest waiter, then the one behind it. */
static pkd_unpark_op_t choose(void* arg, pkd_waiter_t* waiter) {
  struct release* r = arg;
  pkd_deadline_t now = pkd_now();

  if (!r->chosen) {
    r->hand = r->fair || pkd__due_by(waiter->due, pkd_lot_due(now));
    r->chosen = r->hand || !r->doubtful;
    return r->chosen ? PKD_UNPARK_WAKE : PKD_UNPARK_STOP;
  }
  if (r->hand && waiter->due != 0) {
    uint32_t tenure_ends = pkd_lot_due(now + TENURE_NS);

    if (pkd__due_by(waiter->due, tenure_ends))
      waiter->due = tenure_ends;
  }
  return PKD_UNPARK_STOP;
}

/* Under the lot's lock, with the oldest waiter chosen or none. */
static uint64_t let_go(void* arg, const pkd_unpark_result_t* result) {
  struct release* r = arg;
  uint8_t* word = &r->m->word;
  uint8_t old;

  if (r->hand) {
    /* relaxed: L stays set; the parker of the new holder carries the order */
    if (!result->have_more)
      pkd__and_relaxed(word, (uint8_t)~PKD__MUTEX_PARKED);
    return PKD__TOKEN_HANDOFF;
  }
  old = pkd__load_relaxed(word); /* relaxed: the exchange decides */
  if (r->doubtful) {
    while (pkd__mutex_has_waker(old)) {
      /* (X2) release, pairs with (X1). */
      if (pkd__cas_release(word, &old, pkd__mutex_hidden(old)))
        return PKD__TOKEN_NONE;
    }
    r->again = true;
    return PKD__TOKEN_NONE;
  }
  /* (X2) release, pairs with (X1). Not a plain store: a designated waker may be
   * clearing its bit. */
  while (!pkd__cas_release(
      word, &old,
      pkd__mutex_passed(old, result->unparked != 0, result->have_more != 0))) {
  }
  return PKD__TOKEN_WAKER;
}

/* Has this unlock to look into the lot? */
static bool must_look(struct release* r, uint8_t word) {
  r->doubtful = false;
  if (r->fair)
    return true; /* the queue may be hidden */
  if (!pkd__mutex_has_queue(word))
    return false;
  if (!pkd__mutex_has_waker(word) || pkd__forked())
    return true;
  r->doubtful = pkd__os_now_and_then();
  return r->doubtful;
}

static void unlock(const char* call, pkd_mutex_t* m, bool fair) {
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: exchanges decide */

  for (;;) {
    struct release r = {.m = m, .fair = fair};

    if (pkd__mutex_is_free(old))
      pkd__panic(call, m, "is not locked; unlock only what you have locked");
    if (must_look(&r, old)) {
      pkd_lot_unpark_filter(m, choose, let_go, &r);
      if (!r.again)
        return;
      old = pkd__load_relaxed(&m->word); /* relaxed: exchanges decide */
      /* (X2) */
    } else if (pkd__cas_release(&m->word, &old, pkd__mutex_released(old))) {
      return;
    }
  }
}

void pkd__mutex_unlock_slow(pkd_mutex_t* m) {
  unlock("pkd_mutex_unlock", m, false);
}

void pkd__mutex_unlock_fair(pkd_mutex_t* m) {
  unlock("pkd_mutex_unlock_fair", m, true);
}

void pkd__mutex_bump(pkd_mutex_t* m) PKD_NO_ANALYSIS {
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: a hint */

  if (pkd__mutex_is_free(old))
    pkd__panic("pkd_mutex_bump", m, "is not locked; bump only what you hold");
  if ((old & PKD__MUTEX_PARKED) != 0) {
    unlock("pkd_mutex_bump", m, true);
    pkd_mutex_lock(m);
  }
}
