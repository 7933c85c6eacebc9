/* SPDX-License-Identifier: MIT
 *
 * cond.h - pkd_cond_t: wait for what a lock guards to change.
 *
 *   pkd_mutex_lock(&m);                       pkd_mutex_lock(&m);
 *   while (queue_is_empty())                  put(item);
 *     pkd_cond_wait(&c, &m);                  pkd_cond_signal(&c);
 *   item = take();                            pkd_mutex_unlock(&m);
 *   pkd_mutex_unlock(&m);
 *
 * No wait ends for no reason: a return of 0 was caused by one signal or
 * broadcast. (The loop above is still needed: another thread may have taken the
 * item first.) A signal sent while the mutex is held moves the waiter to the
 * mutex's queue, so that it wakes once and has the mutex; a broadcast does not
 * start a stampede.
 *
 * The lock may be a mutex, a fair mutex, or a reader-writer lock held for reading
 * or for writing: all who wait at one condition at a time use the same one.
 *
 * One deadline covers the wait and the taking of the mutex afterwards, and the
 * result says whether the mutex is held: see pkd_cond_wait_until().
 *
 * Source: the requeue of parking_lot and WebKit's WTF. */
#ifndef PARKADE_COND_H
#define PARKADE_COND_H

#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/rwlock.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A condition. Zeroed = nobody waits; never needs destroying. It may be freed
 * by any thread that knows nobody waits, right after the broadcast, or the signal
 * to the last one, that ended the waiting too. */
typedef struct pkd_cond {
  void* lock; /* atomic; the lock of those who wait, NULL: nobody waits */
} pkd_cond_t;

/** A condition that nobody waits at. */
#define PKD_COND_INIT                                                          \
  { NULL }

/* The lock of a waiter, and how it holds it. */
enum pkd__cond_kind {
  PKD__COND_RDLOCK = 0, /* these two as in src/word/rwlock.h */
  PKD__COND_WRLOCK = 3,
  PKD__COND_MUTEX = 6,
  PKD__COND_FAIR = 7
};

/* Out of line. Use the functions below. */
PKD_API int pkd__cond_wait(pkd_cond_t* c, void* lock, enum pkd__cond_kind kind,
                           const pkd_cancel_t* cancel, pkd_deadline_t deadline);
PKD_API int pkd__cond_signal_slow(pkd_cond_t* c);
PKD_API size_t pkd__cond_broadcast_slow(pkd_cond_t* c);

/* The lock is given up and taken again, as ThreadSanitizer is told here. */
static inline int pkd__cond_wait_noted(pkd_cond_t* c, void* lock,
                                       enum pkd__cond_kind kind,
                                       const pkd_cancel_t* cancel,
                                       pkd_deadline_t deadline) {
  unsigned read = kind == PKD__COND_RDLOCK ? PKD__TSAN_READ : 0;
  int rc;

  (void)read;
  PKD__TSAN_UNLOCKING(lock, read);
  PKD__TSAN_UNLOCKED(lock, read);
  PKD__TSAN_TRYING(lock, read);
  rc = pkd__cond_wait(c, lock, kind, cancel, deadline);
  PKD__TSAN_TRIED(lock, read, rc != PKD_ENOTHELD);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** Unlocks `m`, waits for a signal, and locks `m` again. Unlocking and beginning
 * to wait are one step: no signal sent under `m` can fall between.
 *
 * @param c  a condition on which nobody waits with another lock
 * @param m  a mutex this thread holds
 * @return 0        signalled; `m` is held
 *         -EINVAL  others wait at `c` with another lock; `m` is still held
 * Blocks:    yes
 * Threads:   any; not from signal handlers
 * Order:     release of `m`, then acquire of `m`
 * Memory:    allocates nothing */
static inline int pkd_cond_wait(pkd_cond_t* c, pkd_mutex_t* m)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_MUTEX, NULL, PKD_FOREVER);
}

/** As pkd_cond_wait(), or gives up when `cancel` is fired or at `deadline`.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @return 0            signalled; `m` is held
 *         -ECANCELED   cancelled before a signal; `m` is held (it was free)
 *         -ETIMEDOUT   not signalled in time; `m` is held (it was free)
 *         PKD_ENOTHELD late or cancelled, and somebody else keeps `m`: `m` is
 *                      *not* held; a signal that had chosen this thread has gone
 *                      on to another waiter
 *         -EINVAL      others wait at `c` with another lock; `m` is still held
 * Blocks:    yes, until `deadline` at most, however long `m` is kept */
static inline int pkd_cond_wait_cancellable(pkd_cond_t* c, pkd_mutex_t* m,
                                            const pkd_cancel_t* cancel,
                                            pkd_deadline_t deadline)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_MUTEX, cancel, deadline);
}

/** As pkd_cond_wait_cancellable() without a token. */
static inline int pkd_cond_wait_until(pkd_cond_t* c, pkd_mutex_t* m,
                                      pkd_deadline_t deadline)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_MUTEX, NULL, deadline);
}

/** As pkd_cond_wait_until() with a span: gives up `ns` nanoseconds from
 * now. A span too long for the clock never ends. */
static inline int pkd_cond_wait_for(pkd_cond_t* c, pkd_mutex_t* m, uint64_t ns)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_MUTEX, NULL, pkd_after(ns));
}

/* --- with another lock --- */

/** pkd_cond_wait() with a fair mutex; `m` is handed over in the order of its
 * queue. */
static inline int pkd_cond_wait_fair(pkd_cond_t* c, pkd_fair_mutex_t* m)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_FAIR, NULL, PKD_FOREVER);
}

/** pkd_cond_wait_cancellable() with a fair mutex. */
static inline int pkd_cond_wait_fair_cancellable(pkd_cond_t* c,
                                                 pkd_fair_mutex_t* m,
                                                 const pkd_cancel_t* cancel,
                                                 pkd_deadline_t deadline)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_FAIR, cancel, deadline);
}

/** As pkd_cond_wait_fair_cancellable() without a token. */
static inline int pkd_cond_wait_fair_until(pkd_cond_t* c, pkd_fair_mutex_t* m,
                                           pkd_deadline_t deadline)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_FAIR, NULL, deadline);
}

/** As pkd_cond_wait_fair_until() with a span: gives up `ns` nanoseconds from
 * now. A span too long for the clock never ends. */
static inline int pkd_cond_wait_fair_for(pkd_cond_t* c, pkd_fair_mutex_t* m,
                                         uint64_t ns)
    PKD_REQUIRES(*m) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, m, PKD__COND_FAIR, NULL, pkd_after(ns));
}

/** pkd_cond_wait() with a rwlock held for writing; it is held for writing
 * afterwards. */
static inline int pkd_cond_wait_wrlock(pkd_cond_t* c, pkd_rwlock_t* l)
    PKD_REQUIRES(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_WRLOCK, NULL, PKD_FOREVER);
}

/** pkd_cond_wait_cancellable() with a rwlock held for writing. */
static inline int pkd_cond_wait_wrlock_cancellable(pkd_cond_t* c,
                                                   pkd_rwlock_t* l,
                                                   const pkd_cancel_t* cancel,
                                                   pkd_deadline_t deadline)
    PKD_REQUIRES(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_WRLOCK, cancel, deadline);
}

/** As pkd_cond_wait_wrlock_cancellable() without a token. */
static inline int pkd_cond_wait_wrlock_until(pkd_cond_t* c, pkd_rwlock_t* l,
                                             pkd_deadline_t deadline)
    PKD_REQUIRES(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_WRLOCK, NULL, deadline);
}

/** As pkd_cond_wait_wrlock_until() with a span: gives up `ns` nanoseconds from
 * now. A span too long for the clock never ends. */
static inline int pkd_cond_wait_wrlock_for(pkd_cond_t* c, pkd_rwlock_t* l,
                                           uint64_t ns)
    PKD_REQUIRES(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_WRLOCK, NULL, pkd_after(ns));
}

/** pkd_cond_wait() with a rwlock held for reading, once; it is held for reading
 * afterwards. Others at the same condition may wait with the same lock held for
 * writing. */
static inline int pkd_cond_wait_rdlock(pkd_cond_t* c, pkd_rwlock_t* l)
    PKD_REQUIRES_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_RDLOCK, NULL, PKD_FOREVER);
}

/** pkd_cond_wait_cancellable() with a rwlock held for reading. */
static inline int pkd_cond_wait_rdlock_cancellable(pkd_cond_t* c,
                                                   pkd_rwlock_t* l,
                                                   const pkd_cancel_t* cancel,
                                                   pkd_deadline_t deadline)
    PKD_REQUIRES_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_RDLOCK, cancel, deadline);
}

/** As pkd_cond_wait_rdlock_cancellable() without a token. */
static inline int pkd_cond_wait_rdlock_until(pkd_cond_t* c, pkd_rwlock_t* l,
                                             pkd_deadline_t deadline)
    PKD_REQUIRES_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_RDLOCK, NULL, deadline);
}

/** As pkd_cond_wait_rdlock_until() with a span: gives up `ns` nanoseconds from
 * now. A span too long for the clock never ends. */
static inline int pkd_cond_wait_rdlock_for(pkd_cond_t* c, pkd_rwlock_t* l,
                                           uint64_t ns)
    PKD_REQUIRES_SHARED(*l) PKD_NO_ANALYSIS {
  return pkd__cond_wait_noted(c, l, PKD__COND_RDLOCK, NULL, pkd_after(ns));
}

/** Ends the wait of the oldest waiter.
 *
 * @return 1 somebody's wait ends; 0 nobody waited, and nothing is remembered
 * Blocks:    no; costs one load when nobody waits
 * Threads:   any, with or without the mutex; not from signal handlers
 * Order:     none of its own; the mutex orders what it guards */
static inline int pkd_cond_signal(pkd_cond_t* c) {
  /* (K2) acquire, pairs with (K1): whoever learns here that nobody waits may free
   * the condition, and the last waiter is done with it. Who began to wait under
   * the mutex before we held it is seen through the mutex. */
  if (PKD__TSAN_INLINE(__atomic_load_n(&c->lock, __ATOMIC_ACQUIRE) == NULL))
    return 0;
  return pkd__cond_signal_slow(c);
}

/** Ends the wait of everybody who waits now. At most one thread is woken; the
 * others follow one by one as the mutex is passed on.
 *
 * @return how many waits end
 * Blocks:    no; costs one load when nobody waits
 * Threads:   any, with or without the mutex; not from signal handlers */
static inline size_t pkd_cond_broadcast(pkd_cond_t* c) {
  /* (K2) */
  if (PKD__TSAN_INLINE(__atomic_load_n(&c->lock, __ATOMIC_ACQUIRE) == NULL))
    return 0;
  return pkd__cond_broadcast_slow(c);
}

#ifdef PKD_DEADLOCK
#include <parkade/watch/cond.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
