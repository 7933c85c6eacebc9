/* SPDX-License-Identifier: MIT
 *
 * queue.h - the queues of one bucket: address -> ring of waiters.
 *
 * Each address that somebody waits at has one ring, oldest first; the oldest
 * waiter is the ring's head and lends its memory to a tree of heads, so neither
 * a queue nor the tree is ever allocated. The tree is a digital search tree:
 * each level looks at one more bit of the address's hash, and a node may stand
 * anywhere on the path its hash spells. So a removed node is replaced by any
 * leaf beneath it and nothing is ever balanced. The hash maps addresses one to
 * one, hence two addresses part at some bit: at most 64 levels, and about
 * log2(n) with n addresses in the bucket.
 *
 *    root -> head of A ==== waiter ==== waiter ==== (back to head)
 *            /       \
 *     head of B     head of C ==== waiter ==== (back)
 *
 * All here is plain data under the bucket's lock. Only `key` is read by others
 * too (remove looks for the bucket by it), so it is accessed atomically. */
#ifndef PKD_QUEUE_H
#define PKD_QUEUE_H

#include <parkade/lot.h>

#include "atomic.h"

/* How many of the hash's top bits choose the bucket; the tree uses the rest. The
 * explorer makes it few, where one call looks into every bucket. */
#ifndef PKD_BUCKET_BITS
#define PKD_BUCKET_BITS 16
#endif

/* What of an address is hashed: the explorer has another answer for statics. */
#ifndef PKD__PLACE
#define PKD__PLACE(key) ((uintptr_t)(key))
#endif

/** Spreads addresses over all 64 bits; one to one, since the factor is odd. */
static inline uint64_t pkd__hash(const void* key) {
  return (uint64_t)PKD__PLACE(key) * UINT64_C(0x9e3779b97f4a7c15);
}

/* relaxed: under the lock that guards it, or checked again under that lock */
static inline const void* pkd__key_of(const pkd_waiter_t* waiter) {
  return pkd__load_relaxed(&waiter->key);
}

/** The slot that holds the head of `key`'s queue, or the empty one where it
 * belongs. Good until the tree changes. */
static inline pkd_waiter_t** pkd__queue_find(pkd_waiter_t** root,
                                             const void* key) {
  uint64_t path = pkd__hash(key) << PKD_BUCKET_BITS;
  pkd_waiter_t** slot = root;

  while (*slot != NULL && pkd__key_of(*slot) != key) {
    slot = &(*slot)->child[path >> 63];
    path <<= 1;
  }
  return slot;
}

/** Links `waiter` into the queue whose slot was found for `key`: at its tail, or
 * at its head with `front`. */
static inline void pkd__queue_push(pkd_waiter_t** slot, const void* key,
                                   pkd_waiter_t* waiter, bool front) {
  pkd_waiter_t* head = *slot;

  pkd__store_relaxed(&waiter->key, key); /* relaxed: as pkd__key_of */
  if (head == NULL) {
    waiter->next = waiter->prev = waiter;
    waiter->child[0] = waiter->child[1] = NULL;
    *slot = waiter;
    return;
  }
  waiter->next = head;
  waiter->prev = head->prev;
  head->prev->next = waiter;
  head->prev = waiter;
  if (front) {
    waiter->child[0] = head->child[0];
    waiter->child[1] = head->child[1];
    *slot = waiter;
  }
}

/** Takes the node at `slot` out of the tree; a leaf beneath it takes its place. */
static inline void pkd__queue_drop_head(pkd_waiter_t** slot) {
  pkd_waiter_t* head = *slot;
  pkd_waiter_t** down = slot;
  pkd_waiter_t* leaf;

  while ((*down)->child[0] != NULL || (*down)->child[1] != NULL)
    down = &(*down)->child[(*down)->child[0] == NULL];
  leaf = *down;
  *down = NULL;
  if (leaf != head) {
    leaf->child[0] = head->child[0];
    leaf->child[1] = head->child[1];
    *slot = leaf;
  }
}

/** Unlinks `waiter` from the queue at `slot`.
 * @return true if that queue is empty now (and the slot no longer its own) */
static inline bool pkd__queue_pop(pkd_waiter_t** slot, pkd_waiter_t* waiter) {
  pkd_waiter_t* next = waiter->next;
  bool empty = next == waiter;

  if (empty) {
    pkd__queue_drop_head(slot);
  } else {
    waiter->prev->next = next;
    next->prev = waiter->prev;
    if (*slot == waiter) {
      next->child[0] = waiter->child[0];
      next->child[1] = waiter->child[1];
      *slot = next;
    }
  }
  waiter->prev = NULL; /* not queued */
  return empty;
}

/** Lets every waiter of a tree of queues know that it is queued no more. */
static inline void pkd__queue_abandon(pkd_waiter_t* head) {
  pkd_waiter_t* waiter = head;

  if (head == NULL)
    return;
  do {
    waiter->prev = NULL;
    waiter = waiter->next;
  } while (waiter != head);
  pkd__queue_abandon(head->child[0]);
  pkd__queue_abandon(head->child[1]);
}

/** Does `waiter` stand in the queue of `head`? */
static inline bool pkd__queue_has(const pkd_waiter_t* head,
                                  const pkd_waiter_t* waiter) {
  const pkd_waiter_t* other = head;

  while (other != waiter) {
    other = other->next;
    if (other == head)
      return false;
  }
  return true;
}

static inline bool pkd__queued(const pkd_waiter_t* waiter) {
  return waiter->prev != NULL;
}

#endif
