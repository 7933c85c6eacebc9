/* SPDX-License-Identifier: MIT
 *
 * work_cond.c - a condition with its mutex: taking turns, a bounded queue, and a
 * herd that one broadcast lets go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "peers.h"
#include "threads.h"
#include "workloads.h"

struct room {
  char byte[BENCH_ROOM];
} __attribute__((aligned(128)));

/* --- two threads, a turn each ---------------------------------------------- */

struct turns_arena {
  struct room lock;
  struct room cond[2];
  uint32_t turn __attribute__((aligned(128)));
  struct turns part[2];
};

static void turns_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  const struct peer* p = peer;
  struct turns_arena* a = aligned_alloc(128, sizeof *a);
  uint64_t wall;

  (void)size;
  memset(a, 0, sizeof *a);
  p->mutex_make(&a->lock);
  for (unsigned i = 0; i < 2; i++) {
    p->cond_make(&a->cond[i]);
    a->part[i].lock = &a->lock;
    a->part[i].mine = &a->cond[i];
    a->part[i].other = &a->cond[!i];
    a->part[i].turn = &a->turn;
    a->part[i].me = i;
    a->part[i].count = (uint64_t)ms * 50;
  }
  wall = threads_run(2, p->cond_turns, a->part, sizeof *a->part, 0, NULL);
  result->ops = (double)(2 * a->part[0].count);
  result->value[NS] = (double)wall / result->ops;
  free(a);
}

/* --- a bounded queue ------------------------------------------------------- */

struct ring_size {
  unsigned putters; /* and as many takers */
  unsigned slots;
  unsigned per_ms; /* items */
};

struct ring_arena {
  struct room lock;
  struct room not_full;
  struct room not_empty;
  struct ring ring;
  struct ring_part part[BENCH_MAX_THREADS];
  uint64_t slot[256];
};

static void ring_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  const struct peer* p = peer;
  const struct ring_size* s = size;
  struct ring_arena* a = aligned_alloc(128, sizeof *a);
  uint64_t each = (uint64_t)ms * s->per_ms / s->putters;
  uint64_t taken = 0;
  uint64_t wall;

  memset(a, 0, sizeof *a);
  p->mutex_make(&a->lock);
  p->cond_make(&a->not_full);
  p->cond_make(&a->not_empty);
  a->ring.lock = &a->lock;
  a->ring.not_full = &a->not_full;
  a->ring.not_empty = &a->not_empty;
  a->ring.slots = s->slots;
  a->ring.slot = a->slot;
  for (unsigned i = 0; i < 2 * s->putters; i++) {
    a->part[i].ring = &a->ring;
    a->part[i].count = each;
    a->part[i].takes = i % 2;
  }
  wall = threads_run(2 * s->putters, p->cond_ring, a->part, sizeof *a->part, 0,
                     NULL);
  for (unsigned i = 0; i < 2 * s->putters; i++)
    taken += a->part[i].sum;
  if (taken != s->putters * (each * (each - 1) / 2)) {
    fprintf(stderr, "parkade-bench: %s lost an item of the queue\n", p->name);
    exit(1);
  }
  result->ops = (double)(each * s->putters);
  result->value[NS] = (double)wall / result->ops;
  free(a);
}

/* --- a herd ---------------------------------------------------------------- */

enum { HERD = 30 };

struct herd_arena {
  struct room lock;
  struct room call;
  struct room done;
  struct herd herd;
};

struct herd_part {
  const struct peer* peer;
  struct herd* herd;
  unsigned calls; /* this one is the caller */
};

static void herd_thread(void* arg) {
  struct herd_part* part = arg;

  if (part->calls)
    part->peer->cond_caller(part->herd);
  else
    part->peer->cond_herd(part->herd);
}

static void herd_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  const struct peer* p = peer;
  struct herd_arena* a = aligned_alloc(128, sizeof *a);
  struct herd_part part[HERD + 1];

  (void)size;
  memset(a, 0, sizeof *a);
  p->mutex_make(&a->lock);
  p->cond_make(&a->call);
  p->cond_make(&a->done);
  a->herd.lock = &a->lock;
  a->herd.call = &a->call;
  a->herd.done = &a->done;
  a->herd.members = HERD;
  a->herd.rounds = (uint64_t)ms * 3;
  for (unsigned i = 0; i <= HERD; i++) {
    part[i].peer = p;
    part[i].herd = &a->herd;
    part[i].calls = i == HERD;
  }
  threads_run(HERD + 1, herd_thread, part, sizeof *part, 0, NULL);
  result->ops = (double)(a->herd.rounds * HERD);
  result->value[NS] = (double)a->herd.ns / result->ops;
  free(a);
}

/* --- cells ----------------------------------------------------------------- */

static void run(const char* id, const char* title, const char* op,
                unsigned threads, bench_round round, const void* size) {
  struct cell* cell = calloc(1, sizeof *cell);

  cell->id = id;
  cell->title = title;
  cell->op = op;
  cell->size = size;
  cell->threads = threads;
  for (const struct peer* const* p = bench_peers; *p != NULL; p++) {
    if ((*p)->cond_make != NULL)
      cell_add(cell, (*p)->name, p == bench_peers ? OURS : PEER, round, *p);
  }
  cell_goal(cell, NULL, NS, 1.0);
  cell_run(cell);
  free(cell);
}

void work_cond(void) {
  static const struct ring_size ring_1_1 = {1, 128, 3000};
  static const struct ring_size ring_2_2 = {2, 128, 3000};
  static const struct ring_size slot_1_1 = {1, 1, 40};
  static const struct ring_size slot_2_2 = {2, 1, 40};

  run("cond/turns", "condition, two threads take turns", "turn", 2, turns_round,
      NULL);
  run("cond/ring-1+1", "queue of 128, 1 producer, 1 consumer", "item", 2,
      ring_round, &ring_1_1);
  run("cond/ring-2+2", "queue of 128, 2 producers, 2 consumers", "item", 4,
      ring_round, &ring_2_2);
  run("cond/slot-1+1", "queue of 1, 1 producer, 1 consumer", "item", 2,
      ring_round, &slot_1_1);
  run("cond/slot-2+2", "queue of 1, 2 producers, 2 consumers", "item", 4,
      ring_round, &slot_2_2);
  run("cond/herd-30", "broadcast to 30 threads", "waiter", 31, herd_round,
      NULL);
}
