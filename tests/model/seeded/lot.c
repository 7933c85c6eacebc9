/* SPDX-License-Identifier: MIT
 *
 * seeded/lot.c - a toy parking lot and a mutex on it, right and wrong in five
 * ways that real ones have been wrong.
 *
 * One bucket, nodes on the sleepers' stacks, a word per sleeper, timeouts. */
#include "../explore.h"

#include "atomic.h"
#include "os/os.h"

#include <errno.h>

enum {
  RIGHT,
  VALIDATES_OUTSIDE,
  TIMEOUT_IGNORES_GRANT,
  TOUCH_AFTER_WAKE,
  CLEARS_PARKED,
  TIMEOUT_LIES
};

enum { LOCKED = 1, PARKED = 2 };

typedef struct node {
  struct node* next;
  uint32_t woken;
  int queued;
} node_t;

static int bug;
static uint32_t bucket_lock;
static node_t* head;
static uint32_t word;
static int owned;
static int counter;

static void lock_bucket(void) {
  uint32_t seen = 0;

  if (pkd__cas_acquire(&bucket_lock, &seen, 1))
    return;
  while (pkd__exchange_acquire(&bucket_lock, 2) != 0)
    pkd__os_wait(&bucket_lock, 2, UINT64_MAX);
}

static void unlock_bucket(void) {
  if (pkd__exchange_release(&bucket_lock, 0) == 2)
    pkd__os_wake(&bucket_lock);
}

static bool is_still_taken(void) {
  return pkd__load_relaxed(&word) == (LOCKED | PARKED);
}

/* Under the bucket lock. */
static void enqueue(node_t* node) {
  node_t** end = &head;

  while (*end != NULL)
    end = &(*end)->next;
  *end = node;
}

static bool dequeue(node_t* node) {
  for (node_t** at = &head; *at != NULL; at = &(*at)->next)
    if (*at == node) {
      *at = node->next;
      return true;
    }
  return false;
}

/* @return true if nobody had woken us: then the deadline is what ends it */
static bool leaves_by_timeout(node_t* node) {
  bool left;

  if (bug == TIMEOUT_IGNORES_GRANT && pkd__load_acquire(&node->woken) != 0)
    return true;
  lock_bucket();
  left = dequeue(node);
  if (left && head == NULL)
    pkd__and_relaxed(&word, ~(uint32_t)PARKED);
  unlock_bucket();
  return left;
}

static int park(uint64_t deadline) {
  node_t node = {NULL, 0, 1};

  if (bug == VALIDATES_OUTSIDE && !is_still_taken())
    return -EAGAIN;
  lock_bucket();
  if (bug != VALIDATES_OUTSIDE && !is_still_taken()) {
    unlock_bucket();
    return -EAGAIN;
  }
  enqueue(&node);
  unlock_bucket();
  while (pkd__load_acquire(&node.woken) == 0) {
    if (pkd__os_wait(&node.woken, 0, deadline) != -ETIMEDOUT)
      continue;
    if (leaves_by_timeout(&node))
      return -ETIMEDOUT;
    deadline = UINT64_MAX; /* an unparker has us: its word comes */
    if (bug == TIMEOUT_LIES) {
      while (pkd__load_acquire(&node.woken) == 0)
        pkd__os_relax();
      return -ETIMEDOUT;
    }
  }
  return 0;
}

static void unpark(void) {
  node_t* node;
  uint32_t* woken;

  lock_bucket();
  node = head;
  if (node != NULL)
    head = node->next;
  pkd__store_release(&word, head != NULL && bug != CLEARS_PARKED ? PARKED : 0);
  if (node == NULL) {
    unlock_bucket();
    return;
  }
  node->queued = 0;
  woken = &node->woken;
  pkd__store_release(woken, 1);
  unlock_bucket();
  pkd__os_wake(woken);
  if (bug == TOUCH_AFTER_WAKE)
    node->queued = 0;
}

static int lock(uint64_t deadline) {
  uint32_t seen = 0;

  if (pkd__cas_acquire(&word, &seen, LOCKED))
    return 0;
  for (;;) {
    if (!(seen & LOCKED)) {
      if (pkd__cas_acquire(&word, &seen, seen | LOCKED))
        return 0;
      continue;
    }
    if (!(seen & PARKED) && !pkd__cas_relaxed(&word, &seen, seen | PARKED))
      continue;
    if (park(deadline) == -ETIMEDOUT)
      return -ETIMEDOUT;
    seen = pkd__load_relaxed(&word);
  }
}

static void unlock(void) {
  uint32_t seen = LOCKED;

  if (!pkd__cas_release(&word, &seen, 0))
    unpark();
}

static void enter(uint64_t deadline) {
  if (lock(deadline) != 0)
    return;
  counter++;
  owned++;
  unlock();
}

static void patient(void* arg) {
  (void)arg;
  enter(UINT64_MAX);
}

static void hurried(void* arg) {
  (void)arg;
  enter(pkd__os_now() + 1000);
}

static void body(int with, int timed) {
  bug = with;
  for (int i = 0; i < 3; i++)
    explore_spawn(i < timed ? hurried : patient, NULL);
  explore_join();
  explore_assert(counter == owned);
  explore_assert(timed > 0 || counter == 3);
  explore_assert(word == 0);
  explore_assert(head == NULL);
}

static void untimed(int with) {
  body(with, 0);
}

static void timed(int with) {
  body(with, 1);
}

#define BOUNDS                                                                 \
  { .preemptions = 2, .stale = 1, .timeouts = 2 }

const explore_scenario_t explore_seeded_lot[] = {
    {"seeded/lot-is-right", untimed, RIGHT, EXPLORE_OK, 0, BOUNDS},
    {"seeded/lot-with-timeout-is-right", timed, RIGHT, EXPLORE_OK, 0, BOUNDS},
    {"seeded/lot-validates-outside", untimed, VALIDATES_OUTSIDE,
     EXPLORE_DEADLOCK, 0, BOUNDS},
    {"seeded/lot-timeout-ignores-grant", timed, TIMEOUT_IGNORES_GRANT,
     EXPLORE_DEADLOCK, 0, BOUNDS},
    {"seeded/lot-touch-after-wake", untimed, TOUCH_AFTER_WAKE, EXPLORE_RACE, 0,
     BOUNDS},
    {"seeded/lot-clears-parked", untimed, CLEARS_PARKED, EXPLORE_DEADLOCK, 0,
     BOUNDS},
    {"seeded/lot-timeout-lies", timed, TIMEOUT_LIES, EXPLORE_DEADLOCK, 0,
     BOUNDS},
    {.name = NULL},
};
