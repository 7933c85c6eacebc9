/* SPDX-License-Identifier: MIT
 *
 * harness.c - rounds: whose turn it is, and whether one counts.
 *
 * "Others used the processors" is /proc/stat's busy time during the round minus
 * our own (getrusage), beyond a tenth and the granularity of its ticks; and, for
 * a cell that has a processor for each of its threads, threads of ours that were
 * made to give theirs up. */
#define _GNU_SOURCE

#include "harness.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* How often a disturbed round is repeated, and after how many rounds of a cell
 * that stayed disturbed nothing is repeated any more: the machine is busy, and
 * more of the same would not end. */
#define REPEATS 4
#define GIVE_UP 6

struct options bench_options;

struct meter {
  double wall; /* seconds, all of them */
  double user;
  double sys;
  double busy; /* of all processors, everybody's */
  long evicted;
};

static double read_busy(void) {
  unsigned long long v[8] = {0};
  FILE* f = fopen("/proc/stat", "r");
  double ticks = 0;

  if (f == NULL)
    return 0;
  if (fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1],
             &v[2], &v[3], &v[4], &v[5], &v[6], &v[7]) == 8)
    ticks = (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]);
  fclose(f);
  return ticks / (double)sysconf(_SC_CLK_TCK);
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void read_meter(struct meter* m) {
  struct rusage use;
  struct timespec now;

  getrusage(RUSAGE_SELF, &use);
  clock_gettime(CLOCK_MONOTONIC, &now);
  m->wall = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
  m->user = seconds(use.ru_utime);
  m->sys = seconds(use.ru_stime);
  m->evicted = use.ru_nivcsw;
  m->busy = read_busy();
}

unsigned bench_cpus(void) {
  cpu_set_t set;

  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return 1;
  return (unsigned)CPU_COUNT(&set);
}

static bool was_disturbed(const struct cell* cell, const struct meter* a,
                          const struct meter* b) {
  double wall = b->wall - a->wall;
  double own = (b->user - a->user) + (b->sys - a->sys);
  double others = (b->busy - a->busy) - own;

  if (others > 0.04 + 0.1 * wall * bench_cpus())
    return true;
  return cell->threads <= bench_cpus() &&
         (double)(b->evicted - a->evicted) > 4 + 100 * wall;
}

/* @return whether it counts */
static bool one_round(struct cell* cell, const struct candidate* c, unsigned ms,
                      struct result* result) {
  struct meter before;
  struct meter after;

  memset(result, 0, sizeof *result);
  read_meter(&before);
  c->round(c->peer, cell->size, ms, result);
  read_meter(&after);
  if (!cell->by_hand && result->ops > 0) {
    double user = after.user - before.user;
    double sys = after.sys - before.sys;

    result->value[CPU] = (user + sys) * 1e9 / result->ops;
    result->value[SYS] = sys * 1e9 / result->ops;
  }
  return !was_disturbed(cell, &before, &after);
}

void cell_add(struct cell* cell, const char* name, enum role role,
              bench_round round, const void* peer) {
  struct candidate* c = &cell->candidate[cell->candidates];
  const char* against = bench_options.against;

  if (against != NULL && role != OURS && strstr(against, name) == NULL)
    return;
  if (cell->candidates == BENCH_MAX_CANDIDATES)
    abort();
  cell->candidates++;
  c->name = name;
  c->role = role;
  c->round = round;
  c->peer = peer;
}

void cell_goal(struct cell* cell, const char* than, enum metric metric,
               double factor) {
  struct goal* goal = &cell->goal[cell->goals];

  if (cell->goals == BENCH_MAX_GOALS)
    abort();
  cell->goals++;
  goal->kind = than != NULL ? THAN : BEST;
  goal->than = than;
  goal->metric = metric;
  goal->factor = factor;
}

void cell_within(struct cell* cell, enum metric metric, double figure) {
  cell_goal(cell, NULL, metric, figure);
  cell->goal[cell->goals - 1].kind = WITHIN;
}

void cell_run(struct cell* cell) {
  const struct options* o = &bench_options;
  unsigned ms = o->quick ? 40 : 150;

  if (o->only != NULL && strstr(cell->id, o->only) == NULL)
    return;
  if (o->list) {
    printf("%-28s %s\n", cell->id, cell->title);
    return;
  }
  cell->rounds = o->rounds != 0 ? o->rounds : o->quick ? 3 : 9;
  for (unsigned round = 0; round < cell->rounds; round++) {
    for (unsigned i = 0; i < cell->candidates; i++) {
      unsigned turn = (round + i) % cell->candidates;
      bool counts = false;

      for (unsigned k = 0;
           !counts && k <= (cell->disturbed < GIVE_UP ? REPEATS : 0); k++)
        counts = one_round(cell, &cell->candidate[turn], ms,
                           &cell->raw[turn][round]);
      cell->disturbed += !counts;
    }
  }
  report_cell(cell);
}

/* --- figures --------------------------------------------------------------- */

static int ascending(const void* a, const void* b) {
  double x = *(const double*)a;
  double y = *(const double*)b;

  return (x > y) - (x < y);
}

static double median(double* v, unsigned n) {
  qsort(v, n, sizeof *v, ascending);
  return n % 2 != 0 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double cell_median(const struct cell* cell, unsigned candidate, enum metric m) {
  double v[BENCH_MAX_ROUNDS];

  for (unsigned r = 0; r < cell->rounds; r++)
    v[r] = cell->raw[candidate][r].value[m];
  return median(v, cell->rounds);
}

double cell_best(const struct cell* cell, unsigned candidate, enum metric m) {
  double best = cell->raw[candidate][0].value[m];

  for (unsigned r = 1; r < cell->rounds; r++) {
    double v = cell->raw[candidate][r].value[m];

    if (m == FAIR ? v > best : v < best)
      best = v;
  }
  return best;
}

double cell_ratio(const struct cell* cell, unsigned candidate, enum metric m) {
  double v[BENCH_MAX_ROUNDS];
  unsigned ours = 0;

  while (ours < cell->candidates && cell->candidate[ours].role != OURS)
    ours++;
  if (ours == cell->candidates)
    return 0;
  for (unsigned r = 0; r < cell->rounds; r++) {
    double base = cell->raw[ours][r].value[m];

    v[r] = base > 0 ? cell->raw[candidate][r].value[m] / base : 0;
  }
  return median(v, cell->rounds);
}
