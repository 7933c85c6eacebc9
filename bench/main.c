/* SPDX-License-Identifier: MIT
 *
 * main.c - parkade-bench: options, peers, and the order of the workloads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "peers.h"
#include "threads.h"
#include "workloads.h"

static const char usage[] =
    "parkade-bench [--quick] [--only TEXT] [--against LIST] [--rounds N]\n"
    "              [--out DIR] [--list]\n"
    "  --quick     short rounds, few of them: a smoke test, not a measurement\n"
    "  --only TEXT cells whose name contains TEXT; --list shows the names\n"
    "  --against LIST  only these peers: \"glibc,absl\"\n"
    "  --rounds N  rounds of each cell, 1 to 31\n"
    "  --out DIR   also write DIR/benchmarks.tsv, from which bench/run makes\n"
    "              DIR/benchmarks.md and charts\n";

#define X(table) &table,
const struct peer* const bench_peers[] = {BENCH_PEERS NULL};
#undef X

static const char* value(int argc, char** argv, int* i) {
  if (*i + 1 >= argc) {
    fputs(usage, stderr);
    exit(2);
  }
  return argv[++*i];
}

static void parse(int argc, char** argv, struct options* o) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0) {
      o->quick = true;
    } else if (strcmp(argv[i], "--list") == 0) {
      o->list = true;
    } else if (strcmp(argv[i], "--only") == 0) {
      o->only = value(argc, argv, &i);
    } else if (strcmp(argv[i], "--against") == 0) {
      o->against = value(argc, argv, &i);
    } else if (strcmp(argv[i], "--out") == 0) {
      o->out = value(argc, argv, &i);
    } else if (strcmp(argv[i], "--rounds") == 0) {
      o->rounds = (unsigned)strtoul(value(argc, argv, &i), NULL, 10);
      if (o->rounds < 1 || o->rounds > BENCH_MAX_ROUNDS) {
        fputs(usage, stderr);
        exit(2);
      }
    } else {
      fputs(usage, strcmp(argv[i], "--help") == 0 ? stdout : stderr);
      exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
    }
  }
}

int main(int argc, char** argv) {
  parse(argc, argv, &bench_options);
  threads_company();
  report_begin(&bench_options);
#define X(name, package) report_missing(name, package);
  BENCH_MISSING
#undef X
  work_sizes();
  work_mutex_alone();
  work_mutex_contended();
  work_mutex_wake();
  work_fair();
  work_cond();
  work_rwlock();
  work_alone();
  work_lot();
#ifdef BENCH_ASYNC
  work_async();
  work_locked();
  work_keyed();
#endif
  return report_end();
}
