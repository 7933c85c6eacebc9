/* SPDX-License-Identifier: MIT
 *
 * run.c - one search: execution after execution, until one fails or none is
 * left.
 *
 * Every way out of an execution ends in ex_leave(): all threads done, a
 * verdict, a signal raised by explored code, or the cache's cut. The stacks are
 * simply abandoned, static memory is put back, and the next one starts clean. */
#include "engine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const explore_scenario_t* running;
static uint64_t outcomes;

const char* ex_verdict_name(explore_verdict_t verdict) {
  static const char* const names[] = {
      "ok",       "assertion",   "data race", "deadlock",       "lost wake-up",
      "livelock", "dead memory", "crash",     "non-determinism"};
  return names[verdict];
}

void ex_leave(void) {
  ex.inside = ex.quiet = false;
  ex_fiber_leave();
}

void ex_fail(explore_verdict_t verdict, const char* format, ...) {
  va_list args;

  ex.inside = ex.quiet = false;
  va_start(args, format);
  vsnprintf(ex.message, sizeof ex.message, format, args);
  va_end(args);
  ex.verdict = verdict;
  ex_leave();
}

void explore_fail(const char* format, ...) {
  va_list args;

  ex.inside = ex.quiet = false;
  va_start(args, format);
  vsnprintf(ex.message, sizeof ex.message, format, args);
  va_end(args);
  ex.verdict = EXPLORE_ASSERTION;
  ex_leave();
}

void explore_outcome(int bit) {
  outcomes |= (uint64_t)1 << bit;
}

/* A panic of the library or a bad pointer, in explored code. */
static void on_signal(int number) {
  if (ex.inside || ex.quiet)
    ex_fail(EXPLORE_CRASH, "T%d: signal %d", ex.current, number);
  signal(number, SIG_DFL);
  raise(number);
}

static void catch_signals(void) {
  static char stack[64 * 1024];
  static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  stack_t alternative;
  struct sigaction action;

  memset(&alternative, 0, sizeof alternative);
  alternative.ss_sp = stack;
  alternative.ss_size = sizeof stack;
  sigaltstack(&alternative, NULL);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK | SA_NODEFER;
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    sigaction(numbers[i], &action, NULL);
}

static void run_body(void* unused) {
  (void)unused;
  ex.quiet = true;
  explore_prepare();
  ex.quiet = false;
  ex.inside = true;
  running->body(running->arg);
}

static void run_once(void) {
  ex_arena_begin();
  ex_memory_begin();
  ex_shadow_begin();
  ex_trace_begin();
  ex_schedule_begin(run_body, NULL);
  ex_fiber_run();
  ex_shadow_restore();
}

static double seconds(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

ex_result_t ex_explore(const explore_scenario_t* scenario,
                       const ex_options_t* options) {
  ex_result_t result;
  double start = seconds();

  running = scenario;
  outcomes = 0;
  if (ex_bounds.steps == 0)
    ex_bounds.steps = 2000;
  memset(&result, 0, sizeof result);
  catch_signals();
  ex_search_begin(options);
  while (ex_search_next()) {
    run_once();
    result.executions++;
    result.pruned += ex.pruned;
    if (ex.steps > result.longest)
      result.longest = ex.steps;
    if (ex.threads - 1 > result.threads)
      result.threads = ex.threads - 1;
    result.seconds = seconds() - start;
    if (ex.verdict != EXPLORE_OK)
      break;
    if (options->executions > 0 && result.executions >= options->executions)
      break;
    if (options->seconds > 0 && result.seconds > options->seconds)
      break;
  }
  result.seconds = seconds() - start;
  result.verdict = ex.verdict;
  result.message = ex.message;
  result.schedule = ex.verdict == EXPLORE_OK ? "" : ex_search_schedule();
  result.outcomes = outcomes;
  result.exhausted = options->mode == EX_DFS && !ex_search_next();
  return result;
}
