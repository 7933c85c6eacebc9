/* SPDX-License-Identifier: MIT
 *
 * kit.h - what the tests of the blocking half share beside support/: a look at
 * the lot's queues, crews that grow one by one, and child processes. */
#ifndef PKD_TEST_KIT_H
#define PKD_TEST_KIT_H

#include <parkade/analysis.h>
#include <parkade/lot.h>

#include "support/child.h"
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* --- facts ----------------------------------------------------------------- */

static inline void pause_us(unsigned us) {
  struct timespec span = {0, (long)us * 1000};

  nanosleep(&span, NULL);
}

static inline size_t waiting_at(const void* key) {
  return pkd_lot_for_each(key, NULL, NULL);
}

static inline void count_if_moved(void* arg, const void* key,
                                  pkd_waiter_t* waiter) {
  (void)key;
  *(size_t*)arg += waiter->token >> 32 == 0x636f6e64;
}

/** How many are queued at a lock because a condition has moved them there: who
 * was woken, and came by itself, has the token of the condition no longer. */
static inline size_t moved_to(const void* key) {
  size_t moved = 0;

  pkd_lot_for_each(key, count_if_moved, &moved);
  return moved;
}

static inline unsigned count_of(const unsigned* counter) {
  return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static inline void count_up(unsigned* counter) {
  __atomic_fetch_add(counter, 1, __ATOMIC_ACQ_REL);
}

/* --- crews ----------------------------------------------------------------- */

enum { CREW_MAX = 256 };

typedef void (*crew_fn)(void* arg, unsigned number);

struct crew_member {
  struct crew* crew;
  unsigned number;
};

struct crew {
  crew_fn work;
  void* arg;
  unsigned size;
  pthread_t threads[CREW_MAX];
  struct crew_member members[CREW_MAX];
};

static inline void* crew_main(void* arg) {
  struct crew_member* member = arg;

  member->crew->work(member->crew->arg, member->number);
  return NULL;
}

/** Adds a thread to the crew; it runs work(arg, its number). */
static inline void crew_add(struct crew* crew) {
  unsigned n = crew->size++;

  crew->members[n].crew = crew;
  crew->members[n].number = n;
  if (pthread_create(&crew->threads[n], NULL, crew_main, &crew->members[n]))
    abort();
}

static inline void crew_start(struct crew* crew, unsigned size, crew_fn work,
                              void* arg) {
  crew->work = work;
  crew->arg = arg;
  crew->size = 0;
  while (crew->size < size)
    crew_add(crew);
}

static inline void crew_join(struct crew* crew) {
  for (unsigned i = 0; i < crew->size; i++)
    pthread_join(crew->threads[i], NULL);
  crew->size = 0;
}

/* --- children -------------------------------------------------------------- */

/** Runs `fn` in a child process.
 * @return its exit code, or the number of the signal that ended it, negative */
static inline int run_in_child(void (*fn)(void)) {
  pid_t child;

  fflush(NULL);
  child = fork();
  if (child == 0) {
    alarm(30);
    fn();
    _exit(0);
  }
  return child_ends(child);
}

/** Runs `fn` in a child process and catches what it says on stderr.
 * @return the number of the signal that ended it, 0 if none did */
static inline int last_words(void (*fn)(void), char* words, size_t size) {
  int saved = dup(STDERR_FILENO);
  FILE* file = tmpfile();
  size_t length;
  int code;

  if (file == NULL || saved < 0 || dup2(fileno(file), STDERR_FILENO) < 0)
    abort();
  code = run_in_child(fn);
  dup2(saved, STDERR_FILENO);
  close(saved);
  rewind(file);
  length = fread(words, 1, size - 1, file);
  words[length] = '\0';
  fclose(file);
  return code < 0 ? -code : 0;
}

/** At the head of a test that misuses a lock: where ThreadSanitizer is told of the
 * locks it speaks first, and ends the program in a way of its own. */
#define SKIP_IF_TSAN_SPEAKS_FIRST()                                            \
  do {                                                                         \
    if (PKD_TSAN_ANNOTATE)                                                     \
      skip();                                                                  \
  } while (0)

/* --- addresses ------------------------------------------------------------- */

/** Two addresses that share a bucket, or two that do not. Only names: nothing
 * lies there. */
static inline void two_addresses(bool one_bucket, const void** a,
                                 const void** b) {
  const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15); /* as in src/queue.h */
  const unsigned drop = 64 - 16; /* the top bits choose: PKD_BUCKET_BITS */
  uintptr_t first = 0x10000;
  uintptr_t second = first;

  do {
    second += 8;
  } while ((((first * factor) >> drop) == ((second * factor) >> drop)) !=
           one_bucket);
  *a = (const void*)first;
  *b = (const void*)second;
}

#endif
