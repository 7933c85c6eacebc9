/* SPDX-License-Identifier: MIT
 *
 * test_fork_load.c - children of a busy parent use the locks that its threads wait
 * for.
 *
 * The parent's main thread has everything, a thread of it waits for each, and
 * others change the lot without a pause, so that a fork falls into any moment. The
 * child finds its locks held, by itself; it gives them back and takes them anew,
 * at the addresses where the parent has waiters. PKD_TEST_CHILDREN says how many
 * children there are. */
#include "waits.h"

enum { LOADS = 3 };

static struct {
  pkd_waiter_t waiters[LOADS][4];
  char places[4];
  unsigned stop; /* atomic */
} load;

static void woken(pkd_waiter_t* waiter) {
  (void)waiter;
}

/* Queues, moves and removes at addresses of its own and of the locks. */
static void make_load(void* arg, unsigned number) {
  rng_t rng = rng_stream(*(uint64_t*)arg, number);

  while (count_of(&load.stop) == 0) {
    pkd_waiter_t* waiter = &load.waiters[number][rng_below(&rng, 4)];

    waiter->wake = woken;
    if (pkd_lot_remove(waiter, NULL, NULL) != 0)
      pkd_lot_enqueue(&load.places[rng_below(&rng, 4)], waiter, NULL, NULL);
    pkd_lot_for_each(wait_kinds[rng_below(&rng, wait_kind_count)].key, NULL,
                     NULL);
  }
  for (int i = 0; i < 4; i++)
    pkd_lot_remove(&load.waiters[number][i], NULL, NULL);
}

/* In the child. A fact, or its line on stderr and an exit code. */
#define MUST(fact, kind)                                                       \
  do {                                                                         \
    if (!(fact)) {                                                             \
      fprintf(stderr, "child: %s: not so: %s\n", (kind)->name, #fact);         \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

static void use_every_lock(void) {
  if (pkd_lot_for_each(NULL, NULL, NULL) >
      1) /* the holder of a key may stand */
    _exit(2);
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];

    if (kind->sort != LOCK)
      continue; /* what the parent's waiter has a share of stays shared */
    /* Who holds a key stands in the lot, which is empty in a child. */
    if (strcmp(kind->name, "key") == 0) {
      MUST(kind->wait(0) == 0, kind);
      continue;
    }
    MUST(kind->wait(0) == -ETIMEDOUT, kind);
    MUST(kind->wait(pkd_after(1000)) == -ETIMEDOUT, kind);
    kind->give();
    MUST(kind->wait(pkd_after(20 * SECOND)) == 0, kind);
    kind->take();
    MUST(kind->wait(0) == -ETIMEDOUT, kind);
    kind->give();
    MUST(kind->wait(pkd_after(20 * SECOND)) == 0, kind);
    MUST(kind->key == NULL || waiting_at(kind->key) == 0, kind);
  }
}

static unsigned children(void) {
  const char* text = getenv("PKD_TEST_CHILDREN");

  return text != NULL ? (unsigned)atoi(text) : 150;
}

static void children_take_the_locks_that_the_parent_waits_for(void** state) {
  struct waiting waiting[32];
  uint64_t seed = *(uint64_t*)*state;
  struct crew crew;

  for (size_t i = 0; i < wait_kind_count; i++) {
    wait_kinds[i].take();
    start_waiting(&waiting[i], &wait_kinds[i], PKD_FOREVER);
  }
  crew_start(&crew, LOADS, make_load, &seed);
  for (unsigned i = 0; i < children(); i++)
    assert_int_equal(run_in_child(use_every_lock), 0);
  count_up(&load.stop);
  crew_join(&crew);
  for (size_t i = 0; i < wait_kind_count; i++) {
    wait_kinds[i].give();
    assert_int_equal(join_waiting(&waiting[i]), 0);
  }
  all_is_as_it_was();
}

int main(int argc, char** argv) {
  static uint64_t seed;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(
          children_take_the_locks_that_the_parent_waits_for, &seed),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("fork_load", tests, NULL, NULL);
}
