/* SPDX-License-Identifier: MIT
 *
 * seeded/mutex.c - a three-valued futex mutex, right and wrong in four ways.
 *
 * Part of the examination of the explorer: each known bug must be found with
 * its verdict, the right version must pass. The word is 0 free, 1 held, 2 held
 * and perhaps wanted. */
#include "../explore.h"

#include "atomic.h"
#include "os/os.h"

enum {
  RIGHT,
  TAKES_ONE_AFTER_SLEEP,
  UNLOCK_IN_TWO_STEPS,
  NO_CAS,
  RELAXED_UNLOCK
};

static int bug;
static uint32_t word;
static int counter;

static void sleep_until_free(uint32_t seen) {
  if (seen != 2)
    seen = pkd__exchange_acquire(&word, 2);
  while (seen != 0) {
    pkd__os_wait(&word, 2, UINT64_MAX);
    seen = pkd__exchange_acquire(&word, 2);
  }
}

/* Drepper's first attempt: whoever slept takes the lock with 1, though others
 * may sleep still; nobody wakes those. */
static void sleep_and_forget(uint32_t seen) {
  for (;;) {
    if (seen == 2 || (pkd__cas_relaxed(&word, &seen, 2) && seen != 0))
      pkd__os_wait(&word, 2, UINT64_MAX);
    seen = 0;
    if (pkd__cas_acquire(&word, &seen, 1))
      return;
  }
}

static void lock(void) {
  uint32_t seen = 0;

  if (bug == NO_CAS) {
    if (pkd__load_acquire(&word) == 0) {
      pkd__store_release(&word, 1);
      return;
    }
    seen = 1;
  } else if (pkd__cas_acquire(&word, &seen, 1)) {
    return;
  }
  if (bug == TAKES_ONE_AFTER_SLEEP)
    sleep_and_forget(seen);
  else
    sleep_until_free(seen);
}

static void unlock(void) {
  uint32_t seen;

  if (bug == UNLOCK_IN_TWO_STEPS) {
    seen = pkd__load_relaxed(&word);
    pkd__store_release(&word, 0);
  } else if (bug == RELAXED_UNLOCK) {
    seen = pkd__exchange_relaxed(&word, 0);
  } else {
    seen = pkd__exchange_release(&word, 0);
  }
  if (seen == 2)
    pkd__os_wake(&word);
}

static void count(void* arg) {
  (void)arg;
  lock();
  counter++;
  unlock();
}

static void three_threads(int with) {
  bug = with;
  for (int i = 0; i < 3; i++)
    explore_spawn(count, NULL);
  explore_join();
  explore_assert(counter == 3);
}

#define BOUNDS                                                                 \
  { .preemptions = 2, .stale = 1 }

const explore_scenario_t explore_seeded_mutex[] = {
    {"seeded/mutex-is-right", three_threads, RIGHT, EXPLORE_OK, 0, BOUNDS},
    {"seeded/mutex-takes-one-after-sleep", three_threads, TAKES_ONE_AFTER_SLEEP,
     EXPLORE_LOST_WAKEUP, 0, BOUNDS},
    {"seeded/mutex-unlock-in-two-steps", three_threads, UNLOCK_IN_TWO_STEPS,
     EXPLORE_LOST_WAKEUP, 0, BOUNDS},
    {"seeded/mutex-no-cas", three_threads, NO_CAS, EXPLORE_RACE, 0, BOUNDS},
    {"seeded/mutex-relaxed-unlock", three_threads, RELAXED_UNLOCK, EXPLORE_RACE,
     0, BOUNDS},
    {.name = NULL},
};
