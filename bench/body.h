/* SPDX-License-Identifier: MIT
 *
 * body.h - the bodies of the thread workloads, once per peer.
 *
 * Included last by peers/NAME.c or .cc, which has defined PEER (the name of its
 * table), PEER_NAME, and as static inline functions on its own types:
 *
 *   peer_mutex, peer_mutex_make, peer_lock, peer_unlock
 *   peer_cond, peer_cond_make, peer_wait, peer_signal, peer_broadcast
 *                                     unless PEER_NO_COND is defined
 *   peer_rwlock, peer_rwlock_make, peer_rdlock, peer_rdunlock, peer_wrlock,
 *   peer_wrunlock                     unless PEER_NO_RWLOCK is defined
 *
 * peers/rust/src/body.rs says the same in Rust, line by line: change both. */
#include "peer.h"

/* Work that no compiler removes: a chain of multiplications. */
static inline void body_work(uint64_t steps) {
  uint64_t x = steps;

  for (uint64_t i = 0; i < steps; i++) {
    x = x * 0x5851f42d4c957f2du + 1;
    __asm__ volatile("" : "+r"(x));
  }
}

static inline int body_goes_on(const struct section* s, uint64_t ops) {
  return s->count != 0 ? ops < s->count
                       : __atomic_load_n(s->stop, __ATOMIC_RELAXED) == 0;
}

static void body_mutex_make(void* room) {
  peer_mutex_make((peer_mutex*)room);
}

static void body_mutex_pairs(void* mutex, uint64_t count) {
  peer_mutex* m = (peer_mutex*)mutex;

  for (uint64_t i = 0; i < count; i++) {
    peer_lock(m);
    peer_unlock(m);
  }
}

static void body_mutex_walk(void* table, uint64_t mask, uint64_t count) {
  peer_mutex* m = (peer_mutex*)table;
  uint64_t at = 1;

  for (uint64_t i = 0; i < count; i++) {
    at = at * 0x5851f42d4c957f2du + 1;
    peer_lock(&m[(at >> 32) & mask]);
    peer_unlock(&m[(at >> 32) & mask]);
  }
}

static void body_mutex_lock(void* mutex) {
  peer_lock((peer_mutex*)mutex);
}

static void body_mutex_unlock(void* mutex) {
  peer_unlock((peer_mutex*)mutex);
}

static void body_mutex_section(void* arg) {
  struct section* s = (struct section*)arg;
  peer_mutex* m = (peer_mutex*)s->lock;
  uint64_t* guarded = s->guarded;
  uint64_t inside = s->inside;
  uint64_t outside = s->outside;
  uint64_t longest = 0;
  uint64_t ops = 0;

  for (; body_goes_on(s, ops); ops++) {
    uint64_t asked = s->timed ? bench_now() : 0;

    peer_lock(m);
    if (asked != 0) {
      uint64_t waited = bench_now() - asked;

      if (waited > longest)
        longest = waited;
    }
    if (guarded != NULL)
      ++*guarded;
    body_work(inside);
    peer_unlock(m);
    body_work(outside);
  }
  s->ops = ops;
  s->longest = longest;
}

#ifndef PEER_NO_COND
static void body_cond_make(void* room) {
  peer_cond_make((peer_cond*)room);
}

static void body_cond_turns(void* arg) {
  struct turns* t = (struct turns*)arg;
  peer_mutex* m = (peer_mutex*)t->lock;

  for (uint64_t i = 0; i < t->count; i++) {
    peer_lock(m);
    while (*t->turn != t->me)
      peer_wait((peer_cond*)t->mine, m);
    *t->turn = !t->me;
    peer_signal((peer_cond*)t->other);
    peer_unlock(m);
  }
}

static void body_ring_put(struct ring* r, uint64_t item) {
  peer_mutex* m = (peer_mutex*)r->lock;

  peer_lock(m);
  while (r->tail - r->head == r->slots)
    peer_wait((peer_cond*)r->not_full, m);
  r->slot[r->tail++ % r->slots] = item;
  peer_signal((peer_cond*)r->not_empty);
  peer_unlock(m);
}

static uint64_t body_ring_take(struct ring* r) {
  peer_mutex* m = (peer_mutex*)r->lock;
  uint64_t item;

  peer_lock(m);
  while (r->tail == r->head)
    peer_wait((peer_cond*)r->not_empty, m);
  item = r->slot[r->head++ % r->slots];
  peer_signal((peer_cond*)r->not_full);
  peer_unlock(m);
  return item;
}

static void body_cond_ring(void* arg) {
  struct ring_part* p = (struct ring_part*)arg;

  for (uint64_t i = 0; i < p->count; i++) {
    if (p->takes)
      p->sum += body_ring_take(p->ring);
    else
      body_ring_put(p->ring, i);
  }
}

static void body_cond_herd(void* arg) {
  struct herd* h = (struct herd*)arg;
  peer_mutex* m = (peer_mutex*)h->lock;

  peer_lock(m);
  for (uint64_t i = 0; i < h->rounds; i++) {
    if (++h->waiting == h->members)
      peer_signal((peer_cond*)h->done);
    while (h->generation == i)
      peer_wait((peer_cond*)h->call, m);
    if (++h->passed == h->members)
      peer_signal((peer_cond*)h->done);
  }
  peer_unlock(m);
}

static void body_cond_caller(void* arg) {
  struct herd* h = (struct herd*)arg;
  peer_mutex* m = (peer_mutex*)h->lock;

  peer_lock(m);
  for (uint64_t i = 0; i < h->rounds; i++) {
    uint64_t begin;

    while (h->waiting != h->members)
      peer_wait((peer_cond*)h->done, m);
    h->waiting = 0;
    h->passed = 0;
    h->generation++;
    begin = bench_now();
    peer_broadcast((peer_cond*)h->call);
    while (h->passed != h->members)
      peer_wait((peer_cond*)h->done, m);
    h->ns += bench_now() - begin;
  }
  peer_unlock(m);
}
#endif

#ifndef PEER_NO_RWLOCK
static void body_rwlock_make(void* room) {
  peer_rwlock_make((peer_rwlock*)room);
}

static void body_read_pairs(void* rwlock, uint64_t count) {
  peer_rwlock* l = (peer_rwlock*)rwlock;

  for (uint64_t i = 0; i < count; i++) {
    peer_rdlock(l);
    peer_rdunlock(l);
  }
}

static void body_write_pairs(void* rwlock, uint64_t count) {
  peer_rwlock* l = (peer_rwlock*)rwlock;

  for (uint64_t i = 0; i < count; i++) {
    peer_wrlock(l);
    peer_wrunlock(l);
  }
}

static void body_rwlock_section(void* arg) {
  struct section* s = (struct section*)arg;
  peer_rwlock* l = (peer_rwlock*)s->lock;
  uint64_t* guarded = s->guarded;
  uint64_t at = s->seed;
  uint64_t longest = 0;
  uint64_t ops = 0;

  for (; body_goes_on(s, ops); ops++) {
    uint64_t asked = s->timed ? bench_now() : 0;
    int writes;

    at = at * 0x5851f42d4c957f2du + 1;
    writes = (at >> 33) % 1000 < s->writes;
    if (writes)
      peer_wrlock(l);
    else
      peer_rdlock(l);
    if (asked != 0) {
      uint64_t waited = bench_now() - asked;

      if (waited > longest)
        longest = waited;
    }
    body_work(s->inside);
    if (writes) {
      ++*guarded;
      peer_wrunlock(l);
    } else {
      peer_rdunlock(l);
    }
    body_work(s->outside);
  }
  s->ops = ops;
  s->longest = longest;
}
#endif

#ifdef __cplusplus
extern "C" const struct peer PEER;
#else
extern const struct peer PEER;
#endif

#ifdef PEER_NO_COND
#define BODY_COND(function) NULL
#define BODY_COND_BYTES 0
#else
#define BODY_COND(function) function
#define BODY_COND_BYTES sizeof(peer_cond)
#endif
#ifdef PEER_NO_RWLOCK
#define BODY_RWLOCK(function) NULL
#define BODY_RWLOCK_BYTES 0
#else
#define BODY_RWLOCK(function) function
#define BODY_RWLOCK_BYTES sizeof(peer_rwlock)
#endif

const struct peer PEER = {
    PEER_NAME,
    sizeof(peer_mutex),
    BODY_COND_BYTES,
    body_mutex_make,
    BODY_COND(body_cond_make),
    BODY_RWLOCK_BYTES,
    BODY_RWLOCK(body_rwlock_make),
    body_mutex_pairs,
    body_mutex_walk,
    body_mutex_lock,
    body_mutex_unlock,
    BODY_RWLOCK(body_read_pairs),
    BODY_RWLOCK(body_write_pairs),
    body_mutex_section,
    BODY_COND(body_cond_turns),
    BODY_COND(body_cond_ring),
    BODY_COND(body_cond_herd),
    BODY_COND(body_cond_caller),
    BODY_RWLOCK(body_rwlock_section),
};
