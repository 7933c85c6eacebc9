/* SPDX-License-Identifier: MIT
 *
 * async_barrier.h - the word of pkd_async_barrier_t: its picture and its moves.
 *
 *   63                      32 31                2   1   0
 *  +--------------------------+-------------------+---+---+
 *  |        generation        |      arrived      | B | Q |   all zero = nobody here
 *  +--------------------------+-------------------+---+---+
 *   generation  how often it has opened. Who arrived in an earlier one passes.
 *   arrived     how many wait in this generation. Never wrong.
 *   B BROKEN    aborted: newcomers are refused until a reset.
 *   Q QUEUED    somebody waits, or passes just now: the word changes only under
 *               the lot's lock.
 *
 *   B Q  arrived     means              leaves by
 *   0 0  0           nobody here        arrive -> 1, Q ; the only party -> gen + 1
 *   0 1  a           a of n wait        arrive -> a+1 ; the n-th -> gen + 1, 0: it
 *                                       leads and all pass, no Q ; one is gone ->
 *                                       a-1 ; abort -> B, 0, no Q
 *   1 0  0           broken             reset -> 0 0
 *   tests/unit/test_word_async_counts.c walks these rows. */
#ifndef PKD_WORD_ASYNC_BARRIER_H
#define PKD_WORD_ASYNC_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__ASYNC_BARRIER_QUEUED = 1, PKD__ASYNC_BARRIER_BROKEN = 2 };

/* What a request wants: 0 when it comes; when it has arrived, this and the low
 * bits of the generation. */
#define PKD__ASYNC_BARRIER_HERE UINT32_C(0x80000000)

static inline uint32_t pkd__async_barrier_arrived(uint64_t word) {
  return (uint32_t)word >> 2;
}

/** The want of one who has arrived in the word's generation. */
static inline uint32_t pkd__async_barrier_here(uint64_t word) {
  return (uint32_t)(word >> 32) | PKD__ASYNC_BARRIER_HERE;
}

/** Does the newcomer complete the barrier? */
static inline bool pkd__async_barrier_complete(uint64_t* word,
                                               uint32_t parties) {
  if (pkd__async_barrier_arrived(*word) + 1 < parties)
    return false;
  *word = ((*word >> 32) + 1) << 32 |
          (*word & (PKD__ASYNC_BARRIER_QUEUED | PKD__ASYNC_BARRIER_BROKEN));
  return true;
}

static inline uint64_t pkd__async_barrier_join(uint64_t word) {
  return word + 4;
}

static inline uint64_t pkd__async_barrier_gone(uint64_t word) {
  return word - 4;
}

#endif
