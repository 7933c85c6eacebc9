/* SPDX-License-Identifier: MIT
 *
 * async_gate.h - the word of pkd_async_gate_t: its picture and its moves.
 *
 *   63                      32 31             2   1   0
 *  +--------------------------+----------------+---+---+
 *  |          inside          |      zero      | S | Q |   all zero = open, empty
 *  +--------------------------+----------------+---+---+
 *   inside    how many entered and have not left. Never wrong.
 *   S SHUT    nobody enters any more. Never taken back.
 *   Q QUEUED  somebody waits for the last to leave: the word changes only under
 *             the lot's lock. Only with S.
 *
 *   S Q  inside   means           leaves by
 *   0 0  n        open            enter -> n+1 ; leave -> n-1 ; close -> S
 *   1 0  n > 0    shut            leave -> n-1 ; close waits -> Q
 *   1 1  n > 0    shut, awaited   leave -> n-1 ; the last leaves -> 0, no Q, all
 *                                 who closed pass ; the last one gone -> no Q
 *   1 0  0        shut, empty     nothing: whoever closes passes
 *   tests/unit/test_word_async_counts.c walks these rows. */
#ifndef PKD_WORD_ASYNC_GATE_H
#define PKD_WORD_ASYNC_GATE_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__ASYNC_GATE_QUEUED = 1, PKD__ASYNC_GATE_SHUT = 2 };

static inline uint32_t pkd__async_gate_inside(uint64_t word) {
  return (uint32_t)(word >> 32);
}

static inline bool pkd__async_gate_enter(uint64_t* word) {
  if ((*word & PKD__ASYNC_GATE_SHUT) != 0 ||
      pkd__async_gate_inside(*word) == UINT32_MAX)
    return false;
  *word += UINT64_C(1) << 32;
  return true;
}

static inline uint64_t pkd__async_gate_leave(uint64_t word) {
  return word - (UINT64_C(1) << 32);
}

#endif
