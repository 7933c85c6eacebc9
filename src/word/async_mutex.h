/* SPDX-License-Identifier: MIT
 *
 * async_mutex.h - the word of pkd_async_mutex_t: its picture and its moves.
 *
 *   31                     4   3   2   1   0
 *  +---------------------+---+---+---+---+---+
 *  |        zero         | O | P | C | Q | L |   all zero = free, so zeroed
 *  +---------------------+---+---+---+---+---+   memory is a mutex
 *   L LOCKED   a request owns it or was granted it. Never wrong.
 *   Q QUEUED   somebody waits at this address: the word changes only under the
 *              lot's lock of the address, and newcomers queue. Exact under that
 *              lock, but for the child of a fork, where the queue is empty; the
 *              next look into the lot puts that right.
 *   C CLOSED   newcomers are refused. Never taken back.
 *   P POISONED an owner left what it guards in doubt. Never wrong; set by an
 *              unlock, cleared by a later owner, and no part of the rows below.
 *   O OVERTAKES a task that unlocks may let others of its loop overtake. Set
 *              before the first use and not changed after it; no part of the rows.
 *
 *   C Q L   means                 leaves by
 *   0 0 0   free                  lock -> 001 ; close, destroy -> 100
 *   0 0 1   held                  unlock -> 000 ; newcomer queues -> 011 ;
 *                                 close -> 101
 *   0 1 1   held, queue           unlock = hand-off -> 011 or, the last, 001, or,
 *                                 to nobody, 010 ; last waiter gone -> 001 ;
 *                                 close -> 101
 *   0 1 0   free for who is not   a newcomer, or a waiter whose loop has come to
 *           away: all who wait    it = hand-off -> 011 or 001 ; last waiter gone
 *           are (async/grant.h)   -> 000 ; close -> 100
 *   1 0 0   closed                nothing
 *   1 0 1   closed, still held    unlock -> 100
 *   C with Q does not occur: a close is one step.
 *   tests/unit/test_word_async_mutex.c walks these rows. */
#ifndef PKD_WORD_ASYNC_MUTEX_H
#define PKD_WORD_ASYNC_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PKD__ASYNC_MUTEX_LOCKED = 1,
  PKD__ASYNC_MUTEX_QUEUED = 2,
  PKD__ASYNC_MUTEX_CLOSED = 4,
  PKD__ASYNC_MUTEX_POISONED = 8,
  PKD__ASYNC_MUTEX_OVERTAKES = 16,

  /* Somebody owns it, was granted it or waits. */
  PKD__ASYNC_MUTEX_BUSY = PKD__ASYNC_MUTEX_LOCKED | PKD__ASYNC_MUTEX_QUEUED
};

/** Takes the mutex for the one whose turn it is; whether it could. */
static inline bool pkd__async_mutex_take(uint64_t* word) {
  if (*word & PKD__ASYNC_MUTEX_LOCKED)
    return false;
  *word |= PKD__ASYNC_MUTEX_LOCKED;
  return true;
}

/** The owner has left. */
static inline uint64_t pkd__async_mutex_left(uint64_t word) {
  return word & ~(uint64_t)PKD__ASYNC_MUTEX_LOCKED;
}

/** The owner has left in doubt. */
static inline uint64_t pkd__async_mutex_poisoned(uint64_t word) {
  return pkd__async_mutex_left(word) | PKD__ASYNC_MUTEX_POISONED;
}

/** The owner, who stays, is in no doubt any more. */
static inline uint64_t pkd__async_mutex_mended(uint64_t word) {
  return word & ~(uint64_t)PKD__ASYNC_MUTEX_POISONED;
}

#endif
