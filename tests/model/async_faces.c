/* SPDX-License-Identifier: MIT
 *
 * async_faces.c - what can be done with each async lock and each async wait, for the
 * grid of scenario_async_grid.c.
 *
 * One of each is in grid.o. What a lock guards, and what a wait has to publish, is
 * plain memory there. */
#include "async_faces.h"

#define KEY 7

/* --- locks ---------------------------------------------------------------- */

static int start_mutex(actor_t* a, pkd_req_cb cb) {
  return pkd_async_mutex_lock(&a->loop, &a->req, &grid.o->mutex, cb);
}
static int block_mutex(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_mutex_lock_blocking(&a->req, &grid.o->mutex, deadline);
}
static int try_mutex(actor_t* a) {
  return pkd_async_mutex_trylock(&a->req, &grid.o->mutex);
}
static int give_mutex(actor_t* a) {
  return pkd_async_mutex_unlock(&a->req, &grid.o->mutex);
}
static int close_mutex(void) {
  return pkd_async_mutex_close(&grid.o->mutex);
}

static int start_sem(actor_t* a, pkd_req_cb cb) {
  return pkd_async_sem_acquire(&a->loop, &a->req, &grid.o->sem, 1, cb);
}
static int block_sem(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_sem_acquire_blocking(&a->req, &grid.o->sem, 1, deadline);
}
static int try_sem(actor_t* a) {
  return pkd_async_sem_try_acquire(&a->req, &grid.o->sem, 1);
}
static int give_sem(actor_t* a) {
  return pkd_async_sem_release(&a->req, &grid.o->sem, 1);
}
static int close_sem(void) {
  return pkd_async_sem_close(&grid.o->sem);
}

static int start_write(actor_t* a, pkd_req_cb cb) {
  return pkd_async_rwlock_wrlock(&a->loop, &a->req, &grid.o->rwlock, cb);
}
static int block_write(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_rwlock_wrlock_blocking(&a->req, &grid.o->rwlock, deadline);
}
static int try_write(actor_t* a) {
  return pkd_async_rwlock_trywrlock(&a->req, &grid.o->rwlock);
}
static int start_read(actor_t* a, pkd_req_cb cb) {
  return a->writes
             ? start_write(a, cb)
             : pkd_async_rwlock_rdlock(&a->loop, &a->req, &grid.o->rwlock, cb);
}
static int block_read(actor_t* a, pkd_deadline_t deadline) {
  return a->writes ? block_write(a, deadline)
                   : pkd_async_rwlock_rdlock_blocking(&a->req, &grid.o->rwlock,
                                                      deadline);
}
static int try_read(actor_t* a) {
  return a->writes ? try_write(a)
                   : pkd_async_rwlock_tryrdlock(&a->req, &grid.o->rwlock);
}
static int start_up(actor_t* a, pkd_req_cb cb) {
  return a->writes
             ? start_write(a, cb)
             : pkd_async_rwlock_uplock(&a->loop, &a->req, &grid.o->rwlock, cb);
}
static int block_up(actor_t* a, pkd_deadline_t deadline) {
  return a->writes ? block_write(a, deadline)
                   : pkd_async_rwlock_uplock_blocking(&a->req, &grid.o->rwlock,
                                                      deadline);
}
static int try_up(actor_t* a) {
  return a->writes ? try_write(a)
                   : pkd_async_rwlock_tryuplock(&a->req, &grid.o->rwlock);
}
static int give_rwlock(actor_t* a) {
  return pkd_async_rwlock_unlock(&a->req, &grid.o->rwlock);
}
static int close_rwlock(void) {
  return pkd_async_rwlock_close(&grid.o->rwlock);
}

static int start_key(actor_t* a, pkd_req_cb cb) {
  return pkd_async_keyed_lock_u64(&a->loop, &a->req, &grid.o->keyed, KEY, cb);
}
static int block_key(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_keyed_lock_blocking_u64(&a->req, &grid.o->keyed, KEY,
                                           deadline);
}
static int try_key(actor_t* a) {
  return pkd_async_keyed_trylock_u64(&a->req, &grid.o->keyed, KEY);
}
static int give_key(actor_t* a) {
  return pkd_async_keyed_unlock(&a->req, &grid.o->keyed);
}
static int close_key(void) {
  return pkd_async_keyed_close(&grid.o->keyed);
}

/* Two at once, which the actors name in different orders. */
static void name_both(actor_t* a) {
  int first = a->number == 0 ? 0 : 1;

  a->items[first].take = pkd_take_mutex(&grid.o->mutex);
  a->items[1 - first].take = pkd_take_mutex(&grid.o->second);
}
static void answer_many(pkd_many_t* many, int status) {
  actor_end(many->data, status);
}
static int start_many(actor_t* a, pkd_req_cb cb) {
  (void)cb;
  name_both(a);
  return pkd_many_lock(&a->loop, &a->many, a->items, 2,
                       grid.way == TIMED && a->number == 0 ? 5 : PKD_NO_TIMEOUT,
                       answer_many);
}
static int block_many(actor_t* a, pkd_deadline_t deadline) {
  name_both(a);
  return pkd_many_lock_blocking(&a->many, a->items, 2, deadline);
}
static int try_many(actor_t* a) {
  name_both(a);
  return pkd_many_trylock(&a->many, a->items, 2);
}
static int give_many(actor_t* a) {
  return pkd_many_unlock(&a->many);
}

/* --- waits ---------------------------------------------------------------- */

static int start_event(actor_t* a, pkd_req_cb cb) {
  return pkd_async_event_wait(&a->loop, &a->req, &grid.o->event, cb);
}
static int block_event(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_event_wait_blocking(&a->req, &grid.o->event, deadline);
}
static int try_event(actor_t* a) {
  return pkd_async_event_try_wait(&a->req, &grid.o->event);
}
static int close_event(void) {
  return pkd_async_event_close(&grid.o->event);
}
static void fulfil_event(actor_t* a) {
  (void)a;
  grid.o->data = 1;
  pkd_async_event_set(&grid.o->event);
}

/* The last actor was the leader before the others began. */
static int start_once(actor_t* a, pkd_req_cb cb) {
  return pkd_async_once_call(&a->loop, &a->req, &grid.o->once, cb);
}
static int block_once(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_once_call_blocking(&a->req, &grid.o->once, deadline);
}
static int try_once(actor_t* a) {
  return pkd_async_once_try(&a->req, &grid.o->once);
}
static void fulfil_once(actor_t* a) {
  grid.o->data = 1;
  explore_assert(pkd_async_once_done(&a->req, &grid.o->once, 0) == 0);
}

/* The last actor was inside before the others closed it. */
static int start_gate(actor_t* a, pkd_req_cb cb) {
  return pkd_async_gate_close(&a->loop, &a->req, &grid.o->gate, cb);
}
static int block_gate(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_gate_close_blocking(&a->req, &grid.o->gate, deadline);
}
static void fulfil_gate(actor_t* a) {
  (void)a;
  grid.o->data = 1;
  explore_assert(pkd_async_gate_leave(&grid.o->gate) == 0);
}

static int start_barrier(actor_t* a, pkd_req_cb cb) {
  return pkd_async_barrier_arrive(&a->loop, &a->req, &grid.o->barrier, cb);
}
static int block_barrier(actor_t* a, pkd_deadline_t deadline) {
  return pkd_async_barrier_arrive_blocking(&a->req, &grid.o->barrier, deadline);
}
static int close_barrier(void) {
  return pkd_async_barrier_abort(&grid.o->barrier);
}
static void fulfil_barrier(actor_t* a) {
  int rc;

  grid.o->data = 1;
  /* Who left has not arrived; then nobody comes any more. */
  rc = block_barrier(a, grid.way == PLAIN || grid.way == FREED ? PKD_FOREVER
                                                               : SOON);
  explore_assert(rc >= 0 || grid.way == TIMED || grid.way == CANCEL ||
                 grid.way == CLOSE);
}

/* A condition: the mutex first, then the wait, until it is ready. */
static void look_again(pkd_req_t* req, int status) {
  actor_t* a = req->data;

  if (status == 0 && !grid.o->ready) {
    if (grid.way == TIMED && a->number == 0)
      pkd_req_set_timeout(req, 5);
    explore_assert(pkd_async_cond_wait(&a->loop, req, &grid.o->cond,
                                       &grid.o->mutex, look_again) == 0);
    return;
  }
  actor_end(a, status);
}
static int start_cond(actor_t* a, pkd_req_cb cb) {
  (void)cb;
  return start_mutex(a, look_again);
}
static int block_cond(actor_t* a, pkd_deadline_t deadline) {
  int rc = block_mutex(a, PKD_FOREVER);

  while (rc == 0 && !grid.o->ready)
    rc = pkd_async_cond_wait_blocking(&a->req, &grid.o->cond, &grid.o->mutex,
                                      deadline);
  return rc;
}
static void fulfil_cond(actor_t* a) {
  int rc = block_mutex(a, PKD_FOREVER);

  explore_assert(rc == 0);
  grid.o->ready = true;
  grid.o->data = 1;
  if (grid.actors == 2)
    pkd_async_cond_signal(&grid.o->cond);
  else
    pkd_async_cond_broadcast(&grid.o->cond);
  give_mutex(a);
}

const face_t faces[] = {
    [MUTEX] = {.start = start_mutex,
               .block = block_mutex,
               .attempt = try_mutex,
               .give = give_mutex,
               .close = close_mutex},
    [SEM] = {.start = start_sem,
             .block = block_sem,
             .attempt = try_sem,
             .give = give_sem,
             .close = close_sem},
    [READ] = {.start = start_read,
              .block = block_read,
              .attempt = try_read,
              .give = give_rwlock,
              .close = close_rwlock,
              .shared = true},
    [WRITE] = {.start = start_write,
               .block = block_write,
               .attempt = try_write,
               .give = give_rwlock,
               .close = close_rwlock},
    [UP] = {.start = start_up,
            .block = block_up,
            .attempt = try_up,
            .give = give_rwlock,
            .close = close_rwlock,
            .shared = true},
    [KEYED] = {.start = start_key,
               .block = block_key,
               .attempt = try_key,
               .give = give_key,
               .close = close_key},
    [MANY] = {.start = start_many,
              .block = block_many,
              .attempt = try_many,
              .give = give_many,
              .close = close_mutex},
    [EVENT] = {.start = start_event,
               .block = block_event,
               .attempt = try_event,
               .close = close_event,
               .fulfil = fulfil_event},
    [ONCE] = {.start = start_once,
              .block = block_once,
              .attempt = try_once,
              .fulfil = fulfil_once},
    [GATE] = {.start = start_gate, .block = block_gate, .fulfil = fulfil_gate},
    [BARRIER] = {.start = start_barrier,
                 .block = block_barrier,
                 .close = close_barrier,
                 .fulfil = fulfil_barrier},
    [COND] = {.start = start_cond,
              .block = block_cond,
              .give = give_mutex,
              .fulfil = fulfil_cond},
};
