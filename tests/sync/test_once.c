/* SPDX-License-Identifier: MIT
 *
 * test_once.c - pkd_once_t: one success, however many try, fail, give up, call
 * themselves or are taken away in the middle. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/once.h>

static pkd_once_t once;
static unsigned runs, ready, go;
static int made; /* plain: the once orders it */

static int reset(void** state) {
  (void)state;
  once = (pkd_once_t)PKD_ONCE_INIT;
  runs = ready = go = 0;
  made = 0;
  return 0;
}

static void make(void) {
  count_up(&runs);
  made = 42;
}

static int make_slowly(void* arg) {
  (void)arg;
  count_up(&ready);
  WAIT_FOR(count_of(&go) != 0);
  make();
  return 0;
}

static int fail_slowly(void* arg) {
  (void)arg;
  count_up(&runs);
  count_up(&ready);
  WAIT_FOR(count_of(&go) != 0);
  return 7;
}

static int count_and_fail(void* arg) {
  (void)arg;
  count_up(&runs);
  return 5;
}

static int succeed(void* arg) {
  (void)arg;
  make();
  return 0;
}

/* --- one thread ------------------------------------------------------------ */

static void it_runs_once(void** state) {
  (void)state;
  assert_int_equal(pkd_once_is_done(&once), 0);
  pkd_once_call(&once, make);
  pkd_once_call(&once, make);
  assert_int_equal(pkd_once_try(&once, count_and_fail, NULL), 0);
  assert_int_equal(runs, 1);
  assert_int_equal(pkd_once_is_done(&once), 1);
}

static void a_failure_is_told_and_the_next_call_tries(void** state) {
  (void)state;
  assert_int_equal(pkd_once_try(&once, count_and_fail, NULL), 5);
  assert_int_equal(once.word, 0);
  assert_int_equal(pkd_once_try(&once, count_and_fail, NULL), 5);
  assert_int_equal(pkd_once_try(&once, succeed, NULL), 0);
  assert_int_equal(runs, 3);
  assert_int_equal(pkd_once_is_done(&once), 1);
}

static int call_myself(void* arg) {
  int* rc = arg;

  *rc = pkd_once_try(&once, succeed, NULL);
  return 0;
}

static void re_entry_is_told(void** state) {
  int rc = 1;

  (void)state;
  assert_int_equal(pkd_once_try(&once, call_myself, &rc), 0);
  assert_int_equal(rc, -EDEADLK);
  assert_int_equal(runs, 0);
  assert_int_equal(pkd_once_is_done(&once), 1);
}

static void call_plainly_from_within(void) {
  pkd_once_call(&once, call_plainly_from_within);
}

static void re_enter(void) {
  pkd_once_call(&once, call_plainly_from_within);
}

static void re_entry_without_a_code_stops_the_program(void** state) {
  char words[256];

  (void)state;
  assert_int_equal(last_words(re_enter, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "pkd_once_call"));
  assert_non_null(strstr(words, "its own initializer"));
}

static pkd_once_t inner;

static int call_another(void* arg) {
  (void)arg;
  return pkd_once_try(&inner, succeed, NULL);
}

static void an_initializer_may_call_another_once(void** state) {
  (void)state;
  inner = (pkd_once_t)PKD_ONCE_INIT;
  assert_int_equal(pkd_once_try(&once, call_another, NULL), 0);
  assert_int_equal(pkd_once_is_done(&inner), 1);
  assert_int_equal(pkd_once_is_done(&once), 1);
}

/* --- several --------------------------------------------------------------- */

struct seen {
  int rc[CREW_MAX];
  int made[CREW_MAX];
};

static void call_it(void* arg, unsigned number) {
  struct seen* seen = arg;

  seen->rc[number] = pkd_once_try(&once, succeed, NULL);
  seen->made[number] = made;
}

static void a_stampede_runs_it_once_and_all_see_it(void** state) {
  (void)state;
  for (int round = 0; round < ROUNDS(250); round++) {
    struct seen seen;

    reset(NULL);
    team_run(8, call_it, &seen);
    assert_int_equal(runs, 1);
    assert_int_equal(once.word, 4);
    for (int i = 0; i < 8; i++) {
      assert_int_equal(seen.rc[i], 0);
      assert_int_equal(seen.made[i], 42);
    }
  }
}

static void run_slowly(void* arg, unsigned number) {
  (void)number;
  *(int*)arg = pkd_once_try(&once, make_slowly, NULL);
}

static void fail_first(void* arg, unsigned number) {
  (void)number;
  *(int*)arg = pkd_once_try(&once, fail_slowly, NULL);
}

static void waiters_sleep_until_it_is_done(void** state) {
  struct crew runner, waiters;
  struct seen seen;
  int rc = 1;

  (void)state;
  crew_start(&runner, 1, run_slowly, &rc);
  WAIT_FOR(count_of(&ready) == 1);
  crew_start(&waiters, 16, call_it, &seen);
  WAIT_FOR(waiting_at(&once) == 16);
  assert_int_equal(pkd_once_is_done(&once), 0);
  count_up(&go);
  crew_join(&runner);
  crew_join(&waiters);
  assert_int_equal(rc, 0);
  assert_int_equal(runs, 1);
  for (int i = 0; i < 16; i++)
    assert_int_equal(seen.made[i], 42);
}

static void after_a_failure_one_waiter_runs_it_for_all(void** state) {
  struct crew runner, waiters;
  struct seen seen;
  int rc = 0;

  (void)state;
  crew_start(&runner, 1, fail_first, &rc);
  WAIT_FOR(count_of(&ready) == 1);
  crew_start(&waiters, 16, call_it, &seen);
  WAIT_FOR(waiting_at(&once) == 16);
  count_up(&go);
  crew_join(&runner);
  crew_join(&waiters);
  assert_int_equal(rc, 7);
  assert_int_equal(runs, 2);
  for (int i = 0; i < 16; i++) {
    assert_int_equal(seen.rc[i], 0);
    assert_int_equal(seen.made[i], 42);
  }
  assert_int_equal(once.word, 4);
}

static void fail_it(void* arg, unsigned number) {
  int* rc = arg;

  rc[number] = pkd_once_try(&once, count_and_fail, NULL);
}

static void if_all_fail_each_has_tried(void** state) {
  struct crew runner, waiters;
  int first = 0, rc[16];

  (void)state;
  crew_start(&runner, 1, fail_first, &first);
  WAIT_FOR(count_of(&ready) == 1);
  crew_start(&waiters, 16, fail_it, rc);
  WAIT_FOR(waiting_at(&once) == 16);
  count_up(&go);
  crew_join(&runner);
  crew_join(&waiters);
  assert_int_equal(runs, 17);
  for (int i = 0; i < 16; i++)
    assert_int_equal(rc[i], 5);
  assert_int_equal(once.word, 0);
}

/* --- giving up ------------------------------------------------------------- */

static void a_wait_for_it_can_be_bounded_and_cancelled(void** state) {
  pkd_cancel_t cancel = PKD_CANCEL_INIT;
  struct crew runner;
  int rc = 1;

  (void)state;
  crew_start(&runner, 1, run_slowly, &rc);
  WAIT_FOR(count_of(&ready) == 1);
  assert_int_equal(
      pkd_once_try_cancellable(&once, succeed, NULL, NULL, pkd_now()),
      -ETIMEDOUT);
  assert_int_equal(
      pkd_once_try_cancellable(&once, succeed, NULL, NULL, pkd_after(2 * MS)),
      -ETIMEDOUT);
  pkd_cancel_fire(&cancel);
  assert_int_equal(
      pkd_once_try_cancellable(&once, succeed, NULL, &cancel, PKD_FOREVER),
      -ECANCELED);
  assert_int_equal(once.word, 1); /* as if nobody had waited */
  count_up(&go);
  crew_join(&runner);
  assert_int_equal(pkd_once_try_cancellable(&once, succeed, NULL, &cancel, 0),
                   0);
}

/* --- leaving the initializer by the window --------------------------------- */

/* The sanitizers lose their way when a cancellation leaves a call that they
 * intercept, so pthread_testcancel is the only point of cancellation here. */
static int never_return(void* arg) {
  (void)arg;
  count_up(&ready);
  while (count_of(&go) == 0) {
    pthread_testcancel();
    sched_yield();
  }
  return 0;
}

static void* run_until_cancelled(void* arg) {
  pkd_once_try(&once, never_return, arg);
  return NULL;
}

static int end_my_thread(void* arg) {
  pthread_exit(arg);
  return 0;
}

static void* run_and_exit(void* arg) {
  pkd_once_try(&once, end_my_thread, arg);
  return NULL;
}

static void cancelling_the_initializing_thread_counts_as_failure(void** state) {
  struct crew waiters;
  struct seen seen;
  pthread_t victim;

  (void)state;
  pthread_create(&victim, NULL, run_until_cancelled, NULL);
  WAIT_FOR(count_of(&ready) == 1);
  crew_start(&waiters, 4, call_it, &seen);
  WAIT_FOR(waiting_at(&once) == 4);
  pthread_cancel(victim);
  pthread_join(victim, NULL);
  crew_join(&waiters);
  assert_int_equal(runs, 1);
  for (int i = 0; i < 4; i++)
    assert_int_equal(seen.made[i], 42);
}

static void ending_the_initializing_thread_counts_as_failure(void** state) {
  pthread_t quitter;

  (void)state;
  pthread_create(&quitter, NULL, run_and_exit, NULL);
  pthread_join(quitter, NULL);
  assert_int_equal(once.word, 0);
  assert_int_equal(pkd_once_try(&once, succeed, NULL), 0);
}

/* --- memory, signals, processes -------------------------------------------- */

struct object {
  pkd_once_t once;
  unsigned users; /* atomic */
};

static void init_and_free(void* arg, unsigned number) {
  struct object** objects = arg;

  (void)number;
  for (int i = 0; i < ROUNDS(20000); i++) {
    struct object* o = objects[i];

    pkd_once_try(&o->once, succeed, NULL);
    if (__atomic_sub_fetch(&o->users, 1, __ATOMIC_ACQ_REL) == 0)
      free(o);
  }
}

static void it_may_be_freed_when_all_calls_have_returned(void** state) {
  static struct object* objects[20001];

  (void)state;
  for (int i = 0; i < ROUNDS(20000); i++) {
    objects[i] = calloc(1, sizeof *objects[i]);
    objects[i]->users = 3;
  }
  team_run(3, init_and_free, objects);
  assert_int_equal(runs, ROUNDS(20000));
}

static void on_signal(int signal) {
  (void)signal;
}

static void signals_do_not_end_a_wait(void** state) {
  struct sigaction act, old;
  struct crew runner, waiters;
  struct seen seen;
  int rc = 1;

  (void)state;
  memset(&act, 0, sizeof act);
  act.sa_handler = on_signal;
  sigaction(SIGUSR1, &act, &old);
  crew_start(&runner, 1, run_slowly, &rc);
  WAIT_FOR(count_of(&ready) == 1);
  crew_start(&waiters, 4, call_it, &seen);
  WAIT_FOR(waiting_at(&once) == 4);
  for (int i = 0; i < 400; i++)
    pthread_kill(waiters.threads[i % 4], SIGUSR1);
  assert_int_equal(waiting_at(&once), 4);
  count_up(&go);
  crew_join(&runner);
  crew_join(&waiters);
  assert_int_equal(runs, 1);
  sigaction(SIGUSR1, &old, NULL);
}

static int finish_in_both(void* arg) {
  pid_t child = fork();
  int status = 1;

  if (child == 0)
    return 0;
  waitpid(child, &status, 0);
  *(int*)arg = status;
  return 0;
}

static void fork_within(void) {
  int status = 1;

  if (pkd_once_try(&once, finish_in_both, &status) != 0 ||
      !pkd_once_is_done(&once))
    _exit(1);
  /* The inner child gets here too, with its status still 1. */
}

static void an_initializer_that_forks_is_done_in_both(void** state) {
  (void)state;
  assert_int_equal(run_in_child(fork_within), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(it_runs_once),
      TEST(a_failure_is_told_and_the_next_call_tries),
      TEST(re_entry_is_told),
      TEST(re_entry_without_a_code_stops_the_program),
      TEST(an_initializer_may_call_another_once),
      TEST(a_stampede_runs_it_once_and_all_see_it),
      TEST(waiters_sleep_until_it_is_done),
      TEST(after_a_failure_one_waiter_runs_it_for_all),
      TEST(if_all_fail_each_has_tried),
      TEST(a_wait_for_it_can_be_bounded_and_cancelled),
      TEST(cancelling_the_initializing_thread_counts_as_failure),
      TEST(ending_the_initializing_thread_counts_as_failure),
      TEST(it_may_be_freed_when_all_calls_have_returned),
      TEST(signals_do_not_end_a_wait),
      TEST(an_initializer_that_forks_is_done_in_both),
  };
  return cmocka_run_group_tests_name("once", tests, NULL, NULL);
}
