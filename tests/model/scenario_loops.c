/* SPDX-License-Identifier: MIT
 *
 * scenario_loops.c - what only shows with a loop's whole life: several bells for
 * one loop, and a loop that moves to another thread.
 *
 * Written after the orders in async/ were weakened one by one, as scenario_passed.c
 * and scenario_objects.c were: each of those that nothing else noticed has a
 * scenario in one of the three. */
#include "cast.h"

/* --- two bells ----------------------------------------------------------- */

static struct {
  pkd_async_mutex_t m;
  pkd_req_t ticket; /* owns it at first */
} * other;

static void ticket_owns_other(void* unused) {
  (void)unused;
  explore_assert(pkd_async_mutex_trylock(&other->ticket, &other->m) == 0);
}

static void thread_unlocks_other(void* unused) {
  (void)unused;
  explore_assert(pkd_async_mutex_unlock(&other->ticket, &other->m) == 0);
}

static void unlock_other(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status == 0);
  explore_assert(pkd_async_mutex_unlock(req, &other->m) == 0);
}

/* Waits for two, each of which another thread gives up: two bells, close
 * together, and the second may be swallowed. */
static void loop_locks_both(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_unlock);
  explore_assert(pkd_async_mutex_lock(&task->loop, &task->second, &other->m,
                                      unlock_other) == 0);
  task_run(task, 2);
}

static void two_bells(int unused) {
  (void)unused;
  cast_start();
  other = explore_need(sizeof *other);
  explore_name(other, sizeof *other, "other mutex");
  cast_loop(loop_locks_both);
  explore_spawn(thread_unlocks, NULL);
  explore_setup(ticket_owns, NULL);
  explore_spawn(thread_unlocks_other, NULL);
  explore_setup(ticket_owns_other, NULL);
  cast_finish();
  scenario_nobody_at(&other->m);
}

/* --- a loop that moves --------------------------------------------------- */

/* Begins a wait on its loop, gives the loop away, and then releases what the
 * loop waits for: a release that finds itself no longer at home. */
static void gives_loop_away(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_unlock);
  cast_tell(&task->req);
  thread_unlocks(NULL);
}

static void takes_loop_over(void* unused) {
  task_t* task = cast_await_known()->data;

  (void)unused;
  explore_assert(pkd_loop_adopt(&task->loop) == 0);
  task_run(task, 1);
}

static void moved_loop(int unused) {
  (void)unused;
  cast_start();
  cast_loop(gives_loop_away);
  explore_setup(ticket_owns, NULL);
  explore_spawn(takes_loop_over, NULL);
  cast_finish();
}

/* --- who may block ------------------------------------------------------- */

static uint32_t moves; /* atomic */

static void wait_for_move(uint32_t number) {
  while (__atomic_load_n(&moves, __ATOMIC_ACQUIRE) != number)
    explore_yield();
}

static int lock_and_unlock(void) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &cast->m, PKD_FOREVER);

  if (rc == 0)
    explore_assert(pkd_async_mutex_unlock(&req, &cast->m) == 0);
  return rc;
}

/* Asks once before it is told that the loop has gone: refused or not, what it
 * keeps of the answer must not make it be refused when it has been told. */
static void has_had_loop(void* arg) {
  task_t* task = arg;
  int rc;

  explore_assert(pkd_loop_adopt(&task->loop) == 0);
  __atomic_store_n(&moves, 1, __ATOMIC_RELEASE);
  rc = lock_and_unlock();
  explore_outcome(rc == 0);
  explore_assert(rc == 0 || rc == PKD_EDEADLK);
  wait_for_move(2);
  explore_assert(lock_and_unlock() == 0);
}

static void has_loop_now(void* arg) {
  task_t* task = arg;

  wait_for_move(1);
  explore_assert(pkd_loop_adopt(&task->loop) == 0);
  __atomic_store_n(&moves, 2, __ATOMIC_RELEASE);
}

static void may_block_again(int unused) {
  (void)unused;
  cast_start();
  cast_loop(has_loop_now);
  explore_spawn(has_had_loop, &cast->task[0]);
  cast_finish();
}

const explore_scenario_t explore_loops[] = {
    {"loops/two-bells", two_bells, 0, OK, 0, FLAT},
    {"loops/moved", moved_loop, 0, OK, 0, DEEP},
    {"loops/may-block-again", may_block_again, 0, OK, 3, DEEP},
    {.name = NULL},
};
