/* SPDX-License-Identifier: MIT
 *
 * engine.h - what the explorer's files share.
 *
 *   main.c      which scenarios, what is printed, the table of counts
 *   run.c       one search: execution after execution, and their verdict
 *   search.c    which choice is taken: depth first, random, PCT, replay
 *   schedule.c  the threads of one execution; who runs next
 *   fiber.c     a thread of the scenario is a stack of its own
 *   memory.c    atomic locations: what a load may return
 *   shadow.c    plain memory: races, dead frames; puts statics back
 *   arena.c     memory of scenarios, names of addresses
 *   statics.c   the program's variables, by name
 *   tsan_abi.c  the hooks that instrumented code calls
 *   os_explore.c  src/os/os.h for explored code
 *   trace.c     the readable account of one execution
 *
 * Everything is single-threaded: the scenario's threads are fibers of one OS
 * thread, and a hook runs to its end unless it calls ex_point(). None of this
 * is compiled with the instrumentation. */
#ifndef EXPLORE_ENGINE_H
#define EXPLORE_ENGINE_H

#include "explore.h"

#define EX_THREADS 6

/** A vector clock: entry u is the last event of thread u that happens before. */
typedef struct ex_clock {
  uint32_t at[EX_THREADS];
} ex_clock_t;

typedef enum ex_state { EX_RUNNING, EX_PARKED, EX_JOINING, EX_DONE } ex_state_t;

/** A thread of the scenario. */
typedef struct ex_thread {
  ex_state_t state;
  bool fresh; /* just chosen: its next operation needs no second choice */
  void (*entry)(void* arg);
  void* arg;

  /* a sleep: what for, and how it ended */
  uint32_t* word;
  uint32_t expected;
  uint64_t deadline;
  int result;

  ex_clock_t clock;    /* what happens before its next event */
  ex_clock_t unfenced; /* read relaxed; an acquire fence would add it */
  ex_clock_t fenced;   /* clock at its last release fence */
  ex_clock_t sc_view;  /* what its last seq_cst fence may not miss */

  /* the last look that changed nothing, and how often it was repeated */
  const void* look_pc;
  uintptr_t look_at;
  uint64_t look_value;
  int looks;

  uintptr_t live; /* its stack below this holds only returned frames */
  uint64_t hash;  /* of its history, for the cache */
  int priority;   /* PCT */
} ex_thread_t;

/** The execution under way. */
typedef struct ex_run {
  bool inside; /* explored code is running: the hooks act */
  bool quiet;  /* it is, but only its writes to statics are noted */
  bool begun;  /* another thread than the body has run */
  ex_thread_t thread[EX_THREADS];
  int threads;
  int current;
  int steps;
  uint64_t now;
  explore_bounds_t spent;
  explore_verdict_t verdict;
  bool pruned;
  char message[512];
} ex_run_t;

extern ex_run_t ex;
extern explore_bounds_t ex_bounds;

static inline ex_thread_t* ex_self(void) {
  return &ex.thread[ex.current];
}

static inline uint64_t ex_mix(uint64_t a, uint64_t b) {
  a ^= b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2);
  a *= 0xff51afd7ed558ccdu;
  a ^= a >> 32;
  a *= 0xc4ceb9fe1a85ec53u;
  return a ^ (a >> 29);
}

/** Adds an event to the running thread's history. */
static inline void ex_event(uint64_t what) {
  ex_self()->hash = ex_mix(ex_self()->hash, what);
}

static inline void ex_clock_join(ex_clock_t* to, const ex_clock_t* from) {
  for (int i = 0; i < EX_THREADS; i++)
    if (from->at[i] > to->at[i])
      to->at[i] = from->at[i];
}

/* --- run.c --- */

typedef enum ex_mode {
  EX_DFS,
  EX_RANDOM,
  EX_PCT,
  EX_REPLAY,
  EX_BYTES /* a byte for each choice, for a fuzzer; then the usual one */
} ex_mode_t;

typedef struct ex_options {
  ex_mode_t mode;
  bool cache;
  uint64_t seed;
  int depth;            /* PCT: priority changes + 1 */
  double seconds;       /* give up after this long; 0 = never */
  uint64_t executions;  /* give up after this many; 0 = never */
  const char* schedule; /* EX_REPLAY */
  const uint8_t* bytes; /* EX_BYTES */
  size_t length;
} ex_options_t;

typedef struct ex_result {
  explore_verdict_t verdict;
  const char* message;
  const char* schedule; /* of the failure */
  uint64_t executions;
  uint64_t pruned;
  uint64_t outcomes;
  int longest; /* steps */
  int threads; /* spawned, at most */
  bool exhausted;
  double seconds;
} ex_result_t;

ex_result_t ex_explore(const explore_scenario_t* scenario,
                       const ex_options_t* options);
const char* ex_verdict_name(explore_verdict_t verdict);

/** Ends the execution with a verdict; does not return. */
void ex_fail(explore_verdict_t verdict, const char* format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/** Ends the execution; does not return. */
void ex_leave(void) __attribute__((noreturn));

/* --- search.c --- */

typedef enum ex_choice { EX_WHO, EX_WHICH_STORE, EX_ENVIRONMENT } ex_choice_t;

void ex_search_begin(const ex_options_t* options);
/** Gets ready for the next execution. @return false when none is left */
bool ex_search_next(void);
/** @return which of `options` is taken, 0 being the usual one */
int ex_search_pick(int options, ex_choice_t what);
/** PCT has its own way to choose who runs. */
bool ex_search_is_pct(void);
int ex_search_priority(void);
bool ex_search_drops(int step);
/** Records a choice made elsewhere, for the schedule string. */
void ex_search_note(int options, int taken);
bool ex_search_chance(int one_in);
/** @return true if the state was met before and the cache is on */
bool ex_search_seen(uint64_t state);
const char* ex_search_schedule(void);

/* --- schedule.c --- */

/** Before each operation that other threads could notice. */
void ex_point(void);
/** Puts the running thread to sleep on a word. @return 0 or -ETIMEDOUT */
int ex_sleep(uint32_t* word, uint32_t expected, uint64_t deadline);
/** Ends one sleep on `word`. @return whether there was one */
bool ex_wake(const uint32_t* word);
void ex_schedule_begin(void (*body)(void* arg), void* arg);

/* --- fiber.c --- */

/** Sets up thread `id` to start in ex_thread_main(). */
void ex_fiber_make(int id);
/** Continues `to`; returns when somebody continues `from`. */
void ex_fiber_switch(int from, int to);
/** Runs thread 0 until ex_fiber_leave(). */
void ex_fiber_run(void);
void ex_fiber_leave(void) __attribute__((noreturn));
extern uintptr_t ex_tls_at; /* of the explored code */
extern size_t ex_tls_size;

/** Lets the running code have `to`'s thread-local variables instead of `from`'s. */
void ex_fiber_swap_tls(int from, int to);
/** @return bytes between `at` and the start of its thread's stack */
size_t ex_fiber_offset(uintptr_t at);
/** What a thread does from first to last; schedule.c. */
void ex_thread_main(void);

/* --- memory.c --- */

typedef enum ex_rmw {
  EX_SET,
  EX_ADD,
  EX_SUB,
  EX_AND,
  EX_OR,
  EX_XOR,
  EX_NAND
} ex_rmw_t;

void ex_memory_begin(void);
uint64_t ex_load(uintptr_t at, int size, int order, const void* pc);
void ex_store(uintptr_t at, int size, uint64_t value, int order,
              const void* pc);
uint64_t ex_rmw(uintptr_t at, int size, ex_rmw_t op, uint64_t operand,
                int order, const void* pc);
bool ex_cas(uintptr_t at, int size, uint64_t* expected, uint64_t desired,
            int order, int failure, const void* pc);
void ex_fence(int order, const void* pc);
/** The kernel's look at a word, and its wake: events at that location. */
uint32_t ex_kernel_read(uint32_t* word, const void* pc);
void ex_kernel_event(const uint32_t* word);

/* --- shadow.c --- */

#define EX_WRITE 1u
#define EX_ATOMIC 2u

void ex_shadow_begin(void);
/** Puts back the static memory that the execution wrote. */
void ex_shadow_restore(void);
void ex_shadow_access(uintptr_t at, size_t size, unsigned kind, const void* pc);

/* --- arena.c --- */

#define EX_STACK_SIZE ((size_t)64 * 1024)
#define EX_STACKS_SIZE (EX_THREADS * EX_STACK_SIZE)
#define EX_ARENA_SIZE ((size_t)256 * 1024)
#define EX_GRAIN 16u

/** Where the stacks lie, and behind them the memory of the scenarios. */
#if UINTPTR_MAX > UINT32_MAX
#define EX_PLACE ((uintptr_t)0x200000000000)
#else
#define EX_PLACE ((uintptr_t)0x60000000)
#endif

/* The allocator of the system, which is not the scenarios'. */
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void __real_free(void* block);

extern bool ex_freed[EX_ARENA_SIZE / EX_GRAIN];

void ex_arena_begin(void);
char* ex_arena_stacks(void);

/* Asked at every access, so here. */

/** Is it a stack, or memory of a scenario? */
static inline bool ex_is_ours(uintptr_t at) {
  return at - EX_PLACE < EX_STACKS_SIZE + EX_ARENA_SIZE;
}

/** @return whose stack `at` lies on, -1 for none */
static inline int ex_fiber_owner(uintptr_t at) {
  return at - EX_PLACE < EX_STACKS_SIZE ? (int)((at - EX_PLACE) / EX_STACK_SIZE)
                                        : -1;
}

static inline bool ex_arena_holds(uintptr_t at) {
  return at - EX_PLACE - EX_STACKS_SIZE < EX_ARENA_SIZE;
}

static inline bool ex_arena_is_freed(uintptr_t at) {
  return ex_arena_holds(at) &&
         ex_freed[(at - EX_PLACE - EX_STACKS_SIZE) / EX_GRAIN];
}

/** Is `at` thread-local? Every fiber has its own copy there. */
static inline bool ex_fiber_is_tls(uintptr_t at) {
  return at - ex_tls_at < ex_tls_size;
}

/** @return a name for an address, in a buffer that the fourth call reuses */
const char* ex_arena_name(uintptr_t at);

/* --- statics.c --- */

/** @return the name of the static variable that `at` lies in, and how far; NULL
 * for none */
const char* ex_static_name(uintptr_t at, size_t* offset);

/* --- sites.c --- */

extern bool ex_noting_sites;

void ex_site(const void* pc);
/** Prints them, and forgets them. */
void ex_sites_print(void);

/* --- trace.c --- */

extern bool ex_tracing;

void ex_trace_begin(void);
void ex_trace(const void* pc, const char* format, ...)
    __attribute__((format(printf, 2, 3)));
void ex_trace_print(void);
/** @return function and file:line of a return address */
const char* ex_trace_place(uint32_t pc);
extern const char __executable_start[];

/** Return addresses in 32 bits. */
static inline uint32_t ex_trace_pack(const void* pc) {
  return pc == NULL ? 0 : (uint32_t)((const char*)pc - __executable_start);
}

#define EX_TRACE(...)                                                          \
  do {                                                                         \
    if (ex_tracing)                                                            \
      ex_trace(__VA_ARGS__);                                                   \
  } while (0)

#endif
