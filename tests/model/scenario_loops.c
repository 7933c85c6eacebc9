/* SPDX-License-Identifier: MIT
 *
 * scenario_loops.c - what only shows with a loop's whole life: several bells for
 * one loop, a loop that moves to another thread, tickets that outlive it; and
 * the asynchronous objects beside the mutex.
 *
 * Written after the orders in async/ were weakened one by one: each of those
 * that nothing else noticed has a scenario here. */
#include "scenario.h"

#include <parkade/async/barrier.h>
#include <parkade/async/cond.h>
#include <parkade/async/event.h>
#include <parkade/async/gate.h>
#include <parkade/async/mutex.h>
#include <parkade/async/once.h>
#include <parkade/async/sem.h>

#define LOOPS 3

typedef struct task {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req;
  pkd_req_t second;
  int answers;
  int status;
} task_t;

typedef struct shared {
  pkd_async_mutex_t m;
  pkd_async_mutex_t n;
  pkd_async_sem_t sem;
  pkd_async_event_t event;
  pkd_async_once_t once;
  pkd_async_gate_t gate;
  pkd_async_barrier_t barrier;
  pkd_async_cond_t cond;
  pkd_req_t ticket[2]; /* of threads that hold m and n from the start */
  task_t task[LOOPS];
  int data;
  int met[8];
  uint32_t flag; /* atomic */
} shared_t;

static shared_t* s;
static int spawned;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutex");
  explore_name(&s->n, sizeof s->n, "mutex 2");
  explore_name(&s->sem, sizeof s->sem, "semaphore");
  explore_name(&s->event, sizeof s->event, "event");
  explore_name(&s->once, sizeof s->once, "once");
  explore_name(&s->gate, sizeof s->gate, "gate");
  explore_name(&s->barrier, sizeof s->barrier, "barrier");
  explore_name(&s->data, sizeof s->data, "data");
  for (int i = 0; i < LOOPS; i++) {
    static const char* const names[] = {"task1", "task2", "task3"};
    explore_name(&s->task[i], sizeof s->task[i], names[i]);
  }
}

static void attach(void* arg) {
  task_t* task = arg;

  uv_loop_init(&task->uv);
  pkd_loop_attach(&task->loop, &task->uv);
  task->req.data = task->second.data = task;
}

static void spawn_loop(void (*entry)(void* arg)) {
  task_t* task = &s->task[spawned++];

  explore_spawn(entry, task);
  explore_setup(attach, task);
}

static void note(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task->answers++;
  task->status = status;
}

static void run(task_t* task, int answers) {
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == answers);
}

/* --- two bells ----------------------------------------------------------- */

static void hold(void* arg) {
  pkd_async_mutex_t* mutex = arg;

  pkd_async_mutex_trylock(&s->ticket[mutex == &s->n], mutex);
}

static void unlocks(void* arg) {
  pkd_async_mutex_t* mutex = arg;

  explore_assert(pkd_async_mutex_unlock(&s->ticket[mutex == &s->n], mutex) ==
                 0);
}

static void note_and_unlock(pkd_req_t* req, int status) {
  task_t* task = req->data;
  pkd_async_mutex_t* mutex = req == &task->req ? &s->m : &s->n;

  note(req, status);
  explore_assert(pkd_async_mutex_unlock(req, mutex) == 0);
}

/* Waits for two, each of which another thread gives up: two bells, close
 * together, and the second may be swallowed. */
static void locks_both(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_lock(&task->loop, &task->req, &s->m, note_and_unlock);
  pkd_async_mutex_lock(&task->loop, &task->second, &s->n, note_and_unlock);
  run(task, 2);
}

static void two_bells(int unused) {
  (void)unused;
  start();
  spawn_loop(locks_both);
  explore_spawn(unlocks, &s->m);
  explore_setup(hold, &s->m);
  explore_spawn(unlocks, &s->n);
  explore_setup(hold, &s->n);
  explore_join();
}

/* --- a loop that moves --------------------------------------------------- */

static task_t* handed_over; /* atomic */

/* Begins a wait on its loop, gives the loop away, and then releases what the
 * loop waits for: a release that finds itself no longer at home. */
static void gives_loop_away(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_lock(&task->loop, &task->req, &s->m, note_and_unlock);
  __atomic_store_n(&handed_over, task, __ATOMIC_RELEASE);
  explore_assert(pkd_async_mutex_unlock(&s->ticket[0], &s->m) == 0);
}

static void takes_loop_over(void* arg) {
  task_t* task = __atomic_load_n(&handed_over, __ATOMIC_ACQUIRE);

  (void)arg;
  while (task == NULL) {
    explore_yield();
    task = __atomic_load_n(&handed_over, __ATOMIC_ACQUIRE);
  }
  explore_assert(pkd_loop_adopt(&task->loop) == 0);
  run(task, 1);
}

static void hold_first(void* arg) {
  attach(arg);
  hold(&s->m);
}

static void moved_loop(int unused) {
  (void)unused;
  start();
  explore_spawn(gives_loop_away, &s->task[0]);
  explore_setup(hold_first, &s->task[0]);
  explore_spawn(takes_loop_over, NULL);
  explore_join();
  scenario_nobody_at(&s->m);
}

/* --- who may block ------------------------------------------------------- */

static uint32_t moves; /* atomic */

static void wait_for_move(uint32_t number) {
  while (__atomic_load_n(&moves, __ATOMIC_ACQUIRE) != number)
    explore_yield();
}

static int lock_and_unlock(void) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &s->m, PKD_FOREVER);

  if (rc == 0)
    explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
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
  start();
  spawn_loop(has_loop_now);
  explore_spawn(has_had_loop, &s->task[0]);
  explore_join();
}

/* --- tickets that outlive their loop -------------------------------------- */

static pkd_req_t* ticket; /* atomic */

static void publish(pkd_req_t* req, int status) {
  note(req, status);
  __atomic_store_n(&ticket, req, __ATOMIC_RELEASE);
}

static void leaves_ticket(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_lock(&task->loop, &task->req, &s->m, publish);
  run(task, 1);
  explore_assert(pkd_loop_detach(&task->loop, NULL) == 0);
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(uv_loop_close(&task->uv) == 0);
}

static void returns_ticket(void* arg) {
  pkd_req_t* req = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);

  (void)arg;
  while (req == NULL) {
    explore_yield();
    req = __atomic_load_n(&ticket, __ATOMIC_ACQUIRE);
  }
  explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
}

static void ticket_outlives(int unused) {
  (void)unused;
  start();
  spawn_loop(leaves_ticket);
  explore_spawn(returns_ticket, NULL);
  explore_join();
  scenario_nobody_at(&s->m);
}

/* A request used again after its ticket was given back by another thread. */
static void locks_again(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_lock(&task->loop, &task->req, &s->m, publish);
  run(task, 1);
  while (pkd_async_mutex_lock(&task->loop, &task->req, &s->m, note) != 0)
    explore_yield();
  run(task, 2);
  explore_assert(pkd_async_mutex_unlock(&task->req, &s->m) == 0);
}

static void request_again(int unused) {
  (void)unused;
  start();
  spawn_loop(locks_again);
  explore_spawn(returns_ticket, NULL);
  explore_join();
  scenario_nobody_at(&s->m);
}

/* --- the other objects ---------------------------------------------------- */

static void use_and_release(pkd_req_t* req, int status) {
  note(req, status);
  if (status != 0)
    return;
  s->data++;
  explore_assert(pkd_async_sem_release(req, &s->sem, 1) == 0);
}

static void loop_acquires(void* arg) {
  task_t* task = arg;

  pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 1, use_and_release);
  run(task, 1);
  explore_assert(task->status == 0);
}

static void loop_acquires_or_not(void* arg) {
  task_t* task = arg;
  int rc;

  pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 1, use_and_release);
  rc = pkd_req_cancel(&task->req);
  run(task, 1);
  explore_assert(task->status == (rc == 0 ? UV_ECANCELED : 0));
}

static void thread_acquires(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_sem_acquire_blocking(&req, &s->sem, 1, PKD_FOREVER) == 0);
  s->data++;
  explore_assert(pkd_async_sem_release(&req, &s->sem, 1) == 0);
}

static void sem(int cancels) {
  start();
  pkd_async_sem_init(&s->sem, 1, 1);
  spawn_loop(cancels ? loop_acquires_or_not : loop_acquires);
  spawn_loop(loop_acquires);
  explore_spawn(thread_acquires, NULL);
  explore_join();
  explore_assert(pkd_async_sem_available(&s->sem) == 1);
  scenario_nobody_at(&s->sem);
}

static void look_at_data(pkd_req_t* req, int status) {
  note(req, status);
  explore_assert(status != 0 || s->data == 1);
}

static void loop_waits_event(void* arg) {
  task_t* task = arg;

  pkd_async_event_wait(&task->loop, &task->req, &s->event, look_at_data);
  run(task, 1);
}

static void thread_waits_event(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(pkd_async_event_wait_blocking(&req, &s->event, PKD_FOREVER) ==
                 0);
  explore_assert(s->data == 1);
}

static void sets_event(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_async_event_set(&s->event);
}

static void event(int with_thread) {
  start();
  spawn_loop(loop_waits_event);
  if (with_thread)
    explore_spawn(thread_waits_event, NULL);
  else
    spawn_loop(loop_waits_event);
  explore_spawn(sets_event, NULL);
  explore_join();
  scenario_nobody_at(&s->event);
}

/* One notification, and one of two that may be cancelled: it is not lost. */
static void loop_waits_or_not(void* arg) {
  task_t* task = arg;

  pkd_async_event_wait(&task->loop, &task->req, &s->event, note);
  pkd_req_cancel(&task->req);
  run(task, 1);
  if (task->status == 0)
    pkd_async_event_notify_one(&s->event);
}

static void notifies(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_async_event_notify_one(&s->event);
}

static void event_cancelled(int unused) {
  (void)unused;
  start();
  spawn_loop(loop_waits_or_not);
  explore_spawn(thread_waits_event, NULL);
  explore_spawn(notifies, NULL);
  explore_join();
  scenario_nobody_at(&s->event);
}

static void initialize(pkd_req_t* req, int status) {
  note(req, status);
  if (status == 1) {
    s->data++;
    pkd_async_once_done(req, &s->once, 0);
  }
  explore_assert(s->data == 1);
}

static void loop_initializes(void* arg) {
  task_t* task = arg;

  pkd_async_once_call(&task->loop, &task->req, &s->once, initialize);
  run(task, 1);
}

static void thread_initializes(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_once_call_blocking(&req, &s->once, PKD_FOREVER);

  (void)arg;
  explore_assert(rc == 0 || rc == 1);
  if (rc == 1) {
    s->data++;
    pkd_async_once_done(&req, &s->once, 0);
  }
  explore_assert(s->data == 1);
}

static void once(int with_thread) {
  start();
  spawn_loop(loop_initializes);
  if (with_thread)
    explore_spawn(thread_initializes, NULL);
  spawn_loop(loop_initializes);
  explore_join();
  scenario_nobody_at(&s->once);
}

static void finds_it_done(void* arg) {
  int done = pkd_async_once_is_done(&s->once);

  (void)arg;
  explore_outcome(done);
  if (done)
    explore_assert(s->data == 1);
}

static void once_is_done(int unused) {
  (void)unused;
  start();
  explore_spawn(thread_initializes, NULL);
  explore_spawn(finds_it_done, NULL);
  explore_join();
}

static void goes_through(void* arg) {
  (void)arg;
  if (pkd_async_gate_enter(&s->gate) != 0)
    return;
  s->met[explore_self()] = 1;
  explore_assert(pkd_async_gate_leave(&s->gate) == 0);
}

static void all_out(pkd_req_t* req, int status) {
  note(req, status);
  s->data = s->met[2] + s->met[3];
}

static void loop_closes(void* arg) {
  task_t* task = arg;

  pkd_async_gate_close(&task->loop, &task->req, &s->gate, all_out);
  run(task, 1);
  explore_assert(task->status == 0);
}

static void gate(int unused) {
  (void)unused;
  start();
  spawn_loop(loop_closes);
  explore_spawn(goes_through, NULL);
  explore_spawn(goes_through, NULL);
  explore_join();
  explore_assert(s->data == s->met[2] + s->met[3]);
  explore_assert(pkd_async_gate_inside(&s->gate) == 0);
  scenario_nobody_at(&s->gate);
}

static void all_here(pkd_req_t* req, int status) {
  note(req, status);
  explore_assert(s->met[1] && s->met[2]);
}

static void loop_arrives(void* arg) {
  task_t* task = arg;

  s->met[explore_self()] = 1;
  pkd_async_barrier_arrive(&task->loop, &task->req, &s->barrier, all_here);
  run(task, 1);
}

static void thread_arrives(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  s->met[explore_self()] = 1;
  explore_assert(
      pkd_async_barrier_arrive_blocking(&req, &s->barrier, PKD_FOREVER) >= 0);
  explore_assert(s->met[1] && s->met[2]);
}

static void barrier(int with_thread) {
  start();
  pkd_async_barrier_init(&s->barrier, 2);
  spawn_loop(loop_arrives);
  if (with_thread)
    explore_spawn(thread_arrives, NULL);
  else
    spawn_loop(loop_arrives);
  explore_join();
  scenario_nobody_at(&s->barrier);
}

/* --- a condition that nobody waits for any more -------------------------- */

static void leaves_cond(void* arg) {
  pkd_req_t req = {0};
  int rc;

  (void)arg;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &s->m, PKD_FOREVER) == 0);
  s->data = 1;
  rc = pkd_async_cond_wait_blocking(&req, &s->cond, &s->m, SOON);
  explore_assert(rc == 0 || rc == UV_ETIMEDOUT);
  if (rc == 0)
    explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
}

/* Who has seen somebody wait, and then finds nobody, has the memory to itself:
 * the plain store is a race if the one who left is not done with it. */
static void reuses_cond(void* arg) {
  int data = 0;
  int woken;

  (void)arg;
  while (data == 0) {
    pkd_req_t req = {0};

    explore_assert(pkd_async_mutex_lock_blocking(&req, &s->m, PKD_FOREVER) ==
                   0);
    data = s->data;
    explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
    if (data == 0)
      explore_yield();
  }
  woken = pkd_async_cond_signal(&s->cond);
  explore_outcome(woken);
  if (woken == 0)
    s->cond = (pkd_async_cond_t){0};
}

static void cond_reused(int unused) {
  (void)unused;
  start();
  explore_spawn(leaves_cond, NULL);
  explore_spawn(reuses_cond, NULL);
  explore_join();
  scenario_nobody_at(&s->m);
  scenario_nobody_at(&s->cond);
}

#define OK EXPLORE_OK
#define DEEP                                                                   \
  { .preemptions = 3, .stale = 1 }
#define WIDE                                                                   \
  { .preemptions = 2, .stale = 1 }
#define NARROW                                                                 \
  { .preemptions = 2 }

const explore_scenario_t explore_loops[] = {
    {"loops/two-bells", two_bells, 0, OK, 0, {.preemptions = 1, .stale = 1}},
    {"loops/moved", moved_loop, 0, OK, 0, DEEP},
    {"loops/may-block-again", may_block_again, 0, OK, 3, DEEP},
    {"loops/ticket-outlives", ticket_outlives, 0, OK, 0, DEEP},
    {"loops/request-again", request_again, 0, OK, 0, WIDE},
    {"loops/sem", sem, 0, OK, 0, NARROW},
    {"loops/sem-cancelled", sem, 1, OK, 0, NARROW},
    {"loops/event", event, 0, OK, 0, NARROW},
    {"loops/event-and-thread", event, 1, OK, 0, NARROW},
    {"loops/event-cancelled", event_cancelled, 0, OK, 0, NARROW},
    {"loops/once", once, 0, OK, 0, WIDE},
    {"loops/once-and-thread", once, 1, OK, 0, NARROW},
    {"loops/once-is-done", once_is_done, 0, OK, 3, DEEP},
    {"loops/gate", gate, 0, OK, 0, WIDE},
    {"loops/barrier", barrier, 0, OK, 0, DEEP},
    {"loops/barrier-and-thread", barrier, 1, OK, 0, DEEP},
    {"loops/cond-reused",
     cond_reused,
     0,
     OK,
     3,
     {.preemptions = 1, .stale = 1, .timeouts = 1}},
    {.name = NULL},
};
