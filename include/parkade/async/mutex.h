/* SPDX-License-Identifier: MIT
 *
 * async/mutex.h - a mutex that a task may hold across I/O.
 *
 * For sections that span callbacks: read from the database, decide, write back.
 * Tasks of any number of loops and blocking threads wait in one queue, strictly
 * first in, first out unless it is told otherwise. For a few instructions without
 * I/O use pkd_mutex_t.
 *
 *   static pkd_async_mutex_t ledger;  // all-zero is a free mutex
 *
 *   static void have_it(pkd_req_t* req, int status) {
 *     if (status < 0) return;   // cancelled, timed out, closed: not ours
 *     start_transfer(req);      // any number of callbacks later:
 *   }                           //   pkd_async_mutex_unlock(req, &ledger);
 *
 *   int err = pkd_async_mutex_lock(&loop, &task->req, &ledger, have_it);
 */
#ifndef PARKADE_ASYNC_MUTEX_H
#define PARKADE_ASYNC_MUTEX_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The status, or the return, of one who owns the mutex now and must know that an
 * owner before left what it guards in doubt: pkd_async_mutex_unlock_poisoned(). It
 * is positive: the mutex is owned all the same. */
#define PKD_POISONED 1

/** All-zero is a free mutex. It belongs to no loop and needs no end; free its
 * memory when nobody holds it or waits for it, even right after the unlock. */
typedef struct pkd_async_mutex {
  uint32_t word; /* private, atomic; src/word/async_mutex.h */
} pkd_async_mutex_t;

/** A free mutex. */
#define PKD_ASYNC_MUTEX_INIT                                                   \
  { 0 }

/** What a mutex may be told before its first use. */
enum pkd_async_mutex_flags {
  /** Tasks may overtake, for a while: who unlocks on a loop hands over to the first
   * of that loop who is among the first eight that wait. So the mutex goes round
   * on a loop without a wake for each section, which is many times faster where
   * loops and threads want it all the time. Who has waited for 500 microseconds is
   * not overtaken any more: then it is first in, first out. */
  PKD_ASYNC_MUTEX_OVERTAKES = 16
};

/** A free mutex whose waiters may be overtaken, see above. */
#define PKD_ASYNC_MUTEX_OVERTAKES_INIT                                         \
  { PKD_ASYNC_MUTEX_OVERTAKES }

/* The slow paths. Use the functions below. */
PKD_API int pkd__async_mutex_trylock_slow(pkd_req_t* req,
                                          pkd_async_mutex_t* mutex);
PKD_API int pkd__async_mutex_unlock_slow(pkd_req_t* req,
                                         pkd_async_mutex_t* mutex);

/* The state of a request that owns a mutex; async/request.h has them all. */
#define PKD__REQ_OWNS_MUTEX UINT32_C(0x106)

/* How the word of a mutex names the request that owns it; src/word/async_mutex.h.
 * The low bits tell those of one aligned GiB apart; what is above is folded
 * in, lest memory that is laid out alike in two places looks the same. */
static inline uint32_t pkd__async_mutex_owner(const pkd_req_t* req) {
  uintptr_t at = (uintptr_t)req;

  return (uint32_t)(at >> 3 ^ at >> 30) << 5;
}

/** The same as an initialiser: makes `mutex` a free one.
 *
 * @param mutex  one that nobody uses
 * @param flags  0, or PKD_ASYNC_MUTEX_OVERTAKES
 * @return 0; UV_EINVAL: `mutex` is NULL, or a flag is not known
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_mutex_init(pkd_async_mutex_t* mutex, unsigned flags);

/** Asks for `mutex`; the answer is `cb` on the loop.
 *
 * @param loop  the loop of this task
 * @param req   idle; the library's from a return of 0 until `cb` runs
 * @param cb    status 0: `req` owns the mutex, one unlock is owed
 *              UV_ECANCELED (pkd_req_cancel, close, detach), UV_ETIMEDOUT: not
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something; or its timeout is 0 and the mutex
 *                       is not free
 *         UV_ESHUTDOWN  the mutex is closed, or the loop is detached
 *         UV_EINVAL     an argument is NULL, or the loop was never attached
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with the unlock before
 * Memory:    allocates nothing; `mutex` and `req` stay in place until `cb`
 * Fairness:  first in, first out, with blocking threads in the same queue; but see
 *            PKD_ASYNC_MUTEX_OVERTAKES */
PKD_API int pkd_async_mutex_lock(pkd_loop_t* loop, pkd_req_t* req,
                                 pkd_async_mutex_t* mutex, pkd_req_cb cb);

/** Takes `mutex` if it is free and nobody waits for it. No callback.
 *
 * @return 0             `req` owns the mutex, one unlock is owed
 *         UV_EBUSY      it is not free, or `req` owns something
 *         UV_EALREADY   `req` waits
 *         UV_ESHUTDOWN  the mutex is closed
 *         UV_EINVAL     an argument is NULL
 * Blocks:    no
 * Threads:   any */
static inline int pkd_async_mutex_trylock(pkd_req_t* req,
                                          pkd_async_mutex_t* mutex) {
  uint32_t free_word = 0;

  /* The steps of the slow path, for a mutex that is just free.
   * (D2) acquire, pairs with (D1) and (D3): who gave back what `req` owned is done
   * with it. (W3) acq_rel, pairs with itself: who takes sees what who left did. */
  if (req != NULL && mutex != NULL &&
      __atomic_load_n(&req->waiter.state, __ATOMIC_ACQUIRE) == 0 &&
      __atomic_compare_exchange_n(&mutex->word, &free_word,
                                  pkd__async_mutex_owner(req) | 1, 0,
                                  __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    req->waiter.token = 1;
    req->via.home = NULL;
    /* relaxed, both: only this thread has seen the request so far */
    __atomic_store_n(&req->waiter.key, (const void*)mutex, __ATOMIC_RELAXED);
    __atomic_store_n(&req->waiter.state, PKD__REQ_OWNS_MUTEX, __ATOMIC_RELAXED);
    return 0;
  }
  return pkd__async_mutex_trylock_slow(req, mutex);
}

/** Waits for `mutex` in the calling thread, in the same queue as the tasks.
 *
 * @param req       idle; may live on the caller's stack
 * @param deadline  absolute, pkd_now(); a past one makes this a trylock,
 *                  PKD_FOREVER never comes
 * @return 0             `req` owns the mutex, one unlock is owed
 *         UV_ETIMEDOUT  not by `deadline`
 *         UV_ECANCELED  pkd_req_cancel, or the mutex was closed meanwhile
 *         UV_ESHUTDOWN  the mutex is closed
 *         PKD_EDEADLK   this thread has a loop to run (see loop.h), also when
 *                       the mutex is free
 *         UV_EALREADY, UV_EBUSY   `req` is in use
 *         UV_EINVAL     an argument is NULL
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_mutex_lock_blocking(pkd_req_t* req,
                                          pkd_async_mutex_t* mutex,
                                          pkd_deadline_t deadline);

/** Gives `mutex` to the one who has waited longest, or frees it. No callback
 * runs inside. `req` is idle afterwards, and in use until this has returned.
 *
 * @return 0
 *         UV_EPERM   `req` does not own this mutex (a stale ticket, another
 *                    lock, a grant that was not delivered yet); nothing changed
 *         UV_EINVAL  an argument is NULL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the next lock. The mutex is not touched any
 *            more once its next owner can know */
static inline int pkd_async_mutex_unlock(pkd_req_t* req,
                                         pkd_async_mutex_t* mutex) {
  uint32_t held = pkd__async_mutex_owner(req) | 1;

  /* The steps of the slow path, for a ticket that counts for no loop.
   * (D2) acquire, pairs with (S1): the ticket of another thread is complete.
   * (W3) acq_rel, pairs with itself, as above: of several who show the same
   * ticket, one is right. */
  if (req != NULL && mutex != NULL &&
      __atomic_load_n(&req->waiter.state, __ATOMIC_ACQUIRE) ==
          PKD__REQ_OWNS_MUTEX &&
      __atomic_load_n(&req->waiter.key, __ATOMIC_RELAXED) == mutex &&
      req->via.home == NULL &&
      __atomic_compare_exchange_n(&mutex->word, &held, UINT32_C(0), 0,
                                  __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    /* (D3) release, pairs with (D2): who starts it anew comes after this. */
    __atomic_store_n(&req->waiter.state, UINT32_C(0), __ATOMIC_RELEASE);
    return 0;
  }
  return pkd__async_mutex_unlock_slow(req, mutex);
}

/** As pkd_async_mutex_unlock(), and says that what the mutex guards may be half
 * changed. Each owner to come gets PKD_POISONED in the place of 0, until one of them
 * has mended it. Only programs that call this ever see that status.
 *
 * @return as pkd_async_mutex_unlock */
PKD_API int pkd_async_mutex_unlock_poisoned(pkd_req_t* req,
                                            pkd_async_mutex_t* mutex);

/** Says that what the mutex guards is in order again.
 *
 * @param req  owns `mutex`, and goes on owning it
 * @return 0; UV_EPERM: it does not; UV_EINVAL: an argument is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_mutex_mend(pkd_req_t* req, pkd_async_mutex_t* mutex);

/** Closes `mutex`: those who wait get UV_ECANCELED, those who come UV_ESHUTDOWN.
 * Who owns it, or was granted it, keeps it and may unlock.
 *
 * @return 0, also when it was closed before; UV_EINVAL for NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_mutex_close(pkd_async_mutex_t* mutex);

/** Ends a mutex that nobody uses; it is closed afterwards. Not needed: a check.
 *
 * @return 0
 *         UV_EBUSY   somebody owns it, was granted it or waits for it; nothing
 *                    changed
 *         UV_EINVAL  `mutex` is NULL
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_mutex_destroy(pkd_async_mutex_t* mutex);

/** Whether somebody owns `mutex` or was granted it: a hint, for asserts.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_mutex_is_locked(const pkd_async_mutex_t* mutex);

#ifdef __cplusplus
}
#endif

#endif
