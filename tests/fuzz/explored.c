/* SPDX-License-Identifier: MIT
 *
 * explored.c - one input of a fuzzer as one execution of the explorer. */
#include "explored.h"

#include "model/engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static ex_result_t run(const explore_scenario_t* scenario,
                       const struct input* schedule) {
  ex_options_t options = {
      .mode = EX_BYTES, .bytes = schedule->bytes, .length = schedule->left};

  ex_bounds = scenario->bounds;
  return ex_explore(scenario, &options);
}

/* The explorer catches signals for itself; at the end of the process it is the
 * fuzzer that has to see them, to keep the input. */
static struct sigaction fuzzers;
static bool noted;

static void crash(void) {
  sigaction(SIGABRT, &fuzzers, NULL);
  abort();
}

void explored_run(const char* name, void (*body)(int unused),
                  const explore_bounds_t* bounds,
                  const struct input* schedule) {
  const explore_scenario_t scenario = {
      .name = name, .body = body, .bounds = *bounds};
  ex_result_t result;

  if (!noted)
    sigaction(SIGABRT, NULL, &fuzzers);
  noted = true;
  result = run(&scenario, schedule);

  if (result.verdict == EXPLORE_OK)
    return;
  /* Once more, to tell how. */
  ex_tracing = true;
  result = run(&scenario, schedule);
  ex_tracing = false;
  ex_trace_print();
  printf("%s: %s: %s\n", name, ex_verdict_name(result.verdict), result.message);
  fflush(stdout);
  crash();
}
