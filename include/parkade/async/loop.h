/* SPDX-License-Identifier: MIT
 *
 * loop.h - how a libuv loop takes part: attach it, and detach it in the end.
 *
 * An attached loop has one mailbox for all the locks that its tasks wait for.
 * Answers come in the order in which they were granted, from the loop's check
 * phase, at most 64 of them or one millisecond's worth per turn, so that a
 * chain of grants cannot keep the loop from its I/O. The loop stays alive
 * (uv_loop_alive) exactly while requests of its tasks wait for their callback.
 *
 * A loop has one thread at a time: the one that runs it, or ran it last. Calls
 * that take a pkd_loop_t are for that thread, but for pkd_loop_get_grants(). The
 * thread that attached a loop and the one that ran it last must not block: every
 * ..._blocking call refuses there with PKD_EDEADLK, whether the loop is running
 * just then or not, because the owner it would wait for may be a task of that very
 * loop. So attach a loop on the thread that is going to run it.
 *
 * fork: the child may attach loops of its own, and its threads may block until they
 * do; a loop that its parent attached is not to be used there, nor detached. */
#ifndef PARKADE_ASYNC_LOOP_H
#define PARKADE_ASYNC_LOOP_H

#include <parkade/async/req.h>

#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A loop that takes part. Yours; must stay in place until it is detached. */
typedef struct pkd_loop {
  /** Yours; the library never touches it. */
  void* data;

  /* private */
  struct pkd__home* home;
} pkd_loop_t;

/** Told that a loop is detached: no callback of its requests will follow, and
 * `loop` may be freed or attached anew. */
typedef void (*pkd_loop_cb)(pkd_loop_t* loop);

/** Lets the tasks of `uv_loop` wait for locks.
 *
 * @param loop     its content does not matter, but for `data`
 * @param uv_loop  initialised; must outlive the detaching
 * @return 0
 *         UV_EALREADY  `uv_loop` is attached, or `loop` is in use
 *         UV_ENOMEM    the only allocation of this library failed
 *         UV_EINVAL    an argument is NULL
 *         another UV_E* of uv_async_init
 * Blocks:    no
 * Threads:   the one that is going to run the loop */
PKD_API int pkd_loop_attach(pkd_loop_t* loop, uv_loop_t* uv_loop);

/** Takes a loop out: cancels what its requests wait for and revokes grants that
 * were not delivered (others get them at once). Their callbacks come first, all
 * with UV_ECANCELED or what had been decided before, then `cb`. The library's
 * handles are closing when this returns, so a uv_walk() that closes what is not
 * closing yet may follow. Closing them without this call is an error that stops
 * the program at the next use of the loop.
 *
 * What its tasks own stays theirs: locks belong to no loop. Their requests can
 * be released from any thread, then and later; pkd_loop_held() counts them.
 *
 * @param cb  may be NULL; runs once, from uv_run, never inside this call
 * @return 0
 *         UV_EALREADY  it is detached, or about to be
 *         UV_EINVAL    `loop` is NULL or was never attached
 * Blocks:    no; waits for another thread that is just now handing something to
 *            this loop (a few instructions)
 * Threads:   the loop's */
PKD_API int pkd_loop_detach(pkd_loop_t* loop, pkd_loop_cb cb);

/** How many tickets the tasks of `loop` hold: requests whose callback ran with
 * success, and that have not given back what they own. Ask before you detach.
 *
 * Blocks:    no
 * Threads:   the loop's; a snapshot while other threads release */
PKD_API size_t pkd_loop_held(const pkd_loop_t* loop);

/** Keeps a loop that is stuck from holding the others up.
 *
 * Who is next for a lock is granted it at once, also while its loop is busy with a
 * long callback; until the loop comes to it, the lock is used by nobody. With a
 * timeout, a loop that leaves a grant undelivered for so long counts as stuck. All
 * it was granted and has not delivered is then taken back and goes on to those
 * behind; the requests stay queued, first of all, and the loop tries again for them
 * when it comes to them. No callback tells of it. Meanwhile they can be cancelled,
 * and time out, as anybody who waits.
 *
 * So on other loops a mutex may be free while requests of a stuck one wait for it:
 * they are overtaken, and the object cannot be destroyed. A pkd_many_t gives all up
 * that it has and begins anew, behind the others, when its loop comes to it: were it
 * to keep one lock while it is overtaken at another, the two might wait for each
 * other. An upgrade of an rwlock ends with UV_ECANCELED, and its task owns the lock
 * as before. Not taken back: what tasks own; and waits that own nothing in the end
 * (events, barriers, gates, an initialisation that is done).
 *
 * Keys of a pkd_async_keyed_t are taken back when the loop has come to none of
 * those that lie there for so long. They have to be looked for, which takes the
 * watchdog some milliseconds each time.
 *
 * A thread that the library starts with the first such loop, and ends with the
 * last, watches the loops; each grant costs a little more.
 *
 * @param ms  0: never (as in the beginning); at most half an hour. Longer than any
 *            callback of this loop should take, and than its longest backlog
 * @return 0
 *         UV_ESHUTDOWN  the loop is detached, or about to be
 *         UV_EAGAIN     no thread to watch it can be had
 *         UV_EINVAL     `loop` is NULL or was never attached, or `ms` is too large
 * Blocks:    no; 0 waits for the watchdog to end, if it is the last loop
 * Threads:   the loop's */
PKD_API int pkd_loop_set_grant_timeout(pkd_loop_t* loop, uint64_t ms);

/** What a loop with a grant timeout has been granted and has not come to. */
typedef struct pkd_loop_grants {
  size_t undelivered; /* grants that others may wait for */
  uint64_t oldest;    /* for how many milliseconds the oldest has lain there; of
                         keys, for how long the loop has come to none */
  uint64_t revoked;   /* how many were taken back since the attach */
} pkd_loop_grants_t;

/** Tells of another loop, too, whether it is stuck: "granted, not delivered for
 * `oldest` milliseconds".
 *
 * @param grants  filled; counts only what was granted with a timeout set
 * @return 0; UV_ESHUTDOWN: `loop` is detached; UV_EINVAL: an argument is NULL, or
 *         `loop` was never attached
 * Blocks:    no
 * Threads:   any, while the loop is attached */
PKD_API int pkd_loop_get_grants(const pkd_loop_t* loop,
                                pkd_loop_grants_t* grants);

/** Lets the others go first: `cb` comes behind all that is ready on this loop.
 *
 * For a task with much to do: it does a part, yields, and goes on in `cb`. So the
 * loop gets to its I/O (see above: once in 64 callbacks, or a millisecond), and
 * other tasks to the locks that this one does not hold. Nothing is lost or merged:
 * one callback for each yield, in the order of the calls, among the grants of the
 * loop in their order. It keeps the loop alive, can be cancelled, and is by the
 * detaching of its loop.
 *
 * @param req  idle; the library's from a return of 0 until `cb` runs. It owns
 *             nothing then; a timeout means nothing here, and is used up
 * @param cb   status 0, or UV_ECANCELED (pkd_req_cancel, detach)
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something
 *         UV_ESHUTDOWN  the loop is detached, or about to be
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 * Blocks:    no; no system call, and no allocation
 * Threads:   the loop's */
PKD_API int pkd_loop_yield(pkd_loop_t* loop, pkd_req_t* req, pkd_req_cb cb);

/** How many requests of `loop` wait for their callback.
 *
 * Blocks:    no
 * Threads:   the loop's */
PKD_API size_t pkd_loop_pending(const pkd_loop_t* loop);

/** Makes the calling thread the loop's thread. Needed only where the thread that
 * had it before may be inside a call of this library while the new one enters
 * uv_run; otherwise running the loop, or starting a request, is enough.
 *
 * @return 0
 *         UV_ESHUTDOWN  the loop is detached, or about to be
 *         UV_EINVAL     `loop` is NULL or was never attached
 * Blocks:    no
 * Threads:   the one that has the loop now, before its uv_run */
PKD_API int pkd_loop_adopt(pkd_loop_t* loop);

#ifdef __cplusplus
}
#endif

#endif
