/* SPDX-License-Identifier: MIT
 *
 * waits_async.c - the blocking calls of the asynchronous locks. */
#include "waits.h"

#include <parkade/async.h>

/* --- locks ----------------------------------------------------------------- */

/* Gives back what the wait got. */
#define WAIT_THEN(call, release)                                               \
  do {                                                                         \
    pkd_req_t req = {0};                                                       \
    int rc = call;                                                             \
                                                                               \
    if (rc == 0)                                                               \
      rc = release;                                                            \
    return rc;                                                                 \
  } while (0)

static pkd_async_mutex_t mutex;
static pkd_req_t mutex_ticket;

static void take_mutex(void) {
  pkd_async_mutex_trylock(&mutex_ticket, &mutex);
}

static int wait_mutex(pkd_deadline_t deadline) {
  WAIT_THEN(pkd_async_mutex_lock_blocking(&req, &mutex, deadline),
            pkd_async_mutex_unlock(&req, &mutex));
}

static void give_mutex(void) {
  pkd_async_mutex_unlock(&mutex_ticket, &mutex);
}

static pkd_async_sem_t sem = PKD_ASYNC_SEM_INIT(3, 3);
static pkd_req_t sem_ticket;

static void take_sem(void) {
  pkd_async_sem_try_acquire(&sem_ticket, &sem, 3);
}

static int wait_sem(pkd_deadline_t deadline) {
  WAIT_THEN(pkd_async_sem_acquire_blocking(&req, &sem, 2, deadline),
            pkd_async_sem_release(&req, &sem, 2));
}

static void give_sem(void) {
  pkd_async_sem_release(&sem_ticket, &sem, 3);
}

/* One rwlock for each way to wait for it, as all are waited for at once. */
static pkd_async_rwlock_t written, up_written, read_held, upgraded;
static pkd_req_t written_ticket, up_ticket, read_ticket, upgraded_ticket;

static void take_written(void) {
  pkd_async_rwlock_trywrlock(&written_ticket, &written);
}

static int wait_read(pkd_deadline_t deadline) {
  WAIT_THEN(pkd_async_rwlock_rdlock_blocking(&req, &written, deadline),
            pkd_async_rwlock_unlock(&req, &written));
}

static void give_written(void) {
  pkd_async_rwlock_unlock(&written_ticket, &written);
}

static void take_up(void) {
  pkd_async_rwlock_trywrlock(&up_ticket, &up_written);
}

static int wait_up(pkd_deadline_t deadline) {
  WAIT_THEN(pkd_async_rwlock_uplock_blocking(&req, &up_written, deadline),
            pkd_async_rwlock_unlock(&req, &up_written));
}

static void give_up(void) {
  pkd_async_rwlock_unlock(&up_ticket, &up_written);
}

static void take_read(void) {
  pkd_async_rwlock_tryrdlock(&read_ticket, &read_held);
}

static int wait_write(pkd_deadline_t deadline) {
  WAIT_THEN(pkd_async_rwlock_wrlock_blocking(&req, &read_held, deadline),
            pkd_async_rwlock_unlock(&req, &read_held));
}

static void give_read(void) {
  pkd_async_rwlock_unlock(&read_ticket, &read_held);
}

static void take_upgraded(void) {
  pkd_async_rwlock_tryrdlock(&upgraded_ticket, &upgraded);
}

static int wait_upgrade(pkd_deadline_t deadline) {
  pkd_req_t req = {0};
  int rc = pkd_async_rwlock_uplock_blocking(&req, &upgraded, PKD_FOREVER);

  if (rc != 0)
    return rc;
  rc = pkd_async_rwlock_upgrade_blocking(&req, &upgraded, deadline);
  return pkd_async_rwlock_unlock(&req, &upgraded) != 0 ? UV_EIO : rc;
}

static void give_upgraded(void) {
  pkd_async_rwlock_unlock(&upgraded_ticket, &upgraded);
}

static pkd_async_keyed_t keyed;
static pkd_req_t keyed_ticket;

/* Who holds a key stands in the queue for it: that shows where it is. */
static void find_key(void* arg, const void* key, pkd_waiter_t* waiter) {
  if (waiter == &keyed_ticket.waiter)
    *(const void**)arg = key;
}

static void take_key(void) {
  pkd_async_keyed_trylock_u64(&keyed_ticket, &keyed, 7);
  pkd_lot_for_each(NULL, find_key, &wait_kinds[0].key);
}

static int wait_key(pkd_deadline_t deadline) {
  WAIT_THEN(pkd_async_keyed_lock_blocking_u64(&req, &keyed, 7, deadline),
            pkd_async_keyed_unlock(&req, &keyed));
}

static void give_key(void) {
  pkd_async_keyed_unlock(&keyed_ticket, &keyed);
}

/* Two mutexes, of which the main thread has one. */
static pkd_async_mutex_t many_free, many_taken;
static pkd_req_t many_ticket;

static void take_many(void) {
  pkd_async_mutex_trylock(&many_ticket, &many_taken);
}

static int wait_many(pkd_deadline_t deadline) {
  pkd_many_item_t items[2];
  pkd_many_t many = {0};
  int rc;

  memset(items, 0, sizeof items);
  items[0].take = pkd_take_mutex(&many_free);
  items[1].take = pkd_take_mutex(&many_taken);
  rc = pkd_many_lock_blocking(&many, items, 2, deadline);
  return rc == 0 ? pkd_many_unlock(&many) : rc;
}

static void give_many(void) {
  pkd_async_mutex_unlock(&many_ticket, &many_taken);
}

/* --- what is waited for without being owned -------------------------------- */

static pkd_async_cond_t cond;
static pkd_async_mutex_t cond_mutex;

static void take_nothing(void) {}

static int wait_cond(pkd_deadline_t deadline) {
  pkd_req_t req = {0};
  int rc = pkd_async_mutex_lock_blocking(&req, &cond_mutex, PKD_FOREVER);

  if (rc == 0)
    rc = pkd_async_cond_wait_blocking(&req, &cond, &cond_mutex, deadline);
  return rc == 0 ? pkd_async_mutex_unlock(&req, &cond_mutex) : rc;
}

static void give_cond(void) {
  pkd_async_cond_signal(&cond);
}

static pkd_async_event_t event;

static void take_event(void) {
  pkd_async_event_clear(&event);
}

static int wait_event(pkd_deadline_t deadline) {
  pkd_req_t req = {0};

  return pkd_async_event_wait_blocking(&req, &event, deadline);
}

static void give_event(void) {
  pkd_async_event_set(&event);
}

static pkd_async_barrier_t barrier = PKD_ASYNC_BARRIER_INIT(2);

static int wait_barrier(pkd_deadline_t deadline) {
  pkd_req_t req = {0};
  int rc = pkd_async_barrier_arrive_blocking(&req, &barrier, deadline);

  return rc > 0 ? 0 : rc;
}

static void give_barrier(void) {
  if (waiting_at(&barrier) > 0)
    wait_barrier(PKD_FOREVER);
}

static pkd_async_once_t once;
static pkd_req_t once_ticket;

static void take_once(void) {
  memset(&once, 0, sizeof once);
  pkd_async_once_try(&once_ticket, &once);
}

static int wait_once(pkd_deadline_t deadline) {
  pkd_req_t req = {0};

  return pkd_async_once_call_blocking(&req, &once, deadline);
}

static void give_once(void) {
  pkd_async_once_done(&once_ticket, &once, 0);
}

static pkd_async_gate_t gate;

static void take_gate(void) {
  memset(&gate, 0, sizeof gate);
  pkd_async_gate_enter(&gate);
}

static int wait_gate(pkd_deadline_t deadline) {
  pkd_req_t req = {0};

  return pkd_async_gate_close_blocking(&req, &gate, deadline);
}

static void give_gate(void) {
  pkd_async_gate_leave(&gate);
}

struct wait_kind wait_kinds[] = {
    {"key", LOCK, take_key, wait_key, give_key, NULL}, /* first: take_key() */
    {"mutex", LOCK, take_mutex, wait_mutex, give_mutex, &mutex},
    {"semaphore", LOCK, take_sem, wait_sem, give_sem, &sem},
    {"rwlock, to read", LOCK, take_written, wait_read, give_written, &written},
    {"rwlock, upgradable", LOCK, take_up, wait_up, give_up, &up_written},
    {"rwlock, to write", LOCK, take_read, wait_write, give_read, &read_held},
    {"rwlock, upgrade", SHARED, take_upgraded, wait_upgrade, give_upgraded,
     &upgraded},
    {"several at once", SHARED, take_many, wait_many, give_many, &many_taken},
    {"condition", CALLED, take_nothing, wait_cond, give_cond, &cond},
    {"event", OPENED, take_event, wait_event, give_event, &event},
    {"barrier", CALLED, take_nothing, wait_barrier, give_barrier, &barrier},
    {"once", OPENED, take_once, wait_once, give_once, &once},
    {"gate", OPENED, take_gate, wait_gate, give_gate, &gate},
};
const size_t wait_kind_count = LENGTH(wait_kinds);
