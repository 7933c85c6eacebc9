/* SPDX-License-Identifier: MIT
 *
 * remutex.h - pkd_remutex_t: a mutex that its holder may lock again.
 *
 * For code that calls back into itself with the lock held. It belongs to a
 * thread: only the holder can unlock it, and must as often as it has locked.
 *
 *   static pkd_remutex_t m;                    zeroed memory is a free mutex
 *   PKD_WITH_REMUTEX(&m) { visit(tree); }      visit may lock m again
 *
 * Sixteen bytes: a pkd_mutex_t with its fairness, an owner, a count. The owner
 * is checked, the count cannot overflow unseen.
 *
 * A thread that ends while it holds one leaves it held for ever (a later thread
 * may get its number and pass for the owner: end no thread that holds a lock).
 * In the child of a fork the forking thread owns what it owned before. No
 * condition takes one: a wait could give up only one of several locks.
 *
 * clang's -Wthread-safety knows from version 21 on that it may be locked again;
 * before, it warns where one function calls lock twice (not of sections, nor of
 * functions that call each other). */
#ifndef PARKADE_REMUTEX_H
#define PARKADE_REMUTEX_H

#include <parkade/analysis.h>
#include <parkade/mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A re-entrant mutex. Zeroed = free; the fields are the library's alone. */
typedef struct PKD_CAPABILITY_AGAIN("mutex") pkd_remutex {
  uintptr_t owner;   /* atomic; PKD__SELF of the holder, 0: none */
  uint32_t again;    /* the holder's: its locks, but for the first */
  pkd_mutex_t mutex; /* what others wait for */
} pkd_remutex_t;

/** A free re-entrant mutex. */
#define PKD_REMUTEX_INIT                                                       \
  { 0, 0, PKD_MUTEX_INIT }

/* Out of line. Use the functions below. */
PKD_API void pkd__remutex_lock_slow(pkd_remutex_t* m);
PKD_API int pkd__remutex_trylock_slow(pkd_remutex_t* m);
PKD_API int pkd__remutex_lock_cancellable(pkd_remutex_t* m,
                                          const pkd_cancel_t* cancel,
                                          pkd_deadline_t deadline);
PKD_API void pkd__remutex_not_mine(const char* call, const pkd_remutex_t* m)
    __attribute__((noreturn, cold));
PKD_API void pkd__remutex_bump(pkd_remutex_t* m);

/* Each living thread has one, hence its address is a thread's name. Library and
 * program must agree on it: whoever replaces it does so for both. */
#if defined(__ELF__) && defined(__GLIBC__)
#define PKD__SELF_MODEL __attribute__((tls_model("initial-exec")))
#else
#define PKD__SELF_MODEL
#endif
extern PKD_API __thread char pkd__self PKD__SELF_MODEL;
#ifndef PKD__SELF
#define PKD__SELF ((uintptr_t)&pkd__self)
#endif

static inline int pkd__remutex_is_mine(const pkd_remutex_t* m) {
  /* relaxed: our own name was written by this thread, or is not there */
  return __atomic_load_n(&m->owner, __ATOMIC_RELAXED) == PKD__SELF;
}

/* Locked once more without a wait or a word about it? Who has it looks at the
 * owner first: a failed exchange would double the price of a second lock. */
static inline int pkd__remutex_lock_fast(pkd_remutex_t* m) {
  if (pkd__remutex_is_mine(m)) {
    if (m->again >= UINT32_MAX - 1)
      return 0;
    m->again++;
    return 1;
  }
  if (!pkd__mutex_lock_fast(&m->mutex))
    return 0;
  /* relaxed: see pkd__remutex_is_mine; `again` is 0 in a mutex that was free */
  __atomic_store_n(&m->owner, PKD__SELF, __ATOMIC_RELAXED);
  return 1;
}

/* Takes back one of the caller's. @return 1 if that was the last */
static inline int pkd__remutex_once_less(const char* call, pkd_remutex_t* m) {
  if (!pkd__remutex_is_mine(m))
    pkd__remutex_not_mine(call, m);
  if (m->again != 0) {
    m->again--;
    return 0;
  }
  /* relaxed: see pkd__remutex_is_mine */
  __atomic_store_n(&m->owner, (uintptr_t)0, __ATOMIC_RELAXED);
  return 1;
}

/** Locks `m` once more.
 *
 * @param m   any; free, held by this thread, or held by another
 * Blocks:    while another thread holds it
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlock that let us in
 * Memory:    allocates nothing; `m` stays in place while anyone waits
 * Fairness:  that of pkd_mutex_t
 * More than UINT32_MAX locks at a time stop the program. */
static inline void pkd_remutex_lock(pkd_remutex_t* m)
    PKD_ACQUIRE(*m) PKD_NO_ANALYSIS {
  if (!pkd__remutex_lock_fast(m))
    pkd__remutex_lock_slow(m);
  PKD__TSAN_SAW(m);
}

/** Locks `m` if no other thread holds it.
 *
 * @return 0 held once more; -EBUSY another thread holds it
 *         -EAGAIN held as often as can be counted; nothing changed
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_remutex_trylock(pkd_remutex_t* m)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc = pkd__remutex_lock_fast(m) ? 0 : pkd__remutex_trylock_slow(m);

  if (rc == 0)
    PKD__TSAN_SAW(m);
  return rc;
}

/** Locks `m`, or gives up when `cancel` is fired or at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  trylock, PKD_FOREVER never comes
 * @return 0 held once more; -ETIMEDOUT, -ECANCELED not; -EAGAIN as trylock
 * Blocks:    while another thread holds it, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_remutex_lock_cancellable(pkd_remutex_t* m,
                                               const pkd_cancel_t* cancel,
                                               pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  int rc = pkd__remutex_lock_cancellable(m, cancel, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(m);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** As pkd_remutex_lock_cancellable() without a token. */
static inline int pkd_remutex_lock_until(pkd_remutex_t* m,
                                         pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  return pkd_remutex_lock_cancellable(m, NULL, deadline);
}

/** As pkd_remutex_lock_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_remutex_lock_for(pkd_remutex_t* m, uint64_t ns)
    PKD_TRY_ACQUIRE(*m) PKD_NO_ANALYSIS {
  return pkd_remutex_lock_cancellable(m, NULL, pkd_after(ns));
}

/** Takes back one lock; the last one lets others in.
 *
 * @param m   a mutex this thread holds; anything else stops the program
 * Blocks:    no
 * Threads:   the holder only (checked)
 * Order:     release by the last; pairs with the next lock
 * Memory:    after the last, may be freed by the next holder before this call
 *            has returned */
static inline void pkd_remutex_unlock(pkd_remutex_t* m)
    PKD_RELEASE(*m) PKD_NO_ANALYSIS {
  if (!pkd__remutex_once_less("pkd_remutex_unlock", m))
    return;
  PKD__TSAN_SHOWS(m);
  /* the last touch */
  if (!PKD__TSAN_INLINE(pkd__mutex_unlock_fast(&m->mutex)))
    pkd__mutex_unlock_slow(&m->mutex);
}

/** As pkd_remutex_unlock(); the last one hands `m` to the oldest waiter, if one is
 * asleep. */
static inline void pkd_remutex_unlock_fair(pkd_remutex_t* m)
    PKD_RELEASE(*m) PKD_NO_ANALYSIS {
  if (!pkd__remutex_once_less("pkd_remutex_unlock_fair", m))
    return;
  PKD__TSAN_SHOWS(m);
  pkd__mutex_unlock_fair(&m->mutex);
}

/** Lets a waiter have its turn, if there is one: gives up all locks of this
 * thread on `m`, and takes as many again.
 *
 * @param m   a mutex this thread holds; held as often on return
 * Blocks:    yes, while others have their turn
 * Threads:   the holder only (checked) */
static inline void pkd_remutex_bump(pkd_remutex_t* m)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  PKD__TSAN_SHOWS(m);
  pkd__remutex_bump(m);
  PKD__TSAN_SAW(m);
}

/** How often the calling thread holds `m`: 0 if it does not. Exact.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API uint32_t pkd_remutex_depth(const pkd_remutex_t* m);

/** Is `m` held by anybody at this moment? The answer is old when it arrives.
 *
 * @return 1 held, 0 free
 * Blocks:    no
 * Threads:   any */
static inline int pkd_remutex_is_locked(const pkd_remutex_t* m) {
  return pkd_mutex_is_locked(&m->mutex);
}

/* One locked section: the cleanup attribute unlocks on every way out. */
typedef struct pkd__remutex_scope {
  pkd_remutex_t* held;
  int left;
} pkd__remutex_scope_t;

static inline pkd__remutex_scope_t
pkd__remutex_enter(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  pkd__remutex_scope_t scope = {m, 0};

  pkd_remutex_lock(m);
  return scope;
}

static inline void
pkd__remutex_leave(pkd__remutex_scope_t* scope) PKD_NO_ANALYSIS {
  pkd_remutex_unlock(scope->held);
}

/* To the analysis only: within the block it is held. */
static inline int pkd__remutex_assert_held(pkd_remutex_t* m)
    PKD_ASSERT_HELD(*m) PKD_NO_ANALYSIS {
  (void)m;
  return 1;
}

/** PKD_WITH_REMUTEX(m) { ... }: the block runs with `m` held once more. It is
 * unlocked when the block ends, and on break, continue, return and goto out of it
 * (more of that at PKD_WITH_MUTEX). break and continue leave the block, not a loop
 * around it. `m` is an expression without side effects: clang looks at it twice. */
#define PKD_WITH_REMUTEX(m)                                                    \
  PKD__WITH(pkd__remutex_scope_t, pkd__remutex_enter, pkd__remutex_leave,      \
            pkd__remutex_assert_held, m)

#ifdef PKD_DEADLOCK
#include <parkade/watch/remutex.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
