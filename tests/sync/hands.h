/* SPDX-License-Identifier: MIT
 *
 * hands.h - a thread that holds a rwlock, in one of four ways, until it is told to
 * let go; for the tests of the rwlock. */
#ifndef PKD_TEST_HANDS_H
#define PKD_TEST_HANDS_H

#include "kit.h"

#include <parkade/rwlock.h>

/* How a hand takes the lock; it gives it up the plain way. */
enum way { READ, AGAIN, WRITE, UP, WAYS };

struct hand {
  pkd_rwlock_t* l;
  enum way way;
  pkd_deadline_t deadline;
  pthread_t thread;
  int rc;
  unsigned in;     /* atomic: 1 has the lock, 2 tried in vain */
  unsigned let_go; /* atomic */
  unsigned* order; /* atomic, shared: who got in when */
  unsigned place;
};

static inline int take(pkd_rwlock_t* l, enum way way, pkd_deadline_t deadline) {
  switch (way) {
  case READ:
    return pkd_rwlock_rdlock_until(l, deadline);
  case AGAIN:
    return pkd_rwlock_rdlock_recursive_until(l, deadline);
  case WRITE:
    return pkd_rwlock_wrlock_until(l, deadline);
  case UP:
  default:
    return pkd_rwlock_uplock_until(l, deadline);
  }
}

static inline int try_take(pkd_rwlock_t* l, enum way way) {
  switch (way) {
  case READ:
    return pkd_rwlock_tryrdlock(l);
  case AGAIN:
    return pkd_rwlock_tryrdlock_recursive(l);
  case WRITE:
    return pkd_rwlock_trywrlock(l);
  case UP:
  default:
    return pkd_rwlock_tryuplock(l);
  }
}

static inline void give(pkd_rwlock_t* l, enum way way) {
  switch (way) {
  case READ:
  case AGAIN:
    pkd_rwlock_rdunlock(l);
    break;
  case WRITE:
    pkd_rwlock_wrunlock(l);
    break;
  case UP:
  default:
    pkd_rwlock_upunlock(l);
  }
}

static inline void* hold(void* arg) {
  struct hand* h = arg;

  h->rc = take(h->l, h->way, h->deadline);
  if (h->rc == 0 && h->order != NULL)
    h->place = __atomic_add_fetch(h->order, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&h->in, h->rc == 0 ? 1 : 2, __ATOMIC_RELEASE);
  if (h->rc != 0)
    return NULL;
  while (!__atomic_load_n(&h->let_go, __ATOMIC_ACQUIRE))
    sched_yield();
  give(h->l, h->way);
  return NULL;
}

static inline void reach(struct hand* h, pkd_rwlock_t* l, enum way way) {
  h->l = l;
  h->way = way;
  if (h->deadline == 0)
    h->deadline = PKD_FOREVER;
  assert_int_equal(pthread_create(&h->thread, NULL, hold, h), 0);
}

#define IS_IN(h) (__atomic_load_n(&(h)->in, __ATOMIC_ACQUIRE) == 1)

static inline void reach_and_wait(struct hand* h, pkd_rwlock_t* l,
                                  enum way way) {
  size_t before = waiting_at(l);

  reach(h, l, way);
  WAIT_FOR(waiting_at(l) == before + 1);
}

static inline void let_go(struct hand* h) {
  __atomic_store_n(&h->let_go, 1, __ATOMIC_RELEASE);
}

static inline void drop(struct hand* h) {
  let_go(h);
  pthread_join(h->thread, NULL);
}

/* Until everybody who waits now has waited its half millisecond. */
static inline void let_patience_end(void) {
  pkd_deadline_t end = pkd_after(2 * MS);

  WAIT_FOR(pkd_now() > end);
}

#endif
