/* SPDX-License-Identifier: MIT
 *
 * fuzz_tasks.c - the asynchronous locks: a program and its schedule, both by the
 * fuzzer.
 *
 * Two loops, each on a thread, and a thread that blocks, over one object of each
 * kind. The loops start requests, with and without a timeout, cancel their own and
 * each other's, give back or hold what they got, turn, and are detached in the end,
 * perhaps with all of that under way. The model of libuv underneath wakes late,
 * coalesces and orders nothing.
 *
 * Each accepted request gets one answer, of those it may get; locks exclude (what
 * they guard is plain memory, so the explorer sees a race); in the end everything
 * is free and nobody is queued. A request is started once per execution, so that
 * anybody may cancel it at any time. */
#include "explored.h"

#include <parkade/async.h>

#include "atomic.h"

#include <string.h>

enum { LOOPS = 2, SLOTS = 3, OPS = 6, PERMITS = 2 };

enum object { MUTEX, SEM_ONE, SEM_ALL, READ, WRITE, UP, EVENT, OBJECTS };

enum action {
  NOTHING,
  START,
  START_TIMED,
  CANCEL,
  CANCEL_OTHERS,
  RELEASE,
  TURN,
  NOTIFY,
  ACTIONS
};

/* Not explored: what the input says. */
static struct {
  struct {
    uint8_t action, slot;
  } op[LOOPS + 1][OPS];
  uint8_t object[LOOPS + 1][SLOTS];
  bool holds[LOOPS + 1][SLOTS]; /* its callback does not give back */
  bool leaves[LOOPS];           /* is detached while requests are pending */
} program;

struct slot {
  pkd_req_t req;
  enum object object;
  bool holds;
  bool owns;    /* the loop's */
  int started;  /* atomic: it was accepted, so it may be cancelled */
  int accepted; /* the loop's */
  int answers;
};

static struct shared {
  pkd_async_mutex_t mutex;
  pkd_async_sem_t sem;
  pkd_async_rwlock_t rwlock;
  pkd_async_event_t event;
  int under_mutex, under_rwlock;
  int permits; /* atomic */
  int reads[LOOPS + 1];
  struct party {
    uv_loop_t uv;
    pkd_loop_t loop;
    int number;
    bool ending;
    struct slot slot[SLOTS];
  } party[LOOPS + 1]; /* the last one is the thread that blocks */
} * s;

/* --- owning ------------------------------------------------------------------ */

static uint32_t permits_of(enum object object) {
  return object == SEM_ALL ? PERMITS : 1;
}

static void enter(int number, enum object object) {
  int n = (int)permits_of(object);

  switch (object) {
  case MUTEX:
    s->under_mutex++;
    break;
  case SEM_ONE:
  case SEM_ALL:
    explore_assert(__atomic_add_fetch(&s->permits, n, __ATOMIC_RELAXED) <=
                   PERMITS);
    break;
  case READ:
  case UP:
    s->reads[number] += s->under_rwlock;
    break;
  case WRITE:
    s->under_rwlock++;
    break;
  default:
    break;
  }
}

static int release(struct slot* slot) {
  int n = (int)permits_of(slot->object);

  slot->owns = false;
  switch (slot->object) {
  case MUTEX:
    s->under_mutex++;
    return pkd_async_mutex_unlock(&slot->req, &s->mutex);
  case SEM_ONE:
  case SEM_ALL:
    __atomic_sub_fetch(&s->permits, n, __ATOMIC_RELAXED);
    return pkd_async_sem_release(&slot->req, &s->sem, (uint32_t)n);
  case EVENT:
    return 0;
  default:
    return pkd_async_rwlock_unlock(&slot->req, &s->rwlock);
  }
}

static void answered(pkd_req_t* req, int status) {
  struct slot* slot = (struct slot*)req;
  struct party* party = req->data;

  slot->answers++;
  explore_assert(status == 0 || status == UV_ECANCELED ||
                 status == UV_ETIMEDOUT);
  if (status != 0)
    return;
  enter(party->number, slot->object);
  slot->owns = true;
  if (!slot->holds || party->ending)
    explore_assert(release(slot) == 0);
}

/* --- what a loop does -------------------------------------------------------- */

static int ask(struct party* party, struct slot* slot) {
  pkd_req_t* req = &slot->req;

  switch (slot->object) {
  case MUTEX:
    return pkd_async_mutex_lock(&party->loop, req, &s->mutex, answered);
  case SEM_ONE:
  case SEM_ALL:
    return pkd_async_sem_acquire(&party->loop, req, &s->sem,
                                 permits_of(slot->object), answered);
  case READ:
    return pkd_async_rwlock_rdlock(&party->loop, req, &s->rwlock, answered);
  case WRITE:
    return pkd_async_rwlock_wrlock(&party->loop, req, &s->rwlock, answered);
  case UP:
    return pkd_async_rwlock_uplock(&party->loop, req, &s->rwlock, answered);
  default:
    return pkd_async_event_wait(&party->loop, req, &s->event, answered);
  }
}

static void start(struct party* party, struct slot* slot, bool timed) {
  if (slot->accepted)
    return;
  if (timed)
    explore_assert(pkd_req_set_timeout(&slot->req, 1) == 0);
  explore_assert(ask(party, slot) == 0);
  slot->accepted = 1;
  pkd__store_release(&slot->started, 1);
}

static void cancel(struct slot* slot) {
  int rc;

  if (pkd__load_acquire(&slot->started) == 0)
    return;
  rc = pkd_req_cancel(&slot->req);
  explore_assert(rc == 0 || rc == UV_EBUSY || rc == UV_EINVAL);
}

static void act(struct party* party, enum action action, int slot) {
  struct slot* own = &party->slot[slot];

  switch (action) {
  case START:
  case START_TIMED:
    start(party, own, action == START_TIMED);
    break;
  case CANCEL:
    cancel(own);
    break;
  case CANCEL_OTHERS:
    cancel(&s->party[(party->number + 1) % (LOOPS + 1)].slot[slot]);
    break;
  case RELEASE:
    if (own->owns)
      explore_assert(release(own) == 0);
    break;
  case TURN:
    uv_run(&party->uv, UV_RUN_NOWAIT);
    break;
  case NOTIFY:
    pkd_async_event_notify_one(&s->event);
    break;
  default:
    break;
  }
}

static void attach(void* arg) {
  struct party* party = arg;

  uv_loop_init(&party->uv);
  pkd_loop_attach(&party->loop, &party->uv);
}

static void run_loop(void* arg) {
  struct party* party = arg;

  for (int i = 0; i < OPS; i++)
    act(party, (enum action)program.op[party->number][i].action,
        program.op[party->number][i].slot);
  party->ending = true;
  for (int i = 0; i < SLOTS; i++)
    if (party->slot[i].owns)
      explore_assert(release(&party->slot[i]) == 0);
  pkd_async_event_set(&s->event);
  if (!program.leaves[party->number])
    uv_run(&party->uv, UV_RUN_DEFAULT);
  explore_assert(pkd_loop_detach(&party->loop, NULL) == 0);
  uv_run(&party->uv, UV_RUN_DEFAULT);
  explore_assert(uv_loop_close(&party->uv) == 0);
  for (int i = 0; i < SLOTS; i++)
    explore_assert(party->slot[i].answers == party->slot[i].accepted);
}

/* --- what the thread does ---------------------------------------------------- */

static int block(struct slot* slot, pkd_deadline_t deadline) {
  pkd_req_t* req = &slot->req;

  switch (slot->object) {
  case MUTEX:
    return pkd_async_mutex_lock_blocking(req, &s->mutex, deadline);
  case SEM_ONE:
  case SEM_ALL:
    return pkd_async_sem_acquire_blocking(req, &s->sem,
                                          permits_of(slot->object), deadline);
  case READ:
    return pkd_async_rwlock_rdlock_blocking(req, &s->rwlock, deadline);
  case WRITE:
    return pkd_async_rwlock_wrlock_blocking(req, &s->rwlock, deadline);
  case UP:
    return pkd_async_rwlock_uplock_blocking(req, &s->rwlock, deadline);
  default:
    return pkd_async_event_wait_blocking(req, &s->event, deadline);
  }
}

static void run_thread(void* arg) {
  struct party* party = arg;

  for (int i = 0; i < OPS; i++) {
    enum action action = (enum action)program.op[LOOPS][i].action;
    struct slot* slot = &party->slot[program.op[LOOPS][i].slot];
    int rc;

    if (action != START && action != START_TIMED) {
      if (action == CANCEL_OTHERS || action == NOTIFY)
        act(party, action, program.op[LOOPS][i].slot);
      continue;
    }
    rc = block(slot, action == START_TIMED ? pkd_now() + 1000000 : PKD_FOREVER);
    explore_assert(rc == 0 || rc == UV_ETIMEDOUT);
    if (rc != 0)
      continue;
    enter(LOOPS, slot->object);
    explore_assert(release(slot) == 0);
  }
}

/* --- an execution ------------------------------------------------------------ */

static void everything_is_free(void) {
  pkd_req_t req = {0};

  for (int i = 0; i < LOOPS; i++)
    for (int k = 0; k < SLOTS; k++)
      explore_assert(pkd_req_owned(&s->party[i].slot[k].req) == NULL);
  explore_assert(pkd_lot_for_each(&s->mutex, NULL, NULL) == 0);
  explore_assert(pkd_lot_for_each(&s->sem, NULL, NULL) == 0);
  explore_assert(pkd_lot_for_each(&s->rwlock, NULL, NULL) == 0);
  explore_assert(pkd_lot_for_each(&s->event, NULL, NULL) == 0);
  explore_assert(!pkd_async_mutex_is_locked(&s->mutex));
  explore_assert(pkd_async_sem_available(&s->sem) == PERMITS);
  explore_assert(pkd_async_rwlock_trywrlock(&req, &s->rwlock) == 0);
}

static void body(int unused) {
  (void)unused;
  s = explore_need(sizeof *s);
  pkd_async_sem_init(&s->sem, PERMITS, 0);
  for (int i = 0; i <= LOOPS; i++) {
    s->party[i].number = i;
    for (int k = 0; k < SLOTS; k++) {
      s->party[i].slot[k].object = (enum object)program.object[i][k];
      s->party[i].slot[k].holds = program.holds[i][k];
      s->party[i].slot[k].req.data = &s->party[i];
    }
  }
  for (int i = 0; i < LOOPS; i++) {
    explore_spawn(run_loop, &s->party[i]);
    explore_setup(attach, &s->party[i]);
  }
  explore_spawn(run_thread, &s->party[LOOPS]);
  explore_join();
  everything_is_free();
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  const explore_bounds_t bounds = {.preemptions = EXPLORE_UNBOUNDED,
                                   .stale = 3,
                                   .timeouts = 3,
                                   .spurious = 2,
                                   .jumps = 2,
                                   .steps = 6000};
  struct input in = {bytes, length};

  for (int i = 0; i <= LOOPS; i++) {
    for (int k = 0; k < SLOTS; k++) {
      unsigned what = input_below(&in, 2 * OBJECTS);

      program.object[i][k] = (uint8_t)(what / 2);
      program.holds[i][k] = what % 2 != 0;
    }
    for (int k = 0; k < OPS; k++) {
      unsigned what = input_below(&in, ACTIONS * SLOTS);

      program.op[i][k].action = (uint8_t)(what / SLOTS);
      program.op[i][k].slot = (uint8_t)(what % SLOTS);
    }
  }
  program.leaves[0] = input_below(&in, 2) != 0;
  program.leaves[1] = input_below(&in, 2) != 0;
  explored_run("fuzz/tasks", body, &bounds, &in);
  return 0;
}
