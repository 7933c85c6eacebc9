/* SPDX-License-Identifier: MIT
 *
 * test_pthread_sem.c - sem_t, in signal handlers too; and pthread_barrier_t. */
#define _GNU_SOURCE

#include "kit.h"

#include <limits.h>

static int value_of(sem_t* s) {
  int value = -1;

  assert_int_equal(sem_getvalue(s, &value), 0);
  return value;
}

static int fails_with(int rc) {
  return rc == -1 ? errno : 0;
}

static void a_semaphore_counts(void** state) {
  sem_t s;

  (void)state;
  assert_int_equal(fails_with(sem_init(&s, 0, UINT32_MAX)), EINVAL);
  assert_int_equal(sem_init(&s, 0, 2), 0);
  assert_int_equal(value_of(&s), 2);
  assert_int_equal(sem_wait(&s), 0);
  assert_int_equal(sem_trywait(&s), 0);
  assert_int_equal(fails_with(sem_trywait(&s)), EAGAIN);
  assert_int_equal(value_of(&s), 0);
  assert_int_equal(sem_post(&s), 0);
  assert_int_equal(value_of(&s), 1);
  assert_int_equal(sem_destroy(&s), 0);
  assert_int_equal(sem_init(&s, 0, SEM_VALUE_MAX), 0);
  assert_int_equal(fails_with(sem_post(&s)), EOVERFLOW);
}

static void a_timed_wait_ends(void** state) {
  struct timespec when, none = {1, 1000000000};
  sem_t s;

  (void)state;
  sem_init(&s, 0, 0);
  when = in_ms(CLOCK_REALTIME, 20);
  assert_int_equal(fails_with(sem_timedwait(&s, &when)), ETIMEDOUT);
  assert_true(has_come(CLOCK_REALTIME, &when));
  when = in_ms(CLOCK_MONOTONIC, 20);
  assert_int_equal(fails_with(sem_clockwait(&s, CLOCK_MONOTONIC, &when)),
                   ETIMEDOUT);
  assert_true(has_come(CLOCK_MONOTONIC, &when));
  assert_int_equal(fails_with(sem_timedwait(&s, &none)), EINVAL);
  sem_post(&s);
  when = in_ms(CLOCK_REALTIME, 60000);
  assert_int_equal(sem_timedwait(&s, &when), 0);
}

struct pipe_of {
  sem_t full, empty;
  long sum;
  int slot;
};

static void* take_all(struct one* self) {
  struct pipe_of* p = self->arg;

  for (int i = 0; i < 10000; i++) {
    sem_wait(&p->full);
    p->sum += p->slot;
    sem_post(&p->empty);
  }
  return NULL;
}

static void
what_was_written_before_a_post_is_read_after_the_wait(void** state) {
  struct pipe_of p = {.sum = 0};
  struct one taker;

  (void)state;
  sem_init(&p.full, 0, 0);
  sem_init(&p.empty, 0, 1);
  one_start(&taker, take_all, &p);
  for (int i = 0; i < 10000; i++) {
    sem_wait(&p.empty);
    p.slot = i;
    sem_post(&p.full);
  }
  one_join(&taker);
  assert_int_equal(p.sum, 10000L * 9999 / 2);
}

static void* wait_for_ever(struct one* self) {
  for (;;)
    sem_wait(self->arg);
  return NULL;
}

static void a_wait_can_be_cancelled(void** state) {
  struct one other;
  void* result;
  sem_t s;

  (void)state;
  sem_init(&s, 0, 0);
  one_start(&other, wait_for_ever, &s);
  WAIT_FOR(one_sleeps(&other));
  assert_int_equal(pthread_cancel(other.thread), 0);
  assert_int_equal(pthread_join(other.thread, &result), 0);
  assert_true(result == PTHREAD_CANCELED);
  assert_int_equal(sem_post(&s), 0);
  assert_int_equal(value_of(&s), 1); /* nobody is left to take it */
}

/* --- between processes ----------------------------------------------------- */

static void one_of_several_processes_works(void** state) {
  sem_t* s = shared_memory(sizeof *s);
  pid_t child;

  (void)state;
  assert_int_equal(sem_init(s, 1, 0), 0);
  child = fork();
  if (child == 0)
    _exit(sem_wait(s) == 0 ? 0 : 1);
  assert_int_equal(sem_post(s), 0);
  assert_int_equal(exit_of(child), 0);
}

static void one_with_a_name_works(void** state) {
  char name[64];
  sem_t* s;
  pid_t child;

  (void)state;
  snprintf(name, sizeof name, "/parkade-test-%d", (int)getpid());
  s = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  assert_true(s != SEM_FAILED);
  child = fork();
  if (child == 0)
    _exit(sem_post(s) == 0 ? 0 : 1);
  assert_int_equal(sem_wait(s), 0);
  assert_int_equal(exit_of(child), 0);
  assert_int_equal(value_of(s), 0);
  assert_int_equal(sem_close(s), 0);
  assert_int_equal(sem_unlink(name), 0);
}

/* --- from signal handlers -------------------------------------------------- */

static sem_t posted_to;
static uint32_t posts; /* atomic: by handlers and others */
static uint32_t takes; /* atomic */
static uint32_t over;  /* atomic */
static uint32_t traps; /* of this round; the main thread's and its handlers' */
static uint32_t at[2]; /* the traps at which the handler posts */

static void post_it(void) {
  if (sem_post(&posted_to) == 0)
    __atomic_fetch_add(&posts, 1, __ATOMIC_RELAXED);
}

static void trapped(int number) {
  (void)number;
  traps++;
  if (traps == at[0] || traps == at[1])
    post_it();
}

static void* keep_taking(struct one* self) {
  (void)self;
  do {
    if (sem_wait(&posted_to) == 0)
      __atomic_fetch_add(&takes, 1, __ATOMIC_RELAXED);
  } while (__atomic_load_n(&over, __ATOMIC_RELAXED) == 0);
  return NULL;
}

/* Where the processor can trap after each instruction: a post that is interrupted
 * by posts after its nth and its mth. Elsewhere a handler that posts, no more. */
static void post_with_traps(void) {
  traps = 0;
#if defined(__x86_64__)
  __asm__ volatile("lea -128(%%rsp), %%rsp\n pushfq\n orq $0x100, (%%rsp)\n"
                   "popfq\n lea 128(%%rsp), %%rsp" ::
                       : "cc", "memory");
  post_it();
  __asm__ volatile("lea -128(%%rsp), %%rsp\n pushfq\n andq $~0x100, (%%rsp)\n"
                   "popfq\n lea 128(%%rsp), %%rsp" ::
                       : "cc", "memory");
#else
  post_it();
  for (uint32_t i = 0; i < 10; i++)
    raise(SIGTRAP);
#endif
}

static void a_handler_may_post_wherever_a_post_is(void** state) {
  static const uint32_t later[] = {0, 1, 7, 40};
  struct sigaction action = {.sa_handler = trapped};
  struct one taking[2];

  (void)state;
  sem_init(&posted_to, 0, 0);
  sigaction(SIGTRAP, &action, NULL);
  for (size_t i = 0; i < LENGTH(taking); i++)
    one_start(&taking[i], keep_taking, NULL);
  /* Not at each instruction, for the sake of time; at others in each process. */
  at[0] = 1 + (uint32_t)getpid() % 3;
  for (uint32_t round = 0; round == 0 || at[0] <= traps + 4; round++) {
    at[0] += 3;
    at[1] = at[0] + later[round % LENGTH(later)];
    for (size_t i = 0; i < LENGTH(taking); i++)
      WAIT_FOR(one_sleeps(&taking[i]));
    post_with_traps();
    WAIT_FOR(__atomic_load_n(&takes, __ATOMIC_RELAXED) ==
             __atomic_load_n(&posts, __ATOMIC_RELAXED));
    assert_int_equal(value_of(&posted_to), 0);
  }
  __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
  for (size_t i = 0; i < LENGTH(taking); i++)
    sem_post(&posted_to);
  for (size_t i = 0; i < LENGTH(taking); i++)
    one_join(&taking[i]);
}

/* --- barriers -------------------------------------------------------------- */

enum { PARTIES = 5, ROUNDS_OF_ALL = 500 };

struct meeting {
  pthread_barrier_t b;
  uint32_t arrived; /* atomic */
  uint32_t serial;  /* atomic */
  uint32_t early;   /* atomic */
};

static void meet(void* arg, unsigned number) {
  struct meeting* m = arg;

  (void)number;
  for (uint32_t round = 1; round <= ROUNDS_OF_ALL; round++) {
    int rc;

    __atomic_fetch_add(&m->arrived, 1, __ATOMIC_RELAXED);
    rc = pthread_barrier_wait(&m->b);
    if (rc == PTHREAD_BARRIER_SERIAL_THREAD)
      __atomic_fetch_add(&m->serial, 1, __ATOMIC_RELAXED);
    if (__atomic_load_n(&m->arrived, __ATOMIC_RELAXED) < round * PARTIES)
      __atomic_fetch_add(&m->early, 1, __ATOMIC_RELAXED);
  }
}

static void a_barrier_opens_when_all_have_come(void** state) {
  struct meeting m = {.arrived = 0};

  (void)state;
  assert_int_equal(pthread_barrier_init(&m.b, NULL, 0), EINVAL);
  assert_int_equal(pthread_barrier_init(&m.b, NULL, PARTIES), 0);
  team_run(PARTIES, meet, &m);
  assert_int_equal(m.early, 0);
  assert_int_equal(m.serial, ROUNDS_OF_ALL);
  assert_int_equal(pthread_barrier_destroy(&m.b), 0);
}

static void a_shared_barrier_opens_for_a_child(void** state) {
  pthread_barrier_t* b = shared_memory(sizeof *b);
  pthread_barrierattr_t attr;
  pid_t child;
  int rc;

  (void)state;
  pthread_barrierattr_init(&attr);
  pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
  assert_int_equal(pthread_barrier_init(b, &attr, 2), 0);
  child = fork();
  rc = pthread_barrier_wait(b);
  if (child == 0)
    _exit(rc == PTHREAD_BARRIER_SERIAL_THREAD ? 1 : 0);
  assert_int_equal(exit_of(child), rc == 0 ? 1 : 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_library_answers),
      cmocka_unit_test(a_semaphore_counts),
      cmocka_unit_test(a_timed_wait_ends),
      cmocka_unit_test(what_was_written_before_a_post_is_read_after_the_wait),
      cmocka_unit_test(a_wait_can_be_cancelled),
      cmocka_unit_test(one_of_several_processes_works),
      cmocka_unit_test(one_with_a_name_works),
      cmocka_unit_test(a_handler_may_post_wherever_a_post_is),
      cmocka_unit_test(a_barrier_opens_when_all_have_come),
      cmocka_unit_test(a_shared_barrier_opens_for_a_child),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
