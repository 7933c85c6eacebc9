/* SPDX-License-Identifier: MIT
 *
 * scenario_grant.c - grants that a loop is late for: taken back, delivered,
 * cancelled, closed and freed at once; and mutexes that let some overtake.
 *
 * The watchdog is a thread of the scenario, which looks when the scheduler lets
 * it, and to which every grant is overdue. So each loop is stuck at every place
 * at which a switch can hold it up.
 *
 * (Long, for each end of a wait meets each way in.) */
#include "scenario.h"

#include <parkade/async/cond.h>
#include <parkade/async/cycle.h>
#include <parkade/async/keyed.h>
#include <parkade/async/mutex.h>
#include <parkade/async/rwlock.h>
#include <parkade/async/sem.h>

#include "../../async/grant.h"

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
  pkd_async_sem_t sem;
  pkd_async_rwlock_t lock;
  pkd_req_t ticket;
  pkd_req_t* started; /* atomic */
  int cancel_rc;
  int counter; /* under whatever is explored */
  int entered[8];
  task_t task[LOOPS];
  pkd_async_cond_t cond;
  pkd_req_watch_t watch;
  pkd_async_keyed_t keyed;
} shared_t;

static shared_t* s;
static int spawned;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->m, sizeof s->m, "mutex");
  explore_name(&s->sem, sizeof s->sem, "semaphore");
  explore_name(&s->lock, sizeof s->lock, "rwlock");
  explore_name(&s->counter, sizeof s->counter, "counter");
  for (int i = 0; i < LOOPS; i++) {
    static const char* const names[] = {"task1", "task2", "task3"};
    explore_name(&s->task[i], sizeof s->task[i], names[i]);
  }
}

static void finish(void) {
  int entered = 0;

  explore_join();
  for (int i = 0; i < 8; i++)
    entered += s->entered[i];
  explore_assert(s->counter == entered);
  explore_assert(!pkd_async_mutex_is_locked(&s->m));
  explore_assert(pkd__away == 0);
  scenario_nobody_at(&s->m);
}

static void attach(void* arg) {
  task_t* task = arg;

  uv_loop_init(&task->uv);
  pkd_loop_attach(&task->loop, &task->uv);
  pkd_loop_set_grant_timeout(&task->loop, 1);
  task->req.data = task->second.data = task;
}

static void spawn_loop(void (*entry)(void* arg)) {
  task_t* task = &s->task[spawned++];

  explore_spawn(entry, task);
  explore_setup(attach, task);
}

static void watches(void* arg) {
  (void)arg;
  pkd__grants_look(pkd_now() + 1000000000);
}

static void enter_section(void) {
  s->counter++;
  s->entered[explore_self()]++;
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

/* --- the mutex ----------------------------------------------------------- */

static void count_and_unlock(pkd_req_t* req, int status) {
  note(req, status);
  if (status != 0)
    return;
  enter_section();
  explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
}

static void lock(task_t* task, pkd_req_t* req) {
  explore_assert(
      pkd_async_mutex_lock(&task->loop, req, &s->m, count_and_unlock) == 0);
}

static void loop_locks(void* arg) {
  task_t* task = arg;

  lock(task, &task->req);
  run(task, 1);
  explore_assert(task->status == 0);
}

/* The second is put off, if the loop is found stuck with the first. */
static void loop_locks_twice(void* arg) {
  task_t* task = arg;

  lock(task, &task->req);
  lock(task, &task->second);
  run(task, 2);
}

static void hold(void* arg) {
  (void)arg;
  pkd_async_mutex_trylock(&s->ticket, &s->m);
}

static void unlocks(void* arg) {
  (void)arg;
  enter_section();
  explore_assert(pkd_async_mutex_unlock(&s->ticket, &s->m) == 0);
}

static void thread_locks(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &s->m, PKD_FOREVER) == 0);
  enter_section();
  explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
}

static void thread_tries(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  if (pkd_async_mutex_trylock(&req, &s->m) != 0) {
    explore_outcome(0);
    return;
  }
  explore_outcome(1);
  enter_section();
  explore_assert(pkd_async_mutex_unlock(&req, &s->m) == 0);
}

/* A loop alone with the watchdog: granted at its start. */
static void alone(int twice) {
  start();
  spawn_loop(twice ? loop_locks_twice : loop_locks);
  explore_spawn(watches, NULL);
  finish();
}

/* The newcomer finds the mutex held, free, or free with one who is away. */
static void with_newcomer(int tries) {
  start();
  spawn_loop(loop_locks);
  explore_spawn(watches, NULL);
  explore_spawn(tries ? thread_tries : thread_locks, NULL);
  finish();
}

/* Granted by an unlock from elsewhere. */
static void with_unlock(int also) {
  start();
  spawn_loop(loop_locks);
  explore_spawn(watches, NULL);
  explore_spawn(unlocks, NULL);
  explore_setup(hold, NULL);
  if (also)
    explore_spawn(thread_locks, NULL);
  finish();
}

static void two_loops(int unused) {
  (void)unused;
  start();
  spawn_loop(loop_locks);
  spawn_loop(loop_locks);
  explore_spawn(watches, NULL);
  finish();
}

/* Tasks of the unlocker's loop go first, until the head has waited long enough:
 * the clock jumps. */
static void overtake(int who) {
  enum { THREAD = 1, LOOP = 2, WATCHED = 4 };

  start();
  pkd_async_mutex_init(&s->m, PKD_ASYNC_MUTEX_OVERTAKES);
  spawn_loop(loop_locks_twice);
  if (who & THREAD)
    explore_spawn(thread_locks, NULL);
  if (who & LOOP)
    spawn_loop(loop_locks_twice);
  if (who & WATCHED)
    explore_spawn(watches, NULL);
  finish();
}

/* --- other ends ---------------------------------------------------------- */

static void loop_is_cancelled(void* arg) {
  task_t* task = arg;

  lock(task, &task->req);
  __atomic_store_n(&s->started, &task->req, __ATOMIC_RELEASE);
  run(task, 1);
}

static void cancels(void* arg) {
  pkd_req_t* req = __atomic_load_n(&s->started, __ATOMIC_ACQUIRE);

  (void)arg;
  s->cancel_rc = UV_EBUSY;
  if (req == NULL)
    return;
  s->cancel_rc = pkd_req_cancel(req);
  explore_outcome(s->cancel_rc == 0 ? 0 : s->cancel_rc == UV_EBUSY ? 1 : 2);
}

static void cancel(int with_thread) {
  start();
  spawn_loop(loop_is_cancelled);
  explore_spawn(watches, NULL);
  explore_spawn(cancels, NULL);
  if (with_thread)
    explore_spawn(thread_locks, NULL);
  explore_join();
  explore_assert(s->task[0].status == (s->cancel_rc == 0 ? UV_ECANCELED : 0));
  finish();
}

static void closes(void* arg) {
  (void)arg;
  explore_assert(pkd_async_mutex_close(&s->m) == 0);
}

static void loop_meets_close(void* arg) {
  task_t* task = arg;
  int rc =
      pkd_async_mutex_lock(&task->loop, &task->req, &s->m, count_and_unlock);

  explore_assert(rc == 0 || rc == UV_ESHUTDOWN);
  if (rc == 0)
    run(task, 1);
  explore_outcome(rc != 0 ? 2 : task->status == 0 ? 0 : 1);
}

static void close_mutex(int held) {
  start();
  spawn_loop(loop_meets_close);
  explore_spawn(watches, NULL);
  explore_spawn(closes, NULL);
  if (held) {
    explore_spawn(unlocks, NULL);
    explore_setup(hold, NULL);
  }
  finish();
}

static void loop_times_out(void* arg) {
  task_t* task = arg;

  pkd_req_set_timeout(&task->req, 5);
  lock(task, &task->req);
  run(task, 1);
  explore_assert(task->status == 0 || task->status == UV_ETIMEDOUT);
  explore_outcome(task->status == 0 ? 0 : 1);
}

static void timeout(int unused) {
  (void)unused;
  start();
  spawn_loop(loop_times_out);
  explore_spawn(watches, NULL);
  explore_spawn(unlocks, NULL);
  explore_setup(hold, NULL);
  finish();
}

static void loop_detaches(void* arg) {
  task_t* task = arg;

  lock(task, &task->req);
  explore_assert(pkd_loop_detach(&task->loop, NULL) == 0);
  run(task, 1);
  explore_assert(task->status == UV_ECANCELED);
  explore_assert(uv_loop_close(&task->uv) == 0);
}

static void detach(int with_thread) {
  start();
  spawn_loop(loop_detaches);
  explore_spawn(watches, NULL);
  if (with_thread)
    explore_spawn(thread_locks, NULL);
  finish();
}

/* --- over, and used for something else ----------------------------------- */

/* While it is away the state alone tells the loop that it is over. What the
 * callback writes then, plain, is a race if somebody is not done with it. */
static void count_or_overwrite(pkd_req_t* req, int status) {
  count_and_unlock(req, status);
  if (status == 0)
    return;
  req->waiter.token = 0;
  req->waiter.key = NULL;
  req->waiter.state = 0;
  req->extra[0] = 0;
}

static void loop_may_be_over(void* arg) {
  task_t* task = arg;
  int rc =
      pkd_async_mutex_lock(&task->loop, &task->req, &s->m, count_or_overwrite);

  if (rc == UV_ESHUTDOWN)
    return;
  __atomic_store_n(&s->started, &task->req, __ATOMIC_RELEASE);
  run(task, 1);
}

static void over(int closed) {
  start();
  spawn_loop(loop_may_be_over);
  explore_spawn(watches, NULL);
  explore_spawn(closed ? closes : cancels, NULL);
  finish();
}

/* The same with a key. */
static void unlock_or_overwrite(pkd_req_t* req, int status) {
  note(req, status);
  if (status == 0) {
    explore_assert(pkd_async_keyed_unlock(req, &s->keyed) == 0);
    return;
  }
  req->waiter.token = 0;
  req->waiter.key = NULL;
  req->waiter.state = 0;
  req->extra[0] = 0;
}

static void loop_of_key_may_be_over(void* arg) {
  task_t* task = arg;
  int rc = pkd_async_keyed_lock(&task->loop, &task->req, &s->keyed, "k", 1,
                                unlock_or_overwrite);

  if (rc == UV_ESHUTDOWN)
    return;
  __atomic_store_n(&s->started, &task->req, __ATOMIC_RELEASE);
  run(task, 1);
}

static void closes_keyed(void* arg) {
  (void)arg;
  explore_assert(pkd_async_keyed_close(&s->keyed) == 0);
}

static void key_over(int closed) {
  start();
  spawn_loop(loop_of_key_may_be_over);
  explore_spawn(watches, NULL);
  explore_spawn(closed ? closes_keyed : cancels, NULL);
  finish();
}

static void await_signal(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_trylock(&task->req, &s->m);
  pkd_async_cond_wait(&task->loop, &task->req, &s->cond, &s->m,
                      count_or_overwrite);
  s->started = &task->req;
}

static void loop_awaits_signal(void* arg) {
  run(arg, 1);
}

static void signals(void* arg) {
  (void)arg;
  pkd_async_cond_signal(&s->cond);
}

/* Cancelled as one who waits for the signal, which it has had by then. */
static void signalled_and_over(int unused) {
  (void)unused;
  start();
  spawn_loop(loop_awaits_signal);
  explore_setup(await_signal, &s->task[0]);
  explore_spawn(watches, NULL);
  explore_spawn(signals, NULL);
  explore_spawn(cancels, NULL);
  finish();
}

/* Looked at as it waits again. */
static void looks_for_rings(void* arg) {
  (void)arg;
  explore_assert(pkd_req_cycles(NULL, NULL) == 0);
}

static void rings(int put_off) {
  task_t* task;

  start();
  task = &s->task[0];
  spawn_loop(put_off ? loop_locks_twice : loop_locks);
  pkd_req_watch(&s->watch, put_off ? &task->second : &task->req, s, "watched");
  explore_spawn(watches, NULL);
  explore_spawn(looks_for_rings, NULL);
  finish();
}

/* --- freed by the last ---------------------------------------------------- */

static struct {
  pkd_async_mutex_t m;
  int users; /* under m */
} * object;

static void use_then_free(pkd_req_t* req) {
  int left = --object->users;

  explore_assert(pkd_async_mutex_unlock(req, &object->m) == 0);
  if (left == 0)
    explore_free(object);
}

static void use_on_loop(pkd_req_t* req, int status) {
  note(req, status);
  use_then_free(req);
}

static void loop_uses(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_mutex_lock(&task->loop, &task->req, &object->m,
                                      use_on_loop) == 0);
  run(task, 1);
}

static void thread_uses(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(pkd_async_mutex_lock_blocking(&req, &object->m, PKD_FOREVER) ==
                 0);
  use_then_free(&req);
}

static void freed_by_last(int with_thread) {
  start();
  object = explore_need(sizeof *object);
  explore_name(object, sizeof *object, "object");
  object->users = 1 + with_thread;
  spawn_loop(loop_uses);
  explore_spawn(watches, NULL);
  if (with_thread)
    explore_spawn(thread_uses, NULL);
  finish();
  scenario_nobody_at(object);
}

/* --- permits and readers -------------------------------------------------- */

static void use_permits(pkd_req_t* req, int status) {
  note(req, status);
  explore_assert(status == 0);
  explore_assert(pkd_async_sem_release(req, &s->sem, 2) == 0);
}

static void loop_acquires(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 2,
                                       use_permits) == 0);
  run(task, 1);
}

static void thread_acquires(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_sem_acquire_blocking(&req, &s->sem, 1, PKD_FOREVER) == 0);
  explore_assert(pkd_async_sem_release(&req, &s->sem, 1) == 0);
}

/* Others may release while what was granted is taken back. */
static void sem(int unused) {
  (void)unused;
  start();
  pkd_async_sem_init(&s->sem, 2, 2);
  spawn_loop(loop_acquires);
  explore_spawn(watches, NULL);
  explore_spawn(thread_acquires, NULL);
  finish();
  explore_assert(pkd_async_sem_available(&s->sem) == 2);
  scenario_nobody_at(&s->sem);
}

static void use_reading(pkd_req_t* req, int status) {
  note(req, status);
  explore_assert(status == 0);
  explore_assert(pkd_async_rwlock_unlock(req, &s->lock) == 0);
}

static void loop_reads(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_rwlock_rdlock(&task->loop, &task->req, &s->lock,
                                         use_reading) == 0);
  run(task, 1);
}

static void thread_upgrades(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_rwlock_rdlock_blocking(&req, &s->lock, PKD_FOREVER) == 0);
  explore_assert(
      pkd_async_rwlock_upgrade_blocking(&req, &s->lock, PKD_FOREVER) == 0);
  enter_section();
  explore_assert(pkd_async_rwlock_unlock(&req, &s->lock) == 0);
}

/* One who is away may stand before one who climbs. */
static void upgrade(int unused) {
  (void)unused;
  start();
  spawn_loop(loop_reads);
  explore_spawn(watches, NULL);
  explore_spawn(thread_upgrades, NULL);
  finish();
  explore_assert(pkd_async_rwlock_destroy(&s->lock) == 0);
  scenario_nobody_at(&s->lock);
}

#define OK EXPLORE_OK
#define DEEP                                                                   \
  { .preemptions = 3, .stale = 1 }
#define WIDE                                                                   \
  { .preemptions = 2, .stale = 1 }
#define NARROW                                                                 \
  { .preemptions = 2 }

#define JUMPY                                                                  \
  { .preemptions = 2, .jumps = 1 }
#define FLAT                                                                   \
  { .preemptions = 1, .stale = 1 }

const explore_scenario_t explore_grant[] = {
    {"grant/alone", alone, 0, OK, 0, DEEP},
    {"grant/alone-twice", alone, 1, OK, 0, WIDE},
    {"grant/newcomer", with_newcomer, 0, OK, 0, NARROW},
    {"grant/try", with_newcomer, 1, OK, 3, WIDE},
    {"grant/unlock", with_unlock, 0, OK, 0, NARROW},
    {"grant/unlock-and-thread", with_unlock, 1, OK, 0, FLAT},
    {"grant/two-loops", two_loops, 0, OK, 0, NARROW},
    {"grant/overtake-thread", overtake, 1, OK, 0, JUMPY},
    {"grant/overtake-loop", overtake, 2, OK, 0, FLAT},
    {"grant/overtake-both", overtake, 3, OK, 0, FLAT},
    {"grant/overtake-watched", overtake, 5, OK, 0, FLAT},
    {"grant/cancel", cancel, 0, OK, 7, WIDE},
    {"grant/cancel-with-thread", cancel, 1, OK, 7, FLAT},
    {"grant/close", close_mutex, 0, OK, 7, WIDE},
    {"grant/close-held", close_mutex, 1, OK, 7, FLAT},
    {"grant/cancel-overwritten", over, 0, OK, 7, FLAT},
    {"grant/close-overwritten", over, 1, OK, 0, FLAT},
    {"grant/key-cancel-overwritten", key_over, 0, OK, 7, FLAT},
    {"grant/key-close-overwritten", key_over, 1, OK, 0, FLAT},
    {"grant/signalled-overwritten",
     signalled_and_over,
     0,
     OK,
     0,
     {.preemptions = 1}},
    {"grant/rings", rings, 0, OK, 0, NARROW},
    {"grant/rings-put-off", rings, 1, OK, 0, {.preemptions = 1}},
    {"grant/timeout", timeout, 0, OK, 3, {.preemptions = 1, .timeouts = 1}},
    {"grant/detach", detach, 0, OK, 0, WIDE},
    {"grant/detach-with-thread", detach, 1, OK, 0, NARROW},
    {"grant/freed", freed_by_last, 0, OK, 0, DEEP},
    {"grant/freed-by-last", freed_by_last, 1, OK, 0, NARROW},
    {"grant/sem", sem, 0, OK, 0, NARROW},
    {"grant/upgrade", upgrade, 0, OK, 0, NARROW},
    {.name = NULL},
};
