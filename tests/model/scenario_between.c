/* SPDX-License-Identifier: MIT
 *
 * scenario_between.c - what comes between a look and the step that goes by it.
 *
 * Two calls at once, each small: one has looked at a word, a token, a condition or a
 * ring, and the other changes it. Whoever is first, it is as if one had been called
 * after the other.
 *
 * (Long, for there are many such pairs.) */
#include "scenario.h"

#include <parkade/async/barrier.h>
#include <parkade/async/cancel.h>
#include <parkade/async/cond.h>
#include <parkade/async/cycle.h>
#include <parkade/async/mutex.h>
#include <parkade/async/rwlock.h>
#include <parkade/async/sem.h>

#define CROWD 40 /* more than one round of a close sends away */

typedef struct task {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req[CROWD];
  int answers;
  int status;
} task_t;

typedef struct shared {
  pkd_async_mutex_t m[2];
  pkd_async_sem_t sem;
  pkd_async_barrier_t barrier;
  pkd_async_cond_t cond;
  pkd_async_rwlock_t lock;
  pkd_cancel_t token;
  pkd_req_tie_t tie;
  pkd_req_t ticket[2];
  pkd_req_watch_t watch[4];
  int rc[2];
  int over; /* atomic */
  task_t task;
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutexes");
  explore_name(&s->sem, sizeof s->sem, "sem");
  explore_name(&s->barrier, sizeof s->barrier, "barrier");
  explore_name(&s->cond, sizeof s->cond, "cond");
  explore_name(&s->token, sizeof s->token, "token");
  explore_name(&s->task, sizeof s->task, "task");
}

static void attach(void) {
  uv_loop_init(&s->task.uv);
  pkd_loop_attach(&s->task.loop, &s->task.uv);
}

static void note(pkd_req_t* req, int status) {
  (void)req;
  s->task.answers++;
  s->task.status = status;
}

static void lock(int which, int mutex) {
  explore_assert(pkd_async_mutex_lock(&s->task.loop, &s->task.req[which],
                                      &s->m[mutex], note) == 0);
}

static void own(int which) {
  explore_assert(pkd_async_mutex_trylock(&s->ticket[which], &s->m[which]) == 0);
}

static void give(int which) {
  explore_assert(pkd_async_mutex_unlock(&s->ticket[which], &s->m[which]) == 0);
}

/* --- permits ------------------------------------------------------------- */

static void adds_one(void* arg) {
  (void)arg;
  explore_assert(pkd_async_sem_add(&s->sem, 1) == 0);
}

static void two_add(int unused) {
  (void)unused;
  start();
  pkd_async_sem_init(&s->sem, 1, 3);
  explore_spawn(adds_one, NULL);
  explore_spawn(adds_one, NULL);
  explore_join();
  explore_assert(pkd_async_sem_available(&s->sem) == 3);
  explore_assert(pkd_async_sem_add(&s->sem, 1) == UV_EOVERFLOW);
}

/* --- destroyed, reset ---------------------------------------------------- */

static void tries(void* arg) {
  (void)arg;
  s->rc[0] = pkd_async_mutex_trylock(&s->ticket[0], &s->m[0]);
}

static void destroys(void* arg) {
  (void)arg;
  s->rc[1] = pkd_async_mutex_destroy(&s->m[0]);
  explore_outcome(s->rc[1] == 0);
}

/* A try comes in time, or is refused for good. */
static void destroyed(int unused) {
  (void)unused;
  start();
  explore_spawn(tries, NULL);
  explore_spawn(destroys, NULL);
  explore_join();
  explore_assert(s->rc[1] == (s->rc[0] == 0 ? UV_EBUSY : 0));
  explore_assert(s->rc[0] == 0 || s->rc[0] == UV_ESHUTDOWN);
}

static void resets(void* arg) {
  (void)arg;
  explore_assert(pkd_async_barrier_reset(&s->barrier) == 0);
}

static void aborts(void* arg) {
  (void)arg;
  explore_assert(pkd_async_barrier_abort(&s->barrier) == 0);
}

static void is_whole(void) {
  pkd_req_t* req = explore_need(sizeof *req);

  explore_assert(pkd_async_barrier_arrive_blocking(req, &s->barrier, 0) ==
                 UV_ETIMEDOUT);
}

static void two_reset(int unused) {
  (void)unused;
  start();
  pkd_async_barrier_init(&s->barrier, 2);
  aborts(NULL);
  explore_spawn(resets, NULL);
  explore_spawn(resets, NULL);
  explore_join();
  is_whole();
}

static void arrive_all(void* arg) {
  (void)arg;
  attach();
  for (int i = 0; i < CROWD; i++)
    pkd_async_barrier_arrive(&s->task.loop, &s->task.req[i], &s->barrier, note);
}

static void crowd_is_told(void* arg) {
  (void)arg;
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == CROWD);
  explore_assert(s->task.status == UV_ECANCELED);
}

/* It is not whole again before all have been sent away. */
static void reset_while_aborted(int unused) {
  (void)unused;
  start();
  pkd_async_barrier_init(&s->barrier, CROWD + 1);
  explore_spawn(crowd_is_told, NULL);
  explore_setup(arrive_all, NULL);
  explore_spawn(aborts, NULL);
  explore_spawn(resets, NULL);
  explore_join();
  explore_assert(pkd_async_barrier_arrived(&s->barrier) == 0);
  resets(NULL);
  is_whole();
}

/* --- cancelled ----------------------------------------------------------- */

static void fires(void* arg) {
  (void)arg;
  pkd_cancel_fire(&s->token);
}

static void queue_up(void* arg) {
  (void)arg;
  attach();
  own(0);
  lock(0, 0);
}

/* Tied before or after, it ends the wait. */
static void ties(void* arg) {
  int rc = pkd_req_cancel_on(&s->tie, &s->task.req[0], &s->token);

  (void)arg;
  explore_assert(rc == 0 || rc == UV_ECANCELED);
  explore_outcome(rc == 0);
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == 1 && s->task.status == UV_ECANCELED);
  pkd_req_untie(&s->tie);
}

static void tied(int unused) {
  (void)unused;
  start();
  explore_spawn(ties, NULL);
  explore_setup(queue_up, NULL);
  explore_spawn(fires, NULL);
  explore_join();
  give(0);
}

/* Fired or late: either is told, and late only who had another deadline. */
static void waits_for_token(void* arg) {
  bool own_deadline = *(int*)arg != 0;
  int rc = pkd_cancel_wait(&s->token, own_deadline ? SOON : PKD_FOREVER);

  explore_assert(rc == 0 || (own_deadline && rc == -ETIMEDOUT));
  explore_outcome(rc == 0);
}

static void token(int own_deadline) {
  start();
  s->rc[0] = own_deadline;
  pkd_cancel_init(&s->token, NULL, own_deadline ? PKD_FOREVER : SOON);
  explore_spawn(waits_for_token, &s->rc[0]);
  explore_spawn(fires, NULL);
  explore_join();
}

/* --- a condition that goes on to another mutex ---------------------------- */

/* Refused, if the other waits already: then it owns its mutex still. */
static void wait_with(int which) {
  int rc = pkd_async_cond_wait_blocking(&s->ticket[which], &s->cond,
                                        &s->m[which], PKD_FOREVER);

  s->rc[which] = rc;
  if (rc == 0 || rc == UV_EINVAL)
    give(which);
  __atomic_add_fetch(&s->over, 1, __ATOMIC_RELEASE);
}

static void waits_with_first(void* arg) {
  (void)arg;
  wait_with(0);
}

static void cancels_and_waits(void* arg) {
  (void)arg;
  explore_outcome(pkd_req_cancel(&s->ticket[0]) == 0);
  wait_with(1);
}

static void signals_all(void* arg) {
  (void)arg;
  scenario_await_waiters(&s->cond, 1);
  while (__atomic_load_n(&s->over, __ATOMIC_ACQUIRE) != 2) {
    pkd_async_cond_signal(&s->cond);
    explore_yield();
  }
}

static void other_mutex(int unused) {
  (void)unused;
  start();
  own(0);
  own(1);
  explore_spawn(signals_all, NULL);
  explore_spawn(waits_with_first, NULL);
  explore_spawn(cancels_and_waits, NULL);
  explore_join();
  explore_assert(s->rc[0] == 0 || s->rc[0] == UV_ECANCELED ||
                 s->rc[0] == UV_EINVAL);
  explore_assert(s->rc[1] == 0 || s->rc[1] == UV_EINVAL);
  for (int i = 0; i < 2; i++)
    explore_assert(!pkd_async_mutex_is_locked(&s->m[i]));
  explore_assert(pkd_async_cond_destroy(&s->cond) == 0);
  scenario_nobody_at(&s->cond);
}

/* It was signalled, and moved to a mutex that is free; it is cancelled as one who
 * waits for the signal. Who stands behind it there goes on. */
static void wait_for_signal(void* arg) {
  (void)arg;
  attach();
  own(0);
  explore_assert(pkd_async_cond_wait(&s->task.loop, &s->ticket[0], &s->cond,
                                     &s->m[0], note) == 0);
}

static void is_cancelled(void* arg) {
  int rc = pkd_req_cancel(&s->ticket[0]);

  (void)arg;
  explore_assert(rc == 0);
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == 1 && s->task.status == UV_ECANCELED);
}

static void signals(void* arg) {
  (void)arg;
  explore_outcome(pkd_async_cond_signal(&s->cond));
}

static void locks(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &s->m[0], PKD_FOREVER) ==
                 0);
  explore_assert(pkd_async_mutex_unlock(&req, &s->m[0]) == 0);
}

static void signalled(int unused) {
  (void)unused;
  start();
  explore_spawn(is_cancelled, NULL);
  explore_setup(wait_for_signal, NULL);
  explore_spawn(signals, NULL);
  explore_spawn(locks, NULL);
  explore_join();
  explore_assert(pkd_async_cond_destroy(&s->cond) == 0);
  explore_assert(pkd_async_mutex_destroy(&s->m[0]) == 0);
  scenario_nobody_at(&s->cond);
}

/* --- a ring that is over --------------------------------------------------- */

/* Each of two tasks has one mutex and wants the other's. */
static void close_ring(void* arg) {
  static const char tasks[2];

  (void)arg;
  attach();
  for (int i = 0; i < 2; i++) {
    own(i);
    pkd_req_watch(&s->watch[i], &s->ticket[i], &tasks[i], "has");
    pkd_req_watch(&s->watch[2 + i], &s->task.req[i], &tasks[i], "wants");
  }
  lock(0, 1);
  lock(1, 0);
}

static void breaks_ring(void* arg) {
  int which = *(int*)arg;

  explore_assert(pkd_req_cancel(&s->task.req[which]) == 0);
  give(which);
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == 2);
  explore_assert(
      pkd_async_mutex_unlock(&s->task.req[1 - which], &s->m[which]) == 0);
}

static void looks_for_ring(void* arg) {
  size_t rings = pkd_req_cycles(NULL, NULL);

  (void)arg;
  explore_assert(rings <= 1);
  explore_outcome((int)rings);
}

static void ring(int which) {
  start();
  s->rc[0] = which;
  explore_spawn(breaks_ring, &s->rc[0]);
  explore_setup(close_ring, NULL);
  explore_spawn(looks_for_ring, NULL);
  explore_join();
  give(1 - which);
  explore_assert(pkd_req_cycles(NULL, NULL) == 0);
}

/* --- a loop that is detached, or told no --------------------------------------- */

/* What was granted and is on its way goes back. */
static void detaches(void* arg) {
  (void)arg;
  explore_assert(pkd_loop_detach(&s->task.loop, NULL) == 0);
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == 1 && s->task.status == UV_ECANCELED);
  explore_assert(uv_loop_close(&s->task.uv) == 0);
}

static void gives(void* arg) {
  (void)arg;
  give(0);
}

static void detached(int unused) {
  (void)unused;
  start();
  explore_spawn(detaches, NULL);
  explore_setup(queue_up, NULL);
  explore_spawn(gives, NULL);
  explore_join();
  own(0);
  give(0);
}

/* In a callback, where the shortest way is taken. */
static void lock_in_turn(pkd_req_t* req, int status) {
  int rc;

  (void)req;
  explore_assert(status == 0);
  rc = pkd_async_mutex_lock(&s->task.loop, &s->task.req[1], &s->m[0], note);
  explore_assert(rc == 0 || rc == UV_ESHUTDOWN);
  explore_outcome(rc == 0);
  if (rc != 0)
    note(&s->task.req[1], UV_ECANCELED);
}

static void locks_in_turn(void* arg) {
  (void)arg;
  pkd_loop_yield(&s->task.loop, &s->task.req[0], lock_in_turn);
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == 1);
  if (s->task.status == 0)
    explore_assert(pkd_async_mutex_unlock(&s->task.req[1], &s->m[0]) == 0);
}

static void attach_loop(void* arg) {
  (void)arg;
  attach();
}

static void closes(void* arg) {
  (void)arg;
  explore_assert(pkd_async_mutex_close(&s->m[0]) == 0);
}

/* Held, nobody gets it any more. */
static void closed(int held) {
  start();
  if (held)
    own(0);
  explore_spawn(locks_in_turn, NULL);
  explore_setup(attach_loop, NULL);
  explore_spawn(closes, NULL);
  explore_join();
  explore_assert(!held || s->task.status == UV_ECANCELED);
  if (held)
    give(0);
  explore_assert(!pkd_async_mutex_is_locked(&s->m[0]));
}

/* --- an upgrade --------------------------------------------------------------- */

static void queue_upgrade(void* arg) {
  (void)arg;
  attach();
  explore_assert(pkd_async_rwlock_upgrade(&s->task.loop, &s->ticket[0],
                                          &s->lock, note) == 0);
}

static void is_upgraded(void* arg) {
  (void)arg;
  uv_run(&s->task.uv, UV_RUN_DEFAULT);
  explore_assert(s->task.answers == 1 && s->task.status == 0);
}

/* While it waits to upgrade the ticket gives nothing back, then all. */
static void gives_back_two(void* arg) {
  (void)arg;
  explore_assert(pkd_async_rwlock_unlock(&s->ticket[1], &s->lock) == 0);
  s->rc[0] = pkd_async_rwlock_unlock(&s->ticket[0], &s->lock);
}

static void upgraded(int unused) {
  (void)unused;
  start();
  for (int i = 0; i < 2; i++)
    explore_assert(pkd_async_rwlock_tryrdlock(&s->ticket[i], &s->lock) == 0);
  explore_spawn(is_upgraded, NULL);
  explore_setup(queue_upgrade, NULL);
  explore_spawn(gives_back_two, NULL);
  explore_join();
  explore_assert(s->rc[0] == 0 || s->rc[0] == UV_EPERM);
  explore_outcome(s->rc[0] == 0);
  if (s->rc[0] != 0)
    explore_assert(pkd_async_rwlock_unlock(&s->ticket[0], &s->lock) == 0);
  explore_assert(pkd_async_rwlock_destroy(&s->lock) == 0);
}

const explore_scenario_t explore_between[] = {
    {"between/two-add", two_add, 0, OK, 0, DEEP},
    {"between/destroyed", destroyed, 0, OK, 3, DEEP},
    {"between/two-reset", two_reset, 0, OK, 0, DEEP},
    {"between/reset-while-aborted",
     reset_while_aborted,
     0,
     OK,
     0,
     {.preemptions = 1}},
    {"between/tied", tied, 0, OK, 3, WIDE},
    {"between/token", token, 0, OK, 2, LATE_WIDE},
    {"between/token-and-deadline", token, 1, OK, 3, LATE_WIDE},
    {"between/other-mutex", other_mutex, 0, OK, 3, NARROW},
    {"between/signalled", signalled, 0, OK, 3, NARROW},
    {"between/ring", ring, 0, OK, 3, WIDE},
    {"between/ring-of-second", ring, 1, OK, 3, WIDE},
    {"between/detached", detached, 0, OK, 0, WIDE},
    {"between/closed", closed, 1, OK, 3, WIDE},
    {"between/closed-free", closed, 0, OK, 3, WIDE},
    {"between/upgraded", upgraded, 0, OK, 3, WIDE},
    {.name = NULL},
};
