/* SPDX-License-Identifier: MIT
 *
 * scenario_rings.c - who looks for rings of waits, while what it looks at is granted,
 * taken back and given back.
 *
 * There never is a ring. The search goes by the states of requests that are not its
 * own: it may find a wait over or not, but nothing of it half written. */
#include "cast.h"

#include <parkade/async/cycle.h>
#include <parkade/async/keyed.h>

static pkd_async_keyed_t* keyed;

static void looks_for_rings(void* unused) {
  (void)unused;
  explore_assert(pkd_req_cycles(NULL, NULL) == 0);
}

static void watch_of(pkd_req_t* req, const void* owner) {
  pkd_req_watch_t* watch = explore_need(sizeof *watch);

  explore_assert(pkd_req_watch(watch, req, owner, "watched") == 0);
}

static void watch(pkd_req_t* req) {
  watch_of(req, cast);
}

/* --- on its way to a lock --------------------------------------------------- */

/* The second time from a callback. */
static void lock_in_turn(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  task_lock(task, &task->second, count_and_unlock);
}

static void loop_locks_in_turn(void* arg) {
  task_t* task = arg;

  pkd_loop_yield(&task->loop, &task->req, lock_in_turn);
  task_run(task, 2);
}

static void rings(int in_turn) {
  task_t* task;

  cast_start();
  task = &cast->task[0];
  cast_loop(in_turn ? loop_locks_in_turn : loop_locks);
  explore_spawn(thread_unlocks, NULL);
  explore_setup(ticket_owns, NULL);
  watch(in_turn ? &task->second : &task->req);
  explore_spawn(looks_for_rings, NULL);
  cast_finish();
}

static void unlock_key(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(pkd_async_keyed_unlock(req, keyed) == 0);
}

static void loop_locks_key(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_keyed_lock(&task->loop, &task->req, keyed, "k", 1,
                                      unlock_key) == 0);
  task_run(task, 1);
}

static void ticket_owns_key(void* unused) {
  (void)unused;
  explore_assert(pkd_async_keyed_trylock(&cast->ticket, keyed, "k", 1) == 0);
}

static void thread_unlocks_key(void* unused) {
  (void)unused;
  explore_assert(pkd_async_keyed_unlock(&cast->ticket, keyed) == 0);
}

/* And has another at once, in the same place. */
static void thread_changes_key(void* unused) {
  thread_unlocks_key(unused);
  explore_assert(pkd_async_keyed_trylock(&cast->ticket, keyed, "l", 1) == 0);
  thread_unlocks_key(unused);
}

/* Who has the key is watched, too: the keys of both are compared. */
static void rings_keyed(int of_both) {
  cast_start();
  keyed = explore_need(sizeof *keyed);
  cast_loop(loop_locks_key);
  explore_spawn(of_both ? thread_changes_key : thread_unlocks_key, NULL);
  explore_setup(ticket_owns_key, NULL);
  watch(&cast->task[0].req);
  if (of_both)
    watch_of(&cast->ticket, &cast->ticket);
  explore_spawn(looks_for_rings, NULL);
  cast_finish();
}

/* --- and waiting again, as its loop was late for the grant -------------------- */

static void rings_of_late(int put_off) {
  task_t* task;

  cast_start();
  task = &cast->task[0];
  cast_late_loop(put_off ? loop_locks_twice : loop_locks);
  watch(put_off ? &task->second : &task->req);
  explore_spawn(thread_watches, NULL);
  explore_spawn(looks_for_rings, NULL);
  cast_finish();
}

const explore_scenario_t explore_rings[] = {
    {"grant/rings", rings_of_late, 0, OK, 0, NARROW},
    {"grant/rings-put-off", rings_of_late, 1, OK, 0, {.preemptions = 1}},
    {"req/rings", rings, 0, OK, 0, FLAT},
    {"req/rings-in-turn", rings, 1, OK, 0, FLAT},
    {"req/rings-keyed", rings_keyed, 0, OK, 0, FLAT},
    {"req/rings-keys", rings_keyed, 1, OK, 0, NARROW},
    {.name = NULL},
};
