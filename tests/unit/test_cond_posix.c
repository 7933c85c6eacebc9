/* SPDX-License-Identifier: MIT
 *
 * test_cond_posix.c - a wait as POSIX has it, which the preload library is made
 * of: deadline and cancel end the wait for a signal only, and the mutex is held
 * on every return. */

/* The wait is called without the note that it lets go of the mutex. */
#define PKD_TSAN_ANNOTATE 0

#include "../../sync/cond_locks.h"
#include "../sync/kit.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/mutex.h>

#include <errno.h>

struct site {
  pkd_mutex_t m;
  pkd_cond_t c;
  pkd_cancel_t cancel;
  pkd_deadline_t deadline;
  int rc;
  unsigned held;   /* on return, by whom waited; atomic */
  unsigned let_go; /* by whom waited; atomic */
  struct crew crew;
};

static void wait_once(void* arg, unsigned number) {
  struct site* s = arg;

  (void)number;
  pkd_mutex_lock(&s->m);
  s->rc = pkd__cond_wait_and_lock(&s->c, &s->m, &s->cancel, s->deadline);
  if (pkd_mutex_trylock(&s->m) == -EBUSY)
    count_up(&s->held);
  WAIT_FOR(count_of(&s->let_go) == 1);
  pkd_mutex_unlock(&s->m);
}

static void start(struct site* s, pkd_deadline_t deadline) {
  memset(s, 0, sizeof *s);
  s->deadline = deadline;
  s->rc = 9;
  crew_start(&s->crew, 1, wait_once, s);
}

/* It holds the mutex when it is back, so nobody else does. */
static void assert_back(struct site* s, int rc) {
  WAIT_FOR(count_of(&s->held) == 1);
  assert_true(pkd_mutex_is_locked(&s->m));
  count_up(&s->let_go);
  crew_join(&s->crew);
  assert_int_equal(s->rc, rc);
  assert_false(pkd_mutex_is_locked(&s->m));
}

static void a_signal_ends_it(void** state) {
  struct site s;

  (void)state;
  start(&s, PKD_FOREVER);
  WAIT_FOR(waiting_at(&s.c) == 1);
  assert_int_equal(pkd_cond_signal(&s.c), 1);
  assert_back(&s, 0);
}

static void a_deadline_ends_it(void** state) {
  struct site s;

  (void)state;
  start(&s, pkd_after(5 * MS));
  assert_back(&s, -ETIMEDOUT);
}

static void a_cancel_ends_it(void** state) {
  struct site s;

  (void)state;
  start(&s, PKD_FOREVER);
  WAIT_FOR(waiting_at(&s.c) == 1);
  pkd_cancel_fire(&s.cancel);
  assert_back(&s, -ECANCELED);
}

static void it_waits_for_the_mutex_though_it_was_cancelled(void** state) {
  struct site s;

  (void)state;
  start(&s, PKD_FOREVER);
  WAIT_FOR(waiting_at(&s.c) == 1);
  pkd_mutex_lock(&s.m);
  pkd_cancel_fire(&s.cancel);
  WAIT_FOR(waiting_at(&s.c) == 0 && waiting_at(&s.m) == 1);
  assert_int_equal(count_of(&s.held), 0);
  pkd_mutex_unlock(&s.m);
  assert_back(&s, -ECANCELED);
}

static void a_signal_that_came_first_counts(void** state) {
  struct site s;

  (void)state;
  start(&s, PKD_FOREVER);
  WAIT_FOR(waiting_at(&s.c) == 1);
  pkd_mutex_lock(&s.m);
  assert_int_equal(pkd_cond_signal(&s.c), 1); /* moved: the mutex is held */
  assert_int_equal(waiting_at(&s.m), 1);
  pkd_cancel_fire(&s.cancel);
  assert_int_equal(count_of(&s.held), 0);
  pkd_mutex_unlock(&s.m);
  assert_back(&s, 0);
}

static void another_mutex_is_refused_and_stays_held(void** state) {
  pkd_mutex_t other = PKD_MUTEX_INIT;
  struct site s;

  (void)state;
  start(&s, PKD_FOREVER);
  WAIT_FOR(waiting_at(&s.c) == 1);
  pkd_mutex_lock(&other);
  assert_int_equal(pkd__cond_wait_and_lock(&s.c, &other, NULL, PKD_FOREVER),
                   -EINVAL);
  assert_true(pkd_mutex_is_locked(&other));
  pkd_mutex_unlock(&other);
  pkd_cond_signal(&s.c);
  assert_back(&s, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_signal_ends_it),
      cmocka_unit_test(a_deadline_ends_it),
      cmocka_unit_test(a_cancel_ends_it),
      cmocka_unit_test(it_waits_for_the_mutex_though_it_was_cancelled),
      cmocka_unit_test(a_signal_that_came_first_counts),
      cmocka_unit_test(another_mutex_is_refused_and_stays_held),
  };

  return cmocka_run_group_tests_name("cond_posix", tests, NULL, NULL);
}
