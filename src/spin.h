/* SPDX-License-Identifier: MIT
 *
 * spin.h - wait a moment before sleeping, where that can help.
 *
 * Rounds, each three times as long as the one before: who looks often sees soon
 * that the lock is free, who looks seldom leaves its owner the cache line. All of
 * them together take no longer than a sleep would. That is a time, and not a number
 * of iterations: a pause instruction costs 10 cycles on one processor and 140 on
 * the next, a call of the system 0.1 us on one machine and 1 us on the next, so
 * both are measured once. On a single processor nobody spins. Nobody ever yields: a
 * yield to a thread of lower priority does not run it. */
#ifndef PKD_SPIN_H
#define PKD_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/** One wait's account of its spinning. */
typedef struct pkd__spin {
  uint32_t pauses; /* so far */
  uint32_t round;  /* length of the last round, in pauses */
} pkd__spin_t;

#define PKD__SPIN_INIT                                                         \
  { 0, 0 }

/** Pauses a little, longer each time.
 * @return false, without a pause, when the time is spent or spinning is vain */
bool pkd__spin(pkd__spin_t* spin);

#endif
