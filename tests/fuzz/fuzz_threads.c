/* SPDX-License-Identifier: MIT
 *
 * fuzz_threads.c - the locks that park a thread: a program and its schedule, both
 * by the fuzzer.
 *
 * Two or three threads do what the program says with one object of each kind. What
 * a lock guards is plain memory, so the explorer reports a race where a lock does
 * not exclude; it reports a deadlock where a wake-up is lost, and memory that is
 * touched after its owner has gone on. In the end everything is free and nobody is
 * queued. Whatever waits without a deadline waits for something that is given back
 * by a thread that does not wait meanwhile, so every program ends. */
#include "explored.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <errno.h>
#include <string.h>

enum { THREADS = 3, OPS = 5, PERMITS = 2 };

/* Not explored: what the input says. */
static struct {
  int threads;
  uint8_t op[THREADS][OPS];
} program;

static struct shared {
  pkd_mutex_t mutex;
  pkd_fair_mutex_t fair;
  pkd_remutex_t remutex;
  pkd_rwlock_t rwlock;
  pkd_sem_t sem;
  pkd_cond_t cond;
  pkd_event_t event;
  pkd_cancel_t cancel;
  int under_mutex, under_fair, under_remutex, under_rwlock;
  int reads[THREADS + 1]; /* each thread's own: how often it read */
  int permits;            /* atomic: in use */
} * s;

#define SOON (pkd_now() + 1000)

/* --- sections --------------------------------------------------------------- */

/* Ends the execution if two are inside: a race, seen by the explorer. */
static void section(int* guarded) {
  int before = *guarded;

  explore_assert(before >= 0);
  *guarded = before + 1;
}

static void with_mutex(int rc) {
  if (rc != 0) {
    explore_assert(rc == -EBUSY || rc == -ETIMEDOUT || rc == -ECANCELED);
    return;
  }
  section(&s->under_mutex);
  pkd_mutex_unlock(&s->mutex);
}

static void with_fair(int rc) {
  if (rc != 0) {
    explore_assert(rc == -EBUSY || rc == -ETIMEDOUT || rc == -ECANCELED);
    return;
  }
  section(&s->under_fair);
  pkd_fair_mutex_unlock(&s->fair);
}

static void with_read(int rc) {
  if (rc != 0) {
    explore_assert(rc == -EBUSY || rc == -ETIMEDOUT || rc == -ECANCELED);
    return;
  }
  s->reads[explore_self()] += s->under_rwlock;
  pkd_rwlock_rdunlock(&s->rwlock);
}

static void with_write(int rc) {
  if (rc != 0) {
    explore_assert(rc == -EBUSY || rc == -ETIMEDOUT || rc == -ECANCELED);
    return;
  }
  section(&s->under_rwlock);
  pkd_rwlock_wrunlock(&s->rwlock);
}

static void with_permits(int rc, int n) {
  if (rc != 0) {
    explore_assert(rc == -EBUSY || rc == -ETIMEDOUT || rc == -ECANCELED);
    return;
  }
  explore_assert(__atomic_add_fetch(&s->permits, n, __ATOMIC_RELAXED) <=
                 PERMITS);
  __atomic_sub_fetch(&s->permits, n, __ATOMIC_RELAXED);
  explore_assert(pkd_sem_release(&s->sem, (uint32_t)n) == 0);
}

/* --- operations -------------------------------------------------------------- */

static void mutex_lock(void) {
  pkd_mutex_lock(&s->mutex);
  with_mutex(0);
}

static void mutex_try(void) {
  with_mutex(pkd_mutex_trylock(&s->mutex));
}

static void mutex_until(void) {
  with_mutex(pkd_mutex_lock_until(&s->mutex, SOON));
}

static void mutex_cancellable(void) {
  with_mutex(pkd_mutex_lock_cancellable(&s->mutex, &s->cancel, SOON));
}

static void mutex_fair(void) {
  pkd_mutex_lock(&s->mutex);
  section(&s->under_mutex);
  pkd_mutex_unlock_fair(&s->mutex);
}

static void mutex_bump(void) {
  pkd_mutex_lock(&s->mutex);
  section(&s->under_mutex);
  pkd_mutex_bump(&s->mutex);
  section(&s->under_mutex);
  pkd_mutex_unlock(&s->mutex);
}

static void fair_lock(void) {
  pkd_fair_mutex_lock(&s->fair);
  with_fair(0);
}

static void fair_try(void) {
  with_fair(pkd_fair_mutex_trylock(&s->fair));
}

static void fair_until(void) {
  with_fair(pkd_fair_mutex_lock_until(&s->fair, SOON));
}

static void remutex_twice(void) {
  if (pkd_remutex_lock_until(&s->remutex, SOON) != 0)
    return;
  pkd_remutex_lock(&s->remutex);
  section(&s->under_remutex);
  pkd_remutex_unlock(&s->remutex);
  section(&s->under_remutex);
  pkd_remutex_unlock(&s->remutex);
}

static void rwlock_read(void) {
  pkd_rwlock_rdlock(&s->rwlock);
  with_read(0);
}

static void rwlock_read_until(void) {
  with_read(pkd_rwlock_rdlock_until(&s->rwlock, SOON));
}

static void rwlock_write(void) {
  pkd_rwlock_wrlock(&s->rwlock);
  with_write(0);
}

static void rwlock_write_until(void) {
  with_write(pkd_rwlock_wrlock_until(&s->rwlock, SOON));
}

static void rwlock_try(void) {
  with_write(pkd_rwlock_trywrlock(&s->rwlock));
}

static void rwlock_upgrade(void) {
  if (pkd_rwlock_uplock_until(&s->rwlock, SOON) != 0)
    return;
  s->reads[explore_self()] += s->under_rwlock;
  if (pkd_rwlock_upgrade_until(&s->rwlock, SOON) != 0) {
    pkd_rwlock_upunlock(&s->rwlock);
    return;
  }
  section(&s->under_rwlock);
  pkd_rwlock_downgrade(&s->rwlock);
  with_read(0);
}

static void sem_one(void) {
  pkd_sem_acquire(&s->sem, 1);
  with_permits(0, 1);
}

static void sem_all_until(void) {
  with_permits(pkd_sem_acquire_until(&s->sem, PERMITS, SOON), PERMITS);
}

static void sem_try(void) {
  with_permits(pkd_sem_tryacquire(&s->sem, 1), 1);
}

static void cond_wait(void) {
  int rc;

  pkd_mutex_lock(&s->mutex);
  rc = pkd_cond_wait_until(&s->cond, &s->mutex, SOON);
  explore_assert(rc == 0 || rc == -ETIMEDOUT || rc == PKD_ENOTHELD);
  if (rc == PKD_ENOTHELD)
    return;
  section(&s->under_mutex);
  pkd_mutex_unlock(&s->mutex);
}

static void cond_wait_cancellable(void) {
  int rc;

  pkd_mutex_lock(&s->mutex);
  rc = pkd_cond_wait_cancellable(&s->cond, &s->mutex, &s->cancel, SOON);
  if (rc == PKD_ENOTHELD)
    return;
  section(&s->under_mutex);
  pkd_mutex_unlock(&s->mutex);
}

static void cond_signal(void) {
  pkd_cond_signal(&s->cond);
}

static void cond_broadcast_held(void) {
  pkd_mutex_lock(&s->mutex);
  section(&s->under_mutex);
  pkd_cond_broadcast(&s->cond);
  pkd_mutex_unlock(&s->mutex);
}

static void event_wait(void) {
  pkd_event_wait_until(&s->event, SOON);
}

static void event_set(void) {
  pkd_event_set(&s->event);
}

static void cancel_fire(void) {
  pkd_cancel_fire(&s->cancel);
}

static void (*const operations[])(void) = {
    mutex_lock,
    mutex_try,
    mutex_until,
    mutex_cancellable,
    mutex_fair,
    mutex_bump,
    fair_lock,
    fair_try,
    fair_until,
    remutex_twice,
    rwlock_read,
    rwlock_read_until,
    rwlock_write,
    rwlock_write_until,
    rwlock_try,
    rwlock_upgrade,
    sem_one,
    sem_all_until,
    sem_try,
    cond_wait,
    cond_wait_cancellable,
    cond_signal,
    cond_broadcast_held,
    event_wait,
    event_set,
    cancel_fire,
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

/* --- an execution ------------------------------------------------------------ */

static void perform(void* arg) {
  const uint8_t* op = arg;

  for (int i = 0; i < OPS; i++)
    if (op[i] != 0) /* else nothing */
      operations[op[i] - 1]();
}

static void everything_is_free(void) {
  const void* const places[] = {&s->mutex,  &s->fair,  &s->remutex.mutex,
                                &s->rwlock, &s->sem,   &s->cond,
                                &s->event,  &s->cancel};

  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
    explore_assert(pkd_lot_for_each(places[i], NULL, NULL) == 0);
  explore_assert(pkd_mutex_trylock(&s->mutex) == 0);
  explore_assert(pkd_fair_mutex_trylock(&s->fair) == 0);
  explore_assert(pkd_remutex_trylock(&s->remutex) == 0);
  explore_assert(pkd_rwlock_trywrlock(&s->rwlock) == 0);
  explore_assert(pkd_sem_tryacquire(&s->sem, PERMITS) == 0);
  explore_assert(pkd_sem_tryacquire(&s->sem, 1) == -EBUSY);
}

static void body(int unused) {
  (void)unused;
  s = explore_need(sizeof *s);
  s->event = (pkd_event_t)PKD_EVENT_AUTO_INIT;
  s->sem = (pkd_sem_t)PKD_SEM_INIT(PERMITS);
  for (int i = 0; i < program.threads; i++)
    explore_spawn(perform, program.op[i]);
  explore_join();
  everything_is_free();
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  const explore_bounds_t bounds = {.preemptions = EXPLORE_UNBOUNDED,
                                   .stale = 3,
                                   .timeouts = 3,
                                   .spurious = 2,
                                   .jumps = 2,
                                   .doubts = 1,
                                   .cpus = 2,
                                   .steps = 3000};
  struct input in = {bytes, length};

  program.threads = 2 + (int)input_below(&in, 2);
  for (int i = 0; i < program.threads; i++)
    for (int k = 0; k < OPS; k++)
      program.op[i][k] = (uint8_t)input_below(&in, OPERATIONS + 1);
  explored_run("fuzz/threads", body, &bounds, &in);
  return 0;
}
