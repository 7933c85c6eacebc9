/* SPDX-License-Identifier: MIT
 *
 * take.h - take and give back whatever a pkd_take_t says. */
#ifndef PKD_ASYNC_TAKE_H
#define PKD_ASYNC_TAKE_H

#include <parkade/async/take.h>

#include <stdbool.h>

/** Can it be had at all? @return 0 or UV_EINVAL */
int pkd__take_check(const pkd_take_t* take);

int pkd__take_start(pkd_loop_t* loop, pkd_req_t* req, const pkd_take_t* take,
                    pkd_req_cb cb);
int pkd__take_try(pkd_req_t* req, const pkd_take_t* take);

/** The first half of a blocking call: takes it, or queues up.
 * @return 0, UV_EAGAIN: it waits, pkd__block_end() follows; or an error */
int pkd__take_block(pkd_req_t* req, const pkd_take_t* take,
                    pkd_parker_t* parker, pkd_deadline_t deadline);

/** Gives back what `req` took. */
int pkd__take_release(pkd_req_t* req, const pkd_take_t* take);

/** Do both name the same lock? Permits of one semaphore count as such. */
bool pkd__take_same(const pkd_take_t* a, const pkd_take_t* b);

#endif
