/* SPDX-License-Identifier: MIT
 *
 * watch/fair_mutex.h - the calls of fair_mutex.h, told from where, for units
 * compiled with -DPKD_DEADLOCK (see deadlock.h). Each macro has the name of the
 * function it calls, which is not expanded again within it. */
#ifndef PARKADE_WATCH_FAIR_MUTEX_H
#define PARKADE_WATCH_FAIR_MUTEX_H

#include <parkade/fair_mutex.h>

#include <parkade/deadlock.h>

#ifdef PKD_DEADLOCK

#define pkd_fair_mutex_lock(m)                                                 \
  (pkd_fair_mutex_lock(PKD__WANT(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE)),        \
   (void)PKD__GOT(0))
#define pkd_fair_mutex_trylock(m)                                              \
  PKD__GOT(pkd_fair_mutex_trylock(                                             \
      PKD__WANT(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY)))
#define pkd_fair_mutex_lock_until(m, deadline)                                 \
  PKD__GOT(pkd_fair_mutex_lock_until(                                          \
      PKD__WANT(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),         \
      (deadline)))
#define pkd_fair_mutex_lock_for(m, ns)                                         \
  PKD__GOT(pkd_fair_mutex_lock_for(                                            \
      PKD__WANT(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (ns)))
#define pkd_fair_mutex_lock_cancellable(m, cancel, deadline)                   \
  PKD__GOT(pkd_fair_mutex_lock_cancellable(                                    \
      PKD__WANT(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),         \
      (cancel), (deadline)))
#define pkd_fair_mutex_unlock(m)                                               \
  pkd_fair_mutex_unlock(PKD__DROP(m, PKD__WATCH_EXCLUSIVE))
#define pkd_fair_mutex_unlock_fair(m)                                          \
  pkd_fair_mutex_unlock_fair(PKD__DROP(m, PKD__WATCH_EXCLUSIVE))
#define pkd_fair_mutex_bump(m)                                                 \
  (pkd_fair_mutex_bump(PKD__LEND(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE)),        \
   (void)PKD__GOT(0))

PKD__SEEN_SCOPE(fair_mutex, pkd__fair_mutex_scope_t, pkd_fair_mutex_t,
                pkd__fair_mutex_enter, pkd__fair_mutex_leave)
#undef PKD_WITH_FAIR_MUTEX
#define PKD_WITH_FAIR_MUTEX(m)                                                 \
  PKD__WITH_SEEN(fair_mutex, pkd__fair_mutex_scope_t,                          \
                 PKD__WANT(m, FAIR_MUTEX, PKD__WATCH_EXCLUSIVE))

#endif

#endif
