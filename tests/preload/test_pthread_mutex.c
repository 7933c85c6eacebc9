/* SPDX-License-Identifier: MIT
 *
 * test_pthread_mutex.c - pthread_mutex_t in all its kinds. */
#define _GNU_SOURCE

#include "kit.h"

enum { THREADS = 4 };

static pthread_mutex_t static_normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t static_recursive =
    PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t static_checking =
    PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t static_adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

static void make(pthread_mutex_t* m, int kind) {
  pthread_mutexattr_t attr;

  pthread_mutexattr_init(&attr);
  assert_int_equal(pthread_mutexattr_settype(&attr, kind), 0);
  assert_int_equal(pthread_mutex_init(m, &attr), 0);
  pthread_mutexattr_destroy(&attr);
}

struct counted {
  pthread_mutex_t* m;
  long count;
};

static void count_up(void* arg, unsigned number) {
  struct counted* c = arg;

  for (int i = 0; i < 20000; i++) {
    if ((i + (int)number) % 8 == 0) {
      while (pthread_mutex_trylock(c->m) != 0) {
      }
    } else {
      pthread_mutex_lock(c->m);
    }
    c->count++;
    pthread_mutex_unlock(c->m);
  }
}

static void every_kind_excludes(void** state) {
  static const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE,
                              PTHREAD_MUTEX_ERRORCHECK,
                              PTHREAD_MUTEX_ADAPTIVE_NP};
  pthread_mutex_t* statics[] = {&static_normal, &static_recursive,
                                &static_checking, &static_adaptive};

  (void)state;
  for (size_t i = 0; i < LENGTH(kinds); i++) {
    pthread_mutex_t made;
    struct counted a = {statics[i], 0}, b = {&made, 0};

    make(&made, kinds[i]);
    team_run(THREADS, count_up, &a);
    team_run(THREADS, count_up, &b);
    assert_int_equal(a.count, THREADS * 20000);
    assert_int_equal(b.count, THREADS * 20000);
    assert_int_equal(pthread_mutex_destroy(&made), 0);
  }
}

static void* unlock_it(struct one* self) {
  self->rc = pthread_mutex_unlock(self->arg);
  return NULL;
}

static void* try_it(struct one* self) {
  self->rc = pthread_mutex_trylock(self->arg);
  if (self->rc == 0)
    pthread_mutex_unlock(self->arg);
  return NULL;
}

/* What another thread is told. */
static int elsewhere(void* (*work)(struct one*), pthread_mutex_t* m) {
  struct one other;

  one_start(&other, work, m);
  return one_join(&other);
}

static void an_error_checking_mutex_names_the_error(void** state) {
  struct timespec soon = in_ms(CLOCK_REALTIME, 1000);
  pthread_mutex_t m;

  (void)state;
  make(&m, PTHREAD_MUTEX_ERRORCHECK);
  assert_int_equal(pthread_mutex_unlock(&m), EPERM);
  assert_int_equal(pthread_mutex_lock(&m), 0);
  assert_int_equal(pthread_mutex_lock(&m), EDEADLK);
  assert_int_equal(pthread_mutex_timedlock(&m, &soon), EDEADLK);
  assert_int_equal(pthread_mutex_trylock(&m), EBUSY);
  assert_int_equal(elsewhere(try_it, &m), EBUSY);
  assert_int_equal(elsewhere(unlock_it, &m), EPERM);
  assert_int_equal(pthread_mutex_unlock(&m), 0);
  assert_int_equal(elsewhere(try_it, &m), 0);
}

static void a_recursive_mutex_counts(void** state) {
  pthread_mutex_t* m = &static_recursive;

  (void)state;
  assert_int_equal(pthread_mutex_lock(m), 0);
  assert_int_equal(pthread_mutex_lock(m), 0);
  assert_int_equal(pthread_mutex_trylock(m), 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(elsewhere(try_it, m), EBUSY);
    assert_int_equal(elsewhere(unlock_it, m), EPERM);
    assert_int_equal(pthread_mutex_unlock(m), 0);
  }
  assert_int_equal(pthread_mutex_unlock(m), EPERM);
  assert_int_equal(elsewhere(try_it, m), 0);
}

struct timed {
  pthread_mutex_t* m;
  clockid_t clock;
  struct timespec when;
  bool in_time; /* it ended before `when` */
};

static void* lock_timed(struct one* self) {
  struct timed* t = self->arg;

  self->rc = pthread_mutex_clocklock(t->m, t->clock, &t->when);
  t->in_time = !has_come(t->clock, &t->when);
  if (self->rc == 0)
    pthread_mutex_unlock(t->m);
  return NULL;
}

static void a_timed_lock_gives_up_when_the_time_has_come(void** state) {
  static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC};
  static const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE};

  (void)state;
  for (size_t i = 0; i < 4; i++) {
    pthread_mutex_t m;
    struct timed t = {&m, clocks[i % 2], {0, 0}, false};
    struct one other;

    make(&m, kinds[i / 2]);
    pthread_mutex_lock(&m);
    t.when = in_ms(t.clock, 30);
    one_start(&other, lock_timed, &t);
    assert_int_equal(one_join(&other), ETIMEDOUT);
    assert_false(t.in_time);

    t.when = (struct timespec){-1, 0};
    one_start(&other, lock_timed, &t);
    assert_int_equal(one_join(&other), ETIMEDOUT);

    t.when = in_ms(t.clock, 60000);
    one_start(&other, lock_timed, &t);
    WAIT_FOR(one_sleeps(&other));
    pthread_mutex_unlock(&m);
    assert_int_equal(one_join(&other), 0);
    assert_true(t.in_time);
  }
}

static void a_time_that_is_none_is_looked_at_only_by_who_waits(void** state) {
  struct timespec none = {1, 1000000000};
  struct timed t = {&static_normal, CLOCK_REALTIME, none, false};
  struct one other;

  (void)state;
  assert_int_equal(pthread_mutex_timedlock(&static_normal, &none), 0);
  one_start(&other, lock_timed, &t);
  assert_int_equal(one_join(&other), EINVAL);
  assert_int_equal(pthread_mutex_unlock(&static_normal), 0);
}

static void a_held_mutex_is_not_destroyed(void** state) {
  pthread_mutex_t m;

  (void)state;
  make(&m, PTHREAD_MUTEX_NORMAL);
  pthread_mutex_lock(&m);
  assert_int_equal(pthread_mutex_destroy(&m), EBUSY);
  pthread_mutex_unlock(&m);
  assert_int_equal(pthread_mutex_destroy(&m), 0);
  assert_int_equal(pthread_mutex_lock(&m), EINVAL);
  assert_int_equal(pthread_mutex_init(&m, NULL), 0);
  assert_int_equal(pthread_mutex_lock(&m), 0);
}

static void* die_with_it(struct one* self) {
  self->rc = pthread_mutex_lock(self->arg);
  return NULL;
}

static void a_robust_mutex_tells_of_an_owner_that_died(void** state) {
  pthread_mutexattr_t attr;
  pthread_mutex_t m;
  struct one other;

  (void)state;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
  assert_int_equal(pthread_mutex_init(&m, &attr), 0);
  one_start(&other, die_with_it, &m);
  assert_int_equal(one_join(&other), 0);
  assert_int_equal(pthread_mutex_lock(&m), EOWNERDEAD);
  assert_int_equal(pthread_mutex_consistent(&m), 0);
  assert_int_equal(pthread_mutex_unlock(&m), 0);
  assert_int_equal(pthread_mutex_destroy(&m), 0);
}

static void a_mutex_that_inherits_priority_works(void** state) {
  pthread_mutexattr_t attr;
  pthread_mutex_t m;
  struct counted c = {&m, 0};

  (void)state;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
  assert_int_equal(pthread_mutex_init(&m, &attr), 0);
  team_run(THREADS, count_up, &c);
  assert_int_equal(c.count, THREADS * 20000);
}

static void a_shared_mutex_excludes_a_child(void** state) {
  struct {
    pthread_mutex_t m;
    struct counted c;
  }* both = shared_memory(sizeof *both);
  pthread_mutexattr_t attr;
  pid_t child;

  (void)state;
  pthread_mutexattr_init(&attr);
  pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  assert_int_equal(pthread_mutex_init(&both->m, &attr), 0);
  both->c.m = &both->m;
  child = fork();
  count_up(&both->c, 0);
  if (child == 0)
    _exit(0);
  assert_int_equal(exit_of(child), 0);
  assert_int_equal(both->c.count, 2 * 20000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_library_answers),
      cmocka_unit_test(every_kind_excludes),
      cmocka_unit_test(an_error_checking_mutex_names_the_error),
      cmocka_unit_test(a_recursive_mutex_counts),
      cmocka_unit_test(a_timed_lock_gives_up_when_the_time_has_come),
      cmocka_unit_test(a_time_that_is_none_is_looked_at_only_by_who_waits),
      cmocka_unit_test(a_held_mutex_is_not_destroyed),
      cmocka_unit_test(a_robust_mutex_tells_of_an_owner_that_died),
      cmocka_unit_test(a_mutex_that_inherits_priority_works),
      cmocka_unit_test(a_shared_mutex_excludes_a_child),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
