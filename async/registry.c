/* SPDX-License-Identifier: MIT
 *
 * registry.c - which loops are attached, and which threads are theirs.
 *
 * A thread that has a loop to run must never block on a lock: its owner may be a
 * task of that loop. Thread identity decides, not whether the loop happens to be
 * running, so that the answer never depends on luck. pkd_thread_id() will not
 * do: the number of a thread that has ended may return, and an innocent thread
 * would inherit a loop.
 *
 * The answer for one thread is kept in the thread until `version` changes, which
 * it does when a loop is attached, detached or gets another thread. */
#include <parkade/mutex.h>

#include "grant.h"
#include "home.h"

#include <pthread.h>

static pkd_mutex_t lock;
static struct pkd__home* homes; /* under lock */
static bool forked;             /* atomic */
static uint64_t version = 1;    /* atomic; changes under lock, or for a move */

PKD__THREAD_LOCAL uint64_t pkd__self_number;

uint64_t pkd__self_first(void) {
  static uint64_t last;

  /* relaxed: only has to be unique */
  pkd__self_number = pkd__add_relaxed(&last, 1) + 1;
  return pkd__self_number;
}

bool pkd__registry_add(struct pkd__home* home) {
  static uint32_t last; /* under lock */
  bool known = false;

  pkd_mutex_lock(&lock);
  for (struct pkd__home* h = homes; h != NULL; h = h->next)
    known |= h->uv == home->uv || h->face == home->face;
  if (!known) {
    last += last == UINT32_MAX ? 2 : 1;
    home->number = last;
    home->next = homes;
    homes = home;
    pkd__registry_moved();
  }
  pkd_mutex_unlock(&lock);
  return !known;
}

void pkd__registry_remove(struct pkd__home* home) {
  struct pkd__home** slot = &homes;

  pkd_mutex_lock(&lock);
  while (*slot != home)
    slot = &(*slot)->next;
  *slot = home->next;
  pkd__registry_moved();
  pkd_mutex_unlock(&lock);
}

void pkd__registry_each(void (*visit)(void* arg, struct pkd__home* home),
                        void* arg) {
  pkd_mutex_lock(&lock);
  for (struct pkd__home* h = homes; h != NULL; h = h->next)
    visit(arg, h);
  pkd_mutex_unlock(&lock);
}

void pkd__registry_moved(void) {
  /* (R1) release, pairs with (R2): who sees the new version finds the change */
  pkd__add_release(&version, 1);
}

bool pkd__thread_has_loop(void) {
  static _Thread_local uint64_t known;
  static _Thread_local bool has_loop;
  /* (R2) acquire, pairs with (R1). What this thread did itself it sees anyway;
   * of others, what it has been told of. */
  uint64_t now = pkd__load_acquire(&version);

  if (known == now)
    return has_loop;
  uint64_t self = pkd__self();
  has_loop = false;
  pkd_mutex_lock(&lock);
  for (struct pkd__home* h = homes; h != NULL; h = h->next) {
    /* relaxed: (R2) brought what matters */
    uint64_t owner = pkd__load_relaxed(&h->owner) >> 1;

    has_loop |= owner == self || h->attacher == self;
  }
  pkd_mutex_unlock(&lock);
  known = now;
  return has_loop;
}

/* A fork must not find the list half changed, nor locked by a thread that the
 * child does not have. */
static void before_fork(void) PKD_ACQUIRE(lock) {
  pkd_mutex_lock(&lock);
}

static void after_fork(void) PKD_RELEASE(lock) {
  pkd_mutex_unlock(&lock);
}

/* The lock is made anew, not given up: others of the parent may wait for it. */
static void in_child(void) PKD_NO_ANALYSIS {
  /* The loops of the parent are not to be looked at any more, and keep nobody
   * from blocking: nothing here runs them. */
  for (struct pkd__home* h = homes; h != NULL; h = h->next)
    pkd__store_relaxed(&h->patience, 0); /* relaxed: the only thread */
  homes = NULL;
  pkd__registry_moved();
  lock = (pkd_mutex_t)PKD_MUTEX_INIT;
  pkd__watch_forked();
  pkd__many_forked();
  pkd__cycle_forked();
  pkd__store_relaxed(&forked, true); /* relaxed: the only thread */
}

bool pkd__in_forked_child(void) {
  return pkd__load_relaxed(&forked); /* relaxed: set before there are threads */
}

/* As early as the lot, see src/bucket.c. What a program has done before a fork is
 * done before the lock is taken here, and what it does after it comes after. */
__attribute__((constructor(101))) static void watch_forks(void) {
  pthread_atfork(before_fork, after_fork, in_child);
}
