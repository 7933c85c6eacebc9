/* SPDX-License-Identifier: MIT
 *
 * work_async.c - locks for tasks: free, passed on by one loop, by two, and
 * waits that are cancelled. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "async_peers.h"
#include "cpp.h"
#include "harness.h"
#include "workloads.h"

struct tasks {
  uint64_t tasks;
  uint64_t permits;
  unsigned per_ms; /* operations */
};

static uint64_t count_of(const struct tasks* s, unsigned ms) {
  return (uint64_t)ms * s->per_ms;
}

static void set(struct result* result, uint64_t ns, uint64_t ops) {
  result->value[NS] = (double)ns / (double)ops;
  result->ops = (double)ops;
}

static void try_round(const void* peer, const void* size, unsigned ms,
                      struct result* result) {
  const struct async_peer* p = peer;
  uint64_t count = count_of(size, ms);

  set(result, p->try_pairs(count), count);
}

static void lock_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  const struct async_peer* p = peer;
  uint64_t count = count_of(size, ms);

  set(result, p->lock_pairs(count), count);
}

static void yields_round(const void* peer, const void* size, unsigned ms,
                         struct result* result) {
  const struct async_peer* p = peer;
  const struct tasks* s = size;
  uint64_t count = count_of(s, ms);

  if (count < s->tasks)
    count = s->tasks;
  set(result, p->yields(s->tasks, count), count);
}

/* Enough bursts to fill the round. */
static void burst_round(const void* peer, const void* size, unsigned ms,
                        struct result* result, bool enqueue) {
  const struct async_peer* p = peer;
  const struct tasks* s = size;
  uint64_t ops = 0;
  uint64_t ns = 0;

  while (ops < count_of(s, ms)) {
    uint64_t enqueued;
    uint64_t passed = p->burst(s->tasks, &enqueued);

    ns += enqueue ? enqueued : passed;
    ops += s->tasks;
  }
  set(result, ns, ops);
}

static void enqueue_round(const void* peer, const void* size, unsigned ms,
                          struct result* result) {
  burst_round(peer, size, ms, result, true);
}

static void pass_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  burst_round(peer, size, ms, result, false);
}

static void cancels_round(uint64_t (*cancel)(uint64_t tasks), const void* size,
                          unsigned ms, struct result* result) {
  const struct tasks* s = size;
  uint64_t ops = 0;
  uint64_t ns = 0;

  while (ops < count_of(s, ms)) {
    ns += cancel(s->tasks);
    ops += s->tasks;
  }
  set(result, ns, ops);
}

static void cancel_round(const void* peer, const void* size, unsigned ms,
                         struct result* result) {
  cancels_round(((const struct async_peer*)peer)->cancel, size, ms, result);
}

static void tell_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  cancels_round(((const struct async_peer*)peer)->cancel_and_tell, size, ms,
                result);
}

static void cross_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  const struct async_peer* p = peer;
  uint64_t count = count_of(size, ms);

  set(result, p->cross(count), count);
}

static void loops_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  const struct async_peer* p = peer;
  const struct tasks* s = size;
  uint64_t count = count_of(s, ms);

  set(result, p->loops(s->tasks, count), count);
}

static void permits_round(const void* peer, const void* size, unsigned ms,
                          struct result* result) {
  const struct async_peer* p = peer;
  const struct tasks* s = size;
  uint64_t count = count_of(s, ms);

  set(result, p->permits(s->permits, s->tasks, count), count);
}

static void rwlocks_round(const void* peer, const void* size, unsigned ms,
                          struct result* result) {
  const struct async_peer* p = peer;
  const struct tasks* s = size;
  uint64_t count = count_of(s, ms);

  set(result, p->rwlocks(s->tasks, count), count);
}

static void wake_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  const struct async_peer* p = peer;

  result->value[NS] = (double)p->wake(count_of(size, ms));
}

static void mixed_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  const struct async_peer* p = peer;
  uint64_t longest;
  uint64_t ops = p->mixed(ms, &longest);

  (void)size;
  set(result, (uint64_t)ms * 1000000, ops);
  result->value[LONGEST] = (double)longest;
}

/* Which of the peer's functions a cell needs: its offset in struct async_peer. */
static bool has(const struct async_peer* p, size_t offset) {
  void (*function)(void);

  memcpy(&function, (const char*)p + offset, sizeof function);
  return function != NULL;
}

static void run_ours(const struct async_peer* ours, const char* id,
                     const char* title, const char* op, bench_round round,
                     size_t offset, const struct tasks* size, const char* than,
                     double factor) {
  const struct async_peer* const peers[] = {ours,
#ifdef BENCH_RUST
                                            &async_tokio, &async_async_lock,
#endif
                                            &async_fifo, &async_uv_send};
  struct cell* cell = calloc(1, sizeof *cell);

  cell->id = id;
  cell->title = title;
  cell->op = op;
  cell->size = size;
  cell->threads = 2;
  for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
    bool is_floor = peers[i] == &async_fifo || peers[i] == &async_uv_send;

    if (has(peers[i], offset))
      cell_add(cell, peers[i]->name,
               i == 0     ? OURS
               : is_floor ? FLOOR
                          : PEER,
               round, peers[i]);
  }
  if (than != NULL)
    cell_goal(cell, than, NS, factor);
  if (ours == &async_parkade_overtaking)
    cell_within(cell, LONGEST, 1e6);
  cell_run(cell);
  free(cell);
}

static void run(const char* id, const char* title, const char* op,
                bench_round round, size_t offset, const struct tasks* size,
                const char* than, double factor) {
  run_ours(&async_parkade, id, title, op, round, offset, size, than, factor);
}

#define WITH(function) offsetof(struct async_peer, function)

static void work_free(void) {
  static const struct tasks one = {1, 0, 20000};
  static const struct tasks one_lock = {1, 0, 5000};

  run("async/try", "async mutex, free: trylock", "trylock + unlock", try_round,
      WITH(try_pairs), &one, "tokio", 0.5);
  run("async/free", "async mutex, free: lock by callback or await",
      "lock + unlock", lock_round, WITH(lock_pairs), &one_lock, "tokio", 1.0);
}

#ifdef BENCH_CPP
/* The wrapper for C++ beside what it wraps. */
static void work_cpp(void) {
  static const struct async_peer awaits = {.name = "co_await",
                                           .lock_pairs = cpp_await};
  static const struct tasks one = {1, 0, 5000};
  static struct cell cell = {.id = "async/co_await",
                             .title = "async mutex, free: co_await",
                             .op = "lock + unlock",
                             .size = &one,
                             .threads = 1};

  cell_add(&cell, awaits.name, OURS, lock_round, &awaits);
  cell_add(&cell, "the C calls", FLOOR, lock_round, &async_parkade);
  cell_goal(&cell, "the C calls", NS, 1.0);
  cell_run(&cell);
}
#endif

static void work_one_loop(void) {
  static const struct tasks sizes[] = {{2, 0, 4000},     {10, 0, 4000},
                                       {100, 0, 4000},   {1000, 0, 4000},
                                       {10000, 0, 2000}, {100000, 0, 1000}};
  static const char* const ids[] = {"async/yield-2",     "async/yield-10",
                                    "async/yield-100",   "async/yield-1000",
                                    "async/yield-10000", "async/yield-100000"};
  static const char* const titles[] = {
      "one loop, 2 tasks, held over a yield",
      "one loop, 10 tasks, held over a yield",
      "one loop, 100 tasks, held over a yield",
      "one loop, 1,000 tasks, held over a yield",
      "one loop, 10,000 tasks, held over a yield",
      "one loop, 100,000 tasks, held over a yield"};
  static const struct tasks bursts[] = {{100, 0, 4000}, {10000, 0, 2000}};
  static const struct tasks cancels[] = {
      {10, 0, 2000}, {1000, 0, 2000}, {100000, 0, 1000}};
  static const char* const cancel_ids[] = {
      "async/cancel-10", "async/cancel-1000", "async/cancel-100000"};
  static const char* const cancel_titles[] = {"cancel one of 10 waits",
                                              "cancel one of 1,000 waits",
                                              "cancel one of 100,000 waits"};
  static const char* const tell_ids[] = {"async/told-10", "async/told-1000",
                                         "async/told-100000"};
  static const char* const tell_titles[] = {
      "cancel 10 waits, and call back", "cancel 1,000 waits, and call back",
      "cancel 100,000 waits, and call back"};
  static const struct tasks permits[] = {{100, 4, 4000}, {100, 64, 4000}};

  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    run(ids[i], titles[i], "hand-off", yields_round, WITH(yields), &sizes[i],
        "tokio", 0.2);
  goal_across("async/yield-100000", "async/yield-10", 1.3);
  run("async/enqueue-100", "100 tasks queue", "task", enqueue_round,
      WITH(burst), &bursts[0], "tokio", 0.7);
  run("async/pass-100", "100 queued tasks, run through", "hand-off", pass_round,
      WITH(burst), &bursts[0], "tokio", 0.4);
  run("async/enqueue-10000", "10,000 tasks queue", "task", enqueue_round,
      WITH(burst), &bursts[1], "tokio", 0.7);
  run("async/pass-10000", "10,000 queued tasks, run through", "hand-off",
      pass_round, WITH(burst), &bursts[1], "tokio", 0.4);
  for (size_t i = 0; i < sizeof cancels / sizeof *cancels; i++) {
    run(cancel_ids[i], cancel_titles[i], "cancel", cancel_round, WITH(cancel),
        &cancels[i], "tokio", 1.0);
    run(tell_ids[i], tell_titles[i], "cancel", tell_round,
        WITH(cancel_and_tell), &cancels[i], NULL, 0);
  }
  goal_across("async/cancel-100000", "async/cancel-10", 1.3);
  run("async/permits-4", "semaphore of 4, two each, over a yield", "acquire",
      permits_round, WITH(permits), &permits[0], "tokio", 0.4);
  run("async/permits-64", "semaphore of 64, two each, over a yield", "acquire",
      permits_round, WITH(permits), &permits[1], "tokio", 0.4);
}

static void work_rwlocks(void) {
  static const struct tasks hundred = {100, 0, 4000};

  run("async/rwlock-90-10", "rwlock, 100 tasks, 10 % writes, over a yield",
      "section", rwlocks_round, WITH(rwlocks), &hundred, "tokio", 0.4);
}

static void work_two_loops(void) {
  static const struct tasks cross = {1, 0, 20};
  static const struct tasks fifty = {50, 0, 500};
  static const struct tasks wakes = {1, 0, 4};

  run("async/cross", "two loops, one task each: hand-off to and fro",
      "hand-off", cross_round, WITH(cross), &cross, "bare uv_async_send", 1.03);
  run("async/wake", "a thread's unlock to the callback of a sleeping loop",
      "wake", wake_round, WITH(wake), &wakes, "bare uv_async_send", 1.03);
  run("async/loops-100", "two loops, 50 tasks each, held over a yield",
      "hand-off", loops_round, WITH(loops), &fifty, "tokio", 0.6);
}

static void work_mixed(void) {
  static const struct tasks none = {0, 0, 0};

  run("async/mixed", "4 tasks of one loop and 2 blocking threads, one lock",
      "section", mixed_round, WITH(mixed), &none, "tokio", 1.0);
  run_ours(&async_parkade_overtaking, "async/mixed-overtaking",
           "the same, where tasks of the unlocker's loop may overtake",
           "section", mixed_round, WITH(mixed), &none, "tokio", 0.25);
}

void work_async(void) {
  work_free();
#ifdef BENCH_CPP
  work_cpp();
#endif
  work_one_loop();
  work_rwlocks();
  work_two_loops();
  work_mixed();
}
