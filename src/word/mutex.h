/* SPDX-License-Identifier: MIT
 *
 * mutex.h - the byte of pkd_mutex_t: its picture and its moves.
 *
 *    7          3   2   1   0
 *  +-------------+---+---+---+
 *  |    zero     | W | P | L |     all zero = free, so zeroed memory is a mutex
 *  +-------------+---+---+---+
 *   L LOCKED   someone holds it. Never wrong.
 *   P PARKED   someone may be queued at this address. May be set too long (one
 *              vain look into the lot). Cleared only under the lot's lock of the
 *              address, and while someone is queued only together with W.
 *   W WAKING   one thread was woken to compete for the lock and has neither got
 *              it nor gone back to sleep: no unlock needs to wake another. That
 *              thread, the designated waker, clears it. May be set too long only
 *              in the child of a fork (see pkd__forked).
 *
 *   Hidden: a designated waker may be slow to come, and the fast paths know only
 *   the words 0 and 1. So an unlock may clear P and W together (it must see W in
 *   the same exchange): the waker is still on its way, and one that finds no W
 *   when it takes the mutex sets P, whoever may be queued. While someone is
 *   queued there is P, or a waker that will set it.
 *
 *   W P L   means                    leaves by
 *   0 0 0   free                     lock -> 001
 *   0 0 1   held                     unlock -> 000 ; a waiter, before it parks -> 011
 *   0 1 0   free, someone about to   lock -> 011 ; who parks looks again and does
 *           look again                 not
 *   0 1 1   held, queue              unlock, under the lot's lock: wake one -> 1x0,
 *                                      hand over -> 0x1, nobody there -> 000 ;
 *                                      last waiter gives up -> 001
 *   1 0 0   free, one on its way     lock -> 101 ; the one on its way -> 001
 *   1 0 1   held, one on its way     unlock -> 100 ; that one parks again -> 011 ;
 *                                      a waiter, before it parks -> 111
 *   1 1 0   free, one on its way,    lock -> 111 ; the one on its way -> 011
 *           queue
 *   1 1 1   held, one on its way,    unlock -> 110 ; that one parks again -> 011 ;
 *           queue                      unlock_fair -> 1x1, the oldest holds it ;
 *                                      unlock, now and then -> 000, hidden
 *   0 x x   with a hidden waker      as above ; the one on its way -> 011
 *   tests/unit/test_word_mutex.c walks these rows. */
#ifndef PKD_WORD_MUTEX_H
#define PKD_WORD_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__MUTEX_LOCKED = 1, PKD__MUTEX_PARKED = 2, PKD__MUTEX_WAKING = 4 };

static inline bool pkd__mutex_is_free(uint8_t word) {
  return (word & PKD__MUTEX_LOCKED) == 0;
}

/** Takes a free mutex; the designated waker is on its way no more, and one that
 * was hidden shows the queue again. */
static inline uint8_t pkd__mutex_taken(uint8_t word, bool waker) {
  uint8_t held = (uint8_t)(word | PKD__MUTEX_LOCKED);

  if (!waker)
    return held;
  if ((word & PKD__MUTEX_WAKING) == 0)
    return (uint8_t)(held | PKD__MUTEX_PARKED);
  return (uint8_t)(held & ~PKD__MUTEX_WAKING);
}

/** Announces a waiter; a designated waker goes back to sleep with it. */
static inline uint8_t pkd__mutex_parked(uint8_t word, bool waker) {
  return (uint8_t)((word | PKD__MUTEX_PARKED) &
                   ~(waker ? PKD__MUTEX_WAKING : 0));
}

/** May a waiter that announced itself go to sleep? The holder's unlock will look
 * into the lot. */
static inline bool pkd__mutex_may_sleep(uint8_t word) {
  return (word & (PKD__MUTEX_LOCKED | PKD__MUTEX_PARKED)) ==
         (PKD__MUTEX_LOCKED | PKD__MUTEX_PARKED);
}

/** May somebody be queued, for all the word says? */
static inline bool pkd__mutex_has_queue(uint8_t word) {
  return (word & PKD__MUTEX_PARKED) != 0;
}

static inline bool pkd__mutex_has_waker(uint8_t word) {
  return (word & PKD__MUTEX_WAKING) != 0;
}

static inline uint8_t pkd__mutex_released(uint8_t word) {
  return (uint8_t)(word & ~PKD__MUTEX_LOCKED);
}

/** Unlock after a look into the lot: one was woken, or nobody was there. */
static inline uint8_t pkd__mutex_passed(uint8_t word, bool woke, bool more) {
  uint8_t next = (uint8_t)(word & ~(PKD__MUTEX_LOCKED | PKD__MUTEX_PARKED));
  return (uint8_t)(next | (woke ? PKD__MUTEX_WAKING : 0) |
                   (more ? PKD__MUTEX_PARKED : 0));
}

/** Unlock that leaves everything to the designated waker, out of sight. */
static inline uint8_t pkd__mutex_hidden(uint8_t word) {
  return (uint8_t)(word & ~(PKD__MUTEX_LOCKED | PKD__MUTEX_PARKED |
                            PKD__MUTEX_WAKING));
}

/** The queue is empty now. */
static inline uint8_t pkd__mutex_unparked(uint8_t word) {
  return (uint8_t)(word & ~PKD__MUTEX_PARKED);
}

#endif
