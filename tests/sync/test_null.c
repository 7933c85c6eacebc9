/* SPDX-License-Identifier: MIT
 *
 * test_null.c - an object that is NULL is a fault at once, never a quiet success:
 * base.h says so. */
#include "kit.h"

#include <parkade/barrier.h>
#include <parkade/cancel.h>
#include <parkade/cell.h>
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

#include <sys/resource.h>

/* Volatile, lest the compiler see what happens. */
static void* volatile null;

static pkd_mutex_t m;
static pkd_cond_t c;
struct value {
  long parts[4];
};
typedef PKD_CELL(struct value) cell_t;
static struct value value;

static int nothing(void* arg) {
  (void)arg;
  return 0;
}

/* A function for each call, and a line of the table. */
#define CALLS(CALL)                                                            \
  CALL(mutex_lock, pkd_mutex_lock(null))                                       \
  CALL(mutex_trylock, pkd_mutex_trylock(null))                                 \
  CALL(mutex_lock_for, pkd_mutex_lock_for(null, 0))                            \
  CALL(mutex_unlock, pkd_mutex_unlock(null))                                   \
  CALL(mutex_unlock_fair, pkd_mutex_unlock_fair(null))                         \
  CALL(mutex_bump, pkd_mutex_bump(null))                                       \
  CALL(fair_mutex_lock, pkd_fair_mutex_lock(null))                             \
  CALL(fair_mutex_trylock, pkd_fair_mutex_trylock(null))                       \
  CALL(fair_mutex_unlock, pkd_fair_mutex_unlock(null))                         \
  CALL(fair_mutex_bump, pkd_fair_mutex_bump(null))                             \
  CALL(remutex_lock, pkd_remutex_lock(null))                                   \
  CALL(remutex_trylock, pkd_remutex_trylock(null))                             \
  CALL(remutex_unlock, pkd_remutex_unlock(null))                               \
  CALL(remutex_bump, pkd_remutex_bump(null))                                   \
  CALL(rwlock_init, pkd_rwlock_init(null, PKD_RWLOCK_PHASES))                  \
  CALL(rwlock_rdlock, pkd_rwlock_rdlock(null))                                 \
  CALL(rwlock_tryrdlock, pkd_rwlock_tryrdlock(null))                           \
  CALL(rwlock_rdunlock, pkd_rwlock_rdunlock(null))                             \
  CALL(rwlock_wrlock, pkd_rwlock_wrlock(null))                                 \
  CALL(rwlock_wrunlock, pkd_rwlock_wrunlock(null))                             \
  CALL(rwlock_uplock, pkd_rwlock_uplock(null))                                 \
  CALL(rwlock_upunlock, pkd_rwlock_upunlock(null))                             \
  CALL(rwlock_upgrade, pkd_rwlock_upgrade(null))                               \
  CALL(rwlock_rdupgrade, pkd_rwlock_rdupgrade(null))                           \
  CALL(rwlock_downgrade, pkd_rwlock_downgrade(null))                           \
  CALL(rwlock_updowngrade, pkd_rwlock_updowngrade(null))                       \
  CALL(cond_wait, pkd_cond_wait(null, &m))                                     \
  CALL(cond_wait_without, pkd_cond_wait(&c, null))                             \
  CALL(cond_signal, pkd_cond_signal(null))                                     \
  CALL(cond_broadcast, pkd_cond_broadcast(null))                               \
  CALL(sem_acquire, pkd_sem_acquire(null, 1))                                  \
  CALL(sem_tryacquire, pkd_sem_tryacquire(null, 1))                            \
  CALL(sem_release, pkd_sem_release(null, 1))                                  \
  CALL(event_set, pkd_event_set(null))                                         \
  CALL(event_reset, pkd_event_reset(null))                                     \
  CALL(event_wait, pkd_event_wait(null))                                       \
  CALL(latch_count_down, pkd_latch_count_down(null, 1))                        \
  CALL(latch_wait, pkd_latch_wait(null))                                       \
  CALL(barrier_init, pkd_barrier_init(null, 1))                                \
  CALL(barrier_wait, pkd_barrier_wait(null))                                   \
  CALL(once_call, pkd_once_call(null, mutex_lock))                             \
  CALL(once_try, pkd_once_try(null, nothing, NULL))                            \
  CALL(cell_load, pkd_cell_load((cell_t*)null, &value))                        \
  CALL(cell_store, pkd_cell_store((cell_t*)null, &value))                      \
  CALL(cancel_init, pkd_cancel_init(null, NULL, PKD_FOREVER))                  \
  CALL(cancel_fire, pkd_cancel_fire(null))                                     \
  CALL(cancel_wait, pkd_cancel_wait(null, PKD_FOREVER))                        \
  CALL(cancel_close, pkd_cancel_close(null))

#define FUNCTION(name, call)                                                   \
  static void name(void) {                                                     \
    call;                                                                      \
  }
CALLS(FUNCTION)

#define LINE(name, call) {#name, name},
static const struct {
  const char* name;
  void (*call)(void);
} calls[] = {CALLS(LINE)};

static size_t which;

static void call_with_null(void) {
  struct rlimit none = {0, 0};

  setrlimit(RLIMIT_CORE, &none);
  signal(SIGSEGV, SIG_DFL); /* cmocka's and a sanitizer's would catch it */
  calls[which].call();
}

static void an_object_that_is_null_is_a_fault(void** state) {
  (void)state;
  for (which = 0; which < LENGTH(calls); which++) {
    int end = run_in_child(call_with_null);

    if (end == 0 || end == -SIGALRM) /* the child's alarm: it waits */
      fail_msg("%s(NULL) is no fault", calls[which].name);
  }
}

/* Where NULL has a meaning the header says which. */
static void a_token_that_is_null_cancels_nothing(void** state) {
  pkd_fair_mutex_t f = PKD_FAIR_MUTEX_INIT;
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  pkd_sem_t s = PKD_SEM_INIT(0);
  pkd_event_t e = PKD_EVENT_INIT;
  pkd_latch_t left = PKD_LATCH_INIT(1);
  pkd_barrier_t b = PKD_BARRIER_INIT(2);

  (void)state;
  m = (pkd_mutex_t)PKD_MUTEX_INIT;
  assert_int_equal(pkd_mutex_lock_cancellable(&m, NULL, 0), 0);
  assert_int_equal(pkd_mutex_lock_cancellable(&m, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_cond_wait_cancellable(&c, &m, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_wrlock_cancellable(&l, NULL, 0), 0);
  assert_int_equal(pkd_rwlock_rdlock_cancellable(&l, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_sem_acquire_cancellable(&s, 1, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_event_wait_cancellable(&e, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_latch_wait_cancellable(&left, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_barrier_wait_cancellable(&b, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_thread_park_cancellable(NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_fair_mutex_lock_cancellable(&f, NULL, 0), 0);
  assert_int_equal(pkd_fair_mutex_lock_cancellable(&f, NULL, 0), -ETIMEDOUT);
  assert_int_equal(pkd_cancel_is_fired(NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_object_that_is_null_is_a_fault),
      cmocka_unit_test(a_token_that_is_null_cancels_nothing),
  };
  return cmocka_run_group_tests_name("null", tests, NULL, NULL);
}
