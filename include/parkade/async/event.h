/* SPDX-License-Identifier: MIT
 *
 * async/event.h - something happened: an event that tasks and threads wait for.
 *
 * Two ways to use it; choose one per object:
 *   - a state: set() opens it for everybody until clear();
 *   - notifications: notify_one() lets one waiter pass, or the next to come if
 *     nobody waits (one is stored, not more); notify_all() lets everybody pass
 *     who waits now, and is not stored.
 *
 * To wait for a predicate without missing the notification, arm first:
 *
 *   uint32_t since = pkd_async_event_arm(&changed);
 *   if (!ready(thing))          // a notify_all after the arm counts
 *     pkd_async_event_wait_since(&loop, &req, &changed, since, look_again);
 *
 * A wait owns nothing when it is over: the request is idle in its callback. A
 * notification that had chosen a wait which is then cancelled goes on to the
 * next. Source: Notify of tokio, and the events of Win32. */
#ifndef PARKADE_ASYNC_EVENT_H
#define PARKADE_ASYNC_EVENT_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** All-zero is an event that is not set. It belongs to no loop. */
typedef struct pkd_async_event {
  uint64_t word; /* private, atomic; src/word/async_event.h */
} pkd_async_event_t;

/** An event that is not set. */
#define PKD_ASYNC_EVENT_INIT                                                   \
  { 0 }

/** Waits until `event` is set or a notification comes.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs, and idle
 *             again then
 * @param cb   status 0: it happened
 *             UV_ECANCELED (pkd_req_cancel, close, detach), UV_ETIMEDOUT
 * @return 0
 *         UV_EALREADY   `req` waits already   UV_EBUSY  it owns something; or
 *                       its timeout is 0 and nothing has happened
 *         UV_ESHUTDOWN  the event is closed, or the loop is detached
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with the set or notify that ended it
 * Memory:    allocates nothing; `event` and `req` stay in place until `cb`
 * Fairness:  notify_one: first in, first out */
PKD_API int pkd_async_event_wait(pkd_loop_t* loop, pkd_req_t* req,
                                 pkd_async_event_t* event, pkd_req_cb cb);

/** The moment from which notify_all counts for a later wait_since.
 *
 * @return what wait_since takes; 0 for NULL
 * Blocks:    no
 * Threads:   any
 * Order:     acquire: a predicate that is tested after it is not older */
PKD_API uint32_t pkd_async_event_arm(const pkd_async_event_t* event);

/** pkd_async_event_wait() for one who armed before: passes at once if notify_all
 * came since. Otherwise the same. */
PKD_API int pkd_async_event_wait_since(pkd_loop_t* loop, pkd_req_t* req,
                                       pkd_async_event_t* event, uint32_t since,
                                       pkd_req_cb cb);

/** Passes if the event is set or a notification is stored, which it takes.
 *
 * @return 0, UV_EBUSY: nothing happened, or `req` owns something; UV_EALREADY,
 *         UV_ESHUTDOWN, UV_EINVAL as pkd_async_event_wait
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_event_try_wait(pkd_req_t* req, pkd_async_event_t* event);

/** As pkd_async_event_wait(), in the calling thread, in the same queue as the
 * tasks.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 0, UV_ETIMEDOUT, UV_ECANCELED, UV_ESHUTDOWN, UV_EALREADY, UV_EBUSY,
 *         UV_EINVAL; PKD_EDEADLK: this thread has a loop to run (see loop.h)
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_event_wait_blocking(pkd_req_t* req,
                                          pkd_async_event_t* event,
                                          pkd_deadline_t deadline);

/** Opens the event: everybody who waits or comes passes, until clear().
 * @return 0, or UV_EINVAL for NULL
 * Blocks: no. Threads: any. Order: release; pairs with the waits it ends */
PKD_API int pkd_async_event_set(pkd_async_event_t* event);

/** Closes it again, and drops a stored notification.
 * @return 0, or UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_event_clear(pkd_async_event_t* event);

/** Lets the one pass who has waited longest; or the next to come.
 * @return 0, or UV_EINVAL for NULL
 * Blocks: no. Threads: any. Order: release; pairs with the wait it ends */
PKD_API int pkd_async_event_notify_one(pkd_async_event_t* event);

/** Lets everybody pass who waits or has armed, and nobody who comes later.
 * @return 0, or UV_EINVAL for NULL
 * Blocks: no. Threads: any. Order: release; pairs with the waits it ends */
PKD_API int pkd_async_event_notify_all(pkd_async_event_t* event);

/** Is it set? A hint.
 *
 * @return 1 or 0
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_event_is_set(const pkd_async_event_t* event);

/** Ends all waits with UV_ECANCELED; newcomers get UV_ESHUTDOWN.
 * @return 0, or UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_event_close(pkd_async_event_t* event);

/** A check before the memory goes: closes the event if nobody waits.
 * @return 0; UV_EBUSY somebody waits, nothing changed; UV_EINVAL for NULL
 * Blocks: no. Threads: any */
PKD_API int pkd_async_event_destroy(pkd_async_event_t* event);

#ifdef __cplusplus
}
#endif

#endif
