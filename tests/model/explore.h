/* SPDX-License-Identifier: MIT
 *
 * explore.h - the schedule explorer, as scenarios see it.
 *
 * A scenario is a function that spawns a few threads over the library. The
 * explorer runs it again and again, each time with another interleaving of the
 * library's atomic operations, sleeps and wakes, until all of them within the
 * scenario's bounds have been seen. The library's sources are the shipped ones:
 * the compiler's thread-sanitizer hooks bring every access here (tsan_abi.c).
 *
 * A scenario must be deterministic but for explore_choose(), keep what threads
 * share in explore_alloc() memory or in static variables (both are put back
 * after every execution, so nothing is carried over), and use no thread, clock
 * or sleep but those of this header and of the library. */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** How far the search goes. What is zero is not offered at all. */
typedef struct explore_bounds {
  int preemptions; /* switches away from a thread that could go on */
  int stale;       /* loads that return a value overwritten before */
  int timeouts;    /* deadlines that pass though somebody could run */
  int spurious;    /* sleeps that end for no reason */
  int jumps;       /* looks at the clock that find it 2 ms later */
  int failures;    /* allocations that fail */
  int doubts;      /* pkd__os_now_and_then() that are true */
  int cpus;        /* pkd__os_cpus(); 0 means 1: nobody spins; with more, a
                      spin is a few looks */
  int steps;       /* more in one execution is a livelock; 0 means 2000 */
  bool every;      /* walk executions that reach a known state to their end */
} explore_bounds_t;

#define EXPLORE_UNBOUNDED 99

/** What an execution came to. */
typedef enum explore_verdict {
  EXPLORE_OK,
  EXPLORE_ASSERTION,   /* explore_assert() failed */
  EXPLORE_RACE,        /* unordered accesses, at least one a plain one */
  EXPLORE_DEADLOCK,    /* everybody waits */
  EXPLORE_LOST_WAKEUP, /* the same, and someone would not sleep now */
  EXPLORE_LIVELOCK,    /* the step bound was reached */
  EXPLORE_DEAD_MEMORY, /* a returned frame or freed memory was touched */
  EXPLORE_CRASH,       /* a signal: a panic of the library, a bad pointer */
  EXPLORE_CHANGED      /* a replayed choice had other options than before */
} explore_verdict_t;

/** One thing to explore. */
typedef struct explore_scenario {
  const char* name;         /* group/name, unique */
  void (*body)(int arg);    /* runs as thread 0 of each execution */
  int arg;                  /* tells variants of one body apart */
  explore_verdict_t expect; /* what the search must end with */
  uint64_t outcomes;        /* if not 0: exactly these explore_outcome()s */
  explore_bounds_t bounds;
} explore_scenario_t;

/** The lists that make up the table in main.c; each ends with a NULL name. */
extern const explore_scenario_t explore_litmus[];
extern const explore_scenario_t explore_seeded_mutex[];
extern const explore_scenario_t explore_seeded_lot[];
extern const explore_scenario_t explore_seeded_async[];
extern const explore_scenario_t explore_museum_park[];
extern const explore_scenario_t explore_museum_leave[];
extern const explore_scenario_t explore_museum_wake[];
extern const explore_scenario_t explore_lot[];
extern const explore_scenario_t explore_mutex[];
extern const explore_scenario_t explore_cond[];
extern const explore_scenario_t explore_sync[];
extern const explore_scenario_t explore_locks[];
extern const explore_scenario_t explore_cancel[];
extern const explore_scenario_t explore_cond_locks[];
extern const explore_scenario_t explore_rwlock[];
extern const explore_scenario_t explore_async[];
extern const explore_scenario_t explore_passed[];
extern const explore_scenario_t explore_grant[];
extern const explore_scenario_t explore_loops[];
extern const explore_scenario_t explore_objects[];
extern const explore_scenario_t explore_many[];
extern const explore_scenario_t explore_retreat[];
extern const explore_scenario_t explore_keyed[];
extern const explore_scenario_t explore_permits[];
extern const explore_scenario_t explore_req[];
extern const explore_scenario_t explore_rings[];
extern const explore_scenario_t explore_rounds[];
extern const explore_scenario_t explore_ticket[];
extern const explore_scenario_t explore_between[];
extern const explore_scenario_t explore_anew[];
extern const explore_scenario_t explore_sync_grid[];
extern const explore_scenario_t explore_async_grid[];
extern const explore_scenario_t explore_shim[];

/** Called unwatched at the start of each execution; scenario.c. */
void explore_prepare(void);

/** Starts a thread. Only from the scenario's body. */
void explore_spawn(void (*entry)(void* arg), void* arg);

/** Runs `setup` at once, unwatched, as if the thread spawned last did it before
 * it starts: for what is long and has nothing to do with the others. Only before
 * any thread runs; must not wait for anything. */
void explore_setup(void (*setup)(void* arg), void* arg);

/** Does something happen here for no reason? Spends the bound `spurious`. */
bool explore_spurious(void);

/** Waits until all threads have ended; sees all they did. */
void explore_join(void);

/** Lets the others go first. */
void explore_yield(void);

/** The number of the running thread; the body is 0. */
int explore_self(void);

/** A choice of the environment: both "now" and "not now" are explored.
 * @return 0 .. options-1 */
int explore_choose(int options);

/** Zeroed memory at an address that is the same in every process. NULL only if
 * the bounds let allocations fail and this is one that does. */
void* explore_alloc(size_t size);

/** Memory that cannot fail. */
void* explore_need(size_t size);

/** From now on a touch of this block, by anyone, is a failure. */
void explore_free(void* block);

/** Calls this memory by a name in traces. */
void explore_name(const void* at, size_t size, const char* name);

/** Marks an outcome, 0 .. 63, as seen; kept from execution to execution. */
void explore_outcome(int bit);

/** Ends the execution as a failure. */
void explore_fail(const char* format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

#define explore_assert(condition)                                              \
  do {                                                                         \
    if (!(condition))                                                          \
      explore_fail("'%s' is false at %s:%d", #condition, __FILE_NAME__,        \
                   __LINE__);                                                  \
  } while (0)

#endif
