/* SPDX-License-Identifier: MIT
 *
 * test_cancel_waits.c - what a token does to a thread that waits: for the token, a
 * mutex or a condition, at each point of its wait. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/mutex.h>

static void fire_it(void* c, unsigned number) {
  (void)number;
  pkd_cancel_fire(c);
}

static void wait_for_it(void* c, unsigned number) {
  (void)number;
  pkd_cancel_wait(c, PKD_FOREVER);
}

static void a_pause_is_cut_short(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;
  struct crew crew;

  (void)state;
  crew_start(&crew, 4, wait_for_it, &c);
  WAIT_FOR(waiting_at(&c) == 4);
  pkd_cancel_fire(&c);
  crew_join(&crew);
  assert_int_equal(pkd_cancel_wait(&c, PKD_FOREVER), 0);
}

static void a_pause_ends_at_whichever_deadline_is_first(void** state) {
  pkd_cancel_t c;

  (void)state;
  pkd_cancel_init(&c, NULL, pkd_after(5 * MS));
  assert_int_equal(pkd_cancel_wait(&c, pkd_now()), -ETIMEDOUT);
  assert_int_equal(pkd_cancel_wait(&c, PKD_FOREVER), 0);
  assert_true(pkd_now() >= pkd_cancel_deadline(&c));
}

struct lock_wait {
  pkd_mutex_t m;
  pkd_cond_t cond;
  pkd_cancel_t cancel;
  pkd_deadline_t deadline;
  int rc[16];
};

static void lock_it(void* arg, unsigned number) {
  struct lock_wait* w = arg;

  w->rc[number] = pkd_mutex_lock_cancellable(&w->m, &w->cancel, w->deadline);
  if (w->rc[number] == 0)
    pkd_mutex_unlock(&w->m);
}

static void every_waiter_of_a_mutex_is_cancelled(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&w.m);
  crew_start(&crew, 8, lock_it, &w);
  WAIT_FOR(waiting_at(&w.m) == 8 && waiting_at(&w.cancel) == 8);
  pkd_cancel_fire(&w.cancel);
  crew_join(&crew);
  for (int i = 0; i < 8; i++)
    assert_int_equal(w.rc[i], -ECANCELED);
  assert_int_equal(w.m.word, 1); /* held, no queue */
  pkd_mutex_unlock(&w.m);
  assert_int_equal(w.m.word, 0);
}

static void a_free_mutex_is_taken_though_the_token_is_fired(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};

  (void)state;
  pkd_cancel_fire(&w.cancel);
  assert_int_equal(pkd_mutex_lock_cancellable(&w.m, &w.cancel, PKD_FOREVER), 0);
  assert_int_equal(pkd_mutex_lock_cancellable(&w.m, &w.cancel, PKD_FOREVER),
                   -ECANCELED);
  assert_int_equal(pkd_mutex_lock_cancellable(&w.m, NULL, pkd_now()),
                   -ETIMEDOUT);
  assert_int_equal(w.m.word, 1);
}

static void the_result_names_the_deadline_that_came_first(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};

  (void)state;
  pkd_mutex_lock(&w.m);
  pkd_cancel_init(&w.cancel, NULL, pkd_after(2 * MS));
  assert_int_equal(
      pkd_mutex_lock_cancellable(&w.m, &w.cancel, pkd_after(3600 * SECOND)),
      -ECANCELED);
  pkd_cancel_init(&w.cancel, NULL, pkd_after(3600 * SECOND));
  assert_int_equal(
      pkd_mutex_lock_cancellable(&w.m, &w.cancel, pkd_after(2 * MS)),
      -ETIMEDOUT);
  assert_int_equal(w.m.word, 1);
}

static void a_child_that_is_fired_ends_no_wait_of_its_parent(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};
  pkd_cancel_t stop = PKD_CANCEL_INIT;
  struct crew crew, single;

  (void)state;
  pkd_mutex_lock(&w.m);
  crew_start(&crew, 2, lock_it, &w);
  WAIT_FOR(waiting_at(&w.m) == 2);
  pkd_cancel_init(&stop, &w.cancel, PKD_FOREVER);
  crew_start(&single, 1, wait_for_it, &stop);
  WAIT_FOR(waiting_at(&stop) == 1);
  pkd_cancel_fire(&stop); /* a child: the lockers are not its business */
  crew_join(&single);
  assert_int_equal(waiting_at(&w.m), 2);
  pkd_mutex_unlock(&w.m);
  crew_join(&crew);
  assert_int_equal(w.rc[0], 0);
  assert_int_equal(w.rc[1], 0);
  pkd_cancel_close(&stop);
}

struct line {
  pkd_mutex_t m;
  pkd_cancel_t cancel[4];
  int rc[4];
  unsigned turn[4]; /* 1, 2, ... as they had it */
  unsigned turns;   /* under m */
};

static void stand_in_line(void* arg, unsigned number) {
  struct line* line = arg;

  line->rc[number] =
      pkd_mutex_lock_cancellable(&line->m, &line->cancel[number], PKD_FOREVER);
  if (line->rc[number] != 0)
    return;
  line->turn[number] = ++line->turns;
  pkd_mutex_unlock_fair(&line->m); /* to the next in the queue */
}

static void others_keep_their_place_when_one_is_cancelled(void** state) {
  (void)state;
  for (unsigned leaves = 0; leaves < 4; leaves++) {
    struct line line = {.turns = 0};
    struct crew crew;
    unsigned place = 0;

    pkd_mutex_lock(&line.m);
    crew_start(&crew, 0, stand_in_line, &line);
    for (unsigned i = 0; i < 4; i++) {
      crew_add(&crew);
      WAIT_FOR(waiting_at(&line.m) == i + 1);
    }
    WAIT_FOR(waiting_at(&line.cancel[leaves]) == 1);
    pkd_cancel_fire(&line.cancel[leaves]);
    WAIT_FOR(waiting_at(&line.m) == 3);
    pkd_mutex_unlock_fair(&line.m);
    crew_join(&crew);
    for (unsigned i = 0; i < 4; i++) {
      assert_int_equal(line.rc[i], i == leaves ? -ECANCELED : 0);
      assert_int_equal(line.turn[i], i == leaves ? 0 : ++place);
    }
    assert_int_equal(line.m.word, 0);
  }
}

static void wait_cond(void* arg, unsigned number) {
  struct lock_wait* w = arg;

  pkd_mutex_lock(&w->m);
  w->rc[number] =
      pkd_cond_wait_cancellable(&w->cond, &w->m, &w->cancel, w->deadline);
  if (w->rc[number] != PKD_ENOTHELD)
    pkd_mutex_unlock(&w->m);
}

static void a_cancelled_condition_wait_has_the_free_mutex(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, wait_cond, &w);
  WAIT_FOR(waiting_at(&w.cond) == 1 && waiting_at(&w.cancel) == 1);
  pkd_cancel_fire(&w.cancel);
  crew_join(&crew);
  assert_int_equal(w.rc[0], -ECANCELED);
  assert_int_equal(w.m.word, 0);
  assert_null(w.cond.lock);
}

static void
a_cancelled_condition_wait_does_not_wait_for_the_mutex(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, wait_cond, &w);
  WAIT_FOR(waiting_at(&w.cond) == 1 && waiting_at(&w.cancel) == 1);
  pkd_mutex_lock(&w.m);
  pkd_cancel_fire(&w.cancel);
  crew_join(&crew); /* while we hold the mutex */
  assert_int_equal(w.rc[0], PKD_ENOTHELD);
  pkd_mutex_unlock(&w.m);
}

static void wait_cond_for_ever(void* arg, unsigned number) {
  struct lock_wait* w = arg;

  pkd_mutex_lock(&w->m);
  w->rc[8 + number] = pkd_cond_wait(&w->cond, &w->m);
  pkd_mutex_unlock(&w->m);
}

static void a_cancelled_waiter_passes_its_signal_on(void** state) {
  struct lock_wait w = {.deadline = PKD_FOREVER};
  struct crew one, two;

  (void)state;
  w.rc[8] = 1;
  crew_start(&one, 1, wait_cond, &w);
  WAIT_FOR(waiting_at(&w.cond) == 1 && waiting_at(&w.cancel) == 1);
  crew_start(&two, 1, wait_cond_for_ever, &w);
  WAIT_FOR(waiting_at(&w.cond) == 2);
  pkd_mutex_lock(&w.m);
  assert_int_equal(pkd_cond_signal(&w.cond), 1);
  assert_int_equal(waiting_at(&w.m), 1); /* the first was moved, not woken */
  pkd_cancel_fire(&w.cancel);
  crew_join(&one);
  assert_int_equal(w.rc[0], PKD_ENOTHELD);
  assert_int_equal(waiting_at(&w.m), 1); /* the second, in its place */
  pkd_mutex_unlock(&w.m);
  crew_join(&two);
  assert_int_equal(w.rc[8], 0);
  assert_null(w.cond.lock);
  assert_int_equal(w.m.word, 0);
}

/* --- a grant wins ---------------------------------------------------------- */

struct duel {
  pkd_mutex_t m;
  pkd_cancel_t cancel;
  unsigned round, done;
  int rc;
  int guarded; /* under m */
};

static void duellist(void* arg, unsigned number) {
  struct duel* d = arg;

  (void)number;
  d->rc = pkd_mutex_lock_cancellable(&d->m, &d->cancel, PKD_FOREVER);
  if (d->rc == 0) {
    d->guarded++;
    pkd_mutex_unlock(&d->m);
  }
}

static void whoever_loses_the_race_nobody_loses_the_mutex(void** state) {
  unsigned held = 0, cancelled = 0;

  (void)state;
  for (int i = 0; i < ROUNDS(2000); i++) {
    struct duel d = {.rc = 1};
    struct crew waiter, firer;

    pkd_mutex_lock(&d.m);
    crew_start(&waiter, 1, duellist, &d);
    WAIT_FOR(waiting_at(&d.cancel) == 1);
    crew_start(&firer, 1, fire_it, &d.cancel);
    if (i % 2)
      pkd_mutex_unlock(&d.m);
    else
      pkd_mutex_unlock_fair(&d.m);
    crew_join(&firer);
    crew_join(&waiter);
    assert_true(d.rc == 0 || d.rc == -ECANCELED);
    assert_int_equal(d.guarded, d.rc == 0);
    assert_int_equal(d.m.word, 0);
    *(d.rc == 0 ? &held : &cancelled) += 1;
  }
  assert_int_equal(held + cancelled, ROUNDS(2000));
}

/* A callback that needs a mutex, which somebody tied to the same token waits for. */
struct needy {
  pkd_cancel_link_t link; /* first */
  pkd_cancel_t c;
  pkd_mutex_t m;
  unsigned inside;
  int fired_rc, waiter_rc;
};

static void lock_m(pkd_cancel_link_t* link) {
  struct needy* n = (struct needy*)link;

  count_up(&n->inside);
  n->fired_rc = pkd_mutex_lock_for(&n->m, 5 * SECOND);
  if (n->fired_rc == 0)
    pkd_mutex_unlock(&n->m);
}

static void wait_or_fire(void* arg, unsigned number) {
  struct needy* n = arg;

  if (number == 1) {
    pkd_cancel_fire(&n->c);
    return;
  }
  n->waiter_rc = pkd_mutex_lock_cancellable(&n->m, &n->c, PKD_FOREVER);
  if (n->waiter_rc == 0)
    pkd_mutex_unlock(&n->m);
}

static void who_has_been_granted_waits_for_no_callback_of_others(void** state) {
  struct needy n = {.link.fire = lock_m, .fired_rc = 1, .waiter_rc = 1};
  struct crew crew;

  (void)state;
  assert_int_equal(pkd_cancel_link(&n.c, &n.link), 0);
  pkd_mutex_lock(&n.m);
  crew_start(&crew, 1, wait_or_fire, &n);
  WAIT_FOR(waiting_at(&n.m) == 1 && waiting_at(&n.c) == 2);
  crew_add(&crew);
  WAIT_FOR(count_of(&n.inside) == 1 && waiting_at(&n.m) == 2);
  pkd_mutex_unlock_fair(&n.m); /* to the one who is tied to the token */
  crew_join(&crew);
  assert_int_equal(n.waiter_rc, 0);
  assert_int_equal(n.fired_rc, 0);
  assert_int_equal(pkd_cancel_unlink(&n.link), -ECANCELED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pause_is_cut_short),
      cmocka_unit_test(a_pause_ends_at_whichever_deadline_is_first),
      cmocka_unit_test(every_waiter_of_a_mutex_is_cancelled),
      cmocka_unit_test(a_free_mutex_is_taken_though_the_token_is_fired),
      cmocka_unit_test(the_result_names_the_deadline_that_came_first),
      cmocka_unit_test(a_child_that_is_fired_ends_no_wait_of_its_parent),
      cmocka_unit_test(others_keep_their_place_when_one_is_cancelled),
      cmocka_unit_test(a_cancelled_condition_wait_has_the_free_mutex),
      cmocka_unit_test(a_cancelled_condition_wait_does_not_wait_for_the_mutex),
      cmocka_unit_test(a_cancelled_waiter_passes_its_signal_on),
      cmocka_unit_test(whoever_loses_the_race_nobody_loses_the_mutex),
      cmocka_unit_test(who_has_been_granted_waits_for_no_callback_of_others),
  };

  return cmocka_run_group_tests_name("cancel_waits", tests, NULL, NULL);
}
