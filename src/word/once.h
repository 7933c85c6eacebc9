/* SPDX-License-Identifier: MIT
 *
 * once.h - the byte of pkd_once_t: its picture and its moves.
 *
 *    7           3   2   1   0
 *  +--------------+---+---+---+
 *  |     zero     | D | P | R |      all zero = new, so zeroed memory is one
 *  +--------------+---+---+---+
 *   R RUNNING  one thread is in the initializer. Never wrong.
 *   P PARKED   someone is queued at this address. Set and cleared only under the
 *              lot's lock of the address: never wrong, but in the child of a
 *              fork, where nobody is queued.
 *   D DONE     the initializer has succeeded. Never wrong, never cleared.
 *
 *   D P R   means                   leaves by
 *   0 0 0   new                     call -> 001
 *   0 0 1   running, nobody waits   success -> 100 ; failure -> 000 ;
 *                                   a waiter, as it is queued -> 011
 *   0 1 1   running, queue          under the lot's lock: success -> 100, all are
 *                                   woken ; failure -> 010 or 000, one is woken ;
 *                                   last waiter gives up -> 001
 *   0 1 0   failed, queue, one on   call -> 011 ; last waiter gives up -> 000
 *           its way
 *   1 0 0   done                    stays
 *   tests/unit/test_word_once.c walks these rows. */
#ifndef PKD_WORD_ONCE_H
#define PKD_WORD_ONCE_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__ONCE_RUNNING = 1, PKD__ONCE_PARKED = 2, PKD__ONCE_DONE = 4 };

static inline bool pkd__once_is_done(uint8_t word) {
  return (word & PKD__ONCE_DONE) != 0;
}

static inline bool pkd__once_is_running(uint8_t word) {
  return (word & PKD__ONCE_RUNNING) != 0;
}

/** The caller runs the initializer of one that is neither done nor running. */
static inline uint8_t pkd__once_started(uint8_t word) {
  return (uint8_t)(word | PKD__ONCE_RUNNING);
}

/** Running, and somebody is queued now. */
static inline uint8_t pkd__once_waited(uint8_t word) {
  return (uint8_t)(word | PKD__ONCE_PARKED);
}

static inline bool pkd__once_is_waited(uint8_t word) {
  return (word & PKD__ONCE_PARKED) != 0;
}

/** The initializer has ended; `more` are still queued. */
static inline uint8_t pkd__once_ended(bool success, bool more) {
  return (uint8_t)((success ? PKD__ONCE_DONE : 0) |
                   (more ? PKD__ONCE_PARKED : 0));
}

/** The queue is empty now. */
static inline uint8_t pkd__once_unwaited(uint8_t word) {
  return (uint8_t)(word & ~PKD__ONCE_PARKED);
}

#endif
