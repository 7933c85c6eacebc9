/* SPDX-License-Identifier: MIT
 *
 * async/many.h - several locks at once: all or nothing, in one callback.
 *
 *   items[0].take = pkd_take_key(&accounts, &from, sizeof from);
 *   items[1].take = pkd_take_key(&accounts, &to, sizeof to);
 *   pkd_many_lock(&loop, &many, items, 2, PKD_NO_TIMEOUT, have_both);
 *
 * In any order, and without the deadlock of two tasks that hold what the other
 * wants: a request enters all its queues in one step, so of two requests the same
 * one is ahead in every queue they share. (It does not help one who holds a lock
 * and *then* asks for more: ask for all at once.)
 *
 * A lock whose turn has come is kept for the request until the others' have, too:
 * it is locked and nobody works under it, for as long as the owners of the others,
 * and those ahead there, take. That is the price of being served: to leave it
 * free would mean that who came later overtakes, and a request for several could
 * wait for ever for the moment in which all are free at once. So name few locks
 * at once, and not a busy one together with one that is held for long.
 *
 * A loop that is stuck keeps nobody from them for longer than its grant timeout, if
 * it has one (pkd_loop_set_grant_timeout): then they are given up, and asked for
 * anew, behind the others, when the loop goes on.
 *
 * Source of the rule: the ordered enqueueing of conservative two-phase locking. */
#ifndef PARKADE_ASYNC_MANY_H
#define PARKADE_ASYNC_MANY_H

#include <parkade/async/take.h>
#include <parkade/mutex.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pkd_many pkd_many_t;

/** One of the locks. All-zero but for `take`. */
typedef struct pkd_many_item {
  pkd_take_t take;     /* yours to set before the call */
  pkd_req_t req;       /* private; owns the lock in the end */
  pkd_parker_t parker; /* private */
} pkd_many_item_t;

/** The answer. Runs once, on the loop's thread, with nothing locked.
 *
 * @param status  0: all are owned, one pkd_many_unlock() is owed; negative: none
 *                is */
typedef void (*pkd_many_cb)(pkd_many_t* many, int status);

/** One request for several locks. Yours; all-zero is idle. */
struct pkd_many {
  /** Yours; the library never touches it. */
  void* data;

  /* private; who waits changes them, or under `lock` */
  pkd_many_item_t* items;
  size_t count;
  size_t open; /* items not answered yet; the loop's thread's */
  int state;   /* idle, waits, owns; under `lock` */
  int status;  /* of the first that failed; under `lock` */
  pkd_many_cb cb;
  pkd_deadline_t deadline; /* the loop's thread's */
  pkd_mutex_t lock;
};

/** Asks for all of them; the answer is `cb` on the loop.
 *
 * @param items    `count` of them, their requests idle; the library's from a
 *                 return of 0 until `cb` runs, and until pkd_many_unlock() if
 *                 that says 0
 * @param count    1 or more
 * @param timeout  milliseconds, as in pkd_req_set_timeout; PKD_NO_TIMEOUT; 0: do
 *                 not wait at all
 * @param cb       0; UV_ECANCELED (pkd_many_cancel, close, detach);
 *                 UV_ETIMEDOUT; UV_ESHUTDOWN one of them is closed, or UV_EBUSY
 *                 one is not free and the timeout is 0, if that was not returned
 * @return 0
 *         UV_EALREADY   `many` waits already, undisturbed
 *         UV_EBUSY      `many` or the request of an item owns something; or the
 *                       timeout is 0 and the first is not free
 *         UV_ESHUTDOWN  the loop is detached, or the first is closed
 *         UV_EINVAL     an argument is NULL, `count` is 0, a lock is named twice,
 *                       or cannot be had at all (see the call for one of it)
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with the release of each before
 * Memory:    allocates nothing
 * Fairness:  first in, first out in every queue, unless the loop is stuck */
PKD_API int pkd_many_lock(pkd_loop_t* loop, pkd_many_t* many,
                          pkd_many_item_t* items, size_t count,
                          uint64_t timeout, pkd_many_cb cb);

/** Takes all `count` items, if all are free. No callback.
 *
 * @return 0 one pkd_many_unlock() is owed; UV_EBUSY one is not free, none is
 *         taken; UV_EALREADY, UV_ESHUTDOWN, UV_EINVAL as pkd_many_lock
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_many_trylock(pkd_many_t* many, pkd_many_item_t* items,
                             size_t count);

/** As pkd_many_lock(), in the calling thread.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 0, UV_ETIMEDOUT, UV_ECANCELED, UV_ESHUTDOWN, UV_EALREADY, UV_EBUSY,
 *         UV_EINVAL; PKD_EDEADLK: this thread has a loop to run (see loop.h)
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_many_lock_blocking(pkd_many_t* many, pkd_many_item_t* items,
                                   size_t count, pkd_deadline_t deadline);

/** Gives all of them back. `many` and its items are idle afterwards.
 *
 * @return 0; UV_EPERM `many` owns nothing; UV_EINVAL it is NULL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the next lock of each */
PKD_API int pkd_many_unlock(pkd_many_t* many);

/** Ends the wait, of a blocked thread as well.
 *
 * What is granted already goes on to the next at once; the answer comes when the
 * last item's wait is over.
 *
 * @return 0          exactly this: the status will be UV_ECANCELED
 *         UV_EBUSY   too late: all are owned, or another end came first
 *         UV_EINVAL  it does not wait, or it is NULL
 * Blocks:    no
 * Threads:   any, while `many` lives; not while another thread starts it anew */
PKD_API int pkd_many_cancel(pkd_many_t* many);

#ifdef __cplusplus
}
#endif

#endif
