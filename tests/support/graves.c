/* SPDX-License-Identifier: MIT
 *
 * graves.c - objects that are freed the moment they may be; see graves.h.
 *
 * They lie in a yard of graves, which both threads go through in step; between two
 * rounds one of them makes the new and looks at what is left of the old. */
#include "graves.h"

#include "threads.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define FORBIDS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORBIDS 1
#endif
#endif
#ifndef FORBIDS
#define FORBIDS 0
#endif
#if FORBIDS
#include <sanitizer/asan_interface.h>
#define FORBID(memory, size) __asan_poison_memory_region(memory, size)
#define ALLOW(memory, size) __asan_unpoison_memory_region(memory, size)
#else
#define FORBID(memory, size) ((void)(memory), (void)(size))
#define ALLOW(memory, size) ((void)(memory), (void)(size))
#endif

enum { GRAVES = 256, SIZE_MAX_OF_ONE = 256, FILL = 0xa5, LINGER_EVERY = 8 };

struct yard {
  const struct mortal* mortal;
  size_t size;
  unsigned rounds;
  unsigned written; /* bytes; thread 0's */
  unsigned arrived; /* atomic */
  unsigned turn;    /* atomic */
  unsigned char graves[GRAVES][SIZE_MAX_OF_ONE] __attribute__((aligned(64)));
};

unsigned graves_met;

static void meet(struct yard* yard);
static void make_new(struct yard* yard, unsigned count, bool first);
static void look_at_old(struct yard* yard, unsigned count);
static void bury(struct yard* yard, unsigned grave);

static void live_and_die(void* arg, unsigned number) {
  struct yard* yard = arg;

  for (unsigned done = 0; done < yard->rounds;) {
    unsigned left = yard->rounds - done;
    unsigned count = left < GRAVES ? left : GRAVES;

    if (number == 0)
      make_new(yard, count, done == 0);
    meet(yard);
    for (unsigned i = 0; i < count; i++) {
      bool linger = i % LINGER_EVERY == 0;

      if (yard->mortal->use(yard->graves[i], number, linger))
        bury(yard, i);
    }
    meet(yard);
    done += count;
    if (number == 0 && done == yard->rounds)
      look_at_old(yard, count);
  }
}

unsigned graves_fill(const struct mortal* mortal, size_t size,
                     unsigned rounds) {
  static struct yard yard;

  if (size > SIZE_MAX_OF_ONE)
    abort();
  yard.mortal = mortal;
  yard.size = size;
  yard.rounds = rounds;
  yard.written = 0;
  team_run(2, live_and_die, &yard);
  return yard.written;
}

unsigned graves_rounds(void) {
  const char* rounds = getenv("PKD_GRAVES");

  if (rounds != NULL)
    return (unsigned)strtoul(rounds, NULL, 10);
  return FORBIDS ? 20000 : 2000;
}

/* Both are here, and go on in the same moment: so this spins. */
static void meet(struct yard* yard) {
  unsigned turn = __atomic_load_n(&yard->turn, __ATOMIC_ACQUIRE);

  if (__atomic_add_fetch(&yard->arrived, 1, __ATOMIC_ACQ_REL) == 2) {
    __atomic_store_n(&yard->arrived, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&yard->turn, turn + 1, __ATOMIC_RELEASE);
    return;
  }
  while (__atomic_load_n(&yard->turn, __ATOMIC_ACQUIRE) == turn)
    sched_yield();
}

static void make_new(struct yard* yard, unsigned count, bool first) {
  if (!first)
    look_at_old(yard, GRAVES);
  for (unsigned i = 0; i < count; i++) {
    memset(yard->graves[i], 0, yard->size);
    if (yard->mortal->bear != NULL)
      yard->mortal->bear(yard->graves[i]);
  }
}

static void look_at_old(struct yard* yard, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    ALLOW(yard->graves[i], yard->size);
    for (size_t at = 0; at < yard->size; at++)
      yard->written += yard->graves[i][at] != FILL;
  }
}

static void bury(struct yard* yard, unsigned grave) {
  memset(yard->graves[grave], FILL, yard->size);
  FORBID(yard->graves[grave], yard->size);
}
