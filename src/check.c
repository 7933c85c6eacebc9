/* SPDX-License-Identifier: MIT
 *
 * check.c - the invariant of a bucket's queues, as a function.
 *
 * For each head in the tree: its address belongs to this bucket; it stands on
 * the path that the address's hash spells; a search for the address ends at it
 * and not at another; its ring is closed and all in it wait at that address.
 *
 * At most FAR heads are looked at, and of a long ring the FAR oldest and the FAR
 * youngest: a check after each change must not cost the more, the more wait. So
 * with crowds it is a sample. The walk ends on broken queues too. */
#include "check.h"

#include "queue.h"

#define FAR 16u

struct walk {
  const pkd_waiter_t* root;
  unsigned bucket;
  unsigned heads; /* that may still be looked at */
};

static const char* tree_fault(struct walk* walk, const pkd_waiter_t* head,
                              unsigned depth, uint64_t path);
static const char* ring_fault(const pkd_waiter_t* head);
static const char* waiter_fault(const pkd_waiter_t* waiter,
                                const pkd_waiter_t* head);
static const pkd_waiter_t* search(const pkd_waiter_t* root, const void* key);

const char* pkd__queues_fault(const pkd_waiter_t* root, unsigned bucket) {
  struct walk walk = {root, bucket, FAR};

  return tree_fault(&walk, root, 0, 0);
}

/* `path`: the turns from the root to here, the last one in the lowest bit. There
 * are less than FAR of them, so the hash has bits for all. */
static const char* tree_fault(struct walk* walk, const pkd_waiter_t* head,
                              unsigned depth, uint64_t path) {
  const char* fault;
  uint64_t hash;

  if (head == NULL || walk->heads == 0)
    return NULL;
  walk->heads--;
  hash = pkd__hash(pkd__key_of(head));
  if (hash >> (64 - PKD_BUCKET_BITS) != walk->bucket)
    return "has the queue of an address that belongs to another bucket";
  if (depth != 0 && (hash << PKD_BUCKET_BITS) >> (64 - depth) != path)
    return "has a queue that stands off the path of its address";
  if (search(walk->root, pkd__key_of(head)) != head)
    return "has two queues for one address";
  fault = ring_fault(head);
  if (fault == NULL)
    fault = tree_fault(walk, head->child[0], depth + 1, path << 1);
  if (fault == NULL)
    fault = tree_fault(walk, head->child[1], depth + 1, path << 1 | 1);
  return fault;
}

static const char* ring_fault(const pkd_waiter_t* head) {
  const pkd_waiter_t* forth = head;
  const pkd_waiter_t* back = head;

  for (unsigned i = 0; i < FAR; i++) {
    const char* fault = waiter_fault(forth, head);

    if (fault == NULL)
      fault = waiter_fault(back, head);
    if (fault != NULL)
      return fault;
    forth = forth->next;
    back = back->prev;
    if (forth == head)
      break;
  }
  return NULL;
}

static const char* waiter_fault(const pkd_waiter_t* waiter,
                                const pkd_waiter_t* head) {
  if (waiter->next == NULL || waiter->prev == NULL)
    return "has a queue with a waiter that is not queued";
  if (waiter->next->prev != waiter || waiter->prev->next != waiter)
    return "has a queue whose ring is broken";
  if (pkd__key_of(waiter) != pkd__key_of(head))
    return "has a queue with a waiter for another address";
  return NULL;
}

/* As pkd__queue_find, without the slot. */
static const pkd_waiter_t* search(const pkd_waiter_t* root, const void* key) {
  uint64_t path = pkd__hash(key) << PKD_BUCKET_BITS;

  while (root != NULL && pkd__key_of(root) != key) {
    root = root->child[path >> 63];
    path <<= 1;
  }
  return root;
}
