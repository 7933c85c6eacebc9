/* SPDX-License-Identifier: MIT
 *
 * sem.h - the word of pkd_sem_t: its picture and its moves.
 *
 *   31                             1   0
 *  +--------------------------------+---+
 *  |        permits to be had       | W |   all zero = no permits, nobody waits
 *  +--------------------------------+---+
 *   W WAITERS  somebody is queued here. While it is set nobody takes permits but
 *              those whom the lot serves, oldest first, and the number changes
 *              only under the lot's lock of the address: so a small request
 *              cannot pass a large one. W itself changes only there and is exact;
 *              but in the child of a fork it may be set with nobody there.
 *
 *   permits W   means                  leaves by
 *   any     0   nobody waits           acquire(n), n to be had -> permits - n
 *                                      acquire(n), too few -> W ; release(n) -> + n
 *   any     1   too few for the        release, under the lot's lock: serves while
 *               oldest waiter            it lasts -> W, or 0 when all are served
 *                                      a waiter gives up -> the same with n = 0
 *   tests/unit/test_word_sem.c walks these rows. */
#ifndef PKD_WORD_SEM_H
#define PKD_WORD_SEM_H

#include <stdbool.h>
#include <stdint.h>

#define PKD__SEM_WAITERS UINT32_C(1)
#define PKD__SEM_ONE UINT32_C(2)
#define PKD__SEM_LIMIT (UINT32_MAX / PKD__SEM_ONE)

static inline uint32_t pkd__sem_permits(uint32_t word) {
  return word / PKD__SEM_ONE;
}

static inline bool pkd__sem_has_waiters(uint32_t word) {
  return (word & PKD__SEM_WAITERS) != 0;
}

/** May a newcomer take `n`? */
static inline bool pkd__sem_has(uint32_t word, uint32_t n) {
  return !pkd__sem_has_waiters(word) && pkd__sem_permits(word) >= n;
}

/** After a newcomer has taken `n`. */
static inline uint32_t pkd__sem_taken(uint32_t word, uint32_t n) {
  return word - n * PKD__SEM_ONE;
}

/** Would `n` more be more than the word can count? */
static inline bool pkd__sem_overflows(uint32_t word, uint32_t n) {
  return n > PKD__SEM_LIMIT - pkd__sem_permits(word);
}

static inline uint32_t pkd__sem_queued(uint32_t word) {
  return word | PKD__SEM_WAITERS;
}

/** After `added` came in, `served` went to waiters, and `more` still wait. */
static inline uint32_t pkd__sem_settled(uint32_t word, uint32_t added,
                                        uint32_t served, bool more) {
  return (pkd__sem_permits(word) + added - served) * PKD__SEM_ONE +
         (more ? PKD__SEM_WAITERS : 0);
}

#endif
