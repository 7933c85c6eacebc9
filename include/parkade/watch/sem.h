/* SPDX-License-Identifier: MIT
 *
 * watch/sem.h - the calls of sem.h, told from where, for units
 * compiled with -DPKD_DEADLOCK (see deadlock.h). Each macro has the name of the
 * function it calls, which is not expanded again within it. */
#ifndef PARKADE_WATCH_SEM_H
#define PARKADE_WATCH_SEM_H

#include <parkade/sem.h>

#include <parkade/deadlock.h>

#ifdef PKD_DEADLOCK

#define pkd_sem_acquire(s, n)                                                  \
  PKD__GOT(pkd_sem_acquire(PKD__WANT(s, SEM, PKD__WATCH_EXCLUSIVE), (n)))
#define pkd_sem_tryacquire(s, n)                                               \
  PKD__GOT(pkd_sem_tryacquire(                                                 \
      PKD__WANT(s, SEM, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (n)))
#define pkd_sem_acquire_until(s, n, deadline)                                  \
  PKD__GOT(pkd_sem_acquire_until(                                              \
      PKD__WANT(s, SEM, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (n),           \
      (deadline)))
#define pkd_sem_acquire_for(s, n, ns)                                          \
  PKD__GOT(pkd_sem_acquire_for(                                                \
      PKD__WANT(s, SEM, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (n), (ns)))
#define pkd_sem_acquire_cancellable(s, n, cancel, deadline)                    \
  PKD__GOT(pkd_sem_acquire_cancellable(                                        \
      PKD__WANT(s, SEM, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (n), (cancel), \
      (deadline)))
#define pkd_sem_release(s, n) pkd_sem_release(PKD__DROP(s, PKD__WATCH_TRY), (n))

#endif

#endif
