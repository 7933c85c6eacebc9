/* SPDX-License-Identifier: MIT
 *
 * scenario_async_grid.c - every async lock and every async wait, in every way it
 * can be begun and ended, by two and by three loops and threads.
 *
 * The names are async-grid/PRIMITIVE/WAY/ACTORS, as in scenario_grid.c:
 *
 *   plain   a loop and a loop, and a thread that blocks
 *   try     a loop, and a thread that only tries
 *   timed   a loop gives up after a while, of three also a thread
 *   cancel  a loop takes its request back; of three, a thread does it for it
 *   close   a thread closes it meanwhile
 *   freed   the last one out frees the memory at once
 *
 * Of a wait, the last actor is a thread that fulfils it. A loop ends when its
 * requests were answered, so an answer that got lost is a deadlock; what a lock
 * guards is plain memory, so two inside are a race. At the end it must be free
 * for whoever tries, and nobody may be queued. */
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
#define KEY 7

enum { PLAIN, TRY, TIMED, CANCEL, CLOSE, FREED };

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
  int users; /* who may still use it; under it, or atomic for a wait */
  int data;  /* under it, or published by it */
  bool ready;
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

static object_t* o;
static actor_t* cast[ACTORS];
static const face_t* face;
static int way;
static int actors;

static void end(actor_t* a, int status);

/* --- locks ---------------------------------------------------------------- */

static int start_mutex(actor_t* a, pkd_req_cb cb) {
  return pkd_async_mutex_lock(&a->loop, &a->req, &o->mutex, cb);
}
static int block_mutex(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_mutex_lock_blocking(&a->req, &o->mutex, deadline);
}
static int try_mutex(actor_t* a) {
  return pkd_async_mutex_trylock(&a->req, &o->mutex);
}
static int give_mutex(actor_t* a) {
  return pkd_async_mutex_unlock(&a->req, &o->mutex);
}
static int close_mutex(void) {
  return pkd_async_mutex_close(&o->mutex);
}

static int start_sem(actor_t* a, pkd_req_cb cb) {
  return pkd_async_sem_acquire(&a->loop, &a->req, &o->sem, 1, cb);
}
static int block_sem(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_sem_acquire_blocking(&a->req, &o->sem, 1, deadline);
}
static int try_sem(actor_t* a) {
  return pkd_async_sem_try_acquire(&a->req, &o->sem, 1);
}
static int give_sem(actor_t* a) {
  return pkd_async_sem_release(&a->req, &o->sem, 1);
}
static int close_sem(void) {
  return pkd_async_sem_close(&o->sem);
}

static int start_write(actor_t* a, pkd_req_cb cb) {
  return pkd_async_rwlock_wrlock(&a->loop, &a->req, &o->rwlock, cb);
}
static int block_write(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_rwlock_wrlock_blocking(&a->req, &o->rwlock, deadline);
}
static int try_write(actor_t* a) {
  return pkd_async_rwlock_trywrlock(&a->req, &o->rwlock);
}
static int start_read(actor_t* a, pkd_req_cb cb) {
  return a->writes ? start_write(a, cb)
                   : pkd_async_rwlock_rdlock(&a->loop, &a->req, &o->rwlock, cb);
}
static int block_read(actor_t* a, pkd_deadline_t deadline) {
  return a->writes
             ? block_write(a, deadline)
             : pkd_async_rwlock_rdlock_blocking(&a->req, &o->rwlock, deadline);
}
static int try_read(actor_t* a) {
  return a->writes ? try_write(a)
                   : pkd_async_rwlock_tryrdlock(&a->req, &o->rwlock);
}
static int start_up(actor_t* a, pkd_req_cb cb) {
  return a->writes ? start_write(a, cb)
                   : pkd_async_rwlock_uplock(&a->loop, &a->req, &o->rwlock, cb);
}
static int block_up(actor_t* a, pkd_deadline_t deadline) {
  return a->writes
             ? block_write(a, deadline)
             : pkd_async_rwlock_uplock_blocking(&a->req, &o->rwlock, deadline);
}
static int try_up(actor_t* a) {
  return a->writes ? try_write(a)
                   : pkd_async_rwlock_tryuplock(&a->req, &o->rwlock);
}
static int give_rwlock(actor_t* a) {
  return pkd_async_rwlock_unlock(&a->req, &o->rwlock);
}
static int close_rwlock(void) {
  return pkd_async_rwlock_close(&o->rwlock);
}

static int start_key(actor_t* a, pkd_req_cb cb) {
  return pkd_async_keyed_lock_u64(&a->loop, &a->req, &o->keyed, KEY, cb);
}
static int block_key(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_keyed_lock_blocking_u64(&a->req, &o->keyed, KEY, deadline);
}
static int try_key(actor_t* a) {
  return pkd_async_keyed_trylock_u64(&a->req, &o->keyed, KEY);
}
static int give_key(actor_t* a) {
  return pkd_async_keyed_unlock(&a->req, &o->keyed);
}
static int close_key(void) {
  return pkd_async_keyed_close(&o->keyed);
}

/* Two at once, which the actors name in different orders. */
static void name_both(actor_t* a) {
  int first = a->number == 0 ? 0 : 1;

  a->items[first].take = pkd_take_mutex(&o->mutex);
  a->items[1 - first].take = pkd_take_mutex(&o->second);
}
static void answer_many(pkd_many_t* many, int status) {
  end(many->data, status);
}
static int start_many(actor_t* a, pkd_req_cb cb) {
  (void)cb;
  name_both(a);
  return pkd_many_lock(&a->loop, &a->many, a->items, 2,
                       way == TIMED && a->number == 0 ? 5 : PKD_NO_TIMEOUT,
                       answer_many);
}
static int block_many(actor_t* a, pkd_deadline_t deadline) {
  name_both(a);
  return pkd_many_lock_blocking(&a->many, a->items, 2, deadline);
}
static int try_many(actor_t* a) {
  name_both(a);
  return pkd_many_trylock(&a->many, a->items, 2);
}
static int give_many(actor_t* a) {
  return pkd_many_unlock(&a->many);
}

/* --- waits ---------------------------------------------------------------- */

static int start_event(actor_t* a, pkd_req_cb cb) {
  return pkd_async_event_wait(&a->loop, &a->req, &o->event, cb);
}
static int block_event(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_event_wait_blocking(&a->req, &o->event, deadline);
}
static int try_event(actor_t* a) {
  return pkd_async_event_try_wait(&a->req, &o->event);
}
static int close_event(void) {
  return pkd_async_event_close(&o->event);
}
static void fulfil_event(actor_t* a) {
  (void)a;
  o->data = 1;
  pkd_async_event_set(&o->event);
}

/* The last actor was the leader before the others began. */
static int start_once(actor_t* a, pkd_req_cb cb) {
  return pkd_async_once_call(&a->loop, &a->req, &o->once, cb);
}
static int block_once(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_once_call_blocking(&a->req, &o->once, deadline);
}
static int try_once(actor_t* a) {
  return pkd_async_once_try(&a->req, &o->once);
}
static void fulfil_once(actor_t* a) {
  o->data = 1;
  explore_assert(pkd_async_once_done(&a->req, &o->once, 0) == 0);
}

/* The last actor was inside before the others closed it. */
static int start_gate(actor_t* a, pkd_req_cb cb) {
  return pkd_async_gate_close(&a->loop, &a->req, &o->gate, cb);
}
static int block_gate(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_gate_close_blocking(&a->req, &o->gate, deadline);
}
static void fulfil_gate(actor_t* a) {
  (void)a;
  o->data = 1;
  explore_assert(pkd_async_gate_leave(&o->gate) == 0);
}

static int start_barrier(actor_t* a, pkd_req_cb cb) {
  return pkd_async_barrier_arrive(&a->loop, &a->req, &o->barrier, cb);
}
static int block_barrier(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_barrier_arrive_blocking(&a->req, &o->barrier, deadline);
}
static int close_barrier(void) {
  return pkd_async_barrier_abort(&o->barrier);
}
static void fulfil_barrier(actor_t* a) {
  int rc;

  o->data = 1;
  /* Who left has not arrived; then nobody comes any more. */
  rc = block_barrier(a, way == PLAIN || way == FREED ? PKD_FOREVER : SOON);
  explore_assert(rc >= 0 || way == TIMED || way == CANCEL || way == CLOSE);
}

/* A condition: the mutex first, then the wait, until it is ready. */
static void look_again(pkd_req_t* req, int status) {
  actor_t* a = req->data;

  if (status == 0 && !o->ready) {
    if (way == TIMED && a->number == 0)
      pkd_req_set_timeout(req, 5);
    explore_assert(pkd_async_cond_wait(&a->loop, req, &o->cond, &o->mutex,
                                       look_again) == 0);
    return;
  }
  end(a, status);
}
static int start_cond(actor_t* a, pkd_req_cb cb) {
  (void)cb;
  return start_mutex(a, look_again);
}
static int block_cond(actor_t* a, pkd_deadline_t deadline) {
  int rc = block_mutex(a, PKD_FOREVER);

  while (rc == 0 && !o->ready)
    rc = pkd_async_cond_wait_blocking(&a->req, &o->cond, &o->mutex, deadline);
  return rc;
}
static void fulfil_cond(actor_t* a) {
  int rc = block_mutex(a, PKD_FOREVER);

  explore_assert(rc == 0);
  o->ready = true;
  o->data = 1;
  if (actors == 2)
    pkd_async_cond_signal(&o->cond);
  else
    pkd_async_cond_broadcast(&o->cond);
  give_mutex(a);
}

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

static const face_t faces[] = {
    [MUTEX] = {.start = start_mutex,
               .block = block_mutex,
               .attempt = try_mutex,
               .give = give_mutex,
               .close = close_mutex},
    [SEM] = {.start = start_sem,
             .block = block_sem,
             .attempt = try_sem,
             .give = give_sem,
             .close = close_sem},
    [READ] = {.start = start_read,
              .block = block_read,
              .attempt = try_read,
              .give = give_rwlock,
              .close = close_rwlock,
              .shared = true},
    [WRITE] = {.start = start_write,
               .block = block_write,
               .attempt = try_write,
               .give = give_rwlock,
               .close = close_rwlock},
    [UP] = {.start = start_up,
            .block = block_up,
            .attempt = try_up,
            .give = give_rwlock,
            .close = close_rwlock,
            .shared = true},
    [KEYED] = {.start = start_key,
               .block = block_key,
               .attempt = try_key,
               .give = give_key,
               .close = close_key},
    [MANY] = {.start = start_many,
              .block = block_many,
              .attempt = try_many,
              .give = give_many,
              .close = close_mutex},
    [EVENT] = {.start = start_event,
               .block = block_event,
               .attempt = try_event,
               .close = close_event,
               .fulfil = fulfil_event},
    [ONCE] = {.start = start_once,
              .block = block_once,
              .attempt = try_once,
              .fulfil = fulfil_once},
    [GATE] = {.start = start_gate, .block = block_gate, .fulfil = fulfil_gate},
    [BARRIER] = {.start = start_barrier,
                 .block = block_barrier,
                 .close = close_barrier,
                 .fulfil = fulfil_barrier},
    [COND] = {.start = start_cond,
              .block = block_cond,
              .give = give_mutex,
              .fulfil = fulfil_cond},
};

/* --- what actors do ------------------------------------------------------- */

static actor_t* me(void) {
  return cast[explore_self() - 1];
}

static void give_and_free(actor_t* a) {
  bool last;

  if (face->fulfil == NULL) {
    last = --o->users == 0;
    explore_assert(face->give(a) == 0);
  } else {
    if (face->give != NULL)
      explore_assert(face->give(a) == 0);
    last = __atomic_sub_fetch(&o->users, 1, __ATOMIC_ACQ_REL) == 0;
  }
  if (last)
    explore_free(o);
}

static void use(actor_t* a) {
  if (face->fulfil != NULL)
    explore_assert(o->data == 1);
  else if (!face->shared || a->writes)
    o->data++;
  else
    explore_assert(o->data >= 0);
  if (way == FREED)
    give_and_free(a);
  else if (face->give != NULL)
    explore_assert(face->give(a) == 0);
}

/* At a barrier, who waits on would wait for the one who left. */
static bool is_timed(actor_t* a) {
  return way == TIMED && (a->number != 1 || face == &faces[BARRIER]);
}

/* Is this a way in which the wait of `a` may end without? */
static bool may_fail(actor_t* a, int status) {
  if (way == CLOSE)
    return status == UV_ECANCELED || status == UV_ESHUTDOWN;
  if (way == TIMED)
    return status == UV_ETIMEDOUT && is_timed(a);
  if (way == TRY)
    return status == UV_EBUSY;
  return way == CANCEL && status == UV_ECANCELED && a->number == 0;
}

static void end(actor_t* a, int status) {
  a->answers++;
  a->status = status;
  if (status < 0) {
    explore_assert(may_fail(a, status));
    explore_outcome(1);
    return;
  }
  if (a->number == 0)
    explore_outcome(0);
  use(a);
}

static void answer(pkd_req_t* req, int status) {
  end(req->data, status);
}

static pkd_req_t* started; /* atomic */
static int cancel_rc = UV_EBUSY;

static int cancel(actor_t* a) {
  return face == &faces[MANY] ? pkd_many_cancel(&a->many)
                              : pkd_req_cancel(&a->req);
}

static void loop_takes(void* arg) {
  actor_t* a = me();
  int rc;

  (void)arg;
  if (is_timed(a) && face != &faces[COND])
    pkd_req_set_timeout(&a->req, 5);
  rc = face->start(a, answer);
  if (rc != 0) {
    explore_assert(way == CLOSE && rc == UV_ESHUTDOWN);
    explore_outcome(1);
    return;
  }
  if (way == CANCEL && a->number == 0 &&
      (actors == 2 || face == &faces[MANY])) {
    if (explore_choose(2) == 1)
      uv_run(&a->uv, UV_RUN_NOWAIT);
    cancel_rc = cancel(a);
  }
  if (way == CANCEL && a->number == 0)
    __atomic_store_n(&started, &a->req, __ATOMIC_RELEASE);
  uv_run(&a->uv, UV_RUN_DEFAULT);
  explore_assert(a->answers == 1);
}

static void thread_blocks(void* arg) {
  actor_t* a = me();

  (void)arg;
  end(a, face->block(a, is_timed(a) ? SOON : PKD_FOREVER));
}

static void thread_tries(void* arg) {
  actor_t* a = me();

  (void)arg;
  end(a, face->attempt(a));
}

static void thread_closes(void* arg) {
  (void)arg;
  explore_assert(face->close() == 0);
}

static void thread_cancels(void* arg) {
  pkd_req_t* req = __atomic_load_n(&started, __ATOMIC_ACQUIRE);

  (void)arg;
  if (req != NULL)
    cancel_rc = pkd_req_cancel(req);
}

static void thread_fulfils(void* arg) {
  (void)arg;
  face->fulfil(me());
}

/* --- who plays ------------------------------------------------------------ */

static void attach(void* arg) {
  actor_t* a = arg;

  uv_loop_init(&a->uv);
  pkd_loop_attach(&a->loop, &a->uv);
}

static void enter(void (*entry)(void* arg)) {
  static int count;
  actor_t* a = explore_need(sizeof *a);
  static const char* const names[] = {"actor1", "actor2", "actor3"};

  explore_name(a, sizeof *a, names[count]);
  a->req.data = a->many.data = a;
  a->number = count;
  a->writes = face->shared && (count == 1 || (count == 2 && way == FREED));
  cast[count++] = a;
  explore_spawn(entry, NULL);
  if (entry == loop_takes)
    explore_setup(attach, a);
}

static void cast_lock(void) {
  enter(loop_takes);
  if (way == TRY)
    enter(thread_tries);
  else if (way == CLOSE && actors == 2)
    enter(thread_closes);
  else
    enter(loop_takes);
  if (actors == 2)
    return;
  if (way == CLOSE)
    enter(thread_closes);
  else if (way == CANCEL && face != &faces[MANY])
    enter(thread_cancels);
  else
    enter(thread_blocks);
}

static void cast_wait(void) {
  enter(way == TRY ? thread_tries : loop_takes);
  if (way == CLOSE)
    enter(thread_closes);
  else if (actors == 3 && way == CANCEL)
    enter(thread_cancels);
  else if (actors == 3)
    enter(loop_takes);
  if (actors == 2 && way == CLOSE)
    return;
  enter(thread_fulfils);
}

/* What the last actor has done before anybody runs. */
static void prepare(void* arg) {
  actor_t* a = cast[actors - 1];

  (void)arg;
  if (face == &faces[ONCE])
    explore_assert(pkd_async_once_try(&a->req, &o->once) == 1);
  if (face == &faces[GATE])
    explore_assert(pkd_async_gate_enter(&o->gate) == 0);
}

static void finish(void) {
  actor_t* last = explore_need(sizeof *last);

  explore_join();
  scenario_nobody_at(&o->mutex);
  scenario_nobody_at(&o->second);
  scenario_nobody_at(&o->rwlock);
  scenario_nobody_at(&o->sem);
  scenario_nobody_at(&o->event);
  scenario_nobody_at(&o->once);
  scenario_nobody_at(&o->gate);
  scenario_nobody_at(&o->barrier);
  scenario_nobody_at(&o->cond);
  if (way == CANCEL)
    explore_assert((cancel_rc == 0) == (cast[0]->status == UV_ECANCELED));
  if (way == FREED || face->attempt == NULL || face == &faces[EVENT])
    return;
  explore_assert(face->attempt(last) == (way == CLOSE ? UV_ESHUTDOWN : 0));
}

static void play(int code) {
  face = &faces[code / 100];
  way = code / 10 % 10;
  actors = code % 10;
  o = explore_need(sizeof *o);
  explore_name(o, sizeof *o, "object");
  pkd_async_sem_init(&o->sem, 1, 1);
  pkd_async_barrier_init(&o->barrier,
                         (uint32_t)(actors - (actors == 3 && way == CANCEL)));
  o->users = face->fulfil == NULL ? actors : actors - 1;
  if (face->fulfil != NULL)
    cast_wait();
  else
    cast_lock();
  explore_setup(prepare, NULL);
  finish();
}

/* --- the grid ------------------------------------------------------------- */

#define BOUNDS(n)                                                              \
  { .preemptions = 2, .stale = (n) == 2 }
#define TIMED_BOUNDS(n)                                                        \
  { .preemptions = (n) == 2 ? 2 : 1, .stale = (n) == 2, .timeouts = 1 }

#define ONE(name, FACE, WAY, way, n, outcomes, ...)                            \
  {                                                                            \
    "async-grid/" name "/" way "/" #n, play, FACE * 100 + WAY * 10 + n, OK,    \
        outcomes, __VA_ARGS__                                                  \
  }
#define BOTH(name, FACE, WAY, way, outcomes)                                   \
  ONE(name, FACE, WAY, way, 2, outcomes, BOUNDS(2)),                           \
      ONE(name, FACE, WAY, way, 3, outcomes, BOUNDS(3))
#define ALWAYS(name, FACE)                                                     \
  BOTH(name, FACE, PLAIN, "plain", 0),                                         \
      ONE(name, FACE, TIMED, "timed", 2, 3, TIMED_BOUNDS(2)),                  \
      ONE(name, FACE, TIMED, "timed", 3, 3, TIMED_BOUNDS(3)),                  \
      BOTH(name, FACE, CANCEL, "cancel", 3),                                   \
      BOTH(name, FACE, FREED, "freed", 0)
#define TRIED(name, FACE) BOTH(name, FACE, TRY, "try", 3)
#define CLOSED(name, FACE) BOTH(name, FACE, CLOSE, "close", 0)
#define ALL(name, FACE)                                                        \
  ALWAYS(name, FACE), TRIED(name, FACE), CLOSED(name, FACE)

/* Several at once take twice the steps: of these, stale loads with --deep only. */
#define MANY_ONE(WAY, way, n, outcomes, late)                                  \
  ONE("many", MANY, WAY, way, n, outcomes,                                     \
      {.preemptions = (n) == 2 || !(late) ? 2 : 1, .timeouts = late})
#define MANY_BOTH(WAY, way, outcomes, late)                                    \
  MANY_ONE(WAY, way, 2, outcomes, late), MANY_ONE(WAY, way, 3, outcomes, late)
#define MANY_WAYS                                                              \
  MANY_BOTH(PLAIN, "plain", 0, 0), MANY_BOTH(TIMED, "timed", 3, 1),            \
      MANY_BOTH(CANCEL, "cancel", 3, 0), MANY_BOTH(FREED, "freed", 0, 0),      \
      MANY_BOTH(TRY, "try", 3, 0), MANY_BOTH(CLOSE, "close", 0, 0)

const explore_scenario_t explore_async_grid[] = {
    ALL("mutex", MUTEX),
    ALL("sem", SEM),
    ALL("rwlock-read", READ),
    ALL("rwlock-write", WRITE),
    ALL("rwlock-up", UP),
    ALL("keyed", KEYED),
    MANY_WAYS,
    ALL("event", EVENT),
    ALWAYS("once", ONCE),
    TRIED("once", ONCE),
    ALWAYS("gate", GATE),
    ALWAYS("barrier", BARRIER),
    CLOSED("barrier", BARRIER),
    ALWAYS("cond", COND),
    {.name = NULL},
};
