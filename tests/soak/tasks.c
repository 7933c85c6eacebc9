/* SPDX-License-Identifier: MIT
 *
 * tasks.c - which wait is made next, workers that block in the queues of the
 * tasks, and what must hold of these locks when all stand still. */
#include "tasks.h"

#include <string.h>

void task_choose(struct self* self, struct task* task, unsigned kinds) {
  task->way = &ways[chance(self, kinds)];
  task->amount = 0;
  task->led = false;
  task->ticks = (unsigned)chance(self, 4);
  switch (task->way->kind) {
  case A_SEM:
    task->which = (unsigned)chance(self, SEMS);
    task->amount = (uint32_t)chance(self, PERMITS) + 1;
    break;
  case A_RWLOCK:
    task->which = (unsigned)chance(self, RWLOCKS);
    task->amount = chance(self, 2) == 0 ? PKD_ASYNC_RWLOCK_READ
                                        : (uint32_t)chance(self, 3) + 1;
    break;
  case A_EVENT:
    task->which = (unsigned)chance(self, EVENTS);
    task->amount = (uint32_t)chance(self, 2);
    break;
  case A_KEYED:
    task->which = (unsigned)chance(self, KEYS);
    break;
  case A_MANY:
    task->amount = (uint32_t)chance(self, SEVERAL) + 1;
    task->first = (unsigned)chance(self, KEYS);
    task->which = (unsigned)chance(self, MUTEXES);
    break;
  case A_BARRIER:
  case A_ONCE:
    task->which = 0;
    break;
  default:
    task->which = (unsigned)chance(self, MUTEXES);
  }
}

const void* task_object(const struct task* task) {
  switch (task->way->kind) {
  case A_SEM:
    return &all.sems[task->which];
  case A_RWLOCK:
  case A_UPGRADE:
    return &all.rwlocks[task->which];
  case A_EVENT:
    return &all.events[task->which];
  case A_KEYED:
    return &all.keyed;
  case A_BARRIER:
    return &all.barrier;
  case A_ONCE:
    return &all.once;
  case A_COND:
    return &all.conds[task->which];
  default:
    return &all.mutexes[task->which];
  }
}

void tasks_stir(struct self* self) {
  pkd_async_event_t* state = &all.events[0];
  pkd_async_event_t* notes = &all.events[1];
  pkd_async_cond_t* cond = &all.conds[chance(self, MUTEXES)];

  switch (chance(self, 8)) {
  case 0:
    pkd_async_event_set(state);
    break;
  case 1:
  case 2:
    pkd_async_event_clear(state);
    break;
  case 3:
    pkd_async_event_notify_all(notes);
    break;
  case 4:
    pkd_async_event_notify_one(notes);
    break;
  case 5:
    self->a_called += (uint64_t)pkd_async_cond_broadcast(cond);
    break;
  case 6: /* fewer, and as many again at once: who asked for all waits longer */
    EXPECT(self, pkd_async_sem_resize(&all.sems[0], PERMITS - 2) == 0);
    EXPECT(self, pkd_async_sem_resize(&all.sems[0], PERMITS) == 0);
    break;
  default:
    self->a_called += (uint64_t)pkd_async_cond_signal(cond);
  }
}

/* --- workers that block ------------------------------------------------------ */

/* @return what the wait came to; what it got is entered */
static int block(struct self* self, struct task* task) {
  bool forever = task->way->ends && chance(self, 2) == 0;
  int rc;

  wait_begins(self, task->way->kind, task_object(task));
  rc = task->way->block(task, forever ? PKD_FOREVER : soon(self));
  wait_ends(self, rc);
  EXPECT(self, rc == 0 || rc == 1 || rc == UV_ETIMEDOUT || rc == UV_ECANCELED ||
                   rc == UV_ESHUTDOWN ||
                   (rc == PKD_EDEADLK && task->way == &way_of_upgrade));
  if (rc >= 0) {
    task->led = rc == 1;
    task->way->enter(self, task);
  }
  return rc;
}

/* An owner becomes more, or waits again. @return whether it still owns */
static bool block_again(struct self* self, struct task* task) {
  if (task->way->kind == A_RWLOCK && task->amount != PKD_ASYNC_RWLOCK_WRITE &&
      chance(self, 4) == 0) {
    task->way = &way_of_upgrade;
    (void)block(self, task);
  } else if (task->way->kind == A_MUTEX && chance(self, 4) == 0) {
    task->way = &way_of_cond;
    atomic_fetch_sub(&inside.mutexes[task->which], 1);
    return block(self, task) >= 0;
  }
  return true;
}

void tasks_block(struct self* self) {
  struct task task;

  if (chance(self, 8) == 0) {
    tasks_stir(self);
    return;
  }
  if (pkd_async_gate_enter(&all.gate) != 0)
    return; /* the leg is over */
  memset(&task, 0, sizeof task);
  task_choose(self, &task, WAYS - 1);
  if (block(self, &task) >= 0 && block_again(self, &task)) {
    linger(self);
    EXPECT(self, task.way->leave(self, &task) == 0);
  }
  EXPECT(self, pkd_async_gate_leave(&all.gate) == 0);
}

/* --- legs ------------------------------------------------------------------ */

void tasks_open(void) {
  memset(&all, 0, sizeof all);
  for (unsigned i = 0; i < SEMS; i++)
    MUST(pkd_async_sem_init(&all.sems[i], PERMITS, PERMITS) == 0);
  MUST(pkd_async_barrier_init(&all.barrier, 3) == 0);
}

/* Holders may go on, those who wait and those who come are told. */
void tasks_close_one(rng_t* rng) {
  switch (rng_below(rng, 6)) {
  case 0:
    pkd_async_mutex_close(&all.mutexes[2]);
    break;
  case 1:
    pkd_async_sem_close(&all.sems[1]);
    break;
  case 2:
    pkd_async_rwlock_close(&all.rwlocks[1]);
    break;
  case 3:
    pkd_async_event_close(&all.events[1]);
    break;
  case 4:
    pkd_async_barrier_abort(&all.barrier);
    pkd_async_barrier_reset(&all.barrier);
    break;
  default:
    pkd_async_keyed_close(&all.keyed);
  }
}

void tasks_drained(void) {
  pkd_req_t req;

  memset(&req, 0, sizeof req);
  MUST(pkd_async_gate_close_blocking(&req, &all.gate, PKD_FOREVER) == 0);
}

void tasks_check(void) {
  uint64_t passed = 0, leads = 0, ended = 0, called = 0;

  for (unsigned i = 0; i < MUTEXES; i++) {
    MUST(inside.mutexes[i] == 0);
    MUST(pkd_async_cond_destroy(&all.conds[i]) == 0);
    MUST(pkd_async_mutex_destroy(&all.mutexes[i]) == 0);
  }
  for (unsigned i = 0; i < SEMS; i++) {
    MUST(inside.sems[i] == 0);
    MUST(pkd_async_sem_available(&all.sems[i]) == PERMITS);
    MUST(pkd_async_sem_destroy(&all.sems[i]) == 0);
  }
  for (unsigned i = 0; i < RWLOCKS; i++) {
    MUST(inside.readers[i] == 0 && inside.writers[i] == 0);
    MUST(pkd_async_rwlock_destroy(&all.rwlocks[i]) == 0);
  }
  for (unsigned i = 0; i < EVENTS; i++)
    MUST(pkd_async_event_destroy(&all.events[i]) == 0);
  for (unsigned i = 0; i < KEYS; i++)
    MUST(inside.keys[i] == 0);
  MUST(pkd_async_barrier_destroy(&all.barrier) == 0);
  MUST(pkd_async_once_destroy(&all.once) == 0);
  MUST(inside.once == 0);
  MUST(pkd_async_gate_destroy(&all.gate) == 0);
  for (unsigned i = 0; i < ACTORS; i++) {
    passed += actors[i].counts[A_BARRIER].granted;
    leads += actors[i].a_leads;
    ended += actors[i].counts[A_COND].granted;
    called += actors[i].a_called;
  }
  MUST(passed == 3 * leads);
  MUST(ended <= called);
}
