/* SPDX-License-Identifier: MIT
 *
 * async/gate.h - orderly shutdown: count who is inside, then wait for the last.
 *
 * Operations enter before they begin and leave when they are over. Closing shuts
 * the gate for newcomers and calls back when nobody is inside any more: then
 * what they used can go. Source: gate of Seastar. */
#ifndef PARKADE_ASYNC_GATE_H
#define PARKADE_ASYNC_GATE_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All-zero is an open gate with nobody inside. It belongs to no loop. */
typedef struct pkd_async_gate {
  uint64_t word; /* private, atomic; src/word/async_gate.h */
} pkd_async_gate_t;

/** An open gate with nobody inside. */
#define PKD_ASYNC_GATE_INIT                                                    \
  { 0 }

/** Goes inside.
 *
 * @return 0             one pkd_async_gate_leave() is owed
 *         UV_ESHUTDOWN  it is shut
 *         UV_EAGAIN     2^32 - 1 are inside
 *         UV_EINVAL     `gate` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_gate_enter(pkd_async_gate_t* gate);

/** Leaves. The last one out of a shut gate ends the wait of those who closed it;
 * `gate` is not touched any more once they can know.
 *
 * @return 0; UV_EPERM nobody is inside; UV_EINVAL `gate` is NULL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the close */
PKD_API int pkd_async_gate_leave(pkd_async_gate_t* gate);

/** Shuts the gate and waits until nobody is inside. May be called by several.
 * Whatever comes of the wait, and of its start, the gate is shut.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs, and idle
 *             again then
 * @param cb   status 0: nobody is inside, nor will be
 *             UV_ECANCELED, UV_ETIMEDOUT: the gate stays shut
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something; or its timeout is 0 and somebody is
 *                       inside
 *         UV_ESHUTDOWN  the loop is detached
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with every leave */
PKD_API int pkd_async_gate_close(pkd_loop_t* loop, pkd_req_t* req,
                                 pkd_async_gate_t* gate, pkd_req_cb cb);

/** As pkd_async_gate_close(), in the calling thread.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 0, UV_ETIMEDOUT, UV_ECANCELED, UV_EALREADY, UV_EBUSY, UV_EINVAL;
 *         PKD_EDEADLK: this thread has a loop to run (see loop.h)
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_gate_close_blocking(pkd_req_t* req,
                                          pkd_async_gate_t* gate,
                                          pkd_deadline_t deadline);

/** A check before the memory goes: shuts the gate if nobody is inside.
 * @return 0; UV_EBUSY somebody is inside or waits, nothing changed; UV_EINVAL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_gate_destroy(pkd_async_gate_t* gate);

/** How many are inside: a hint.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API uint32_t pkd_async_gate_inside(const pkd_async_gate_t* gate);

#ifdef __cplusplus
}
#endif

#endif
