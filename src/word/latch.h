/* SPDX-License-Identifier: MIT
 *
 * latch.h - the word of pkd_latch_t: its picture and its moves.
 *
 *   31                             1   0
 *  +--------------------------------+---+
 *  |           count left           | W |   all zero = open
 *  +--------------------------------+---+
 *   W WAITERS  somebody is queued here. Changed only under the lot's lock of the
 *              address, where it is exact; in the child of a fork it may be set
 *              with nobody there (one vain look into the lot).
 *
 *   left W   means             leaves by
 *   0    0   open              never
 *   n    0   closed            count_down -> less ; a waiter queues -> W
 *   n    1   closed, queue     count_down that leaves some -> less ; the one that
 *                              leaves none, under the lot's lock: all go -> 0 0 ;
 *                              last waiter gives up -> n 0
 *   0    1   never
 *   tests/unit/test_word_latch.c walks these rows. */
#ifndef PKD_WORD_LATCH_H
#define PKD_WORD_LATCH_H

#include <stdbool.h>
#include <stdint.h>

#define PKD__LATCH_WAITERS UINT32_C(1)
#define PKD__LATCH_ONE UINT32_C(2)

static inline uint32_t pkd__latch_left(uint32_t word) {
  return word / PKD__LATCH_ONE;
}

static inline bool pkd__latch_is_open(uint32_t word) {
  return pkd__latch_left(word) == 0;
}

/** Would `n` counts open a latch that somebody waits for? Then it is done under
 * the lot's lock. */
static inline bool pkd__latch_lets_go(uint32_t word, uint32_t n) {
  return pkd__latch_left(word) == n && (word & PKD__LATCH_WAITERS) != 0;
}

static inline uint32_t pkd__latch_counted(uint32_t word, uint32_t n) {
  return word - n * PKD__LATCH_ONE;
}

static inline uint32_t pkd__latch_queued(uint32_t word) {
  return word | PKD__LATCH_WAITERS;
}

static inline uint32_t pkd__latch_unqueued(uint32_t word) {
  return word & ~PKD__LATCH_WAITERS;
}

#endif
