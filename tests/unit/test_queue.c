/* SPDX-License-Identifier: MIT
 *
 * test_queue.c - the queues of one bucket against a model that cannot be wrong:
 * one array of waiters for each address.
 *
 * All addresses here fall into one bucket, so all rings hang in one tree. After
 * each step the tree and every ring are compared with the model. */
#include "queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 48, WAITERS = 96, STEPS = 60000 };

struct line { /* the model of one queue, oldest first */
  pkd_waiter_t* at[WAITERS];
  unsigned count;
};

static pkd_waiter_t* root;
static const void* keys[KEYS];
static struct line lines[KEYS];
static pkd_waiter_t waiters[WAITERS];
static uint64_t seed;

static uint64_t rnd(uint64_t below) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed % below;
}

/* Addresses whose hash begins alike. */
static void find_keys(void) {
  uintptr_t address = 0x10000;
  uint64_t bucket = pkd__hash((const void*)address) >> (64 - PKD_BUCKET_BITS);

  for (unsigned i = 0; i < KEYS; address += 8) {
    if (pkd__hash((const void*)address) >> (64 - PKD_BUCKET_BITS) == bucket)
      keys[i++] = (const void*)address;
  }
}

static int start(void** state) {
  (void)state;
  root = NULL;
  memset(lines, 0, sizeof lines);
  memset(waiters, 0, sizeof waiters);
  find_keys();
  return 0;
}

/* --- the tree by itself ---------------------------------------------------- */

static void check_ring(pkd_waiter_t* head) {
  pkd_waiter_t* waiter = head;

  do {
    assert_ptr_equal(waiter->next->prev, waiter);
    assert_ptr_equal(waiter->prev->next, waiter);
    assert_ptr_equal(pkd__key_of(waiter), pkd__key_of(head));
    waiter = waiter->next;
  } while (waiter != head);
}

/* Every head stands on the path that its hash spells.
 * @return how many heads */
static unsigned check_tree(pkd_waiter_t* head, unsigned depth, uint64_t path) {
  uint64_t own;

  if (head == NULL)
    return 0;
  own = pkd__hash(pkd__key_of(head)) << PKD_BUCKET_BITS;
  assert_true(depth <= 64 - PKD_BUCKET_BITS);
  if (depth != 0)
    assert_int_equal(own >> (64 - depth), path);
  check_ring(head);
  return 1 + check_tree(head->child[0], depth + 1, path << 1) +
         check_tree(head->child[1], depth + 1, path << 1 | 1);
}

static unsigned height(const pkd_waiter_t* head) {
  unsigned a, b;

  if (head == NULL)
    return 0;
  a = height(head->child[0]);
  b = height(head->child[1]);
  return 1 + (a > b ? a : b);
}

/* --- the tree and the model ------------------------------------------------ */

static void check_all(void) {
  unsigned used = 0;

  for (unsigned k = 0; k < KEYS; k++) {
    pkd_waiter_t* waiter = *pkd__queue_find(&root, keys[k]);

    if (lines[k].count == 0) {
      assert_null(waiter);
      continue;
    }
    used++;
    for (unsigned i = 0; i < lines[k].count; i++) {
      assert_ptr_equal(waiter, lines[k].at[i]);
      waiter = waiter->next;
    }
    assert_ptr_equal(waiter, lines[k].at[0]); /* the ring is closed */
  }
  assert_int_equal(check_tree(root, 0, 0), used);
}

static void push(unsigned k, pkd_waiter_t* waiter, bool front) {
  struct line* line = &lines[k];

  pkd__queue_push(pkd__queue_find(&root, keys[k]), keys[k], waiter, front);
  if (front)
    memmove(&line->at[1], &line->at[0], line->count * sizeof line->at[0]);
  line->at[front ? 0 : line->count] = waiter;
  line->count++;
  assert_true(pkd__queued(waiter));
}

static pkd_waiter_t* pop(unsigned k, unsigned i) {
  struct line* line = &lines[k];
  pkd_waiter_t* waiter = line->at[i];
  bool empty = pkd__queue_pop(pkd__queue_find(&root, keys[k]), waiter);

  line->count--;
  memmove(&line->at[i], &line->at[i + 1],
          (line->count - i) * sizeof line->at[0]);
  assert_int_equal(empty, line->count == 0);
  assert_false(pkd__queued(waiter));
  return waiter;
}

static void move_all(unsigned from, unsigned to) {
  while (from != to && lines[from].count > 0)
    push(to, pop(from, 0), false);
}

static void random_step(void) {
  pkd_waiter_t* waiter = &waiters[rnd(WAITERS)];
  unsigned k = (unsigned)rnd(KEYS);

  if (rnd(16) == 0) {
    move_all(k, (unsigned)rnd(KEYS));
  } else if (!pkd__queued(waiter)) {
    push(k, waiter, rnd(4) == 0);
  } else {
    while (lines[k].count == 0)
      k = (k + 1) % KEYS;
    pop(k, (unsigned)rnd(lines[k].count));
  }
}

/* --- the tests ------------------------------------------------------------- */

static void an_empty_bucket_knows_no_address(void** state) {
  (void)state;
  assert_ptr_equal(pkd__queue_find(&root, keys[0]), &root);
  check_all();
}

static void a_queue_is_first_in_first_out(void** state) {
  (void)state;
  for (unsigned i = 0; i < 5; i++)
    push(0, &waiters[i], false);
  check_all();
  for (unsigned i = 0; i < 5; i++)
    assert_ptr_equal(pop(0, 0), &waiters[i]);
  assert_null(root);
}

static void each_of_a_queue_stands_in_it_and_no_other(void** state) {
  (void)state;
  for (unsigned i = 0; i < 3; i++)
    push(0, &waiters[i], false);
  push(1, &waiters[3], false);
  for (unsigned i = 0; i < 3; i++)
    assert_true(pkd__queue_has(*pkd__queue_find(&root, keys[0]), &waiters[i]));
  assert_false(pkd__queue_has(*pkd__queue_find(&root, keys[0]), &waiters[3]));
  assert_true(pkd__queue_has(*pkd__queue_find(&root, keys[1]), &waiters[3]));
  assert_false(pkd__queue_has(*pkd__queue_find(&root, keys[1]), &waiters[0]));
}

static void who_is_pushed_in_front_becomes_the_head(void** state) {
  (void)state;
  push(0, &waiters[0], true); /* in front of nobody */
  push(1, &waiters[1], false);
  push(2, &waiters[2], false);
  push(0, &waiters[3], true); /* takes over the place in the tree */
  check_all();
  assert_ptr_equal(root, &waiters[3]);
  assert_ptr_equal(pop(0, 0), &waiters[3]);
  assert_ptr_equal(pop(0, 0), &waiters[0]);
  check_all();
}

static void head_middle_and_tail_leave_the_rest_in_order(void** state) {
  (void)state;
  for (unsigned at = 0; at < 5; at++) {
    start(NULL);
    push(1, &waiters[9], false);
    for (unsigned i = 0; i < 5; i++)
      push(0, &waiters[i], false);
    push(2, &waiters[8], false);
    pop(0, at);
    check_all();
  }
}

static void a_head_with_heads_beneath_is_replaced_by_a_leaf(void** state) {
  (void)state;
  for (unsigned gone = 0; gone < KEYS; gone++) {
    start(NULL);
    for (unsigned k = 0; k < KEYS; k++)
      push(k, &waiters[k], false);
    pop(gone, 0);
    check_all();
    push(gone, &waiters[gone], false);
    check_all();
  }
}

static void any_order_of_leaving_empties_the_tree(void** state) {
  (void)state;
  for (seed = 1; seed < 200; seed++) {
    uint64_t first = seed;

    start(NULL);
    for (unsigned k = 0; k < KEYS; k++)
      push(k, &waiters[k], false);
    for (unsigned left = KEYS; left > 0; left--) {
      unsigned k = (unsigned)rnd(KEYS);

      while (lines[k].count == 0)
        k = (k + 1) % KEYS;
      pop(k, 0);
      check_all();
    }
    assert_null(root);
    seed = first;
  }
}

static void nobody_is_queued_in_a_tree_that_is_abandoned(void** state) {
  (void)state;
  pkd__queue_abandon(root);
  for (unsigned i = 0; i < WAITERS; i++)
    push(i % KEYS, &waiters[i], false);
  pkd__queue_abandon(root);
  for (unsigned i = 0; i < WAITERS; i++)
    assert_false(pkd__queued(&waiters[i]));
}

static void random_steps_agree_with_the_model(void** state) {
  (void)state;
  seed = 0x5eed;
  for (unsigned i = 0; i < STEPS; i++) {
    random_step();
    if (i % 7 == 0 || i < 1000)
      check_all();
  }
  check_all();
}

/* 20,000 waiters at other addresses of the *same* bucket, where a fair share of
 * a bucket would need 80 million in all, cost a few dozen steps. Where an address
 * has 32 bits there are not that many. */
/* Of 65536 addresses one is of the bucket: without optimization, as in the build
 * with coverage, to find 20000 would take a minute. */
#if defined(__OPTIMIZE__) && UINTPTR_MAX > UINT32_MAX
enum { MANY = 20000, FLAT = 15 };
#else
enum { MANY = 2000, FLAT = 11 };
#endif

static void the_tree_stays_flat_with_many_addresses(void** state) {
  pkd_waiter_t* many = calloc(MANY, sizeof *many);
  const uint64_t step = pkd__hash((const void*)8); /* it multiplies */
  uintptr_t address = 0x10000;
  uint64_t hash = pkd__hash((const void*)address);
  uint64_t bucket = hash >> (64 - PKD_BUCKET_BITS);

  (void)state;
  assert_non_null(many);
  for (unsigned i = 0; i < MANY; address += 8, hash += step)
    if (hash >> (64 - PKD_BUCKET_BITS) == bucket) {
      const void* key = (const void*)address;

      assert_true(pkd__hash(key) == hash);
      pkd__queue_push(pkd__queue_find(&root, key), key, &many[i++], false);
    }
  assert_int_equal(check_tree(root, 0, 0), MANY);
  assert_in_range(height(root), FLAT, 45);
  free(many);
  root = NULL;
}

#if UINTPTR_MAX > UINT32_MAX
/* The inverse of the hash's odd factor, by Newton's steps. */
static const void* key_with_hash(uint64_t hash) {
  uint64_t factor = pkd__hash((const void*)(uintptr_t)1);
  uint64_t inverse = factor;

  for (unsigned i = 0; i < 6; i++)
    inverse *= 2 - factor * inverse;
  return (const void*)(uintptr_t)(hash * inverse);
}

/* The worst addresses there are: they part at the very last bit. */
static void addresses_that_part_at_the_last_bit_are_told_apart(void** state) {
  (void)state;
  for (unsigned i = 0; i < KEYS; i++)
    keys[i] =
        key_with_hash(UINT64_C(1) << 63 | (i < 24 ? i : UINT64_C(1) << i));
  for (unsigned i = 0; i < KEYS; i++)
    push(i, &waiters[i], false);
  check_all();
  assert_true(height(root) > 20);
  for (unsigned i = 0; i < KEYS; i++) {
    pop((i * 29) % KEYS, 0);
    check_all();
  }
  assert_null(root);
}
#endif

static void the_hash_maps_no_two_addresses_alike(void** state) {
  (void)state;
  /* An odd factor has an inverse; its lowest bit is all that needs. */
  assert_int_equal(pkd__hash((const void*)(uintptr_t)1) & 1, 1);
  assert_int_equal(pkd__hash(NULL), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(an_empty_bucket_knows_no_address, start),
    cmocka_unit_test_setup(a_queue_is_first_in_first_out, start),
    cmocka_unit_test_setup(each_of_a_queue_stands_in_it_and_no_other, start),
    cmocka_unit_test_setup(who_is_pushed_in_front_becomes_the_head, start),
    cmocka_unit_test_setup(head_middle_and_tail_leave_the_rest_in_order, start),
    cmocka_unit_test_setup(a_head_with_heads_beneath_is_replaced_by_a_leaf,
                           start),
    cmocka_unit_test_setup(any_order_of_leaving_empties_the_tree, start),
    cmocka_unit_test_setup(nobody_is_queued_in_a_tree_that_is_abandoned, start),
    cmocka_unit_test_setup(random_steps_agree_with_the_model, start),
    cmocka_unit_test_setup(the_tree_stays_flat_with_many_addresses, start),
#if UINTPTR_MAX > UINT32_MAX
    cmocka_unit_test_setup(addresses_that_part_at_the_last_bit_are_told_apart,
                           start),
#endif
    cmocka_unit_test(the_hash_maps_no_two_addresses_alike),
  };
  return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
