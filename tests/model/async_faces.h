/* SPDX-License-Identifier: MIT
 *
 * async_faces.h - every async lock and every async wait behind one face, for the grid
 * of scenario_async_grid.c. */
#ifndef EXPLORE_ASYNC_FACES_H
#define EXPLORE_ASYNC_FACES_H

#include "scenario.h"

#include <parkade/async/barrier.h>
#include <parkade/async/cond.h>
#include <parkade/async/event.h>
#include <parkade/async/gate.h>
#include <parkade/async/keyed.h>
#include <parkade/async/many.h>
#include <parkade/async/mutex.h>
#include <parkade/async/once.h>
#include <parkade/async/rwlock.h>
#include <parkade/async/sem.h>

#define ACTORS 3

typedef struct actor {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req;
  pkd_many_t many;
  pkd_many_item_t items[2];
  int number;
  bool writes; /* takes the rwlock alone, whatever the face */
  int answers;
  int status;
} actor_t;

typedef struct object {
  pkd_async_mutex_t mutex;
  pkd_async_mutex_t second;
  pkd_async_rwlock_t rwlock;
  pkd_async_sem_t sem;
  pkd_async_keyed_t keyed;
  pkd_async_event_t event;
  pkd_async_once_t once;
  pkd_async_gate_t gate;
  pkd_async_barrier_t barrier;
  pkd_async_cond_t cond;
  int users;  /* who may still use it; under it, or atomic for a wait */
  int data;   /* under it, or published by it */
  bool ready; /* what a condition is waited for; under the mutex */
} object_t;

/** What can be done with a lock or a wait. */
typedef struct face {
  int (*start)(actor_t* actor, pkd_req_cb cb);
  int (*block)(actor_t* actor, pkd_deadline_t deadline);
  int (*attempt)(actor_t* actor);
  int (*give)(actor_t* actor); /* NULL: a wait */
  int (*close)(void);
  void (*fulfil)(actor_t* actor); /* NULL: a lock */
  bool shared; /* lets others in; the second actor takes it alone */
} face_t;

/** Which of them it is. */
enum {
  MUTEX,
  SEM,
  READ,
  WRITE,
  UP,
  KEYED,
  MANY,
  EVENT,
  ONCE,
  GATE,
  BARRIER,
  COND
};

extern const face_t faces[];

/** How the actors begin and end; scenario_async_grid.c says what it means. */
enum { PLAIN, TRY, TIMED, CANCEL, CLOSE, FREED };

/** The square of the grid that is played. */
extern struct grid {
  object_t* o;
  actor_t* actor[ACTORS];
  const face_t* face;
  int way;
  int actors;
} grid;

/** Its answer has come; for faces whose answer is not that of one request. */
void actor_end(actor_t* a, int status);

#endif
