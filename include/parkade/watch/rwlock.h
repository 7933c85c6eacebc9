/* SPDX-License-Identifier: MIT
 *
 * watch/rwlock.h - the calls of rwlock.h, told from where, for units
 * compiled with -DPKD_DEADLOCK (see deadlock.h). Each macro has the name of the
 * function it calls, which is not expanded again within it. */
#ifndef PARKADE_WATCH_RWLOCK_H
#define PARKADE_WATCH_RWLOCK_H

#include <parkade/rwlock.h>

#include <parkade/deadlock.h>

#ifdef PKD_DEADLOCK

#define pkd_rwlock_rdlock(l)                                                   \
  (pkd_rwlock_rdlock(PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED)),                 \
   (void)PKD__GOT(0))
#define pkd_rwlock_tryrdlock(l)                                                \
  PKD__GOT(pkd_rwlock_tryrdlock(                                               \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY)))
#define pkd_rwlock_rdlock_until(l, deadline)                                   \
  PKD__GOT(pkd_rwlock_rdlock_until(                                            \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY), (deadline)))
#define pkd_rwlock_rdlock_for(l, ns)                                           \
  PKD__GOT(pkd_rwlock_rdlock_for(                                              \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY), (ns)))
#define pkd_rwlock_rdlock_cancellable(l, cancel, deadline)                     \
  PKD__GOT(pkd_rwlock_rdlock_cancellable(                                      \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED | PKD__WATCH_TRY), (cancel),      \
      (deadline)))
#define pkd_rwlock_rdlock_recursive(l)                                         \
  (pkd_rwlock_rdlock_recursive(PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED_AGAIN)), \
   (void)PKD__GOT(0))
#define pkd_rwlock_tryrdlock_recursive(l)                                      \
  PKD__GOT(pkd_rwlock_tryrdlock_recursive(                                     \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED_AGAIN | PKD__WATCH_TRY)))
#define pkd_rwlock_rdlock_recursive_until(l, deadline)                         \
  PKD__GOT(pkd_rwlock_rdlock_recursive_until(                                  \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED_AGAIN | PKD__WATCH_TRY),          \
      (deadline)))
#define pkd_rwlock_rdlock_recursive_for(l, ns)                                 \
  PKD__GOT(pkd_rwlock_rdlock_recursive_for(                                    \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED_AGAIN | PKD__WATCH_TRY), (ns)))
#define pkd_rwlock_rdlock_recursive_cancellable(l, cancel, deadline)           \
  PKD__GOT(pkd_rwlock_rdlock_recursive_cancellable(                            \
      PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED_AGAIN | PKD__WATCH_TRY),          \
      (cancel), (deadline)))
#define pkd_rwlock_wrlock(l)                                                   \
  (pkd_rwlock_wrlock(PKD__WANT(l, RWLOCK, PKD__WATCH_EXCLUSIVE)),              \
   (void)PKD__GOT(0))
#define pkd_rwlock_trywrlock(l)                                                \
  PKD__GOT(pkd_rwlock_trywrlock(                                               \
      PKD__WANT(l, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY)))
#define pkd_rwlock_wrlock_until(l, deadline)                                   \
  PKD__GOT(pkd_rwlock_wrlock_until(                                            \
      PKD__WANT(l, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY),             \
      (deadline)))
#define pkd_rwlock_wrlock_for(l, ns)                                           \
  PKD__GOT(pkd_rwlock_wrlock_for(                                              \
      PKD__WANT(l, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (ns)))
#define pkd_rwlock_wrlock_cancellable(l, cancel, deadline)                     \
  PKD__GOT(pkd_rwlock_wrlock_cancellable(                                      \
      PKD__WANT(l, RWLOCK, PKD__WATCH_EXCLUSIVE | PKD__WATCH_TRY), (cancel),   \
      (deadline)))
#define pkd_rwlock_uplock(l)                                                   \
  (pkd_rwlock_uplock(PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADABLE)),             \
   (void)PKD__GOT(0))
#define pkd_rwlock_tryuplock(l)                                                \
  PKD__GOT(pkd_rwlock_tryuplock(                                               \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADABLE | PKD__WATCH_TRY)))
#define pkd_rwlock_uplock_until(l, deadline)                                   \
  PKD__GOT(pkd_rwlock_uplock_until(                                            \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADABLE | PKD__WATCH_TRY),            \
      (deadline)))
#define pkd_rwlock_uplock_for(l, ns)                                           \
  PKD__GOT(pkd_rwlock_uplock_for(                                              \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADABLE | PKD__WATCH_TRY), (ns)))
#define pkd_rwlock_uplock_cancellable(l, cancel, deadline)                     \
  PKD__GOT(pkd_rwlock_uplock_cancellable(                                      \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADABLE | PKD__WATCH_TRY), (cancel),  \
      (deadline)))
#define pkd_rwlock_rdunlock(l)                                                 \
  pkd_rwlock_rdunlock(PKD__DROP(l, PKD__WATCH_SHARED))
#define pkd_rwlock_rdunlock_fair(l)                                            \
  pkd_rwlock_rdunlock_fair(PKD__DROP(l, PKD__WATCH_SHARED))
#define pkd_rwlock_wrunlock(l)                                                 \
  pkd_rwlock_wrunlock(PKD__DROP(l, PKD__WATCH_EXCLUSIVE))
#define pkd_rwlock_wrunlock_fair(l)                                            \
  pkd_rwlock_wrunlock_fair(PKD__DROP(l, PKD__WATCH_EXCLUSIVE))
#define pkd_rwlock_upunlock(l)                                                 \
  pkd_rwlock_upunlock(PKD__DROP(l, PKD__WATCH_UPGRADABLE))
#define pkd_rwlock_upunlock_fair(l)                                            \
  pkd_rwlock_upunlock_fair(PKD__DROP(l, PKD__WATCH_UPGRADABLE))
#define pkd_rwlock_rdbump(l)                                                   \
  (pkd_rwlock_rdbump(PKD__LEND(l, RWLOCK, PKD__WATCH_SHARED)),                 \
   (void)PKD__GOT(0))
#define pkd_rwlock_wrbump(l)                                                   \
  (pkd_rwlock_wrbump(PKD__LEND(l, RWLOCK, PKD__WATCH_EXCLUSIVE)),              \
   (void)PKD__GOT(0))
#define pkd_rwlock_upbump(l)                                                   \
  (pkd_rwlock_upbump(PKD__LEND(l, RWLOCK, PKD__WATCH_UPGRADABLE)),             \
   (void)PKD__GOT(0))

/* An upgrade keeps what it had while it waits, and turns it when it succeeds; a
 * downgrade turns it before others come in. */
#define pkd_rwlock_upgrade(l)                                                  \
  (pkd_rwlock_upgrade(PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE)),               \
   (void)PKD__TURNED(0))
#define pkd_rwlock_tryupgrade(l)                                               \
  PKD__TURNED(pkd_rwlock_tryupgrade(                                           \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY)))
#define pkd_rwlock_upgrade_until(l, deadline)                                  \
  PKD__TURNED(pkd_rwlock_upgrade_until(                                        \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY), (deadline)))
#define pkd_rwlock_upgrade_for(l, ns)                                          \
  PKD__TURNED(pkd_rwlock_upgrade_for(                                          \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY), (ns)))
#define pkd_rwlock_upgrade_cancellable(l, cancel, deadline)                    \
  PKD__TURNED(pkd_rwlock_upgrade_cancellable(                                  \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY), (cancel),     \
      (deadline)))
#define pkd_rwlock_rdupgrade_until(l, deadline)                                \
  PKD__TURNED(pkd_rwlock_rdupgrade_until(                                      \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY), (deadline)))
#define pkd_rwlock_rdupgrade_for(l, ns)                                        \
  PKD__TURNED(pkd_rwlock_rdupgrade_for(                                        \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY), (ns)))
#define pkd_rwlock_rdupgrade_cancellable(l, cancel, deadline)                  \
  PKD__TURNED(pkd_rwlock_rdupgrade_cancellable(                                \
      PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE | PKD__WATCH_TRY), (cancel),     \
      (deadline)))
#define pkd_rwlock_rdupgrade(l)                                                \
  PKD__TURNED(pkd_rwlock_rdupgrade(PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADE)))
#define pkd_rwlock_downgrade(l)                                                \
  pkd_rwlock_downgrade(PKD__TURN(l, PKD__WATCH_EXCLUSIVE, PKD__WATCH_SHARED))
#define pkd_rwlock_downgrade_to_up(l)                                          \
  pkd_rwlock_downgrade_to_up(                                                  \
      PKD__TURN(l, PKD__WATCH_EXCLUSIVE, PKD__WATCH_UPGRADABLE))
#define pkd_rwlock_updowngrade(l)                                              \
  pkd_rwlock_updowngrade(PKD__TURN(l, PKD__WATCH_UPGRADABLE, PKD__WATCH_SHARED))

PKD__SEEN_SCOPE(rwlock_rd, pkd__rwlock_scope_t, pkd_rwlock_t,
                pkd__rwlock_rdenter, pkd__rwlock_rdleave)
PKD__SEEN_SCOPE(rwlock_wr, pkd__rwlock_scope_t, pkd_rwlock_t,
                pkd__rwlock_wrenter, pkd__rwlock_wrleave)
PKD__SEEN_SCOPE(rwlock_up, pkd__rwlock_scope_t, pkd_rwlock_t,
                pkd__rwlock_upenter, pkd__rwlock_upleave)
#undef PKD_WITH_RDLOCK
#define PKD_WITH_RDLOCK(l)                                                     \
  PKD__WITH_SEEN(rwlock_rd, pkd__rwlock_scope_t,                               \
                 PKD__WANT(l, RWLOCK, PKD__WATCH_SHARED))
#undef PKD_WITH_WRLOCK
#define PKD_WITH_WRLOCK(l)                                                     \
  PKD__WITH_SEEN(rwlock_wr, pkd__rwlock_scope_t,                               \
                 PKD__WANT(l, RWLOCK, PKD__WATCH_EXCLUSIVE))
#undef PKD_WITH_UPLOCK
#define PKD_WITH_UPLOCK(l)                                                     \
  PKD__WITH_SEEN(rwlock_up, pkd__rwlock_scope_t,                               \
                 PKD__WANT(l, RWLOCK, PKD__WATCH_UPGRADABLE))

#endif

#endif
