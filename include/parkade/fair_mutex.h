/* SPDX-License-Identifier: MIT
 *
 * fair_mutex.h - pkd_fair_mutex_t: one byte that guards data, strictly in turn.
 *
 * For sections whose order matters more than their number per second: who waits
 * longest is next, always. Every unlock hands the mutex to the oldest waiter, a
 * newcomer queues whenever anyone waits, and a try finds it held.
 *
 *   static pkd_fair_mutex_t m;                 zeroed memory is a free mutex
 *   PKD_WITH_FAIR_MUTEX(&m) { total += n; }    released however the block is left
 *
 * The price: with waiters, each section begins with the waking of a thread.
 * Where turns need not be strict, pkd_mutex_t is many times faster and bounds
 * the waiting too.
 *
 * The order is that in which waiters enter the queue. One that gives up leaves
 * it and disturbs nobody. Like pkd_mutex_t: no init, no destroy, may be freed by
 * its holder after unlock, not re-entrant. In the child of a fork a mutex that
 * another thread of the parent held or had been handed stays held. */
#ifndef PARKADE_FAIR_MUTEX_H
#define PARKADE_FAIR_MUTEX_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A fair mutex. Zeroed = free; the byte is the library's alone. */
typedef struct PKD_CAPABILITY("mutex") pkd_fair_mutex {
  uint8_t word; /* atomic; bit 0 held, the rest is src/word/fair_mutex.h */
} pkd_fair_mutex_t;

/** A free fair mutex. */
#define PKD_FAIR_MUTEX_INIT                                                    \
  { 0 }

/* The slow paths. Use the functions below. */
PKD_API int pkd__fair_mutex_lock_slow(pkd_fair_mutex_t* m,
                                      const pkd_cancel_t* cancel,
                                      pkd_deadline_t deadline);
PKD_API void pkd__fair_mutex_unlock_slow(pkd_fair_mutex_t* m);
PKD_API void pkd__fair_mutex_bump(pkd_fair_mutex_t* m);

/* (F1) acquire, pairs with (F2): what earlier holders wrote is visible. */
static inline int pkd__fair_mutex_lock_fast(pkd_fair_mutex_t* m) {
  uint8_t free_word = 0;
  return __atomic_compare_exchange_n(&m->word, &free_word, (uint8_t)1, 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/** Locks `m`, after all who wait already.
 *
 * @param m   a mutex this thread does not hold
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlock that let us in
 * Memory:    allocates nothing; `m` stays in place while anyone waits
 * Fairness:  strictly first in, first out */
static inline void pkd_fair_mutex_lock(pkd_fair_mutex_t* m)
    PKD_ACQUIRE(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_LOCKING(m, 0);
  if (!pkd__fair_mutex_lock_fast(m))
    pkd__fair_mutex_lock_slow(m, NULL, PKD_FOREVER);
  PKD__TSAN_LOCKED(m, 0);
}

/** Locks `m` if it is free now, which it never is while anyone waits.
 *
 * @return 0 held; -EBUSY somebody else holds it
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_fair_mutex_trylock(pkd_fair_mutex_t* m)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__fair_mutex_lock_fast(m) ? 0 : -EBUSY;
  PKD__TSAN_TRIED(m, 0, rc == 0);
  return rc;
}

/** Locks `m`, or gives up when `cancel` is fired or at `deadline`.
 *
 * @param m         a mutex this thread does not hold
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  trylock, PKD_FOREVER never comes
 * @return 0           held; exactly one pkd_fair_mutex_unlock() is owed. A free
 *                     mutex is taken though `cancel` is fired
 *         -ETIMEDOUT  not held, nothing changed
 *         -ECANCELED  not held, nothing changed
 *         A waiter that is handed the mutex before either reached it has it: 0.
 * Blocks:    yes, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_fair_mutex_lock_cancellable(pkd_fair_mutex_t* m,
                                                  const pkd_cancel_t* cancel,
                                                  pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__fair_mutex_lock_fast(m)
           ? 0
           : pkd__fair_mutex_lock_slow(m, cancel, deadline);
  PKD__TSAN_TRIED(m, 0, rc == 0);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** As pkd_fair_mutex_lock_cancellable() without a token. */
static inline int pkd_fair_mutex_lock_until(pkd_fair_mutex_t* m,
                                            pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  return pkd_fair_mutex_lock_cancellable(m, NULL, deadline);
}

/** As pkd_fair_mutex_lock_until() with a span: gives up `ns` nanoseconds from now.
 * A span too long for the clock never ends. */
static inline int pkd_fair_mutex_lock_for(pkd_fair_mutex_t* m, uint64_t ns)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__fair_mutex_lock_fast(m)
           ? 0
           : pkd__fair_mutex_lock_slow(m, NULL, pkd_after(ns));
  PKD__TSAN_TRIED(m, 0, rc == 0);
  return rc;
}

/** Hands `m` to the oldest waiter, or sets it free.
 *
 * @param m   a mutex that is held; unlocking a free one stops the program
 * Blocks:    no
 * Threads:   the one that locked it (not checked: it has no owner)
 * Order:     release; pairs with the next lock
 * Memory:    may be freed by the next holder before this call has returned */
static inline void pkd_fair_mutex_unlock(pkd_fair_mutex_t* m)
    PKD_RELEASE(*m) PKD_NO_ANALYSIS {
  uint8_t held = 1;

  PKD__TSAN_UNLOCKING(m, 0);
  /* (F2) release, pairs with (F1). */
  if (!__atomic_compare_exchange_n(&m->word, &held, (uint8_t)0, 0,
                                   __ATOMIC_RELEASE, __ATOMIC_RELAXED))
    pkd__fair_mutex_unlock_slow(m);
  PKD__TSAN_UNLOCKED(m, 0);
}

/** pkd_fair_mutex_unlock() under the name it has for other locks: each unlock of
 * this one is fair. */
static inline void pkd_fair_mutex_unlock_fair(pkd_fair_mutex_t* m)
    PKD_RELEASE(*m) PKD_NO_ANALYSIS {
  pkd_fair_mutex_unlock(m);
}

/** Lets the waiters of this moment have their turn: unlock and lock, if somebody
 * waits; otherwise nothing.
 *
 * @param m   a mutex this thread holds; held again on return
 * Blocks:    yes, while others have their turn
 * Order:     release, then acquire, if it was passed on
 * Threads:   the one that holds it */
static inline void pkd_fair_mutex_bump(pkd_fair_mutex_t* m)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(m, 0);
  PKD__TSAN_UNLOCKED(m, 0);
  PKD__TSAN_LOCKING(m, 0);
  pkd__fair_mutex_bump(m);
  PKD__TSAN_LOCKED(m, 0);
}

/** Is `m` held by anybody at this moment? For assertions and displays: the
 * answer is old when it arrives.
 *
 * @return 1 held, 0 free
 * Order:     none
 * Blocks:    no
 * Threads:   any */
static inline int pkd_fair_mutex_is_locked(const pkd_fair_mutex_t* m) {
  return __atomic_load_n(&m->word, __ATOMIC_RELAXED) & 1;
}

/* One locked section: the cleanup attribute unlocks on every way out. */
typedef struct pkd__fair_mutex_scope {
  pkd_fair_mutex_t* held;
  int left;
} pkd__fair_mutex_scope_t;

static inline pkd__fair_mutex_scope_t pkd__fair_mutex_enter(pkd_fair_mutex_t* m)
    PKD_EXCLUDES(*m) PKD_NO_ANALYSIS {
  pkd__fair_mutex_scope_t scope = {m, 0};

  pkd_fair_mutex_lock(m);
  return scope;
}

static inline void
pkd__fair_mutex_leave(pkd__fair_mutex_scope_t* scope) PKD_NO_ANALYSIS {
  pkd_fair_mutex_unlock(scope->held);
}

/* To the analysis only: within the block it is held. */
static inline int pkd__fair_mutex_assert_held(pkd_fair_mutex_t* m)
    PKD_ASSERT_HELD(*m) PKD_NO_ANALYSIS {
  (void)m;
  return 1;
}

/** PKD_WITH_FAIR_MUTEX(m) { ... }: the block runs with `m` held. It is unlocked when
 * the block ends, and on break, continue, return and goto out of it (more of that at
 * PKD_WITH_MUTEX). break and continue leave the block, not a loop around it. `m` is
 * an expression without side effects: clang looks at it twice. */
#define PKD_WITH_FAIR_MUTEX(m)                                                 \
  PKD__WITH(pkd__fair_mutex_scope_t, pkd__fair_mutex_enter,                    \
            pkd__fair_mutex_leave, pkd__fair_mutex_assert_held, m)

#ifdef PKD_DEADLOCK
#include <parkade/watch/fair_mutex.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
