/* SPDX-License-Identifier: MIT
 *
 * scenario_grid.c - every lock and every wait that blocks a thread, in every way
 * it can be begun and ended, with two threads and with three.
 *
 * The names are sync-grid/PRIMITIVE/WAY/THREADS, so that tests/model/grid can lay
 * them out as a table and a hole is seen. The scenarios of one primitive's own
 * tricks are elsewhere (scenario_mutex.c and its like); these all have the same
 * shape:
 *
 *   plain   everybody takes it, or waits until the last thread fulfils it
 *   try     the first only tries
 *   timed   the first, and of three the third, gives up at a deadline
 *   cancel  the first has a token, which the last thread fires
 *   freed   the last one out frees the memory at once
 *
 * What a lock guards is plain memory, as is what a wait must have published: a
 * lock that lets two in is a data race. At the end it must be free for whoever
 * tries, and nobody may be queued. */
#include "scenario.h"

#include <parkade/barrier.h>
#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

#include <errno.h>

enum { PLAIN, TRY, TIMED, CANCEL, FREED };

typedef struct object {
  union {
    pkd_mutex_t mutex;
    pkd_fair_mutex_t fair;
    pkd_remutex_t remutex;
    pkd_rwlock_t rwlock;
    pkd_sem_t sem;
    pkd_event_t event;
    pkd_latch_t latch;
    pkd_barrier_t barrier;
    pkd_once_t once;
  } u;
  pkd_cond_t cond;
  int users;    /* who may still use it; under it, or atomic for a wait */
  int data;     /* under it, or published by it */
  bool freed;   /* nobody looks at it any more */
  bool unready; /* of the condition, under its mutex */
} object_t;

typedef struct face {
  void (*init)(int threads);
  int (*take)(const pkd_cancel_t* cancel, pkd_deadline_t deadline);
  int (*attempt)(void);
  void (*give)(void);
  int (*other)(const pkd_cancel_t* cancel, pkd_deadline_t deadline);
  void (*fulfil)(void); /* a wait; locks have none */
  bool shared;          /* `take` lets others in, `other` does not */
  bool all_come;        /* who gave up must come again */
} face_t;

static object_t* o;
static const face_t* face;
static int way;
static int threads;
static pkd_cancel_t* token; /* allocated: at one place in every build */

/* --- locks ---------------------------------------------------------------- */

static int take_mutex(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_mutex_lock_cancellable(&o->u.mutex, cancel, deadline);
}
static int try_mutex(void) {
  return pkd_mutex_trylock(&o->u.mutex);
}
static void give_mutex(void) {
  pkd_mutex_unlock(&o->u.mutex);
}

static int take_fair(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_fair_mutex_lock_cancellable(&o->u.fair, cancel, deadline);
}
static int try_fair(void) {
  return pkd_fair_mutex_trylock(&o->u.fair);
}
static void give_fair(void) {
  pkd_fair_mutex_unlock(&o->u.fair);
}

static int take_remutex(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_remutex_lock_cancellable(&o->u.remutex, cancel, deadline);
}
static int try_remutex(void) {
  return pkd_remutex_trylock(&o->u.remutex);
}
static void give_remutex(void) {
  pkd_remutex_unlock(&o->u.remutex);
}

/* What a thread took of the rwlock, it gives back. */
static char mode[8];

static int took(char how, int rc) {
  if (rc == 0)
    mode[explore_self()] = how;
  return rc;
}
static int take_read(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return took('r',
              pkd_rwlock_rdlock_cancellable(&o->u.rwlock, cancel, deadline));
}
static int take_write(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return took('w',
              pkd_rwlock_wrlock_cancellable(&o->u.rwlock, cancel, deadline));
}
static int take_up(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return took('u',
              pkd_rwlock_uplock_cancellable(&o->u.rwlock, cancel, deadline));
}
static int try_read(void) {
  return took('r', pkd_rwlock_tryrdlock(&o->u.rwlock));
}
static int try_write(void) {
  return took('w', pkd_rwlock_trywrlock(&o->u.rwlock));
}
static int try_up(void) {
  return took('u', pkd_rwlock_tryuplock(&o->u.rwlock));
}
static void give_rwlock(void) {
  char how = mode[explore_self()];

  if (how == 'r')
    pkd_rwlock_rdunlock(&o->u.rwlock);
  else if (how == 'w')
    pkd_rwlock_wrunlock(&o->u.rwlock);
  else
    pkd_rwlock_upunlock(&o->u.rwlock);
}

static void init_sem(int unused) {
  (void)unused;
  o->u.sem = (pkd_sem_t)PKD_SEM_INIT(1);
}
static int take_sem(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_sem_acquire_cancellable(&o->u.sem, 1, cancel, deadline);
}
static int try_sem(void) {
  return pkd_sem_tryacquire(&o->u.sem, 1);
}
static void give_sem(void) {
  pkd_sem_release(&o->u.sem, 1);
}

/* An automatic event that is set is a lock that is free. */
static void init_auto(int unused) {
  (void)unused;
  o->u.event = (pkd_event_t)PKD_EVENT_AUTO_INIT;
  pkd_event_set(&o->u.event);
}
static int take_event(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_event_wait_cancellable(&o->u.event, cancel, deadline);
}
static int try_event(void) {
  return pkd_event_trywait(&o->u.event);
}
static void give_event(void) {
  pkd_event_set(&o->u.event);
}

/* --- waits ---------------------------------------------------------------- */

static void init_latch(int unused) {
  (void)unused;
  o->u.latch = (pkd_latch_t)PKD_LATCH_INIT(1);
}
static int take_latch(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_latch_wait_cancellable(&o->u.latch, cancel, deadline);
}
static int try_latch(void) {
  return pkd_latch_trywait(&o->u.latch);
}
static void fulfil_latch(void) {
  pkd_latch_count_down(&o->u.latch, 1);
}

static void init_barrier(int parties) {
  pkd_barrier_init(&o->u.barrier, (uint32_t)parties);
}
static int take_barrier(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  int rc = pkd_barrier_wait_cancellable(&o->u.barrier, cancel, deadline);

  return rc > 0 ? 0 : rc;
}
static void fulfil_barrier(void) {
  take_barrier(NULL, PKD_FOREVER);
}

static int fill_in(void* arg) {
  (void)arg;
  explore_assert(o->data == 0);
  o->data = 1;
  return 0;
}
static int take_once(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  return pkd_once_try_cancellable(&o->u.once, fill_in, NULL, cancel, deadline);
}
static int try_once(void) {
  return pkd_once_is_done(&o->u.once) ? 0 : -EBUSY;
}
static void fulfil_once(void) {
  take_once(NULL, PKD_FOREVER);
}

static void init_cond(int unused) {
  (void)unused;
  o->unready = true;
}
static int take_cond(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  int rc = 0;

  pkd_mutex_lock(&o->u.mutex);
  while (rc == 0 && o->unready)
    rc = pkd_cond_wait_cancellable(&o->cond, &o->u.mutex, cancel, deadline);
  if (rc == PKD_ENOTHELD)
    return way == CANCEL ? -ECANCELED : -ETIMEDOUT;
  pkd_mutex_unlock(&o->u.mutex);
  return rc;
}
static void fulfil_cond(void) {
  pkd_mutex_lock(&o->u.mutex);
  o->unready = false;
  pkd_cond_broadcast(&o->cond);
  pkd_mutex_unlock(&o->u.mutex);
}

/* --- faces ---------------------------------------------------------------- */

enum {
  MUTEX,
  FAIR,
  REMUTEX,
  READ,
  WRITE,
  UP,
  SEM,
  AUTO,
  EVENT,
  LATCH,
  BARRIER,
  ONCE,
  COND
};

static const face_t faces[] = {
    [MUTEX] = {.take = take_mutex, .attempt = try_mutex, .give = give_mutex},
    [FAIR] = {.take = take_fair, .attempt = try_fair, .give = give_fair},
    [REMUTEX] = {.take = take_remutex,
                 .attempt = try_remutex,
                 .give = give_remutex},
    [READ] = {.take = take_read,
              .attempt = try_read,
              .give = give_rwlock,
              .other = take_write,
              .shared = true},
    [WRITE] = {.take = take_write, .attempt = try_write, .give = give_rwlock},
    [UP] = {.take = take_up,
            .attempt = try_up,
            .give = give_rwlock,
            .other = take_write,
            .shared = true},
    [SEM] = {.init = init_sem,
             .take = take_sem,
             .attempt = try_sem,
             .give = give_sem},
    [AUTO] = {.init = init_auto,
              .take = take_event,
              .attempt = try_event,
              .give = give_event},
    [EVENT] = {.take = take_event, .attempt = try_event, .fulfil = give_event},
    [LATCH] = {.init = init_latch,
               .take = take_latch,
               .attempt = try_latch,
               .fulfil = fulfil_latch},
    [BARRIER] = {.init = init_barrier,
                 .take = take_barrier,
                 .fulfil = fulfil_barrier,
                 .all_come = true},
    [ONCE] = {.take = take_once, .attempt = try_once, .fulfil = fulfil_once},
    [COND] = {.init = init_cond, .take = take_cond, .fulfil = fulfil_cond},
};

/* --- what the threads do -------------------------------------------------- */

static void leave_and_free(void) {
  bool last;

  if (face->fulfil == NULL) {
    last = --o->users == 0;
    face->give();
  } else {
    last = __atomic_sub_fetch(&o->users, 1, __ATOMIC_ACQ_REL) == 0;
  }
  if (last)
    explore_free(o);
}

static void use(bool alone) {
  if (face->fulfil != NULL)
    explore_assert(o->data == 1);
  else if (alone)
    o->data++;
  else
    explore_assert(o->data >= 0);
  if (way == FREED)
    leave_and_free();
  else if (face->give != NULL)
    face->give();
}

static int take_as_told(bool told) {
  if (told && way == TRY)
    return face->attempt();
  if (told && way == CANCEL)
    return face->take(token, PKD_FOREVER);
  return face->take(NULL, told && way == TIMED ? SOON : PKD_FOREVER);
}

static void takes(void* arg) {
  bool told = arg != NULL;
  int rc = take_as_told(told);

  if (told && way >= TRY && way <= CANCEL) {
    static const int reasons[] = {
        [TRY] = -EBUSY, [TIMED] = -ETIMEDOUT, [CANCEL] = -ECANCELED};
    explore_assert(rc == 0 || rc == reasons[way]);
    explore_outcome(rc == 0 ? 0 : 1);
  }
  if (rc != 0 && face->all_come)
    rc = face->take(NULL, PKD_FOREVER);
  if (rc == 0)
    use(!face->shared);
  else
    explore_assert(told);
}

static void takes_alone(void* arg) {
  (void)arg;
  explore_assert(face->other(NULL, PKD_FOREVER) == 0);
  use(true);
}

static void fires(void* arg) {
  (void)arg;
  pkd_cancel_fire(token);
}

/* The same thread takes and fires, in either order. */
static void takes_and_fires(void* arg) {
  bool before = explore_choose(2) == 0;

  if (before)
    fires(arg);
  if (face->other != NULL)
    takes_alone(arg);
  else
    takes(arg);
  if (!before)
    fires(arg);
}

static void fulfils(void* arg) {
  bool before = explore_choose(2) == 0;

  (void)arg;
  if (way == CANCEL && threads == 2 && before)
    pkd_cancel_fire(token);
  if (face != &faces[ONCE])
    o->data = 1;
  face->fulfil();
  if (way == FREED && (face->all_come || face == &faces[ONCE]))
    leave_and_free();
  else if (way == CANCEL && threads == 2 && !before)
    pkd_cancel_fire(token);
}

/* --- who plays ------------------------------------------------------------ */

static int told; /* the address of something is told enough */

static void cast_lock(void) {
  explore_spawn(takes, &told);
  if (way == CANCEL && threads == 2) {
    explore_spawn(takes_and_fires, NULL);
    return;
  }
  explore_spawn(face->other != NULL ? takes_alone : takes, NULL);
  if (threads == 2)
    return;
  if (way == CANCEL)
    explore_spawn(fires, NULL);
  else if (way == FREED && face->shared)
    explore_spawn(takes_alone, NULL);
  else
    explore_spawn(takes, way == TIMED ? &told : NULL);
}

static void cast_wait(void) {
  bool fired = way == CANCEL && threads == 3;

  explore_spawn(takes, &told);
  if (threads == 3)
    explore_spawn(fired ? fires : takes, way == TIMED ? &told : NULL);
  explore_spawn(fulfils, NULL);
}

static void play(int code) {
  face = &faces[code / 100];
  way = code / 10 % 10;
  threads = code % 10;
  o = explore_need(sizeof *o);
  explore_name(o, sizeof *o, "object");
  token = explore_need(sizeof *token);
  explore_name(token, sizeof *token, "token");
  if (face->init != NULL)
    face->init(way == CANCEL && threads == 3 ? 2 : threads);
  o->users = threads;
  if (face->fulfil != NULL && !face->all_come && face != &faces[ONCE])
    o->users = threads - 1; /* who fulfils does not look back */
  if (face->fulfil != NULL)
    cast_wait();
  else
    cast_lock();
  explore_join();
  scenario_nobody_at(&o->u);
  scenario_nobody_at(&o->cond);
  if (way == FREED)
    return;
  if (face->attempt != NULL)
    explore_assert(face->attempt() == 0);
  if (face->give != NULL)
    face->give();
}

/* --- the grid ------------------------------------------------------------- */

#define BOUNDS(n)                                                              \
  { .preemptions = (n) == 2 ? 3 : 2, .stale = 1 }
#define TIMED_BOUNDS(n)                                                        \
  { .preemptions = (n) == 2 ? 3 : 2, .stale = (n) == 2, .timeouts = 1 }

#define ONE(name, FACE, WAY, way, n, outcomes, bounds)                         \
  {                                                                            \
    "sync-grid/" name "/" way "/" #n, play, FACE * 100 + WAY * 10 + n, OK,     \
        outcomes, bounds                                                       \
  }
#define BOTH(name, FACE, WAY, way, outcomes)                                   \
  ONE(name, FACE, WAY, way, 2, outcomes, BOUNDS(2)),                           \
      ONE(name, FACE, WAY, way, 3, outcomes, BOUNDS(3))
#define WITHOUT_TRY(name, FACE)                                                \
  BOTH(name, FACE, PLAIN, "plain", 0),                                         \
      ONE(name, FACE, TIMED, "timed", 2, 3, TIMED_BOUNDS(2)),                  \
      ONE(name, FACE, TIMED, "timed", 3, 3, TIMED_BOUNDS(3)),                  \
      BOTH(name, FACE, CANCEL, "cancel", 3),                                   \
      BOTH(name, FACE, FREED, "freed", 0)
#define ALL(name, FACE) WITHOUT_TRY(name, FACE), BOTH(name, FACE, TRY, "try", 3)

const explore_scenario_t explore_sync_grid[] = {
    ALL("mutex", MUTEX),
    ALL("fair-mutex", FAIR),
    ALL("remutex", REMUTEX),
    ALL("rwlock-read", READ),
    ALL("rwlock-write", WRITE),
    ALL("rwlock-up", UP),
    ALL("sem", SEM),
    ALL("auto-event", AUTO),
    ALL("event", EVENT),
    ALL("latch", LATCH),
    WITHOUT_TRY("barrier", BARRIER),
    ALL("once", ONCE),
    WITHOUT_TRY("cond", COND),
    {.name = NULL},
};
