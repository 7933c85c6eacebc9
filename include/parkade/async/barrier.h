/* SPDX-License-Identifier: MIT
 *
 * async/barrier.h - wait for each other: n arrive, then all go on.
 *
 * The one whose arrival completes it is the leader: its status is 1, that of the
 * others 0. Then it can be used again. Who leaves before it is complete
 * (cancelled, timed out) has not arrived. Source: the barriers of tokio (leader)
 * and asyncio (leaving, abort, reset). */
#ifndef PARKADE_ASYNC_BARRIER_H
#define PARKADE_ASYNC_BARRIER_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All-zero is a barrier for one. It belongs to no loop. */
typedef struct pkd_async_barrier {
  uint64_t word;    /* private, atomic; src/word/async_barrier.h */
  uint32_t parties; /* private */
} pkd_async_barrier_t;

/** A barrier for `parties`; 0 is as 1. */
#define PKD_ASYNC_BARRIER_INIT(parties)                                        \
  { 0, (parties) }

/** The most a barrier can wait for. */
#define PKD_ASYNC_BARRIER_MAX (UINT32_C(1) << 29)

/** Makes a barrier.
 *
 * @param parties  how many it waits for; 0 is as 1
 * @return 0; UV_EINVAL: NULL, or above PKD_ASYNC_BARRIER_MAX
 * Blocks:    no
 * Threads:   before anybody else knows it */
PKD_API int pkd_async_barrier_init(pkd_async_barrier_t* barrier,
                                   uint32_t parties);

/** Arrives, and waits for the others.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs, and idle
 *             again then
 * @param cb   status 1: all are here, and this one leads; 0: all are here
 *             UV_ECANCELED (pkd_req_cancel, abort, detach), UV_ETIMEDOUT: it has
 *             not arrived
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something; or its timeout is 0 and the barrier
 *                       is for more than one
 *         UV_ESHUTDOWN  the barrier is broken, or the loop is detached
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 * Blocks:    no
 * Threads:   the loop's
 * Cancel:    until the last has arrived; then UV_EBUSY
 * Order:     what each did before it arrived is visible to all after it
 * Memory:    allocates nothing */
PKD_API int pkd_async_barrier_arrive(pkd_loop_t* loop, pkd_req_t* req,
                                     pkd_async_barrier_t* barrier,
                                     pkd_req_cb cb);

/** As pkd_async_barrier_arrive(), in the calling thread.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 1 all are here, and this one leads; 0 all are here; UV_ETIMEDOUT,
 *         UV_ECANCELED, UV_ESHUTDOWN, UV_EALREADY, UV_EBUSY, UV_EINVAL;
 *         PKD_EDEADLK: this thread has a loop to run (see loop.h)
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_barrier_arrive_blocking(pkd_req_t* req,
                                              pkd_async_barrier_t* barrier,
                                              pkd_deadline_t deadline);

/** Breaks it: those who wait get UV_ECANCELED, newcomers UV_ESHUTDOWN.
 * @return 0, or UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_barrier_abort(pkd_async_barrier_t* barrier);

/** Makes a broken barrier usable again.
 * @return 0, also if it was not broken; UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_barrier_reset(pkd_async_barrier_t* barrier);

/** A check before the memory goes.
 * @return 0; UV_EBUSY somebody waits; UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_barrier_destroy(pkd_async_barrier_t* barrier);

/** How many wait: a hint.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API uint32_t pkd_async_barrier_arrived(const pkd_async_barrier_t* barrier);

#ifdef __cplusplus
}
#endif

#endif
