/* SPDX-License-Identifier: MIT
 *
 * test_cancel.c - tokens by themselves: what is linked to them, their tree, and
 * their deadlines. */
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

static void ring_where_one_is_cancelled(pkd_cancel_link_t* link) {
  ring(link);
  pthread_testcancel();
}

static void* fire_when_cancelled(void* c) {
  pthread_cancel(pthread_self());
  pkd_cancel_fire(c);
  pthread_testcancel();
  return NULL;
}

static void who_fires_is_not_cancelled_in_a_callback(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;
  struct bell bells[2] = {{.rung = 0}};
  pthread_t thread;
  void* end;

  (void)state;
  for (size_t i = 0; i < LENGTH(bells); i++) {
    bells[i].link.fire = ring_where_one_is_cancelled;
    assert_int_equal(pkd_cancel_link(&c, &bells[i].link), 0);
  }
  assert_int_equal(pthread_create(&thread, NULL, fire_when_cancelled, &c), 0);
  pthread_join(thread, &end);
  assert_ptr_equal(end, PTHREAD_CANCELED);
  for (size_t i = 0; i < LENGTH(bells); i++)
    assert_int_equal(bells[i].rung, 1);
  for (size_t i = 0; i < LENGTH(bells); i++)
    assert_int_equal(pkd_cancel_unlink(&bells[i].link), -ECANCELED);
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
      cmocka_unit_test(who_fires_is_not_cancelled_in_a_callback),
      cmocka_unit_test(firing_a_node_fires_exactly_its_subtree),
      cmocka_unit_test(a_closed_child_is_left_alone),
      cmocka_unit_test(a_child_of_a_fired_parent_is_born_fired),
      cmocka_unit_test(a_child_has_the_earliest_deadline_above_it),
      cmocka_unit_test(a_past_deadline_counts_as_fired),
      cmocka_unit_test(children_come_and_go_while_the_parent_fires),
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
