/* SPDX-License-Identifier: MIT
 *
 * watch/cond.h - the calls of cond.h, told from where, for units
 * compiled with -DPKD_DEADLOCK (see deadlock.h). Each macro has the name of the
 * function it calls, which is not expanded again within it. */
#ifndef PARKADE_WATCH_COND_H
#define PARKADE_WATCH_COND_H

#include <parkade/cond.h>

#include <parkade/deadlock.h>

#ifdef PKD_DEADLOCK

/* The lock is given up and wanted again: in a row with what else is held. */
#define pkd_cond_wait(c, m)                                                    \
  PKD__GOT_AGAIN(pkd_cond_wait((c), PKD__LEND(m, MUTEX, PKD__WATCH_EXCLUSIVE)))
#define pkd_cond_wait_until(c, m, deadline)                                    \
  PKD__GOT_AGAIN(pkd_cond_wait_until(                                          \
      (c), PKD__LEND(m, MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),         \
      (deadline)))
#define pkd_cond_wait_for(c, m, ns)                                            \
  PKD__GOT_AGAIN(pkd_cond_wait_for(                                            \
      (c), PKD__LEND(m, MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (ns)))
#define pkd_cond_wait_cancellable(c, m, cancel, deadline)                      \
  PKD__GOT_AGAIN(pkd_cond_wait_cancellable(                                    \
      (c), PKD__LEND(m, MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),         \
      (cancel), (deadline)))
#define pkd_cond_wait_fair(c, m)                                               \
  PKD__GOT_AGAIN(                                                              \
      pkd_cond_wait_fair((c), PKD__LEND(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE)))
#define pkd_cond_wait_fair_until(c, m, deadline)                               \
  PKD__GOT_AGAIN(pkd_cond_wait_fair_until(                                     \
      (c), PKD__LEND(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),    \
      (deadline)))
#define pkd_cond_wait_fair_for(c, m, ns)                                       \
  PKD__GOT_AGAIN(pkd_cond_wait_fair_for(                                       \
      (c), PKD__LEND(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),    \
      (ns)))
#define pkd_cond_wait_fair_cancellable(c, m, cancel, deadline)                 \
  PKD__GOT_AGAIN(pkd_cond_wait_fair_cancellable(                               \
      (c), PKD__LEND(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),    \
      (cancel), (deadline)))
#define pkd_cond_wait_wrlock(c, m)                                             \
  PKD__GOT_AGAIN(                                                              \
      pkd_cond_wait_wrlock((c), PKD__LEND(m, RWLOCK, PKD__WATCH_EXCLUSIVE)))
#define pkd_cond_wait_wrlock_until(c, m, deadline)                             \
  PKD__GOT_AGAIN(pkd_cond_wait_wrlock_until(                                   \
      (c), PKD__LEND(m, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),        \
      (deadline)))
#define pkd_cond_wait_wrlock_for(c, m, ns)                                     \
  PKD__GOT_AGAIN(pkd_cond_wait_wrlock_for(                                     \
      (c), PKD__LEND(m, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (ns)))
#define pkd_cond_wait_wrlock_cancellable(c, m, cancel, deadline)               \
  PKD__GOT_AGAIN(pkd_cond_wait_wrlock_cancellable(                             \
      (c), PKD__LEND(m, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),        \
      (cancel), (deadline)))
#define pkd_cond_wait_rdlock(c, m)                                             \
  PKD__GOT_AGAIN(                                                              \
      pkd_cond_wait_rdlock((c), PKD__LEND(m, RWLOCK, PKD__WATCH_SHARED)))
#define pkd_cond_wait_rdlock_until(c, m, deadline)                             \
  PKD__GOT_AGAIN(pkd_cond_wait_rdlock_until(                                   \
      (c), PKD__LEND(m, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY),           \
      (deadline)))
#define pkd_cond_wait_rdlock_for(c, m, ns)                                     \
  PKD__GOT_AGAIN(pkd_cond_wait_rdlock_for(                                     \
      (c), PKD__LEND(m, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY), (ns)))
#define pkd_cond_wait_rdlock_cancellable(c, m, cancel, deadline)               \
  PKD__GOT_AGAIN(pkd_cond_wait_rdlock_cancellable(                             \
      (c), PKD__LEND(m, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY), (cancel), \
      (deadline)))

#endif

#endif
