/* SPDX-License-Identifier: MIT
 *
 * test_fork.c - a child of fork() starts with an empty lot, and locks that stand
 * as they stood.
 *
 * The threads of the parent are not in the child: not the sleepers, nor who held
 * a lock of the lot's own at that moment, nor a waiter that was woken and is on
 * its way. What a child finds is its exit code, 0 for all well. ThreadSanitizer
 * allows no threads in the child of a process that had some, so there those
 * children do without. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/cond.h>
#include <parkade/thread.h>

enum { SLEEPERS = 32 };

static pkd_mutex_t m;
static pkd_cond_t c;
static char here; /* an address */

/* In a child: a fact, or its line as the exit code. */
#define MUST(fact)                                                             \
  do {                                                                         \
    if (!(fact)) {                                                             \
      fprintf(stderr, "child: line %d: not so: %s\n", __LINE__, #fact);        \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

static int yes_always(void* arg) {
  (void)arg;
  return 1;
}

/* --- 32 sleepers in the parent --------------------------------------------- */

static void park_here(void* arg, unsigned number) {
  pkd_park_t how = {.validate = yes_always};

  (void)arg;
  (void)number;
  pkd_lot_park(&here, &how, PKD_FOREVER, NULL);
}

static void find_an_empty_lot(void) {
  pkd_park_t how = {.validate = yes_always};
  pkd_waiter_t waiter = {0};

  pkd_thread_self(); /* the note of it is in the lot, and nothing else */
  MUST(pkd_lot_for_each(NULL, NULL, NULL) == 1);
  MUST(pkd_lot_unpark_one(&here, NULL, NULL).unparked == 0);
  MUST(pkd_lot_unpark_all(&here, 0) == 0);
  MUST(pkd_lot_enqueue(&here, &waiter, NULL, NULL) == 0);
  MUST(waiting_at(&here) == 1);
  MUST(pkd_lot_remove(&waiter, NULL, NULL) == 0);
  MUST(pkd_lot_park(&here, &how, pkd_after(1000), NULL) == -ETIMEDOUT);
}

static void a_child_starts_with_an_empty_lot(void** state) {
  struct crew crew;

  (void)state;
  crew_start(&crew, SLEEPERS, park_here, NULL);
  WAIT_FOR(waiting_at(&here) == SLEEPERS);
  for (unsigned i = 0; i < 10; i++)
    assert_int_equal(run_in_child(find_an_empty_lot), 0);
  assert_int_equal(waiting_at(&here), SLEEPERS); /* the parent's is as it was */
  assert_int_equal(pkd_lot_unpark_all(&here, 0), SLEEPERS);
  crew_join(&crew);
}

/* Memory that was queued in the parent is not queued in the child, and can be. */
static pkd_waiter_t inherited[3];

static void queue_what_was_inherited(void) {
  for (unsigned i = 0; i < 3; i++) {
    MUST(pkd_lot_remove(&inherited[i], NULL, NULL) == -ENOENT);
    MUST(pkd_lot_enqueue(&here, &inherited[i], NULL, NULL) == 0);
  }
  MUST(waiting_at(&here) == 3);
  for (unsigned i = 0; i < 3; i++)
    MUST(pkd_lot_remove(&inherited[i], NULL, NULL) == 0);
  MUST(waiting_at(&here) == 0);
}

static void an_inherited_waiter_is_not_queued(void** state) {
  (void)state;
  for (unsigned i = 0; i < 3; i++)
    pkd_lot_enqueue(&here, &inherited[i], NULL, NULL);
  assert_int_equal(run_in_child(queue_what_was_inherited), 0);
  assert_int_equal(waiting_at(&here), 3);
  for (unsigned i = 0; i < 3; i++)
    pkd_lot_remove(&inherited[i], NULL, NULL);
}

/* --- locks ----------------------------------------------------------------- */

static void lock_once(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_mutex_lock(&m);
  pkd_mutex_unlock(&m);
}

/* Held by us, the forking thread, with a queue that is not here. */
static void use_the_held_mutex(void) {
  MUST(pkd_mutex_is_locked(&m));
  MUST(pkd_mutex_trylock(&m) == -EBUSY);
  MUST(pkd_mutex_lock_for(&m, 1000) == -ETIMEDOUT);
  pkd_mutex_unlock(&m);
  for (unsigned i = 0; i < 3; i++) {
    pkd_mutex_lock(&m);
    pkd_mutex_bump(&m);
    pkd_mutex_unlock(&m);
  }
  pkd_mutex_lock(&m);
  pkd_mutex_unlock_fair(&m);
  MUST(!pkd_mutex_is_locked(&m));
}

static void a_lock_its_parent_held_is_held_by_the_child(void** state) {
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&m);
  crew_start(&crew, SLEEPERS, lock_once, NULL);
  WAIT_FOR(waiting_at(&m) == SLEEPERS);
  for (unsigned i = 0; i < 10; i++)
    assert_int_equal(run_in_child(use_the_held_mutex), 0);
  pkd_mutex_unlock(&m);
  crew_join(&crew);
  assert_int_equal(m.word, 0);
}

/* The byte says that a waiter was woken and is on its way. It is not in the
 * child: an unlock there must not leave the waking to it. */
static void wait_in_a_child_without_the_waker(void) {
  struct crew crew;

  MUST(pkd_mutex_trylock(&m) == -EBUSY);
  crew_start(&crew, 3, lock_once, NULL);
  WAIT_FOR(waiting_at(&m) == 3);
  pkd_mutex_unlock(&m);
  crew_join(&crew); /* for ever, if nobody is woken */
  MUST(!pkd_mutex_is_locked(&m));
  MUST(waiting_at(&m) == 0);
}

static void a_child_does_not_wait_for_a_waker_left_behind(void** state) {
  static const uint8_t with_waker[] = {5, 7}; /* W L, W P L */

  (void)state;
  if (PKD_TEST_SLOW)
    skip();
  for (size_t i = 0; i < LENGTH(with_waker); i++) {
    m.word = with_waker[i];
    assert_int_equal(run_in_child(wait_in_a_child_without_the_waker), 0);
    m.word = 0;
  }
}

/* --- tokens ---------------------------------------------------------------- */

static struct {
  pkd_cancel_link_t link; /* first */
  unsigned rung;
} bell;
static pkd_cancel_t token, below, another;

static void ring(pkd_cancel_link_t* link) {
  (void)link;
  bell.rung++;
}

static void part_once_more(void) {
  MUST(pkd_cancel_unlink(&bell.link) == 0);
}

/* Nobody is in the child who could still call a link that was its parent's. */
static void part_with_inherited_tokens(void) {
  pkd_cancel_fire(&token);
  MUST(bell.rung == 0);
  MUST(pkd_cancel_unlink(&bell.link) == 0);
  MUST(pkd_cancel_link(&another, &bell.link) == 0);
  MUST(run_in_child(part_once_more) == 0);
  pkd_cancel_fire(&another);
  MUST(bell.rung == 1);
  MUST(pkd_cancel_unlink(&bell.link) == -ECANCELED);
  pkd_cancel_close(&below);
}

static void part_with_one_that_was_called(void) {
  MUST(pkd_cancel_unlink(&bell.link) == -ECANCELED);
}

static void an_inherited_link_is_not_called_nor_waited_for(void** state) {
  (void)state;
  bell.link.fire = ring;
  assert_int_equal(pkd_cancel_link(&token, &bell.link), 0);
  assert_int_equal(pkd_cancel_init(&below, &token, PKD_FOREVER), 0);
  assert_int_equal(run_in_child(part_with_inherited_tokens), 0);
  assert_int_equal(pkd_cancel_fire(&token), 1);
  assert_int_equal(bell.rung, 1);
  assert_int_equal(run_in_child(part_with_one_that_was_called), 0);
  assert_int_equal(pkd_cancel_unlink(&bell.link), -ECANCELED);
  pkd_cancel_close(&below);
}

/* --- conditions ------------------------------------------------------------ */

static void wait_for_c(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_mutex_lock(&m);
  pkd_cond_wait(&c, &m);
  pkd_mutex_unlock(&m);
}

static void find_nobody_to_signal(void) {
  MUST(pkd_cond_signal(&c) == 0);
  MUST(pkd_cond_broadcast(&c) == 0);
  pkd_mutex_lock(&m);
  MUST(pkd_cond_wait_for(&c, &m, 1000) == -ETIMEDOUT);
  pkd_mutex_unlock(&m);
}

static void wait_with_another_mutex(void) {
  pkd_mutex_t other = PKD_MUTEX_INIT;

  pkd_mutex_lock(&other);
  MUST(pkd_cond_wait_for(&c, &other, 1000) == -ETIMEDOUT);
  pkd_mutex_unlock(&other);
  find_nobody_to_signal();
}

static pkd_mutex_t of_child;

static void wait_in_child(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_mutex_lock(&of_child);
  pkd_cond_wait(&c, &of_child);
  pkd_mutex_unlock(&of_child);
}

/* A thread of the child waits, with a mutex that is not the parent's. */
static void wait_beside_one_of_the_child(void) {
  pkd_mutex_t third = PKD_MUTEX_INIT;
  struct crew crew;

  crew_start(&crew, 1, wait_in_child, NULL);
  WAIT_FOR(waiting_at(&c) == 1);
  pkd_mutex_lock(&third);
  MUST(pkd_cond_wait_for(&c, &third, 1000) == -EINVAL);
  MUST(pkd_mutex_is_locked(&third));
  pkd_mutex_unlock(&third);
  MUST(pkd_cond_broadcast(&c) == 1);
  crew_join(&crew);
  wait_with_another_mutex();
}

static void nobody_waits_at_a_condition_in_the_child(void** state) {
  struct crew crew;

  (void)state;
  crew_start(&crew, 4, wait_for_c, NULL);
  WAIT_FOR(waiting_at(&c) == 4);
  assert_int_equal(run_in_child(find_nobody_to_signal), 0);
  assert_int_equal(run_in_child(wait_with_another_mutex), 0);
  if (!PKD_TEST_SLOW && !WRAPPED) /* see above */
    assert_int_equal(run_in_child(wait_beside_one_of_the_child), 0);
  assert_int_equal(pkd_cond_broadcast(&c), 4);
  crew_join(&crew);
}

/* --- under load ------------------------------------------------------------ */

/* Threads that never stop changing the lot, so that many forks fall into a
 * moment at which one of them holds a lock of a bucket. */
struct load {
  pkd_mutex_t locks[4];
  unsigned stop; /* atomic */
};

static struct load load;

static uint64_t seed;

static void make_load(void* arg, unsigned number) {
  rng_t rng = rng_stream(seed, number);
  pkd_park_t how = {.validate = yes_always};

  (void)arg;
  while (count_of(&load.stop) == 0) {
    pkd_mutex_t* lock = &load.locks[rng_below(&rng, 4)];

    if (pkd_mutex_lock_for(lock, rng_below(&rng, 20000)) == 0)
      pkd_mutex_unlock_fair(lock);
    pkd_lot_park(&load, &how, pkd_after(rng_below(&rng, 3000)), NULL);
    pkd_lot_unpark_all(&load, 0);
  }
}

/* Every bucket there is, those of the load's locks among them. */
static void pass_every_bucket(void) {
  find_an_empty_lot();
  for (unsigned i = 0; i < 4; i++) {
    if (pkd_mutex_lock_for(&load.locks[i], 1000) == 0)
      pkd_mutex_unlock(&load.locks[i]);
    MUST(pkd_lot_unpark_all(&load.locks[i], 0) == 0);
  }
}

static void children_of_a_busy_parent_find_no_lock_held(void** state) {
  struct crew crew;

  (void)state;
  load.stop = 0;
  crew_start(&crew, 4, make_load, NULL);
  for (unsigned i = 0; i < 250; i++)
    assert_int_equal(run_in_child(pass_every_bucket), 0);
  count_up(&load.stop);
  crew_join(&crew);
}

/* The same held in certainty: a child forked by a thread while another stands
 * in a callback, that is, holds its bucket. */
struct stuck {
  unsigned inside, leave; /* atomic */
  const void* key;        /* whose bucket it is */
};

static int stand_in_the_bucket(void* arg) {
  struct stuck* stuck = arg;

  count_up(&stuck->inside);
  while (count_of(&stuck->leave) == 0)
    pause_us(50);
  return 0;
}

static void hold_a_bucket(void* arg, unsigned number) {
  pkd_park_t how = {.validate = stand_in_the_bucket, .arg = arg};

  (void)number;
  pkd_lot_park(((struct stuck*)arg)->key, &how, PKD_FOREVER, NULL);
}

static int run_in_child_of_held(const void* key, void (*fn)(void)) {
  struct stuck stuck = {0, 0, key};
  struct crew crew;
  int code;

  crew_start(&crew, 1, hold_a_bucket, &stuck);
  WAIT_FOR(count_of(&stuck.inside) == 1);
  code = run_in_child(fn);
  count_up(&stuck.leave);
  crew_join(&crew);
  return code;
}

static void a_bucket_held_at_the_fork_is_free_in_the_child(void** state) {
  (void)state;
  assert_int_equal(run_in_child_of_held(&here, find_an_empty_lot), 0);
}

static void queue_what_stood_in_a_held_bucket(void) {
  pkd_waiter_t own = {0};

  for (unsigned i = 0; i < 3; i++)
    MUST(pkd_lot_remove(&inherited[i], NULL, NULL) == -ENOENT);
  MUST(pkd_lot_enqueue(&here, &own, NULL, NULL) == 0);
  for (unsigned i = 0; i < 3; i++)
    MUST(pkd_lot_remove(&inherited[i], NULL, NULL) == -ENOENT);
  MUST(waiting_at(&here) == 1);
  MUST(pkd_lot_remove(&own, NULL, NULL) == 0);
  for (unsigned i = 0; i < 3; i++)
    MUST(pkd_lot_enqueue(&here, &inherited[i], NULL, NULL) == 0);
  MUST(waiting_at(&here) == 3);
  for (unsigned i = 0; i < 3; i++)
    MUST(pkd_lot_remove(&inherited[i], NULL, NULL) == 0);
  MUST(waiting_at(&here) == 0);
}

/* What stood in that bucket says so still, and yet stands nowhere. */
static void who_stood_in_a_held_bucket_can_queue_in_the_child(void** state) {
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    inherited[i] = (pkd_waiter_t){0};
    pkd_lot_enqueue(&here, &inherited[i], NULL, NULL);
  }
  assert_int_equal(
      run_in_child_of_held(&here, queue_what_stood_in_a_held_bucket), 0);
  assert_int_equal(waiting_at(&here), 3);
  for (unsigned i = 0; i < 3; i++)
    pkd_lot_remove(&inherited[i], NULL, NULL);
}

static void park_with_own_token(void) {
  MUST(pkd_thread_unpark(pkd_thread_self()) == 0);
  MUST(pkd_thread_park(0) == 0);
  MUST(pkd_thread_park(0) == -ETIMEDOUT);
}

static void a_thread_keeps_its_handle_though_its_bucket_was_held(void** state) {
  pkd_thread_t self = pkd_thread_self();

  (void)state;
  assert_int_equal(run_in_child_of_held(self.place, park_with_own_token), 0);
  assert_int_equal(pkd_thread_unpark(self), 0);
  assert_int_equal(pkd_thread_park(0), 0);
}

static void have_a_child_while_the_bucket_is_held(void) {
  MUST(run_in_child_of_held(pkd_thread_self().place, park_with_own_token) == 0);
}

static void a_thread_keeps_its_handle_in_a_childs_child(void** state) {
  (void)state;
  if (PKD_TEST_SLOW)
    skip();
  assert_int_equal(run_in_child(have_a_child_while_the_bucket_is_held), 0);
}

static void have_a_child(void) {
  find_an_empty_lot();
  MUST(run_in_child(find_an_empty_lot) == 0);
}

static void a_childs_child_is_a_child(void** state) {
  (void)state;
  assert_int_equal(run_in_child(have_a_child), 0);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_child_starts_with_an_empty_lot),
      cmocka_unit_test(an_inherited_waiter_is_not_queued),
      cmocka_unit_test(a_lock_its_parent_held_is_held_by_the_child),
      cmocka_unit_test(a_child_does_not_wait_for_a_waker_left_behind),
      cmocka_unit_test(an_inherited_link_is_not_called_nor_waited_for),
      cmocka_unit_test(nobody_waits_at_a_condition_in_the_child),
      cmocka_unit_test(a_bucket_held_at_the_fork_is_free_in_the_child),
      cmocka_unit_test(who_stood_in_a_held_bucket_can_queue_in_the_child),
      cmocka_unit_test(a_thread_keeps_its_handle_though_its_bucket_was_held),
      cmocka_unit_test(a_thread_keeps_its_handle_in_a_childs_child),
      cmocka_unit_test(children_of_a_busy_parent_find_no_lock_held),
      cmocka_unit_test(a_childs_child_is_a_child),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("fork", tests, NULL, NULL);
}
