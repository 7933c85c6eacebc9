/* SPDX-License-Identifier: MIT
 *
 * scenario_permits.c - a semaphore whose permits are added, forgotten and
 * resized while others take them.
 *
 * There are never more owners of permits than there may be permits, also between
 * two steps of one who changes their number: `total` and the word that holds the
 * available ones change one after the other. */
#include "scenario.h"

#include <parkade/async/sem.h>

enum { MOST = 2 };

static struct shared {
  pkd_async_sem_t sem;
  pkd_req_t takers[MOST + 1];
  pkd_req_t owner;
} * s;

static void start(uint32_t permits) {
  s = explore_need(sizeof *s);
  explore_name(&s->sem, sizeof s->sem, "sem");
  explore_assert(pkd_async_sem_init(&s->sem, permits, MOST) == 0);
}

static void narrow(void* arg) {
  (void)arg;
  explore_assert(pkd_async_sem_resize(&s->sem, MOST - 1) == 0);
}

static void widen(void* arg) {
  (void)arg;
  explore_assert(pkd_async_sem_resize(&s->sem, MOST) == 0);
}

/* Refused if the other is not narrow yet. */
static void add_one(void* arg) {
  (void)arg;
  explore_outcome(pkd_async_sem_add(&s->sem, 1) == 0);
}

static void forget_one(void* arg) {
  (void)arg;
  explore_assert(pkd_async_sem_forget(&s->owner, &s->sem, 1) == 0);
}

/* @return how many could be had, one by one */
static int take_all(void) {
  int taken = 0;

  for (int i = 0; i <= MOST; i++)
    taken += pkd_async_sem_try_acquire(&s->takers[i], &s->sem, 1) == 0;
  return taken;
}

static void finish(int taken) {
  for (int i = 0; i <= MOST; i++)
    if (pkd_req_owned(&s->takers[i]) != NULL)
      pkd_async_sem_release(&s->takers[i], &s->sem, 1);
  explore_assert(taken <= MOST);
  explore_join();
  explore_assert(pkd_async_sem_resize(&s->sem, MOST) == 0);
  explore_assert(pkd_async_sem_available(&s->sem) == MOST);
  scenario_nobody_at(&s->sem);
}

static void two_resize(int arg) {
  (void)arg;
  start(MOST);
  explore_spawn(narrow, NULL);
  explore_spawn(widen, NULL);
  finish(take_all());
}

static void one_resizes_and_one_adds(int arg) {
  (void)arg;
  start(MOST);
  explore_spawn(narrow, NULL);
  explore_spawn(add_one, NULL);
  finish(take_all());
}

static void one_resizes_and_one_forgets(int arg) {
  (void)arg;
  start(MOST);
  explore_assert(pkd_async_sem_try_acquire(&s->owner, &s->sem, 1) == 0);
  explore_spawn(narrow, NULL);
  explore_spawn(forget_one, NULL);
  finish(take_all());
}

const explore_scenario_t explore_permits[] = {
    {"permits/resize-resize", two_resize, 0, OK, 0, DEEP},
    {"permits/resize-add", one_resizes_and_one_adds, 0, OK, 3, DEEP},
    {"permits/resize-forget", one_resizes_and_one_forgets, 0, OK, 0, DEEP},
    {.name = NULL},
};
