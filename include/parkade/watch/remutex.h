/* SPDX-License-Identifier: MIT
 *
 * watch/remutex.h - the calls of remutex.h, told from where, for units
 * compiled with -DPKD_DEADLOCK (see deadlock.h). Each macro has the name of the
 * function it calls, which is not expanded again within it. */
#ifndef PARKADE_WATCH_REMUTEX_H
#define PARKADE_WATCH_REMUTEX_H

#include <parkade/remutex.h>

#include <parkade/deadlock.h>

#ifdef PKD_DEADLOCK

#define pkd_remutex_lock(m)                                                    \
  (pkd_remutex_lock(PKD__WANT(m, REMUTEX, PKD__WATCH_EXCLUSIVE)),              \
   (void)PKD__GOT(0))
#define pkd_remutex_trylock(m)                                                 \
  PKD__GOT(pkd_remutex_trylock(                                                \
      PKD__WANT(m, REMUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY)))
#define pkd_remutex_lock_until(m, deadline)                                    \
  PKD__GOT(pkd_remutex_lock_until(                                             \
      PKD__WANT(m, REMUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),            \
      (deadline)))
#define pkd_remutex_lock_for(m, ns)                                            \
  PKD__GOT(pkd_remutex_lock_for(                                               \
      PKD__WANT(m, REMUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (ns)))
#define pkd_remutex_lock_cancellable(m, cancel, deadline)                      \
  PKD__GOT(pkd_remutex_lock_cancellable(                                       \
      PKD__WANT(m, REMUTEX, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (cancel),  \
      (deadline)))
#define pkd_remutex_unlock(m)                                                  \
  pkd_remutex_unlock(PKD__DROP(m, PKD__WATCH_EXCLUSIVE))
#define pkd_remutex_unlock_fair(m)                                             \
  pkd_remutex_unlock_fair(PKD__DROP(m, PKD__WATCH_EXCLUSIVE))
#define pkd_remutex_bump(m)                                                    \
  (pkd_remutex_bump(PKD__LEND(m, REMUTEX, PKD__WATCH_EXCLUSIVE)),              \
   (void)PKD__GOT(0))

PKD__SEEN_SCOPE(remutex, pkd__remutex_scope_t, pkd_remutex_t,
                pkd__remutex_enter, pkd__remutex_leave)
#undef PKD_WITH_REMUTEX
#define PKD_WITH_REMUTEX(m)                                                    \
  PKD__WITH_SEEN(remutex, pkd__remutex_scope_t,                                \
                 PKD__WANT(m, REMUTEX, PKD__WATCH_EXCLUSIVE))

#endif

#endif
