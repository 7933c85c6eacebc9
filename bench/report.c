/* SPDX-License-Identifier: MIT
 *
 * report.c - tables for people, and files of figures for report.py. What ours
 * should have been is in goals.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness.h"

static FILE* figures;
static FILE* tables;

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
                   "\tfair\tlongest\trounds\tdisturbed\twhole\n");
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

void report_span(char* text, size_t room, double ns) {
  text[0] = '\0';
  if (ns > 0 && ns < 1e4)
    snprintf(text, room, "%.1f ns", ns);
  else if (ns > 0 && ns < 1e7)
    snprintf(text, room, "%.1f us", ns / 1e3);
  else if (ns > 0)
    snprintf(text, room, "%.1f ms", ns / 1e6);
}

static void print_ns(double ns) {
  char text[32];

  report_span(text, sizeof text, ns);
  printf("%12s", text);
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
          "%u\t%llu\n",
          cell->id, cell->title, cell->op, cell->candidate[i].name,
          roles[cell->candidate[i].role], cell_median(cell, i, NS),
          cell_best(cell, i, NS), cell_ratio(cell, i, NS),
          cell_median(cell, i, CPU), cell_median(cell, i, SYS),
          cell_median(cell, i, FAIR), cell_median(cell, i, LONGEST),
          cell->rounds, cell->disturbed, (unsigned long long)cell->whole);
}

/* What `cell->whole` operations took in all. */
static void print_whole(const struct cell* cell) {
  printf("  in ms, all of %llu:\n  %-22s%12s%12s%12s\n",
         (unsigned long long)cell->whole, "", "wall", "user", "sys");
  for (unsigned i = 0; i < cell->candidates; i++) {
    double ms = (double)cell->whole / 1e6;
    double sys = cell_median(cell, i, SYS);

    printf("  %-22s%12.1f%12.1f%12.1f\n", cell->candidate[i].name,
           cell_median(cell, i, NS) * ms,
           (cell_median(cell, i, CPU) - sys) * ms, sys * ms);
  }
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
  if (cell->whole != 0)
    print_whole(cell);
  goals_of(cell);
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
  bool written = goals_end(bench_options.out);

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
