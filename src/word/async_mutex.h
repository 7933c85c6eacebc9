/* SPDX-License-Identifier: MIT
 *
 * async_mutex.h - the word of pkd_async_mutex_t: its picture and its moves.
 *
 *   31                  5   4   3   2   1   0
 *  +---------------------+---+---+---+---+---+
 *  |        owner        | O | P | C | Q | L |   all zero = free, so zeroed
 *  +---------------------+---+---+---+---+---+   memory is a mutex
 *   owner      with L, 27 bits of the address of the request that owns it or was
 *              granted it; else zero. Never wrong. Who shows a ticket gives back by
 *              one step of this word, and only if the ticket is named here: so of
 *              two who show the same one at the same moment, one is right, and the
 *              ticket itself needs no atomic step of its own. (The second of them
 *              is wrongly believed if another request owns the mutex by then and
 *              has the same 27 bits. Those in the same aligned GiB never have.)
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

/* In the picture above: where the owner stands. */
#define PKD__ASYNC_MUTEX_OWNER (~UINT64_C(31) & UINT32_MAX)

enum {
  PKD__ASYNC_MUTEX_LOCKED = 1,
  PKD__ASYNC_MUTEX_QUEUED = 2,
  PKD__ASYNC_MUTEX_CLOSED = 4,
  PKD__ASYNC_MUTEX_POISONED = 8,
  PKD__ASYNC_MUTEX_OVERTAKES = 16,

  /* Somebody owns it, was granted it or waits. */
  PKD__ASYNC_MUTEX_BUSY = PKD__ASYNC_MUTEX_LOCKED | PKD__ASYNC_MUTEX_QUEUED
};

/** Takes the mutex for `owner`, whose turn it is; whether it could. */
static inline bool pkd__async_mutex_take(uint64_t* word, uint32_t owner) {
  if (*word & PKD__ASYNC_MUTEX_LOCKED)
    return false;
  *word |= PKD__ASYNC_MUTEX_LOCKED | owner;
  return true;
}

/** Is it `owner` who has it? */
static inline bool pkd__async_mutex_has(uint64_t word, uint32_t owner) {
  return (word & (PKD__ASYNC_MUTEX_OWNER | PKD__ASYNC_MUTEX_LOCKED)) ==
         (owner | PKD__ASYNC_MUTEX_LOCKED);
}

/** The owner hands it to another, `owner`. */
static inline uint64_t pkd__async_mutex_passed(uint64_t word, uint32_t owner) {
  return (word & ~PKD__ASYNC_MUTEX_OWNER) | owner;
}

/** The owner has left. */
static inline uint64_t pkd__async_mutex_left(uint64_t word) {
  return word & ~(PKD__ASYNC_MUTEX_OWNER | PKD__ASYNC_MUTEX_LOCKED);
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
