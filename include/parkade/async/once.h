/* SPDX-License-Identifier: MIT
 *
 * async/once.h - initialise once, where initialising is I/O itself.
 *
 *   static pkd_async_once_t schema;   // all-zero: not done
 *
 *   static void ready(pkd_req_t* req, int status) {
 *     if (status == 1) create_schema(req);    // you lead: answer with
 *     else if (status == 0) use_schema();     //   pkd_async_once_done(...)
 *   }
 *   pkd_async_once_call(&loop, &req, &schema, ready);
 *
 * If the initialiser fails, or is cancelled before it began, the next who waits
 * leads. Source: OnceCell of tokio. */
#ifndef PARKADE_ASYNC_ONCE_H
#define PARKADE_ASYNC_ONCE_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All-zero is a once that nobody has called. It belongs to no loop. */
typedef struct pkd_async_once {
  uint32_t word; /* private, atomic; src/word/async_once.h */
} pkd_async_once_t;

/** A once that nobody has called. */
#define PKD_ASYNC_ONCE_INIT                                                    \
  { 0 }

/** Waits until `once` is done, or makes this request the initialiser.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs
 * @param cb   status 1: `req` leads: initialise, then pkd_async_once_done() is
 *             owed. 0: it is done; `req` is idle.
 *             UV_ECANCELED (pkd_req_cancel, detach), UV_ETIMEDOUT: not done
 * @return 0
 *         UV_EALREADY  `req` waits already   UV_EBUSY  it owns something (it may
 *                      be the initialiser); or its timeout is 0 and another
 *                      initialises
 *         UV_ESHUTDOWN the loop is detached
 *         UV_EINVAL    an argument is NULL, or the loop was never attached
 * Blocks:    no
 * Threads:   the loop's
 * Cancel:    once it is done, a wait is not cancellable any more (UV_EBUSY); an
 *            initialiser is, until its callback begins: then the next leads
 * Order:     acquire; pairs with pkd_async_once_done
 * Memory:    allocates nothing; `once` and `req` stay in place until `cb` */
PKD_API int pkd_async_once_call(pkd_loop_t* loop, pkd_req_t* req,
                                pkd_async_once_t* once, pkd_req_cb cb);

/** As pkd_async_once_call(), without waiting. No callback.
 *
 * @return 0 done; 1 `req` leads; UV_EBUSY another initialises, or `req` owns
 *         something; UV_EALREADY, UV_EINVAL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_once_try(pkd_req_t* req, pkd_async_once_t* once);

/** As pkd_async_once_call(), in the calling thread.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 0 done; 1 `req` leads; UV_ETIMEDOUT, UV_ECANCELED, UV_EALREADY,
 *         UV_EBUSY, UV_EINVAL; PKD_EDEADLK: this thread has a loop to run
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_once_call_blocking(pkd_req_t* req, pkd_async_once_t* once,
                                         pkd_deadline_t deadline);

/** The initialiser's answer. `req` is idle afterwards.
 *
 * @param status  0: it is done, everybody passes; negative: it failed, the next
 *                who waits or comes leads
 * @return 0; UV_EPERM `req` does not lead `once`; UV_EINVAL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the calls it ends */
PKD_API int pkd_async_once_done(pkd_req_t* req, pkd_async_once_t* once,
                                int status);

/** A check before the memory goes.
 * @return 0; UV_EBUSY somebody initialises or waits; UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_once_destroy(pkd_async_once_t* once);

/** Is it done? @return 1 or 0
 * Blocks: no. Threads: any. Order: acquire if 1; pairs with once_done */
static inline int pkd_async_once_is_done(const pkd_async_once_t* once) {
  /* (W1) */
  return (__atomic_load_n(&once->word, __ATOMIC_ACQUIRE) & 4) != 0;
}

#ifdef __cplusplus
}
#endif

#endif
