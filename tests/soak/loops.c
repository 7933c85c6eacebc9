/* SPDX-License-Identifier: MIT
 *
 * loops.c - the loops: tasks that wait, hold what they got over some turns, pass
 * it on to strangers, wait again; cancels from anywhere, and loops that are
 * detached or closed in the midst of it.
 *
 * A tick every millisecond starts, cancels and releases. When the leg is over a
 * loop starts nothing more, ends what would not end by itself, and goes home
 * when the gate says that nobody in the whole program is inside. */
#include "tasks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TASKS = 48, STARTS = 20 };

static struct actor_loop {
  struct self* self;
  uv_loop_t uv;
  pkd_loop_t loop;
  uv_timer_t timer;
  bool attached;

  pkd_req_t gate;
  struct task tasks[TASKS];
} loops[LOOPS];

static pthread_mutex_t lost_guard = PTHREAD_MUTEX_INITIALIZER;
static struct task* lost; /* under it: to be given back by whoever comes */

static void loop_open(struct actor_loop* loop);
static void loop_close(struct actor_loop* loop);
static void on_tick(uv_timer_t* timer);

void* loop_main(void* arg) {
  struct self* self = arg;
  struct actor_loop* loop = &loops[self->number - WORKERS];

  loop->self = self;
  for (unsigned i = 0; i < TASKS; i++) {
    loop->tasks[i].loop = loop;
    loop->tasks[i].req.data = &loop->tasks[i];
    uv_mutex_init(&loop->tasks[i].guard);
  }
  loop_open(loop);
  for (meet(); !over; meet()) {
    if (chance(self, 4) == 0) {
      loop_close(loop);
      loop_open(loop);
    }
    uv_timer_start(&loop->timer, on_tick, 0, 1);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    EXPECT(self, pkd_loop_pending(&loop->loop) == 0);
    meet();
  }
  loop_close(loop);
  for (unsigned i = 0; i < TASKS; i++)
    uv_mutex_destroy(&loop->tasks[i].guard);
  return NULL;
}

static void loop_open(struct actor_loop* loop) {
  EXPECT(loop->self, uv_loop_init(&loop->uv) == 0);
  EXPECT(loop->self, pkd_loop_attach(&loop->loop, &loop->uv) == 0);
  uv_timer_init(&loop->uv, &loop->timer);
  loop->timer.data = loop;
  loop->attached = true;
}

static void loop_close(struct actor_loop* loop) {
  EXPECT(loop->self, pkd_loop_detach(&loop->loop, NULL) == 0);
  uv_close((uv_handle_t*)&loop->timer, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  EXPECT(loop->self, uv_loop_close(&loop->uv) == 0);
}

/* --- one task -------------------------------------------------------------- */

/* @return whether it waits now; otherwise it is as it was */
static bool ask(struct task* task, const struct way* way) {
  struct self* self = task->loop->self;
  int stage = task->stage;
  int rc;

  uv_mutex_lock(&task->guard);
  task->way = way;
  task->promised = false;
  task->stage = ASKED;
  __atomic_store_n(&task->since, pkd_now(), __ATOMIC_RELAXED);
  if (chance(self, 3) == 0)
    pkd_req_set_timeout(&task->req, chance(self, 8));
  rc = way->begin(&task->loop->loop, task);
  if (rc != 0) {
    __atomic_store_n(&task->since, 0, __ATOMIC_RELAXED);
    task->stage = stage;
    count_wait(self, way->kind, rc, 0);
  }
  uv_mutex_unlock(&task->guard);
  EXPECT(self, rc == 0 || rc == UV_EBUSY || rc == UV_ESHUTDOWN ||
                   (rc == PKD_EDEADLK && way == &way_of_upgrade));
  return rc == 0;
}

static void go_home(struct self* self, struct task* task) {
  task->stage = IDLE; /* sequentially consistent: its loop may start it anew */
  EXPECT(self, pkd_async_gate_leave(&all.gate) == 0);
}

static void give_back(struct self* self, struct task* task) {
  uv_mutex_lock(&task->guard);
  EXPECT(self, task->way->leave(self, task) == 0);
  uv_mutex_unlock(&task->guard);
  go_home(self, task);
}

static bool find_lost(struct self* self) {
  struct task* task;

  pthread_mutex_lock(&lost_guard);
  task = lost;
  if (task != NULL)
    lost = task->next;
  pthread_mutex_unlock(&lost_guard);
  if (task != NULL)
    give_back(self, task);
  return task != NULL;
}

static void lose(struct task* task) {
  task->stage = LOST;
  pthread_mutex_lock(&lost_guard);
  task->next = lost;
  lost = task;
  pthread_mutex_unlock(&lost_guard);
}

/* It owns something: more, again, now, later, or by a stranger. */
static void go_on(struct self* self, struct task* task) {
  enum kind kind = task->way->kind;

  task->stage = HOLDS;
  if (kind == A_RWLOCK && task->amount != PKD_ASYNC_RWLOCK_WRITE &&
      chance(self, 4) == 0 && ask(task, &way_of_upgrade))
    return;
  if ((kind == A_MUTEX || kind == A_COND) && chance(self, 4) == 0) {
    atomic_fetch_sub(&inside.mutexes[task->which], 1);
    if (ask(task, &way_of_cond))
      return;
    atomic_fetch_add(&inside.mutexes[task->which], 1);
  }
  switch (chance(self, 3)) {
  case 0:
    task->ticks = (unsigned)chance(self, 3) + 1;
    break;
  case 1:
    lose(task);
    break;
  default:
    give_back(self, task);
  }
}

void task_answered(struct task* task, int status) {
  struct self* self = task->loop->self;
  uint64_t since = __atomic_load_n(&task->since, __ATOMIC_RELAXED);
  bool promised;

  uv_mutex_lock(&task->guard);
  promised = task->promised;
  __atomic_store_n(&task->since, 0, __ATOMIC_RELAXED);
  uv_mutex_unlock(&task->guard);
  EXPECT(self, task->stage == ASKED);
  EXPECT(self, !promised || status == UV_ECANCELED);
  EXPECT(self, status == 0 || status == 1 || status == UV_ECANCELED ||
                   status == UV_ETIMEDOUT || status == UV_ESHUTDOWN ||
                   (status == UV_EBUSY && task->way->kind == A_MANY));
  count_wait(self, task->way->kind, status, pkd_now() - since);
  if (status >= 0) {
    task->led = status == 1;
    task->way->enter(self, task);
    go_on(self, task);
  } else if (task->way == &way_of_upgrade) {
    go_on(self, task); /* it reads, as before */
  } else {
    go_home(self, task);
  }
}

/* --- cancels --------------------------------------------------------------- */

static void cancel(struct self* self, struct task* task) {
  int rc;

  uv_mutex_lock(&task->guard);
  if (task->loop->self == self && task->stage == ASKED &&
      task->way->kind == A_MANY)
    rc = pkd_many_cancel(&task->more.several.many);
  else if (task->loop->self == self && task->stage == ASKED &&
           task->way->kind == A_WORK)
    rc = pkd_work_cancel(&task->more.work);
  else
    rc = pkd_req_cancel(&task->req);
  task->promised = task->promised || rc == 0;
  uv_mutex_unlock(&task->guard);
  EXPECT(self, rc == 0 || rc == UV_EBUSY || rc == UV_EINVAL);
}

void loops_disturb(struct self* self) {
  cancel(self, &loops[chance(self, LOOPS)].tasks[chance(self, TASKS)]);
  find_lost(self);
}

/* --- ticks ----------------------------------------------------------------- */

static void on_detached(pkd_loop_t* handle) {
  struct actor_loop* loop =
      (struct actor_loop*)((char*)handle - offsetof(struct actor_loop, loop));

  EXPECT(loop->self, pkd_loop_attach(&loop->loop, &loop->uv) == 0);
  loop->attached = true;
  loop->self->detached++;
}

static void start_some(struct actor_loop* loop) {
  struct self* self = loop->self;

  for (int i = 0; i < STARTS; i++) {
    struct task* task = &loop->tasks[chance(self, TASKS)];

    if (task->stage != IDLE)
      continue;
    if (pkd_async_gate_enter(&all.gate) != 0)
      return; /* somebody saw the end of the leg before us */
    uv_mutex_lock(&task->guard);
    task_choose(self, task, WAYS);
    uv_mutex_unlock(&task->guard);
    if (!ask(task, task->way))
      go_home(self, task);
  }
}

static void on_gate(pkd_req_t* req, int status) {
  struct actor_loop* loop = req->data;

  EXPECT(loop->self, status == 0);
}

/* @return whether all its tasks are home */
static bool drain(struct actor_loop* loop) {
  bool home = true;

  for (unsigned i = 0; i < TASKS; i++) {
    struct task* task = &loop->tasks[i];

    home = home && task->stage == IDLE;
    if (task->stage == ASKED && !task->way->ends)
      cancel(loop->self, task);
  }
  return home && loop->attached;
}

static void on_tick(uv_timer_t* timer) {
  struct actor_loop* loop = timer->data;
  struct self* self = loop->self;

  for (unsigned i = 0; i < TASKS; i++) {
    struct task* task = &loop->tasks[i];

    if (task->stage == HOLDS && task->ticks-- <= 1)
      give_back(self, task);
  }
  for (int i = 0; i < STARTS / 4; i++)
    loops_disturb(self);
  if (leg_is_over()) {
    if (!drain(loop))
      return;
    uv_timer_stop(&loop->timer);
    memset(&loop->gate, 0, sizeof loop->gate);
    loop->gate.data = loop;
    EXPECT(self, pkd_async_gate_close(&loop->loop, &loop->gate, &all.gate,
                                      on_gate) == 0);
    return;
  }
  tasks_stir(self);
  if (loop->attached)
    start_some(loop);
  if (loop->attached && chance(self, 200) == 0) {
    loop->attached = false;
    EXPECT(self, pkd_loop_detach(&loop->loop, on_detached) == 0);
  }
}

/* --- the watch ------------------------------------------------------------- */

bool loops_look(uint64_t limit) {
  bool stuck = false;

  for (unsigned i = 0; i < LOOPS * TASKS; i++) {
    struct task* task = &loops[i / TASKS].tasks[i % TASKS];
    uint64_t since = __atomic_load_n(&task->since, __ATOMIC_RELAXED);
    uint64_t now = pkd_now();

    if (since == 0 || now < since + limit)
      continue;
    fprintf(stderr, "loop %u, task %u: %s at %p for %" PRIu64 " s\n", i / TASKS,
            i % TASKS, kind_names[task->way->kind], task_object(task),
            (now - since) / SECOND);
    stuck = true;
  }
  return stuck;
}
