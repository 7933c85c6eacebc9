/* SPDX-License-Identifier: MIT
 *
 * cond_locks.h - what a condition needs of the locks it works with.
 *
 * A waiter's park token says which lock it waits with, and how, so a signal that
 * finds it knows what to do; the same token stands in the lock's own queue, should
 * the waiter be moved there. */
#ifndef PKD_COND_LOCKS_H
#define PKD_COND_LOCKS_H

#include <parkade/cond.h>
#include <parkade/lot.h>

#include <stdbool.h>

struct pkd__cond_lock {
  void (*unlock)(void* lock);
  /* Under both lot locks: may a waiter be moved into the lock's queue? If so the
   * holder has been told to look there. */
  bool (*bind)(void* lock);
  /* Or NULL. The same, after bind said no: takes the lock for the waiter that is
   * woken, which is told so by PKD__TOKEN_HANDOFF. */
  bool (*take)(void* lock);
  /* The same: waiters are moved behind one that is woken, and its unlock has to
   * find them. */
  void (*follow)(void* lock);
  /* Locks after a sleep that ended with this token of the lock's or the
   * condition's. @return 0, or the deadline or the cancel was first */
  int (*lock_woken)(void* lock, const pkd_cancel_t* cancel,
                    pkd_deadline_t deadline, uint64_t token);
  /* A last try of one whose time is up. @return 0 locked */
  int (*try_late)(void* lock);
  pkd_removed_cb gave_up; /* from the lock's queue */
};

/** The park token of a waiter with a lock of this kind. */
uint64_t pkd__cond_token(enum pkd__cond_kind kind);

/** What to do with the lock of a waiter that has this park token. */
const struct pkd__cond_lock* pkd__cond_lock_of(uint64_t token);

/** pkd_cond_wait_cancellable() as POSIX has it: deadline and token end the wait
 * for a signal only, and the mutex is held on return, however long that takes.
 * Once signalled, `c` is not touched any more.
 * @return 0 signalled; -ETIMEDOUT, -ECANCELED not; -EINVAL others wait at `c`
 *         with another mutex. `m` is held after each of them */
int pkd__cond_wait_and_lock(pkd_cond_t* c, pkd_mutex_t* m,
                            const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline);

#endif
