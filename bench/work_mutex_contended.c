/* SPDX-License-Identifier: MIT
 *
 * work_mutex_contended.c - T threads and one mutex.
 *
 * Empty sections show how the lock itself behaves, 100 ns inside and 200 ns
 * outside what a small critical section sees, some microseconds whether a lock
 * sleeps that had better spin, and a fixed number of increments what
 * justine.lol/mutex published. Throughput and waits come from two halves of a
 * round: reading the clock around a lock costs as much as the lock. */
#define _GNU_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "harness.h"
#include "peers.h"
#include "threads.h"
#include "workloads.h"

/* Of three million increments, in the system: what is not to be noticed. */
#define NEAR_ZERO_NS 5e6

struct contended {
  unsigned threads;
  unsigned inside_ns;
  unsigned outside_ns;
  uint64_t count; /* each thread's; 0: for a time */
};

/* Memory that the threads share; each part on lines of its own. */
struct arena {
  char lock[BENCH_ROOM] __attribute__((aligned(128)));
  uint64_t guarded __attribute__((aligned(128)));
  uint32_t stop __attribute__((aligned(128)));
  struct section part[BENCH_MAX_THREADS];
};

/* Steps of bench work in a nanosecond: the best of many short measurements, of
 * which others can disturb only some. */
static double steps_per_ns(void) {
  static double known;

  if (known != 0)
    return known;
  for (int i = 0; i < 50; i++) {
    const uint64_t steps = 100000;
    uint64_t x = steps;
    uint64_t begin = bench_now();
    double speed;

    for (uint64_t n = 0; n < steps; n++) {
      x = x * 0x5851f42d4c957f2du + 1;
      __asm__ volatile("" : "+r"(x));
    }
    speed = (double)steps / (double)(bench_now() - begin);
    known = speed > known ? speed : known;
  }
  return known;
}

static uint64_t run_half(const struct peer* p, const struct contended* c,
                         struct arena* a, unsigned ms, uint32_t timed) {
  memset(a, 0, sizeof *a);
  p->mutex_make(a->lock);
  for (unsigned i = 0; i < c->threads; i++) {
    struct section* s = &a->part[i];

    s->lock = a->lock;
    s->guarded = c->count != 0 ? &a->guarded : NULL;
    s->stop = &a->stop;
    s->inside = (uint64_t)(c->inside_ns * steps_per_ns());
    s->outside = (uint64_t)(c->outside_ns * steps_per_ns());
    s->count = c->count;
    s->timed = timed;
  }
  return threads_run(c->threads, p->mutex_section, a->part,
                     sizeof(struct section), c->count != 0 ? 0 : ms, &a->stop);
}

/* The processor's share of the first half: reading the clock is not the lock's
 * cost. */
static double processor_ns(double* sys) {
  struct rusage use;

  getrusage(RUSAGE_SELF, &use);
  *sys = (double)use.ru_stime.tv_sec * 1e9 + (double)use.ru_stime.tv_usec * 1e3;
  return *sys + (double)use.ru_utime.tv_sec * 1e9 +
         (double)use.ru_utime.tv_usec * 1e3;
}

/* As much of the processors for each of many threads as for each of eight. A
 * scheduler's slice may be 4 ms: in 150 ms two processors have 75 of them, for 30
 * threads two or three each, and which of the threads had how many is chance,
 * whatever the lock does. */
static unsigned round_ms(const struct contended* c, unsigned ms) {
  return c->threads > 8 ? ms * c->threads / 8 : ms;
}

static void contended_round(const void* peer, const void* size, unsigned ms,
                            struct result* result) {
  const struct contended* c = size;
  struct arena* a = aligned_alloc(128, sizeof *a);
  uint64_t least = UINT64_MAX;
  uint64_t most = 0;
  uint64_t ops = 0;
  double sys_before;
  double sys;
  double cpu_before = processor_ns(&sys_before);
  unsigned half = round_ms(c, ms);
  uint64_t wall = run_half(peer, c, a, half, 0);
  double cpu = processor_ns(&sys);

  for (unsigned i = 0; i < c->threads; i++) {
    uint64_t n = a->part[i].ops;

    ops += n;
    least = n < least ? n : least;
    most = n > most ? n : most;
  }
  if (c->count != 0 && a->guarded != ops) {
    fprintf(stderr, "parkade-bench: %s lost increments\n",
            ((const struct peer*)peer)->name);
    exit(1);
  }
  result->value[NS] = (double)wall / (double)ops;
  result->value[CPU] = (cpu - cpu_before) / (double)ops;
  result->value[SYS] = (sys - sys_before) / (double)ops;
  if (c->count == 0) {
    result->value[FAIR] = (double)least / (double)most;
    run_half(peer, c, a, half, 1);
    for (unsigned i = 0; i < c->threads; i++) {
      if ((double)a->part[i].longest > result->value[LONGEST])
        result->value[LONGEST] = (double)a->part[i].longest;
    }
  }
  free(a);
}

static void run(const char* id, const char* title,
                const struct contended* size) {
  struct cell* cell = calloc(1, sizeof *cell);

  cell->id = id;
  cell->title = title;
  cell->op = size->count != 0 ? "increment" : "section";
  cell->size = size;
  cell->threads = size->threads;
  cell->by_hand = true;
  for (const struct peer* const* p = bench_peers; *p != NULL; p++)
    cell_add(cell, (*p)->name, p == bench_peers ? OURS : PEER, contended_round,
             *p);
  cell_add(cell, "test-and-set", FLOOR, contended_round, &peer_two_rmw);
  if (size->count != 0) {
    cell->whole = size->threads * size->count;
    cell_goal(cell, "absl", NS, 1.0);
    cell_within(cell, SYS, NEAR_ZERO_NS / (double)cell->whole);
  } else if (size->inside_ns != 0) {
    cell_goal(cell, NULL, NS, 1.0);
  } else {
    cell_goal(cell, "parking_lot", NS, 1 / 1.5);
    cell_goal(cell, "absl", NS, 1 / 0.8);
    cell_within(cell, FAIR, 0.4);
    cell_goal(cell, "parking_lot", LONGEST, 0.5);
    cell_goal(cell, "parking_lot", CPU, 0.5);
  }
  cell_run(cell);
  free(cell);
}

void work_mutex_contended(void) {
  static const struct contended empty[] = {
      {2, 0, 0, 0}, {4, 0, 0, 0}, {8, 0, 0, 0}, {30, 0, 0, 0}};
  static const struct contended busy[] = {
      {2, 100, 200, 0}, {4, 100, 200, 0}, {8, 100, 200, 0}, {30, 100, 200, 0}};
  static const struct contended longer[] = {{2, 1000, 1000, 0},
                                            {4, 1000, 1000, 0},
                                            {4, 3000, 3000, 0},
                                            {8, 3000, 3000, 0},
                                            {4, 10000, 10000, 0}};
  static const struct contended counted = {30, 0, 0, 100000};

  run("mutex/empty-2", "2 threads, empty section", &empty[0]);
  run("mutex/empty-4", "4 threads, empty section", &empty[1]);
  run("mutex/empty-8", "8 threads, empty section", &empty[2]);
  run("mutex/empty-30", "30 threads, empty section", &empty[3]);
  run("mutex/busy-2", "2 threads, 100 ns inside, 200 ns outside", &busy[0]);
  run("mutex/busy-4", "4 threads, 100 ns inside, 200 ns outside", &busy[1]);
  run("mutex/busy-8", "8 threads, 100 ns inside, 200 ns outside", &busy[2]);
  run("mutex/busy-30", "30 threads, 100 ns inside, 200 ns outside", &busy[3]);
  run("mutex/us-2", "2 threads, 1 us inside, 1 us outside", &longer[0]);
  run("mutex/us-4", "4 threads, 1 us inside, 1 us outside", &longer[1]);
  run("mutex/3us-4", "4 threads, 3 us inside, 3 us outside", &longer[2]);
  run("mutex/3us-8", "8 threads, 3 us inside, 3 us outside", &longer[3]);
  run("mutex/10us-4", "4 threads, 10 us inside, 10 us outside", &longer[4]);
  run("mutex/count-30", "30 threads x 100,000 increments", &counted);
}
