/* SPDX-License-Identifier: MIT
 *
 * work_sizes.c - bytes of the objects, and how often a contended lock allocates.
 *
 * malloc and its like are counted by functions of this program that stand before
 * glibc's. A workload runs with n operations and with 2n; half of what that adds
 * is no preparation and no end, but the price of n operations. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "peers.h"
#include "threads.h"
#include "workloads.h"
#ifdef BENCH_ASYNC
#include <parkade/async.h>

#include "async_peers.h"
#endif

static _Atomic uint64_t allocations;

#ifdef __GLIBC__
enum { COUNTED = 1 };

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t n, size_t size);
void* __libc_realloc(void* p, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

static void count(void) {
  atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

void* malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void* calloc(size_t n, size_t size) {
  count();
  return __libc_calloc(n, size);
}

void* realloc(void* p, size_t size) {
  count();
  return __libc_realloc(p, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** p, size_t alignment, size_t size) {
  count();
  *p = __libc_memalign(alignment, size);
  return *p == NULL ? 12 : 0; /* ENOMEM */
}
#else
enum { COUNTED = 0 };
#endif

/* How many allocations one of `n` operations costs. */
static double price(void (*work)(const void* peer, uint64_t n),
                    const void* peer, uint64_t n) {
  uint64_t at[3];

  work(peer, n); /* what is made once, is made now */
  for (int i = 0; i < 3; i++) {
    at[i] = allocations;
    if (i < 2)
      work(peer, n << i);
  }
  return ((double)(at[2] - at[1]) - (double)(at[1] - at[0])) / (double)n;
}

enum { THREADS = 8 };

static void thread_work(const void* peer, uint64_t n) {
  static struct {
    char lock[BENCH_ROOM] __attribute__((aligned(128)));
    uint64_t guarded __attribute__((aligned(128)));
    uint32_t stop;
    struct section part[THREADS];
  } a;

  memset(&a, 0, sizeof a);
  ((const struct peer*)peer)->mutex_make(a.lock);
  for (int i = 0; i < THREADS; i++) {
    a.part[i].lock = a.lock;
    a.part[i].guarded = &a.guarded;
    a.part[i].stop = &a.stop;
    a.part[i].count = n / THREADS;
  }
  threads_run(THREADS, ((const struct peer*)peer)->mutex_section, a.part,
              sizeof a.part[0], 0, &a.stop);
}

static void threads_sizes(void) {
  double ours[4] = {0};

  report_table("Threads: bytes",
               "mutex\tcondition\trwlock\tallocations per contended lock");
  for (const struct peer* const* p = bench_peers; *p != NULL; p++) {
    double value[] = {(double)(*p)->mutex_bytes,
                      (*p)->cond_bytes == 0 ? -1 : (double)(*p)->cond_bytes,
                      (*p)->rwlock_bytes == 0 ? -1 : (double)(*p)->rwlock_bytes,
                      COUNTED ? price(thread_work, *p, 80000) : -1};

    report_values((*p)->name, value, 4);
    if (p == bench_peers)
      memcpy(ours, value, sizeof ours);
  }
  goal_exact("bytes of a mutex", ours[0], 1);
  goal_exact("allocations per contended mutex", ours[3], 0);
}

#ifdef BENCH_ASYNC
static void async_work(const void* peer, uint64_t n) {
  ((const struct async_peer*)peer)->yields(10, n);
}

static void async_sizes(void) {
  double ours[] = {sizeof(pkd_async_mutex_t), sizeof(pkd_req_t),
                   sizeof(pkd_async_sem_t), sizeof(pkd_async_rwlock_t),
                   COUNTED ? price(async_work, &async_parkade, 20000) : -1};

  report_table("Tasks: bytes",
               "mutex\twait\tsemaphore\trwlock\tallocations per "
               "contended lock");
  report_values("parkade", ours, 5);
#ifdef BENCH_RUST
  double tokio[5];
  double async_lock[5];

  bench_rust_sizes(tokio, async_lock);
  tokio[4] = COUNTED ? price(async_work, &async_tokio, 20000) : -1;
  async_lock[4] = COUNTED ? price(async_work, &async_async_lock, 20000) : -1;
  report_values("tokio", tokio, 5);
  report_values("async-lock", async_lock, 5);
#endif
  goal_exact("bytes of an async mutex", ours[0], 4);
  goal_exact("bytes of a wait", ours[1], 128);
  goal_exact("allocations per contended async mutex", ours[4], 0);
}
#endif

void work_sizes(void) {
  const struct options* o = &bench_options;

  if (o->list)
    printf("%-28s %s\n", "sizes", "bytes, and allocations of a contended lock");
  if (o->list || (o->only != NULL && strstr("sizes", o->only) == NULL))
    return;
  threads_sizes();
#ifdef BENCH_ASYNC
  async_sizes();
#endif
}
