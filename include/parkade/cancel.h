/* SPDX-License-Identifier: MIT
 *
 * cancel.h - pkd_cancel_t: a token that ends waits from outside.
 *
 *   static pkd_cancel_t stop;             zeroed memory is a token not fired
 *   rc = pkd_mutex_lock_cancellable(&m, &stop, PKD_FOREVER);
 *   ...                                   -ECANCELED: not held
 *   pkd_cancel_fire(&stop);               from any thread, once and for all
 *
 * Any number of waits may be tied to one token, of threads and of tasks alike.
 * Tokens form trees: firing one fires all beneath it, none above or beside it.
 * A token may have a deadline, its children have it at the latest: one token for
 * a request and everything it waits for.
 *
 * A grant wins: a thread that was given its lock before the token reached it has
 * the lock and is told so (of requests see async/cancel.h). A wait that need not
 * wait does not look at the token at all: what is free is taken.
 *
 * Nobody watches the clock for a token: each wait tied to it ends at its deadline
 * by its own clock, and pkd_cancel_is_fired() compares. Links of your own are
 * called by pkd_cancel_fire() only; take pkd_cancel_deadline() into account.
 *
 * Life: a token stays in place while anything is linked to it (a wait, a child,
 * a link of yours) and while a pkd_cancel_fire() of it runs. A token with a parent
 * is closed before its memory goes; one without needs no end. In the child of a
 * fork nothing is tied to a token any more: links of the parent are not called
 * there, though they are unlinked, and tokens closed, as ever.
 *
 * Source: nsync_note of nsync, CancellationToken of .NET and tokio. */
#ifndef PARKADE_CANCEL_H
#define PARKADE_CANCEL_H

#include <parkade/analysis.h>
#include <parkade/lot.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pkd__cancel_link pkd_cancel_link_t;

/** What a token does to one thing that is linked to it.
 *
 * Runs at most once per linking, in the thread that fires, with nothing locked, and
 * with that thread not to be cancelled (pthread_cancel) meanwhile; it may call the lot
 * and any lock that does not keep it waiting for long. It must not unlink its own
 * link (that would wait for this very call); once it has returned the link's memory
 * may be gone. */
typedef void (*pkd_cancel_cb)(pkd_cancel_link_t* link);

/** The tie between a token and what it cancels, in memory of yours. Zeroed, with
 * `fire` set, it can be linked. It stays in place until it is unlinked, and may
 * then be used again. */
struct pkd__cancel_link {
  pkd_waiter_t waiter; /* first; queued at the token's address */
  pkd_cancel_cb fire;
  const pkd_cancel_t* token; /* linked to; the linking thread's */
  pkd_parker_t fired;        /* woken when fire() has returned */
};

/** A token. Zeroed = not fired, no parent, no deadline. */
struct pkd_cancel {
  uint32_t fired;          /* atomic; 0 or 1, never back */
  pkd_deadline_t deadline; /* r/o after init; 0: none */
  pkd_cancel_link_t up;    /* to the parent */
};

/** A token not fired, without a parent or a deadline. */
#define PKD_CANCEL_INIT                                                        \
  {                                                                            \
    0, 0, {                                                                    \
      {NULL, 0, 0, 0, NULL, NULL, NULL, {NULL, NULL}}, NULL, NULL, {           \
        0                                                                      \
      }                                                                        \
    }                                                                          \
  }

/** Makes `c` a token not fired, beneath `parent`.
 *
 * @param c         memory in which no living token is
 * @param parent    fires `c` too and outlives it; NULL: none
 * @param deadline  when `c` fires by itself, in nanoseconds of pkd_now();
 *                  PKD_FOREVER: never. The parent's counts too
 * @return 0           ready
 *         -ECANCELED  the parent is fired, hence `c` is too
 * Blocks:    no
 * Threads:   any; not from a callback of the lot
 * Memory:    allocates nothing; pkd_cancel_close() is owed if there is a parent */
PKD_API int pkd_cancel_init(pkd_cancel_t* c, pkd_cancel_t* parent,
                            pkd_deadline_t deadline);

/** Takes `c` from its parent. Its memory may go afterwards, if nothing is linked
 * to it. Waits for a firing of the parent that has reached `c`. Closing a token
 * without a parent does nothing; so does closing twice.
 *
 * Blocks:    while callbacks of `c` run in another thread
 * Threads:   any, but not from a callback of `c` */
PKD_API void pkd_cancel_close(pkd_cancel_t* c);

/** Fires `c` and all beneath it: every wait tied to them ends, every later one
 * ends at once.
 *
 * @return 1 fired by this call, all callbacks have returned
 *         0 it was fired before; its callbacks may still be running elsewhere
 * Blocks:    no; runs the callbacks, children before return, as deep as the tree
 * Threads:   any; not from signal handlers or a callback of the lot
 * Order:     release; pairs with the end of each wait and with is_fired */
PKD_API int pkd_cancel_fire(pkd_cancel_t* c);

/** Is `c` fired, or its deadline past?
 *
 * @return 1 or 0; NULL is never fired
 * Blocks:    no; reads the clock only if there is a deadline
 * Threads:   any; not from signal handlers
 * Order:     acquire if fired by pkd_cancel_fire() */
PKD_API int pkd_cancel_is_fired(const pkd_cancel_t* c);

/** The earliest deadline of `c` and all above it.
 *
 * @return that deadline; PKD_FOREVER if there is none or `c` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API pkd_deadline_t pkd_cancel_deadline(const pkd_cancel_t* c);

/** Sleeps until `c` is fired: a pause that can be cut short.
 *
 * @param c         a token
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @return 0           `c` is fired, or its deadline has come
 *         -ETIMEDOUT  `deadline` came first
 * Blocks:    yes
 * Threads:   any; not from signal handlers or a callback of the lot
 * Order:     acquire if fired by pkd_cancel_fire() */
PKD_API int pkd_cancel_wait(const pkd_cancel_t* c, pkd_deadline_t deadline);

/* --- cancelling things of your own ------------------------------------------ */

/** Ties `link` to `c`: link->fire() is called when `c` fires.
 *
 * @param c     a token
 * @param link  not linked; `fire` set, otherwise zeroed or used before
 * @return 0           linked; pkd_cancel_unlink() is owed, fired or not
 *         -ECANCELED  `c` is fired (not: its deadline is past); not linked, and
 *                     fire() is not called
 * Blocks:    no
 * Threads:   any; not from a callback of the lot */
PKD_API int pkd_cancel_link(const pkd_cancel_t* c, pkd_cancel_link_t* link);

/** Unties `link`. When this returns, fire() is not running and will not run.
 *
 * @return 0           fire() was not called
 *         -ECANCELED  fire() was called and has returned
 *         -ENOENT     not linked: nothing to do
 * Blocks:    while fire() runs in another thread
 * Threads:   any, one at a time for a link; not from its own fire() */
PKD_API int pkd_cancel_unlink(pkd_cancel_link_t* link);

#if PKD_TSAN_ANNOTATE
/* What ThreadSanitizer must be told of a token: whoever finds it fired sees what
 * was done before it, or one above it, was fired. */
static inline void pkd__cancel_saw(int rc, const pkd_cancel_t* c) {
  for (; rc == -ECANCELED && c != NULL; c = c->up.token)
    PKD__TSAN_SAW((void*)(uintptr_t)c);
}

static inline int pkd__cancel_fire_shown(pkd_cancel_t* c) {
  PKD__TSAN_SHOWS(c);
  return pkd_cancel_fire(c);
}

static inline int pkd__cancel_is_fired_seen(const pkd_cancel_t* c) {
  int fired = pkd_cancel_is_fired(c);

  pkd__cancel_saw(fired ? -ECANCELED : 0, c);
  return fired;
}

static inline int pkd__cancel_wait_seen(const pkd_cancel_t* c,
                                        pkd_deadline_t deadline) {
  int rc = pkd_cancel_wait(c, deadline);

  pkd__cancel_saw(rc == 0 ? -ECANCELED : 0, c);
  return rc;
}

#define pkd_cancel_fire(c) pkd__cancel_fire_shown(c)
#define pkd_cancel_is_fired(c) pkd__cancel_is_fired_seen(c)
#define pkd_cancel_wait(c, deadline) pkd__cancel_wait_seen((c), (deadline))
#endif

#ifdef __cplusplus
}
#endif

#endif
