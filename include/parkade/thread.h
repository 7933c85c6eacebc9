/* SPDX-License-Identifier: MIT
 *
 * thread.h - park and unpark a thread by its handle.
 *
 * Each thread has one token. Park waits for it and takes it; unpark leaves it,
 * and a second one before it is taken adds nothing. So an unpark that comes
 * before the park is not lost, and a park ends for no other reason.
 *
 *   pkd_thread_t worker = pkd_thread_self();      in the worker, given to others
 *   while (queue_is_empty()) pkd_thread_park(PKD_FOREVER);
 *   ...
 *   put(item); pkd_thread_unpark(worker);         in any thread
 *
 * A handle is a value. It may be copied, kept and used for ever: once its thread
 * has ended, unpark says so. No handle ever comes to mean another thread.
 * For that a thread that parks, or asks for its handle, does so for the first time
 * before it ends, or in the first round of its destructors (pthread_key_create): of
 * one that begins with it later, the library does not learn that it has ended.
 * In the child of a fork the thread that forked keeps its handle; those of the
 * others are of threads that have ended.
 *
 * Source: LockSupport of Java, thread::park of Rust. */
#ifndef PARKADE_THREAD_H
#define PARKADE_THREAD_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A thread. Zeroed = none. */
typedef struct pkd_thread {
  const void* place; /* where it is, while it lives */
  uint64_t number;   /* which it is; 0: none; never used twice */
} pkd_thread_t;

/* Out of line. Use the functions below. */
PKD_API int pkd__thread_park(const pkd_cancel_t* cancel,
                             pkd_deadline_t deadline);
PKD_API int pkd__thread_unpark(pkd_thread_t thread);

/** The handle of the calling thread.
 *
 * @return always the same until the thread ends; none (zero) in the last round
 *         of its destructors, or if the system has no thread key left
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Memory:    allocates nothing of its own (the system may, for its keys) */
PKD_API pkd_thread_t pkd_thread_self(void);

/** Takes the calling thread's token, or waits for it until `deadline`.
 *
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one only looks,
 *                  PKD_FOREVER never comes
 * @return 0           the token was there, and is gone
 *         -ETIMEDOUT  it did not come
 *         -ESRCH      this thread has no handle, see pkd_thread_self()
 * Blocks:    yes; signals do not end it
 * Threads:   any; not from signal handlers or a callback of the lot
 * Order:     acquire on 0; pairs with every unpark since the last park */
static inline int pkd_thread_park(pkd_deadline_t deadline) {
  int rc = pkd__thread_park(NULL, deadline);

  if (rc == 0)
    PKD__TSAN_SAW((void*)(uintptr_t)pkd_thread_self().place);
  return rc;
}

/** As pkd_thread_park(), or gives up when `cancel` is fired: -ECANCELED. A token
 * that is there wins. `cancel` may be NULL, see cancel.h. */
static inline int pkd_thread_park_cancellable(const pkd_cancel_t* cancel,
                                              pkd_deadline_t deadline) {
  int rc = pkd__thread_park(cancel, deadline);

  if (rc == 0)
    PKD__TSAN_SAW((void*)(uintptr_t)pkd_thread_self().place);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** Leaves a token for `thread`.
 *
 * @return 0       it is there: its park returns, now or when it is called
 *         -ESRCH  the thread has ended, or `thread` is none
 * Blocks:    no (a short internal lock)
 * Threads:   any; not from signal handlers or a callback of the lot
 * Order:     release; pairs with the park that takes the token */
static inline int pkd_thread_unpark(pkd_thread_t thread) {
  if (thread.number != 0)
    PKD__TSAN_SHOWS((void*)(uintptr_t)thread.place);
  return pkd__thread_unpark(thread);
}

#ifdef __cplusplus
}
#endif

#endif
