/* SPDX-License-Identifier: MIT
 *
 * lot.h - the parking lot: address -> FIFO queue of waiters.
 *
 * For makers of primitives. A primitive keeps its state in a word of its own
 * and calls the lot only when somebody has to wait or be woken. A waiter is a
 * thing with a wake function; the lot never asks whether it is a thread that
 * sleeps or a continuation that an event loop will run.
 *
 * The one idea to hold on to: *a look at the word and the change of the queue
 * are one step*. The lot calls you back (validate, decide, finish, removed)
 * while it holds the lock of the address, so that what you decide there cannot
 * be overtaken by another call for that address. Such a callback
 *   - must be short, must not block, and must not call the lot;
 *   - must not free the waiter it is shown (its memory is the waiter's).
 *
 * No call here allocates. All of them may be used before main, in thread-exit
 * destructors and in the child of a fork (where nobody waits); none in
 * a signal handler. No wake function ever runs under the lot's locks.
 *
 * Source: ParkingLot of WebKit's WTF and parking_lot_core, with one queue per
 * address instead of one per bucket. */
#ifndef PARKADE_LOT_H
#define PARKADE_LOT_H

#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pkd_waiter pkd_waiter_t;

/** Wakes a waiter that has left its queue.
 *
 * Runs once, in the thread that unparked it, with no lock of the lot held; it
 * may call the lot. It must not be a point of cancellation (pthread_cancel): others
 * that were chosen with it would never be woken. From the moment it lets the waiter
 * know, the waiter's memory may be gone. */
typedef void (*pkd_wake_cb)(pkd_waiter_t* waiter);

/** A place in a queue. The waiter's owner provides the memory, zeroed, and keeps
 * it in place from enqueue until wake() has been called or remove() returned 0. */
struct pkd_waiter {
  /* yours, set before you enqueue */
  pkd_wake_cb wake;
  /* Park token, for decide() to read; then the unpark token, for wake() to
   * read. Guarded by the lock of the key while queued. */
  uint64_t token;
  /* pkd_lot_due(): when an unpark should be fair to this waiter; 0 = never. */
  uint32_t due;
  /* Yours altogether: the lot never looks, and writes it only when a requeue
   * asks for that. */
  uint32_t state;

  /* The lot's, guarded by the lock of the key. */
  const void* key;        /* atomic; a requeue changes it, under both locks */
  pkd_waiter_t* next;     /* ring of one queue, oldest first */
  pkd_waiter_t* prev;     /* NULL: not queued */
  pkd_waiter_t* child[2]; /* head of a queue only: the addresses beneath */
};

/** What an unpark found and did. */
typedef struct pkd_unpark_result {
  size_t unparked; /* waiters dequeued, to be woken or taken */
  size_t requeued; /* waiters moved to another address */
  int have_more;   /* the queue of the (first) address is not empty */
  int be_fair;     /* the first waiter dequeued is past its due */
} pkd_unpark_result_t;

/** @return nonzero to wait, 0 to give up at once. Under the lock of the key. */
typedef int (*pkd_validate_cb)(void* arg);

/** Told that a waiter left `key`'s queue unchosen (deadline, cancel or remove),
 * under the lock of the key. `key` is where it was: not where it was enqueued, if
 * it was requeued since. `was_last`: that queue is empty now. A parked thread that
 * is cancelled sleeps while this runs, in the thread that cancels. */
typedef void (*pkd_removed_cb)(void* arg, const void* key, int was_last);

/** Told what an unpark did, once, also when nobody waited, under the lock of the
 * key. This is the place to rewrite the primitive's word.
 * @return the unpark token for every waiter that is going to be woken */
typedef uint64_t (*pkd_finish_cb)(void* arg, const pkd_unpark_result_t* result);

/* --- waiting ------------------------------------------------------------- */

/** How a thread parks. Callbacks may be NULL, but for validate. */
typedef struct pkd_park {
  pkd_validate_cb validate;
  void (*before_sleep)(void* arg); /* queued, nothing locked: may unpark others,
                                      must not park */
  pkd_removed_cb timed_out;        /* under the lock of the key */
  void* arg;                       /* for the three above */
  uint64_t token;                  /* park token */
  uint32_t due;                    /* pkd_lot_due(), or 0 */
  int front;                       /* nonzero: wait at the head of the queue (a
                                      woken waiter that lost keeps its place) */
  const pkd_cancel_t* cancel;      /* ends the sleep too; may be NULL */
} pkd_park_t;

/** What a thread learns when its sleep has ended. */
typedef struct pkd_parked {
  uint64_t token; /* unpark token; if nobody unparked it, the park token */
  uint32_t state; /* what the last requeue gave it; 0: it was never moved */
} pkd_parked_t;

/** Puts the calling thread to sleep in the queue of `key`.
 *
 * @param key       an address; only a name, never read
 * @param how       see pkd_park_t; read during the call only
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @param parked    if not NULL, filled unless the return is -EAGAIN
 * @return 0           another thread unparked this one
 *         -EAGAIN     validate said no; the thread was not queued
 *         -ETIMEDOUT  the deadline passed while queued; timed_out was called
 *         -ECANCELED  how->cancel was fired while queued, or before, or its
 *                     deadline came first; timed_out was called
 *         A waiter that was unparked before its deadline or its cancel could be
 *         handled returns 0: whoever unparked it counts on that.
 * Blocks:    yes
 * Threads:   any; not from a callback of the lot
 * Order:     what the unparker did before is visible after a return of 0 */
PKD_API int pkd_lot_park(const void* key, const pkd_park_t* how,
                         pkd_deadline_t deadline, pkd_parked_t* parked);

/** Queues a continuation at `key`. The same as pkd_lot_park without the sleep.
 *
 * @param waiter    yours; `wake` and `token` set. The lot's until wake() is
 *                  called or pkd_lot_remove() returns 0
 * @param validate  may be NULL: always wait
 * @param arg  for the callbacks
 * @return 0        queued; wake() will be called, unless it is removed
 *         -EAGAIN  validate said no; not queued, wake() will not be called
 * Blocks:    no (a short internal lock)
 * Threads:   any; not from a callback of the lot */
PKD_API int pkd_lot_enqueue(const void* key, pkd_waiter_t* waiter,
                            pkd_validate_cb validate, void* arg);

/** As pkd_lot_enqueue(), shown the waiter at the head of the queue: for primitives
 * that keep something in the queue itself, such as who holds a key.
 *
 * @param join  NULL in `oldest`: nobody is queued. Returns nonzero to be queued.
 *              Under the lock of the key */
PKD_API int pkd_lot_enqueue_behind(const void* key, pkd_waiter_t* waiter,
                                   int (*join)(void* arg, pkd_waiter_t* oldest),
                                   void* arg);

/** As pkd_lot_enqueue(), at the head of the queue: for who must be served next. */
PKD_API int pkd_lot_enqueue_front(const void* key, pkd_waiter_t* waiter,
                                  pkd_validate_cb validate, void* arg);

/** Takes a waiter out of whatever queue it is in: cancel. The cost does not
 * depend on the length of the queue or the place in it.
 *
 * @param waiter   memory that is valid; queued before, at this or another key
 * @param removed  may be NULL; called under the lock of the key on success
 * @param arg  for the callbacks
 * @return 0        it was queued and is not any more; wake() will not be called
 *         -ENOENT  it is not queued: never was, or an unpark chose it already
 * Blocks:    no
 * Threads:   any; not from a callback of the lot */
PKD_API int pkd_lot_remove(pkd_waiter_t* waiter, pkd_removed_cb removed,
                           void* arg);

/** As pkd_lot_remove(), if `may_leave` agrees, which is called under the lock of
 * the key and only if `waiter` is queued.
 *
 * @return 0, -ENOENT, or -EAGAIN: it is queued still, may_leave said 0 */
PKD_API int pkd_lot_remove_if(pkd_waiter_t* waiter, pkd_validate_cb may_leave,
                              void* may_leave_arg, pkd_removed_cb removed,
                              void* arg);

/** The `due` of a waiter whose patience ends at `when` (pkd_now() time). Never 0.
 * A resolution of about four microseconds; good for half an hour before `when` and
 * four hours after it. Who waits longer than that looks patient again for half an
 * hour, then past its due again.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API uint32_t pkd_lot_due(pkd_deadline_t when);

/* A tick of that is so many nanoseconds, as a power of two. */
#define PKD__DUE_TICK 12

/* --- waking -------------------------------------------------------------- */

/** Wakes the oldest waiter of `key`.
 *
 * @param finish  called once under the lock of the key, waiter or not; may be
 *                NULL (unpark token 0)
 * @param arg  for the callbacks
 * @return what `finish` saw
 * Blocks:    no
 * Threads:   any; not from a callback of the lot */
PKD_API pkd_unpark_result_t pkd_lot_unpark_one(const void* key,
                                               pkd_finish_cb finish, void* arg);

/** Wakes everyone who waits at `key` at the time of the call. Works in bounded
 * batches, wakes outside the lock. Never more than waited then: for each of those
 * who leaves by itself during the call, one who came later may be woken. And who
 * comes to the head of the queue during the call may take the turn of the youngest
 * of them: where waiters do that, pkd_lot_unpark_filter() wakes exactly all.
 *
 * @param token  the unpark token of all
 * @return how many were woken
 * Blocks:    no
 * Threads:   any; not from a callback of the lot */
PKD_API size_t pkd_lot_unpark_all(const void* key, uint64_t token);

/** What to do with one waiter. */
typedef enum pkd_unpark_op {
  PKD_UNPARK_SKIP, /* leave it where it is, look at the next */
  PKD_UNPARK_WAKE, /* dequeue it, wake it after the lock is dropped */
  PKD_UNPARK_TAKE, /* dequeue it, do not wake it: it is the caller's once
                      finish() is called, not before */
  PKD_UNPARK_STOP, /* leave it and everyone behind it */
  PKD_UNPARK_FRONT /* put it at the head of the queue, look at the next */
} pkd_unpark_op_t;

/** Shown the waiters of a key, oldest first, under the lock of the key. */
typedef pkd_unpark_op_t (*pkd_decide_cb)(void* arg, pkd_waiter_t* waiter);

/** Lets the caller choose whom to wake.
 *
 * @param decide  called for each waiter in FIFO order until PKD_UNPARK_STOP
 * @param finish  as in pkd_lot_unpark_one
 * @param arg  for the callbacks
 * @return what `finish` saw
 * Blocks:    no; holds the lock of the key for the whole scan, so a caller with
 *            many to wake stops after a bounded number and calls again
 * Threads:   any; not from a callback of the lot */
PKD_API pkd_unpark_result_t pkd_lot_unpark_filter(const void* key,
                                                  pkd_decide_cb decide,
                                                  pkd_finish_cb finish,
                                                  void* arg);

/** What a requeue does: how many are woken, how many are moved. */
typedef enum pkd_requeue_op {
  PKD_REQUEUE_ABORT,         /* nothing */
  PKD_REQUEUE_WAKE_ONE,      /* wake the oldest, move nobody */
  PKD_REQUEUE_MOVE_ONE,      /* move the oldest */
  PKD_REQUEUE_WAKE_MOVE_ALL, /* wake the oldest, move the others */
  PKD_REQUEUE_MOVE_ALL       /* move everybody */
} pkd_requeue_op_t;

/** Chooses what a requeue does, with the oldest waiter of `from` at hand. Under
 * both locks, before anything is moved. */
typedef pkd_requeue_op_t (*pkd_choose_cb)(void* arg, pkd_waiter_t* oldest);

/** Moves waiters from the queue of `from` to the tail of the queue of `to`, in
 * order, and wakes at most one. Both locks are held throughout.
 *
 * @param choose  called only if somebody waits at `from`
 * @param finish  as in pkd_lot_unpark_one; have_more is about `from`
 * @param state   the state that each moved waiter gets, unless it is 0
 * @param arg  for the callbacks
 * @return what `finish` saw
 * Blocks:    no
 * Threads:   any; not from a callback of the lot */
PKD_API pkd_unpark_result_t pkd_lot_unpark_requeue(const void* from,
                                                   const void* to,
                                                   pkd_choose_cb choose,
                                                   pkd_finish_cb finish,
                                                   uint32_t state, void* arg);

/* --- looking ------------------------------------------------------------- */

/** Shows every waiter of the process, or those of one address, oldest first per
 * address: for debuggers and tests. `visit` runs under the lock of the key.
 *
 * @param key  an address, or NULL for all
 * @param arg  for the callbacks
 * @return how many were shown
 * Threads:   any; not from a callback of the lot
 * Blocks:    no */
PKD_API size_t pkd_lot_for_each(const void* key,
                                void (*visit)(void* arg, const void* key,
                                              pkd_waiter_t* waiter),
                                void* arg);

/* The same for the nth part of the lot, queue by queue; of a queue for which
 * `visit` has returned 0 no more is shown. For libparkade-uv. @return 0: there
 * are fewer parts */
PKD_API int pkd__lot_visit(unsigned part,
                           int (*visit)(void* arg, const void* key,
                                        pkd_waiter_t* waiter),
                           void* arg);

/* --- sleeping ------------------------------------------------------------ */

/** One sleep of one thread: what pkd_lot_park sleeps on, for those who bring
 * their own waiter. Zeroed = ready. It lives in the sleeper's frame. */
typedef struct pkd_parker {
  uint32_t word; /* atomic: 0 nobody woke it, 1 woken */
} pkd_parker_t;

/** Sleeps until pkd_parker_wake() or the deadline.
 *
 * @return 0           it was woken (perhaps before this call)
 *         -ETIMEDOUT  not woken by `deadline` (pkd_now() nanoseconds)
 * Blocks:    yes; signals and stale wakes do not end it
 * Order:     acquire; pairs with pkd_parker_wake
 * Threads:   the one whose parker it is */
PKD_API int pkd_parker_sleep(pkd_parker_t* parker, pkd_deadline_t deadline);

/** Ends the sleep. The parker may be gone as soon as the sleeper can see this:
 * it is the last touch.
 * Threads:   any; once per sleep
 * Order:     release; pairs with pkd_parker_sleep
 * Blocks:    no */
PKD_API void pkd_parker_wake(pkd_parker_t* parker);

#ifdef __cplusplus
}
#endif

#endif
