/* SPDX-License-Identifier: MIT
 *
 * event.h - pkd_event_t: wait until it has happened.
 *
 * A manual-reset event stays set, and lets everybody pass, until it is reset. An
 * automatic one lets exactly one waiter pass for each time it is set: the oldest,
 * or the next to come if nobody waits; setting it twice before that counts once.
 *
 *   static pkd_event_t ready;                       zeroed: manual, not set
 *   static pkd_event_t bell = PKD_EVENT_AUTO_INIT;  automatic
 *
 * No destroy. The memory may be freed by whoever knows that nobody waits any
 * more, even while the pkd_event_set() that ended the last wait still returns.
 *
 * In the child of a fork nobody waits; what was set is set. */
#ifndef PARKADE_EVENT_H
#define PARKADE_EVENT_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An event. Zeroed = manual reset, not set; the word is the library's alone. */
typedef struct pkd_event {
  uint32_t word; /* atomic; src/word/event.h */
} pkd_event_t;

/** A manual-reset event, not set. */
#define PKD_EVENT_INIT                                                         \
  { 0 }

/** An automatic event, not set. */
#define PKD_EVENT_AUTO_INIT                                                    \
  { 4 }

/* Out of line. Use the functions below. */
PKD_API void pkd__event_set(pkd_event_t* e);
PKD_API int pkd__event_wait(pkd_event_t* e, const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline);
PKD_API int pkd__event_trywait(pkd_event_t* e);

/** Sets `e`: all waiters pass, or one if it is automatic. Setting what is set
 * changes nothing.
 *
 * Blocks:    no
 * Threads:   any; not from signal handlers (waking takes a short lock)
 * Order:     release; pairs with the waits it ends */
static inline void pkd_event_set(pkd_event_t* e) {
  PKD__TSAN_SHOWS(e);
  pkd__event_set(e);
}

/** Makes `e` not set. Who has passed has passed.
 *
 * Blocks:    no
 * Threads:   any
 * Order:     none */
PKD_API void pkd_event_reset(pkd_event_t* e);

/** Waits until `e` is set; an automatic event is used up by it.
 *
 * Blocks:    yes; not on a loop's thread
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the set that ended the wait
 * Memory:    allocates nothing
 * Fairness:  first come, first served */
static inline void pkd_event_wait(pkd_event_t* e) {
  pkd__event_wait(e, NULL, PKD_FOREVER);
  PKD__TSAN_SAW(e);
}

/** As pkd_event_wait(), or gives up at `deadline`.
 *
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  trywait, PKD_FOREVER never comes
 * @return 0           it was set (and is used up, if automatic)
 *         -ETIMEDOUT  it was not; nothing changed
 * Blocks:    yes, until `deadline` at most */
static inline int pkd_event_wait_until(pkd_event_t* e,
                                       pkd_deadline_t deadline) {
  int rc = pkd__event_wait(e, NULL, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(e);
  return rc;
}

/** As pkd_event_wait_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_event_wait_for(pkd_event_t* e, uint64_t ns) {
  return pkd_event_wait_until(e, pkd_after(ns));
}

/** As pkd_event_wait_until(), or gives up when `cancel` is fired.
 *
 * @param cancel  see cancel.h; NULL makes this pkd_event_wait_until
 * @return as pkd_event_wait_until(), or -ECANCELED: it was not set before */
static inline int pkd_event_wait_cancellable(pkd_event_t* e,
                                             const pkd_cancel_t* cancel,
                                             pkd_deadline_t deadline) {
  int rc = pkd__event_wait(e, cancel, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(e);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** Passes if `e` is set now.
 *
 * @return 0 it was set (and is used up, if automatic); -EBUSY it was not
 * Blocks:    no
 * Threads:   any
 * Order:     acquire on success */
static inline int pkd_event_trywait(pkd_event_t* e) {
  int rc = pkd__event_trywait(e);

  if (rc == 0)
    PKD__TSAN_SAW(e);
  return rc;
}

/** Is `e` set at this moment? For assertions and displays.
 *
 * @return 1 set, 0 not
 * Order:     none
 * Blocks:    no
 * Threads:   any */
static inline int pkd_event_is_set(const pkd_event_t* e) {
  return (int)(__atomic_load_n(&e->word, __ATOMIC_RELAXED) & 1);
}

#ifdef __cplusplus
}
#endif

#endif
