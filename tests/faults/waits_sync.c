/* SPDX-License-Identifier: MIT
 *
 * waits_sync.c - the calls that park a thread. (A cell's never wait for longer
 * than another's copy takes, so nothing can be held against them.) */

/* All are taken at once, by a child in whatever order, and given back for threads
 * that have ended: faults, of which ThreadSanitizer would tell if it knew of the
 * locks. */
#define PKD_TSAN_ANNOTATE 0

#include "waits.h"

#include <parkade/barrier.h>
#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

/* --- locks ----------------------------------------------------------------- */

static pkd_mutex_t mutex;

static void take_mutex(void) {
  pkd_mutex_lock(&mutex);
}

static int wait_mutex(pkd_deadline_t deadline) {
  int rc = pkd_mutex_lock_until(&mutex, deadline);

  if (rc == 0)
    pkd_mutex_unlock(&mutex);
  return rc;
}

static void give_mutex(void) {
  pkd_mutex_unlock(&mutex);
}

static pkd_fair_mutex_t fair;

static void take_fair(void) {
  pkd_fair_mutex_lock(&fair);
}

static int wait_fair(pkd_deadline_t deadline) {
  int rc = pkd_fair_mutex_lock_until(&fair, deadline);

  if (rc == 0)
    pkd_fair_mutex_unlock(&fair);
  return rc;
}

static void give_fair(void) {
  pkd_fair_mutex_unlock(&fair);
}

/* Its owner may take it again, so a wait of the main thread's own would not wait:
 * that one is answered as a wait of another would be. */
static pkd_remutex_t remutex;
static _Thread_local bool remutex_is_mine;

static void take_remutex(void) {
  pkd_remutex_lock(&remutex);
  remutex_is_mine = true;
}

static int wait_remutex(pkd_deadline_t deadline) {
  int rc;

  if (remutex_is_mine)
    return -ETIMEDOUT;
  rc = pkd_remutex_lock_until(&remutex, deadline);
  if (rc == 0)
    pkd_remutex_unlock(&remutex);
  return rc;
}

static void give_remutex(void) {
  remutex_is_mine = false;
  pkd_remutex_unlock(&remutex);
}

static pkd_rwlock_t rwlock;

static void take_rwlock(void) {
  pkd_rwlock_wrlock(&rwlock);
}

static int wait_read(pkd_deadline_t deadline) {
  int rc = pkd_rwlock_rdlock_until(&rwlock, deadline);

  if (rc == 0)
    pkd_rwlock_rdunlock(&rwlock);
  return rc;
}

static void give_rwlock(void) {
  pkd_rwlock_wrunlock(&rwlock);
}

/* A lock of its own for each kind, as all are waited for at once. */
static pkd_rwlock_t up_rwlock, read_held, upgraded;

static void take_up_rwlock(void) {
  pkd_rwlock_wrlock(&up_rwlock);
}

static int wait_up_rwlock(pkd_deadline_t deadline) {
  int rc = pkd_rwlock_uplock_until(&up_rwlock, deadline);

  if (rc == 0)
    pkd_rwlock_upunlock(&up_rwlock);
  return rc;
}

static void give_up_rwlock(void) {
  pkd_rwlock_wrunlock(&up_rwlock);
}

static void take_read(void) {
  pkd_rwlock_rdlock(&read_held);
}

static int wait_write(pkd_deadline_t deadline) {
  int rc = pkd_rwlock_wrlock_until(&read_held, deadline);

  if (rc == 0)
    pkd_rwlock_wrunlock(&read_held);
  return rc;
}

static void give_read(void) {
  pkd_rwlock_rdunlock(&read_held);
}

static void take_upgraded(void) {
  pkd_rwlock_rdlock(&upgraded);
}

static int wait_upgrade(pkd_deadline_t deadline) {
  int rc;

  pkd_rwlock_uplock(&upgraded);
  rc = pkd_rwlock_upgrade_until(&upgraded, deadline);
  if (rc == 0)
    pkd_rwlock_wrunlock(&upgraded);
  else
    pkd_rwlock_upunlock(&upgraded);
  return rc;
}

static void give_upgraded(void) {
  pkd_rwlock_rdunlock(&upgraded);
}

static pkd_sem_t sem = PKD_SEM_INIT(3);

static void take_sem(void) {
  pkd_sem_acquire(&sem, 3);
}

static int wait_sem(pkd_deadline_t deadline) {
  int rc = pkd_sem_acquire_until(&sem, 2, deadline);

  if (rc == 0)
    pkd_sem_release(&sem, 2);
  return rc;
}

static void give_sem(void) {
  pkd_sem_release(&sem, 3);
}

/* --- conditions ------------------------------------------------------------ */

static pkd_cond_t cond, fair_cond, write_cond;
static pkd_mutex_t cond_mutex;
static pkd_fair_mutex_t cond_fair;
static pkd_rwlock_t cond_rwlock;

static void take_nothing(void) {}

/* Whether late or not, and who holds the lock then. */
static int late(int rc, bool* held) {
  *held = rc != PKD_ENOTHELD;
  return *held ? rc : -ETIMEDOUT;
}

static int wait_cond(pkd_deadline_t deadline) {
  bool held;
  int rc;

  pkd_mutex_lock(&cond_mutex);
  rc = late(pkd_cond_wait_until(&cond, &cond_mutex, deadline), &held);
  if (held)
    pkd_mutex_unlock(&cond_mutex);
  return rc;
}

static void give_cond(void) {
  pkd_mutex_lock(&cond_mutex);
  pkd_cond_signal(&cond);
  pkd_mutex_unlock(&cond_mutex);
}

static int wait_fair_cond(pkd_deadline_t deadline) {
  bool held;
  int rc;

  pkd_fair_mutex_lock(&cond_fair);
  rc = late(pkd_cond_wait_fair_until(&fair_cond, &cond_fair, deadline), &held);
  if (held)
    pkd_fair_mutex_unlock(&cond_fair);
  return rc;
}

static void give_fair_cond(void) {
  pkd_fair_mutex_lock(&cond_fair);
  pkd_cond_broadcast(&fair_cond);
  pkd_fair_mutex_unlock(&cond_fair);
}

static int wait_write_cond(pkd_deadline_t deadline) {
  bool held;
  int rc;

  pkd_rwlock_wrlock(&cond_rwlock);
  rc = late(pkd_cond_wait_wrlock_until(&write_cond, &cond_rwlock, deadline),
            &held);
  if (held)
    pkd_rwlock_wrunlock(&cond_rwlock);
  return rc;
}

static void give_write_cond(void) {
  pkd_cond_signal(&write_cond);
}

/* The signal comes while the lock is held: what is waited for is the lock. */
static pkd_cond_t moving_cond;
static pkd_mutex_t moving_mutex;

static int wait_moving(pkd_deadline_t deadline) {
  bool held;
  int rc;

  pkd_mutex_lock(&moving_mutex);
  rc = late(pkd_cond_wait_until(&moving_cond, &moving_mutex, deadline), &held);
  if (held)
    pkd_mutex_unlock(&moving_mutex);
  return rc;
}

static void give_moving(void) {
  pkd_mutex_lock(&moving_mutex);
  pkd_cond_broadcast(&moving_cond);
  pkd_mutex_unlock(&moving_mutex);
}

/* --- what opens ------------------------------------------------------------ */

static pkd_event_t manual = PKD_EVENT_INIT, automatic = PKD_EVENT_AUTO_INIT;
static pkd_latch_t latch;
static pkd_barrier_t barrier = PKD_BARRIER_INIT(2);

static void take_manual(void) {
  pkd_event_reset(&manual);
}

static int wait_manual(pkd_deadline_t deadline) {
  return pkd_event_wait_until(&manual, deadline);
}

static void give_manual(void) {
  pkd_event_set(&manual);
}

static void take_automatic(void) {
  pkd_event_reset(&automatic);
}

static int wait_automatic(pkd_deadline_t deadline) {
  return pkd_event_wait_until(&automatic, deadline);
}

static void give_automatic(void) {
  pkd_event_set(&automatic);
}

static void take_latch(void) {
  latch = (pkd_latch_t)PKD_LATCH_INIT(1);
}

static int wait_latch(pkd_deadline_t deadline) {
  return pkd_latch_wait_until(&latch, deadline);
}

static void give_latch(void) {
  pkd_latch_count_down(&latch, 1);
}

static int wait_barrier(pkd_deadline_t deadline) {
  int rc = pkd_barrier_wait_until(&barrier, deadline);

  return rc > 0 ? 0 : rc;
}

/* Nobody there: it must not wait either. */
static void give_barrier(void) {
  if (waiting_at(&barrier) > 0)
    pkd_barrier_wait(&barrier);
}

/* Another thread runs the initializer until give(). */
static pkd_once_t once;
static pthread_t initializer;
static pkd_event_t initializing, may_finish;

static int initialize(void* arg) {
  (void)arg;
  pkd_event_set(&initializing);
  pkd_event_wait(&may_finish);
  return 0;
}

static void* run_initializer(void* arg) {
  pkd_once_try(&once, initialize, arg);
  return NULL;
}

static void take_once(void) {
  memset(&once, 0, sizeof once);
  pkd_event_reset(&initializing);
  pkd_event_reset(&may_finish);
  if (pthread_create(&initializer, NULL, run_initializer, NULL) != 0)
    abort();
  pkd_event_wait(&initializing);
}

static int wait_once(pkd_deadline_t deadline) {
  return pkd_once_try_cancellable(&once, initialize, NULL, NULL, deadline);
}

static void give_once(void) {
  pkd_event_set(&may_finish);
  pthread_join(initializer, NULL);
}

/* --- threads and tokens ---------------------------------------------------- */

static pkd_cancel_t pause_token, park_token;
static pkd_thread_t parked;
static int is_parked; /* atomic; orders `parked`, as the lot does unseen */

static void take_pause(void) {
  pkd_cancel_init(&pause_token, NULL, PKD_FOREVER);
}

static int wait_pause(pkd_deadline_t deadline) {
  return pkd_cancel_wait(&pause_token, deadline);
}

static void give_pause(void) {
  pkd_cancel_fire(&pause_token);
}

/* Who parks shows at the token that could cancel it. */
static int wait_park(pkd_deadline_t deadline) {
  parked = pkd_thread_self();
  __atomic_store_n(&is_parked, 1, __ATOMIC_RELEASE);
  return pkd_thread_park_cancellable(&park_token, deadline);
}

static void give_park(void) {
  if (waiting_at(&park_token) > 0 &&
      __atomic_load_n(&is_parked, __ATOMIC_ACQUIRE) != 0)
    pkd_thread_unpark(parked);
}

static char place; /* an address */

static int always(void* arg) {
  (void)arg;
  return 1;
}

static int wait_place(pkd_deadline_t deadline) {
  pkd_park_t how = {.validate = always};

  return pkd_lot_park(&place, &how, deadline, NULL);
}

static void give_place(void) {
  pkd_lot_unpark_one(&place, NULL, NULL);
}

struct wait_kind wait_kinds[] = {
    {"mutex", LOCK, take_mutex, wait_mutex, give_mutex, &mutex},
    {"fair mutex", LOCK, take_fair, wait_fair, give_fair, &fair},
    {"remutex", LOCK, take_remutex, wait_remutex, give_remutex, &remutex.mutex},
    {"rwlock, to read", LOCK, take_rwlock, wait_read, give_rwlock, &rwlock},
    {"rwlock, upgradable", LOCK, take_up_rwlock, wait_up_rwlock, give_up_rwlock,
     &up_rwlock},
    {"rwlock, to write", LOCK, take_read, wait_write, give_read, &read_held},
    {"rwlock, upgrade", SHARED, take_upgraded, wait_upgrade, give_upgraded,
     &upgraded},
    {"semaphore", LOCK, take_sem, wait_sem, give_sem, &sem},
    {"condition", CALLED, take_nothing, wait_cond, give_cond, &cond},
    {"condition of a fair mutex", CALLED, take_nothing, wait_fair_cond,
     give_fair_cond, &fair_cond},
    {"condition of a rwlock", CALLED, take_nothing, wait_write_cond,
     give_write_cond, &write_cond},
    {"condition, moved", CALLED, take_nothing, wait_moving, give_moving,
     &moving_cond},
    {"event", OPENED, take_manual, wait_manual, give_manual, &manual},
    {"automatic event", CALLED, take_automatic, wait_automatic, give_automatic,
     &automatic},
    {"latch", OPENED, take_latch, wait_latch, give_latch, &latch},
    {"barrier", CALLED, take_nothing, wait_barrier, give_barrier, &barrier},
    {"once", OPENED, take_once, wait_once, give_once, &once},
    {"cancel token", OPENED, take_pause, wait_pause, give_pause, &pause_token},
    {"thread", CALLED, take_nothing, wait_park, give_park, &park_token},
    {"the lot", CALLED, take_nothing, wait_place, give_place, &place},
};
const size_t wait_kind_count = LENGTH(wait_kinds);
