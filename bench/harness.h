/* SPDX-License-Identifier: MIT
 *
 * harness.h - cells, candidates, rounds: what every workload is measured by.
 *
 * A cell is one workload at one size. Its candidates take turns, one round each,
 * and start in another order every time, so that a change of the machine's mood
 * hits all of them. A figure is the median over the rounds, a ratio the median of
 * the ratios of paired rounds. A round during which others used the processors
 * is thrown away and repeated, a bounded number of times; what is measured then
 * is marked. */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_MAX_CANDIDATES = 16, BENCH_MAX_ROUNDS = 31, BENCH_MAX_GOALS = 12 };

enum role { OURS, PEER, FLOOR };

/* What a round can tell. NS is always there; 0 = this workload has no such. */
enum metric {
  NS,   /* wall nanoseconds per operation */
  CPU,  /* processor nanoseconds per operation, all threads, user and system */
  SYS,  /* of these, in the system */
  FAIR, /* operations of the least lucky thread / of the luckiest */
  LONGEST, /* the longest wait of any thread, nanoseconds */
  METRICS
};

struct result {
  double value[METRICS];
  /* Operations behind them; the harness divides the processor's time by it. */
  double ops;
};

/* One round of about `ms` milliseconds (workloads of fixed size ignore it). */
typedef void (*bench_round)(const void* peer, const void* size, unsigned ms,
                            struct result* result);

struct candidate {
  const char* name;
  enum role role;
  bench_round round;
  const void* peer; /* for `round` */
};

/* What ours has to be. */
enum goal_kind {
  THAN,   /* at most `factor` times the figure of the candidate `than` */
  BEST,   /* at most `factor` times the best peer's */
  WITHIN, /* at most `factor`, a figure; FAIR: at least */
};

struct goal {
  enum goal_kind kind;
  const char* than;
  enum metric metric;
  double factor;
};

struct cell {
  const char* id;    /* for --only: "mutex/threads-4" */
  const char* title; /* one line */
  const char* op;    /* what one operation is */
  const void* size;  /* for `round` */
  /* Threads that want a processor at once; more than there are processors means
   * that involuntary switches are the workload's own. */
  unsigned threads;
  bool by_hand; /* `round` fills CPU and SYS itself */
  /* Operations of a round, where its whole is of interest: wall, user, system. */
  uint64_t whole;
  struct candidate candidate[BENCH_MAX_CANDIDATES];
  unsigned candidates;
  struct goal goal[BENCH_MAX_GOALS];
  unsigned goals;

  /* filled by cell_run */
  struct result raw[BENCH_MAX_CANDIDATES][BENCH_MAX_ROUNDS];
  unsigned rounds;
  unsigned disturbed; /* rounds that stayed disturbed */
};

struct options {
  bool quick;
  bool list;
  const char* only;
  const char* against;
  const char* out;
  unsigned rounds; /* 0: as `quick` says */
};

void cell_add(struct cell* cell, const char* name, enum role role,
              bench_round round, const void* peer);
/** A goal against a candidate; `than` NULL: against the best peer. */
void cell_goal(struct cell* cell, const char* than, enum metric metric,
               double factor);
/** A goal that is a figure: nanoseconds at most; FAIR: at least. */
void cell_within(struct cell* cell, enum metric metric, double figure);

/** Is it wanted? If so measures it and hands it to the report. */
void cell_run(struct cell* cell);

double cell_median(const struct cell* cell, unsigned candidate, enum metric m);
double cell_best(const struct cell* cell, unsigned candidate, enum metric m);
/** Median over the rounds of candidate's figure / ours. 0: there is no ours. */
double cell_ratio(const struct cell* cell, unsigned candidate, enum metric m);

/* goals.c */
void goals_of(const struct cell* cell);
/** Ours of cell `id` at most `factor` times that of the cell `base`, both of which
 * have been measured before, if they are wanted. */
void goal_across(const char* id, const char* base, double factor);
/** `what` is `got`, and must be `most` at most. Below 0: not known. */
void goal_exact(const char* what, double got, double most);
/** The list of all goals, and `DIR/goals.tsv`. @return whether it was written */
bool goals_end(const char* directory);

/* report.c */
/** "12.3 ns"; nothing for 0 and below */
void report_span(char* text, size_t room, double ns);
void report_begin(const struct options* options);
void report_cell(const struct cell* cell);
/** Begins a table without times, whose columns are separated by tabs; and a line
 * of it. A value below 0 is not known. */
void report_table(const char* title, const char* columns);
void report_values(const char* name, const double* value, unsigned count);
/** Says that a peer is not there, and how to get it. */
void report_missing(const char* name, const char* package);
int report_end(void);

/* harness.c */
extern struct options bench_options;
unsigned bench_cpus(void);

#endif
