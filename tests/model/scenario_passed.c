/* SPDX-License-Identifier: MIT
 *
 * scenario_passed.c - the ticket of an asynchronous mutex is passed to somebody else:
 * who shows it as well, gives it back, or has it longer than its loop lives; and its
 * request is used again.
 *
 * Of several who show a ticket one is right, and whoever it is, what was done under
 * the mutex comes with it. Two who show it at once, for each kind of lock, are in
 * scenario_ticket.c. */
#include "cast.h"

/* --- two who show it ------------------------------------------------------ */

static int shown[2]; /* what each was told */

static void shows(pkd_req_t* req, int number) {
  shown[number] = pkd_async_mutex_unlock(req, &cast->m);
  explore_assert(shown[number] == 0 || shown[number] == UV_EPERM);
}

static void thread_owns_and_shows(void* unused) {
  (void)unused;
  if (pkd_async_mutex_trylock(&cast->ticket, &cast->m) != 0) {
    shown[0] = UV_EPERM;
    return;
  }
  cast_count();
  cast_tell(&cast->ticket);
  shows(&cast->ticket, 0);
}

static void thread_shows(void* unused) {
  pkd_req_t* theirs = cast_known();

  (void)unused;
  shown[1] = UV_EPERM;
  if (theirs != NULL)
    shows(theirs, 1);
}

/* The ticket is passed on to another request meanwhile: either the one or the
 * other. */
static void thread_owns_and_passes(void* unused) {
  pkd_req_t* from = &cast->ticket;
  pkd_req_t* to = &cast->task[0].req;

  (void)unused;
  if (pkd_async_mutex_trylock(from, &cast->m) != 0) {
    shown[0] = UV_EPERM;
    return;
  }
  cast_count();
  cast_tell(from);
  shown[0] = pkd_req_transfer(from, to);
  explore_assert(shown[0] == 0 || shown[0] == UV_EPERM);
  if (shown[0] != 0)
    return;
  explore_assert(pkd_async_mutex_unlock(from, &cast->m) == UV_EPERM);
  cast_count(); /* it is its own still */
  explore_assert(pkd_async_mutex_unlock(to, &cast->m) == 0);
}

static void shown_twice(void (*owner)(void* unused), int with_thread) {
  cast_start();
  explore_spawn(owner, NULL);
  explore_spawn(thread_shows, NULL);
  if (with_thread)
    explore_spawn(thread_locks, NULL);
  explore_join();
  explore_assert(shown[0] != 0 || shown[1] != 0);
  explore_assert(cast->known == NULL || shown[0] == 0 || shown[1] == 0);
  explore_outcome(shown[0] == 0 ? 0 : shown[1] == 0 ? 1 : 2);
  cast_finish();
}

static void ticket_shown_twice(int with_thread) {
  shown_twice(thread_owns_and_shows, with_thread);
}

static void ticket_passed_and_shown(int with_thread) {
  shown_twice(thread_owns_and_passes, with_thread);
}

/* --- given back by another thread ----------------------------------------- */

static void count_and_tell(pkd_req_t* req, int status) {
  task_note(req, status);
  cast_count();
  cast_tell(req);
}

static void thread_gives_back(void* unused) {
  pkd_req_t* theirs = cast_await_known();

  (void)unused;
  cast_count();
  explore_assert(pkd_async_mutex_unlock(theirs, &cast->m) == 0);
}

static void loop_hands_over(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_tell);
  task_run(task, 1);
}

static void travelling_ticket(int with_loop) {
  cast_start();
  cast_loop(loop_hands_over);
  explore_spawn(thread_gives_back, NULL);
  if (with_loop)
    cast_loop(loop_locks);
  cast_finish();
}

/* Nothing of the loop is left when its ticket is given back. */
static void loop_leaves_ticket(void* arg) {
  task_t* task = arg;

  loop_hands_over(task);
  explore_assert(pkd_loop_detach(&task->loop, NULL) == 0);
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(uv_loop_close(&task->uv) == 0);
}

static void ticket_outlives(int unused) {
  (void)unused;
  cast_start();
  cast_loop(loop_leaves_ticket);
  explore_spawn(thread_gives_back, NULL);
  cast_finish();
}

/* Nor when it is shown by two at once. */
static void thread_may_give_back(void* unused) {
  pkd_req_t* theirs = cast_await_known();

  (void)unused;
  shows(theirs, 0);
}

static void outlives_shown_twice(int unused) {
  (void)unused;
  cast_start();
  cast_loop(loop_leaves_ticket);
  explore_spawn(thread_may_give_back, NULL);
  explore_spawn(thread_shows, NULL);
  explore_join();
  explore_assert(shown[0] + shown[1] == UV_EPERM);
  cast_finish();
}

/* The request is used again as soon as its ticket was given back. */
static void loop_locks_again(void* arg) {
  task_t* task = arg;

  loop_hands_over(task);
  while (pkd_async_mutex_lock(&task->loop, &task->req, &cast->m, task_note) !=
         0)
    explore_yield();
  task_run(task, 2);
  explore_assert(pkd_async_mutex_unlock(&task->req, &cast->m) == 0);
}

static void request_again(int unused) {
  (void)unused;
  cast_start();
  cast_loop(loop_locks_again);
  explore_spawn(thread_gives_back, NULL);
  cast_finish();
}

const explore_scenario_t explore_passed[] = {
    {"async/ticket-shown-twice", ticket_shown_twice, 0, OK, 3, DEEP},
    {"async/ticket-shown-twice-with-thread", ticket_shown_twice, 1, OK, 7,
     WIDE},
    {"async/ticket-passed-and-shown", ticket_passed_and_shown, 0, OK, 3, DEEP},
    {"async/ticket-passed-and-shown-with-thread", ticket_passed_and_shown, 1,
     OK, 7, WIDE},
    {"async/ticket-travels", travelling_ticket, 0, OK, 0, DEEP},
    {"async/ticket-travels-to-loop", travelling_ticket, 1, OK, 0, NARROW},
    {"loops/ticket-outlives", ticket_outlives, 0, OK, 0, DEEP},
    {"loops/ticket-outlives-shown-twice", outlives_shown_twice, 0, OK, 0,
     NARROW},
    {"loops/request-again", request_again, 0, OK, 0, WIDE},
    {.name = NULL},
};
