/* SPDX-License-Identifier: MIT
 *
 * peer.h - a lock library as the benchmark sees it: one table of bodies.
 *
 * The bodies are compiled once per peer with the peer's own calls in them
 * (body.h for C and C++, peers/rust for Rust), so that whatever the peer offers
 * inline is inline, and no call through a pointer stands inside a loop. The same
 * structs go to all of them. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for any peer's object; a cache line and more of its own. */
enum { BENCH_ROOM = 128 };

/* One thread's part of a contended workload. */
struct section {
  void* lock;        /* the peer's object, made by ..._make */
  uint64_t* guarded; /* a counter under the lock; NULL: the section has none */
  const uint32_t* stop;
  uint64_t inside;  /* steps of bench work under the lock */
  uint64_t outside; /* and after it */
  uint64_t count;   /* operations to do; 0: until *stop */
  uint64_t seed;    /* rwlock: which operations write */
  uint32_t writes;  /* rwlock: per thousand */
  uint32_t timed;   /* measure each wait */
  /* out */
  uint64_t ops;
  uint64_t longest; /* nanoseconds */
} __attribute__((aligned(128)));

/* Two threads, a turn each; a mutex and a condition for either. */
struct turns {
  void* lock;
  void* mine;
  void* other;
  uint32_t* turn;
  uint32_t me;
  uint64_t count;
} __attribute__((aligned(128)));

/* A bounded queue of numbers. */
struct ring {
  void* lock;
  void* not_full;
  void* not_empty;
  uint64_t slots;
  uint64_t* slot;
  uint64_t head;
  uint64_t tail;
} __attribute__((aligned(128)));

struct ring_part {
  struct ring* ring;
  uint64_t count;
  uint32_t takes; /* 0: puts */
  uint64_t sum;   /* out: what was taken, to be checked */
} __attribute__((aligned(128)));

/* `members` threads that wait for one call; the caller times it. */
struct herd {
  void* lock;
  void* call;
  void* done;
  uint64_t members;
  uint64_t rounds;
  uint64_t generation;
  uint64_t waiting;
  uint64_t passed;
  uint64_t ns; /* out: from the calls to the last member through */
} __attribute__((aligned(128)));

struct peer {
  const char* name;
  /* objects: made in zeroed memory; NULL: it has none */
  uint64_t mutex_bytes;
  uint64_t cond_bytes;
  void (*mutex_make)(void* room);
  void (*cond_make)(void* room);
  uint64_t rwlock_bytes;
  void (*rwlock_make)(void* room);
  /* one thread */
  void (*mutex_pairs)(void* mutex, uint64_t count);
  void (*mutex_walk)(void* table, uint64_t mask, uint64_t count);
  void (*mutex_lock)(void* mutex);
  void (*mutex_unlock)(void* mutex);
  void (*read_pairs)(void* rwlock, uint64_t count);
  void (*write_pairs)(void* rwlock, uint64_t count);
  /* threads; each takes the struct named */
  void (*mutex_section)(void* section);
  void (*cond_turns)(void* turns);
  void (*cond_ring)(void* ring_part);
  void (*cond_herd)(void* herd);
  void (*cond_caller)(void* herd);
  void (*rwlock_section)(void* section);
};

uint64_t bench_now(void);
/** Nanoseconds of a processor that this thread has used: right also where others
 * take the processor away. */
uint64_t bench_used(void);

#ifdef __cplusplus
}
#endif

#endif
