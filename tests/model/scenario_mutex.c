/* SPDX-License-Identifier: MIT
 *
 * scenario_mutex.c - pkd_mutex_t under exploration.
 *
 * The plain counter is what the mutex guards: the race detector proves mutual
 * exclusion and the orders, the sum proves that no section was lost, the end
 * that the byte is free again and nobody is left in the queue. A waiter that
 * nobody would wake shows as a deadlock. */
#include "scenario.h"

#include <parkade/mutex.h>

#include <errno.h>

typedef struct shared {
  pkd_mutex_t m;
  int counter; /* under m */
  int entered[4];
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutex");
  explore_name(&s->counter, sizeof s->counter, "counter");
}

static void finish(void) {
  int entered = 0;

  explore_join();
  for (int i = 0; i < 4; i++)
    entered += s->entered[i];
  explore_assert(s->counter == entered);
  explore_assert(s->m.word == 0);
  scenario_nobody_at(&s->m);
}

static void section(void) {
  s->counter++;
  s->entered[explore_self() - 1]++;
}

static void plain(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  section();
  pkd_mutex_unlock(&s->m);
}

static void plain_twice(void* arg) {
  plain(arg);
  plain(arg);
}

static void fair(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  section();
  pkd_mutex_unlock_fair(&s->m);
}

static void tries(void* arg) {
  int rc = pkd_mutex_trylock(&s->m);

  (void)arg;
  explore_assert(rc == 0 || rc == -EBUSY);
  if (rc != 0)
    return;
  section();
  pkd_mutex_unlock(&s->m);
}

static void hurries(void* arg) {
  int rc = pkd_mutex_lock_until(&s->m, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == -ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  section();
  pkd_mutex_unlock(&s->m);
}

static void bumps(void* arg) {
  (void)arg;
  pkd_mutex_lock(&s->m);
  section();
  pkd_mutex_bump(&s->m);
  section();
  pkd_mutex_unlock(&s->m);
}

typedef void thread_t(void* arg);

/* By number, since a scenario's argument is one. */
static thread_t* const casts[][4] = {
    {plain, plain},          {plain_twice, plain_twice},
    {plain, plain, plain},   {plain_twice, plain, plain},
    {plain, tries, plain},   {plain, hurries},
    {plain, hurries, plain}, {plain, hurries, hurries},
    {fair, fair, fair},      {fair, plain, plain},
    {fair, hurries, plain},  {bumps, plain},
    {bumps, plain, plain},   {plain, plain, plain, plain},
};

enum {
  TWO,
  TWO_TWICE,
  THREE,
  ONE_TWICE_OF_THREE,
  A_TRY,
  TIMED,
  TIMED_OF_THREE,
  TWO_TIMED,
  ALL_FAIR,
  ONE_FAIR,
  FAIR_AND_TIMED,
  BUMP,
  BUMP_OF_THREE,
  FOUR
};

static void cast(int number) {
  start();
  for (int i = 0; i < 4 && casts[number][i] != NULL; i++)
    explore_spawn(casts[number][i], NULL);
  finish();
}

/* The last user frees the mutex right after its unlock, while the one before
 * may still be on its way out of its own. */
static struct {
  pkd_mutex_t m;
  int users; /* under m */
} * object;

static void use_then_free(void* arg) {
  int left;

  pkd_mutex_lock(&object->m);
  left = --object->users;
  if (arg != NULL)
    pkd_mutex_unlock_fair(&object->m);
  else
    pkd_mutex_unlock(&object->m);
  if (left == 0)
    explore_free(object);
}

static void freed_by_last(int threads) {
  object = explore_need(sizeof *object);
  explore_name(object, sizeof *object, "object");
  object->users = threads;
  for (int i = 0; i < threads; i++)
    explore_spawn(use_then_free, i == 1 ? &object : NULL);
  explore_join();
  scenario_nobody_at(object);
}

const explore_scenario_t explore_mutex[] = {
    {"mutex/two", cast, TWO, OK, 0, {.preemptions = 4, .stale = 2}},
    {"mutex/two-twice", cast, TWO_TWICE, OK, 0, DEEP},
    {"mutex/three", cast, THREE, OK, 0, DEEP},
    {"mutex/one-twice-of-three", cast, ONE_TWICE_OF_THREE, OK, 0, WIDE},
    {"mutex/spin", cast, TWO, OK, 0, {.preemptions = 3, .stale = 1, .cpus = 2}},
    {"mutex/spin-of-three", cast, THREE, OK, 0, {.preemptions = 2, .cpus = 2}},
    {"mutex/four", cast, FOUR, OK, 0, NARROW},
    {"mutex/spurious", cast, THREE, OK, 0, {.preemptions = 2, .spurious = 1}},
    {"mutex/try", cast, A_TRY, OK, 0, DEEP},
    {"mutex/timed",
     cast,
     TIMED,
     OK,
     3,
     {.preemptions = 3, .stale = 1, .timeouts = 1, .spurious = 1}},
    {"mutex/timed-of-three", cast, TIMED_OF_THREE, OK, 3, LATE_WIDE},
    {"mutex/two-timed",
     cast,
     TWO_TIMED,
     OK,
     3,
     {.preemptions = 2, .stale = 1, .timeouts = 2}},
    {"mutex/fair", cast, ALL_FAIR, OK, 0, DEEP},
    {"mutex/one-fair", cast, ONE_FAIR, OK, 0, DEEP},
    {"mutex/fair-and-timed", cast, FAIR_AND_TIMED, OK, 3, LATE_WIDE},
    {"mutex/due", cast, THREE, OK, 0, {.preemptions = 2, .jumps = 1}},
    {"mutex/due-twice",
     cast,
     ONE_TWICE_OF_THREE,
     OK,
     0,
     {.preemptions = 2, .jumps = 1}},
    {"mutex/due-and-timed",
     cast,
     TIMED_OF_THREE,
     OK,
     3,
     {.preemptions = 2, .timeouts = 1, .jumps = 1}},
    {"mutex/hidden", cast, THREE, OK, 0, {.preemptions = 3, .doubts = 1}},
    {"mutex/hidden-twice",
     cast,
     ONE_TWICE_OF_THREE,
     OK,
     0,
     {.preemptions = 3, .doubts = 2}},
    {"mutex/hidden-stale",
     cast,
     ONE_TWICE_OF_THREE,
     OK,
     0,
     {.preemptions = 2, .stale = 1, .doubts = 1}},
    {"mutex/hidden-of-four",
     cast,
     FOUR,
     OK,
     0,
     {.preemptions = 2, .doubts = 2}},
    {"mutex/hidden-and-timed",
     cast,
     TIMED_OF_THREE,
     OK,
     3,
     {.preemptions = 3, .timeouts = 1, .doubts = 1}},
    {"mutex/hidden-and-two-timed",
     cast,
     TWO_TIMED,
     OK,
     3,
     {.preemptions = 3, .timeouts = 2, .doubts = 1}},
    {"mutex/hidden-and-due",
     cast,
     ONE_TWICE_OF_THREE,
     OK,
     0,
     {.preemptions = 2, .jumps = 1, .doubts = 1}},
    {"mutex/hidden-and-fair",
     cast,
     ONE_FAIR,
     OK,
     0,
     {.preemptions = 3, .doubts = 1}},
    {"mutex/hidden-and-bump",
     cast,
     BUMP_OF_THREE,
     OK,
     0,
     {.preemptions = 2, .doubts = 1}},
    {"mutex/bump", cast, BUMP, OK, 0, DEEP},
    {"mutex/bump-of-three", cast, BUMP_OF_THREE, OK, 0, WIDE},
    {"mutex/freed-by-last-of-two", freed_by_last, 2, OK, 0, DEEP},
    {"mutex/freed-by-last-of-three", freed_by_last, 3, OK, 0, WIDE},
    {.name = NULL},
};
