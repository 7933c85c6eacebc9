/* SPDX-License-Identifier: MIT
 *
 * test_pthread_rwlock.c - pthread_rwlock_t. */
#define _GNU_SOURCE

#include "kit.h"

static pthread_rwlock_t fixed = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t for_writers =
    PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;

struct pair {
  pthread_rwlock_t* l;
  long a, b;
  long torn;
};

static void read_and_write(void* arg, unsigned number) {
  struct pair* p = arg;

  for (int i = 0; i < 10000; i++) {
    if ((i + (int)number) % 4 == 0) {
      pthread_rwlock_wrlock(p->l);
      p->a++;
      p->b++;
      pthread_rwlock_unlock(p->l);
    } else {
      pthread_rwlock_rdlock(p->l);
      if (p->a != p->b)
        __atomic_fetch_add(&p->torn, 1, __ATOMIC_RELAXED);
      pthread_rwlock_unlock(p->l);
    }
  }
}

static void writers_exclude_all_others(void** state) {
  pthread_rwlock_t made;
  struct pair pairs[] = {
      {&fixed, 0, 0, 0}, {&for_writers, 0, 0, 0}, {&made, 0, 0, 0}};

  (void)state;
  assert_int_equal(pthread_rwlock_init(&made, NULL), 0);
  for (size_t i = 0; i < LENGTH(pairs); i++) {
    team_run(4, read_and_write, &pairs[i]);
    assert_int_equal(pairs[i].a, 10000);
    assert_int_equal(pairs[i].b, 10000);
    assert_int_equal(pairs[i].torn, 0);
  }
  assert_int_equal(pthread_rwlock_destroy(&made), 0);
}

static void* try_both(struct one* self) {
  if (pthread_rwlock_tryrdlock(self->arg) == 0) {
    self->rc |= 1;
    pthread_rwlock_unlock(self->arg);
  }
  if (pthread_rwlock_trywrlock(self->arg) == 0) {
    self->rc |= 2;
    pthread_rwlock_unlock(self->arg);
  }
  return NULL;
}

static int elsewhere(void) {
  struct one other;

  one_start(&other, try_both, &fixed);
  return one_join(&other);
}

static void readers_share_and_writers_do_not(void** state) {
  (void)state;
  assert_int_equal(elsewhere(), 3);
  assert_int_equal(pthread_rwlock_rdlock(&fixed), 0);
  assert_int_equal(elsewhere(), 1);
  assert_int_equal(pthread_rwlock_trywrlock(&fixed), EBUSY);
  assert_int_equal(pthread_rwlock_unlock(&fixed), 0);
  assert_int_equal(pthread_rwlock_wrlock(&fixed), 0);
  assert_int_equal(elsewhere(), 0);
  assert_int_equal(pthread_rwlock_unlock(&fixed), 0);
  assert_int_equal(elsewhere(), 3);
}

static void a_writer_that_asks_again_is_told(void** state) {
  struct timespec soon = in_ms(CLOCK_REALTIME, 1000);

  (void)state;
  assert_int_equal(pthread_rwlock_wrlock(&fixed), 0);
  assert_int_equal(pthread_rwlock_wrlock(&fixed), EDEADLK);
  assert_int_equal(pthread_rwlock_rdlock(&fixed), EDEADLK);
  assert_int_equal(pthread_rwlock_timedwrlock(&fixed, &soon), EDEADLK);
  assert_int_equal(pthread_rwlock_trywrlock(&fixed), EBUSY);
  assert_int_equal(pthread_rwlock_tryrdlock(&fixed), EBUSY);
  assert_int_equal(pthread_rwlock_unlock(&fixed), 0);
}

static void* write_once(struct one* self) {
  self->rc = pthread_rwlock_wrlock(self->arg);
  pthread_rwlock_unlock(self->arg);
  return NULL;
}

static void who_reads_may_read_again_while_a_writer_waits(void** state) {
  struct one writer;

  (void)state;
  assert_int_equal(pthread_rwlock_rdlock(&fixed), 0);
  one_start(&writer, write_once, &fixed);
  WAIT_FOR(one_sleeps(&writer));
  assert_int_equal(pthread_rwlock_rdlock(&fixed), 0);
  assert_int_equal(pthread_rwlock_tryrdlock(&fixed), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(pthread_rwlock_unlock(&fixed), 0);
  assert_int_equal(one_join(&writer), 0);
}

static void* wait_timed(struct one* self) {
  struct timespec when[2] = {in_ms(CLOCK_REALTIME, 20),
                             in_ms(CLOCK_MONOTONIC, 20)};
  pthread_rwlock_t* l = self->arg;

  if (pthread_rwlock_timedwrlock(l, &when[0]) == ETIMEDOUT &&
      has_come(CLOCK_REALTIME, &when[0]))
    self->rc |= 1;
  if (pthread_rwlock_clockwrlock(l, CLOCK_MONOTONIC, &when[1]) == ETIMEDOUT &&
      has_come(CLOCK_MONOTONIC, &when[1]))
    self->rc |= 2;
  when[0] = in_ms(CLOCK_REALTIME, 20);
  when[1] = in_ms(CLOCK_MONOTONIC, 20);
  if (pthread_rwlock_timedrdlock(l, &when[0]) == ETIMEDOUT)
    self->rc |= 4;
  if (pthread_rwlock_clockrdlock(l, CLOCK_MONOTONIC, &when[1]) == ETIMEDOUT)
    self->rc |= 8;
  when[0].tv_nsec = -1;
  if (pthread_rwlock_timedrdlock(l, &when[0]) == EINVAL)
    self->rc |= 16;
  return NULL;
}

static void a_timed_wait_ends(void** state) {
  struct one other;

  (void)state;
  assert_int_equal(pthread_rwlock_wrlock(&fixed), 0);
  one_start(&other, wait_timed, &fixed);
  assert_int_equal(one_join(&other), 31);
  assert_int_equal(pthread_rwlock_unlock(&fixed), 0);
  assert_int_equal(elsewhere(), 3);
}

static void a_shared_one_excludes_a_child(void** state) {
  struct {
    pthread_rwlock_t l;
    struct pair p;
  }* both = shared_memory(sizeof *both);
  pthread_rwlockattr_t attr;
  pid_t child;

  (void)state;
  pthread_rwlockattr_init(&attr);
  pthread_rwlockattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  assert_int_equal(pthread_rwlock_init(&both->l, &attr), 0);
  both->p.l = &both->l;
  child = fork();
  read_and_write(&both->p, 0);
  if (child == 0)
    _exit(0);
  assert_int_equal(exit_of(child), 0);
  assert_int_equal(both->p.a, 5000);
  assert_int_equal(both->p.torn, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_library_answers),
      cmocka_unit_test(writers_exclude_all_others),
      cmocka_unit_test(readers_share_and_writers_do_not),
      cmocka_unit_test(a_writer_that_asks_again_is_told),
      cmocka_unit_test(who_reads_may_read_again_while_a_writer_waits),
      cmocka_unit_test(a_timed_wait_ends),
      cmocka_unit_test(a_shared_one_excludes_a_child),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
