/* SPDX-License-Identifier: MIT
 *
 * work_rwlock.c - readers and writers: alone, four threads of which some write,
 * and one writer against readers that never leave the lock free: what it gets, and
 * what they get meanwhile. A lock that starves it has the fastest readers. */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "peers.h"
#include "threads.h"
#include "workloads.h"

enum { THREADS = 4 };

struct mix {
  uint32_t writes;    /* of a thousand */
  bool one_writer;    /* thread 0 writes, the others read without a pause */
  bool counts_writes; /* what it got, instead of what they got */
};

struct arena {
  char lock[BENCH_ROOM * 2] __attribute__((aligned(128)));
  uint64_t guarded __attribute__((aligned(128)));
  uint32_t stop __attribute__((aligned(128)));
  struct section part[THREADS];
};

static void pairs_round(const void* peer, bool writes, unsigned ms,
                        struct result* result) {
  const struct peer* p = peer;
  uint64_t count = (uint64_t)ms * 50000;
  void* lock = aligned_alloc(128, BENCH_ROOM * 2);
  uint64_t begin;
  uint64_t used;

  memset(lock, 0, BENCH_ROOM * 2);
  p->rwlock_make(lock);
  used = bench_used();
  begin = bench_now();
  if (writes)
    p->write_pairs(lock, count);
  else
    p->read_pairs(lock, count);
  result->value[NS] = (double)(bench_now() - begin) / (double)count;
  result->value[CPU] = (double)(bench_used() - used) / (double)count;
  free(lock);
}

static void read_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  (void)size;
  pairs_round(peer, false, ms, result);
}

static void write_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  (void)size;
  pairs_round(peer, true, ms, result);
}

static void mix_round(const void* peer, const void* size, unsigned ms,
                      struct result* result) {
  const struct peer* p = peer;
  const struct mix* mix = size;
  struct arena* a = aligned_alloc(128, sizeof *a);
  uint64_t wall;

  memset(a, 0, sizeof *a);
  p->rwlock_make(a->lock);
  for (unsigned i = 0; i < THREADS; i++) {
    struct section* s = &a->part[i];
    bool writer = mix->one_writer && i == 0;

    s->lock = a->lock;
    s->guarded = &a->guarded;
    s->stop = &a->stop;
    s->seed = i + 1;
    s->writes = writer ? 1000 : mix->writes;
    s->timed = writer;
    s->inside = mix->one_writer && !writer ? 2000 : 0;
    s->outside = writer ? 20000 : 0;
  }
  wall = threads_run(THREADS, p->rwlock_section, a->part,
                     sizeof(struct section), ms, &a->stop);
  for (unsigned i = 0; i < THREADS; i++) {
    if (!mix->one_writer || mix->counts_writes == (i == 0))
      result->ops += (double)a->part[i].ops;
  }
  if (result->ops < 1)
    result->ops = 1; /* it has waited all the time */
  result->value[NS] = (double)wall / result->ops;
  result->value[LONGEST] = (double)a->part[0].longest;
  free(a);
}

static struct cell* make(const char* id, const char* title, const char* op,
                         unsigned threads, bench_round round,
                         const struct mix* size) {
  struct cell* cell = calloc(1, sizeof *cell);

  cell->id = id;
  cell->title = title;
  cell->op = op;
  cell->size = size;
  cell->threads = threads;
  /* The processors' time goes to the readers whatever the writer gets. */
  cell->by_hand = threads == 1 || (size != NULL && size->one_writer);
  for (const struct peer* const* p = bench_peers; *p != NULL; p++) {
    if ((*p)->rwlock_make != NULL)
      cell_add(cell, (*p)->name, p == bench_peers ? OURS : PEER, round, *p);
  }
  return cell;
}

static void run(struct cell* cell, const char* than, enum metric metric,
                double factor) {
  if (factor > 0)
    cell_goal(cell, than, metric, factor);
  cell_run(cell);
  free(cell);
}

void work_rwlock(void) {
  static const struct mix ten = {100, false, false};
  static const struct mix one = {10, false, false};
  static const struct mix writer = {0, true, true};
  static const struct mix readers = {0, true, false};
  struct cell* cell;

  run(make("rwlock/read", "rwlock, uncontended read", "read lock + unlock", 1,
           read_round, NULL),
      NULL, CPU, 1.0);
  run(make("rwlock/write", "rwlock, uncontended write", "write lock + unlock",
           1, write_round, NULL),
      NULL, CPU, 1.0);
  run(make("rwlock/90-10", "rwlock, 4 threads, 10 % writes", "section", THREADS,
           mix_round, &ten),
      "nsync", NS, 1.0);
  run(make("rwlock/99-1", "rwlock, 4 threads, 1 % writes", "section", THREADS,
           mix_round, &one),
      "nsync", NS, 1.0);
  cell = make("rwlock/one-writer", "one writer against 3 endless readers",
              "write", THREADS, mix_round, &writer);
  cell_within(cell, LONGEST, 1e6);
  run(cell, NULL, LONGEST, 0);
  run(make("rwlock/its-readers", "the readers of one writer", "read", THREADS,
           mix_round, &readers),
      NULL, NS, 0);
}
