/* SPDX-License-Identifier: MIT
 *
 * scenario_async.c - pkd_async_mutex_t, and how a request for it may end, among
 * loops and threads on the shim of libuv.
 *
 * At the end every accepted request has had exactly one answer and the mutex is
 * free. What becomes of a ticket that others have is in scenario_passed.c, and of a
 * grant that a loop is late for in scenario_grant.c. */
#include "cast.h"

/* --- loops and threads ---------------------------------------------------- */

/* The second time from a callback, where the loop's thread is known. */
static void count_and_come_again(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  explore_assert(status == 0);
  cast_count();
  explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
  if (task->answers == 1)
    task_lock(task, &task->req, count_and_come_again);
}

static void loop_comes_again(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, count_and_come_again);
  task_run(task, 2);
}

/* Keeps the mutex for one more turn of its loop. */
static void unlock_in_idle(uv_idle_t* idle) {
  pkd_req_t* req = idle->data;

  cast_count();
  explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
  uv_close((uv_handle_t*)idle, NULL);
}

static uv_idle_t* later;

static void unlock_later(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  explore_assert(status == 0);
  uv_idle_init(&task->uv, later);
  later->data = req;
  uv_idle_start(later, unlock_in_idle);
}

static void loop_keeps(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, unlock_later);
  task_run(task, 1);
}

static void loop_cancels(void* arg) {
  task_t* task = arg;
  int rc;

  task_lock(task, &task->req, count_and_unlock);
  rc = pkd_req_cancel(&task->req);
  task_run(task, 1);
  explore_assert(rc == 0 ? task->status == UV_ECANCELED
                         : rc == UV_EBUSY && task->status == 0);
  explore_outcome(rc == 0 ? 0 : 1);
}

static void thread_locks_timed(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &cast->m, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == UV_ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  cast_count();
  explore_assert(pkd_async_mutex_unlock(&req, &cast->m) == 0);
}

/* --- who plays ----------------------------------------------------------- */

typedef void thread_t(void* arg);

static bool blocks(thread_t* thread) {
  return thread == thread_locks || thread == thread_locks_timed;
}

static thread_t* const casts[][3] = {
    {loop_locks, loop_locks},
    {loop_locks, loop_locks, loop_locks},
    {loop_keeps, loop_locks},
    {loop_cancels, loop_locks},
    {loop_cancels, loop_cancels, loop_locks},
    {loop_times_out, loop_locks},
    {loop_times_out, loop_keeps},
    {loop_locks, thread_locks},
    {loop_locks, thread_locks, thread_locks},
    {loop_locks, thread_locks_timed},
    {loop_locks, thread_tries, thread_tries},
    {loop_cancels, thread_locks, thread_locks_timed},
    {thread_locks, thread_locks, thread_locks},
    {loop_comes_again, loop_locks},
    {loop_comes_again, thread_locks, thread_tries},
};

enum {
  TWO_LOOPS,
  THREE_LOOPS,
  KEEPS,
  CANCEL,
  TWO_CANCEL,
  TIMEOUT,
  TIMEOUT_OF_KEPT,
  LOOP_AND_THREAD,
  LOOP_AND_TWO_THREADS,
  LOOP_AND_TIMED,
  LOOP_AND_TRIES,
  ALL_ENDS,
  THREADS,
  AGAIN,
  AGAIN_AMONG_THREADS
};

static void play(int number) {
  cast_start();
  later = explore_need(sizeof *later);
  for (int i = 0; i < 3 && casts[number][i] != NULL; i++)
    if (blocks(casts[number][i]))
      explore_spawn(casts[number][i], NULL);
    else
      cast_loop(casts[number][i]);
  cast_finish();
}

/* --- cancelled by another thread ------------------------------------------ */

static void foreign_cancel(int with_thread) {
  cast_cancelled(loop_is_cancelled, false, with_thread);
}

/* The same, but what is cancelled was free, or passed on, within a turn. */
static void come_again_and_tell(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  explore_assert(status == 0 || status == UV_ECANCELED);
  if (status == 0) {
    cast_count();
    explore_assert(pkd_async_mutex_unlock(req, &cast->m) == 0);
  }
  if (task->answers > 1)
    return;
  task_lock(task, &task->req, come_again_and_tell);
  cast_tell(req);
}

static void loop_is_cancelled_again(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, come_again_and_tell);
  task_run(task, 2);
}

static void foreign_cancel_again(int with_thread) {
  cast_cancelled(loop_is_cancelled_again, false, with_thread);
}

/* --- yields -------------------------------------------------------------- */

static pkd_req_t resting;
static int yielded, rest_status;

static void after_rest(pkd_req_t* req, int status) {
  task_t* task = req->data;

  explore_assert(status == 0 || status == UV_ECANCELED);
  rest_status = status;
  yielded++;
  cast_count(); /* the mutex was held all the time */
  explore_assert(pkd_async_mutex_unlock(&task->req, &cast->m) == 0);
}

static void hold_over_rest(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task_note(req, status);
  cast_count();
  resting.data = task;
  explore_assert(pkd_loop_yield(&task->loop, &resting, after_rest) == 0);
  cast_tell(&resting);
}

static void loop_holds_over_rest(void* arg) {
  task_t* task = arg;

  task_lock(task, &task->req, hold_over_rest);
  task_run(task, 1);
  explore_assert(yielded == 1);
}

static void thread_cancels_rest(void* arg) {
  pkd_req_t* theirs = cast_known();

  (void)arg;
  if (theirs != NULL)
    cast->cancel_rc = pkd_req_cancel(theirs);
}

static void yield_cancelled(int with_loop) {
  cast_start();
  cast_loop(loop_holds_over_rest);
  explore_spawn(thread_cancels_rest, NULL);
  if (with_loop)
    cast_loop(loop_locks);
  explore_join();
  explore_assert((cast->cancel_rc == 0) == (rest_status == UV_ECANCELED));
  explore_outcome(rest_status == 0 ? 0 : 1);
  cast_finish();
}

/* --- close, free and detach ----------------------------------------------- */

/* Who waits is told, who comes is refused, who owns keeps it. */
static void close_mutex(int loops) {
  cast_start();
  for (int i = 0; i < loops; i++)
    cast_loop(loop_meets_close);
  explore_spawn(thread_closes, NULL);
  cast_finish();
}

static void freed_by_last(int with_thread) {
  cast_start();
  cast_object(2);
  cast_loop(loop_uses);
  if (with_thread)
    explore_spawn(thread_uses, NULL);
  else
    cast_loop(loop_uses);
  cast_finish();
}

static void detach(int with_loop) {
  cast_start();
  cast_loop(loop_detaches);
  if (with_loop)
    cast_loop(loop_locks);
  else
    explore_spawn(thread_locks, NULL);
  cast_finish();
}

const explore_scenario_t explore_async[] = {
    {"async/two-loops", play, TWO_LOOPS, OK, 0, DEEP},
    {"async/three-loops", play, THREE_LOOPS, OK, 0, NARROW},
    {"async/ghost-bell",
     play,
     TWO_LOOPS,
     OK,
     0,
     {.preemptions = 2, .spurious = 1}},
    {"async/keeps", play, KEEPS, OK, 0, DEEP},
    {"async/cancel", play, CANCEL, OK, 1, DEEP},
    {"async/two-cancel", play, TWO_CANCEL, OK, 1, NARROW},
    {"async/foreign-cancel", foreign_cancel, 0, OK, 7, DEEP},
    {"async/foreign-cancel-with-thread", foreign_cancel, 1, OK, 7, WIDE},
    {"async/timeout", play, TIMEOUT, OK, 1, NARROW},
    {"async/timeout-of-kept", play, TIMEOUT_OF_KEPT, OK, 3, LATE_NARROW},
    {"async/loop-and-thread", play, LOOP_AND_THREAD, OK, 0, DEEP},
    {"async/loop-and-two-threads", play, LOOP_AND_TWO_THREADS, OK, 0, NARROW},
    {"async/loop-and-timed",
     play,
     LOOP_AND_TIMED,
     OK,
     3,
     {.preemptions = 3, .timeouts = 1}},
    {"async/loop-and-tries", play, LOOP_AND_TRIES, OK, 0, NARROW},
    {"async/all-ends", play, ALL_ENDS, OK, 3, LATE_NARROW},
    {"async/threads", play, THREADS, OK, 0, WIDE},
    {"async/again", play, AGAIN, OK, 0, WIDE},
    {"async/again-among-threads", play, AGAIN_AMONG_THREADS, OK, 0, NARROW},
    {"async/foreign-cancel-again", foreign_cancel_again, 0, OK, 7, WIDE},
    {"async/foreign-cancel-again-with-thread", foreign_cancel_again, 1, OK, 7,
     NARROW},
    {"async/yield-cancelled", yield_cancelled, 0, OK, 3, DEEP},
    {"async/yield-cancelled-with-loop", yield_cancelled, 1, OK, 3, NARROW},
    {"async/close", close_mutex, 1, OK, 5, DEEP},
    {"async/close-with-two", close_mutex, 2, OK, 7, NARROW},
    {"async/freed-by-last-loop", freed_by_last, 0, OK, 0, DEEP},
    {"async/freed-by-last-of-both", freed_by_last, 1, OK, 0, DEEP},
    {"async/detach", detach, 0, OK, 0, WIDE},
    {"async/detach-two-loops", detach, 1, OK, 0, NARROW},
    {.name = NULL},
};
