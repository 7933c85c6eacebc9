/* SPDX-License-Identifier: MIT
 *
 * test_check.c - the check of a bucket's queues: it passes what is whole, and it
 * can fail, in each way that it has. */
#include "support/test.h"

#include <parkade/lot.h>

#include "check.h"
#include "queue.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEYS = 16, EACH = 3, CROWD = 40, ENDS = 16 /* looked at */ };

static pkd_waiter_t* root;
static const void* keys[CROWD];
static pkd_waiter_t waiters[CROWD][CROWD];

static unsigned bucket_of(const void* key) {
  return (unsigned)(pkd__hash(key) >> (64 - PKD_BUCKET_BITS));
}

static const char* fault(void) {
  return pkd__queues_fault(root, bucket_of(keys[0]));
}

#define assert_fault(words)                                                    \
  do {                                                                         \
    const char* fault_ = fault();                                              \
    assert_non_null(fault_);                                                   \
    assert_non_null(strstr(fault_, words));                                    \
  } while (0)

/* A tree of `queues` with `each` waiters. */
static void grow(unsigned queues, unsigned each) {
  uintptr_t address = 0x10000;

  root = NULL;
  memset(waiters, 0, sizeof waiters);
  keys[0] = (const void*)address;
  for (unsigned k = 0; k < queues; address += 8) {
    const void* key = (const void*)address;

    if (bucket_of(key) != bucket_of(keys[0]))
      continue;
    keys[k] = key;
    for (unsigned i = 0; i < each; i++)
      pkd__queue_push(pkd__queue_find(&root, key), key, &waiters[k][i], false);
    k++;
  }
}

static int build(void** state) {
  (void)state;
  grow(KEYS, EACH);
  return 0;
}

/* Some head that has a head beneath it, and the way there. */
static pkd_waiter_t** a_child(unsigned* turn) {
  *turn = root->child[0] == NULL;
  return &root->child[*turn];
}

static void whole_queues_pass(void** state) {
  (void)state;
  assert_null(fault());
  for (unsigned k = 0; k < KEYS; k++) {
    for (unsigned i = 0; i < EACH; i++) {
      pkd__queue_pop(pkd__queue_find(&root, keys[k]), &waiters[k][i]);
      assert_null(fault());
    }
  }
  assert_null(root);
}

/* Of a crowd the ends of each ring are looked at, and some rings. */
static void a_crowd_is_looked_at_in_part(void** state) {
  unsigned turn;

  (void)state;
  grow(CROWD, CROWD);
  assert_null(fault());
  waiters[0][CROWD / 2].prev = NULL; /* far from both ends */
  waiters[0][ENDS].key = keys[1];
  assert_null(fault());
  waiters[0][ENDS - 1].key = keys[1];
  assert_fault("for another address");
  waiters[0][ENDS - 1].key = keys[0];
  waiters[0][CROWD - 2].key = keys[1];
  assert_fault("for another address");
  waiters[0][CROWD - 2].key = keys[0];
  waiters[0][CROWD - 1].next = &waiters[0][1];
  assert_fault("ring is broken");
  grow(CROWD, 1);
  (*a_child(&turn))->prev = NULL;
  assert_fault("not queued");
}

static void a_ring_with_a_wrong_link_is_found(void** state) {
  (void)state;
  waiters[3][1].next = &waiters[3][1];
  assert_fault("ring is broken");
  build(NULL);
  waiters[3][0].prev = &waiters[3][1];
  assert_fault("ring is broken");
  build(NULL);
  waiters[3][2].next = &waiters[4][0]; /* into another queue */
  assert_fault("ring is broken");
}

static void a_waiter_that_is_not_queued_is_found(void** state) {
  (void)state;
  waiters[KEYS - 1][1].prev = NULL;
  assert_fault("ring is broken");
  build(NULL);
  waiters[KEYS - 1][0].prev = NULL;
  assert_fault("not queued");
  build(NULL);
  waiters[0][0].next = NULL;
  assert_fault("not queued");
}

static void a_waiter_for_another_address_is_found(void** state) {
  (void)state;
  waiters[5][2].key = keys[6];
  assert_fault("for another address");
}

static void a_head_off_its_path_is_found(void** state) {
  unsigned turn;
  pkd_waiter_t** slot;
  pkd_waiter_t* head;

  (void)state;
  slot = a_child(&turn);
  head = *slot;
  *slot = root->child[!turn];
  root->child[!turn] = head;
  assert_fault("off the path");
}

static void two_queues_for_one_address_are_found(void** state) {
  unsigned turn;
  pkd_waiter_t twin = {0};
  pkd_waiter_t* copy = NULL;
  pkd_waiter_t** slot = a_child(&turn);
  const void* key = pkd__key_of(*slot);

  (void)state;
  /* the same address again, at the end of its path */
  pkd__queue_push(&copy, key, &twin, false);
  slot = &root;
  for (uint64_t path = pkd__hash(key) << PKD_BUCKET_BITS; *slot != NULL;
       path <<= 1)
    slot = &(*slot)->child[path >> 63];
  *slot = &twin;
  assert_fault("two queues");
}

static void an_address_of_another_bucket_is_found(void** state) {
  (void)state;
  assert_non_null(strstr(pkd__queues_fault(root, bucket_of(keys[0]) ^ 1),
                         "another bucket"));
}

static void a_tree_that_bites_its_tail_ends(void** state) {
  uint64_t path = pkd__hash(pkd__key_of(root)) << PKD_BUCKET_BITS;

  (void)state;
  root->child[path >> 63] = root;
  assert_non_null(fault());
}

#ifdef PKD_CHECKS
static int end_of_child(void (*fn)(void)) {
  int status = 0;
  pid_t child;

  fflush(NULL);
  child = fork();
  if (child == 0) {
    fn();
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void break_a_queue(void) {
  static pkd_waiter_t pair[3];

  pkd_lot_enqueue(&root, &pair[0], NULL, NULL);
  pkd_lot_enqueue(&root, &pair[1], NULL, NULL);
  pair[1].prev = &pair[1];
  pkd_lot_enqueue(&root, &pair[2], NULL, NULL);
}

static void the_lot_stops_at_the_call_that_finds_it_broken(void** state) {
  (void)state;
  assert_int_equal(end_of_child(break_a_queue), SIGABRT);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(whole_queues_pass, build),
      cmocka_unit_test_setup(a_crowd_is_looked_at_in_part, build),
      cmocka_unit_test_setup(a_ring_with_a_wrong_link_is_found, build),
      cmocka_unit_test_setup(a_waiter_that_is_not_queued_is_found, build),
      cmocka_unit_test_setup(a_waiter_for_another_address_is_found, build),
      cmocka_unit_test_setup(a_head_off_its_path_is_found, build),
      cmocka_unit_test_setup(two_queues_for_one_address_are_found, build),
      cmocka_unit_test_setup(an_address_of_another_bucket_is_found, build),
      cmocka_unit_test_setup(a_tree_that_bites_its_tail_ends, build),
#ifdef PKD_CHECKS
      cmocka_unit_test(the_lot_stops_at_the_call_that_finds_it_broken),
#endif
  };
  return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
