/* SPDX-License-Identifier: MIT
 *
 * test_pthread_cond.c - pthread_cond_t: signals, clocks, cancellation, and
 * conditions and mutexes of different origin. */
#define _GNU_SOURCE

#include "kit.h"
#include "slow_cancel.h"

/* A meeting point: a mutex and a condition, and what they guard. */
struct place {
  pthread_mutex_t m;
  pthread_cond_t c;
  int waiting;
  int calls; /* who finds one takes it */
  int served;
};

static void place_make(struct place* p, const pthread_mutexattr_t* mutex,
                       const pthread_condattr_t* cond) {
  memset(p, 0, sizeof *p);
  assert_int_equal(pthread_mutex_init(&p->m, mutex), 0);
  assert_int_equal(pthread_cond_init(&p->c, cond), 0);
}

static void* wait_there(struct one* self) {
  struct place* p = self->arg;

  pthread_mutex_lock(&p->m);
  p->waiting++;
  while (p->calls == 0 && self->rc == 0)
    self->rc = pthread_cond_wait(&p->c, &p->m);
  p->calls--;
  p->served++;
  pthread_mutex_unlock(&p->m);
  return NULL;
}

/* With the mutex: all `count` of them are in their wait, or have been. */
static void await_waiting(struct place* p, int count) {
  for (;;) {
    pthread_mutex_lock(&p->m);
    if (p->waiting == count)
      return;
    pthread_mutex_unlock(&p->m);
    sched_yield();
  }
}

static void serve(struct place* p) {
  struct one waiters[6];

  for (size_t i = 0; i < LENGTH(waiters); i++)
    one_start(&waiters[i], wait_there, p);
  await_waiting(p, LENGTH(waiters));
  p->calls++;
  assert_int_equal(pthread_cond_signal(&p->c), 0);
  pthread_mutex_unlock(&p->m);
  WAIT_FOR(__atomic_load_n(&p->served, __ATOMIC_RELAXED) == 1);

  pthread_mutex_lock(&p->m);
  p->calls++;
  pthread_mutex_unlock(&p->m);
  assert_int_equal(pthread_cond_signal(&p->c), 0);
  WAIT_FOR(__atomic_load_n(&p->served, __ATOMIC_RELAXED) == 2);

  pthread_mutex_lock(&p->m);
  p->calls += 4;
  assert_int_equal(pthread_cond_broadcast(&p->c), 0);
  pthread_mutex_unlock(&p->m);
  for (size_t i = 0; i < LENGTH(waiters); i++)
    assert_int_equal(one_join(&waiters[i]), 0);
  assert_int_equal(p->served, 6);
  assert_int_equal(p->calls, 0);
  assert_int_equal(pthread_cond_destroy(&p->c), 0);
  assert_int_equal(pthread_mutex_destroy(&p->m), 0);
}

static void signals_call_one_and_broadcasts_all(void** state) {
  static const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                              PTHREAD_MUTEX_ERRORCHECK};
  static struct place fixed = {.m = PTHREAD_MUTEX_INITIALIZER,
                               .c = PTHREAD_COND_INITIALIZER};

  (void)state;
  serve(&fixed);
  for (size_t i = 0; i < LENGTH(kinds); i++) {
    pthread_mutexattr_t attr;
    struct place p;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, kinds[i]);
    place_make(&p, &attr, NULL);
    serve(&p);
  }
}

static void a_mutex_of_another_origin_will_do(void** state) {
  pthread_mutexattr_t robust, inherits;
  struct place p;

  (void)state;
  pthread_mutexattr_init(&robust);
  pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
  place_make(&p, &robust, NULL);
  serve(&p);
  pthread_mutexattr_init(&inherits);
  pthread_mutexattr_setprotocol(&inherits, PTHREAD_PRIO_INHERIT);
  place_make(&p, &inherits, NULL);
  serve(&p);
}

static void a_condition_of_another_origin_will_do(void** state) {
  pthread_mutexattr_t recursive;
  pthread_condattr_t shared;
  struct place p;

  (void)state;
  pthread_condattr_init(&shared);
  pthread_condattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
  place_make(&p, NULL, &shared);
  serve(&p);
  pthread_mutexattr_init(&recursive);
  pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
  place_make(&p, &recursive, &shared);
  serve(&p);
}

/* --- time ------------------------------------------------------------------ */

static void expect_timeout(struct place* p, clockid_t clock,
                           bool by_attribute) {
  struct timespec when = in_ms(clock, 30);
  int rc = 0;

  pthread_mutex_lock(&p->m);
  while (rc == 0)
    rc = by_attribute ? pthread_cond_timedwait(&p->c, &p->m, &when)
                      : pthread_cond_clockwait(&p->c, &p->m, clock, &when);
  assert_int_equal(rc, ETIMEDOUT);
  assert_true(has_come(clock, &when));
  assert_int_equal(pthread_mutex_unlock(&p->m), 0); /* EPERM if not held */
}

static void a_wait_ends_when_the_time_of_its_clock_has_come(void** state) {
  static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};

  (void)state;
  for (int i = 0; i < 8; i++) {
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    struct place p;

    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_settype(&mutex, PTHREAD_MUTEX_ERRORCHECK);
    if ((i & 2) != 0)
      pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_condattr_init(&cond);
    pthread_condattr_setclock(&cond, clocks[i & 1]);
    if ((i & 4) != 0)
      pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    place_make(&p, &mutex, &cond);
    expect_timeout(&p, clocks[i & 1], true);
    expect_timeout(&p, CLOCK_REALTIME, false);
    expect_timeout(&p, CLOCK_MONOTONIC, false);
  }
}

static void what_is_no_time_is_refused(void** state) {
  struct timespec none = {1, -1}, soon = in_ms(CLOCK_MONOTONIC, 10);
  struct place p;

  (void)state;
  place_make(&p, NULL, NULL);
  pthread_mutex_lock(&p.m);
  assert_int_equal(pthread_cond_timedwait(&p.c, &p.m, &none), EINVAL);
  assert_int_equal(
      pthread_cond_clockwait(&p.c, &p.m, CLOCK_PROCESS_CPUTIME_ID, &soon),
      EINVAL);
}

static void* wait_timed(struct one* self) {
  struct place* p = self->arg;
  struct timespec when = in_ms(CLOCK_MONOTONIC, 50);

  pthread_mutex_lock(&p->m);
  p->waiting = 1;
  self->rc = pthread_cond_clockwait(&p->c, &p->m, CLOCK_MONOTONIC, &when);
  pthread_mutex_unlock(&p->m);
  return NULL;
}

/* On a machine so slow that the time passes before the signal, it is no signal. */
static void who_was_called_in_time_was_called(void** state) {
  int called = 0;

  (void)state;
  for (int i = 0; i < 100 && called == 0; i++) {
    struct timespec when;
    struct place p;
    struct one waiter;

    place_make(&p, NULL, NULL);
    when = in_ms(CLOCK_MONOTONIC, 50);
    one_start(&waiter, wait_timed, &p);
    await_waiting(&p, 1);
    pthread_cond_signal(&p.c);
    called = !has_come(CLOCK_MONOTONIC, &when);
    when = in_ms(CLOCK_MONOTONIC, 60);
    WAIT_FOR(has_come(CLOCK_MONOTONIC, &when)); /* long past its deadline */
    pthread_mutex_unlock(&p.m);
    assert_true(one_join(&waiter) == 0 || !called);
  }
  assert_true(called);
}

static void a_wait_without_the_mutex_is_refused(void** state) {
  pthread_mutexattr_t attr;
  struct place p;

  (void)state;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
  place_make(&p, &attr, NULL);
  assert_int_equal(pthread_cond_wait(&p.c, &p.m), EPERM);
}

/* --- cancellation ---------------------------------------------------------- */

static int unlocked; /* what the handler's unlock returned */

static void unlock_in_handler(void* m) {
  unlocked = pthread_mutex_unlock(m);
}

static void* wait_to_be_cancelled(struct one* self) {
  struct place* p = self->arg;

  pthread_mutex_lock(&p->m);
  pthread_cleanup_push(unlock_in_handler, &p->m);
  p->waiting = 1;
  for (;;)
    pthread_cond_wait(&p->c, &p->m);
  pthread_cleanup_pop(0);
  return NULL;
}

static void cancel_in(struct place* p, bool with_mutex) {
  struct one waiter;
  void* result;

  unlocked = -1;
  one_start(&waiter, wait_to_be_cancelled, p);
  await_waiting(p, 1);
  if (!with_mutex)
    assert_int_equal(pthread_mutex_unlock(&p->m), 0);
  assert_int_equal(pthread_cancel(waiter.thread), 0);
  if (with_mutex)
    assert_int_equal(pthread_mutex_unlock(&p->m), 0);
  assert_int_equal(pthread_join(waiter.thread, &result), 0);
  assert_true(result == PTHREAD_CANCELED);
  assert_int_equal(unlocked, 0); /* the handler held it */
  assert_int_equal(pthread_mutex_lock(&p->m), 0);
  assert_int_equal(pthread_mutex_unlock(&p->m), 0);
}

static void a_cancelled_wait_has_the_mutex_in_its_handlers(void** state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    struct place p;

    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_settype(&mutex, PTHREAD_MUTEX_ERRORCHECK);
    if ((i & 1) != 0)
      pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_condattr_init(&cond);
    if ((i & 2) != 0)
      pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    place_make(&p, &mutex, &cond);
    cancel_in(&p, true);
  }
}

/* For long the waiter may be awake already, and not cancelled yet. */
static void a_cancel_that_takes_its_time_is_not_lost(void** state) {
  struct place p;

  (void)state;
  place_make(&p, NULL, NULL);
  cancel_takes_ms = 400;
  cancel_in(&p, false);
  cancel_takes_ms = 0;
}

static void* wait_uncancelled(struct one* self) {
  struct place* p = self->arg;

  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  wait_there(self);
  wait_there(self); /* and does not spin on what was asked */
  p->served = 100;
  pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  pthread_testcancel();
  p->served = 200;
  return NULL;
}

static void who_does_not_want_it_is_not_cancelled(void** state) {
  struct one waiter;
  struct place p;
  void* result;

  (void)state;
  place_make(&p, NULL, NULL);
  one_start(&waiter, wait_uncancelled, &p);
  await_waiting(&p, 1);
  pthread_mutex_unlock(&p.m);
  assert_int_equal(pthread_cancel(waiter.thread), 0);
  for (int i = 1; i <= 2; i++) {
    await_waiting(&p, i);
    p.calls++;
    pthread_cond_signal(&p.c);
    pthread_mutex_unlock(&p.m);
  }
  pthread_join(waiter.thread, &result);
  assert_true(result == PTHREAD_CANCELED);
  assert_int_equal(p.served, 100);
}

static struct place handler_place;

static void wait_in_handler(void* arg) {
  struct timespec when = in_ms(CLOCK_REALTIME, 20);

  (void)arg;
  pthread_mutex_lock(&handler_place.m);
  while (pthread_cond_timedwait(&handler_place.c, &handler_place.m, &when) ==
         0) {
  }
  pthread_mutex_unlock(&handler_place.m);
  handler_place.served = 1;
}

static void* be_cancelled_in_pause(struct one* self) {
  (void)self;
  pthread_cleanup_push(wait_in_handler, NULL);
  for (;;)
    pause();
  pthread_cleanup_pop(0);
  return NULL;
}

static void a_handler_of_the_cancelled_may_wait(void** state) {
  struct one other;
  void* result;

  (void)state;
  place_make(&handler_place, NULL, NULL);
  one_start(&other, be_cancelled_in_pause, NULL);
  pthread_cancel(other.thread);
  pthread_join(other.thread, &result);
  assert_true(result == PTHREAD_CANCELED);
  assert_int_equal(handler_place.served, 1);
}

/* --- the end --------------------------------------------------------------- */

static void a_condition_may_go_after_its_broadcast(void** state) {
  (void)state;
  for (int round = 0; round < 200; round++) {
    struct place* p = malloc(sizeof *p);
    struct one waiters[3];

    place_make(p, NULL, NULL);
    for (size_t i = 0; i < LENGTH(waiters); i++)
      one_start(&waiters[i], wait_there, p);
    await_waiting(p, LENGTH(waiters));
    p->calls = LENGTH(waiters);
    pthread_cond_broadcast(&p->c);
    pthread_mutex_unlock(&p->m);
    assert_int_equal(pthread_cond_destroy(&p->c), 0);
    memset(&p->c, 0xa5, sizeof p->c);
    for (size_t i = 0; i < LENGTH(waiters); i++)
      assert_int_equal(one_join(&waiters[i]), 0);
    for (size_t i = 0; i < sizeof p->c; i++)
      assert_int_equal(((unsigned char*)&p->c)[i], 0xa5);
    free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_library_answers),
      cmocka_unit_test(signals_call_one_and_broadcasts_all),
      cmocka_unit_test(a_mutex_of_another_origin_will_do),
      cmocka_unit_test(a_condition_of_another_origin_will_do),
      cmocka_unit_test(a_wait_ends_when_the_time_of_its_clock_has_come),
      cmocka_unit_test(what_is_no_time_is_refused),
      cmocka_unit_test(who_was_called_in_time_was_called),
      cmocka_unit_test(a_wait_without_the_mutex_is_refused),
      cmocka_unit_test(a_cancelled_wait_has_the_mutex_in_its_handlers),
      cmocka_unit_test(a_cancel_that_takes_its_time_is_not_lost),
      cmocka_unit_test(who_does_not_want_it_is_not_cancelled),
      cmocka_unit_test(a_handler_of_the_cancelled_may_wait),
      cmocka_unit_test(a_condition_may_go_after_its_broadcast),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
