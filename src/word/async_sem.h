/* SPDX-License-Identifier: MIT
 *
 * async_sem.h - the word of pkd_async_sem_t: its picture and its moves.
 *
 *   63                      32 31             2   1   0
 *  +--------------------------+----------------+---+---+
 *  |  available, signed       |      zero      | C | Q |   all zero = no permits
 *  +--------------------------+----------------+---+---+
 *   available  permits that nobody owns or was granted; below zero after a resize
 *              below what is held, until releases have repaid it. Never wrong.
 *   Q QUEUED   somebody waits at this address: the word changes only under the
 *              lot's lock of the address, and newcomers queue. Exact under that
 *              lock, but for the child of a fork, where the queue is empty; the
 *              next look into the lot puts that right.
 *   C CLOSED   newcomers are refused. Never taken back.
 *
 *   C Q  available   means               leaves by
 *   0 0  a           nobody waits        acquire(n <= a) -> a-n ; release(n) ->
 *                                        a+n ; acquire(n > a) queues -> Q ;
 *                                        close -> C
 *   0 1  a < n of    the head waits      release(k), under the lot's lock: a+k,
 *        the head                        less what the heads take that it serves ;
 *                                        last waiter served or gone -> no Q ;
 *                                        close -> C, no Q
 *   1 0  a           closed              release(n) -> a+n
 *   C with Q does not occur: closing empties the queue in the same step, or, when
 *   many wait, before any other change of the word.
 *   tests/unit/test_word_async_sem.c walks these rows. */
#ifndef PKD_WORD_ASYNC_SEM_H
#define PKD_WORD_ASYNC_SEM_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__ASYNC_SEM_QUEUED = 1, PKD__ASYNC_SEM_CLOSED = 2 };

static inline int32_t pkd__async_sem_available(uint64_t word) {
  return (int32_t)(word >> 32);
}

/** Takes n permits for the one whose turn it is; whether they were there. None
 * are always there. */
static inline bool pkd__async_sem_take(uint64_t* word, uint32_t n) {
  if (n != 0 && pkd__async_sem_available(*word) < (int64_t)n)
    return false;
  *word -= (uint64_t)n << 32;
  return true;
}

/** n permits come back, or, if negative, go. */
static inline uint64_t pkd__async_sem_left(uint64_t word, int64_t n) {
  return word + ((uint64_t)n << 32);
}

/** The word of a semaphore with so many permits. */
static inline uint64_t pkd__async_sem_of(uint32_t permits) {
  return (uint64_t)permits << 32;
}

#endif
