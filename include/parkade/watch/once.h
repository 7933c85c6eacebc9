/* SPDX-License-Identifier: MIT
 *
 * watch/once.h - the calls of once.h, told from where, for units
 * compiled with -DPKD_DEADLOCK (see deadlock.h). Each macro has the name of the
 * function it calls, which is not expanded again within it. */
#ifndef PARKADE_WATCH_ONCE_H
#define PARKADE_WATCH_ONCE_H

#include <parkade/once.h>

#include <parkade/deadlock.h>

#ifdef PKD_DEADLOCK

/* That the initializer runs is seen in the library; here, from where. */
#define pkd_once_call(once, init)                                              \
  pkd_once_call(PKD__WANT(once, ONCE, PKD__WATCH_EXCLUSIVE), (init))
#define pkd_once_try(once, init, arg)                                          \
  pkd_once_try(PKD__WANT(once, ONCE, PKD__WATCH_EXCLUSIVE), (init), (arg))
#define pkd_once_try_cancellable(once, init, arg, cancel, deadline)            \
  pkd_once_try_cancellable(PKD__WANT(once, ONCE, PKD__WATCH_EXCLUSIVE),        \
                           (init), (arg), (cancel), (deadline))

#endif

#endif
