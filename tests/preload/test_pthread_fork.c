/* SPDX-License-Identifier: MIT
 *
 * test_pthread_fork.c - pthread_once, and all of it in the child of a fork. */
#define _GNU_SOURCE

#include "kit.h"

/* --- once ------------------------------------------------------------------ */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t runs;  /* atomic */
static uint32_t unfit; /* atomic: came back before the end of the run */

static void initialize(void) {
  sched_yield();
  __atomic_fetch_add(&runs, 1, __ATOMIC_RELAXED);
}

static void call_once_each(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pthread_once(&once, initialize);
  if (__atomic_load_n(&runs, __ATOMIC_RELAXED) != 1)
    __atomic_fetch_add(&unfit, 1, __ATOMIC_RELAXED);
}

static void it_runs_once(void** state) {
  (void)state;
  team_run(8, call_once_each, NULL);
  assert_int_equal(runs, 1);
  assert_int_equal(unfit, 0);
}

static pthread_once_t left_once = PTHREAD_ONCE_INIT;
static uint32_t tries; /* atomic */

static void leave_the_first_time(void) {
  if (__atomic_fetch_add(&tries, 1, __ATOMIC_RELAXED) == 0)
    pthread_exit(NULL);
}

static void* call_left_once(struct one* self) {
  self->rc = 1;
  pthread_once(&left_once, leave_the_first_time);
  self->rc = 2;
  return NULL;
}

static void an_initializer_that_was_left_runs_anew(void** state) {
  struct one first;

  (void)state;
  one_start(&first, call_left_once, NULL);
  assert_int_equal(one_join(&first), 1);
  assert_int_equal(pthread_once(&left_once, leave_the_first_time), 0);
  assert_int_equal(tries, 2);
  assert_int_equal(pthread_once(&left_once, leave_the_first_time), 0);
  assert_int_equal(tries, 2);
}

static pthread_once_t slow_once = PTHREAD_ONCE_INIT;
static pthread_barrier_t in_slow, out_of_slow;
static uint32_t is_child; /* in the child's memory only */
static uint32_t slow_runs;

static void run_slowly(void) {
  slow_runs++;
  if (is_child == 0) {
    pthread_barrier_wait(&in_slow);
    pthread_barrier_wait(&out_of_slow);
  }
}

static void* call_slow_once(struct one* self) {
  self->rc = pthread_once(&slow_once, run_slowly);
  return NULL;
}

static void a_child_runs_what_its_parent_had_not_ended(void** state) {
  struct one runner, waiter;
  pid_t child;

  (void)state;
  pthread_barrier_init(&in_slow, NULL, 2);
  pthread_barrier_init(&out_of_slow, NULL, 2);
  one_start(&runner, call_slow_once, NULL);
  pthread_barrier_wait(&in_slow);
  one_start(&waiter, call_slow_once, NULL);
  WAIT_FOR(one_sleeps(&waiter));
  child = fork();
  if (child == 0) {
    is_child = 1;
    alarm(30);
    pthread_once(&slow_once, run_slowly);
    pthread_once(&slow_once, run_slowly);
    pthread_once(&once, initialize);
    _exit((int)(slow_runs + 10 * runs));
  }
  assert_int_equal(exit_of(child), 2 + 10);
  pthread_barrier_wait(&out_of_slow);
  assert_int_equal(one_join(&runner), 0);
  assert_int_equal(one_join(&waiter), 0);
  assert_int_equal(slow_runs, 1);
}

/* --- fork ------------------------------------------------------------------ */

/* As an allocator does it: locked before the fork, unlocked on both sides. Plain
 * mutexes: of the others glibc's own can hang in the child. */
static struct {
  pthread_mutex_t m[3];
  uint32_t over;  /* atomic */
  uint32_t turns; /* atomic */
} world = {.m = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                 PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP}};

static void lock_world(void) {
  for (size_t i = 0; i < LENGTH(world.m); i++)
    pthread_mutex_lock(&world.m[i]);
}

static void unlock_world(void) {
  for (size_t i = LENGTH(world.m); i-- > 0;)
    pthread_mutex_unlock(&world.m[i]);
}

static void use_world(void) {
  lock_world();
  unlock_world();
}

static void keep_using_it(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  while (__atomic_load_n(&world.over, __ATOMIC_RELAXED) == 0) {
    use_world();
    __atomic_fetch_add(&world.turns, 1, __ATOMIC_RELAXED);
  }
}

static void a_child_can_use_what_was_locked_for_the_fork(void** state) {
  struct team team;

  (void)state;
  pthread_atfork(lock_world, unlock_world, unlock_world);
  team_start(&team, 4, keep_using_it, NULL);
  for (int i = 0; i < 100; i++) {
    uint32_t before = __atomic_load_n(&world.turns, __ATOMIC_RELAXED);
    pid_t child;

    WAIT_FOR(__atomic_load_n(&world.turns, __ATOMIC_RELAXED) > before + 4);
    child = fork();
    if (child == 0) {
      alarm(30);
      for (int round = 0; round < 3; round++)
        use_world();
      _exit(7);
    }
    assert_int_equal(exit_of(child), 7);
  }
  __atomic_store_n(&world.over, 1, __ATOMIC_RELAXED);
  team_join(&team);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_right_library_answers),
      cmocka_unit_test(it_runs_once),
      cmocka_unit_test(an_initializer_that_was_left_runs_anew),
      cmocka_unit_test(a_child_runs_what_its_parent_had_not_ended),
      cmocka_unit_test(a_child_can_use_what_was_locked_for_the_fork),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
