/* SPDX-License-Identifier: MIT
 *
 * cond.h - pkd_cond_t: wait for what a mutex guards to change.
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
 * One deadline covers the wait and the taking of the mutex afterwards, and the
 * result says whether the mutex is held: see pkd_cond_wait_until(). */
#ifndef PARKADE_COND_H
#define PARKADE_COND_H

#include <parkade/mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A condition. Zeroed = nobody waits; never needs destroying. It may be freed
 * by any thread that knows nobody waits, right after a broadcast too. */
typedef struct pkd_cond {
  void* lock; /* atomic; the lock of those who wait, NULL: nobody waits */
} pkd_cond_t;

#define PKD_COND_INIT                                                          \
  { NULL }

PKD_API int pkd__cond_signal_slow(pkd_cond_t* c);
PKD_API size_t pkd__cond_broadcast_slow(pkd_cond_t* c);

/** Unlocks `m`, waits for a signal, and locks `m` again. Unlocking and beginning
 * to wait are one step: no signal sent under `m` can fall between.
 *
 * @param c  a condition on which nobody waits with another mutex
 * @param m  a mutex this thread holds
 * @return 0        signalled; `m` is held
 *         -EINVAL  others wait at `c` with another mutex; `m` is still held
 * Blocks:    yes
 * Threads:   any; not from signal handlers
 * Order:     release of `m`, then acquire of `m`
 * Memory:    allocates nothing */
PKD_API int pkd_cond_wait(pkd_cond_t* c, pkd_mutex_t* m);

/** The same, or gives up at `deadline`.
 *
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @return 0            signalled; `m` is held
 *         -ETIMEDOUT   not signalled in time; `m` is held (it was free)
 *         PKD_ENOTHELD not in time, and somebody else keeps `m`: `m` is *not*
 *                      held. A signal that had chosen this thread has gone on
 *                      to another waiter
 *         -EINVAL      others wait at `c` with another mutex; `m` is still held
 * Blocks:    yes, until `deadline` at most, however long `m` is kept */
PKD_API int pkd_cond_wait_until(pkd_cond_t* c, pkd_mutex_t* m,
                                pkd_deadline_t deadline);

/** The same with a span in nanoseconds from now; too long a span never ends. */
PKD_API int pkd_cond_wait_for(pkd_cond_t* c, pkd_mutex_t* m, uint64_t ns);

/** The same, or gives up when `cancel` is fired or at `deadline`.
 *
 * @param cancel  see cancel.h; NULL makes this pkd_cond_wait_until
 * @return 0            signalled; `m` is held
 *         -ECANCELED   cancelled before a signal; `m` is held (it was free)
 *         -ETIMEDOUT   as pkd_cond_wait_until
 *         PKD_ENOTHELD late or cancelled, and somebody else keeps `m`: `m` is
 *                      *not* held; a signal that had chosen this thread has gone
 *                      on to another waiter
 *         -EINVAL      others wait at `c` with another mutex; `m` is still held */
PKD_API int pkd_cond_wait_cancellable(pkd_cond_t* c, pkd_mutex_t* m,
                                      const pkd_cancel_t* cancel,
                                      pkd_deadline_t deadline);

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
  if (__atomic_load_n(&c->lock, __ATOMIC_ACQUIRE) == NULL)
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
  if (__atomic_load_n(&c->lock, __ATOMIC_ACQUIRE) == NULL)
    return 0;
  return pkd__cond_broadcast_slow(c);
}

#ifdef __cplusplus
}
#endif

#endif
