/* SPDX-License-Identifier: MIT
 *
 * async_once.h - the word of pkd_async_once_t: its picture and its moves.
 *
 *   31              3   2   1   0
 *  +-----------------+---+---+---+
 *  |      zero       | D | R | Q |   all zero = nobody has tried yet
 *  +-----------------+---+---+---+
 *   D DONE     initialised; never taken back.
 *   R RUNNING  one request is the initialiser, granted or owning.
 *   Q QUEUED   somebody waits for it: the word changes only under the lot's lock.
 *
 *   D R Q   means                     leaves by
 *   0 0 0   new, or the last failed   call -> 010, the caller leads
 *   0 1 0   under way                 call -> 011 ; done -> 100 ; failed -> 000
 *   0 1 1   under way, awaited        done -> 100, all pass ; failed -> the head
 *                                     leads, 01x ; the last one gone -> 010
 *   1 0 0   done                      nothing
 *   tests/unit/test_word_async_counts.c walks these rows. */
#ifndef PKD_WORD_ASYNC_ONCE_H
#define PKD_WORD_ASYNC_ONCE_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PKD__ASYNC_ONCE_QUEUED = 1,
  PKD__ASYNC_ONCE_RUNNING = 2,
  PKD__ASYNC_ONCE_DONE = 4
};

/** May the next one initialise? */
static inline bool pkd__async_once_lead(uint64_t* word) {
  if ((*word & (PKD__ASYNC_ONCE_RUNNING | PKD__ASYNC_ONCE_DONE)) != 0)
    return false;
  *word |= PKD__ASYNC_ONCE_RUNNING;
  return true;
}

/** The initialiser's answer. */
static inline uint64_t pkd__async_once_after(uint64_t word, bool done) {
  word &= ~(uint64_t)PKD__ASYNC_ONCE_RUNNING;
  return done ? word | PKD__ASYNC_ONCE_DONE : word;
}

#endif
