/* SPDX-License-Identifier: MIT
 *
 * async/cancel.h - one token for a request and for the threads that work for it.
 *
 *   pkd_async_mutex_lock(&loop, &c->req, &lock, got_it);
 *   pkd_req_cancel_on(&c->tie, &c->req, &c->gone);     when the client goes away
 *
 *   void got_it(pkd_req_t* req, int status) {
 *     pkd_req_untie(&c->tie);                          first of all
 *
 * pkd_cancel_t is described in parkade/cancel.h. Firing it, from any thread, ends
 * the waits of all requests that are tied to it, and those of threads, and all of
 * the tokens beneath it. A thread that was granted its lock before has it; from a
 * request whose callback has not begun it is taken back, as pkd_req_cancel() says. */
#ifndef PARKADE_ASYNC_CANCEL_H
#define PARKADE_ASYNC_CANCEL_H

#include <parkade/async/req.h>
#include <parkade/cancel.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What ties one request to one token; in memory of yours, zeroed before the
 * first use, in place from pkd_req_cancel_on to pkd_req_untie. */
typedef struct pkd_req_tie {
  pkd_cancel_link_t link; /* first: fire() gets its address */
  pkd_req_t* req;
} pkd_req_tie_t;

/** Lets `cancel` end the wait of `req`: when it is fired, pkd_req_cancel(req) is
 * called, in the thread that fires.
 *
 * @param tie     not tied
 * @param req     started with a loop, and not answered yet
 * @param cancel  stays in place until the untie
 * @return 0            tied; pkd_req_untie(tie) is owed, before `req` is freed or
 *                      started anew
 *         UV_ECANCELED `cancel` is fired or its deadline past: not tied; `req` was
 *                      cancelled here, and is answered as pkd_req_cancel() says
 *         UV_EINVAL    an argument is NULL; nothing was done
 * Blocks:    no
 * Threads:   the one that started `req`
 * Note:      nobody watches the token's deadline for a request: see
 *            pkd_req_set_timeout_of() */
PKD_API int pkd_req_cancel_on(pkd_req_tie_t* tie, pkd_req_t* req,
                              const pkd_cancel_t* cancel);

/** Unties. When this returns the token does not touch the request any more.
 *
 * @param tie  tied or not; NULL is nothing to do
 * Blocks:    while another thread that fires is at this request: no longer than
 *            a pkd_req_cancel() takes
 * Threads:   any, one at a time for a tie */
PKD_API void pkd_req_untie(pkd_req_tie_t* tie);

/** Bounds the next start of `req` by the deadline of `cancel`: what is left of it
 * becomes the timeout, rounded up to milliseconds. Nothing changes if it has none.
 *
 * @return as pkd_req_set_timeout(); UV_EINVAL too if `cancel` is NULL */
PKD_API int pkd_req_set_timeout_of(pkd_req_t* req, const pkd_cancel_t* cancel);

#ifdef __cplusplus
}
#endif

#endif
