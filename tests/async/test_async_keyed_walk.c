/* SPDX-License-Identifier: MIT
 *
 * test_async_keyed_walk.c - more keys in one part of the lot than a walk of it notes
 * at once (async/keyed_walk.c).
 *
 * There are so many parts that this hardly happens, so the keys are chosen by where
 * they stand. What is expected does not depend on that. */
#include "stuck.h"

#include "../../async/keyed.h"
#include "bucket.h"

enum { KEYS = 40 };

static pkd_async_keyed_t keyed;
static uint64_t keys[KEYS];
static pkd_req_t holders[KEYS];
static struct task {
  pkd_req_t req;
  atomic_int status;
} of_a[KEYS], of_b[KEYS];

static unsigned part_of(uint64_t key) {
  const void* name = pkd__keyed_name(&keyed, &key, sizeof key);

  return (unsigned)(pkd__hash(name) >> (64 - PKD_BUCKET_BITS));
}

/* Of the part that is the first to have so many. */
static void choose_keys(void) {
  static uint8_t counts[PKD_BUCKETS];
  uint64_t last = 0;
  int n = 0;

  memset(counts, 0, sizeof counts);
  while (++counts[part_of(last)] < KEYS)
    last++;
  for (uint64_t key = 0; key <= last; key++)
    if (part_of(key) == part_of(last))
      keys[n++] = key;
  assert_int_equal(n, KEYS);
}

static void answered(pkd_req_t* req, int status) {
  ((struct task*)req)->status = status;
}

static int open_held(void** state) {
  int rc = world_open(state);

  memset(&keyed, 0, sizeof keyed);
  memset(holders, 0, sizeof holders);
  memset(of_a, 0, sizeof of_a);
  memset(of_b, 0, sizeof of_b);
  choose_keys();
  for (int i = 0; i < KEYS; i++) {
    of_a[i].status = of_b[i].status = NOT_YET;
    rc |= pkd_async_keyed_trylock_u64(&holders[i], &keyed, keys[i]);
  }
  return rc;
}

static void ask_on_a(void) {
  for (int i = 0; i < KEYS; i++)
    assert_int_equal(pkd_async_keyed_lock_u64(&loop_a, &of_a[i].req, &keyed,
                                              keys[i], answered),
                     0);
}

static void ask_on_b(void* arg) {
  (void)arg;
  for (int i = 0; i < KEYS; i++)
    pkd_async_keyed_lock_u64(&loop_b, &of_b[i].req, &keyed, keys[i], answered);
}

static void give_all(void) {
  for (int i = 0; i < KEYS; i++)
    assert_int_equal(pkd_async_keyed_unlock(&holders[i], &keyed), 0);
}

static void a_close_finds_all_who_wait(void** state) {
  (void)state;
  ask_on_a();
  assert_int_equal(pkd_async_keyed_close(&keyed), 0);
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), KEYS);
  for (int i = 0; i < KEYS; i++) {
    WAIT_FOR((turn_a(), of_a[i].status != NOT_YET));
    assert_int_equal(of_a[i].status, UV_ECANCELED);
  }
  give_all();
}

static void all_keys_of_a_stuck_loop_are_taken_back(void** state) {
  (void)state;
  be_patient(SHORT);
  on_loop_b(ask_on_b, NULL);
  ask_on_a();
  stall_b();
  give_all();
  for (int i = 0; i < KEYS; i++) {
    WAIT_FOR((turn_a(), of_a[i].status != NOT_YET));
    assert_int_equal(of_a[i].status, 0);
    assert_int_equal(of_b[i].status, NOT_YET);
  }
  assert_int_equal(grants_of_b().undelivered, 0);
  wake_b();
  for (int i = 0; i < KEYS; i++) {
    assert_int_equal(pkd_async_keyed_unlock(&of_a[i].req, &keyed), 0);
    WAIT_FOR(of_b[i].status != NOT_YET);
    assert_int_equal(of_b[i].status, 0);
    assert_int_equal(pkd_async_keyed_unlock(&of_b[i].req, &keyed), 0);
  }
}

#define WITH_KEYS(test)                                                        \
  { #test, test, open_held, world_close, &worlds[TWO_LOOPS] }

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_KEYS(a_close_finds_all_who_wait),
      WITH_KEYS(all_keys_of_a_stuck_loop_are_taken_back),
  };

  return cmocka_run_group_tests_name("async_keyed_walk", tests, NULL, NULL);
}
