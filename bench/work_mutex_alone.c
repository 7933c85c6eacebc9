/* SPDX-License-Identifier: MIT
 *
 * work_mutex_alone.c - a mutex that nobody contends: one hot in the cache, and
 * a walk over a million of them, where size counts. One thread, so the goals are
 * about its processor time. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "peers.h"
#include "workloads.h"

struct alone {
  uint64_t mutexes; /* a power of two; 1: hot */
};

static void alone_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  const struct peer* p = peer;
  const struct alone* s = size;
  uint64_t count = (uint64_t)ms * 50000;
  size_t bytes = s->mutexes * p->mutex_bytes + BENCH_ROOM;
  char* table = aligned_alloc(128, (bytes + 127) / 128 * 128);
  uint64_t begin;
  uint64_t used;

  memset(table, 0, bytes);
  for (uint64_t i = 0; i < s->mutexes; i++)
    p->mutex_make(table + i * p->mutex_bytes);
  if (s->mutexes == 1)
    p->mutex_pairs(table, count / 10); /* warm */
  else
    p->mutex_walk(table, s->mutexes - 1, count / 10);
  used = bench_used();
  begin = bench_now();
  if (s->mutexes == 1)
    p->mutex_pairs(table, count);
  else
    p->mutex_walk(table, s->mutexes - 1, count);
  result->value[NS] = (double)(bench_now() - begin) / (double)count;
  result->value[CPU] = (double)(bench_used() - used) / (double)count;
  free(table);
}

static void add_all(struct cell* cell) {
  for (const struct peer* const* p = bench_peers; *p != NULL; p++)
    cell_add(cell, (*p)->name, p == bench_peers ? OURS : PEER, alone_round, *p);
  cell_add(cell, "two RMWs on a byte", FLOOR, alone_round, &peer_two_rmw);
}

void work_mutex_alone(void) {
  static const struct alone one = {1};
  static const struct alone many = {1u << 20};
  static struct cell hot = {.id = "mutex/alone",
                            .title = "mutex, uncontended",
                            .op = "lock + unlock",
                            .size = &one,
                            .threads = 1,
                            .by_hand = true};
  static struct cell walk = {.id = "mutex/walk",
                             .title = "random walk over 2^20 mutexes",
                             .op = "lock + unlock",
                             .size = &many,
                             .threads = 1,
                             .by_hand = true};

  add_all(&hot);
  cell_goal(&hot, "two RMWs on a byte", CPU, 1.05);
  cell_goal(&hot, "glibc", CPU, 0.75);
  cell_goal(&hot, "parking_lot", CPU, 1.0);
  cell_run(&hot);
  add_all(&walk);
  cell_goal(&walk, "parking_lot", CPU, 1.0);
  cell_run(&walk);
}
