/* SPDX-License-Identifier: MIT
 *
 * scenario_grant.c - grants that a loop is late for: taken back, delivered,
 * cancelled, closed and freed at once; and mutexes that let some overtake.
 *
 * The watchdog is a thread of the scenario, which looks when the scheduler lets
 * it, and to which every grant is overdue. So each loop is stuck at every place
 * at which a switch can hold it up. */
#include "cast.h"

#include <parkade/async/cond.h>
#include <parkade/async/keyed.h>
#include <parkade/async/rwlock.h>
#include <parkade/async/sem.h>

/* What is granted, beside the mutex. */
static struct shared {
  pkd_async_sem_t sem;
  pkd_async_rwlock_t lock;
  pkd_async_cond_t cond;
  pkd_async_keyed_t keyed;
} * s;

static void start(void) {
  cast_start();
  s = explore_need(sizeof *s);
  explore_name(&s->sem, sizeof s->sem, "semaphore");
  explore_name(&s->lock, sizeof s->lock, "rwlock");
  explore_name(&s->cond, sizeof s->cond, "condition");
  explore_name(&s->keyed, sizeof s->keyed, "keyed");
}

/* --- the mutex ----------------------------------------------------------- */

/* A loop alone with the watchdog: granted at its start. What it asks for second is
 * put off, if it is found stuck with the first. */
static void alone(int twice) {
  cast_start();
  cast_late_loop(twice ? loop_locks_twice : loop_locks);
  explore_spawn(thread_watches, NULL);
  cast_finish();
}

/* The newcomer finds the mutex held, free, or free with one who is away. */
static void with_newcomer(int tries) {
  cast_start();
  cast_late_loop(loop_locks);
  explore_spawn(thread_watches, NULL);
  explore_spawn(tries ? thread_tries : thread_locks, NULL);
  cast_finish();
}

/* Granted by an unlock from elsewhere. */
static void with_unlock(int also) {
  cast_start();
  cast_late_loop(loop_locks);
  explore_spawn(thread_watches, NULL);
  explore_spawn(thread_unlocks, NULL);
  explore_setup(ticket_owns, NULL);
  if (also)
    explore_spawn(thread_locks, NULL);
  cast_finish();
}

static void two_loops(int unused) {
  (void)unused;
  cast_start();
  cast_late_loop(loop_locks);
  cast_late_loop(loop_locks);
  explore_spawn(thread_watches, NULL);
  cast_finish();
}

/* Tasks of the unlocker's loop go first, until the head has waited long enough:
 * the clock jumps. */
static void overtake(int who) {
  enum { THREAD = 1, LOOP = 2, WATCHED = 4 };

  cast_start();
  pkd_async_mutex_init(&cast->m, PKD_ASYNC_MUTEX_OVERTAKES);
  cast_late_loop(loop_locks_twice);
  if (who & THREAD)
    explore_spawn(thread_locks, NULL);
  if (who & LOOP)
    cast_late_loop(loop_locks_twice);
  if (who & WATCHED)
    explore_spawn(thread_watches, NULL);
  cast_finish();
}

/* --- other ends ---------------------------------------------------------- */

static void cancel(int with_thread) {
  cast_cancelled(loop_is_cancelled, true, with_thread);
}

static void close_mutex(int held) {
  cast_start();
  cast_late_loop(loop_meets_close);
  explore_spawn(thread_watches, NULL);
  explore_spawn(thread_closes, NULL);
  if (held) {
    explore_spawn(thread_unlocks, NULL);
    explore_setup(ticket_owns, NULL);
  }
  cast_finish();
}

static void timeout(int unused) {
  (void)unused;
  cast_start();
  cast_late_loop(loop_times_out);
  explore_spawn(thread_watches, NULL);
  explore_spawn(thread_unlocks, NULL);
  explore_setup(ticket_owns, NULL);
  cast_finish();
}

static void detach(int with_thread) {
  cast_start();
  cast_late_loop(loop_detaches);
  explore_spawn(thread_watches, NULL);
  if (with_thread)
    explore_spawn(thread_locks, NULL);
  cast_finish();
}

static void freed_by_last(int with_thread) {
  cast_start();
  cast_object(1 + with_thread);
  cast_late_loop(loop_uses);
  explore_spawn(thread_watches, NULL);
  if (with_thread)
    explore_spawn(thread_uses, NULL);
  cast_finish();
}

/* --- over, and used for something else ----------------------------------- */

/* While it is away the state alone tells the loop that it is over. What the
 * callback writes then, plain, is a race if somebody is not done with it. */
static void count_or_overwrite(pkd_req_t* req, int status) {
  count_and_unlock(req, status);
  if (status == 0)
    return;
  task_overwrite(req);
}

static void loop_may_be_over(void* arg) {
  task_t* task = arg;
  int rc = pkd_async_mutex_lock(&task->loop, &task->req, &cast->m,
                                count_or_overwrite);

  if (rc == UV_ESHUTDOWN)
    return;
  cast_tell(&task->req);
  task_run(task, 1);
}

static void over(int closed) {
  start();
  cast_late_loop(loop_may_be_over);
  explore_spawn(thread_watches, NULL);
  explore_spawn(closed ? thread_closes : thread_cancels, NULL);
  cast_finish();
}

/* The same with a key. */
static void unlock_or_overwrite(pkd_req_t* req, int status) {
  task_note(req, status);
  if (status == 0) {
    explore_assert(pkd_async_keyed_unlock(req, &s->keyed) == 0);
    return;
  }
  task_overwrite(req);
}

static void loop_of_key_may_be_over(void* arg) {
  task_t* task = arg;
  int rc = pkd_async_keyed_lock(&task->loop, &task->req, &s->keyed, "k", 1,
                                unlock_or_overwrite);

  if (rc == UV_ESHUTDOWN)
    return;
  cast_tell(&task->req);
  task_run(task, 1);
}

static void closes_keyed(void* arg) {
  (void)arg;
  explore_assert(pkd_async_keyed_close(&s->keyed) == 0);
}

static void key_over(int closed) {
  start();
  cast_late_loop(loop_of_key_may_be_over);
  explore_spawn(thread_watches, NULL);
  explore_spawn(closed ? closes_keyed : thread_cancels, NULL);
  cast_finish();
}

static void await_signal(void* arg) {
  task_t* task = arg;

  pkd_async_mutex_trylock(&task->req, &cast->m);
  pkd_async_cond_wait(&task->loop, &task->req, &s->cond, &cast->m,
                      count_or_overwrite);
  cast_tell(&task->req);
}

static void loop_awaits_signal(void* arg) {
  task_run(arg, 1);
}

static void signals(void* arg) {
  (void)arg;
  pkd_async_cond_signal(&s->cond);
}

/* Cancelled as one who waits for the signal, which it has had by then. */
static void signalled_and_over(int unused) {
  (void)unused;
  start();
  cast_late_loop(loop_awaits_signal);
  explore_setup(await_signal, &cast->task[0]);
  explore_spawn(thread_watches, NULL);
  explore_spawn(signals, NULL);
  explore_spawn(thread_cancels, NULL);
  cast_finish();
}

/* --- permits and readers -------------------------------------------------- */

static void use_permits(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status == 0);
  explore_assert(pkd_async_sem_release(req, &s->sem, 2) == 0);
}

static void loop_acquires(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_sem_acquire(&task->loop, &task->req, &s->sem, 2,
                                       use_permits) == 0);
  task_run(task, 1);
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
  cast_late_loop(loop_acquires);
  explore_spawn(thread_watches, NULL);
  explore_spawn(thread_acquires, NULL);
  cast_finish();
  explore_assert(pkd_async_sem_available(&s->sem) == 2);
  scenario_nobody_at(&s->sem);
}

static void use_reading(pkd_req_t* req, int status) {
  task_note(req, status);
  explore_assert(status == 0);
  explore_assert(pkd_async_rwlock_unlock(req, &s->lock) == 0);
}

static void loop_reads(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_rwlock_rdlock(&task->loop, &task->req, &s->lock,
                                         use_reading) == 0);
  task_run(task, 1);
}

static void thread_upgrades(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_rwlock_rdlock_blocking(&req, &s->lock, PKD_FOREVER) == 0);
  explore_assert(
      pkd_async_rwlock_upgrade_blocking(&req, &s->lock, PKD_FOREVER) == 0);
  cast_count();
  explore_assert(pkd_async_rwlock_unlock(&req, &s->lock) == 0);
}

/* One who is away may stand before one who climbs. */
static void upgrade(int unused) {
  (void)unused;
  start();
  cast_late_loop(loop_reads);
  explore_spawn(thread_watches, NULL);
  explore_spawn(thread_upgrades, NULL);
  cast_finish();
  explore_assert(pkd_async_rwlock_destroy(&s->lock) == 0);
  scenario_nobody_at(&s->lock);
}

/* If its grant is taken back, it reads as before. */
static void count_if_writer(pkd_req_t* req, int status) {
  pkd_async_rwlock_mode_t mode = pkd_async_rwlock_owned(req, &s->lock);

  task_note(req, status);
  if (status == 0)
    cast_count();
  explore_assert(mode ==
                 (status == 0 ? PKD_ASYNC_RWLOCK_WRITE : PKD_ASYNC_RWLOCK_UP));
  explore_assert(status == 0 || status == UV_ECANCELED);
  explore_assert(pkd_async_rwlock_unlock(req, &s->lock) == 0);
}

static void loop_upgrades(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_async_rwlock_tryuplock(&task->req, &s->lock) == 0);
  explore_assert(pkd_async_rwlock_upgrade(&task->loop, &task->req, &s->lock,
                                          count_if_writer) == 0);
  cast_tell(&task->req);
  task_run(task, 1);
}

static void thread_reads(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_rwlock_rdlock_blocking(&req, &s->lock, PKD_FOREVER) == 0);
  explore_assert(cast->counter == 0 || cast->counter == 1);
  explore_assert(pkd_async_rwlock_unlock(&req, &s->lock) == 0);
}

static void late_upgrade(int with_cancel) {
  start();
  cast_late_loop(loop_upgrades);
  explore_spawn(thread_watches, NULL);
  explore_spawn(with_cancel ? thread_cancels : thread_reads, NULL);
  cast_finish();
  explore_assert(pkd_async_rwlock_destroy(&s->lock) == 0);
  scenario_nobody_at(&s->lock);
  explore_outcome(cast->task[0].status == 0 ? 3 : 4);
}

#define JUMPY                                                                  \
  { .preemptions = 2, .jumps = 1 }

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
    {"grant/timeout", timeout, 0, OK, 3, {.preemptions = 1, .timeouts = 1}},
    {"grant/detach", detach, 0, OK, 0, WIDE},
    {"grant/detach-with-thread", detach, 1, OK, 0, NARROW},
    {"grant/freed", freed_by_last, 0, OK, 0, DEEP},
    {"grant/freed-by-last", freed_by_last, 1, OK, 0, NARROW},
    {"grant/sem", sem, 0, OK, 0, NARROW},
    {"grant/upgrade", upgrade, 0, OK, 0, NARROW},
    {"grant/late-upgrade", late_upgrade, 0, OK, 0x18, WIDE},
    {"grant/late-upgrade-cancelled", late_upgrade, 1, OK, 0x1f, NARROW},
    {.name = NULL},
};
