/* SPDX-License-Identifier: MIT
 *
 * fair_mutex.h - the byte of pkd_fair_mutex_t: its picture and its moves.
 *
 *    7               2   1   0
 *  +------------------+---+---+
 *  |       zero       | P | L |       all zero = free, so zeroed memory is one
 *  +------------------+---+---+
 *   L LOCKED   someone holds it, or it was handed to someone who is still on the
 *              way. Never wrong.
 *   P PARKED   someone is queued at this address. Set and cleared only under the
 *              lot's lock of the address, with the queue in hand: never wrong,
 *              but in the child of a fork, where nobody is queued.
 *
 *   P L   means                leaves by
 *   0 0   free                 lock -> 01
 *   0 1   held, nobody waits   unlock -> 00 ; a waiter, as it is queued -> 11
 *   1 1   held, queue          unlock, under the lot's lock: hand over -> 11, to
 *                              the last one -> 01, nobody there -> 00 ;
 *                              last waiter gives up -> 01
 *   1 0   never: while anyone waits it is held, so no newcomer can take it
 *   tests/unit/test_word_fair_mutex.c walks these rows. */
#ifndef PKD_WORD_FAIR_MUTEX_H
#define PKD_WORD_FAIR_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__FAIR_LOCKED = 1, PKD__FAIR_PARKED = 2 };

static inline bool pkd__fair_is_free(uint8_t word) {
  return (word & PKD__FAIR_LOCKED) == 0;
}

static inline uint8_t pkd__fair_taken(uint8_t word) {
  return (uint8_t)(word | PKD__FAIR_LOCKED);
}

/** Held, and somebody is queued now. */
static inline uint8_t pkd__fair_waited(uint8_t word) {
  return (uint8_t)(word | PKD__FAIR_PARKED);
}

static inline bool pkd__fair_is_waited(uint8_t word) {
  return (word & PKD__FAIR_PARKED) != 0;
}

/** Held by the one who was the oldest waiter; `more` are queued. */
static inline uint8_t pkd__fair_handed(bool more) {
  return (uint8_t)(PKD__FAIR_LOCKED | (more ? PKD__FAIR_PARKED : 0));
}

/** The queue is empty now. */
static inline uint8_t pkd__fair_unwaited(uint8_t word) {
  return (uint8_t)(word & ~PKD__FAIR_PARKED);
}

#endif
