/* SPDX-License-Identifier: MIT
 *
 * test_null.c - an object that is NULL is a fault at once, never a quiet success:
 * base.h says so. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <sys/resource.h>

/* Volatile, lest the compiler see what happens. */
static void* volatile null;

static void mutex_lock(void) {
  pkd_mutex_lock(null);
}
static void mutex_unlock(void) {
  pkd_mutex_unlock(null);
}
static void fair_mutex_lock(void) {
  pkd_fair_mutex_lock(null);
}
static void fair_mutex_unlock(void) {
  pkd_fair_mutex_unlock(null);
}
static void remutex_lock(void) {
  pkd_remutex_lock(null);
}
static void remutex_unlock(void) {
  pkd_remutex_unlock(null);
}
static void rwlock_rdlock(void) {
  pkd_rwlock_rdlock(null);
}
static void rwlock_wrlock(void) {
  pkd_rwlock_wrlock(null);
}
static void sem_acquire(void) {
  pkd_sem_acquire(null, 1);
}
static void sem_release(void) {
  pkd_sem_release(null, 1);
}
static void once_call(void) {
  pkd_once_call(null, mutex_lock);
}
static void cancel_fire(void) {
  pkd_cancel_fire(null);
}

static void (*const calls[])(void) = {
    mutex_lock,   mutex_unlock,   fair_mutex_lock, fair_mutex_unlock,
    remutex_lock, remutex_unlock, rwlock_rdlock,   rwlock_wrlock,
    sem_acquire,  sem_release,    once_call,       cancel_fire};

static size_t which;

static void call_with_null(void) {
  struct rlimit none = {0, 0};

  setrlimit(RLIMIT_CORE, &none);
  signal(SIGSEGV, SIG_DFL); /* cmocka's and a sanitizer's would catch it */
  calls[which]();
}

static void an_object_that_is_null_is_a_fault(void** state) {
  (void)state;
  for (which = 0; which < LENGTH(calls); which++)
    assert_int_not_equal(run_in_child(call_with_null), 0);
}

/* Where NULL has a meaning the header says which. */
static void a_token_that_is_null_cancels_nothing(void** state) {
  pkd_mutex_t m = PKD_MUTEX_INIT;
  pkd_fair_mutex_t f = PKD_FAIR_MUTEX_INIT;

  (void)state;
  assert_int_equal(pkd_mutex_lock_cancellable(&m, NULL, 0), 0);
  assert_int_equal(pkd_mutex_lock_cancellable(&m, NULL, 0), -ETIMEDOUT);
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
