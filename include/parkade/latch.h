/* SPDX-License-Identifier: MIT
 *
 * latch.h - pkd_latch_t: wait until a number of things are done.
 *
 *   pkd_latch_t done = PKD_LATCH_INIT(3);
 *   pkd_latch_count_down(&done, 1);    in each of three workers
 *   pkd_latch_wait(&done);             in whoever needs all three
 *
 * It opens when the count is zero and stays open. No destroy: who has waited
 * may free the memory if nobody else waits, even while the count_down that
 * opened it still returns.
 *
 * In the child of a fork nobody waits; the count is what it was. */
#ifndef PARKADE_LATCH_H
#define PARKADE_LATCH_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A latch. Zeroed = open; the word is the library's alone. */
typedef struct pkd_latch {
  uint32_t word; /* atomic; bit 0 somebody waits, above it the count */
} pkd_latch_t;

/** How many things a latch can count. */
#define PKD_LATCH_MAX (UINT32_MAX / 2)

/** A latch that opens after `n` counts, a constant of 0 .. PKD_LATCH_MAX; see
 * pkd_latch_init() for what is known later. */
#define PKD_LATCH_INIT(n)                                                      \
  { (uint32_t)(n) * 2 }

/** Makes a latch that opens after `n` counts.
 *
 * @param n  0 .. PKD_LATCH_MAX; 0: it is open
 * @return 0, or -EINVAL: n is above PKD_LATCH_MAX; nothing changed
 * Threads:   nobody else uses `l` meanwhile
 * Blocks:    no */
static inline int pkd_latch_init(pkd_latch_t* l, uint32_t n) {
  if (n > PKD_LATCH_MAX)
    return -EINVAL;
  l->word = n * 2;
  return 0;
}

/* Out of line. Use the functions below. */
PKD_API void pkd__latch_count_down(pkd_latch_t* l, uint32_t n);
PKD_API int pkd__latch_wait(pkd_latch_t* l, const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline);

/** Counts `n` things as done; opens the latch when all are.
 *
 * @param n  not more than are left: that stops the program; 0 does nothing
 * Blocks:    no
 * Threads:   any; not from signal handlers (waking takes a short lock)
 * Order:     release; pairs with the waits it ends */
static inline void pkd_latch_count_down(pkd_latch_t* l, uint32_t n) {
  PKD__TSAN_SHOWS(l);
  pkd__latch_count_down(l, n);
}

/** Waits until `l` is open.
 *
 * Blocks:    yes; not on a loop's thread
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with every count_down
 * Memory:    allocates nothing */
static inline void pkd_latch_wait(pkd_latch_t* l) {
  pkd__latch_wait(l, NULL, PKD_FOREVER);
  PKD__TSAN_SAW(l);
}

/** As pkd_latch_wait(), or gives up at `deadline`.
 *
 * @param deadline  absolute, nanoseconds of pkd_now(); PKD_FOREVER never comes
 * @return 0 it is open; -ETIMEDOUT it was not by then
 * Blocks:    yes, until `deadline` at most */
static inline int pkd_latch_wait_until(pkd_latch_t* l,
                                       pkd_deadline_t deadline) {
  int rc = pkd__latch_wait(l, NULL, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(l);
  return rc;
}

/** As pkd_latch_wait_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_latch_wait_for(pkd_latch_t* l, uint64_t ns) {
  return pkd_latch_wait_until(l, pkd_after(ns));
}

/** As pkd_latch_wait_until(), or gives up when `cancel` is fired.
 *
 * @param cancel  see cancel.h; NULL makes this pkd_latch_wait_until
 * @return as pkd_latch_wait_until(), or -ECANCELED: it was not open before */
static inline int pkd_latch_wait_cancellable(pkd_latch_t* l,
                                             const pkd_cancel_t* cancel,
                                             pkd_deadline_t deadline) {
  int rc = pkd__latch_wait(l, cancel, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(l);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** Is `l` open?
 *
 * @return 0 it is; -EBUSY it is not
 * Blocks:    no
 * Threads:   any
 * Order:     acquire on success; pairs with every count_down */
static inline int pkd_latch_trywait(pkd_latch_t* l) {
  /* (L1), see sync/latch.c */
  int open = __atomic_load_n(&l->word, __ATOMIC_ACQUIRE) < 2;

  if (open)
    PKD__TSAN_SAW(l);
  return open ? 0 : -EBUSY;
}

/** Counts one thing as done and waits for the others: pkd_latch_count_down(), then
 * pkd_latch_wait(). */
static inline void pkd_latch_arrive_and_wait(pkd_latch_t* l) {
  pkd_latch_count_down(l, 1);
  pkd_latch_wait(l);
}

/** How many are left at this moment: for displays.
 *
 * Order:     none
 * Blocks:    no
 * Threads:   any */
static inline uint32_t pkd_latch_count(const pkd_latch_t* l) {
  return __atomic_load_n(&l->word, __ATOMIC_RELAXED) / 2;
}

#ifdef __cplusplus
}
#endif

#endif
