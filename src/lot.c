/* SPDX-License-Identifier: MIT
 *
 * lot.c - who is waiting at this address, and who is woken next.
 *
 * A bucket's lock guards its queues and all of a waiter that is in one. A waiter
 * is queued only after validate() has looked at the primitive's word under that
 * lock, and a waker rewrites the word in finish() under the same lock. So "look,
 * then queue" and "dequeue, then rewrite" exclude each other: no wake-up is lost.
 *
 * Lock order: two buckets in the order of the table; nothing else is ever locked
 * under one. No wake() runs there: the chosen are strung together by their own
 * `next`, the lock is dropped, then they are woken. A chosen waiter belongs to
 * the waker until its wake() is called, though its owner may have asked to
 * remove it: remove finds it unqueued and says so.
 *
 * Not here: what the words mean (word/), how a thread sleeps (thread.c). */
#include "lot.h"

#include "bucket.h"
#include "os/os.h"
#include "panic.h"

/* How many an unpark_all wakes before it drops the lock: a bucket is held for a
 * microsecond or so, but for the count that comes first (a nanosecond or a few
 * for each who waits). */
#define BATCH 64u

/* The chosen, oldest first, strung by `next`. */
struct chosen {
  pkd_waiter_t* first;
  pkd_waiter_t** end;
};

static void choose(struct chosen* chosen, pkd_waiter_t* waiter) {
  waiter->next = NULL;
  *chosen->end = waiter;
  chosen->end = &waiter->next;
}

static void wake(const struct chosen* chosen, uint64_t token) {
  pkd_waiter_t* waiter = chosen->first;

  while (waiter != NULL) {
    pkd_waiter_t* next = waiter->next; /* the waiter may be gone once woken */

    waiter->token = token;
    waiter->wake(waiter);
    waiter = next;
  }
}

/* --- waiting --------------------------------------------------------------- */

/* A second place for one waiter would tear both queues. (A child of fork may
 * hold waiters that stood in a queue of its parent's.) */
static void push(pkd_waiter_t** slot, const void* key, pkd_waiter_t* waiter,
                 bool front) {
  if (pkd__queued(waiter) && !pkd__forked())
    pkd__panic("pkd_lot_enqueue", waiter,
               "is queued already, or its memory was not zeroed");
  pkd__queue_push(slot, key, waiter, front);
}

int pkd__lot_enqueue(const void* key, pkd_waiter_t* waiter,
                     pkd_validate_cb validate, void* arg, bool front) {
  struct pkd__bucket* bucket = pkd__bucket_lock(key);
  bool wanted = validate == NULL || validate(arg);

  if (wanted)
    push(pkd__queue_find(&bucket->root, key), key, waiter, front);
  pkd__bucket_unlock(bucket);
  return wanted ? 0 : -EAGAIN;
}

int pkd_lot_enqueue(const void* key, pkd_waiter_t* waiter,
                    pkd_validate_cb validate, void* arg) {
  return pkd__lot_enqueue(key, waiter, validate, arg, false);
}

int pkd_lot_enqueue_front(const void* key, pkd_waiter_t* waiter,
                          pkd_validate_cb validate, void* arg) {
  return pkd__lot_enqueue(key, waiter, validate, arg, true);
}

int pkd_lot_enqueue_behind(const void* key, pkd_waiter_t* waiter,
                           int (*join)(void* arg, pkd_waiter_t* oldest),
                           void* arg) {
  struct pkd__bucket* bucket = pkd__bucket_lock(key);
  pkd_waiter_t** slot = pkd__queue_find(&bucket->root, key);
  bool wanted = join(arg, *slot) != 0;

  if (wanted)
    push(slot, key, waiter, false);
  pkd__bucket_unlock(bucket);
  return wanted ? 0 : -EAGAIN;
}

static inline int remove_if(pkd_waiter_t* waiter, pkd_validate_cb may_leave,
                            void* may_leave_arg, pkd_removed_cb removed,
                            void* arg) {
  struct pkd__bucket* bucket = pkd__bucket_lock_of(waiter);
  const void* key = pkd__key_of(waiter);
  pkd_waiter_t** slot = NULL;
  int rc = -ENOENT;

  if (pkd__queued(waiter))
    slot = pkd__queue_find(&bucket->root, key);
  /* It may not stand there: queued by the parent of this process, see bucket.c. */
  if (slot != NULL && *slot != NULL &&
      (!bucket->torn || pkd__queue_has(*slot, waiter))) {
    rc = may_leave == NULL || may_leave(may_leave_arg) ? 0 : -EAGAIN;
    if (rc == 0) {
      bool was_last = pkd__queue_pop(slot, waiter);

      if (removed != NULL)
        removed(arg, key, was_last);
    }
  }
  pkd__bucket_unlock(bucket);
  return rc;
}

int pkd_lot_remove(pkd_waiter_t* waiter, pkd_removed_cb removed, void* arg) {
  return remove_if(waiter, NULL, NULL, removed, arg);
}

int pkd_lot_remove_if(pkd_waiter_t* waiter, pkd_validate_cb may_leave,
                      void* may_leave_arg, pkd_removed_cb removed, void* arg) {
  return remove_if(waiter, may_leave, may_leave_arg, removed, arg);
}

uint32_t pkd_lot_due(pkd_deadline_t when) {
  uint32_t due = (uint32_t)(when >> PKD__DUE_TICK);

  return due == 0 ? 1 : due;
}

static bool is_due(const pkd_waiter_t* waiter) {
  return waiter->due != 0 &&
         pkd__due_by(waiter->due, pkd_lot_due(pkd__os_now()));
}

/* --- waking ---------------------------------------------------------------- */

pkd_unpark_result_t pkd_lot_unpark_one(const void* key, pkd_finish_cb finish,
                                       void* arg) {
  struct pkd__bucket* bucket = pkd__bucket_lock(key);
  pkd_waiter_t** slot = pkd__queue_find(&bucket->root, key);
  pkd_waiter_t* waiter = *slot;
  pkd_unpark_result_t result = {0, 0, 0, 0};
  uint64_t token = 0;

  if (waiter != NULL) {
    result.be_fair = is_due(waiter);
    result.have_more = !pkd__queue_pop(slot, waiter);
    result.unparked = 1;
  }
  if (finish != NULL)
    token = finish(arg, &result);
  pkd__bucket_unlock(bucket);
  if (waiter != NULL) {
    waiter->token = token;
    waiter->wake(waiter);
  }
  return result;
}

/* An unpark_all: those of its beginning, up to the youngest of them. If that one
 * leaves by itself meanwhile, their number is the end: for each of them that has
 * left, one who came later may be woken. */
struct crowd {
  const pkd_waiter_t* last;
  size_t there;
  size_t woken;
};

static void begin(struct crowd* crowd, const pkd_waiter_t* head) {
  const pkd_waiter_t* waiter = head;

  crowd->last = head->prev;
  do {
    crowd->there++;
    waiter = waiter->next;
  } while (waiter != head);
}

/* Dequeues up to BATCH of them. @return true when done */
static bool unpark_batch(const void* key, struct crowd* crowd,
                         struct chosen* chosen) {
  struct pkd__bucket* bucket = pkd__bucket_lock(key);
  pkd_waiter_t** slot = pkd__queue_find(&bucket->root, key);
  bool done = *slot == NULL;

  if (crowd->last == NULL && !done)
    begin(crowd, *slot);
  for (unsigned i = 0; i < BATCH && !done; i++) {
    pkd_waiter_t* waiter = *slot;

    crowd->woken++;
    done = pkd__queue_pop(slot, waiter) || waiter == crowd->last ||
           crowd->woken == crowd->there;
    choose(chosen, waiter);
  }
  pkd__bucket_unlock(bucket);
  return done;
}

size_t pkd_lot_unpark_all(const void* key, uint64_t token) {
  struct crowd crowd = {NULL, 0, 0};
  bool done;

  do {
    struct chosen chosen = {NULL, &chosen.first};

    done = unpark_batch(key, &crowd, &chosen);
    wake(&chosen, token);
  } while (!done);
  return crowd.woken;
}

/* Puts a waiter at the head of its queue, whose slot stays the same. */
static void put_first(pkd_waiter_t** slot, pkd_waiter_t* waiter) {
  if (*slot == waiter)
    return;
  pkd__queue_pop(slot, waiter);
  pkd__queue_push(slot, pkd__key_of(waiter), waiter, true);
}

pkd_unpark_result_t pkd_lot_unpark_filter(const void* key, pkd_decide_cb decide,
                                          pkd_finish_cb finish, void* arg) {
  struct pkd__bucket* bucket = pkd__bucket_lock(key);
  pkd_waiter_t** slot = pkd__queue_find(&bucket->root, key);
  pkd_waiter_t* waiter = *slot;
  const pkd_waiter_t* youngest = waiter == NULL ? NULL : waiter->prev;
  struct chosen chosen = {NULL, &chosen.first};
  pkd_unpark_result_t result = {0, 0, waiter != NULL, 0};
  uint64_t token = 0;

  while (waiter != NULL) {
    pkd_waiter_t* next = waiter == youngest ? NULL : waiter->next;
    pkd_unpark_op_t op = decide(arg, waiter);

    if (op == PKD_UNPARK_STOP)
      break;
    if (op == PKD_UNPARK_FRONT) {
      put_first(slot, waiter);
    } else if (op != PKD_UNPARK_SKIP) {
      if (result.unparked++ == 0)
        result.be_fair = is_due(waiter);
      result.have_more = !pkd__queue_pop(slot, waiter);
      if (op == PKD_UNPARK_WAKE)
        choose(&chosen, waiter);
    }
    waiter = next;
  }
  if (finish != NULL)
    token = finish(arg, &result);
  pkd__bucket_unlock(bucket);
  wake(&chosen, token);
  return result;
}

/* Moves the oldest waiter, or all, from one queue to the tail of another. They
 * leave the old queue first: with both in one bucket, its last one out changes
 * the tree, and with it the slot of the new queue. */
static size_t move(struct pkd__bucket* bucket_from, const void* from,
                   struct pkd__bucket* bucket_to, const void* to,
                   uint32_t state, bool all) {
  pkd_waiter_t** slot = pkd__queue_find(&bucket_from->root, from);
  struct chosen moved = {NULL, &moved.first};
  bool empty = *slot == NULL;
  size_t count = 0;

  while (!empty && (all || count == 0)) {
    pkd_waiter_t* waiter = *slot;

    empty = pkd__queue_pop(slot, waiter);
    choose(&moved, waiter);
    count++;
  }
  slot = pkd__queue_find(&bucket_to->root, to);
  for (pkd_waiter_t* waiter = moved.first; waiter != NULL;) {
    pkd_waiter_t* next = waiter->next;

    if (state != 0)
      /* (Q1) release, pairs with (S5) of async: its owner may be looking, and
       * then believes what was set before this */
      pkd__store_release(&waiter->state, state);
    pkd__queue_push(slot, to, waiter, false);
    waiter = next;
  }
  return count;
}

pkd_unpark_result_t pkd_lot_unpark_requeue(const void* from, const void* to,
                                           pkd_choose_cb choose_op,
                                           pkd_finish_cb finish, uint32_t state,
                                           void* arg) {
  struct pkd__bucket* bucket_from;
  struct pkd__bucket* bucket_to;
  pkd_unpark_result_t result = {0, 0, 0, 0};
  pkd_waiter_t* woken = NULL;
  pkd_waiter_t** slot;
  uint64_t token;

  pkd__bucket_lock_two(from, to, &bucket_from, &bucket_to);
  slot = pkd__queue_find(&bucket_from->root, from);
  if (*slot != NULL) {
    pkd_requeue_op_t op = choose_op(arg, *slot);

    if (op == PKD_REQUEUE_WAKE_ONE || op == PKD_REQUEUE_WAKE_MOVE_ALL) {
      woken = *slot;
      result.be_fair = is_due(woken);
      result.unparked = 1;
      pkd__queue_pop(slot, woken);
    }
    if (op >= PKD_REQUEUE_MOVE_ONE)
      result.requeued = move(bucket_from, from, bucket_to, to, state,
                             op != PKD_REQUEUE_MOVE_ONE);
    result.have_more = *pkd__queue_find(&bucket_from->root, from) != NULL;
  }
  token = finish != NULL ? finish(arg, &result) : 0;
  pkd__bucket_unlock_two(bucket_from, bucket_to);
  if (woken != NULL) {
    woken->token = token;
    woken->wake(woken);
  }
  return result;
}

/* --- looking --------------------------------------------------------------- */

typedef int (*visit_cb)(void* arg, const void* key, pkd_waiter_t* waiter);

static void visit_queue(pkd_waiter_t* head, visit_cb visit, void* arg) {
  pkd_waiter_t* waiter = head;

  if (head == NULL)
    return;
  do {
    if (!visit(arg, pkd__key_of(waiter), waiter))
      return;
    waiter = waiter->next;
  } while (waiter != head);
}

/* Recursion no deeper than the tree: at most 64 levels, see queue.h. */
static void visit_tree(pkd_waiter_t* head, visit_cb visit, void* arg) {
  if (head == NULL)
    return;
  visit_queue(head, visit, arg);
  visit_tree(head->child[0], visit, arg);
  visit_tree(head->child[1], visit, arg);
}

int pkd__lot_visit(unsigned part,
                   int (*visit)(void* arg, const void* key,
                                pkd_waiter_t* waiter),
                   void* arg) {
  struct pkd__bucket* bucket;

  if (part >= PKD_BUCKETS)
    return 0;
  bucket = pkd__bucket_lock_nth(part);
  visit_tree(bucket->root, visit, arg);
  pkd__bucket_unlock(bucket);
  return 1;
}

struct census {
  void (*visit)(void* arg, const void* key, pkd_waiter_t* waiter);
  void* arg;
  size_t count;
};

static int count(void* arg, const void* key, pkd_waiter_t* waiter) {
  struct census* census = arg;

  if (census->visit != NULL)
    census->visit(census->arg, key, waiter);
  census->count++;
  return 1;
}

size_t pkd_lot_for_each(const void* key,
                        void (*visit)(void* arg, const void* key,
                                      pkd_waiter_t* waiter),
                        void* arg) {
  struct census census = {visit, arg, 0};

  if (key != NULL) {
    struct pkd__bucket* bucket = pkd__bucket_lock(key);

    visit_queue(*pkd__queue_find(&bucket->root, key), count, &census);
    pkd__bucket_unlock(bucket);
    return census.count;
  }
  for (unsigned part = 0; pkd__lot_visit(part, count, &census); part++) {
  }
  return census.count;
}
