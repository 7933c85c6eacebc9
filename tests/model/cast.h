/* SPDX-License-Identifier: MIT
 *
 * cast.h - who plays in the scenarios of the asynchronous locks, and the parts that
 * come up again and again.
 *
 * A task is a thread with a loop of its own. All want one mutex, and what it guards
 * is a plain counter, so two inside are a race. A loop ends when its requests were
 * answered, so an answer that got lost is a loop that sleeps for ever: a deadlock.
 * What a scenario needs besides is in memory of its own. */
#ifndef EXPLORE_CAST_H
#define EXPLORE_CAST_H

#include "scenario.h"

#include <parkade/async/mutex.h>

/** A loop, and what it waits for. The data of its requests is the task. */
typedef struct task {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req;
  pkd_req_t second;
  int answers; /* to both requests */
  int status;  /* of the last of them */
} task_t;

typedef struct cast {
  pkd_async_mutex_t m;
  pkd_req_t ticket; /* of who owns the mutex and is no task */
  pkd_req_t* known; /* atomic: the request that the others have been told of */
  int cancel_rc;    /* what thread_cancels() was told; UV_EBUSY before */
  int counter;      /* under the mutex */
  int entered[8];   /* by thread: how often it has counted */
  int detached;     /* how many loops were told that they are */
  task_t task[3];
} cast_t;

extern cast_t* cast;

/** Makes the cast; nobody plays yet. */
void cast_start(void);

/** Waits until all have ended. Nobody waits then, nobody owns the mutex and every
 * entry was counted. */
void cast_finish(void);

/** The next task plays `entry`, whose argument is the task. Its loop is attached
 * before any thread runs: that is long, and not what is explored. */
void cast_loop(void (*entry)(void* task));

/** The same; whatever it is granted, thread_watches() takes back. */
void cast_late_loop(void (*entry)(void* task));

/** Under the mutex: one more entry. */
void cast_count(void);

/** Tells the others of a request. */
void cast_tell(pkd_req_t* req);

/** @return the request that was told of; NULL if none was yet */
pkd_req_t* cast_known(void);

/** The same, but waits for it. */
pkd_req_t* cast_await_known(void);

/** A callback: notes the answer. */
void task_note(pkd_req_t* req, int status);

/** Turns the loop until nothing keeps it: there were so many answers. */
void task_run(task_t* task, int answers);

/** Somebody else's memory from here on: a race if the last user is not done. */
void task_overwrite(pkd_req_t* req);

/** Asks for the mutex. */
void task_lock(task_t* task, pkd_req_t* req, pkd_req_cb cb);

/** A callback: who is granted the mutex counts and gives it back. */
void count_and_unlock(pkd_req_t* req, int status);

/* --- parts of tasks, for cast_loop() --------------------------------------- */

void loop_locks(void* task);
void loop_locks_twice(void* task);

/** Tells of its request, so that it may be cancelled. */
void loop_is_cancelled(void* task);

/** Outcome 0: was granted it in time, 1: was not. */
void loop_times_out(void* task);

/** Outcome 0: was granted it, 1: was told of the close, 2: was refused. */
void loop_meets_close(void* task);

/** Is detached with its request anywhere between queue and callback. */
void loop_detaches(void* task);

/* --- parts of threads without a loop, for explore_spawn() ------------------ */

void thread_locks(void* unused);

/** Outcome 0: it could not have it, 1: it could. */
void thread_tries(void* unused);

/** Cancels the request that it knows of, if any. Outcome 0: it is cancelled, 1: it
 * was too late, 2: there was nothing left to cancel. */
void thread_cancels(void* unused);

void thread_closes(void* unused);

/** For explore_setup(): the ticket owns the mutex, before anybody runs ... */
void ticket_owns(void* unused);

/** ... and a thread gives it back. */
void thread_unlocks(void* unused);

/** The watchdog, to which each grant of a late loop is overdue. So the loop is
 * stuck at every place at which a switch can hold it up. */
void thread_watches(void* unused);

/* --- an object that the last of its users frees ---------------------------- */

/** Makes one: a mutex of its own. */
void cast_object(int users);

void loop_uses(void* task);
void thread_uses(void* unused);

/** A whole scenario: a task plays `entry`, and another thread cancels its request at
 * any time after it was told of it; an answer agrees with what that thread was told.
 * With `late`, the grants of the task are taken back, too. */
void cast_cancelled(void (*entry)(void* task), bool late, int with_thread);

#endif
