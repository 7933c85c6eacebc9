/* SPDX-License-Identifier: MIT
 *
 * async/rwlock.h - many tasks may read, or one may write, across I/O.
 *
 * Three modes: read, write, and up, which reads beside other readers and may
 * become the writer later; one at a time. Strictly first in, first out, readers
 * in runs: a reader who comes behind a waiting writer waits, so neither side
 * starves. (And so a task that reads must not ask to read again: a writer may
 * have queued between.) Only an upgrade is served before all others. */
#ifndef PARKADE_ASYNC_RWLOCK_H
#define PARKADE_ASYNC_RWLOCK_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All-zero is a free lock. It belongs to no loop; free its memory when nobody
 * holds it or waits for it, even right after the unlock. */
typedef struct pkd_async_rwlock {
  uint64_t word; /* private, atomic; src/word/async_rwlock.h */
} pkd_async_rwlock_t;

/** A free lock. */
#define PKD_ASYNC_RWLOCK_INIT                                                  \
  { 0 }

/** What a request owns of a lock. */
typedef enum pkd_async_rwlock_mode {
  PKD_ASYNC_RWLOCK_NONE = 0,  /* nothing */
  PKD_ASYNC_RWLOCK_READ = 1,  /* it reads */
  PKD_ASYNC_RWLOCK_WRITE = 2, /* it writes, alone */
  PKD_ASYNC_RWLOCK_UP = 3     /* it reads, and may upgrade */
} pkd_async_rwlock_mode_t;

/** Asks to read; the answer is `cb` on the loop.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs
 * @param cb   status 0: `req` owns it, one unlock is owed
 *             UV_ECANCELED (pkd_req_cancel, close, detach), UV_ETIMEDOUT: not
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something; or its timeout is 0 and it would
 *                       have to wait
 *         UV_ESHUTDOWN  the lock is closed, or the loop is detached
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with the unlocks before
 * Memory:    allocates nothing; lock and `req` stay in place until `cb`
 * Fairness:  first in, first out, with blocking threads in the same queue */
PKD_API int pkd_async_rwlock_rdlock(pkd_loop_t* loop, pkd_req_t* req,
                                    pkd_async_rwlock_t* lock, pkd_req_cb cb);

/** As pkd_async_rwlock_rdlock(), to write, alone. */
PKD_API int pkd_async_rwlock_wrlock(pkd_loop_t* loop, pkd_req_t* req,
                                    pkd_async_rwlock_t* lock, pkd_req_cb cb);

/** As pkd_async_rwlock_rdlock(), to read with the right to upgrade. */
PKD_API int pkd_async_rwlock_uplock(pkd_loop_t* loop, pkd_req_t* req,
                                    pkd_async_rwlock_t* lock, pkd_req_cb cb);

/** Reads, if nobody is in the way, nor waits. No callback.
 *
 * @return 0; UV_EBUSY: not, or `req` owns something; UV_EALREADY, UV_ESHUTDOWN,
 *         UV_EINVAL as pkd_async_rwlock_rdlock()
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_rwlock_tryrdlock(pkd_req_t* req,
                                       pkd_async_rwlock_t* lock);

/** As pkd_async_rwlock_tryrdlock(), to write, alone. */
PKD_API int pkd_async_rwlock_trywrlock(pkd_req_t* req,
                                       pkd_async_rwlock_t* lock);

/** As pkd_async_rwlock_tryrdlock(), to read with the right to upgrade. */
PKD_API int pkd_async_rwlock_tryuplock(pkd_req_t* req,
                                       pkd_async_rwlock_t* lock);

/** Waits to read in the calling thread, in the same queue as the tasks.
 *
 * @param deadline  absolute, pkd_now(); a past one makes this a try,
 *                  PKD_FOREVER never comes
 * @return 0; UV_ETIMEDOUT; UV_ECANCELED: pkd_req_cancel, or closed meanwhile;
 *         PKD_EDEADLK: this thread has a loop to run (see loop.h);
 *         UV_EALREADY, UV_EBUSY, UV_ESHUTDOWN, UV_EINVAL as
 *         pkd_async_rwlock_rdlock()
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_rwlock_rdlock_blocking(pkd_req_t* req,
                                             pkd_async_rwlock_t* lock,
                                             pkd_deadline_t deadline);

/** As pkd_async_rwlock_rdlock_blocking(), to write, alone. */
PKD_API int pkd_async_rwlock_wrlock_blocking(pkd_req_t* req,
                                             pkd_async_rwlock_t* lock,
                                             pkd_deadline_t deadline);

/** As pkd_async_rwlock_rdlock_blocking(), to read with the right to upgrade. */
PKD_API int pkd_async_rwlock_uplock_blocking(pkd_req_t* req,
                                             pkd_async_rwlock_t* lock,
                                             pkd_deadline_t deadline);

/** Gives back what `req` owns, in whatever mode, and lets in whom that allows.
 *
 * @return 0
 *         UV_EPERM   `req` does not own this lock, or is waiting to upgrade
 *         UV_EINVAL  an argument is NULL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the next lock. The lock is not touched any more
 *            once its next owner can know */
PKD_API int pkd_async_rwlock_unlock(pkd_req_t* req, pkd_async_rwlock_t* lock);

/** Makes the reader `req` (mode read or up) the writer, as soon as all others
 * have left; nobody else is let in meanwhile. While it waits it goes on owning
 * what it owns.
 *
 * @param cb  status 0: `req` is the writer. Negative (UV_ETIMEDOUT; UV_ECANCELED, as
 *            well if its loop did not come to it within its grant timeout): it owns
 *            what it owned before, and one unlock is still owed
 * @return 0
 *         PKD_EDEADLK   another waits to upgrade, and waits for this one: give
 *                       back, and ask anew for the write lock
 *         UV_EPERM      `req` does not read this lock
 *         UV_EALREADY   it waits already
 *         UV_EBUSY      its timeout is 0, and others read
 *         UV_ESHUTDOWN  the lock is closed, or the loop is detached
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 *         After an error it owns what it owned
 * Blocks:    no
 * Threads:   the loop's */
PKD_API int pkd_async_rwlock_upgrade(pkd_loop_t* loop, pkd_req_t* req,
                                     pkd_async_rwlock_t* lock, pkd_req_cb cb);

/** As pkd_async_rwlock_upgrade(), at once or not at all: UV_EBUSY. No callback.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_rwlock_tryupgrade(pkd_req_t* req,
                                        pkd_async_rwlock_t* lock);

/** As pkd_async_rwlock_upgrade(), in the calling thread.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 0             `req` is the writer
 *         UV_ETIMEDOUT, UV_ECANCELED  it owns what it owned before
 *         PKD_EDEADLK   another waits to upgrade; or this thread has a loop to run
 *         UV_EPERM, UV_EALREADY, UV_ESHUTDOWN, UV_EINVAL  as
 *                       pkd_async_rwlock_upgrade()
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_rwlock_upgrade_blocking(pkd_req_t* req,
                                              pkd_async_rwlock_t* lock,
                                              pkd_deadline_t deadline);

/** Makes the owner `req` (mode write or up) a reader; others are let in at once.
 *
 * @return 0; UV_EPERM: `req` does not own this lock in such a mode; UV_EINVAL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_rwlock_downgrade(pkd_req_t* req,
                                       pkd_async_rwlock_t* lock);

/** As pkd_async_rwlock_downgrade(), but a writer becomes one who reads with the
 * right to upgrade. */
PKD_API int pkd_async_rwlock_downgrade_to_up(pkd_req_t* req,
                                             pkd_async_rwlock_t* lock);

/** Closes the lock: those who wait get UV_ECANCELED (who waits to upgrade keeps
 * what it owns), those who come UV_ESHUTDOWN. Owners may unlock and downgrade.
 *
 * @return 0, also when it was closed before; UV_EINVAL for NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_rwlock_close(pkd_async_rwlock_t* lock);

/** Ends a lock that nobody uses; it is closed afterwards. Not needed: a check.
 *
 * @return 0; UV_EBUSY: somebody owns it or waits, nothing changed; UV_EINVAL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_rwlock_destroy(pkd_async_rwlock_t* lock);

/** In which mode `req` owns `lock`.
 *
 * Blocks:    no
 * Threads:   any, but only a hint while another thread uses `req` */
PKD_API pkd_async_rwlock_mode_t
pkd_async_rwlock_owned(const pkd_req_t* req, const pkd_async_rwlock_t* lock);

#ifdef __cplusplus
}
#endif

#endif
