/* SPDX-License-Identifier: MIT
 *
 * test_fork_early.c - a program that is linked with the static library, and whose
 * constructor asks to be called in the child of a fork: before the constructors of
 * the library, which stands behind it on the linker's line. It finds the lot as
 * empty as whoever asked later. */
#include <parkade/lot.h>

#include "support/child.h"
#include "support/test.h"

#include <pthread.h>
#include <unistd.h>

static char here; /* an address */
static size_t found = 99;

static void look_into_the_lot(void) {
  found = pkd_lot_for_each(&here, NULL, NULL);
}

__attribute__((constructor)) static void ask_to_be_called(void) {
  pthread_atfork(NULL, NULL, look_into_the_lot);
}

static void who_asks_in_a_constructor_finds_an_empty_lot(void** state) {
  pkd_waiter_t waiter = {0};
  pid_t child;

  (void)state;
  assert_int_equal(pkd_lot_enqueue(&here, &waiter, NULL, NULL), 0);
  child = fork();
  if (child == 0)
    _exit((int)found);
  assert_int_equal(child_ends(child), 0);
  assert_int_equal(pkd_lot_remove(&waiter, NULL, NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_asks_in_a_constructor_finds_an_empty_lot),
  };
  return cmocka_run_group_tests_name("fork_early", tests, NULL, NULL);
}
