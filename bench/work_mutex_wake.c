/* SPDX-License-Identifier: MIT
 *
 * work_mutex_wake.c - from unlock to the parked waiter running.
 *
 * The waiter is asleep for certain (its state in /proc says so) before the
 * holder reads the clock and unlocks. */
#define _GNU_SOURCE

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "harness.h"
#include "peers.h"
#include "threads.h"
#include "workloads.h"

enum { MAX_WAKES = 2000 };

struct wake {
  const struct peer* peer;
  char lock[BENCH_ROOM] __attribute__((aligned(128)));
  uint32_t turn __attribute__((aligned(128))); /* atomic: whose phase it is */
  uint64_t arrived;
  unsigned count;
  int state; /* of threads_watch() in the waiter, atomic */
};

static void* waiter(void* arg) {
  struct wake* w = arg;

  __atomic_store_n(&w->state, threads_watch(), __ATOMIC_RELEASE);
  for (unsigned i = 0; i < w->count; i++) {
    while (__atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) != 2 * i + 1)
      usleep(20);
    w->peer->mutex_lock(w->lock);
    w->arrived = bench_now();
    w->peer->mutex_unlock(w->lock);
    __atomic_store_n(&w->turn, 2 * i + 2, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void wake_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  struct wake* w = aligned_alloc(128, sizeof *w);
  static uint64_t took[MAX_WAKES];
  pthread_t thread;

  (void)size;
  memset(w, 0, sizeof *w);
  w->peer = peer;
  w->count = ms * 4 < MAX_WAKES ? ms * 4 : MAX_WAKES;
  w->state = -1;
  w->peer->mutex_make(w->lock);
  if (pthread_create(&thread, NULL, waiter, w) != 0)
    abort();
  while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) == -1)
    usleep(20);
  for (unsigned i = 0; i < w->count; i++) {
    uint64_t begin;

    w->peer->mutex_lock(w->lock);
    __atomic_store_n(&w->turn, 2 * i + 1, __ATOMIC_RELEASE);
    usleep(60); /* past its own usleep(20), and any spinning */
    while (!threads_sleeps(w->state)) {
    }
    begin = bench_now();
    w->peer->mutex_unlock(w->lock);
    while (__atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) != 2 * i + 2) {
    }
    took[i] = w->arrived - begin;
  }
  pthread_join(thread, NULL);
  result->value[NS] = (double)bench_median(took, w->count);
  close(w->state);
  free(w);
}

/* The floor: a word and two futex calls. */
static void raw_make(void* room) {
  (void)room;
}

static void raw_lock(void* room) {
  uint32_t* word = room;
  uint32_t old = 0;

  if (__atomic_compare_exchange_n(word, &old, 1, 0, __ATOMIC_ACQUIRE,
                                  __ATOMIC_RELAXED))
    return;
  while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

static void raw_unlock(void* room) {
  uint32_t* word = room;

  if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void work_mutex_wake(void) {
  static const struct peer raw = {.name = "raw futex",
                                  .mutex_make = raw_make,
                                  .mutex_lock = raw_lock,
                                  .mutex_unlock = raw_unlock};
  static struct cell cell = {.id = "mutex/wake",
                             .title = "unlock to the parked waiter running",
                             .op = "wake",
                             .threads = 2};

  for (const struct peer* const* p = bench_peers; *p != NULL; p++)
    cell_add(&cell, (*p)->name, p == bench_peers ? OURS : PEER, wake_round, *p);
  cell_add(&cell, raw.name, FLOOR, wake_round, &raw);
  cell_goal(&cell, raw.name, NS, 1.05);
  cell.by_hand = true;
  cell_run(&cell);
}
