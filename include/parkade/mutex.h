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
 * Not re-entrant: a thread that locks twice waits for itself. */
#ifndef PARKADE_MUTEX_H
#define PARKADE_MUTEX_H

#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A mutex. Zeroed = free; the byte is the library's alone. */
typedef struct pkd_mutex {
  uint8_t word; /* atomic; bit 0 held, the rest is src/word/mutex.h */
} pkd_mutex_t;

#define PKD_MUTEX_INIT                                                         \
  { 0 }

/* The slow paths. Use the functions below. */
PKD_API int pkd__mutex_lock_slow(pkd_mutex_t* m, pkd_deadline_t deadline);
PKD_API int pkd__mutex_lock_cancellable_slow(pkd_mutex_t* m,
                                             const pkd_cancel_t* cancel,
                                             pkd_deadline_t deadline);
PKD_API int pkd__mutex_trylock_slow(pkd_mutex_t* m);
PKD_API void pkd__mutex_unlock_slow(pkd_mutex_t* m);

/* (X1) acquire, pairs with (X2): what earlier holders wrote is visible. Blind:
 * a look before the exchange would cost more than a failed exchange. */
static inline int pkd__mutex_lock_fast(pkd_mutex_t* m) {
  uint8_t free_word = 0;
  return __atomic_compare_exchange_n(&m->word, &free_word, (uint8_t)1, 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/** Locks `m`.
 *
 * @param m   a mutex this thread does not hold
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlock that let us in
 * Memory:    allocates nothing; `m` stays in place while anyone waits
 * Fairness:  see the head of this file */
static inline void pkd_mutex_lock(pkd_mutex_t* m) {
  if (!pkd__mutex_lock_fast(m))
    pkd__mutex_lock_slow(m, PKD_FOREVER);
}

/** Locks `m` if it is free now.
 *
 * @return 0 held; -EBUSY somebody else holds it
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_mutex_trylock(pkd_mutex_t* m) {
  return pkd__mutex_lock_fast(m) ? 0 : pkd__mutex_trylock_slow(m);
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
static inline int pkd_mutex_lock_until(pkd_mutex_t* m,
                                       pkd_deadline_t deadline) {
  return pkd__mutex_lock_fast(m) ? 0 : pkd__mutex_lock_slow(m, deadline);
}

/** The same with a span: gives up `ns` nanoseconds from now. A span too long for
 * the clock never ends. */
static inline int pkd_mutex_lock_for(pkd_mutex_t* m, uint64_t ns) {
  return pkd__mutex_lock_fast(m) ? 0 : pkd__mutex_lock_slow(m, pkd_after(ns));
}

/** Locks `m`, or gives up when `cancel` is fired or at `deadline`.
 *
 * @param cancel    see cancel.h; NULL makes this pkd_mutex_lock_until
 * @return 0           held; a free mutex is taken though `cancel` is fired
 *         -ECANCELED  not held, nothing changed
 *         -ETIMEDOUT  not held, nothing changed
 * Otherwise as pkd_mutex_lock_until. */
static inline int pkd_mutex_lock_cancellable(pkd_mutex_t* m,
                                             const pkd_cancel_t* cancel,
                                             pkd_deadline_t deadline) {
  return pkd__mutex_lock_fast(m)
             ? 0
             : pkd__mutex_lock_cancellable_slow(m, cancel, deadline);
}

/** Unlocks `m`. Wakes at most one waiter, and none if one is on its way already.
 *
 * @param m   a mutex that is held; unlocking a free one stops the program
 * Blocks:    no
 * Threads:   the one that locked it (not checked: a mutex has no owner)
 * Order:     release; pairs with the next lock
 * Memory:    may be freed by the next holder before this call has returned */
static inline void pkd_mutex_unlock(pkd_mutex_t* m) {
  uint8_t held = 1;
  /* (X2) release, pairs with (X1). */
  if (!__atomic_compare_exchange_n(&m->word, &held, (uint8_t)0, 0,
                                   __ATOMIC_RELEASE, __ATOMIC_RELAXED))
    pkd__mutex_unlock_slow(m);
}

/** Unlocks `m` and hands it to the oldest waiter, if one is asleep: nobody can
 * come between. Slower than pkd_mutex_unlock(), which lets a running thread in
 * while the woken one is still on its way. Otherwise the same. */
PKD_API void pkd_mutex_unlock_fair(pkd_mutex_t* m);

/** Lets a waiter have its turn: unlock_fair and lock, if somebody waits;
 * otherwise nothing. For long loops under a lock.
 *
 * @param m   a mutex this thread holds; held again on return
 * Blocks:    yes, while others have their turn
 * Order:     release, then acquire, if it was passed on */
PKD_API void pkd_mutex_bump(pkd_mutex_t* m);

/** Is `m` held by anybody at this moment? For assertions and displays: the
 * answer is old when it arrives.
 *
 * @return 1 held, 0 free
 * Order:     none */
static inline int pkd_mutex_is_locked(const pkd_mutex_t* m) {
  return __atomic_load_n(&m->word, __ATOMIC_RELAXED) & 1;
}

/* One locked section: the cleanup attribute unlocks on every way out. */
typedef struct pkd__mutex_scope {
  pkd_mutex_t* held;
  int left;
} pkd__mutex_scope_t;

static inline pkd__mutex_scope_t pkd__mutex_enter(pkd_mutex_t* m) {
  pkd__mutex_scope_t scope = {m, 0};
  pkd_mutex_lock(m);
  return scope;
}

static inline void pkd__mutex_leave(pkd__mutex_scope_t* scope) {
  pkd_mutex_unlock(scope->held);
}

/** PKD_WITH_MUTEX(m) { ... }: the block runs with `m` held. It is unlocked when
 * the block ends, and on break, continue, return and goto out of it (not on
 * longjmp). break and continue leave the block, not a loop around it. */
#define PKD_WITH_MUTEX(m)                                                      \
  PKD__WITH_MUTEX(m, PKD__NAME(pkd__scope_, __COUNTER__))
#define PKD__WITH_MUTEX(m, scope)                                              \
  for (pkd__mutex_scope_t scope                                                \
       __attribute__((cleanup(pkd__mutex_leave))) = pkd__mutex_enter(m);       \
       !scope.left; scope.left = 1)

#ifdef PKD_DEADLOCK
#include <parkade/watch/mutex.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
