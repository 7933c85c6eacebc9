/* SPDX-License-Identifier: MIT
 *
 * once.h - pkd_once_t: one byte, one initialization.
 *
 *   static pkd_once_t ready;                  zeroed memory is a new one
 *   pkd_once_call(&ready, build_tables);      returns when the tables are built
 *
 * Whoever comes first runs the initializer, the others wait until it has ended,
 * and all see what it did. An initializer that can fail returns a code; then the
 * next caller, or one who waits already, tries anew: nothing is poisoned.
 *
 * An initializer may leave by pthread_exit, by cancellation of its thread or by
 * a C++ exception, where those unwind the stack (as with glibc): that counts as a
 * failure. It must not leave by longjmp. An initializer that calls its own once
 * would wait for itself; it is told so instead.
 *
 * In the child of a fork an initializer that another thread of the parent was in
 * never ends, and who waits for it waits for ever. One that forks is done in both;
 * but in the child it is not told if it calls its own once. */
#ifndef PARKADE_ONCE_H
#define PARKADE_ONCE_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A once. Zeroed = not done; never needs destroying. It may be freed by whoever
 * has called it and knows that nobody else calls it or waits, even while the call
 * that ran the initializer still returns. */
typedef struct pkd_once {
  uint8_t word; /* atomic; 4 done, the rest is src/word/once.h */
} pkd_once_t;

/** A once that is not done. */
#define PKD_ONCE_INIT                                                          \
  { 0 }

/** An initializer. @return 0 done; anything else: it failed */
typedef int (*pkd_once_cb)(void* arg);

/* The slow paths. Use the functions below. */
PKD_API void pkd__once_call_slow(pkd_once_t* once, void (*init)(void));
PKD_API int pkd__once_try_slow(pkd_once_t* once, pkd_once_cb init, void* arg,
                               const pkd_cancel_t* cancel,
                               pkd_deadline_t deadline);

#if PKD_TSAN_ANNOTATE
/* The initializer runs in the library's frame, but its end must be seen by
 * ThreadSanitizer before anybody is told of it. */
struct pkd__once_shown {
  pkd_once_t* once;
  void (*plain)(void);
  pkd_once_cb init;
  void* arg;
};

static inline int pkd__once_run_shown(void* arg) {
  struct pkd__once_shown* shown = (struct pkd__once_shown*)arg;
  int rc = 0;

  PKD__TSAN_SAW(shown->once); /* what a run that failed has left */
  if (shown->plain != NULL)
    shown->plain();
  else
    rc = shown->init(shown->arg);
  PKD__TSAN_SHOWS(shown->once);
  return rc;
}
#endif

/** Has the initializer succeeded?
 *
 * @return 1 yes, and all it did is visible; 0 not yet
 * Blocks:    no: one load
 * Threads:   any, signal handlers too
 * Order:     acquire if 1; pairs with the end of the initializer */
static inline int pkd_once_is_done(const pkd_once_t* once) {
  /* (O1) acquire, pairs with (O2). */
  return __atomic_load_n(&once->word, __ATOMIC_ACQUIRE) == 4;
}

/** Runs `init`, if nobody has yet; returns when it has been run.
 *
 * @param init  cannot fail; called with nothing locked
 * Blocks:    while another thread runs it
 * Threads:   any; not from signal handlers. Called from within its own
 *            initializer it stops the program
 * Order:     acquire; pairs with the end of the initializer
 * Memory:    allocates nothing */
static inline void pkd_once_call(pkd_once_t* once, void (*init)(void)) {
#if PKD_TSAN_ANNOTATE
  struct pkd__once_shown shown = {once, init, NULL, NULL};

  if (!pkd_once_is_done(once) &&
      pkd__once_try_slow(once, pkd__once_run_shown, &shown, NULL,
                         PKD_FOREVER) != 0)
    pkd__once_call_slow(once, init); /* says what is wrong */
  PKD__TSAN_SAW(once);
#else
  /* expected, so that the usual way has no jump in it: it is one load long */
  if (__builtin_expect(!pkd_once_is_done(once), 0))
    pkd__once_call_slow(once, init);
#endif
}

/** Runs init(arg), unless one has succeeded already, or waits for the one who
 * does, at most until `deadline` or until `cancel` is fired.
 *
 * @param cancel    see cancel.h; may be NULL
 * @param deadline  absolute, nanoseconds of pkd_now(); bounds the waiting, not
 *                  the initializer. PKD_FOREVER never comes
 * @return 0           done, by this call or another
 *         -EDEADLK    called from within its own initializer
 *         -ETIMEDOUT  not done; another thread is still at it
 *         -ECANCELED  the same
 *         else        what init(arg) returned, called by this call; not done
 * Blocks:    while another thread runs it
 * Threads:   any; not from signal handlers
 * Order:     acquire on 0; who tries after a failure sees all the failed one did */
static inline int pkd_once_try_cancellable(pkd_once_t* once, pkd_once_cb init,
                                           void* arg,
                                           const pkd_cancel_t* cancel,
                                           pkd_deadline_t deadline) {
  int rc = 0;
#if PKD_TSAN_ANNOTATE
  struct pkd__once_shown shown = {once, NULL, init, arg};

  if (!pkd_once_is_done(once))
    rc =
        pkd__once_try_slow(once, pkd__once_run_shown, &shown, cancel, deadline);
  if (rc == 0)
    PKD__TSAN_SAW(once);
  PKD__TSAN_CANCELLED(rc, cancel);
#else
  if (!pkd_once_is_done(once))
    rc = pkd__once_try_slow(once, init, arg, cancel, deadline);
#endif
  return rc;
}

/** As pkd_once_try_cancellable(), for as long as it takes: returns 0, -EDEADLK or
 * init's failure. */
static inline int pkd_once_try(pkd_once_t* once, pkd_once_cb init, void* arg) {
  return pkd_once_try_cancellable(once, init, arg, NULL, PKD_FOREVER);
}

#ifdef PKD_DEADLOCK
#include <parkade/watch/once.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
