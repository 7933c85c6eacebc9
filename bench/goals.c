/* SPDX-License-Identifier: MIT
 *
 * goals.c - what ours should have been, and whether it was: each goal below its
 * cell, and all of them at the end.
 *
 * Met or not is computed here and nowhere else. A benchmark that only shows its
 * good rows is an advertisement; so a goal against a peer that is missing, or
 * about a cell that was not measured, is listed as open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* "Not above" means not measurably: two runs of one program differ by this. A goal
 * with another factor has its slack in it. */
#define SAME 1.02

enum verdict { MET, MISSED, OPEN };

static const char* const words[] = {"met", "MISSED", "open"};

struct outcome {
  char of[64]; /* the cell, or what else */
  char goal[96];
  char got[32];
  enum verdict verdict;
};

enum { MOST_OUTCOMES = 160, MOST_CELLS = 128 };

static struct outcome outcome[MOST_OUTCOMES];
static unsigned outcomes;

/* Ours in the cells so far, for goal_across(). */
static struct {
  const char* id;
  double ns;
} measured[MOST_CELLS];
static unsigned cells;

static void note(const char* of, const char* goal, const char* got,
                 enum verdict verdict) {
  struct outcome* o = &outcome[outcomes];

  if (outcomes == MOST_OUTCOMES)
    abort();
  outcomes++;
  snprintf(o->of, sizeof o->of, "%s", of);
  snprintf(o->goal, sizeof o->goal, "%s", goal);
  snprintf(o->got, sizeof o->got, "%s", got);
  o->verdict = verdict;
  printf("    goal: %s: %s%s%s\n", goal, got, got[0] != '\0' ? ", " : "",
         words[verdict]);
}

static const char* metric_name(enum metric m) {
  static const char* const names[METRICS] = {
      "time", "processor time", "system time", "least/most", "longest wait"};

  return names[m];
}

/* The candidate that a goal is against, or -1: not in this build. */
static int rival(const struct cell* cell, const struct goal* goal) {
  int found = -1;

  for (unsigned i = 0; i < cell->candidates; i++) {
    const struct candidate* c = &cell->candidate[i];

    if (goal->kind == THAN && strcmp(goal->than, c->name) == 0)
      return (int)i;
    if (goal->kind == BEST && c->role == PEER &&
        (found < 0 || cell_ratio(cell, i, goal->metric) <
                          cell_ratio(cell, (unsigned)found, goal->metric)))
      found = (int)i;
  }
  return found;
}

static void against(const struct cell* cell, const struct goal* goal) {
  int other = rival(cell, goal);
  const char* name = other >= 0           ? cell->candidate[other].name
                     : goal->than != NULL ? goal->than
                                          : "the best peer";
  double ratio =
      other >= 0 ? cell_ratio(cell, (unsigned)other, goal->metric) : 0;
  double most = goal->factor == 1 ? SAME : goal->factor;
  char text[96];
  char got[32] = "";

  if (goal->factor == 1)
    snprintf(text, sizeof text, "%s not above that of %s%s",
             metric_name(goal->metric), name,
             goal->kind == BEST ? ", the best" : "");
  else
    snprintf(text, sizeof text, "%s at most %.2f of %s",
             metric_name(goal->metric), goal->factor, name);
  if (ratio > 0)
    snprintf(got, sizeof got, "%.2f", 1 / ratio);
  note(cell->id, text, got,
       ratio <= 0          ? OPEN
       : 1 / ratio <= most ? MET
                           : MISSED);
}

static void within(const struct cell* cell, const struct goal* goal) {
  double ours = cell_median(cell, 0, goal->metric);
  char figure[32];
  char text[96];
  char got[32];

  if (goal->metric == FAIR) {
    snprintf(text, sizeof text, "least/most at least %.2f", goal->factor);
    snprintf(got, sizeof got, "%.2g", ours);
    note(cell->id, text, got, ours >= goal->factor ? MET : MISSED);
    return;
  }
  report_span(figure, sizeof figure, goal->factor);
  snprintf(text, sizeof text, "%s at most %s", metric_name(goal->metric),
           figure);
  report_span(got, sizeof got, ours);
  note(cell->id, text, ours > 0 ? got : "0",
       ours <= goal->factor ? MET : MISSED);
}

void goals_of(const struct cell* cell) {
  if (cells == MOST_CELLS)
    abort();
  measured[cells].id = cell->id;
  measured[cells++].ns = cell_median(cell, 0, NS);
  for (unsigned i = 0; i < cell->goals; i++) {
    if (cell->goal[i].kind == WITHIN)
      within(cell, &cell->goal[i]);
    else
      against(cell, &cell->goal[i]);
  }
}

static double ours_of(const char* id) {
  for (unsigned i = 0; i < cells; i++) {
    if (strcmp(measured[i].id, id) == 0)
      return measured[i].ns;
  }
  return 0;
}

void goal_across(const char* id, const char* base, double factor) {
  double a = ours_of(id);
  double b = ours_of(base);
  char text[96];
  char got[32] = "";

  if (a <= 0 && b <= 0)
    return; /* not wanted */
  snprintf(text, sizeof text, "time at most %.2f of %s", factor, base);
  if (a > 0 && b > 0)
    snprintf(got, sizeof got, "%.2f", a / b);
  note(id, text, got, got[0] == '\0' ? OPEN : a / b <= factor ? MET : MISSED);
}

void goal_exact(const char* what, double got, double most) {
  char text[96];
  char figure[32] = "";

  snprintf(text, sizeof text, "%s at most %.0f", what, most);
  if (got >= 0)
    snprintf(figure, sizeof figure, "%.3g", got);
  note("sizes", text, figure, got < 0 ? OPEN : got <= most ? MET : MISSED);
}

static bool write_all(const char* directory) {
  char path[4096];
  FILE* f;

  snprintf(path, sizeof path, "%s/goals.tsv", directory);
  f = fopen(path, "w");
  if (f == NULL)
    return false;
  fprintf(f, "of\tgoal\tgot\tverdict\n");
  for (unsigned i = 0; i < outcomes; i++)
    fprintf(f, "%s\t%s\t%s\t%s\n", outcome[i].of, outcome[i].goal,
            outcome[i].got, words[outcome[i].verdict]);
  return fclose(f) == 0;
}

bool goals_end(const char* directory) {
  unsigned count[OPEN + 1] = {0};

  if (outcomes != 0)
    printf("\nall goals of this run:\n");
  for (unsigned i = 0; i < outcomes; i++) {
    const struct outcome* o = &outcome[i];

    count[o->verdict]++;
    printf("  %-24s %-52s %10s  %s\n", o->of, o->goal, o->got,
           words[o->verdict]);
  }
  if (outcomes != 0)
    printf("%u goals, %u met, %u missed, %u open\n", outcomes, count[MET],
           count[MISSED], count[OPEN]);
  return directory == NULL || write_all(directory);
}
