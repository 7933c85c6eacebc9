/* SPDX-License-Identifier: MIT
 *
 * rwlock.h - pkd_rwlock_t: many readers, or one writer, or one upgradable reader
 * beside the others.
 *
 *   static pkd_rwlock_t l;                     zeroed memory is a free lock
 *   PKD_WITH_RDLOCK(&l) { n = table_find(k); }
 *   PKD_WITH_WRLOCK(&l) { table_add(k, n); }
 *
 * The upgradable holder (up...) reads beside other readers, keeps writers and
 * other upgradable ones out, and may become the writer without letting go: look
 * first, write if need be. Only one holds it at a time, so two never wait for
 * each other to upgrade.
 *
 * Fairness, by default phases: while a writer waits for readers to leave no more of
 * them enter, so it waits for those of that moment only. Who is woken competes with
 * whoever runs, as long as waits are short; once the oldest waiter has waited for
 * half a millisecond (three quarters, while a writer that was woken has no
 * processor), the lock is handed over: after a writer to all readers who wait, after
 * readers to a writer. So from then on a writer waits for at most one phase of
 * readers, and readers for at most one writer. A woken writer that has not come after
 * a tenth of a millisecond, because readers keep all processors busy, is let pass by
 * them. A policy that prefers one side hands over always, and may starve the other
 * side.
 *
 * Reading writes the word once on the way in and once on the way out.
 *
 * No destroy. The memory may be freed by whoever holds the lock last, after its
 * unlock of any kind, even while another's earlier unlock still returns.
 *
 * Not re-entrant, with one exception: pkd_rwlock_rdlock_recursive(), for a thread
 * that reads or is upgradable already. A plain rdlock inside another waits for a
 * writer that waits for it. Reading is counted, not owned: a share may be given
 * up by another thread.
 *
 * In the child of a fork the lock is in the state it had; nobody waits. A thread
 * that was asking for a read at that very instant may be left counted in.
 *
 * Passing NULL is not checked: it crashes.
 *
 * Source: the upgradable mode is parking_lot's; phases are those of Brandenburg's
 * and Anderson's phase-fair locks, but only once somebody has lost patience.
 *
 * This file is long because there are four ways to hold the lock, each with its
 * lock, try, until, for, cancellable, unlock, unlock_fair and bump. */
#ifndef PARKADE_RWLOCK_H
#define PARKADE_RWLOCK_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Whose side a lock is on, decided at init. */
typedef enum pkd_rwlock_policy {
  PKD_RWLOCK_PHASES,         /* nobody starves; the default */
  PKD_RWLOCK_PREFER_READERS, /* a writer enters when nobody wants to read */
  PKD_RWLOCK_PREFER_WRITERS  /* a reader enters when nobody wants to write */
} pkd_rwlock_policy_t;

/** A lock. Zeroed = free, PKD_RWLOCK_PHASES. */
typedef struct PKD_CAPABILITY("rwlock") pkd_rwlock {
  uint32_t word;   /* atomic; src/word/rwlock.h */
  uint16_t policy; /* r/o after init */
  uint16_t woken;  /* atomic; when a writer was woken last, in units of 16 us */
} pkd_rwlock_t;

/** A free lock that favours nobody. */
#define PKD_RWLOCK_INIT                                                        \
  { 0, 0, 0 }

/** A free lock with a pkd_rwlock_policy_t. */
#define PKD_RWLOCK_POLICY_INIT(policy)                                         \
  { 0, (uint16_t)(policy), 0 }

/** Makes a free lock with a policy; for memory that is not static.
 *
 * @return 0, or -EINVAL: no such policy
 * Threads:   nobody else uses `l` meanwhile
 * Blocks:    no */
static inline int pkd_rwlock_init(pkd_rwlock_t* l, pkd_rwlock_policy_t policy) {
  if ((unsigned)policy > PKD_RWLOCK_PREFER_WRITERS)
    return -EINVAL;
  l->word = 0;
  l->policy = (uint16_t)policy;
  l->woken = 0;
  return 0;
}

/* Out of line. Use the functions below. */
PKD_API int pkd__rwlock_lock(pkd_rwlock_t* l, int mode,
                             const pkd_cancel_t* cancel,
                             pkd_deadline_t deadline);
PKD_API int pkd__rwlock_try(pkd_rwlock_t* l, int mode);
PKD_API int pkd__rwlock_rdlock_slow(pkd_rwlock_t* l, int recursive,
                                    const pkd_cancel_t* cancel,
                                    pkd_deadline_t deadline);
PKD_API void pkd__rwlock_rdlock_must(pkd_rwlock_t* l, int recursive);
PKD_API void pkd__rwlock_rdunlock_slow(pkd_rwlock_t* l, uint32_t old);
PKD_API void pkd__rwlock_rdunlock_fair(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_rdbump(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_wrunlock_slow(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_wrunlock_fair(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_wrbump(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_upunlock(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_upunlock_fair(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_upbump(pkd_rwlock_t* l);
PKD_API int pkd__rwlock_upgrade(pkd_rwlock_t* l, const pkd_cancel_t* cancel,
                                pkd_deadline_t deadline);
PKD_API int pkd__rwlock_tryupgrade(pkd_rwlock_t* l);
PKD_API int pkd__rwlock_rdupgrade(pkd_rwlock_t* l, const pkd_cancel_t* cancel,
                                  pkd_deadline_t deadline);
PKD_API void pkd__rwlock_downgrade(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_downgrade_to_up(pkd_rwlock_t* l);
PKD_API void pkd__rwlock_updowngrade(pkd_rwlock_t* l);

/* The word as far as these functions know it; src/word/rwlock.h has the rest. */
#define PKD__RWLOCK_HELD 1u
#define PKD__RWLOCK_UP 2u
#define PKD__RWLOCK_CLOSED 21u /* a writer has it, waits, or was woken */
#define PKD__RWLOCK_BITS 31u   /* all but the readers */
#define PKD__RWLOCK_READER 32u
#define PKD__RWLOCK_TOO_MANY (32u << 26)
#define PKD__RWLOCK_MODE_READ 0
#define PKD__RWLOCK_MODE_RECURSIVE 1
#define PKD__RWLOCK_MODE_UP 2
#define PKD__RWLOCK_MODE_WRITE 3
/* To ThreadSanitizer an upgradable holder reads. That it also sees what the one
 * before it did is told at an address that no other call tells of, and last: to
 * unlock is to read the lock. */
#define PKD__RWLOCK_UPS(l) (&(l)->policy)

/* (R1) acquire, pairs with (R2): what earlier writers wrote is visible. Added
 * first and looked at afterwards: one transfer of the line. */
static inline int pkd__rwlock_read_fast(pkd_rwlock_t* l) {
  uint32_t old =
      __atomic_fetch_add(&l->word, PKD__RWLOCK_READER, __ATOMIC_ACQUIRE);

  return (old & PKD__RWLOCK_CLOSED) == 0 && old < PKD__RWLOCK_TOO_MANY;
}

static inline int pkd__rwlock_write_fast(pkd_rwlock_t* l) {
  uint32_t free_word = 0;

  /* (R1) */
  return __atomic_compare_exchange_n(&l->word, &free_word, PKD__RWLOCK_HELD, 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* --- for reading --- */

/** Locks `l` for reading.
 *
 * @param l   a lock this thread does not hold in any way
 *            more than 2^26 readers stop the program
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlocks of writers
 * Memory:    allocates nothing; `l` stays in place while anyone waits
 * Fairness:  see the head of this file */
static inline void pkd_rwlock_rdlock(pkd_rwlock_t* l)
    PKD_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  if (!pkd__rwlock_read_fast(l))
    pkd__rwlock_rdlock_must(l, 0);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
}

/** As pkd_rwlock_rdlock(), if it can be had now.
 *
 * @return 0        held; exactly one pkd_rwlock_rdunlock() is owed
 *         -EBUSY   not held, nothing changed
 *         -EAGAIN  more readers than can be counted (2^26)
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_tryrdlock(pkd_rwlock_t* l)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, PKD__TSAN_READ);
  rc = pkd__rwlock_try(l, PKD__RWLOCK_MODE_READ);
  PKD__TSAN_TRIED(l, PKD__TSAN_READ, rc == 0);
  return rc;
}

/** As pkd_rwlock_rdlock(), or gives up when `cancel` is fired or
 * at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  try, PKD_FOREVER never comes
 * @return 0           held; exactly one pkd_rwlock_rdunlock() is owed
 *         -ETIMEDOUT, -ECANCELED  not held; whom we kept out is let in
 *         -EAGAIN  more readers than can be counted (2^26)
 *         Who is handed the lock at its deadline has it: 0.
 * Blocks:    yes, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_rdlock_cancellable(pkd_rwlock_t* l,
                                                const pkd_cancel_t* cancel,
                                                pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, PKD__TSAN_READ);
  rc = pkd__rwlock_read_fast(l)
           ? 0
           : pkd__rwlock_rdlock_slow(l, 0, cancel, deadline);
  PKD__TSAN_TRIED(l, PKD__TSAN_READ, rc == 0);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** As pkd_rwlock_rdlock_cancellable() without a token. */
static inline int pkd_rwlock_rdlock_until(pkd_rwlock_t* l,
                                          pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdlock_cancellable(l, NULL, deadline);
}

/** As pkd_rwlock_rdlock_until() with a span: gives up `ns`
 * nanoseconds from now. A span too long for the clock never ends. */
static inline int pkd_rwlock_rdlock_for(pkd_rwlock_t* l, uint64_t ns)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdlock_cancellable(l, NULL, pkd_after(ns));
}

/* --- for reading, again --- */

/** Locks `l` for reading, again.
 *
 * @param l   a lock this thread does not hold for writing
 *            more than 2^26 readers stop the program
 * For a thread that holds `l` for reading or as upgradable: it then never waits,
 * also while a writer does. Without that it is a plain rdlock, but for passing
 * a waiting writer while others read.
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlocks of writers
 * Memory:    allocates nothing; `l` stays in place while anyone waits
 * Fairness:  see the head of this file */
static inline void pkd_rwlock_rdlock_recursive(pkd_rwlock_t* l)
    PKD_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  if (!pkd__rwlock_read_fast(l))
    pkd__rwlock_rdlock_must(l, 1);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
}

/** As pkd_rwlock_rdlock_recursive(), if it can be had now.
 *
 * @return 0        held; exactly one pkd_rwlock_rdunlock() is owed
 *         -EBUSY   not held, nothing changed
 *         -EAGAIN  more readers than can be counted (2^26)
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_tryrdlock_recursive(pkd_rwlock_t* l)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, PKD__TSAN_READ);
  rc = pkd__rwlock_try(l, PKD__RWLOCK_MODE_RECURSIVE);
  PKD__TSAN_TRIED(l, PKD__TSAN_READ, rc == 0);
  return rc;
}

/** As pkd_rwlock_rdlock_recursive(), or gives up when `cancel` is fired or
 * at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  try, PKD_FOREVER never comes
 * @return 0           held; exactly one pkd_rwlock_rdunlock() is owed
 *         -ETIMEDOUT, -ECANCELED  not held; whom we kept out is let in
 *         -EAGAIN  more readers than can be counted (2^26)
 *         Who is handed the lock at its deadline has it: 0.
 * Blocks:    yes, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_rdlock_recursive_cancellable(
    pkd_rwlock_t* l, const pkd_cancel_t* cancel, pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, PKD__TSAN_READ);
  rc = pkd__rwlock_read_fast(l)
           ? 0
           : pkd__rwlock_rdlock_slow(l, 1, cancel, deadline);
  PKD__TSAN_TRIED(l, PKD__TSAN_READ, rc == 0);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** As pkd_rwlock_rdlock_recursive_cancellable() without a token. */
static inline int pkd_rwlock_rdlock_recursive_until(pkd_rwlock_t* l,
                                                    pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdlock_recursive_cancellable(l, NULL, deadline);
}

/** As pkd_rwlock_rdlock_recursive_until() with a span: gives up `ns`
 * nanoseconds from now. A span too long for the clock never ends. */
static inline int pkd_rwlock_rdlock_recursive_for(pkd_rwlock_t* l, uint64_t ns)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdlock_recursive_cancellable(l, NULL, pkd_after(ns));
}

/** Unlocks `l`, held for reading. Not held so: stops the program, where that shows.
 *
 * Blocks:    no
 * Threads:   any that was given the share; the one that locked it as a rule
 * Order:     release; pairs with the locks that follow
 * Memory:    may be freed by the next holder before this call has returned */
static inline void pkd_rwlock_rdunlock(pkd_rwlock_t* l)
    PKD_RELEASE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  {
    /* (R2) release, pairs with (R1) */
    uint32_t old =
        __atomic_fetch_sub(&l->word, PKD__RWLOCK_READER, __ATOMIC_RELEASE);

    if (old < PKD__RWLOCK_READER || (old & PKD__RWLOCK_BITS) != 0)
      pkd__rwlock_rdunlock_slow(l, old);
  }
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
}

/** As pkd_rwlock_rdunlock(), and hands `l` over to those who wait if it is free
 * then: nobody can come between. Slower. */
static inline void pkd_rwlock_rdunlock_fair(pkd_rwlock_t* l)
    PKD_RELEASE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  pkd__rwlock_rdunlock_fair(l);
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
}

/** Lets those who wait have their turn: unlock_fair and lock, if somebody waits;
 * otherwise nothing. For long loops under a lock.
 *
 * Blocks:    yes, while others have their turn
 * Threads:   the one that holds it so */
static inline void pkd_rwlock_rdbump(pkd_rwlock_t* l)
    PKD_REQUIRES_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  pkd__rwlock_rdbump(l);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
}

/* --- for writing --- */

/** Locks `l` for writing.
 *
 * @param l   a lock this thread does not hold in any way
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlocks of all before
 * Memory:    allocates nothing; `l` stays in place while anyone waits
 * Fairness:  see the head of this file */
static inline void pkd_rwlock_wrlock(pkd_rwlock_t* l)
    PKD_ACQUIRE(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_LOCKING(l, 0);
  if (!pkd__rwlock_write_fast(l))
    pkd__rwlock_lock(l, PKD__RWLOCK_MODE_WRITE, NULL, PKD_FOREVER);
  PKD__TSAN_LOCKED(l, 0);
}

/** As pkd_rwlock_wrlock(), if it can be had now.
 *
 * @return 0        held; exactly one pkd_rwlock_wrunlock() is owed
 *         -EBUSY   not held, nothing changed
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_trywrlock(pkd_rwlock_t* l)
    PKD_TRY_ACQUIRE(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, 0);
  rc = pkd__rwlock_try(l, PKD__RWLOCK_MODE_WRITE);
  PKD__TSAN_TRIED(l, 0, rc == 0);
  return rc;
}

/** As pkd_rwlock_wrlock(), or gives up when `cancel` is fired or
 * at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  try, PKD_FOREVER never comes
 * @return 0           held; exactly one pkd_rwlock_wrunlock() is owed
 *         -ETIMEDOUT, -ECANCELED  not held; whom we kept out is let in
 *         Who is handed the lock at its deadline has it: 0.
 * Blocks:    yes, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_wrlock_cancellable(pkd_rwlock_t* l,
                                                const pkd_cancel_t* cancel,
                                                pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, 0);
  rc = pkd__rwlock_write_fast(l)
           ? 0
           : pkd__rwlock_lock(l, PKD__RWLOCK_MODE_WRITE, cancel, deadline);
  PKD__TSAN_TRIED(l, 0, rc == 0);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** As pkd_rwlock_wrlock_cancellable() without a token. */
static inline int pkd_rwlock_wrlock_until(pkd_rwlock_t* l,
                                          pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_wrlock_cancellable(l, NULL, deadline);
}

/** As pkd_rwlock_wrlock_until() with a span: gives up `ns`
 * nanoseconds from now. A span too long for the clock never ends. */
static inline int pkd_rwlock_wrlock_for(pkd_rwlock_t* l, uint64_t ns)
    PKD_TRY_ACQUIRE(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_wrlock_cancellable(l, NULL, pkd_after(ns));
}

/** Unlocks `l`, held for writing. Not held so: stops the program, where that shows.
 *
 * Blocks:    no
 * Threads:   any that was given the share; the one that locked it as a rule
 * Order:     release; pairs with the locks that follow
 * Memory:    may be freed by the next holder before this call has returned */
static inline void pkd_rwlock_wrunlock(pkd_rwlock_t* l)
    PKD_RELEASE(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, 0);
  {
    uint32_t held = PKD__RWLOCK_HELD;

    /* (R2) release, pairs with (R1) */
    if (!__atomic_compare_exchange_n(&l->word, &held, 0u, 0, __ATOMIC_RELEASE,
                                     __ATOMIC_RELAXED))
      pkd__rwlock_wrunlock_slow(l);
  }
  PKD__TSAN_UNLOCKED(l, 0);
}

/** As pkd_rwlock_wrunlock(), and hands `l` over to those who wait if it is free
 * then: nobody can come between. Slower. */
static inline void pkd_rwlock_wrunlock_fair(pkd_rwlock_t* l)
    PKD_RELEASE(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, 0);
  pkd__rwlock_wrunlock_fair(l);
  PKD__TSAN_UNLOCKED(l, 0);
}

/** Lets those who wait have their turn: unlock_fair and lock, if somebody waits;
 * otherwise nothing. For long loops under a lock.
 *
 * Blocks:    yes, while others have their turn
 * Threads:   the one that holds it so */
static inline void pkd_rwlock_wrbump(pkd_rwlock_t* l)
    PKD_REQUIRES(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, 0);
  PKD__TSAN_UNLOCKED(l, 0);
  PKD__TSAN_LOCKING(l, 0);
  pkd__rwlock_wrbump(l);
  PKD__TSAN_LOCKED(l, 0);
}

/* --- as upgradable --- */

/** Locks `l` as upgradable.
 *
 * @param l   a lock this thread does not hold in any way
 * Blocks:    yes; on a loop's thread only if no section is long
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the unlocks of writers
 * Memory:    allocates nothing; `l` stays in place while anyone waits
 * Fairness:  see the head of this file */
static inline void pkd_rwlock_uplock(pkd_rwlock_t* l)
    PKD_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  pkd__rwlock_lock(l, PKD__RWLOCK_MODE_UP, NULL, PKD_FOREVER);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_SAW(PKD__RWLOCK_UPS(l));
}

/** As pkd_rwlock_uplock(), if it can be had now.
 *
 * @return 0        held; exactly one pkd_rwlock_upunlock() is owed
 *         -EBUSY   not held, nothing changed
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_tryuplock(pkd_rwlock_t* l)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, PKD__TSAN_READ);
  rc = pkd__rwlock_try(l, PKD__RWLOCK_MODE_UP);
  PKD__TSAN_TRIED(l, PKD__TSAN_READ, rc == 0);
  if (rc == 0)
    PKD__TSAN_SAW(PKD__RWLOCK_UPS(l));
  return rc;
}

/** As pkd_rwlock_uplock(), or gives up when `cancel` is fired or
 * at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  try, PKD_FOREVER never comes
 * @return 0           held; exactly one pkd_rwlock_upunlock() is owed
 *         -ETIMEDOUT, -ECANCELED  not held; whom we kept out is let in
 *         Who is handed the lock at its deadline has it: 0.
 * Blocks:    yes, until `deadline` at most
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_rwlock_uplock_cancellable(pkd_rwlock_t* l,
                                                const pkd_cancel_t* cancel,
                                                pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  int rc;

  PKD__TSAN_TRYING(l, PKD__TSAN_READ);
  rc = pkd__rwlock_lock(l, PKD__RWLOCK_MODE_UP, cancel, deadline);
  PKD__TSAN_TRIED(l, PKD__TSAN_READ, rc == 0);
  if (rc == 0)
    PKD__TSAN_SAW(PKD__RWLOCK_UPS(l));
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** As pkd_rwlock_uplock_cancellable() without a token. */
static inline int pkd_rwlock_uplock_until(pkd_rwlock_t* l,
                                          pkd_deadline_t deadline)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_uplock_cancellable(l, NULL, deadline);
}

/** As pkd_rwlock_uplock_until() with a span: gives up `ns`
 * nanoseconds from now. A span too long for the clock never ends. */
static inline int pkd_rwlock_uplock_for(pkd_rwlock_t* l, uint64_t ns)
    PKD_TRY_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd_rwlock_uplock_cancellable(l, NULL, pkd_after(ns));
}

/** Unlocks `l`, held as upgradable. Not held so: stops the program, where that shows.
 *
 * Blocks:    no
 * Threads:   any that was given the share; the one that locked it as a rule
 * Order:     release; pairs with the locks that follow
 * Memory:    may be freed by the next holder before this call has returned */
static inline void pkd_rwlock_upunlock(pkd_rwlock_t* l)
    PKD_RELEASE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_SHOWS(PKD__RWLOCK_UPS(l));
  pkd__rwlock_upunlock(l);
}

/** As pkd_rwlock_upunlock(), and hands `l` over to those who wait if it is free
 * then: nobody can come between. Beside readers it is handed to the next who would be
 * upgradable, but for one who comes at this very moment. Slower. */
static inline void pkd_rwlock_upunlock_fair(pkd_rwlock_t* l)
    PKD_RELEASE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_SHOWS(PKD__RWLOCK_UPS(l));
  pkd__rwlock_upunlock_fair(l);
}

/** Lets those who wait have their turn: unlock_fair and lock, if somebody waits;
 * otherwise nothing. For long loops under a lock.
 *
 * Blocks:    yes, while others have their turn
 * Threads:   the one that holds it so */
static inline void pkd_rwlock_upbump(pkd_rwlock_t* l)
    PKD_REQUIRES_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_SHOWS(PKD__RWLOCK_UPS(l));
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  pkd__rwlock_upbump(l);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_SAW(PKD__RWLOCK_UPS(l));
}

/* --- from one to the other --- */

/** Makes the upgradable holder the writer. No new reader enters; waits for those
 * who are in; served before everybody else.
 *
 * @param l  held as upgradable; held for writing on return
 * Blocks:    yes, while others read
 * Order:     acquire; pairs with the unlocks of the readers
 * Threads:   the upgradable holder */
static inline void pkd_rwlock_upgrade(pkd_rwlock_t* l) PKD_RELEASE_SHARED(*l)
    PKD_ACQUIRE(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
  PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
  PKD__TSAN_LOCKING(l, 0);
  pkd__rwlock_upgrade(l, NULL, PKD_FOREVER);
  PKD__TSAN_LOCKED(l, 0);
}

/* Tells ThreadSanitizer what an upgrade that may fail has come to. */
static inline int pkd__rwlock_upgraded(pkd_rwlock_t* l,
                                       int rc) PKD_NO_ANALYSIS {
  (void)l;
  if (rc == 0) {
    PKD__TSAN_UNLOCKING(l, PKD__TSAN_READ);
    PKD__TSAN_UNLOCKED(l, PKD__TSAN_READ);
    PKD__TSAN_LOCKING(l, 0);
    PKD__TSAN_LOCKED(l, 0);
  }
  return rc;
}

/** As pkd_rwlock_upgrade(), if nobody reads now.
 *
 * @return 0       held for writing
 *         -EBUSY  still held as upgradable; somebody reads, or was just trying
 * Blocks:    no */
static inline int pkd_rwlock_tryupgrade(pkd_rwlock_t* l) PKD_NO_ANALYSIS {
  return pkd__rwlock_upgraded(l, pkd__rwlock_tryupgrade(l));
}

/** As pkd_rwlock_upgrade(), or gives up when `cancel` is fired or at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  tryupgrade, PKD_FOREVER never comes
 * @return 0  held for writing
 *         -ETIMEDOUT, -ECANCELED  still held as upgradable; readers enter again
 * Blocks:    yes, until `deadline` at most */
static inline int
pkd_rwlock_upgrade_cancellable(pkd_rwlock_t* l, const pkd_cancel_t* cancel,
                               pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  int rc = pkd__rwlock_upgrade(l, cancel, deadline);

  PKD__TSAN_CANCELLED(rc, cancel);
  return pkd__rwlock_upgraded(l, rc);
}

/** As pkd_rwlock_upgrade_cancellable() without a token. */
static inline int
pkd_rwlock_upgrade_until(pkd_rwlock_t* l,
                         pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  return pkd_rwlock_upgrade_cancellable(l, NULL, deadline);
}

/** As pkd_rwlock_upgrade_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_rwlock_upgrade_for(pkd_rwlock_t* l,
                                         uint64_t ns) PKD_NO_ANALYSIS {
  return pkd_rwlock_upgrade_cancellable(l, NULL, pkd_after(ns));
}

/** Makes a plain reader the writer without letting anybody write between, or gives
 * up when `cancel` is fired or at `deadline`.
 *
 * @param l         held for reading, once
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @return 0         held for writing
 *         -EDEADLK  another is upgradable or upgrading: both would wait for each
 *                   other; still held for reading. Give it up and start anew
 *         -ETIMEDOUT, -ECANCELED  still held for reading
 * Blocks:    yes, until `deadline` at most
 * Threads:   the reader */
static inline int
pkd_rwlock_rdupgrade_cancellable(pkd_rwlock_t* l, const pkd_cancel_t* cancel,
                                 pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  int rc = pkd__rwlock_rdupgrade(l, cancel, deadline);

  PKD__TSAN_CANCELLED(rc, cancel);
  return pkd__rwlock_upgraded(l, rc);
}

/** As pkd_rwlock_rdupgrade_cancellable() without a token. */
static inline int
pkd_rwlock_rdupgrade_until(pkd_rwlock_t* l,
                           pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdupgrade_cancellable(l, NULL, deadline);
}

/** As pkd_rwlock_rdupgrade_until() with a span: gives up `ns` nanoseconds from
 * now. A span too long for the clock never ends. */
static inline int pkd_rwlock_rdupgrade_for(pkd_rwlock_t* l,
                                           uint64_t ns) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdupgrade_cancellable(l, NULL, pkd_after(ns));
}

/** As pkd_rwlock_rdupgrade_until(), however long it takes. */
static inline int pkd_rwlock_rdupgrade(pkd_rwlock_t* l) PKD_NO_ANALYSIS {
  return pkd_rwlock_rdupgrade_cancellable(l, NULL, PKD_FOREVER);
}

/** Makes the writer a reader; the readers who wait come in with it.
 *
 * @param l  held for writing; held for reading on return
 * Blocks:    no
 * Order:     release
 * Threads:   the writer */
static inline void pkd_rwlock_downgrade(pkd_rwlock_t* l) PKD_RELEASE(*l)
    PKD_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, 0);
  PKD__TSAN_UNLOCKED(l, 0);
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  pkd__rwlock_downgrade(l);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
}

/** Makes the writer upgradable; the readers who wait come in beside it.
 *
 * @param l  held for writing; held as upgradable on return
 * Blocks:    no
 * Order:     release
 * Threads:   the writer */
static inline void pkd_rwlock_downgrade_to_up(pkd_rwlock_t* l) PKD_RELEASE(*l)
    PKD_ACQUIRE_SHARED(*l) PKD_NO_ANALYSIS {
  PKD__TSAN_UNLOCKING(l, 0);
  PKD__TSAN_UNLOCKED(l, 0);
  PKD__TSAN_LOCKING(l, PKD__TSAN_READ);
  pkd__rwlock_downgrade_to_up(l);
  PKD__TSAN_LOCKED(l, PKD__TSAN_READ);
}

/** Makes the upgradable holder a plain reader; another may become upgradable.
 *
 * @param l  held as upgradable; held for reading on return
 *           more than 2^26 readers stop the program
 * Blocks:    no
 * Order:     release
 * Threads:   the upgradable holder */
static inline void pkd_rwlock_updowngrade(pkd_rwlock_t* l) PKD_NO_ANALYSIS {
  PKD__TSAN_SHOWS(PKD__RWLOCK_UPS(l));
  pkd__rwlock_updowngrade(l);
}

/* --- looking --- */

/** Is `l` held in any way at this moment? For assertions and displays: the
 * answer is old when it arrives.
 *
 * @return 1 held, 0 free
 * Order:     none
 * Blocks:    no
 * Threads:   any */
static inline int pkd_rwlock_is_locked(const pkd_rwlock_t* l) {
  uint32_t word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);

  return (word & (PKD__RWLOCK_HELD | PKD__RWLOCK_UP)) != 0 ||
         word >= PKD__RWLOCK_READER;
}

/** As pkd_rwlock_is_locked(): is it held for writing? */
static inline int pkd_rwlock_is_write_locked(const pkd_rwlock_t* l) {
  return (__atomic_load_n(&l->word, __ATOMIC_RELAXED) & PKD__RWLOCK_HELD) != 0;
}

/* --- sections --- */

/* One locked section: the cleanup attribute unlocks on every way out. */
typedef struct pkd__rwlock_scope {
  pkd_rwlock_t* held;
  int left;
} pkd__rwlock_scope_t;

static inline pkd__rwlock_scope_t pkd__rwlock_rdenter(pkd_rwlock_t* l)
    PKD_EXCLUDES(*l) PKD_NO_ANALYSIS {
  pkd__rwlock_scope_t scope = {l, 0};

  pkd_rwlock_rdlock(l);
  return scope;
}

static inline pkd__rwlock_scope_t pkd__rwlock_wrenter(pkd_rwlock_t* l)
    PKD_EXCLUDES(*l) PKD_NO_ANALYSIS {
  pkd__rwlock_scope_t scope = {l, 0};

  pkd_rwlock_wrlock(l);
  return scope;
}

static inline pkd__rwlock_scope_t pkd__rwlock_upenter(pkd_rwlock_t* l)
    PKD_EXCLUDES(*l) PKD_NO_ANALYSIS {
  pkd__rwlock_scope_t scope = {l, 0};

  pkd_rwlock_uplock(l);
  return scope;
}

static inline void
pkd__rwlock_rdleave(pkd__rwlock_scope_t* scope) PKD_NO_ANALYSIS {
  pkd_rwlock_rdunlock(scope->held);
}

static inline void
pkd__rwlock_wrleave(pkd__rwlock_scope_t* scope) PKD_NO_ANALYSIS {
  pkd_rwlock_wrunlock(scope->held);
}

/* The section may have upgraded it; if there is a writer now, it is us. */
static inline void
pkd__rwlock_upleave(pkd__rwlock_scope_t* scope) PKD_NO_ANALYSIS {
  if (pkd_rwlock_is_write_locked(scope->held))
    pkd_rwlock_wrunlock(scope->held);
  else
    pkd_rwlock_upunlock(scope->held);
}

/** PKD_WITH_RDLOCK(l) { ... }: the block runs with `l` held. It is
 * unlocked when the block ends, and on break, continue, return and goto out of
 * it (more of that at PKD_WITH_MUTEX). break and continue leave the block, not a
 * loop around it. `l` is an expression without side effects: clang looks at it twice.
 */
#define PKD_WITH_RDLOCK(l)                                                     \
  PKD__WITH(pkd__rwlock_scope_t, pkd__rwlock_rdenter, pkd__rwlock_rdleave,     \
            pkd__rwlock_assert_rd, l)

/** As PKD_WITH_RDLOCK, held for writing. */
#define PKD_WITH_WRLOCK(l)                                                     \
  PKD__WITH(pkd__rwlock_scope_t, pkd__rwlock_wrenter, pkd__rwlock_wrleave,     \
            pkd__rwlock_assert_wr, l)

/** As PKD_WITH_RDLOCK, held as upgradable; also unlocks what the block has
 * upgraded. */
#define PKD_WITH_UPLOCK(l)                                                     \
  PKD__WITH(pkd__rwlock_scope_t, pkd__rwlock_upenter, pkd__rwlock_upleave,     \
            pkd__rwlock_assert_rd, l)

/* To the analysis only: within the block it is held. */
static inline int pkd__rwlock_assert_rd(pkd_rwlock_t* l)
    PKD_ASSERT_HELD_SHARED(*l) PKD_NO_ANALYSIS {
  (void)l;
  return 1;
}

static inline int pkd__rwlock_assert_wr(pkd_rwlock_t* l)
    PKD_ASSERT_HELD(*l) PKD_NO_ANALYSIS {
  (void)l;
  return 1;
}

#ifdef PKD_DEADLOCK
#include <parkade/watch/rwlock.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
