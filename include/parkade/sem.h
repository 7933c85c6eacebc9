/* SPDX-License-Identifier: MIT
 *
 * sem.h - pkd_sem_t: a number of permits, taken and given back.
 *
 *   static pkd_sem_t slots = PKD_SEM_INIT(8);
 *   pkd_sem_acquire(&slots, 3);     waits until three can be had at once
 *   pkd_sem_release(&slots, 3);
 *
 * First come, first served, whatever is asked for: a request for many is not
 * passed by small ones that come after it, and takes no permits before all it
 * asked for are there. Permits belong to nobody: any thread may release.
 *
 * No destroy. The memory may be freed by whoever acquired the last permit it
 * waited for, even while the release that gave it still returns.
 *
 * Not for signal handlers: waking takes a short lock that the interrupted thread
 * may hold. A handler writes to a pipe, or calls uv_async_send().
 *
 * In the child of a fork nobody waits; the number of permits is what it was. */
#ifndef PARKADE_SEM_H
#define PARKADE_SEM_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A semaphore. Zeroed = no permits; the word is the library's alone. */
typedef struct pkd_sem {
  uint32_t word; /* atomic; src/word/sem.h */
} pkd_sem_t;

/** How many permits a semaphore can count. */
#define PKD_SEM_MAX (UINT32_MAX / 2)

/** A semaphore with `n` permits, a constant of 0 .. PKD_SEM_MAX; see
 * pkd_sem_init() for what is known later. */
#define PKD_SEM_INIT(n)                                                        \
  { (uint32_t)(n) * 2 }

/** Makes a semaphore with `n` permits.
 *
 * @param n  0 .. PKD_SEM_MAX
 * @return 0, or -EINVAL: n is above PKD_SEM_MAX; nothing changed
 * Threads:   nobody else uses `s` meanwhile
 * Blocks:    no */
static inline int pkd_sem_init(pkd_sem_t* s, uint32_t n) {
  if (n > PKD_SEM_MAX)
    return -EINVAL;
  s->word = n * 2;
  return 0;
}

/* Out of line. Use the functions below. */
PKD_API int pkd__sem_acquire(pkd_sem_t* s, uint32_t n,
                             const pkd_cancel_t* cancel,
                             pkd_deadline_t deadline);
PKD_API int pkd__sem_tryacquire(pkd_sem_t* s, uint32_t n);
PKD_API int pkd__sem_release(pkd_sem_t* s, uint32_t n);

/* Takes `n` permits, if they are there and nobody waits. */
static inline int pkd__sem_acquire_fast(pkd_sem_t* s, uint32_t n) {
  uint32_t old = __atomic_load_n(&s->word, __ATOMIC_RELAXED);

  /* n - 1: 0 is too many. (S1) acquire, pairs with (S2) and (S3): what the
   * releasers did before is visible. */
  return n - 1 < old / 2 && (old & 1) == 0 &&
         __atomic_compare_exchange_n(&s->word, &old, old - 2 * n, 0,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Gives `n` permits, if they can be counted and nobody waits. */
static inline int pkd__sem_release_fast(pkd_sem_t* s, uint32_t n) {
  uint32_t old = __atomic_load_n(&s->word, __ATOMIC_RELAXED);

  /* (S2) release, pairs with (S1) and (S3). */
  return n - 1 < PKD_SEM_MAX - old / 2 && (old & 1) == 0 &&
         __atomic_compare_exchange_n(&s->word, &old, old + 2 * n, 0,
                                     __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/** Takes `n` permits; waits until they can be had.
 *
 * @param n  1 .. PKD_SEM_MAX; more than will ever be there waits for ever
 * @return 0        taken
 *         -EINVAL  n is 0 or above PKD_SEM_MAX; nothing changed
 * Blocks:    yes; not on a loop's thread
 * Threads:   any; not from signal handlers
 * Order:     acquire; pairs with the releases that made up the permits
 * Memory:    allocates nothing; `s` stays in place while anyone waits
 * Fairness:  strict: in the order of arrival */
static inline int pkd_sem_acquire(pkd_sem_t* s, uint32_t n) {
  int rc = pkd__sem_acquire_fast(s, n)
               ? 0
               : pkd__sem_acquire(s, n, NULL, PKD_FOREVER);

  if (rc == 0)
    PKD__TSAN_SAW(s);
  return rc;
}

/** Takes `n` permits if they can be had now and nobody waits.
 *
 * @param n  1 .. PKD_SEM_MAX
 * @return 0 taken; -EBUSY too few, or others came first; -EINVAL as above
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     acquire on success */
static inline int pkd_sem_tryacquire(pkd_sem_t* s, uint32_t n) {
  int rc = pkd__sem_acquire_fast(s, n) ? 0 : pkd__sem_tryacquire(s, n);

  if (rc == 0)
    PKD__TSAN_SAW(s);
  return rc;
}

/** Takes `n` permits, or gives up at `deadline`.
 *
 * @param n         1 .. PKD_SEM_MAX
 * @param deadline  absolute, nanoseconds of pkd_now(); a past one makes this a
 *                  tryacquire, PKD_FOREVER never comes
 * @return 0           taken
 *         -ETIMEDOUT  none taken; whoever stood behind is served, if it can be
 *         -EINVAL     n is 0 or above PKD_SEM_MAX; nothing changed
 * Blocks:    yes, until `deadline` at most; otherwise as pkd_sem_acquire() */
static inline int pkd_sem_acquire_until(pkd_sem_t* s, uint32_t n,
                                        pkd_deadline_t deadline) {
  int rc =
      pkd__sem_acquire_fast(s, n) ? 0 : pkd__sem_acquire(s, n, NULL, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(s);
  return rc;
}

/** As pkd_sem_acquire_until() with a span: gives up `ns` nanoseconds from now. A
 * span too long for the clock never ends. */
static inline int pkd_sem_acquire_for(pkd_sem_t* s, uint32_t n, uint64_t ns) {
  return pkd_sem_acquire_until(s, n, pkd_after(ns));
}

/** As pkd_sem_acquire_until(), or gives up when `cancel` is fired.
 *
 * @param cancel  see cancel.h; NULL makes this pkd_sem_acquire_until()
 * @return as pkd_sem_acquire_until(), or -ECANCELED: none taken */
static inline int pkd_sem_acquire_cancellable(pkd_sem_t* s, uint32_t n,
                                              const pkd_cancel_t* cancel,
                                              pkd_deadline_t deadline) {
  int rc = pkd__sem_acquire(s, n, cancel, deadline);

  if (rc == 0)
    PKD__TSAN_SAW(s);
  PKD__TSAN_CANCELLED(rc, cancel);
  return rc;
}

/** Gives `n` permits, and wakes those whom they serve.
 *
 * @param n  1 .. PKD_SEM_MAX; need not have been acquired
 * @return 0           given
 *         -EINVAL     n is 0 or above PKD_SEM_MAX; nothing changed
 *         -EOVERFLOW  there would be more than PKD_SEM_MAX; nothing changed
 * Blocks:    no
 * Threads:   any; not from signal handlers
 * Order:     release; pairs with the acquires it serves */
static inline int pkd_sem_release(pkd_sem_t* s, uint32_t n) {
  PKD__TSAN_SHOWS(s);
  return PKD__TSAN_INLINE(pkd__sem_release_fast(s, n)) ? 0
                                                       : pkd__sem_release(s, n);
}

/** How many permits are to be had at this moment: for displays.
 *
 * @return 0 .. PKD_SEM_MAX
 * Order:     none
 * Blocks:    no
 * Threads:   any */
static inline uint32_t pkd_sem_value(const pkd_sem_t* s) {
  return __atomic_load_n(&s->word, __ATOMIC_RELAXED) / 2;
}

#ifdef PKD_DEADLOCK
#include <parkade/watch/sem.h>
#endif

#ifdef __cplusplus
}
#endif

#endif
