/* SPDX-License-Identifier: MIT
 *
 * async/work.h - work for the thread pool, under a lock, that no pool thread
 * waits for.
 *
 * Who takes a lock inside uv_queue_work keeps a thread of the pool waiting; four
 * such, and file reads and name look-ups stand still. pkd_queue_work() takes the
 * lock first, in the queue, and only then gives the work to the pool. It is given
 * back in the pool, as soon as the work function returns. */
#ifndef PARKADE_ASYNC_WORK_H
#define PARKADE_ASYNC_WORK_H

#include <parkade/async/take.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pkd_work pkd_work_t;

/** The work. Runs in a thread of the pool, with the lock held. */
typedef void (*pkd_work_cb)(pkd_work_t* work);

/** The end of it. Runs once on the loop's thread; the lock is released before.
 *
 * @param status  0: the work was done; negative: it did not run */
typedef void (*pkd_after_work_cb)(pkd_work_t* work, int status);

/** One piece of work. Yours; all-zero is idle. */
struct pkd_work {
  /** Yours; the library never touches it. */
  void* data;

  /* private */
  pkd_req_t req;
  pkd_take_t take;
  uv_loop_t* uv;
  uv_work_t job;
  int stage; /* the loop's thread: idle, waits, in the pool */
  pkd_work_cb run;
  pkd_after_work_cb after;
};

/** Takes what `take` says, then runs `run` in the thread pool, then `after` on the
 * loop.
 *
 * @param work   idle; the library's from a return of 0 until `after` runs
 * @param take   what the work needs; see pkd_take_mutex and its like
 * @param after  status 0; UV_ECANCELED (pkd_work_cancel, close, detach),
 *               UV_ETIMEDOUT (pkd_work_set_timeout)
 * @return 0
 *         UV_EALREADY   `work` is under way, undisturbed
 *         UV_EBUSY, UV_ESHUTDOWN, UV_EINVAL as the call that takes one of it
 * Blocks:    no, and keeps no thread of the pool waiting
 * Threads:   the loop's
 * Memory:    allocates nothing
 * Fairness:  as the lock: first in, first out */
PKD_API int pkd_queue_work(pkd_loop_t* loop, pkd_work_t* work, pkd_take_t take,
                           pkd_work_cb run, pkd_after_work_cb after);

/** Bounds the time the next pkd_queue_work() of `work` waits for its lock; as
 * pkd_req_set_timeout(). */
PKD_API int pkd_work_set_timeout(pkd_work_t* work, uint64_t ms);

/** Ends it before the work function has begun.
 *
 * @return 0          exactly this: `run` does not run, the status will be
 *                    UV_ECANCELED
 *         UV_EBUSY   too late
 *         UV_EINVAL  it is idle, or NULL
 * Blocks:    no
 * Threads:   the loop's */
PKD_API int pkd_work_cancel(pkd_work_t* work);

#ifdef __cplusplus
}
#endif

#endif
