/* SPDX-License-Identifier: MIT
 *
 * event.h - the word of pkd_event_t: its picture and its moves.
 *
 *   31              3   2   1   0
 *  +------------------+---+---+---+
 *  |       zero       | A | W | S |   all zero = a manual-reset event, not set
 *  +------------------+---+---+---+
 *   S SET      it has happened. Never wrong.
 *   W WAITERS  somebody is queued here. Changed only under the lot's lock of the
 *              address, where it is exact; but in the child of a fork it may be
 *              set with nobody there (one vain look into the lot).
 *   A AUTO     each set lets one waiter pass. Read-only after init.
 *
 *   A W S   means                   leaves by
 *   0 0 0   not yet                 set -> 001 ; a waiter queues -> 010
 *   0 0 1   has happened            reset -> 000
 *   0 1 0   not yet, queue          set, under the lot's lock: all go -> 001 ;
 *                                     last waiter gives up -> 000
 *   1 0 0   not yet                 set -> 101 ; a waiter queues -> 110
 *   1 0 1   one may pass            who passes -> 100 ; reset -> 100
 *   1 1 0   not yet, queue          set, under the lot's lock: the oldest goes
 *                                     -> 110 or 100 ; last gives up -> 100
 *   x 1 1   never, but in the child of a fork: set and a look into the lot
 *   tests/unit/test_word_event.c walks these rows. */
#ifndef PKD_WORD_EVENT_H
#define PKD_WORD_EVENT_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__EVENT_SET = 1, PKD__EVENT_WAITERS = 2, PKD__EVENT_AUTO = 4 };

static inline bool pkd__event_is_set(uint32_t word) {
  return (word & PKD__EVENT_SET) != 0;
}

static inline bool pkd__event_is_auto(uint32_t word) {
  return (word & PKD__EVENT_AUTO) != 0;
}

static inline bool pkd__event_has_waiters(uint32_t word) {
  return (word & PKD__EVENT_WAITERS) != 0;
}

/** One waiter passes a set event. */
static inline uint32_t pkd__event_passed(uint32_t word) {
  return pkd__event_is_auto(word) ? word & ~(uint32_t)PKD__EVENT_SET : word;
}

/** A waiter queues. */
static inline uint32_t pkd__event_queued(uint32_t word) {
  return word | PKD__EVENT_WAITERS;
}

/** The queue is empty now. */
static inline uint32_t pkd__event_unqueued(uint32_t word) {
  return word & ~(uint32_t)PKD__EVENT_WAITERS;
}

static inline uint32_t pkd__event_cleared(uint32_t word) {
  return word & ~(uint32_t)PKD__EVENT_SET;
}

/** Set, after a look into the lot that let `woken` go. An automatic event is
 * used up by the one it let go. */
static inline uint32_t pkd__event_happened(uint32_t word, bool woken,
                                           bool more) {
  if (!more)
    word = pkd__event_unqueued(word);
  return pkd__event_is_auto(word) && woken ? word : word | PKD__EVENT_SET;
}

#endif
