/* SPDX-License-Identifier: MIT
 *
 * work_keyed.c - the keyed mutex while many keys are held: what it costs to give
 * one back and to take one, with 10 keys held and with a million.
 *
 * Which key is next is not to be foreseen, so each costs the cache misses that it
 * costs a program; those of the floor are to read and write the request alone.
 * The peer is what people build: a table of who holds what, under a mutex. */
#include <stdlib.h>

#include <parkade/async/keyed.h>

#include "harness.h"
#include "keyed.h"
#include "peer.h"
#include "workloads.h"

static pkd_req_t* requests;
static pkd_async_keyed_t keyed;

static void take(uint64_t i) {
  if (pkd_async_keyed_trylock_u64(&requests[i], &keyed, keyed_key(i)) != 0)
    abort();
}

static void give_back(uint64_t i) {
  if (pkd_async_keyed_unlock(&requests[i], &keyed) != 0)
    abort();
}

static void ours_begin(uint64_t keys) {
  requests = calloc(keys, sizeof *requests);
  if (requests == NULL)
    abort();
  for (uint64_t i = 0; i < keys; i++)
    take(i);
}

static void ours_run(uint64_t keys, uint64_t count) {
  uint64_t random = 1;

  for (uint64_t n = 0; n < count; n++) {
    uint64_t i = keyed_next(&random) % keys;

    give_back(i);
    take(i);
  }
}

static void ours_end(uint64_t keys) {
  for (uint64_t i = 0; i < keys; i++)
    give_back(i);
  free(requests);
}

static void floor_begin(uint64_t keys) {
  requests = calloc(keys, sizeof *requests);
  if (requests == NULL)
    abort();
  for (uint64_t i = 0; i < keys; i++)
    requests[i].waiter.token = i; /* so that the memory is there */
}

/* Two atomics, as a table without a miss of its own would need for its lock, and
 * a request that is read and written. */
static void floor_run(uint64_t keys, uint64_t count) {
  static uint32_t word;
  uint64_t random = 1;

  for (uint64_t n = 0; n < count; n++) {
    uint64_t i = keyed_next(&random) % keys;

    for (int half = 0; half < 2; half++) {
      (void)__atomic_exchange_n(&word, 1, __ATOMIC_ACQUIRE);
      requests[i].waiter.token += keyed_key(i);
      (void)__atomic_exchange_n(&word, 0, __ATOMIC_RELEASE);
    }
  }
}

static void floor_end(uint64_t keys) {
  (void)keys;
  free(requests);
}

static const struct keyed_body ours = {ours_begin, ours_run, ours_end};
static const struct keyed_body bare = {floor_begin, floor_run, floor_end};

static void round_of(const void* peer, const void* size, unsigned ms,
                     struct result* result) {
  const struct keyed_body* body = peer;
  uint64_t keys = *(const uint64_t*)size;
  uint64_t count = (uint64_t)ms * 1000;
  uint64_t begin;
  uint64_t used;

  body->begin(keys);
  body->run(keys, count / 10); /* warm */
  used = bench_used();
  begin = bench_now();
  body->run(keys, count);
  result->value[NS] = (double)(bench_now() - begin) / (double)count;
  result->value[CPU] = (double)(bench_used() - used) / (double)count;
  body->end(keys);
}

void work_keyed(void) {
  static const uint64_t sizes[] = {10, 1000, 100000, 1000000};
  static struct cell cells[] = {
      {.id = "keyed/held-10", .title = "keyed mutex while 10 keys are held"},
      {.id = "keyed/held-1000",
       .title = "keyed mutex while 1,000 keys are held"},
      {.id = "keyed/held-100000",
       .title = "keyed mutex while 100,000 keys are held"},
      {.id = "keyed/held-1000000",
       .title = "keyed mutex while a million keys are held"},
  };

  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
    struct cell* cell = &cells[i];

    cell->op = "unlock + trylock";
    cell->size = &sizes[i];
    cell->threads = 1;
    cell->by_hand = true;
    cell_add(cell, "parkade", OURS, round_of, &ours);
#ifdef BENCH_CPP
    cell_add(cell, "unordered_map", PEER, round_of, &keyed_map);
#endif
    cell_add(cell, "its request", FLOOR, round_of, &bare);
    cell_run(cell);
  }
  goal_across("keyed/held-1000000", "keyed/held-10", 1.5);
}
