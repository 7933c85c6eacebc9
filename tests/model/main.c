/* SPDX-License-Identifier: MIT
 *
 * main.c - the command `explore`: which scenarios, and what is printed.
 *
 *   explore                          every scenario, depth first, to the end
 *   explore --list                   their names and bounds
 *   explore --only PREFIX[,PREFIX]   those whose name starts so
 *   explore --replay NAME SCHEDULE   one execution, with its trace
 *   explore --mode random|pct --time 5 [--seed N]
 *   explore --preemptions N --stale N   other bounds than the scenario's own
 *   explore --deep                   at least 3 preemptions and 1 stale load
 *   explore --every                  do not cut what reaches a known state
 *   explore --counts FILE            compare how many executions there were
 *   explore --strict                 ... and fail if it is any other number
 *   explore --stop                   end at the first that fails
 *   explore --record FILE            write that table
 *   explore --sites                  from where each touches memory, for
 *                                    addr2line
 *
 * A scenario that has to pass must be exhausted; one that has to fail must fail
 * with its verdict. The number of executions is part of the promise: when it
 * changes, a hook was lost, a scenario was cut or the library does other steps
 * than before, and somebody should know which. With --strict every change fails,
 * and a name that the table does not have: that is for the compiler of which the
 * table was made. Another lays out frames and repeats loads otherwise, which
 * moves a few numbers by a permille: without --strict a change is printed, and
 * less than half fails. (Where a bug has to be found, the table then only bounds
 * how soon.) */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCENARIOS 800

typedef struct settings {
  ex_options_t search;
  const char* only;
  const char* counts;
  const char* record;
  const char* replay;
  int preemptions; /* -1: the scenario's own */
  int stale;
  bool list;
  bool strict;
  bool stop;
  bool deep;
} settings_t;

static const explore_scenario_t* const groups[] = {
    explore_litmus,       explore_seeded_mutex, explore_seeded_lot,
    explore_seeded_async, explore_museum_park,  explore_museum_leave,
    explore_museum_wake,  explore_lot,          explore_mutex,
    explore_cond,         explore_cond_locks,   explore_sync,
    explore_locks,        explore_cancel,       explore_rwlock,
    explore_async,        explore_passed,       explore_grant,
    explore_loops,        explore_objects,      explore_many,
    explore_retreat,      explore_keyed,        explore_permits,
    explore_req,          explore_rings,        explore_rounds,
    explore_ticket,       explore_between,      explore_anew,
    explore_sync_grid,    explore_async_grid,   explore_shim,
};

static const explore_scenario_t* all[SCENARIOS];
static int scenario_count;
static uint64_t total;

static void collect(void) {
  for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
    for (const explore_scenario_t* s = groups[g]; s->name != NULL; s++) {
      if (scenario_count == SCENARIOS)
        abort();
      all[scenario_count++] = s;
    }
}

static void usage(void) {
  fprintf(stderr, "usage: explore [--list] [--only PREFIX] [--mode "
                  "dfs|random|pct] [--seed N]\n"
                  "  [--time SECONDS] [--executions N] [--preemptions N] "
                  "[--stale N] [--deep] [--every] [--strict] [--stop]\n"
                  "  [--counts FILE] [--record FILE] "
                  "[--replay SCENARIO SCHEDULE]\n");
  exit(2);
}

static ex_mode_t mode_named(const char* name) {
  if (strcmp(name, "dfs") == 0)
    return EX_DFS;
  if (strcmp(name, "random") == 0)
    return EX_RANDOM;
  if (strcmp(name, "pct") == 0)
    return EX_PCT;
  usage();
  return EX_DFS;
}

static void parse_value(settings_t* set, const char* name, const char* value) {
  if (strcmp(name, "--only") == 0)
    set->only = value;
  else if (strcmp(name, "--mode") == 0)
    set->search.mode = mode_named(value);
  else if (strcmp(name, "--seed") == 0)
    set->search.seed = strtoull(value, NULL, 0);
  else if (strcmp(name, "--time") == 0)
    set->search.seconds = strtod(value, NULL);
  else if (strcmp(name, "--executions") == 0)
    set->search.executions = strtoull(value, NULL, 0);
  else if (strcmp(name, "--preemptions") == 0)
    set->preemptions = atoi(value);
  else if (strcmp(name, "--stale") == 0)
    set->stale = atoi(value);
  else if (strcmp(name, "--counts") == 0)
    set->counts = value;
  else if (strcmp(name, "--record") == 0)
    set->record = value;
  else
    usage();
}

static settings_t parse(int argc, char** argv) {
  settings_t set;

  memset(&set, 0, sizeof set);
  set.preemptions = set.stale = -1;
  set.search.depth = 3;
  set.search.seed = 1;
  set.search.cache = true;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--list") == 0) {
      set.list = true;
    } else if (strcmp(argv[i], "--strict") == 0) {
      set.strict = true;
    } else if (strcmp(argv[i], "--stop") == 0) {
      set.stop = true;
    } else if (strcmp(argv[i], "--deep") == 0) {
      set.deep = true;
    } else if (strcmp(argv[i], "--sites") == 0) {
      ex_noting_sites = true;
    } else if (strcmp(argv[i], "--every") == 0) {
      set.search.cache = false;
    } else if (strcmp(argv[i], "--replay") == 0 && i + 2 < argc) {
      set.replay = argv[i + 1];
      set.search.schedule = argv[i + 2];
      i += 2;
    } else if (i + 1 < argc) {
      parse_value(&set, argv[i], argv[i + 1]);
      i++;
    } else {
      usage();
    }
  }
  return set;
}

static void set_bounds(const settings_t* set, const explore_scenario_t* s) {
  ex_bounds = s->bounds;
  if (set->preemptions >= 0)
    ex_bounds.preemptions = set->preemptions;
  if (set->stale >= 0)
    ex_bounds.stale = set->stale;
  if (set->deep && ex_bounds.preemptions < 3)
    ex_bounds.preemptions = 3;
  if (set->deep && ex_bounds.stale < 1)
    ex_bounds.stale = 1;
}

/* @return whether the name starts with one of the prefixes */
static bool is_chosen(const char* name, const char* prefixes) {
  while (prefixes != NULL && *prefixes != '\0') {
    size_t length = strcspn(prefixes, ",");
    if (strncmp(name, prefixes, length) == 0)
      return true;
    prefixes += length + (prefixes[length] == ',');
  }
  return prefixes == NULL;
}

/* Runs one execution again and prints what happened. */
static ex_result_t replay(const settings_t* set, const explore_scenario_t* s,
                          const char* schedule) {
  ex_options_t options = set->search;
  ex_result_t result;

  options.mode = EX_REPLAY;
  options.schedule = schedule;
  ex_tracing = true;
  set_bounds(set, s);
  result = ex_explore(s, &options);
  ex_tracing = false;
  ex_trace_print();
  printf("%s: %s%s%s\n", s->name, ex_verdict_name(result.verdict),
         result.message[0] != '\0' ? ": " : "", result.message);
  return result;
}

/* @return the recorded count, 0 if there is none */
static uint64_t recorded(const char* file, const char* name) {
  char line[200];
  char found[160];
  unsigned long long count;
  FILE* from = fopen(file, "r");

  if (from == NULL) {
    fprintf(stderr, "explore: cannot read %s\n", file);
    exit(2);
  }
  while (fgets(line, sizeof line, from) != NULL)
    if (sscanf(line, "%159s %llu", found, &count) == 2 &&
        strcmp(found, name) == 0) {
      fclose(from);
      return count;
    }
  fclose(from);
  return 0;
}

static bool counts_agree(const settings_t* set, const explore_scenario_t* s,
                         uint64_t executions) {
  uint64_t before;

  if (set->counts == NULL)
    return true;
  before = recorded(set->counts, s->name);
  if (executions == before)
    return true;
  /* when a bug shows depends a little on how the compiler lays out frames */
  if (s->expect != EXPLORE_OK && !set->strict)
    return executions <= 2 * before;
  printf(
      "  %s: the table says %llu executions; explore --record after a look at "
      "why\n",
      s->name, (unsigned long long)before);
  return !set->strict && executions > before / 2;
}

static bool judge(const settings_t* set, const explore_scenario_t* s,
                  const ex_result_t* result) {
  bool searched = set->search.mode == EX_DFS;

  if (result->verdict != s->expect) {
    char schedule[4200];
    snprintf(schedule, sizeof schedule, "%s", result->schedule);
    printf("  expected %s, got %s: %s\n", ex_verdict_name(s->expect),
           ex_verdict_name(result->verdict), result->message);
    if (result->verdict != EXPLORE_OK) {
      printf("  --replay %s '%s'\n", s->name, schedule);
      replay(set, s, schedule);
    }
    return false;
  }
  if (searched && s->expect == EXPLORE_OK && !result->exhausted) {
    printf("  not exhausted\n");
    return false;
  }
  if (searched && s->outcomes != 0 && result->outcomes != s->outcomes) {
    printf("  outcomes %#llx instead of %#llx\n",
           (unsigned long long)result->outcomes,
           (unsigned long long)s->outcomes);
    return false;
  }
  return counts_agree(set, s, result->executions);
}

static bool run(const settings_t* set, const explore_scenario_t* s,
                FILE* record) {
  ex_result_t result;

  ex_options_t options = set->search;

  set_bounds(set, s);
  options.cache = options.cache && !s->bounds.every;
  result = ex_explore(s, &options);
  total += result.executions;
  printf("%-44s %9llu executions  %s", s->name,
         (unsigned long long)result.executions,
         ex_verdict_name(result.verdict));
  if (result.pruned > 0)
    printf("  %llu cut", (unsigned long long)result.pruned);
  printf("  %.2f s  steps %d  threads %d\n", result.seconds, result.longest,
         result.threads);
  if (record != NULL)
    fprintf(record, "%-44s %llu\n", s->name,
            (unsigned long long)result.executions);
  if (ex_noting_sites)
    ex_sites_print();
  return judge(set, s, &result);
}

static void print_list(void) {
  for (int i = 0; i < scenario_count; i++) {
    const explore_bounds_t* b = &all[i]->bounds;
    printf("%-44s preemptions %d stale %d timeouts %d spurious %d jumps %d "
           "failures %d doubts %d\n",
           all[i]->name, b->preemptions, b->stale, b->timeouts, b->spurious,
           b->jumps, b->failures, b->doubts);
  }
}

static int run_all(const settings_t* set) {
  FILE* record = NULL;
  int passed = 0;
  int failed = 0;

  if (set->record != NULL)
    record = fopen(set->record, "w");
  if (record != NULL)
    fputs("# Executions per scenario: depth first, known states cut.\n"
          "# Made by: explore --record tests/model/counts.txt\n",
          record);
  for (int i = 0; i < scenario_count; i++) {
    if (!is_chosen(all[i]->name, set->only))
      continue;
    if (run(set, all[i], record))
      passed++;
    else if (failed++ == 0 && set->stop)
      break;
    fflush(stdout);
  }
  if (record != NULL)
    fclose(record);
  printf("%llu executions; %d passed, %d failed\n", (unsigned long long)total,
         passed, failed);
  return failed > 0 || passed == 0;
}

int main(int argc, char** argv) {
  settings_t set = parse(argc, argv);

  setvbuf(stdout, NULL, _IOLBF, 0);
  collect();
  if (set.list) {
    print_list();
    return 0;
  }
  if (set.replay == NULL)
    return run_all(&set);
  for (int i = 0; i < scenario_count; i++)
    if (strcmp(all[i]->name, set.replay) == 0)
      return replay(&set, all[i], set.search.schedule).verdict != EXPLORE_OK;
  fprintf(stderr, "explore: no scenario %s\n", set.replay);
  return 2;
}
