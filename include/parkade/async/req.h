/* SPDX-License-Identifier: MIT
 *
 * req.h - one wait of one task, and the ticket that it turns into.
 *
 * A pkd_req_t is yours: all-zero memory is a valid, idle one, its address must
 * not change while it is in use, and nothing is ever allocated for it. You
 * start it with a call such as pkd_async_mutex_lock(). While it waits it is the
 * library's; when its callback begins it is yours again, to free or to start
 * anew. If the status was 0 (or positive) it is now the ticket that owns what
 * you asked for: ownership belongs to the request, not to a thread, so any
 * thread that has the request may give back what it owns.
 *
 *           start                    granted               callback
 *   idle ----------> queued ----------------------> granted --------> owning
 *     ^                 | cancel, timeout, close       | cancel         |
 *     |                 v                              v                |
 *     +------------- over <----------------------------+     release    |
 *     |   callback, negative status                                     |
 *     +-----------------------------------------------------------------+
 *
 * One rule for every status: 0 or positive, you own what you asked for;
 * negative, you own nothing new. Exactly one callback comes for every start
 * that returned 0, on its loop's thread, never inside a call of this library;
 * a start that returned an error has no callback. Statuses are UV_E* codes of
 * libuv, or the PKD_E* codes below, which libuv lacks. */
#ifndef PARKADE_ASYNC_REQ_H
#define PARKADE_ASYNC_REQ_H

#include <parkade/lot.h>

#ifdef __cplusplus
extern "C" {
#endif

/** This wait could never end: the thread that asks to block is the one that has
 * to run a loop. libuv has no code for it. */
#define PKD_EDEADLK (-EDEADLK)

/** No timeout: what every request starts with. */
#define PKD_NO_TIMEOUT UINT64_MAX

typedef struct pkd_req pkd_req_t;

/** The answer to a request. Runs once, on the thread of the request's loop, with
 * nothing locked. Everything is legal inside: freeing or restarting `req`,
 * releasing, destroying the lock, detaching the loop.
 *
 * @param status  0 or positive: you own it   negative: you do not */
typedef void (*pkd_req_cb)(pkd_req_t* req, int status);

/* A place in a list of the library's. */
struct pkd__link {
  struct pkd__link* next;
  struct pkd__link* prev;
};

/** One wait, then what came of it. Yours; all-zero is idle. */
struct pkd_req {
  /** Yours; the library never touches it. */
  void* data;

  /* private */
  /* .state: where in the picture above (atomic); .token: what it wants or
     holds, and its timeout; .key: the object */
  pkd_waiter_t waiter;
  pkd_req_cb cb;
  union {
    struct pkd__home* home; /* its loop's; NULL: no loop, a thread asked */
    pkd_req_t* next;        /* while it lies in a mailbox: the next there */
  } via;
  /* in the loop's timers; or .next: what a thread sleeps on */
  struct pkd__link link;
  /* what some kinds of objects need besides */
  uint64_t extra[UINTPTR_MAX > UINT32_MAX ? 3 : 4];
};

/** Bounds the time that the next start of `req` may spend in a queue.
 *
 * The timeout is used up by that start, whatever becomes of the wait. When it passes
 * while the request is queued, the status is UV_ETIMEDOUT; a grant that came
 * first counts, however late the loop delivers it.
 *
 * @param req  idle, or owning something
 * @param ms   milliseconds of a monotonic clock, beginning with the start call.
 *             0: do not wait at all, the start returns UV_EBUSY instead.
 *             Above 2^31, or PKD_NO_TIMEOUT: no timeout
 * @return 0
 *         UV_EALREADY  it waits already; its timeout is as it was
 *         UV_EINVAL    `req` is NULL
 * Blocks:    no
 * Threads:   any, but not while another uses `req`
 * Note:      blocking calls take a deadline of their own and ignore this */
PKD_API int pkd_req_set_timeout(pkd_req_t* req, uint64_t ms);

/** Ends a wait.
 *
 * A grant that was made but not delivered yet is revoked: what was granted goes
 * to the next in the queue at once. The callback (or the blocking call) still
 * comes, with UV_ECANCELED.
 *
 * @return 0          exactly this: the status will be UV_ECANCELED and the
 *                    request owns nothing. Also when cancelled before
 *         UV_EBUSY   too late: it owns what it asked for, or another end
 *                    (its timeout) came first and is on its way
 *         UV_EINVAL  it does not wait, or `req` is NULL
 * Blocks:    no
 * Threads:   any, for blocking waits as well, while the request lives; not while
 *            another thread starts the same request anew
 * Cost:      does not depend on the length of the queue */
PKD_API int pkd_req_cancel(pkd_req_t* req);

/** Hands all that `from` owns over to `to`, as from a worker to the task that goes
 * on: no moment in between is anybody else's.
 *
 * @param from  owns something; idle afterwards
 * @param to    idle; owns it afterwards. It counts for no loop (pkd_loop_held)
 * @return 0
 *         UV_EPERM     `from` owns nothing
 *         UV_EALREADY  `to` waits       UV_EBUSY  `to` owns something
 *         UV_EINVAL    one is NULL, or both are the same
 * Blocks:    no
 * Threads:   any, but not while another uses one of the two
 * Order:     release and acquire: what `from` has seen, the user of `to` sees
 * Memory:    allocates nothing; the bytes of a long key must stay in place for
 *            `to` as they had to for `from` */
PKD_API int pkd_req_transfer(pkd_req_t* from, pkd_req_t* to);

/** What `req` owns.
 *
 * @return the address of the lock or semaphore, or NULL for nothing
 * Threads:   any, but only a hint while another thread uses `req`
 * Blocks:    no */
PKD_API const void* pkd_req_owned(const pkd_req_t* req);

/** Says an error code in words, as uv_strerror does, and knows PKD_E* as well.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API const char* pkd_strerror(int err);

/** The name of an error code, as uv_err_name gives it: "EDEADLK".
 *
 * Blocks:    no
 * Threads:   any */
PKD_API const char* pkd_err_name(int err);

#ifdef __cplusplus
}
#endif

#endif
