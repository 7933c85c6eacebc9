/* SPDX-License-Identifier: MIT
 *
 * uv_pool.h - the pool of the shim, for scenarios and for uv_shim.c. */
#ifndef EXPLORE_UV_POOL_H
#define EXPLORE_UV_POOL_H

#include "explore.h"

#include <uv.h>

/** Runs jobs until shim_pool_stop(). To be spawned as a thread. */
void shim_pool(void* arg);
void shim_pool_stop(void);

/** Calls back the jobs of `loop` that are over. In its poll phase. */
void shim_pool_deliver(uv_loop_t* loop);

/* --- uv_shim.c ----------------------------------------------------------- */

/** A request of libuv's is under way: the loop is alive. */
void shim_loop_hold(uv_loop_t* loop);
void shim_loop_release(uv_loop_t* loop);
/** Ends the loop's poll. From any thread. */
void shim_loop_wake(uv_loop_t* loop);

#endif
