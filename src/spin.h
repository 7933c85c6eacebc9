/* SPDX-License-Identifier: MIT
 *
 * spin.h - wait a moment before sleeping, where that can help.
 *
 * Rounds of doubling length, bounded in time and not in iterations: a pause
 * instruction costs 10 cycles on one processor and 140 on the next, so its cost
 * is measured once. On a single processor nobody spins. Nobody ever yields: a
 * yield to a thread of lower priority does not run it. */
#ifndef PKD_SPIN_H
#define PKD_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/** One wait's account of its spinning. */
typedef struct pkd__spin {
  uint32_t pauses; /* so far */
  uint32_t round;  /* length of the next round, in pauses */
} pkd__spin_t;

#define PKD__SPIN_INIT                                                         \
  { 0, 0 }

/** Pauses a little, longer each time.
 * @return false, without a pause, when the time is spent or spinning is vain */
bool pkd__spin(pkd__spin_t* spin);

#endif
