/* SPDX-License-Identifier: MIT
 *
 * report.c - tables for people, and one file of figures for report.py.
 *
 * A goal is printed with what was measured, met or not: a benchmark that only
 * shows its good rows is an advertisement. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness.h"

/* What two runs of one program may differ by: a goal is met up to here. */
#define SAME 1.02

static FILE* figures;
static FILE* tables;
static unsigned missed;
static unsigned goals;

void report_begin(const struct options* options) {
  char path[4096];

  if (options->list)
    return;
  printf("%u processors; medians of interleaved rounds; ratio = theirs / "
         "Parkade's in the same rounds\n",
         bench_cpus());
  if (options->out == NULL)
    return;
  if (mkdir(options->out, 0777) != 0 && errno != EEXIST) {
    perror(options->out);
    exit(2);
  }
  snprintf(path, sizeof path, "%s/benchmarks.tsv", options->out);
  figures = fopen(path, "w");
  if (figures == NULL) {
    perror(path);
    exit(2);
  }
  fprintf(figures, "cell\ttitle\top\tcandidate\trole\tns\tbest\tratio\tcpu\tsys"
                   "\tfair\tlongest\trounds\tdisturbed\n");
}

void report_table(const char* title, const char* columns) {
  char path[4096];

  printf("\n%s\n%-22s  %s\n", title, "", columns);
  if (bench_options.out == NULL)
    return;
  snprintf(path, sizeof path, "%s/sizes.tsv", bench_options.out);
  if (tables == NULL && (tables = fopen(path, "w")) == NULL) {
    perror(path);
    exit(2);
  }
  fprintf(tables, "%s\t%s\n", title, columns);
}

void report_values(const char* name, const double* value, unsigned count) {
  printf("  %-22s", name);
  if (tables != NULL)
    fprintf(tables, "%s", name);
  for (unsigned i = 0; i < count; i++) {
    char text[32] = "-"; /* has none, or not known */

    if (value[i] >= 0)
      snprintf(text, sizeof text, "%.4g", value[i]);
    printf("%10s", text);
    if (tables != NULL)
      fprintf(tables, "\t%s", text);
  }
  printf("\n");
  if (tables != NULL)
    fprintf(tables, "\n");
}

static void print_ns(double ns) {
  if (ns <= 0)
    printf("%12s", "");
  else if (ns < 1e4)
    printf("%9.1f ns", ns);
  else if (ns < 1e7)
    printf("%9.1f us", ns / 1e3);
  else
    printf("%9.1f ms", ns / 1e6);
}

static void print_row(const struct cell* cell, unsigned i) {
  double fair = cell_median(cell, i, FAIR);
  double ratio = cell_ratio(cell, i, NS);

  printf("  %-22s", cell->candidate[i].name);
  print_ns(cell_median(cell, i, NS));
  print_ns(cell_best(cell, i, NS));
  if (ratio > 0)
    printf("%8.2f", ratio);
  else
    printf("%8s", "");
  print_ns(cell_median(cell, i, CPU));
  print_ns(cell_median(cell, i, SYS));
  if (fair > 0)
    printf("%11.2g", fair);
  else
    printf("%11s", "");
  print_ns(cell_median(cell, i, LONGEST));
  printf("\n");
}

static void write_row(const struct cell* cell, unsigned i) {
  static const char* const roles[] = {"ours", "peer", "floor"};

  fprintf(figures,
          "%s\t%s\t%s\t%s\t%s\t%.3f\t%.3f\t%.4f\t%.3f\t%.3f\t%.6g\t%.0f\t%u\t"
          "%u\n",
          cell->id, cell->title, cell->op, cell->candidate[i].name,
          roles[cell->candidate[i].role], cell_median(cell, i, NS),
          cell_best(cell, i, NS), cell_ratio(cell, i, NS),
          cell_median(cell, i, CPU), cell_median(cell, i, SYS),
          cell_median(cell, i, FAIR), cell_median(cell, i, LONGEST),
          cell->rounds, cell->disturbed);
}

static const char* metric_name(enum metric m) {
  static const char* const names[METRICS] = {
      "time", "processor time", "system time", "fairness", "longest wait"};

  return names[m];
}

/* The candidate that a goal is against, or -1: not in this build. */
static int rival(const struct cell* cell, const struct goal* goal) {
  int found = -1;

  for (unsigned i = 0; i < cell->candidates; i++) {
    const struct candidate* c = &cell->candidate[i];

    if (goal->than != NULL) {
      if (strcmp(goal->than, c->name) == 0)
        return (int)i;
    } else if (c->role == PEER &&
               (found < 0 ||
                cell_ratio(cell, i, goal->metric) <
                    cell_ratio(cell, (unsigned)found, goal->metric))) {
      found = (int)i;
    }
  }
  return found;
}

static void print_goal(const struct cell* cell, const struct goal* goal) {
  int other;
  double got;
  bool met;

  if (goal->metric == FAIR) {
    got = cell_median(cell, 0, FAIR);
    met = got >= goal->factor;
    printf("    goal: least/most at least %.2f: %.2f %s\n", goal->factor, got,
           met ? "met" : "MISSED");
  } else {
    other = rival(cell, goal);
    if (other < 0) {
      printf("    goal: against %s: not in this build\n",
             goal->than != NULL ? goal->than : "the best peer");
      return;
    }
    got = cell_ratio(cell, (unsigned)other, goal->metric);
    if (got <= 0) {
      printf("    goal: %s against %s: not measured\n",
             metric_name(goal->metric), cell->candidate[other].name);
      return;
    }
    got = 1 / got;
    met = got <= goal->factor * SAME;
    printf("    goal: %s at most %.2f of %s: %.2f %s\n",
           metric_name(goal->metric), goal->factor, cell->candidate[other].name,
           got, met ? "met" : "MISSED");
  }
  goals++;
  missed += !met;
}

void report_cell(const struct cell* cell) {
  printf("\n%s  [%s]  per %s\n  %-22s%12s%12s%8s%12s%12s%11s%12s\n",
         cell->title, cell->id, cell->op, "", "median", "least", "ratio", "cpu",
         "of it sys", "least/most", "longest");
  for (unsigned i = 0; i < cell->candidates; i++) {
    print_row(cell, i);
    if (figures != NULL)
      write_row(cell, i);
  }
  for (unsigned i = 0; i < cell->goals; i++)
    print_goal(cell, &cell->goal[i]);
  if (cell->disturbed != 0)
    printf("    %u of %u rounds were disturbed by other load, repeated in "
           "vain\n",
           cell->disturbed, cell->rounds * cell->candidates);
  fflush(stdout);
  if (figures != NULL)
    fflush(figures); /* whole cells only, if the run is stopped */
}

void report_missing(const char* name, const char* package) {
  printf("not in this build: %s (Debian: %s)\n", name, package);
}

int report_end(void) {
  bool written = true;

  if (goals != 0)
    printf("\n%u goals, %u met, %u missed\n", goals, goals - missed, missed);
  if (figures != NULL)
    written &= fclose(figures) == 0;
  if (tables != NULL)
    written &= fclose(tables) == 0;
  if (!written) {
    fprintf(stderr, "parkade-bench: %s: not written\n", bench_options.out);
    return 2;
  }
  return 0;
}
