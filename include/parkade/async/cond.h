/* SPDX-License-Identifier: MIT
 *
 * async/cond.h - wait, without the lock, until somebody says that things changed.
 *
 * A condition goes with one pkd_async_mutex_t at a time. Who owns that mutex
 * gives it up and waits in one step; a signal moves the one who has waited
 * longest into the queue of the mutex, a broadcast moves all of them, in order:
 * nobody is woken only to find the mutex taken. There are no spurious answers,
 * but the state may have changed again by the time the mutex is had: look.
 *
 *   static void look(pkd_req_t* req, int status) {
 *     if (status < 0) return;                  // not the owner: see wait
 *     if (queue_is_empty()) {
 *       pkd_async_cond_wait(&loop, req, &filled, &mutex, look);
 *       return;
 *     }
 *     take_one();
 *     pkd_async_mutex_unlock(req, &mutex);
 *   }
 */
#ifndef PARKADE_ASYNC_COND_H
#define PARKADE_ASYNC_COND_H

#include <parkade/async/mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All-zero is a condition that nobody waits for. It belongs to no loop; free
 * its memory when nobody waits for it, right after a broadcast too. */
typedef struct pkd_async_cond {
  pkd_async_mutex_t* mutex; /* private, atomic: whose owners wait; or NULL */
} pkd_async_cond_t;

/** A condition that nobody waits for. */
#define PKD_ASYNC_COND_INIT                                                    \
  { NULL }

/** Gives `mutex` up and waits for a signal, in one step.
 *
 * @param req  owns `mutex`. From a return of 0 on it does not
 * @param cb   status 0: signalled, and `req` owns `mutex` again
 *             UV_ETIMEDOUT, UV_ECANCELED (pkd_req_cancel, detach, a mutex that was
 *             closed): `req` does *not* own it, so that the answer comes in time
 *             whoever does. A signal that had chosen it has gone to the next, but
 *             for a closed mutex, which nobody can get
 *             A timeout (pkd_req_set_timeout) covers the wait for the signal and
 *             for the mutex
 * @return 0
 *         UV_EPERM      `req` does not own `mutex`
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EINVAL     others wait for `cond` with another mutex; an argument is
 *                       NULL, or the loop was never attached
 *         UV_EBUSY      the timeout is 0
 *         UV_ESHUTDOWN  the loop is detached
 *         After an error `req` owns what it owned
 * Blocks:    no
 * Threads:   the loop's
 * Memory:    allocates nothing */
PKD_API int pkd_async_cond_wait(pkd_loop_t* loop, pkd_req_t* req,
                                pkd_async_cond_t* cond,
                                pkd_async_mutex_t* mutex, pkd_req_cb cb);

/** As pkd_async_cond_wait(), in the calling thread, in the same queue as the tasks.
 *
 * @param deadline  absolute, pkd_now(); a past one returns UV_ETIMEDOUT at once,
 *                  and the mutex is given up all the same
 * @return 0: signalled, `req` owns `mutex`; UV_ETIMEDOUT, UV_ECANCELED: it does
 *         not. UV_EPERM, UV_EALREADY, UV_EINVAL, PKD_EDEADLK (this thread has a loop to run):
 *         nothing has changed
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_cond_wait_blocking(pkd_req_t* req, pkd_async_cond_t* cond,
                                         pkd_async_mutex_t* mutex,
                                         pkd_deadline_t deadline);

/** Lets the one who has waited longest go on as soon as it gets the mutex.
 * Nothing is kept for one who waits later.
 *
 * @return how many that were, 0 or 1; UV_EINVAL for NULL
 * Blocks:    no
 * Threads:   any, with or without the mutex */
PKD_API int pkd_async_cond_signal(pkd_async_cond_t* cond);

/** As pkd_async_cond_signal(), for all who wait.
 *
 * @return how many that were, at most INT_MAX; UV_EINVAL for NULL */
PKD_API int pkd_async_cond_broadcast(pkd_async_cond_t* cond);

/** A check before the memory goes.
 *
 * @return 0; UV_EBUSY: somebody waits; UV_EINVAL: `cond` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_cond_destroy(const pkd_async_cond_t* cond);

#ifdef __cplusplus
}
#endif

#endif
