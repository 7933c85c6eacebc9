/* SPDX-License-Identifier: MIT
 *
 * bucket.h - the table of buckets, and the lock of each.
 *
 * The table is static: nothing grows, so nothing allocates or rehashes while
 * threads are parked, and its untouched pages cost no memory. Buckets live for
 * ever; touching one after an unlock is always legal.
 *
 * Many small buckets, though neighbours share a cache line: with 100,000
 * addresses waited for, each address beneath another in a tree is a cache miss,
 * and so is a bucket of a table that is too big to stay cached. Two busy addresses
 * meet in one line of four buckets more seldom than they would meet in one of a
 * sixteenth as many buckets. A megabyte in all: the child of a fork looks through
 * it once, which costs it a tenth of a millisecond. */
#ifndef PKD_BUCKET_H
#define PKD_BUCKET_H

#include "queue.h"

#define PKD_BUCKETS (1u << PKD_BUCKET_BITS)

struct pkd__bucket {
  uint32_t lock; /* 0 free, 1 held, 2 held and somebody may sleep for it */
  bool torn;     /* under the lock: a fork met it held, see start_empty() */
  pkd_waiter_t* root; /* under the lock: the queues, see queue.h */
} __attribute__((aligned(16)));

/** Locks the bucket of `key`. */
struct pkd__bucket* pkd__bucket_lock(const void* key);

/** Locks the buckets of two keys, in the order of the table; they may be one. */
void pkd__bucket_lock_two(const void* a, const void* b,
                          struct pkd__bucket** bucket_a,
                          struct pkd__bucket** bucket_b);

/** Locks the bucket that `waiter` is or was last queued in, wherever a requeue
 * may be moving it. */
struct pkd__bucket* pkd__bucket_lock_of(const pkd_waiter_t* waiter);

/** Locks the bucket with this number in the table. */
struct pkd__bucket* pkd__bucket_lock_nth(unsigned n);

void pkd__bucket_unlock(struct pkd__bucket* bucket);
void pkd__bucket_unlock_two(struct pkd__bucket* a, struct pkd__bucket* b);

/** Calls `again` in the child of each fork from now on, in the only thread it has
 * and with the lot empty: for the one who has a note of each thread there. */
void pkd__note_again_at_fork(void (*again)(void));

/** True in the child of a fork: whoever was woken but had not arrived yet is
 * not in this process, so no word's "one is on its way" can be believed. */
bool pkd__forked(void);

/** How many forks lie between the first process and this one: with what was kept
 * of it before, tells whether that was in this process. */
uint32_t pkd__forks(void);

#endif
