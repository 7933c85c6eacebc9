/* SPDX-License-Identifier: MIT
 *
 * scenario_many.c - several locks at once, locks that have only a key, and work
 * under a lock, under exploration.
 *
 * Two tasks that ask for the same two locks in opposite orders would wait for
 * each other for ever if one could hold the first of them: a deadlock. What the
 * locks guard is plain data. */
#include "scenario.h"

#include <parkade/async/keyed.h>
#include <parkade/async/many.h>
#include <parkade/async/mutex.h>
#include <parkade/async/work.h>

#include "uv_pool.h"

#define ACTORS 3

typedef struct actor {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_many_t many;
  pkd_many_item_t items[2];
  pkd_req_t req;
  pkd_work_t work;
  int answers;
  int status;
} actor_t;

typedef struct shared {
  pkd_async_mutex_t m;
  pkd_async_mutex_t n;
  pkd_async_keyed_t keyed;
  int under_m;
  int under_n;
  int under_key[2];
  bool cancelled;
  actor_t actor[ACTORS];
} shared_t;

static shared_t* s;
static int spawned;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutex m");
  explore_name(&s->n, sizeof s->n, "mutex n");
  explore_name(&s->keyed, sizeof s->keyed, "keyed");
  for (int i = 0; i < ACTORS; i++) {
    static const char* const names[] = {"actor1", "actor2", "actor3"};
    explore_name(&s->actor[i], sizeof s->actor[i], names[i]);
  }
}

static void finish(void) {
  explore_join();
  explore_assert(!pkd_async_mutex_is_locked(&s->m));
  explore_assert(!pkd_async_mutex_is_locked(&s->n));
  scenario_nobody_at(&s->m);
  scenario_nobody_at(&s->n);
  scenario_nobody_at(&s->keyed);
}

static void attach(void* arg) {
  actor_t* actor = arg;

  uv_loop_init(&actor->uv);
  pkd_loop_attach(&actor->loop, &actor->uv);
  actor->many.data = actor->req.data = actor->work.data = actor;
}

static void spawn(void (*entry)(void* arg), bool has_loop) {
  actor_t* actor = &s->actor[spawned++];

  explore_spawn(entry, actor);
  if (has_loop)
    explore_setup(attach, actor);
}

/* The first actor names them in one order, the others in the other. */
static void choose_locks(actor_t* actor) {
  bool first = actor == &s->actor[0];

  actor->items[first ? 0 : 1].take = pkd_take_mutex(&s->m);
  actor->items[first ? 1 : 0].take = pkd_take_mutex(&s->n);
}

static void use_both(pkd_many_t* many, int status) {
  actor_t* actor = many->data;

  actor->answers++;
  actor->status = status;
  if (status != 0)
    return;
  s->under_m++;
  s->under_n++;
  explore_assert(pkd_many_unlock(many) == 0);
}

static void loop_locks_both(void* arg) {
  actor_t* actor = arg;

  choose_locks(actor);
  explore_assert(pkd_many_lock(&actor->loop, &actor->many, actor->items, 2,
                               PKD_NO_TIMEOUT, use_both) == 0);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1 && actor->status == 0);
}

static void loop_cancels_both(void* arg) {
  actor_t* actor = arg;
  int rc;

  choose_locks(actor);
  explore_assert(pkd_many_lock(&actor->loop, &actor->many, actor->items, 2,
                               PKD_NO_TIMEOUT, use_both) == 0);
  rc = pkd_many_cancel(&actor->many);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1);
  explore_assert(actor->status == (rc == 0 ? UV_ECANCELED : 0));
}

static void thread_locks_both(void* arg) {
  actor_t* actor = arg;

  choose_locks(actor);
  explore_assert(
      pkd_many_lock_blocking(&actor->many, actor->items, 2, PKD_FOREVER) == 0);
  s->under_m++;
  s->under_n++;
  explore_assert(pkd_many_unlock(&actor->many) == 0);
}

static void thread_locks_both_timed(void* arg) {
  actor_t* actor = arg;
  int rc;

  choose_locks(actor);
  rc = pkd_many_lock_blocking(&actor->many, actor->items, 2, SOON);
  explore_assert(rc == 0 || rc == UV_ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  s->under_m++;
  s->under_n++;
  explore_assert(pkd_many_unlock(&actor->many) == 0);
}

/* By another thread, which may hold one of the locks meanwhile. */
static void thread_cancels_both(void* arg) {
  actor_t* actor = arg;
  bool holds = pkd_async_mutex_trylock(&actor->req, &s->n) == 0;
  int rc = pkd_many_cancel(&s->actor[0].many);

  explore_assert(rc == 0 || rc == UV_EBUSY || rc == UV_EINVAL);
  s->cancelled = rc == 0;
  if (holds)
    explore_assert(pkd_async_mutex_unlock(&actor->req, &s->n) == 0);
}

static void thread_locks_both_unless(void* arg) {
  actor_t* actor = arg;

  choose_locks(actor);
  actor->status =
      pkd_many_lock_blocking(&actor->many, actor->items, 2, PKD_FOREVER);
  if (actor->status == 0)
    explore_assert(pkd_many_unlock(&actor->many) == 0);
}

static void loop_locks_both_unless(void* arg) {
  actor_t* actor = arg;

  choose_locks(actor);
  explore_assert(pkd_many_lock(&actor->loop, &actor->many, actor->items, 2,
                               PKD_NO_TIMEOUT, use_both) == 0);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1);
}

static void thread_tries_both(void* arg) {
  actor_t* actor = arg;
  int rc;

  choose_locks(actor);
  rc = pkd_many_trylock(&actor->many, actor->items, 2);
  explore_assert(rc == 0 || rc == UV_EBUSY);
  if (rc != 0)
    return;
  s->under_m++;
  s->under_n++;
  explore_assert(pkd_many_unlock(&actor->many) == 0);
}

static void thread_locks_one(void* arg) {
  actor_t* actor = arg;

  explore_assert(
      pkd_async_mutex_lock_blocking(&actor->req, &s->n, PKD_FOREVER) == 0);
  s->under_n++;
  explore_assert(pkd_async_mutex_unlock(&actor->req, &s->n) == 0);
}

/* A cancel that says 0 is what the answer says, and no other. */
static void cancelled_by_another(int loop) {
  start();
  spawn(loop ? loop_locks_both_unless : thread_locks_both_unless, loop != 0);
  spawn(thread_cancels_both, false);
  finish();
  explore_assert(s->actor[0].status == (s->cancelled ? UV_ECANCELED : 0));
  explore_outcome(s->cancelled ? 1 : 0);
}

static void two_threads(int timed) {
  start();
  spawn(thread_locks_both, false);
  spawn(timed ? thread_locks_both_timed : thread_locks_both, false);
  finish();
}

static void two_loops(int cancels) {
  start();
  spawn(loop_locks_both, true);
  spawn(cancels ? loop_cancels_both : loop_locks_both, true);
  finish();
}

static void both_kinds(int tries) {
  start();
  spawn(loop_locks_both, true);
  spawn(tries ? thread_tries_both : thread_locks_both, false);
  finish();
}

static void both_and_one(int with_loop) {
  start();
  spawn(with_loop ? loop_locks_both : thread_locks_both, with_loop);
  spawn(thread_locks_one, false);
  finish();
}

/* --- keys ---------------------------------------------------------------- */

static void use_key(pkd_req_t* req, int status) {
  actor_t* actor = req->data;

  actor->answers++;
  actor->status = status;
  if (status != 0)
    return;
  s->under_key[0]++;
  explore_assert(pkd_async_keyed_unlock(req, &s->keyed) == 0);
}

static void loop_locks_key(void* arg) {
  actor_t* actor = arg;

  explore_assert(pkd_async_keyed_lock_u64(&actor->loop, &actor->req, &s->keyed,
                                          7, use_key) == 0);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1);
}

static void loop_cancels_key(void* arg) {
  actor_t* actor = arg;
  int rc;

  explore_assert(pkd_async_keyed_lock_u64(&actor->loop, &actor->req, &s->keyed,
                                          7, use_key) == 0);
  rc = pkd_req_cancel(&actor->req);
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1);
  explore_assert(actor->status == (rc == 0 ? UV_ECANCELED : 0));
}

static void lock_key(actor_t* actor, int which) {
  explore_assert(pkd_async_keyed_lock_blocking_u64(&actor->req, &s->keyed,
                                                   which == 0 ? 7 : 8,
                                                   PKD_FOREVER) == 0);
  s->under_key[which]++;
  explore_assert(pkd_async_keyed_unlock(&actor->req, &s->keyed) == 0);
}

static void thread_locks_key(void* arg) {
  lock_key(arg, 0);
}

static void thread_locks_other_key(void* arg) {
  lock_key(arg, 1);
}

static void thread_tries_key(void* arg) {
  actor_t* actor = arg;

  if (pkd_async_keyed_trylock_u64(&actor->req, &s->keyed, 7) != 0)
    return;
  s->under_key[0]++;
  explore_assert(pkd_async_keyed_unlock(&actor->req, &s->keyed) == 0);
}

/* Whoever gives it back is another request than the one that got it. */
static void thread_hands_key_over(void* arg) {
  actor_t* actor = arg;
  pkd_req_t* heir = &actor->items[0].req;

  explore_assert(pkd_async_keyed_lock_blocking_u64(&actor->req, &s->keyed, 7,
                                                   PKD_FOREVER) == 0);
  s->under_key[0]++;
  explore_assert(pkd_req_transfer(&actor->req, heir) == 0);
  s->under_key[0]++;
  explore_assert(pkd_async_keyed_unlock(heir, &s->keyed) == 0);
}

static void keys(int kind) {
  static void (*const third[])(void*) = {
      thread_locks_key, thread_locks_other_key, thread_tries_key,
      thread_hands_key_over};

  start();
  spawn(loop_locks_key, true);
  spawn(thread_locks_key, false);
  spawn(third[kind], false);
  finish();
}

static void keys_cancelled(int unused) {
  (void)unused;
  start();
  spawn(loop_cancels_key, true);
  spawn(thread_locks_key, false);
  spawn(thread_locks_key, false);
  finish();
}

/* --- work under a lock ---------------------------------------------------- */

static uint32_t loops_left; /* atomic */

static void work_with_lock(pkd_work_t* work) {
  (void)work;
  s->under_m++;
}

static void after_work(pkd_work_t* work, int status) {
  actor_t* actor = work->data;

  actor->answers++;
  actor->status = status;
}

static void finish_work(actor_t* actor) {
  uv_run(&actor->uv, UV_RUN_DEFAULT);
  explore_assert(actor->answers == 1);
  if (__atomic_sub_fetch(&loops_left, 1, __ATOMIC_ACQ_REL) == 0)
    shim_pool_stop();
}

static void queue_work(actor_t* actor) {
  explore_assert(pkd_queue_work(&actor->loop, &actor->work,
                                pkd_take_mutex(&s->m), work_with_lock,
                                after_work) == 0);
}

static void loop_works(void* arg) {
  actor_t* actor = arg;

  queue_work(actor);
  finish_work(actor);
  explore_assert(actor->status == 0);
}

static void loop_cancels_work(void* arg) {
  actor_t* actor = arg;
  int rc;

  queue_work(actor);
  rc = pkd_work_cancel(&actor->work);
  finish_work(actor);
  explore_assert(actor->status == (rc == 0 ? UV_ECANCELED : 0));
}

/* Gives up after a while, unless it has the lock by then. */
static void loop_works_in_time(void* arg) {
  actor_t* actor = arg;

  explore_assert(pkd_work_set_timeout(&actor->work, 5) == 0);
  queue_work(actor);
  finish_work(actor);
  explore_assert(actor->status == 0 || actor->status == UV_ETIMEDOUT);
  explore_outcome(actor->status == 0 ? 0 : 1);
}

static void loop_works_until_closed(void* arg) {
  actor_t* actor = arg;
  int rc = pkd_queue_work(&actor->loop, &actor->work, pkd_take_mutex(&s->m),
                          work_with_lock, after_work);

  explore_assert(rc == 0 || rc == UV_ESHUTDOWN);
  if (rc != 0)
    after_work(&actor->work, rc);
  finish_work(actor);
  explore_assert(rc != 0 || actor->status == 0 ||
                 actor->status == UV_ECANCELED);
  explore_outcome(rc != 0 ? 2 : actor->status == 0 ? 0 : 1);
}

static bool closes;

/* Behind a lock that the loop has itself. */
static void loop_works_in_vain(void* arg) {
  actor_t* actor = arg;

  explore_assert(pkd_async_mutex_trylock(&actor->req, &s->m) == 0);
  if (!closes)
    explore_assert(pkd_work_set_timeout(&actor->work, 5) == 0);
  queue_work(actor);
  if (closes)
    explore_assert(pkd_async_mutex_close(&s->m) == 0);
  finish_work(actor);
  explore_assert(actor->status == (closes ? UV_ECANCELED : UV_ETIMEDOUT));
  explore_assert(pkd_async_mutex_unlock(&actor->req, &s->m) == 0);
}

static void thread_closes_m(void* arg) {
  actor_t* actor = arg;

  explore_assert(
      pkd_async_mutex_lock_blocking(&actor->req, &s->m, PKD_FOREVER) == 0);
  explore_assert(pkd_async_mutex_close(&s->m) == 0);
  explore_assert(pkd_async_mutex_unlock(&actor->req, &s->m) == 0);
}

static void thread_uses_m(void* arg) {
  actor_t* actor = arg;

  explore_assert(
      pkd_async_mutex_lock_blocking(&actor->req, &s->m, PKD_FOREVER) == 0);
  s->under_m++;
  explore_assert(pkd_async_mutex_unlock(&actor->req, &s->m) == 0);
}

static void work(int loops) {
  start();
  loops_left = (uint32_t)loops;
  for (int i = 0; i < loops; i++)
    spawn(loop_works, true);
  if (loops == 1)
    spawn(thread_uses_m, false);
  explore_spawn(shim_pool, NULL);
  finish();
}

/* One loop, the pool, and a thread if there is something for it to do. */
static void work_of_one(void (*entry)(void* arg), void (*other)(void* arg)) {
  start();
  loops_left = 1;
  spawn(entry, true);
  if (other != NULL)
    spawn(other, false);
  explore_spawn(shim_pool, NULL);
  finish();
}

static void work_alone(int cancels) {
  work_of_one(cancels ? loop_cancels_work : loop_works, NULL);
}

static void work_timed(int contended) {
  if (contended)
    work_of_one(loop_works_in_time, thread_uses_m);
  else
    work_of_one(loop_works_in_vain, NULL);
}

static void work_closed(int contended) {
  closes = true;
  if (contended)
    work_of_one(loop_works_until_closed, thread_closes_m);
  else
    work_of_one(loop_works_in_vain, NULL);
}

static void work_cancelled(int unused) {
  (void)unused;
  start();
  loops_left = 2;
  spawn(loop_cancels_work, true);
  spawn(loop_works, true);
  explore_spawn(shim_pool, NULL);
  finish();
}

const explore_scenario_t explore_many[] = {
    {"many/two-threads", two_threads, 0, OK, 0, WIDE},
    {"many/two-threads-timed", two_threads, 1, OK, 3, LATE_NARROW},
    {"many/two-loops", two_loops, 0, OK, 0, NARROW},
    {"many/two-loops-cancel", two_loops, 1, OK, 0, NARROW},
    {"many/thread-cancelled", cancelled_by_another, 0, OK, 3, WIDE},
    {"many/loop-cancelled", cancelled_by_another, 1, OK, 3, NARROW},
    {"many/loop-and-thread", both_kinds, 0, OK, 0, NARROW},
    {"many/loop-and-try", both_kinds, 1, OK, 0, WIDE},
    {"many/thread-and-one", both_and_one, 0, OK, 0, WIDE},
    {"many/loop-and-one", both_and_one, 1, OK, 0, WIDE},
    {"many/key", keys, 0, OK, 0, NARROW},
    {"many/two-keys", keys, 1, OK, 0, NARROW},
    {"many/key-and-try", keys, 2, OK, 0, NARROW},
    {"many/key-handed-over", keys, 3, OK, 0, NARROW},
    {"many/key-cancelled", keys_cancelled, 0, OK, 0, NARROW},
    {"many/work", work, 2, OK, 0, {.preemptions = 1}},
    {"many/work-and-thread", work, 1, OK, 0, NARROW},
    {"many/work-cancelled", work_cancelled, 0, OK, 0, NARROW},
    {"many/work-alone", work_alone, 0, OK, 0, WIDE},
    {"many/work-cancelled-alone", work_alone, 1, OK, 0, WIDE},
    {"many/work-timed", work_timed, 1, OK, 3, LATE_NARROW},
    {"many/work-timed-alone", work_timed, 0, OK, 0, WIDE},
    {"many/work-closed", work_closed, 1, OK, 7, NARROW},
    {"many/work-closed-alone", work_closed, 0, OK, 0, WIDE},
    {.name = NULL},
};
