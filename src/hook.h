/* SPDX-License-Identifier: MIT
 *
 * hook.h - where an observer above the lot can watch threads fall asleep.
 *
 * The lot and the locks call down this table if somebody has put one in, and
 * know nothing else of who watches. Without one it is a load and a branch that is
 * never taken, and only where a thread is about to sleep anyway. */
#ifndef PKD_HOOK_H
#define PKD_HOOK_H

#include <parkade/lot.h>

#include "atomic.h"

struct pkd__hooks {
  /* The calling thread is queued as `waiter`, nothing is locked, it is going to
   * sleep until `deadline` at most. */
  void (*sleeps)(const pkd_waiter_t* waiter, pkd_deadline_t deadline);
  /* It has left the queue; the waiter is still in place. */
  void (*awake)(void);
  /* It runs the initializer of `once`; and it has done so. */
  void (*once_runs)(const void* once);
  void (*once_ends)(const void* once);
  /* This is the child of a fork, and has no other thread yet. */
  void (*forked)(void);
};

extern const struct pkd__hooks* pkd__hooks; /* atomic; NULL: nobody watches */

static inline const struct pkd__hooks* pkd__hooked(void) {
  /* (H1) acquire, pairs with (H2) in sync/deadlock.c: a table is complete. */
  return pkd__load_acquire(&pkd__hooks);
}

#endif
