/* SPDX-License-Identifier: MIT
 *
 * threads.c - n threads that start together. */
#define _GNU_SOURCE

#include "threads.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

struct start {
  pthread_barrier_t* barrier;
  void (*body)(void*);
  void* part;
  uint64_t began;
};

static void* run(void* arg) {
  struct start* start = arg;

  pthread_barrier_wait(start->barrier);
  start->began = bench_now();
  start->body(start->part);
  return NULL;
}

uint64_t threads_run(unsigned n, void (*body)(void*), void* parts,
                     size_t stride, unsigned ms, uint32_t* stop) {
  pthread_barrier_t barrier;
  struct start start[BENCH_MAX_THREADS];
  pthread_t thread[BENCH_MAX_THREADS];
  uint64_t begin = UINT64_MAX;

  if (n > BENCH_MAX_THREADS || pthread_barrier_init(&barrier, NULL, n + 1) != 0)
    abort();
  for (unsigned i = 0; i < n; i++) {
    start[i].barrier = &barrier;
    start[i].body = body;
    start[i].part = (char*)parts + i * stride;
    if (pthread_create(&thread[i], NULL, run, &start[i]) != 0) {
      fprintf(stderr, "parkade-bench: cannot start %u threads\n", n);
      exit(2);
    }
  }
  pthread_barrier_wait(&barrier);
  if (ms != 0) {
    struct timespec span = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&span, NULL);
    __atomic_store_n(stop, 1, __ATOMIC_RELAXED);
  }
  /* From the first thread's beginning: the others, or this one, may be let run
   * only when much is done already. */
  for (unsigned i = 0; i < n; i++) {
    pthread_join(thread[i], NULL);
    begin = start[i].began < begin ? start[i].began : begin;
  }
  pthread_barrier_destroy(&barrier);
  return bench_now() - begin;
}

int threads_watch(void) {
  char path[64];

  snprintf(path, sizeof path, "/proc/self/task/%ld/stat", syscall(SYS_gettid));
  return open(path, O_RDONLY);
}

int threads_sleeps(int watch) {
  char text[256];
  ssize_t n = pread(watch, text, sizeof text - 1, 0);
  const char* name_end;

  if (n <= 0)
    return 0;
  text[n] = '\0';
  name_end = strrchr(text, ')');
  return name_end != NULL && name_end[2] == 'S';
}

static int ascending(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a;
  uint64_t y = *(const uint64_t*)b;

  return (x > y) - (x < y);
}

uint64_t bench_median(uint64_t* ns, unsigned count) {
  qsort(ns, count, sizeof *ns, ascending);
  return ns[count / 2];
}

static void* sleep_on(void* arg) {
  for (;;)
    pause();
  return arg;
}

void threads_company(void) {
  pthread_t thread;

  if (pthread_create(&thread, NULL, sleep_on, NULL) != 0 ||
      pthread_detach(thread) != 0)
    abort();
}

uint64_t bench_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_used(void) {
  struct timespec used;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}
