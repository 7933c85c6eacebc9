/* SPDX-License-Identifier: MIT
 *
 * test_cancel.c - tokens: their tree, their deadlines, and what they do to a
 * thread that waits for a mutex or a condition, at each point of its wait. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/mutex.h>

/* --- the token by itself --------------------------------------------------- */

static void a_zeroed_token_is_not_fired(void** state) {
  pkd_cancel_t c;

  (void)state;
  memset(&c, 0, sizeof c);
  assert_int_equal(pkd_cancel_is_fired(&c), 0);
  assert_true(pkd_cancel_deadline(&c) == PKD_FOREVER);
  assert_int_equal(pkd_cancel_fire(&c), 1);
  assert_int_equal(pkd_cancel_is_fired(&c), 1);
}

static void only_the_first_fire_fires(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;

  (void)state;
  assert_int_equal(pkd_cancel_fire(&c), 1);
  assert_int_equal(pkd_cancel_fire(&c), 0);
}

static void no_token_is_never_fired(void** state) {
  (void)state;
  assert_int_equal(pkd_cancel_is_fired(NULL), 0);
  assert_true(pkd_cancel_deadline(NULL) == PKD_FOREVER);
}

static void closing_a_root_twice_does_nothing(void** state) {
  pkd_cancel_t c;

  (void)state;
  assert_int_equal(pkd_cancel_init(&c, NULL, PKD_FOREVER), 0);
  pkd_cancel_close(&c);
  pkd_cancel_close(&c);
  assert_int_equal(pkd_cancel_is_fired(&c), 0);
}

/* --- links ----------------------------------------------------------------- */

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

struct bell {
  pkd_cancel_link_t link; /* first */
  unsigned rung;
};

static void ring(pkd_cancel_link_t* link) {
  ((struct bell*)link)->rung++;
}

static void a_link_is_called_once_and_owes_an_unlink(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;
  struct bell bell = {{.fire = ring}, 0};

  (void)state;
  assert_int_equal(pkd_cancel_link(&c, &bell.link), 0);
  pkd_cancel_fire(&c);
  pkd_cancel_fire(&c);
  assert_int_equal(bell.rung, 1);
  assert_int_equal(pkd_cancel_unlink(&bell.link), -ECANCELED);
  assert_int_equal(pkd_cancel_unlink(&bell.link), -ENOENT);
}

static void an_unlinked_link_is_not_called(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;
  struct bell bell = {{.fire = ring}, 0};

  (void)state;
  assert_int_equal(pkd_cancel_unlink(&bell.link), -ENOENT);
  assert_int_equal(pkd_cancel_link(&c, &bell.link), 0);
  assert_int_equal(pkd_cancel_unlink(&bell.link), 0);
  pkd_cancel_fire(&c);
  assert_int_equal(bell.rung, 0);
  assert_int_equal(waiting_at(&c), 0);
}

static void linking_to_a_fired_token_is_refused(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;
  struct bell bell = {{.fire = ring}, 0};

  (void)state;
  pkd_cancel_fire(&c);
  assert_int_equal(pkd_cancel_link(&c, &bell.link), -ECANCELED);
  assert_int_equal(pkd_cancel_unlink(&bell.link), -ENOENT);
  assert_int_equal(bell.rung, 0);
}

static void a_link_can_be_used_again(void** state) {
  struct bell bell = {{.fire = ring}, 0};

  (void)state;
  for (unsigned i = 1; i <= 3; i++) {
    pkd_cancel_t c = PKD_CANCEL_INIT;

    assert_int_equal(pkd_cancel_link(&c, &bell.link), 0);
    pkd_cancel_fire(&c);
    assert_int_equal(pkd_cancel_unlink(&bell.link), -ECANCELED);
    assert_int_equal(bell.rung, i);
  }
}

static const char* program;

/* In a process that is no child of fork, as in test_lot.c. */
static void link_one_twice(void) {
  execl(program, program, "--link-one-twice", (char*)NULL);
}

static void a_link_of_two_tokens_stops_the_program(void** state) {
  char words[512];

  (void)state;
  if (WRAPPED)
    skip();
  assert_int_equal(last_words(link_one_twice, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "is queued already"));
}

struct gated {
  pkd_cancel_link_t link; /* first */
  unsigned inside, leave, left;
};

static void hold_the_door(pkd_cancel_link_t* link) {
  struct gated* g = (struct gated*)link;

  count_up(&g->inside);
  WAIT_FOR(count_of(&g->leave) != 0);
  count_up(&g->left);
}

static void fire_it(void* c, unsigned number) {
  (void)number;
  pkd_cancel_fire(c);
}

struct opener {
  struct gated* g;
  unsigned unlinking;
};

static void open_later(void* arg, unsigned number) {
  struct opener* o = arg;

  (void)number;
  WAIT_FOR(count_of(&o->unlinking) != 0);
  pause_us(2000); /* gives a wrong unlink the time to return too early */
  count_up(&o->g->leave);
}

static void unlink_waits_for_a_callback_under_way(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;
  struct gated g = {{.fire = hold_the_door}, 0, 0, 0};
  struct opener o = {&g, 0};
  struct crew firer, opener;

  (void)state;
  g.link.waiter.state = 3; /* it was in use before, three forks from here */
  assert_int_equal(pkd_cancel_link(&c, &g.link), 0);
  crew_start(&firer, 1, fire_it, &c);
  crew_start(&opener, 1, open_later, &o);
  WAIT_FOR(count_of(&g.inside) == 1);
  count_up(&o.unlinking);
  assert_int_equal(pkd_cancel_unlink(&g.link), -ECANCELED);
  assert_int_equal(count_of(&g.left), 1);
  crew_join(&firer);
  crew_join(&opener);
}

/* --- the tree -------------------------------------------------------------- */

enum { NODES = 11 };

static void grow(pkd_cancel_t* heap) {
  for (int i = 0; i < NODES; i++)
    assert_int_equal(pkd_cancel_init(&heap[i],
                                     i == 0 ? NULL : &heap[(i - 1) / 2],
                                     PKD_FOREVER),
                     0);
}

static bool is_beneath(int node, int root) {
  while (node > root)
    node = (node - 1) / 2;
  return node == root;
}

static void firing_a_node_fires_exactly_its_subtree(void** state) {
  (void)state;
  for (int root = 0; root < NODES; root++) {
    pkd_cancel_t heap[NODES];

    grow(heap);
    pkd_cancel_fire(&heap[root]);
    for (int i = 0; i < NODES; i++)
      assert_int_equal(pkd_cancel_is_fired(&heap[i]), is_beneath(i, root));
    for (int i = NODES - 1; i >= 0; i--)
      pkd_cancel_close(&heap[i]);
  }
}

static void a_closed_child_is_left_alone(void** state) {
  pkd_cancel_t parent = PKD_CANCEL_INIT, child;

  (void)state;
  assert_int_equal(pkd_cancel_init(&child, &parent, PKD_FOREVER), 0);
  pkd_cancel_close(&child);
  pkd_cancel_fire(&parent);
  assert_int_equal(pkd_cancel_is_fired(&child), 0);
}

static void a_child_of_a_fired_parent_is_born_fired(void** state) {
  pkd_cancel_t parent = PKD_CANCEL_INIT, child;

  (void)state;
  pkd_cancel_fire(&parent);
  assert_int_equal(pkd_cancel_init(&child, &parent, PKD_FOREVER), -ECANCELED);
  assert_int_equal(pkd_cancel_is_fired(&child), 1);
  pkd_cancel_close(&child);
}

static void a_child_has_the_earliest_deadline_above_it(void** state) {
  pkd_deadline_t soon = pkd_after(3600 * SECOND);
  pkd_cancel_t root, early, late, none;

  (void)state;
  pkd_cancel_init(&root, NULL, soon);
  pkd_cancel_init(&early, &root, soon - 5);
  pkd_cancel_init(&late, &root, soon + 5);
  pkd_cancel_init(&none, &early, PKD_FOREVER);
  assert_true(pkd_cancel_deadline(&root) == soon);
  assert_true(pkd_cancel_deadline(&early) == soon - 5);
  assert_true(pkd_cancel_deadline(&late) == soon);
  assert_true(pkd_cancel_deadline(&none) == soon - 5);
  assert_int_equal(pkd_cancel_is_fired(&none), 0);
  pkd_cancel_close(&none);
  pkd_cancel_close(&late);
  pkd_cancel_close(&early);
}

static void a_past_deadline_counts_as_fired(void** state) {
  pkd_cancel_t zero, past;

  (void)state;
  pkd_cancel_init(&zero, NULL, 0);
  pkd_cancel_init(&past, NULL, pkd_now() - 1);
  assert_int_equal(pkd_cancel_is_fired(&zero), 1);
  assert_int_equal(pkd_cancel_is_fired(&past), 1);
}

/* Children come and go while the parent fires: under the sanitizers this is the
 * proof that a token may be freed once it is closed. */
struct nursery {
  pkd_cancel_t* parent;
  unsigned ready;
};

static void rear_children(void* arg, unsigned number) {
  struct nursery* n = arg;

  (void)number;
  count_up(&n->ready);
  while (!pkd_cancel_is_fired(n->parent)) {
    pkd_cancel_t* child = malloc(sizeof *child);

    pkd_cancel_init(child, n->parent, PKD_FOREVER);
    pkd_cancel_close(child);
    free(child);
  }
}

static void children_come_and_go_while_the_parent_fires(void** state) {
  (void)state;
  for (int round = 0; round < ROUNDS(200); round++) {
    pkd_cancel_t parent = PKD_CANCEL_INIT;
    struct nursery n = {&parent, 0};
    struct crew crew;

    crew_start(&crew, 3, rear_children, &n);
    WAIT_FOR(count_of(&n.ready) == 3);
    pkd_cancel_fire(&parent);
    crew_join(&crew);
    assert_int_equal(waiting_at(&parent), 0);
  }
}

/* --- waits ----------------------------------------------------------------- */

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

static void others_keep_their_place_when_one_is_cancelled(void** state) {
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

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_zeroed_token_is_not_fired),
      cmocka_unit_test(only_the_first_fire_fires),
      cmocka_unit_test(no_token_is_never_fired),
      cmocka_unit_test(closing_a_root_twice_does_nothing),
      cmocka_unit_test(a_link_is_called_once_and_owes_an_unlink),
      cmocka_unit_test(an_unlinked_link_is_not_called),
      cmocka_unit_test(linking_to_a_fired_token_is_refused),
      cmocka_unit_test(a_link_can_be_used_again),
      cmocka_unit_test(a_link_of_two_tokens_stops_the_program),
      cmocka_unit_test(unlink_waits_for_a_callback_under_way),
      cmocka_unit_test(who_has_been_granted_waits_for_no_callback_of_others),
      cmocka_unit_test(firing_a_node_fires_exactly_its_subtree),
      cmocka_unit_test(a_closed_child_is_left_alone),
      cmocka_unit_test(a_child_of_a_fired_parent_is_born_fired),
      cmocka_unit_test(a_child_has_the_earliest_deadline_above_it),
      cmocka_unit_test(a_past_deadline_counts_as_fired),
      cmocka_unit_test(children_come_and_go_while_the_parent_fires),
      cmocka_unit_test(a_pause_is_cut_short),
      cmocka_unit_test(a_pause_ends_at_whichever_deadline_is_first),
      cmocka_unit_test(every_waiter_of_a_mutex_is_cancelled),
      cmocka_unit_test(a_free_mutex_is_taken_though_the_token_is_fired),
      cmocka_unit_test(the_result_names_the_deadline_that_came_first),
      cmocka_unit_test(others_keep_their_place_when_one_is_cancelled),
      cmocka_unit_test(a_cancelled_condition_wait_has_the_free_mutex),
      cmocka_unit_test(a_cancelled_condition_wait_does_not_wait_for_the_mutex),
      cmocka_unit_test(a_cancelled_waiter_passes_its_signal_on),
      cmocka_unit_test(whoever_loses_the_race_nobody_loses_the_mutex),
  };

  program = argv[0];
  if (argc == 2 && strcmp(argv[1], "--link-one-twice") == 0) {
    static pkd_cancel_t tokens[2];
    static struct bell bell;

    pkd_cancel_link(&tokens[0], &bell.link);
    pkd_cancel_link(&tokens[1], &bell.link);
    return 0;
  }
  return cmocka_run_group_tests_name("cancel", tests, NULL, NULL);
}
