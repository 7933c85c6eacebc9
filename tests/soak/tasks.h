/* SPDX-License-Identifier: MIT
 *
 * tasks.h - one wait of a loop's task, or of a worker that blocks: its request,
 * and how each kind of lock is asked for, entered and given back. */
#ifndef PKD_SOAK_TASKS_H
#define PKD_SOAK_TASKS_H

#include "soak.h"

#include <stdatomic.h>

enum { MUTEXES = 3, SEMS = 2, RWLOCKS = 2, EVENTS = 2, KEYS = 4, PERMITS = 5 };
enum { SEVERAL = 3, WAYS = 9 };

/** The objects; made anew for each leg. */
extern struct objects {
  pkd_async_mutex_t mutexes[MUTEXES];
  pkd_async_cond_t conds[MUTEXES]; /* with the mutex of that number */
  pkd_async_sem_t sems[SEMS];
  pkd_async_rwlock_t rwlocks[RWLOCKS];
  pkd_async_event_t events[EVENTS]; /* a state, and notifications */
  pkd_async_barrier_t barrier;      /* for three */
  pkd_async_once_t once;
  pkd_async_keyed_t keyed;
  pkd_async_gate_t gate; /* all that goes on in a leg is inside */
} all;

/** How many own each. */
extern struct inside {
  atomic_int mutexes[MUTEXES], sems[SEMS], keys[KEYS], once;
  atomic_int readers[RWLOCKS], writers[RWLOCKS];
} inside;

struct actor_loop;

/* Where a task is: nowhere, waiting, in its loop's hands, or left for anybody to
 * give back. */
enum stage { IDLE, ASKED, HOLDS, LOST };

struct task {
  pkd_req_t req;
  union {
    struct {
      pkd_many_t many;
      pkd_many_item_t items[SEVERAL];
    } several;
    pkd_work_t work;
  } more;
  struct actor_loop* loop; /* NULL: a worker's, on its stack */
  const struct way* way;
  unsigned which;  /* of the objects of that kind */
  uint32_t amount; /* permits, a mode, how many at once */
  unsigned first;  /* of several: the first key */
  bool led;        /* the answer was: you lead */

  uv_mutex_t guard; /* starting and cancelling exclude each other */
  bool promised;    /* under the guard: a cancel has returned 0 */
  uint64_t since;   /* atomic; when it was asked for, 0: it does not wait */
  unsigned ticks;   /* the loop's: how long it holds what it has */
  struct task* next;
  atomic_int stage; /* the loop's; LOST: whoever finds it makes it IDLE */
};

/** How one kind is used. */
struct way {
  enum kind kind;
  int (*begin)(pkd_loop_t* loop, struct task* task);
  int (*block)(struct task* task, pkd_deadline_t end);
  /* Owning: looks and writes what only an owner may. */
  void (*enter)(struct self* self, struct task* task);
  /* Gives back. @return 0 */
  int (*leave)(struct self* self, struct task* task);
  bool ends; /* every wait ends by itself: no deadline is needed */
};

/** The kinds that can be begun by one who owns nothing; the last is not for
 * workers. */
extern const struct way ways[WAYS];

/** Begun by one who owns the mutex, or reads the rwlock. */
extern const struct way way_of_cond, way_of_upgrade;

/** Makes `task` one wait of a random kind, of the first `kinds`, for a random
 * object. */
void task_choose(struct self* self, struct task* task, unsigned kinds);

/** The address that the wait queues at, for a report. */
const void* task_object(const struct task* task);

/** Signals, notifications and their like, by chance. */
void tasks_stir(struct self* self);

/** Answers of loops come here: loops.c. */
void task_answered(struct task* task, int status);

#endif
