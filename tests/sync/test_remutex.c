/* SPDX-License-Identifier: MIT
 *
 * test_remutex.c - pkd_remutex_t: whose it is, and how often. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/remutex.h>

static void it_is_sixteen_bytes_and_zeroed_is_free(void** state) {
  pkd_remutex_t m;

  (void)state;
  memset(&m, 0, sizeof m);
  assert_true(sizeof m <= 16);
  assert_int_equal(pkd_remutex_is_locked(&m), 0);
  assert_int_equal(pkd_remutex_depth(&m), 0);
  assert_int_equal(pkd_remutex_trylock(&m), 0);
}

struct shared {
  pkd_remutex_t m;
  pkd_cancel_t cancel;
  int counter; /* under m */
  int rc;
  uint32_t depth;
};

static void try_it(void* arg, unsigned number) {
  struct shared* s = arg;

  (void)number;
  s->depth = pkd_remutex_depth(&s->m);
  s->rc = pkd_remutex_trylock(&s->m);
  if (s->rc == 0)
    pkd_remutex_unlock(&s->m);
}

static int elsewhere(struct shared* s) {
  team_run(1, try_it, s);
  return s->rc;
}

static void only_the_outermost_unlock_lets_others_in(void** state) {
  struct shared s = {.rc = 1};

  (void)state;
  pkd_remutex_lock(&s.m);
  pkd_remutex_lock(&s.m);
  assert_int_equal(pkd_remutex_trylock(&s.m), 0);
  assert_int_equal(pkd_remutex_lock_for(&s.m, 0), 0);
  assert_int_equal(pkd_remutex_depth(&s.m), 4);
  for (uint32_t left = 4; left != 0; left--) {
    assert_int_equal(elsewhere(&s), -EBUSY);
    assert_int_equal(s.depth, 0); /* not the other's */
    assert_int_equal(pkd_remutex_depth(&s.m), left);
    if (left % 2)
      pkd_remutex_unlock(&s.m);
    else
      pkd_remutex_unlock_fair(&s.m);
  }
  assert_int_equal(elsewhere(&s), 0);
  assert_int_equal(pkd_remutex_depth(&s.m), 0);
}

static void count_nested(void* arg, unsigned number) {
  struct shared* s = arg;

  (void)number;
  for (int i = 0; i < ROUNDS(20000); i++) {
    PKD_WITH_REMUTEX(&s->m) {
      PKD_WITH_REMUTEX(&s->m) {
        s->counter++;
      }
    }
  }
}

static void sections_exclude_each_other(void** state) {
  struct shared s = {.counter = 0};

  (void)state;
  team_run(4, count_nested, &s);
  assert_int_equal(s.counter, 4 * ROUNDS(20000));
  assert_int_equal(s.m.mutex.word, 0);
}

static void give_up(void* arg, unsigned number) {
  struct shared* s = arg;

  if (number == 0)
    s->rc = pkd_remutex_lock_for(&s->m, 2 * MS);
  else
    s->rc = pkd_remutex_lock_cancellable(&s->m, &s->cancel, PKD_FOREVER);
}

static void others_may_give_up(void** state) {
  struct shared s = {.rc = 1};
  struct crew crew;

  (void)state;
  pkd_remutex_lock(&s.m);
  crew_start(&crew, 1, give_up, &s);
  pthread_join(crew.threads[0], NULL);
  assert_int_equal(s.rc, -ETIMEDOUT);
  crew_add(&crew);
  WAIT_FOR(waiting_at(&s.cancel) == 1);
  pkd_cancel_fire(&s.cancel);
  pthread_join(crew.threads[1], NULL);
  assert_int_equal(s.rc, -ECANCELED);
  assert_int_equal(pkd_remutex_depth(&s.m), 1);
}

static void count_up_once(void* arg, unsigned number) {
  struct shared* s = arg;

  (void)number;
  pkd_remutex_lock(&s->m);
  s->counter++;
  pkd_remutex_unlock(&s->m);
}

static void bump_lets_a_waiter_in_and_keeps_the_depth(void** state) {
  struct shared s = {.counter = 0};
  struct crew crew;

  (void)state;
  pkd_remutex_lock(&s.m);
  pkd_remutex_lock(&s.m);
  pkd_remutex_bump(&s.m);
  assert_int_equal(pkd_remutex_depth(&s.m), 2);
  crew_start(&crew, 1, count_up_once, &s);
  WAIT_FOR(waiting_at(&s.m.mutex) == 1);
  pkd_remutex_bump(&s.m);
  assert_int_equal(s.counter, 1);
  assert_int_equal(pkd_remutex_depth(&s.m), 2);
  pkd_remutex_unlock(&s.m);
  pkd_remutex_unlock(&s.m);
  crew_join(&crew);
}

static void the_count_cannot_overflow(void** state) {
  pkd_remutex_t m = PKD_REMUTEX_INIT;

  (void)state;
  pkd_remutex_lock(&m);
  m.again = UINT32_MAX - 2; /* as after four billion locks */
  assert_int_equal(pkd_remutex_trylock(&m), 0);
  assert_int_equal(pkd_remutex_trylock(&m), -EAGAIN);
  assert_int_equal(pkd_remutex_lock_until(&m, PKD_FOREVER), -EAGAIN);
  assert_true(pkd_remutex_depth(&m) == UINT32_MAX);
}

/* --- misuse ----------------------------------------------------------------- */

static pkd_remutex_t misused;

static void overflow(void) {
  pkd_remutex_lock(&misused);
  misused.again = UINT32_MAX - 1;
  pkd_remutex_lock(&misused);
}

static void unlock_it(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_remutex_unlock(&misused);
}

static void unlock_by_a_stranger(void) {
  pkd_remutex_lock(&misused);
  team_run(1, unlock_it, NULL);
}

static void unlock_a_free_one(void) {
  pkd_remutex_unlock(&misused);
}

static void unlock_once_too_often(void) {
  pkd_remutex_lock(&misused);
  pkd_remutex_unlock(&misused);
  pkd_remutex_unlock_fair(&misused);
}

static void bump_a_free_one(void) {
  pkd_remutex_bump(&misused);
}

static void assert_last_words(void (*fn)(void), const char* call,
                              const char* why) {
  char words[256];

  assert_int_equal(last_words(fn, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, call));
  assert_non_null(strstr(words, why));
}

static void misuse_stops_the_program_by_name(void** state) {
  (void)state;
  assert_last_words(overflow, "pkd_remutex_lock:", "too often");
  assert_last_words(unlock_by_a_stranger,
                    "pkd_remutex_unlock:", "held by another thread");
  assert_last_words(unlock_a_free_one, "pkd_remutex_unlock:", "is not locked");
  assert_last_words(unlock_once_too_often,
                    "pkd_remutex_unlock_fair:", "is not locked");
  assert_last_words(bump_a_free_one, "pkd_remutex_bump:", "is not locked");
}

/* --- memory and processes ---------------------------------------------------- */

static void go_on_in_the_child(void) {
  if (pkd_remutex_depth(&misused) != 2)
    _exit(1);
  pkd_remutex_unlock(&misused);
  pkd_remutex_unlock(&misused);
  if (pkd_remutex_is_locked(&misused))
    _exit(2);
}

static void the_forking_thread_owns_it_in_the_child(void** state) {
  (void)state;
  pkd_remutex_lock(&misused);
  pkd_remutex_lock(&misused);
  assert_int_equal(run_in_child(go_on_in_the_child), 0);
  assert_int_equal(pkd_remutex_depth(&misused), 2);
  pkd_remutex_unlock(&misused);
  pkd_remutex_unlock(&misused);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_sixteen_bytes_and_zeroed_is_free),
      cmocka_unit_test(only_the_outermost_unlock_lets_others_in),
      cmocka_unit_test(sections_exclude_each_other),
      cmocka_unit_test(others_may_give_up),
      cmocka_unit_test(bump_lets_a_waiter_in_and_keeps_the_depth),
      cmocka_unit_test(the_count_cannot_overflow),
      cmocka_unit_test(misuse_stops_the_program_by_name),
      cmocka_unit_test(the_forking_thread_owns_it_in_the_child),
  };
  return cmocka_run_group_tests_name("remutex", tests, NULL, NULL);
}
