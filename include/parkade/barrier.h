/* SPDX-License-Identifier: MIT
 *
 * barrier.h - pkd_barrier_t: go on together.
 *
 *   static pkd_barrier_t step = PKD_BARRIER_INIT(4);
 *   for (;;) {
 *     work();
 *     if (pkd_barrier_wait(&step) == 1)
 *       sum_up();                       one of the four, each time
 *   }
 *
 * The last of each round opens the barrier and is told so. Rounds follow one
 * another without a pause; more threads than parties simply make more rounds.
 *
 * No destroy. The memory may be freed by any thread of the last round as soon as
 * its wait has returned, while the others still return from theirs.
 *
 * In the child of a fork nobody waits, but who had arrived still counts: make it
 * anew with pkd_barrier_init(). */
#ifndef PARKADE_BARRIER_H
#define PARKADE_BARRIER_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A barrier. Zeroed = one for a single party, which never waits. */
typedef struct pkd_barrier {
  uint32_t parties; /* r/o after init; 0 means 1 */
  uint32_t arrived; /* and waiting; under the lot's lock of the address */
} pkd_barrier_t;

/** A barrier for `n` parties. */
#define PKD_BARRIER_INIT(n)                                                    \
  { (uint32_t)(n), 0 }

PKD_API int pkd__barrier_wait(pkd_barrier_t* b, const pkd_cancel_t* cancel,
                              pkd_deadline_t deadline);

/** Makes a barrier for `n` parties; 0 means 1.
 *
 * Threads:   nobody else uses `b` meanwhile
 * Blocks:    no */
static inline void pkd_barrier_init(pkd_barrier_t* b, uint32_t n) {
  b->parties = n;
  b->arrived = 0;
}

/** Waits until all parties have called this.
 *
 * @return 1 for the last to come in each round, 0 for the others
 * Blocks:    yes; not on a loop's thread
 * Threads:   any; not from signal handlers
 * Order:     all that any party did before is visible to all after
 * Memory:    allocates nothing */
static inline int pkd_barrier_wait(pkd_barrier_t* b) {
  int rc;

  PKD__TSAN_SHOWS(b);
  rc = pkd__barrier_wait(b, NULL, PKD_FOREVER);
  PKD__TSAN_SAW(b);
  return rc;
}

/** As pkd_barrier_wait(), or gives up at `deadline`.
 *
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @return 1, 0        the barrier opened, as above
 *         -ETIMEDOUT  it did not; this thread is not counted as arrived
 * Blocks:    yes, until `deadline` at most */
static inline int pkd_barrier_wait_until(pkd_barrier_t* b,
                                         pkd_deadline_t deadline) {
  int rc;

  PKD__TSAN_SHOWS(b);
  rc = pkd__barrier_wait(b, NULL, deadline);
  if (rc >= 0)
    PKD__TSAN_SAW(b);
  return rc;
}

/** As pkd_barrier_wait_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_barrier_wait_for(pkd_barrier_t* b, uint64_t ns) {
  return pkd_barrier_wait_until(b, pkd_after(ns));
}

/** As pkd_barrier_wait_until(), or gives up when `cancel` is fired.
 *
 * @param cancel  see cancel.h; NULL makes this pkd_barrier_wait_until
 * @return as pkd_barrier_wait_until(), or -ECANCELED: this thread is not counted
 *         as arrived */
static inline int pkd_barrier_wait_cancellable(pkd_barrier_t* b,
                                               const pkd_cancel_t* cancel,
                                               pkd_deadline_t deadline) {
  int rc;

  PKD__TSAN_SHOWS(b);
  rc = pkd__barrier_wait(b, cancel, deadline);
  if (rc >= 0)
    PKD__TSAN_SAW(b);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

#ifdef __cplusplus
}
#endif

#endif
