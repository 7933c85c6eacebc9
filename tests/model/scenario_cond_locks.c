/* SPDX-License-Identifier: MIT
 *
 * scenario_cond_locks.c - pkd_cond_t with a fair mutex and with a reader-writer
 * lock under exploration.
 *
 * As with the mutex: a signal that got lost, or a waiter moved to a queue into
 * which nobody looks, is a deadlock; what the lock guards is a plain value. */
#include "scenario.h"

#include <parkade/cond.h>

#include <errno.h>

typedef struct shared {
  pkd_fair_mutex_t fair;
  pkd_rwlock_t rw;
  pkd_cond_t c;
  int ready; /* under the lock, for writing */
  int seen[4];
} shared_t;

static shared_t* s;

static void finish(void) {
  explore_join();
  explore_assert(s->fair.word == 0);
  explore_assert(s->rw.word == 0);
  explore_assert(s->c.lock == NULL);
  scenario_nobody_at(&s->fair);
  scenario_nobody_at(&s->rw);
  scenario_nobody_at(&s->c);
}

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->fair, sizeof s->fair, "fair mutex");
  explore_name(&s->rw, sizeof s->rw, "rwlock");
  explore_name(&s->c, sizeof s->c, "condition");
}

/* --- waiting and calling --------------------------------------------------- */

static void waits_fair(void* arg) {
  (void)arg;
  pkd_fair_mutex_lock(&s->fair);
  while (!s->ready)
    explore_assert(pkd_cond_wait_fair(&s->c, &s->fair) == 0);
  s->ready++;
  pkd_fair_mutex_unlock(&s->fair);
}

static void waits_writing(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&s->rw);
  while (!s->ready)
    explore_assert(pkd_cond_wait_wrlock(&s->c, &s->rw) == 0);
  s->ready++;
  pkd_rwlock_wrunlock(&s->rw);
}

static void waits_reading(void* arg) {
  (void)arg;
  pkd_rwlock_rdlock(&s->rw);
  while (!s->ready)
    explore_assert(pkd_cond_wait_rdlock(&s->c, &s->rw) == 0);
  s->seen[explore_self() - 1] = s->ready;
  pkd_rwlock_rdunlock(&s->rw);
}

static int wait_until(int kind) {
  if (kind == 0)
    return pkd_cond_wait_fair_until(&s->c, &s->fair, SOON);
  if (kind == 1)
    return pkd_cond_wait_wrlock_until(&s->c, &s->rw, SOON);
  return pkd_cond_wait_rdlock_until(&s->c, &s->rw, SOON);
}

static void lock(int kind) {
  if (kind == 0)
    pkd_fair_mutex_lock(&s->fair);
  else if (kind == 1)
    pkd_rwlock_wrlock(&s->rw);
  else
    pkd_rwlock_rdlock(&s->rw);
}

static void unlock(int kind) {
  if (kind == 0)
    pkd_fair_mutex_unlock(&s->fair);
  else if (kind == 1)
    pkd_rwlock_wrunlock(&s->rw);
  else
    pkd_rwlock_rdunlock(&s->rw);
}

static int kind_of_waits;

static void waits_or_leaves(void* arg) {
  int rc = 0;

  (void)arg;
  lock(kind_of_waits);
  if (!s->ready)
    rc = wait_until(kind_of_waits);
  explore_assert(rc == 0 || rc == -ETIMEDOUT || rc == PKD_ENOTHELD);
  if (rc != PKD_ENOTHELD)
    unlock(kind_of_waits);
}

static void calls_fair(void* late) {
  pkd_fair_mutex_lock(&s->fair);
  s->ready = 1;
  if (late == NULL)
    pkd_cond_broadcast(&s->c);
  pkd_fair_mutex_unlock(&s->fair);
  if (late != NULL)
    pkd_cond_broadcast(&s->c);
}

static void calls_writing(void* late) {
  pkd_rwlock_wrlock(&s->rw);
  s->ready = 1;
  if (late == NULL)
    pkd_cond_broadcast(&s->c);
  pkd_rwlock_wrunlock(&s->rw);
  if (late != NULL)
    pkd_cond_broadcast(&s->c);
}

/* Calls while it reads: readers may enter, writers may not. */
static void calls_reading(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&s->rw);
  s->ready = 1;
  pkd_rwlock_downgrade(&s->rw);
  pkd_cond_broadcast(&s->c);
  pkd_rwlock_rdunlock(&s->rw);
}

/* --- who meets whom -------------------------------------------------------- */

static void fair(int late) {
  start();
  explore_spawn(waits_fair, NULL);
  explore_spawn(waits_fair, NULL);
  explore_spawn(calls_fair, late ? s : NULL);
  finish();
  explore_assert(s->ready == 3);
}

static void writing(int late) {
  start();
  explore_spawn(waits_writing, NULL);
  explore_spawn(waits_writing, NULL);
  explore_spawn(calls_writing, late ? s : NULL);
  finish();
  explore_assert(s->ready == 3);
}

static void mixed(int how) {
  start();
  s->rw.policy = how >= 3 ? PKD_RWLOCK_PREFER_READERS : PKD_RWLOCK_PHASES;
  explore_spawn(waits_writing, NULL);
  explore_spawn(waits_reading, NULL);
  explore_spawn(how % 3 == 2 ? calls_reading : calls_writing,
                how % 3 == 1 ? s : NULL);
  finish();
  explore_assert(s->ready == 2);
}

static void timed(int kind) {
  start();
  kind_of_waits = kind;
  explore_spawn(waits_or_leaves, NULL);
  explore_spawn(waits_or_leaves, NULL);
  explore_spawn(kind == 0 ? calls_fair : calls_writing, NULL);
  finish();
}

const explore_scenario_t explore_cond_locks[] = {
    {"cond-locks/fair", fair, 0, OK, 0, NARROW},
    {"cond-locks/fair-late", fair, 1, OK, 0, NARROW},
    {"cond-locks/writing", writing, 0, OK, 0, NARROW},
    {"cond-locks/writing-late", writing, 1, OK, 0, NARROW},
    {"cond-locks/mixed", mixed, 0, OK, 0, {.preemptions = 3}},
    {"cond-locks/mixed-late", mixed, 1, OK, 0, {.preemptions = 3}},
    {"cond-locks/mixed-called-reading", mixed, 2, OK, 0, {.preemptions = 3}},
    {"cond-locks/mixed-prefer-readers", mixed, 3, OK, 0, NARROW},
    {"cond-locks/mixed-prefer-readers-late", mixed, 4, OK, 0, NARROW},
    {"cond-locks/mixed-prefer-readers-called-reading", mixed, 5, OK, 0, NARROW},
    {"cond-locks/fair-timed",
     timed,
     0,
     OK,
     0,
     {.preemptions = 1, .timeouts = 2}},
    {"cond-locks/writing-timed",
     timed,
     1,
     OK,
     0,
     {.preemptions = 1, .timeouts = 2}},
    {"cond-locks/reading-timed",
     timed,
     2,
     OK,
     0,
     {.preemptions = 1, .timeouts = 2}},
    {NULL, NULL, 0, OK, 0, {0}}};
