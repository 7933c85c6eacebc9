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
#include "async_faces.h"

struct grid grid;

/* --- what actors do ------------------------------------------------------- */

static actor_t* me(void) {
  return grid.actor[explore_self() - 1];
}

static void give_and_free(actor_t* a) {
  bool last;

  if (grid.face->fulfil == NULL) {
    last = --grid.o->users == 0;
    explore_assert(grid.face->give(a) == 0);
  } else {
    if (grid.face->give != NULL)
      explore_assert(grid.face->give(a) == 0);
    last = __atomic_sub_fetch(&grid.o->users, 1, __ATOMIC_ACQ_REL) == 0;
  }
  if (last)
    explore_free(grid.o);
}

static void use(actor_t* a) {
  if (grid.face->fulfil != NULL)
    explore_assert(grid.o->data == 1);
  else if (!grid.face->shared || a->writes)
    grid.o->data++;
  else
    explore_assert(grid.o->data >= 0);
  if (grid.way == FREED)
    give_and_free(a);
  else if (grid.face->give != NULL)
    explore_assert(grid.face->give(a) == 0);
}

/* At a barrier, who waits on would wait for the one who left. */
static bool is_timed(actor_t* a) {
  return grid.way == TIMED && (a->number != 1 || grid.face == &faces[BARRIER]);
}

/* Is this a way in which the wait of `a` may end without? */
static bool may_fail(actor_t* a, int status) {
  if (grid.way == CLOSE)
    return status == UV_ECANCELED || status == UV_ESHUTDOWN;
  if (grid.way == TIMED)
    return status == UV_ETIMEDOUT && is_timed(a);
  if (grid.way == TRY)
    return status == UV_EBUSY;
  return grid.way == CANCEL && status == UV_ECANCELED && a->number == 0;
}

void actor_end(actor_t* a, int status) {
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
  actor_end(req->data, status);
}

static pkd_req_t* started; /* atomic */
static int cancel_rc = UV_EBUSY;

static int cancel(actor_t* a) {
  return grid.face == &faces[MANY] ? pkd_many_cancel(&a->many)
                                   : pkd_req_cancel(&a->req);
}

static void loop_takes(void* arg) {
  actor_t* a = me();
  int rc;

  (void)arg;
  if (is_timed(a) && grid.face != &faces[COND])
    pkd_req_set_timeout(&a->req, 5);
  rc = grid.face->start(a, answer);
  if (rc != 0) {
    explore_assert(grid.way == CLOSE && rc == UV_ESHUTDOWN);
    explore_outcome(1);
    return;
  }
  if (grid.way == CANCEL && a->number == 0 &&
      (grid.actors == 2 || grid.face == &faces[MANY])) {
    if (explore_choose(2) == 1)
      uv_run(&a->uv, UV_RUN_NOWAIT);
    cancel_rc = cancel(a);
  }
  if (grid.way == CANCEL && a->number == 0)
    __atomic_store_n(&started, &a->req, __ATOMIC_RELEASE);
  uv_run(&a->uv, UV_RUN_DEFAULT);
  explore_assert(a->answers == 1);
}

static void thread_blocks(void* arg) {
  actor_t* a = me();

  (void)arg;
  actor_end(a, grid.face->block(a, is_timed(a) ? SOON : PKD_FOREVER));
}

static void thread_tries(void* arg) {
  actor_t* a = me();

  (void)arg;
  actor_end(a, grid.face->attempt(a));
}

static void thread_closes(void* arg) {
  (void)arg;
  explore_assert(grid.face->close() == 0);
}

static void thread_cancels(void* arg) {
  pkd_req_t* req = __atomic_load_n(&started, __ATOMIC_ACQUIRE);

  (void)arg;
  if (req != NULL)
    cancel_rc = pkd_req_cancel(req);
}

static void thread_fulfils(void* arg) {
  (void)arg;
  grid.face->fulfil(me());
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
  a->writes =
      grid.face->shared && (count == 1 || (count == 2 && grid.way == FREED));
  grid.actor[count++] = a;
  explore_spawn(entry, NULL);
  if (entry == loop_takes)
    explore_setup(attach, a);
}

static void cast_lock(void) {
  enter(loop_takes);
  if (grid.way == TRY)
    enter(thread_tries);
  else if (grid.way == CLOSE && grid.actors == 2)
    enter(thread_closes);
  else
    enter(loop_takes);
  if (grid.actors == 2)
    return;
  if (grid.way == CLOSE)
    enter(thread_closes);
  else if (grid.way == CANCEL && grid.face != &faces[MANY])
    enter(thread_cancels);
  else
    enter(thread_blocks);
}

static void cast_wait(void) {
  enter(grid.way == TRY ? thread_tries : loop_takes);
  if (grid.way == CLOSE)
    enter(thread_closes);
  else if (grid.actors == 3 && grid.way == CANCEL)
    enter(thread_cancels);
  else if (grid.actors == 3)
    enter(loop_takes);
  if (grid.actors == 2 && grid.way == CLOSE)
    return;
  enter(thread_fulfils);
}

/* What the last actor has done before anybody runs. */
static void prepare(void* arg) {
  actor_t* a = grid.actor[grid.actors - 1];

  (void)arg;
  if (grid.face == &faces[ONCE])
    explore_assert(pkd_async_once_try(&a->req, &grid.o->once) == 1);
  if (grid.face == &faces[GATE])
    explore_assert(pkd_async_gate_enter(&grid.o->gate) == 0);
}

static void finish(void) {
  actor_t* last = explore_need(sizeof *last);

  explore_join();
  scenario_nobody_at(&grid.o->mutex);
  scenario_nobody_at(&grid.o->second);
  scenario_nobody_at(&grid.o->rwlock);
  scenario_nobody_at(&grid.o->sem);
  scenario_nobody_at(&grid.o->event);
  scenario_nobody_at(&grid.o->once);
  scenario_nobody_at(&grid.o->gate);
  scenario_nobody_at(&grid.o->barrier);
  scenario_nobody_at(&grid.o->cond);
  if (grid.way == CANCEL)
    explore_assert((cancel_rc == 0) == (grid.actor[0]->status == UV_ECANCELED));
  if (grid.way == FREED || grid.face->attempt == NULL ||
      grid.face == &faces[EVENT])
    return;
  explore_assert(grid.face->attempt(last) ==
                 (grid.way == CLOSE ? UV_ESHUTDOWN : 0));
}

static void play(int code) {
  grid.face = &faces[code / 100];
  grid.way = code / 10 % 10;
  grid.actors = code % 10;
  grid.o = explore_need(sizeof *grid.o);
  explore_name(grid.o, sizeof *grid.o, "object");
  pkd_async_sem_init(&grid.o->sem, 1, 1);
  pkd_async_barrier_init(
      &grid.o->barrier,
      (uint32_t)(grid.actors - (grid.actors == 3 && grid.way == CANCEL)));
  grid.o->users = grid.face->fulfil == NULL ? grid.actors : grid.actors - 1;
  if (grid.face->fulfil != NULL)
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
