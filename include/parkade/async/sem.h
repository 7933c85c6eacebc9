/* SPDX-License-Identifier: MIT
 *
 * async/sem.h - a counting semaphore that tasks and threads wait for.
 *
 * Bounds what runs at once: connections, requests in flight, bytes in memory.
 * A request acquires any number of permits in one step, and they belong to the
 * request until it releases or forgets them, all at once or piece by piece.
 *
 * Strictly first in, first out: who asks for many is not overtaken by those who
 * ask for few, and holds nothing while it waits. */
#ifndef PARKADE_ASYNC_SEM_H
#define PARKADE_ASYNC_SEM_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The most permits there can be. */
#define PKD_ASYNC_SEM_MAX INT32_MAX

/** All-zero is a semaphore without permits and without a fixed maximum. */
typedef struct pkd_async_sem {
  uint64_t word;  /* private, atomic; src/word/async_sem.h */
  uint32_t total; /* private, atomic: permits in all, held or not */
  uint32_t max;   /* private: what total may not exceed; 0: not fixed */
} pkd_async_sem_t;

/** A static initialiser: `permits` now, never more than `max` (0: not fixed). */
#define PKD_ASYNC_SEM_INIT(permits, max)                                       \
  { (uint64_t)(permits) << 32, (permits), (max) }

/** Makes a semaphore.
 *
 * @param permits  at most `max`, at most PKD_ASYNC_SEM_MAX
 * @param max      what the permits may never exceed; who asks for more than that
 *                 is told at once. 0: not fixed
 * @return 0, or UV_EINVAL
 * Blocks:    no
 * Threads:   before anybody else knows `sem` */
PKD_API int pkd_async_sem_init(pkd_async_sem_t* sem, uint32_t permits,
                               uint32_t max);

/** Asks for `n` permits; the answer is `cb` on the loop.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs
 * @param n    may be 0: granted as soon as nobody is ahead in the queue
 * @param cb   status 0: `req` owns n permits
 *             UV_ECANCELED (pkd_req_cancel, close, detach), UV_ETIMEDOUT: none
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something; or its timeout is 0 and the
 *                       permits are not there
 *         UV_ESHUTDOWN  the semaphore is closed, or the loop is detached
 *         UV_EINVAL     `n` exceeds the fixed maximum (it could never come) or
 *                       PKD_ASYNC_SEM_MAX, an argument is NULL, or the loop was
 *                       never attached
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with the releases before
 * Memory:    allocates nothing; `sem` and `req` stay in place until `cb`
 * Fairness:  first in, first out, with blocking threads in the same queue */
PKD_API int pkd_async_sem_acquire(pkd_loop_t* loop, pkd_req_t* req,
                                  pkd_async_sem_t* sem, uint32_t n,
                                  pkd_req_cb cb);

/** Takes `n` permits if they are there and nobody waits. No callback.
 *
 * @return 0             `req` owns them
 *         UV_EBUSY      they are not there, or `req` owns something
 *         UV_EALREADY, UV_ESHUTDOWN, UV_EINVAL   as pkd_async_sem_acquire
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_sem_try_acquire(pkd_req_t* req, pkd_async_sem_t* sem,
                                      uint32_t n);

/** Waits for `n` permits in the calling thread, in the same queue as the tasks.
 *
 * @param deadline  absolute, pkd_now(); a past one makes this a try,
 *                  PKD_FOREVER never comes
 * @return 0             `req` owns them
 *         UV_ETIMEDOUT  not by `deadline`
 *         UV_ECANCELED  pkd_req_cancel, or the semaphore was closed meanwhile
 *         PKD_EDEADLK   this thread has a loop to run (see loop.h)
 *         UV_EALREADY, UV_EBUSY, UV_ESHUTDOWN, UV_EINVAL   as above
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_sem_acquire_blocking(pkd_req_t* req, pkd_async_sem_t* sem,
                                           uint32_t n, pkd_deadline_t deadline);

/** Gives back `n` of the permits that `req` owns. With the last one `req` is
 * idle again. (A request that acquired 0 is made idle by releasing 0.)
 *
 * @return 0
 *         UV_EPERM   `req` does not own that many of this semaphore; nothing
 *                    changed
 *         UV_EINVAL  an argument is NULL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the next acquire */
PKD_API int pkd_async_sem_release(pkd_req_t* req, pkd_async_sem_t* sem,
                                  uint32_t n);

/** Moves `n` of the permits that `req` owns to `other`; with the last one `req` is
 * idle.
 *
 * @param other  idle; owns them afterwards. It counts for no loop
 * @return 0
 *         UV_EPERM     `req` does not own that many of this semaphore
 *         UV_EALREADY  `other` waits       UV_EBUSY  `other` owns something
 *         UV_EINVAL    an argument is NULL, `n` is 0, or both are the same
 * Blocks:    no
 * Threads:   any, but not while another uses one of the two */
PKD_API int pkd_async_sem_split(pkd_req_t* req, pkd_req_t* other,
                                pkd_async_sem_t* sem, uint32_t n);

/** Moves all permits that `other` owns to `req`, which owns some of them too;
 * `other` is idle afterwards.
 *
 * @return 0; UV_EPERM: one of them owns nothing of this semaphore; UV_EINVAL: an
 *         argument is NULL, or both are the same
 * Blocks:    no
 * Threads:   any, but not while another uses one of the two */
PKD_API int pkd_async_sem_merge(pkd_req_t* req, pkd_req_t* other,
                                pkd_async_sem_t* sem);

/** Adds `n` permits that nobody owned.
 *
 * @return 0
 *         UV_EOVERFLOW  there would be more than the maximum; nothing changed
 *         UV_EINVAL     `sem` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_sem_add(pkd_async_sem_t* sem, uint32_t n);

/** Takes `n` of the permits that `req` owns out of the world.
 *
 * @return 0, UV_EPERM or UV_EINVAL as pkd_async_sem_release
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_sem_forget(pkd_req_t* req, pkd_async_sem_t* sem,
                                 uint32_t n);

/** Makes the permits, held or not, `permits` in all. Where more are held than
 * that, fewer than none are available until releases have repaid it.
 *
 * @return 0, or UV_EINVAL: above the maximum, or `sem` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_sem_resize(pkd_async_sem_t* sem, uint32_t permits);

/** Closes `sem`: those who wait get UV_ECANCELED, those who come UV_ESHUTDOWN.
 * Who owns permits, or was granted them, keeps them and may release.
 *
 * @return 0, also when it was closed before; UV_EINVAL for NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_sem_close(pkd_async_sem_t* sem);

/** Ends a semaphore that nobody uses; it is closed afterwards. Not needed: a
 * check.
 *
 * @return 0
 *         UV_EBUSY   permits are held or granted, or somebody waits
 *         UV_EINVAL  `sem` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_sem_destroy(pkd_async_sem_t* sem);

/** How many permits are free: a hint. Negative after a resize below what is
 * held.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API int32_t pkd_async_sem_available(const pkd_async_sem_t* sem);

/** How many permits of `sem` `req` owns.
 *
 * Blocks:    no
 * Threads:   any, but only a hint while another thread uses `req` */
PKD_API uint32_t pkd_async_sem_owned(const pkd_req_t* req,
                                     const pkd_async_sem_t* sem);

#ifdef __cplusplus
}
#endif

#endif
