/* SPDX-License-Identifier: MIT
 *
 * async_rwlock.h - the word of pkd_async_rwlock_t: its picture and its moves.
 *
 *   63              32 31         5   4   3   2   1   0
 *  +------------------+------------+---+---+---+---+---+
 *  |     readers      |    zero    | P | U | W | C | Q |   all zero = free
 *  +------------------+------------+---+---+---+---+---+
 *   readers     requests that read, granted ones included. Never wrong.
 *   W WRITER    one request writes. Never wrong.
 *   U UPGRADER  one request reads and may become the writer. Never wrong.
 *   P PENDING   one who reads waits at the head of the queue to become the
 *               writer. Exact under the lot's lock of the address.
 *   C CLOSED    newcomers are refused. Never taken back.
 *   Q QUEUED    somebody waits: the word changes only under the lot's lock of
 *               the address. Exact under that lock, but for the child of a fork,
 *               where the queue is empty; the next look into the lot helps.
 *
 *   W U readers   means                    the head is admitted to
 *   0 0 0         free                     anything
 *   0 0 n         n read                   read, up ; upgrade if n = 1
 *   0 1 n         n read, one more may     read ; upgrade of U if n = 0
 *                 upgrade
 *   1 0 0         one writes               nothing
 *   With P nobody is admitted but the one who upgrades.
 *   tests/unit/test_word_async_rwlock.c walks these rows.
 *
 * What a request wants, or gives back, is a move: the mode it goes to, and above
 * it the mode it comes from (an upgrade) or falls back to (a downgrade). */
#ifndef PKD_WORD_ASYNC_RWLOCK_H
#define PKD_WORD_ASYNC_RWLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PKD__ASYNC_RWLOCK_QUEUED = 1,
  PKD__ASYNC_RWLOCK_CLOSED = 2,
  PKD__ASYNC_RWLOCK_WRITER = 4,
  PKD__ASYNC_RWLOCK_UPGRADER = 8,
  PKD__ASYNC_RWLOCK_PENDING = 16
};

#define PKD__ASYNC_RWLOCK_READER (UINT64_C(1) << 32)

enum { PKD__ASYNC_READ = 1, PKD__ASYNC_WRITE = 2, PKD__ASYNC_UP = 3 };

/** A move between two modes; 0 is none. */
static inline uint32_t pkd__async_rwlock_move(unsigned mode, unsigned other) {
  return mode | other << 8;
}

static inline uint32_t pkd__async_rwlock_readers(uint64_t word) {
  return (uint32_t)(word >> 32);
}

static inline uint64_t pkd__async_rwlock_with(uint64_t word, unsigned mode) {
  if (mode == PKD__ASYNC_READ)
    return word + PKD__ASYNC_RWLOCK_READER;
  if (mode == PKD__ASYNC_WRITE)
    return word | PKD__ASYNC_RWLOCK_WRITER;
  return mode == PKD__ASYNC_UP ? word | PKD__ASYNC_RWLOCK_UPGRADER : word;
}

static inline uint64_t pkd__async_rwlock_without(uint64_t word, unsigned mode) {
  if (mode == PKD__ASYNC_READ)
    return word - PKD__ASYNC_RWLOCK_READER;
  if (mode == PKD__ASYNC_WRITE)
    return word & ~(uint64_t)PKD__ASYNC_RWLOCK_WRITER;
  return mode == PKD__ASYNC_UP ? word & ~(uint64_t)PKD__ASYNC_RWLOCK_UPGRADER
                               : word;
}

/** Takes the lock for the one whose turn it is; whether it could. */
static inline bool pkd__async_rwlock_take(uint64_t* word, uint32_t move) {
  unsigned mode = move & 0xff;
  unsigned from = move >> 8 & 0xff;
  uint64_t rest = pkd__async_rwlock_without(*word, from);

  if (from != 0)
    rest &= ~(uint64_t)PKD__ASYNC_RWLOCK_PENDING;
  if ((rest & (PKD__ASYNC_RWLOCK_WRITER | PKD__ASYNC_RWLOCK_PENDING)) != 0)
    return false;
  if (mode != PKD__ASYNC_READ && (rest & PKD__ASYNC_RWLOCK_UPGRADER) != 0)
    return false;
  if (mode == PKD__ASYNC_WRITE && pkd__async_rwlock_readers(rest) != 0)
    return false;
  if (mode == PKD__ASYNC_READ && pkd__async_rwlock_readers(rest) == UINT32_MAX)
    return false;
  *word = pkd__async_rwlock_with(rest, mode);
  return true;
}

/** Leaves a mode, and falls back to the other one of the move, if any. */
static inline uint64_t pkd__async_rwlock_left(uint64_t word, uint32_t move) {
  return pkd__async_rwlock_with(pkd__async_rwlock_without(word, move & 0xff),
                                move >> 8 & 0xff);
}

#endif
