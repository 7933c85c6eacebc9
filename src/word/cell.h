/* SPDX-License-Identifier: MIT
 *
 * cell.h - the word in front of a PKD_CELL too big for one machine word.
 *
 *    31                                2   1   0
 *  +------------------------------------+---+---+
 *  |             version                | P | L |     all zero = quiet
 *  +------------------------------------+---+---+
 *   version    counts the changes, modulo 2^30: a reader that slept through
 *              exactly that many would be deceived.
 *   P PARKED   someone is queued at this address. Set and cleared only under the
 *              lot's lock of the address: never wrong, but in the child of a
 *              fork, where nobody is queued.
 *   L LOCKED   one thread changes the value, or reads it undisturbed. Never wrong.
 *
 *   version P L   means                      leaves by
 *      n    0 0   quiet                      a writer -> n 01
 *      n    0 1   a change under way         its end -> n+1 00, or n 00 if nothing
 *                                            was changed ; a waiter -> n 11
 *      n    1 1   the same, and a queue      its end, under the lot's lock, waking
 *                                            all -> n+1 00 or n 00
 *      n    1 0   never
 *   A reader accepts what it has copied if the word was n 00 before and is the same
 *   afterwards. tests/unit/test_word_cell.c walks these rows. */
#ifndef PKD_WORD_CELL_H
#define PKD_WORD_CELL_H

#include <stdbool.h>
#include <stdint.h>

enum { PKD__CELL_LOCKED = 1, PKD__CELL_PARKED = 2, PKD__CELL_VERSION = 4 };

static inline bool pkd__cell_is_quiet(uint32_t word) {
  return (word & PKD__CELL_LOCKED) == 0;
}

static inline uint32_t pkd__cell_locked(uint32_t word) {
  return word | PKD__CELL_LOCKED;
}

static inline uint32_t pkd__cell_waited(uint32_t word) {
  return word | PKD__CELL_PARKED;
}

/** Quiet again, nobody queued any more. */
static inline uint32_t pkd__cell_ended(uint32_t word, bool changed) {
  uint32_t version = word & ~(uint32_t)(PKD__CELL_LOCKED | PKD__CELL_PARKED);

  return version + (changed ? PKD__CELL_VERSION : 0);
}

#endif
