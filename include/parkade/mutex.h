/* SPDX-License-Identifier: MIT
 *
 * mutex.h - pkd_mutex_t: one byte that guards data.
 *
 * For data-critical sections: copy in, copy out, short. A thread that finds it
 * held spins a moment and then sleeps. Do not hold it across I/O, and not on a
 * loop's thread for longer than the loop may stand still; for that there is
 * pkd_async_mutex_t.
 *
 *   static pkd_mutex_t m;                 zeroed memory is a free mutex
 *   PKD_WITH_MUTEX(&m) { total += n; }    released however the block is left
 *
 * No init, no destroy. The memory may be freed by whoever holds the lock, after
 * its unlock, even while the previous holder's unlock call still returns: the
 * last change of the byte is the last touch.
 *
 * Fairness: a newcomer may overtake while sections are short. A waiter that has
 * waited for about half a millisecond is handed the lock by the next unlock that
 * meets it, in queue order. Measured per waiter, so a hot lock does not spend
 * the patience of another.
 *
 * Not re-entrant: a thread that locks twice waits for itself.
 *
 * Source: a byte here and a queue elsewhere is the Lock of WebKit's WTF and the
 * RawMutex of parking_lot, hand-over to the patient too; that one thread on its way
 * is enough is the designated waker of nsync. */
#ifndef PARKADE_MUTEX_H
#define PARKADE_MUTEX_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A mutex. Zeroed = free; the byte is the library's alone. */
typedef struct PKD_CAPABILITY("mutex") pkd_mutex {
  uint8_t word; /* atomic; bit 0 held, the rest is src/word/mutex.h */
} pkd_mutex_t;

/** A free mutex. */
#define PKD_MUTEX_INIT                                                         \
  { 0 }

/* The slow paths. Use the functions below. */
PKD_API int pkd__mutex_lock_slow(pkd_mutex_t* m, pkd_deadline_t deadline);
PKD_API int pkd__mutex_lock_cancellable_slow(pkd_mutex_t* m,
                                             const pkd_cancel_t* cancel,
                                             pkd_deadline_t deadline);
PKD_API int pkd__mutex_trylock_slow(pkd_mutex_t* m);
PKD_API void pkd__mutex_unlock_slow(pkd_mutex_t* m);
PKD_API void pkd__mutex_bump(pkd_mutex_t* m);
PKD_API void pkd__mutex_unlock_fair(pkd_mutex_t* m);

/* (X1) acquire, pairs with (X2): what earlier holders wrote is visible. Blind:
 * a look before the exchange would cost more than a failed exchange. */
static inline int pkd__mutex_lock_fast(pkd_mutex_t* m) {
  uint8_t free_word = 0;
  return __atomic_compare_exchange_n(&m->word, &free_word, (uint8_t)1, 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline int pkd__mutex_unlock_fast(pkd_mutex_t* m) {
  uint8_t held = 1;

  /* (X2) release, pairs with (X1). */
  return __atomic_compare_exchange_n(&m->word, &held, (uint8_t)0, 0,
                                     __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/** Locks `m`.
 *
 * @param m   a mutex this thread does not hold
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlock that let us in
 * Memory:    allocates nothing; `m` stays in place while anyone waits
 * Fairness:  see the head of this file */
static inline void pkd_mutex_lock(pkd_mutex_t* m)
    PKD_ACQUIRE(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_LOCKING(m, 0);
  if (!pkd__mutex_lock_fast(m))
    pkd__mutex_lock_slow(m, PKD_FOREVER);
  PKD__TSAN_LOCKED(m, 0);
}

/** Locks `m` if it is free now.
 *
 * @return 0 held; -EBUSY somebody else holds it
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_mutex_trylock(pkd_mutex_t* m)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__mutex_lock_fast(m) ? 0 : pkd__mutex_trylock_slow(m);
  PKD__TSAN_TRIED(m, 0, rc == 0);
  return rc;
}

/** Locks `m`, or gives up at `deadline`.
 *
 * @param m         a mutex this thread does not hold
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  trylock, PKD_FOREVER never comes
 * @return 0           held; exactly one pkd_mutex_unlock() is owed
 *         -ETIMEDOUT  not held, nothing changed
 *         A waiter that is handed the lock at its deadline has it: 0.
 * Blocks:    yes, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_mutex_lock_until(pkd_mutex_t* m, pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__mutex_lock_fast(m) ? 0 : pkd__mutex_lock_slow(m, deadline);
  PKD__TSAN_TRIED(m, 0, rc == 0);
  return rc;
}

/** As pkd_mutex_lock_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_mutex_lock_for(pkd_mutex_t* m, uint64_t ns)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__mutex_lock_fast(m) ? 0 : pkd__mutex_lock_slow(m, pkd_after(ns));
  PKD__TSAN_TRIED(m, 0, rc == 0);
  return rc;
}

/** Locks `m`, or gives up when `cancel` is fired or at `deadline`.
 *
 * @param cancel    see cancel.h; NULL makes this pkd_mutex_lock_until()
 * @return 0           held; a free mutex is taken though `cancel` is fired
 *         -ECANCELED  not held, nothing changed
 *         -ETIMEDOUT  not held, nothing changed
 * Otherwise as pkd_mutex_lock_until(). */
static inline int pkd_mutex_lock_cancellable(pkd_mutex_t* m,
                                             const pkd_cancel_t* cancel,
                                             pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(m, 0);
  rc = pkd__mutex_lock_fast(m)
           ? 0
           : pkd__mutex_lock_cancellable_slow(m, cancel, deadline);
  PKD__TSAN_TRIED(m, 0, rc == 0);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** Unlocks `m`. Wakes at most one waiter, and none if one is on its way already.
 *
 * @param m   a mutex that is held; unlocking a free one stops the program
 * Blocks:    no
 * Threads:   the one that locked it (not checked: a mutex has no owner)
 * Order:     release; pairs with the next lock
 * Memory:    may be freed by the next holder before this call has returned */
static inline void pkd_mutex_unlock(pkd_mutex_t* m)
    PKD_RELEASE(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(m, 0);
  if (!pkd__mutex_unlock_fast(m))
    pkd__mutex_unlock_slow(m);
  PKD__TSAN_UNLOCKED(m, 0);
}

/** Unlocks `m` and hands it to the oldest waiter, if one is asleep: nobody can
 * come between. Slower than pkd_mutex_unlock(), which lets a running thread in
 * while the woken one is still on its way. Otherwise as pkd_mutex_unlock(). */
static inline void pkd_mutex_unlock_fair(pkd_mutex_t* m)
    PKD_RELEASE(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(m, 0);
  pkd__mutex_unlock_fair(m);
  PKD__TSAN_UNLOCKED(m, 0);
}

/** Lets a waiter have its turn: unlock_fair and lock, if somebody waits;
 * otherwise nothing. For long loops under a lock.
 *
 * @param m   a mutex this thread holds; held again on return
 * Blocks:    yes, while others have their turn
 * Order:     release, then acquire, if it was passed on
 * Threads:   the one that holds it */
static inline void pkd_mutex_bump(pkd_mutex_t* m)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(m, 0);
  PKD__TSAN_UNLOCKED(m, 0);
  PKD__TSAN_LOCKING(m, 0);
  pkd__mutex_bump(m);
  PKD__TSAN_LOCKED(m, 0);
}

/** Is `m` held by anybody at this moment? For assertions and displays: the
 * answer is old when it arrives.
 *
 * @return 1 held, 0 free
 * Order:     none
 * Blocks:    no
 * Threads:   any */
static inline int pkd_mutex_is_locked(const pkd_mutex_t* m) {
  return __atomic_load_n(&m->word, __ATOMIC_RELAXED) & 1;
}

/* One locked section: the cleanup attribute unlocks on every way out. */
typedef struct pkd__mutex_scope {
  pkd_mutex_t* held;
  int left;
} pkd__mutex_scope_t;

static inline pkd__mutex_scope_t pkd__mutex_enter(pkd_mutex_t* m)
    PKD_EXCLUDES(*m) PKD_NO_ANALYSIS {
  pkd__mutex_scope_t scope = {m, 0};

  pkd_mutex_lock(m);
  return scope;
}

static inline void pkd__mutex_leave(pkd__mutex_scope_t* scope) PKD_NO_ANALYSIS {
  pkd_mutex_unlock(scope->held);
}

/* To the analysis only: within the block it is held. */
static inline int pkd__mutex_assert_held(pkd_mutex_t* m)
    PKD_ASSERT_HELD(*m) PKD_NO_ANALYSIS {
  (void)m;
  return 1;
}

/** PKD_WITH_MUTEX(m) { ... }: the block runs with `m` held. It is unlocked when
 * the block ends, and on break, continue, return and goto out of it; not on
 * longjmp; when the thread is cancelled or calls pthread_exit, only if this unit is
 * compiled with -fexceptions. break and continue leave the block, not a loop around
 * it. `m` is an expression without side effects: clang looks at it twice. */
#define PKD_WITH_MUTEX(m)                                                      \
  PKD__WITH(pkd__mutex_scope_t, pkd__mutex_enter, pkd__mutex_leave,            \
            pkd__mutex_assert_held, m)

#ifdef PKD_DEADLOCK
#include <parkade/watch/mutex.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
