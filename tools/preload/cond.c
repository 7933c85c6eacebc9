/* SPDX-License-Identifier: MIT
 *
 * cond.c - pthread_cond_*: pkd_cond_t, and the ways past it.
 *
 * A condition and its mutex need not be both ours. Four cases:
 *
 *   condition  mutex   what happens
 *   ours       ours    pkd_cond_t, the waiter moves to the mutex's queue
 *   ours       libc's  the lot alone: queued at the condition, the mutex is the
 *                      C library's business (a robust or PI mutex, mostly)
 *   libc's     ours    the C library's wait, with a mutex of its own between
 *   libc's     libc's  not our business
 *
 * Between: the C library can only wait with a mutex it knows. Who waits locks the
 * bridge, unlocks the mutex, and waits with the bridge; who signals goes over the
 * bridge first. So a signal sent with the mutex held finds the waiter.
 *
 * A wait is a cancellation point: cancel.c. A signal that came first wins. */
#include "mutex.h"

#include <errno.h>
#include <string.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "cancel.h"
#include "clock.h"
#include "libc.h"
#include "sync/cond_locks.h"

/* A clock that was set back by more than that is told from rounding. */
#define STEP_NS 10000000u

static pthread_mutex_t bridge = PTHREAD_MUTEX_INITIALIZER; /* libc's */

int pthread_cond_init(pthread_cond_t* object, const pthread_condattr_t* attr) {
  int shared = PTHREAD_PROCESS_PRIVATE;
  clockid_t clock = CLOCK_REALTIME;

  if (attr != NULL) {
    pthread_condattr_getpshared(attr, &shared);
    pthread_condattr_getclock(attr, &clock);
  }
  if (shared != PTHREAD_PROCESS_PRIVATE)
    return libc()->pthread_cond_init(object, attr);
  memset(object, 0, sizeof *object);
  if (clock == CLOCK_MONOTONIC)
    object->__data.__wrefs = COND_MONOTONIC;
  return 0;
}

int pthread_cond_destroy(pthread_cond_t* object) {
  /* Ours is not touched by a waiter that was called. */
  return is_own_cond(object) ? 0 : libc()->pthread_cond_destroy(object);
}

/* --- both ours ------------------------------------------------------------- */

/* @return what the caller is told: a time of day that has not come after all, and
 * a cancel that the thread does not want, are wake-ups for no reason, which POSIX
 * allows and nothing else would be true */
static int end_of_wait(int rc, const struct until* until) {
  if (rc == -ECANCELED) {
    cancel_act();
    return 0;
  }
  if (rc == -ETIMEDOUT && !until_has_come(until, STEP_NS))
    return 0;
  return -rc;
}

static int wait_ours(own_cond_t* c, pthread_mutex_t* mutex,
                     const struct until* until) {
  uint32_t count = mutex_disown(mutex);
  int rc;

  if (count == 0)
    return EPERM;
  rc = pkd__cond_wait_and_lock(&c->cond, &own_mutex(mutex)->mutex,
                               cancel_token(), until_deadline(until));
  mutex_own_again(mutex, count);
  return end_of_wait(rc, until);
}

/* --- the mutex is libc's --------------------------------------------------- */

struct visit {
  own_cond_t* c;
  pthread_mutex_t* mutex;
  int unlocked; /* what the C library said */
};

static int visit(void* arg) {
  struct visit* v = arg;

  /* (V1) release, pairs with (V2): set before the mutex is unlocked. */
  pkd__store_release(&v->c->visited, 1);
  return 1;
}

static void left_by_itself(void* arg, const void* key, int was_last) {
  struct visit* v = arg;

  (void)key;
  if (was_last)
    pkd__store_release(&v->c->visited, 0); /* (V1) */
}

/* Wakes this very thread: the one whose park token is its frame. */
static pkd_unpark_op_t only_me(void* me, pkd_waiter_t* waiter) {
  return waiter->token == (uintptr_t)me ? PKD_UNPARK_WAKE : PKD_UNPARK_SKIP;
}

static uint64_t count_visitors(void* visited,
                               const pkd_unpark_result_t* result) {
  if (!result->have_more)
    pkd__store_release((uint32_t*)visited, 0); /* (V1) */
  return 0;
}

static uint64_t left_with_me(void* me, const pkd_unpark_result_t* result) {
  return count_visitors(&((struct visit*)me)->c->visited, result);
}

static void unlock_theirs(void* arg) {
  struct visit* v = arg;

  v->unlocked = libc()->pthread_mutex_unlock(v->mutex);
  if (v->unlocked != 0)
    pkd_lot_unpark_filter(&v->c->visited, only_me, left_with_me, v);
}

static int wait_visiting(own_cond_t* c, pthread_mutex_t* mutex,
                         const struct until* until) {
  struct visit v = {c, mutex, 0};
  pkd_park_t how = {0};
  int locked;
  int rc;

  how.validate = visit;
  how.before_sleep = unlock_theirs;
  how.timed_out = left_by_itself;
  how.arg = &v;
  how.token = (uintptr_t)&v;
  how.cancel = cancel_token();
  rc = pkd_lot_park(&c->visited, &how, until_deadline(until), NULL);
  if (v.unlocked != 0)
    return v.unlocked;
  locked = libc()->pthread_mutex_lock(mutex);
  if (locked != 0 && locked != EOWNERDEAD)
    return locked;
  rc = end_of_wait(rc, until);
  return locked != 0 ? locked : rc;
}

static pkd_unpark_op_t everyone(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_WAKE;
}

/* @return true: somebody was called, and may have freed the condition by now */
static bool call_visitors(own_cond_t* c, bool all) {
  /* (V2) acquire, pairs with (V1): who learns that nobody waits may free it. */
  if (pkd__load_acquire(&c->visited) == 0)
    return false;
  if (all)
    return pkd_lot_unpark_filter(&c->visited, everyone, count_visitors,
                                 &c->visited)
               .unparked != 0;
  return pkd_lot_unpark_one(&c->visited, count_visitors, &c->visited)
             .unparked != 0;
}

/* --- the condition is libc's ----------------------------------------------- */

struct crossing {
  pthread_mutex_t* mutex;
  uint32_t count;
};

static void cross_back(void* arg) {
  struct crossing* crossing = arg;

  libc()->pthread_mutex_unlock(&bridge);
  pkd_mutex_lock(&own_mutex(crossing->mutex)->mutex);
  mutex_own_again(crossing->mutex, crossing->count);
}

static int wait_bridged(pthread_cond_t* object, pthread_mutex_t* mutex,
                        const struct until* until) {
  struct crossing crossing = {mutex, mutex_disown(mutex)};
  int rc;

  if (crossing.count == 0)
    return EPERM;
  libc()->pthread_mutex_lock(&bridge);
  pkd_mutex_unlock(&own_mutex(mutex)->mutex);
  pthread_cleanup_push(cross_back, &crossing);
  if (until->when == NULL)
    rc = libc()->pthread_cond_wait(object, &bridge);
  else
    rc = libc()->pthread_cond_clockwait(object, &bridge, until->clock,
                                        until->when);
  pthread_cleanup_pop(1);
  return rc;
}

/* A child of a fork finds the bridge as another thread may have left it. */
__attribute__((constructor)) static void mend_after_fork(void);

static void mend(void) {
  static const pthread_mutex_t new_one = PTHREAD_MUTEX_INITIALIZER;

  memcpy(&bridge, &new_one, sizeof bridge);
}

static void mend_after_fork(void) {
  pthread_atfork(NULL, NULL, mend);
}

/* --- the names ------------------------------------------------------------- */

static int wait(pthread_cond_t* object, pthread_mutex_t* mutex,
                const struct until* until) {
  if (!is_own_cond(object) && is_own_mutex(mutex))
    return wait_bridged(object, mutex, until);
  pthread_testcancel();
  if (is_own_mutex(mutex))
    return wait_ours(own_cond(object), mutex, until);
  return wait_visiting(own_cond(object), mutex, until);
}

int pthread_cond_wait(pthread_cond_t* object, pthread_mutex_t* mutex) {
  if (!is_own_cond(object) && !is_own_mutex(mutex))
    return libc()->pthread_cond_wait(object, mutex);
  return wait(object, mutex, &FOREVER);
}

int pthread_cond_clockwait(pthread_cond_t* object, pthread_mutex_t* mutex,
                           clockid_t clock, const struct timespec* when) {
  struct until until = {clock, when};

  if (!is_own_cond(object) && !is_own_mutex(mutex))
    return libc()->pthread_cond_clockwait(object, mutex, clock, when);
  return until_is_valid(&until) ? wait(object, mutex, &until) : EINVAL;
}

int pthread_cond_timedwait(pthread_cond_t* object, pthread_mutex_t* mutex,
                           const struct timespec* when) {
  return pthread_cond_clockwait(object, mutex, clock_of_cond(object), when);
}

static void call_over_the_bridge(void) {
  libc()->pthread_mutex_lock(&bridge);
  libc()->pthread_mutex_unlock(&bridge);
}

int pthread_cond_signal(pthread_cond_t* object) {
  if (!is_own_cond(object)) {
    call_over_the_bridge();
    return libc()->pthread_cond_signal(object);
  }
  if (!call_visitors(own_cond(object), false))
    pkd_cond_signal(&own_cond(object)->cond);
  return 0;
}

int pthread_cond_broadcast(pthread_cond_t* object) {
  if (!is_own_cond(object)) {
    call_over_the_bridge();
    return libc()->pthread_cond_broadcast(object);
  }
  if (!call_visitors(own_cond(object), true))
    pkd_cond_broadcast(&own_cond(object)->cond);
  return 0;
}
