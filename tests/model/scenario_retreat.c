/* SPDX-License-Identifier: MIT
 *
 * scenario_retreat.c - loops that are late for a request for several locks: all of
 * it retreats, and begins anew, while it is delivered, cancelled, closed, out of
 * time and detached.
 *
 * The watchdog looks when the scheduler lets it, and to it each grant is overdue,
 * as in scenario_grant.c. A request that kept one lock while it is passed by at
 * the other would wait for ever for who has passed it: a deadlock. What the locks
 * guard is plain data. */
#include "scenario.h"

#include <parkade/async/keyed.h>
#include <parkade/async/many.h>
#include <parkade/async/mutex.h>

#include "../../async/grant.h"

#define LOOPS 2

enum { MUTEXES, KEYS };

typedef struct task {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_many_t many;
  pkd_many_item_t items[2];
  int answers;
  int status;
} task_t;

typedef struct shared {
  pkd_async_mutex_t mutex[2];
  pkd_async_keyed_t keyed;
  int under[2];
  pkd_req_t thread_req;
  int cancel_rc;
  task_t task[LOOPS];
} shared_t;

static shared_t* s;
static int kind;
static int spawned;

static void start(int locks) {
  s = explore_need(sizeof *s);
  kind = locks;
  explore_name(&s->mutex[0], sizeof s->mutex[0], "mutex m");
  explore_name(&s->mutex[1], sizeof s->mutex[1], "mutex n");
  explore_name(&s->keyed, sizeof s->keyed, "keyed");
  explore_name(&s->task[0], sizeof s->task[0], "task1");
  explore_name(&s->task[1], sizeof s->task[1], "task2");
}

static void watches(void* arg) {
  (void)arg;
  pkd__grants_look(pkd_now() + 1000000000);
}

static void attach(void* arg) {
  task_t* task = arg;

  uv_loop_init(&task->uv);
  pkd_loop_attach(&task->loop, &task->uv);
  pkd_loop_set_grant_timeout(&task->loop, 1);
}

static void spawn_loop(void (*entry)(void* arg)) {
  task_t* task = &s->task[spawned++];

  explore_spawn(entry, task);
  explore_setup(attach, task);
}

static void finish(void) {
  explore_join();
  explore_assert(!pkd_async_mutex_is_locked(&s->mutex[0]));
  explore_assert(!pkd_async_mutex_is_locked(&s->mutex[1]));
  explore_assert(pkd__away == 0);
  scenario_nobody_at(&s->mutex[0]);
  scenario_nobody_at(&s->mutex[1]);
}

/* --- a loop that wants both ------------------------------------------------- */

static pkd_take_t lock_of(int which) {
  static const uint64_t keys[] = {7, 8};

  return kind == MUTEXES
             ? pkd_take_mutex(&s->mutex[which])
             : pkd_take_key(&s->keyed, &keys[which], sizeof keys[which]);
}

static void use_both(pkd_many_t* many, int status) {
  task_t* task = many->data;

  task->answers++;
  task->status = status;
  if (status != 0)
    return;
  s->under[0]++;
  s->under[1]++;
  explore_assert(pkd_many_unlock(many) == 0);
}

/* The first task names them in one order, the second in the other. */
static void lock_both(task_t* task, uint64_t timeout) {
  int first = task == &s->task[1];

  task->many.data = task;
  task->items[0].take = lock_of(first);
  task->items[1].take = lock_of(!first);
  explore_assert(pkd_many_lock(&task->loop, &task->many, task->items, 2,
                               timeout, use_both) == 0);
}

static void run(task_t* task) {
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == 1);
}

static void loop_locks(void* arg) {
  task_t* task = arg;

  lock_both(task, PKD_NO_TIMEOUT);
  run(task);
  explore_assert(task->status == 0);
}

static void loop_locks_perhaps(void* arg) {
  lock_both(arg, PKD_NO_TIMEOUT);
  run(arg);
}

static void loop_locks_in_time(void* arg) {
  task_t* task = arg;

  lock_both(task, 5);
  run(task);
  explore_assert(task->status == 0 || task->status == UV_ETIMEDOUT);
}

static void loop_detaches(void* arg) {
  task_t* task = arg;

  lock_both(task, PKD_NO_TIMEOUT);
  explore_assert(pkd_loop_detach(&task->loop, NULL) == 0);
  run(task);
  explore_assert(task->status == UV_ECANCELED);
}

/* --- and a thread that wants one ------------------------------------------- */

static void thread_locks(void* arg) {
  pkd_take_t take = lock_of(1);

  (void)arg;
  if (kind == MUTEXES)
    explore_assert(pkd_async_mutex_lock_blocking(&s->thread_req, take.object,
                                                 PKD_FOREVER) == 0);
  else
    explore_assert(pkd_async_keyed_lock_blocking(&s->thread_req, take.object,
                                                 take.key, take.amount,
                                                 PKD_FOREVER) == 0);
  s->under[1]++;
  explore_assert((kind == MUTEXES
                      ? pkd_async_mutex_unlock(&s->thread_req, take.object)
                      : pkd_async_keyed_unlock(&s->thread_req, take.object)) ==
                 0);
}

static void thread_cancels(void* arg) {
  (void)arg;
  s->cancel_rc = pkd_many_cancel(&s->task[0].many);
}

static void thread_closes(void* arg) {
  (void)arg;
  explore_assert(pkd_async_mutex_close(&s->mutex[1]) == 0);
}

/* --- the scenarios ----------------------------------------------------------- */

static void alone(int locks) {
  start(locks);
  spawn_loop(loop_locks);
  explore_spawn(watches, NULL);
  finish();
  explore_assert(s->under[0] == 1 && s->under[1] == 1);
}

static void with_thread(int locks) {
  start(locks);
  spawn_loop(loop_locks);
  explore_spawn(thread_locks, NULL);
  explore_spawn(watches, NULL);
  finish();
  explore_assert(s->under[0] == 1 && s->under[1] == 2);
}

static void two_loops(int locks) {
  start(locks);
  spawn_loop(loop_locks);
  spawn_loop(loop_locks);
  explore_spawn(watches, NULL);
  finish();
  explore_assert(s->under[0] == 2 && s->under[1] == 2);
}

/* A cancel that says 0 is what the answer says, and no other. */
static void cancelled(int locks) {
  start(locks);
  spawn_loop(loop_locks_perhaps);
  explore_spawn(thread_cancels, NULL);
  explore_spawn(watches, NULL);
  finish();
  explore_assert(s->task[0].status == (s->cancel_rc == 0 ? UV_ECANCELED : 0));
  explore_outcome(s->cancel_rc == 0 ? 1 : 0);
}

static void closed(int unused) {
  int status;

  (void)unused;
  start(MUTEXES);
  spawn_loop(loop_locks_perhaps);
  explore_spawn(thread_closes, NULL);
  explore_spawn(watches, NULL);
  finish();
  status = s->task[0].status;
  explore_assert(status == 0 || status == UV_ESHUTDOWN);
  explore_outcome(status == 0 ? 0 : 1);
}

static void timed(int locks) {
  start(locks);
  spawn_loop(loop_locks_in_time);
  explore_spawn(thread_locks, NULL);
  explore_spawn(watches, NULL);
  finish();
  explore_outcome(s->task[0].status == 0 ? 0 : 1);
}

static void detached(int locks) {
  start(locks);
  spawn_loop(loop_detaches);
  explore_spawn(watches, NULL);
  finish();
}

const explore_scenario_t explore_retreat[] = {
    {"many/late", alone, MUTEXES, OK, 0, WIDE},
    {"many/late-keys", alone, KEYS, OK, 0, WIDE},
    {"many/late-and-thread", with_thread, MUTEXES, OK, 0, NARROW},
    {"many/late-keys-and-thread", with_thread, KEYS, OK, 0, NARROW},
    {"many/late-two", two_loops, MUTEXES, OK, 0, NARROW},
    {"many/late-two-with-keys", two_loops, KEYS, OK, 0, NARROW},
    {"many/late-cancelled", cancelled, MUTEXES, OK, 3, NARROW},
    {"many/late-keys-cancelled", cancelled, KEYS, OK, 3, NARROW},
    {"many/late-closed", closed, 0, OK, 3, NARROW},
    {"many/late-timed", timed, MUTEXES, OK, 3, LATE_NARROW},
    {"many/late-detached", detached, MUTEXES, OK, 0, NARROW},
    {"many/late-keys-detached", detached, KEYS, OK, 0, NARROW},
    {.name = NULL},
};
