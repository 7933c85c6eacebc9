/* SPDX-License-Identifier: MIT
 *
 * test_async_keyed.c - each key is a mutex of its own, and nothing else is.
 *
 * Built twice: as it is shipped, and with three names in all, so that keys share
 * the queues of the lot and are told apart by their bytes alone. */
#include "family.h"
#include "support/child.h"

#include <unistd.h>

static pkd_async_keyed_t keyed, other;
static struct wait waits[64];

static void fresh(void) {
  memset(&keyed, 0, sizeof keyed);
  memset(&other, 0, sizeof other);
  memset(waits, 0, sizeof waits);
}

static void lock(unsigned i, uint64_t key) {
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[i].req, &keyed, key, record), 0);
}

static void unlock(unsigned i) {
  assert_int_equal(pkd_async_keyed_unlock(&waits[i].req, &keyed), 0);
}

static void different_keys_never_wait_for_each_other(void** state) {
  (void)state;
  fresh();
  for (unsigned i = 0; i < 60; i++)
    lock(i, i);
  run_until(60);
  for (unsigned i = 0; i < 60; i++) {
    assert_int_equal(waits[i].status, 0);
    assert_ptr_equal(pkd_req_owned(&waits[i].req), &keyed);
  }
  for (unsigned i = 0; i < 60; i += 2)
    unlock(i);
  for (unsigned i = 1; i < 60; i += 2)
    unlock(i);
}

static void one_key_is_granted_in_the_order_of_asking(void** state) {
  (void)state;
  fresh();
  for (unsigned i = 0; i < 30; i++)
    lock(i, i % 3); /* three queues, interleaved */
  run_until(3);
  for (unsigned i = 0; i < 27; i++) {
    run_some();
    assert_int_equal(answered, 3 + i);
    assert_int_equal(waits[i].status, 0);
    unlock(i);
    run_until(4 + (int)i);
    assert_int_equal(waits[i + 3].answers, 1);
  }
  for (unsigned i = 27; i < 30; i++)
    unlock(i);
}

static void try_takes_a_free_key_and_never_a_held_one(void** state) {
  pkd_req_t a = {0}, b = {0}, c = {0}, d = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_keyed_trylock_u64(&a, &keyed, 1), 0);
  assert_int_equal(pkd_async_keyed_trylock_u64(&b, &keyed, 1), UV_EBUSY);
  assert_int_equal(pkd_async_keyed_trylock_u64(&b, &keyed, 2), 0);
  assert_int_equal(pkd_async_keyed_trylock_u64(&c, &keyed, 3), 0);
  assert_int_equal(pkd_async_keyed_trylock_u64(&d, &keyed, 2), UV_EBUSY);
  assert_int_equal(pkd_async_keyed_trylock_u64(&d, &keyed, 3), UV_EBUSY);
  assert_int_equal(pkd_async_keyed_trylock_u64(&c, &keyed, 4), UV_EBUSY);
  assert_int_equal(pkd_async_keyed_trylock_u64(&d, &other, 1), 0); /* another */
  assert_int_equal(pkd_async_keyed_unlock(&d, &keyed), UV_EPERM);
  assert_int_equal(pkd_async_keyed_unlock(&d, &other), 0);
  assert_int_equal(pkd_async_keyed_unlock(&a, &keyed), 0);
  assert_int_equal(pkd_async_keyed_unlock(&a, &keyed), UV_EPERM);
  assert_int_equal(pkd_async_keyed_trylock_u64(&d, &keyed, 1), 0);
  assert_int_equal(pkd_async_keyed_unlock(&d, &keyed), 0);
  assert_int_equal(pkd_async_keyed_unlock(&b, &keyed), 0);
  assert_int_equal(pkd_async_keyed_unlock(&c, &keyed), 0);
}

static void keys_are_byte_strings_of_any_length(void** state) {
  static const char long_key[] = "/a/path/that/does/not/fit/into/the/request";
  char copy[sizeof long_key];
  pkd_req_t reqs[8] = {{0}};
  pkd_req_t again = {0};
  const struct {
    const void* key;
    size_t length;
  } keys[8] = {
      {NULL, 0},      {"", 1},        {"\0", 2},
      {"a", 1},       {"ab", 2},      {long_key, sizeof long_key},
      {long_key, 24}, {long_key, 25},
  };

  (void)state;
  fresh();
  for (int i = 0; i < 8; i++)
    assert_int_equal(
        pkd_async_keyed_trylock(&reqs[i], &keyed, keys[i].key, keys[i].length),
        0);
  memcpy(copy, long_key, sizeof copy); /* the bytes count, not the address */
  assert_int_equal(pkd_async_keyed_trylock(&again, &keyed, copy, sizeof copy),
                   UV_EBUSY);
  for (int i = 0; i < 8; i++)
    assert_int_equal(pkd_async_keyed_unlock(&reqs[i], &keyed), 0);
  assert_int_equal(pkd_async_keyed_trylock(&again, &keyed, copy, sizeof copy),
                   0);
  assert_int_equal(pkd_async_keyed_unlock(&again, &keyed), 0);
}

static void a_cancelled_wait_leaves_the_order_of_the_others(void** state) {
  (void)state;
  fresh();
  for (unsigned i = 0; i < 6; i++)
    lock(i, 7);
  lock(6, 8);
  run_until(2);
  assert_int_equal(pkd_req_cancel(&waits[0].req), UV_EBUSY); /* it owns */
  assert_int_equal(pkd_req_cancel(&waits[1].req), 0);        /* the next */
  assert_int_equal(pkd_req_cancel(&waits[3].req), 0);        /* the middle */
  assert_int_equal(pkd_req_cancel(&waits[5].req), 0);        /* the last */
  assert_int_equal(pkd_req_cancel(&waits[5].req), 0);        /* said before */
  run_until(5);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  unlock(0);
  run_until(6);
  assert_int_equal(waits[2].status, 0);
  unlock(2);
  run_until(7);
  assert_int_equal(waits[4].status, 0);
  unlock(4);
  unlock(6);
}

static void a_revoked_grant_goes_to_the_next(void** state) {
  (void)state;
  fresh();
  lock(0, 7);
  lock(1, 7);
  lock(2, 7);
  assert_int_equal(pkd_async_keyed_unlock(&waits[0].req, &keyed),
                   UV_EPERM); /* not delivered yet */
  assert_int_equal(pkd_req_cancel(&waits[0].req), 0);
  assert_int_equal(pkd_req_cancel(&waits[1].req), 0); /* granted by that */
  run_until(3);
  assert_int_equal(waits[0].status, UV_ECANCELED);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  assert_int_equal(waits[2].status, 0);
  unlock(2);
}

static void a_late_wait_ends_and_a_closed_name_space_refuses(void** state) {
  (void)state;
  fresh();
  lock(0, 7);
  assert_int_equal(pkd_req_set_timeout(&waits[1].req, 1), 0);
  lock(1, 7);
  assert_int_equal(pkd_req_set_timeout(&waits[2].req, 0), 0);
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[2].req, &keyed, 7, record),
      UV_EBUSY);
  run_until(2);
  assert_int_equal(waits[1].status, UV_ETIMEDOUT);
  lock(3, 7);
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[3].req, &keyed, 9, record),
      UV_EALREADY); /* and undisturbed */
  assert_int_equal(pkd_async_keyed_close(&keyed), 0);
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[2].req, &keyed, 9, record),
      UV_ESHUTDOWN);
  run_until(3);
  assert_int_equal(waits[3].status, UV_ECANCELED);
  unlock(0);
}

static void a_key_is_handed_over_and_free_at_no_moment(void** state) {
  static const char path[] = "/a/path/that/does/not/fit/into/the/request";
  pkd_req_t heir = {0};

  (void)state;
  fresh();
  for (int is_long = 0; is_long < 2; is_long++) {
    const void* key = is_long ? path : "short";
    size_t length = is_long ? sizeof path : 5;

    answered = 0;
    assert_int_equal(
        pkd_async_keyed_lock(&loop, &waits[0].req, &keyed, key, length, record),
        0);
    assert_int_equal(pkd_req_transfer(&waits[0].req, &heir),
                     UV_EPERM); /* not delivered yet */
    assert_int_equal(
        pkd_async_keyed_lock(&loop, &waits[1].req, &keyed, key, length, record),
        0);
    lock(2, 7);
    run_until(2);
    assert_int_equal(pkd_loop_held(&loop), 2);
    assert_int_equal(pkd_req_transfer(&waits[0].req, &heir), 0);
    assert_int_equal(pkd_loop_held(&loop), 1);
    assert_null(pkd_req_owned(&waits[0].req));
    assert_ptr_equal(pkd_req_owned(&heir), &keyed);
    assert_int_equal(pkd_async_keyed_unlock(&waits[0].req, &keyed), UV_EPERM);
    assert_int_equal(pkd_req_transfer(&waits[0].req, &waits[3].req), UV_EPERM);
    assert_int_equal(
        pkd_async_keyed_trylock(&waits[0].req, &keyed, key, length), UV_EBUSY);
    run_some();
    assert_int_equal(answered, 2);
    assert_int_equal(pkd_async_keyed_unlock(&heir, &keyed), 0);
    run_until(3);
    assert_int_equal(waits[1].status, 0);
    unlock(1);
    unlock(2);
  }
}

/* In the child of a fork nobody holds a key, so there is none to hand over. */
static void a_forked_child_has_no_key_to_hand_over(void** state) {
  pkd_req_t owner = {0}, heir = {0};
  pid_t child;

  (void)state;
  fresh();
  assert_int_equal(pkd_async_keyed_trylock_u64(&owner, &keyed, 7), 0);
  child = fork();
  if (child == 0) {
    int rc = pkd_req_transfer(&owner, &heir);

    if (rc != UV_EPERM || pkd_req_owned(&heir) != NULL)
      _exit(1);
    _exit(pkd_async_keyed_trylock_u64(&heir, &keyed, 7) == 0 ? 0 : 2);
  }
  assert_int_equal(child_ends(child), 0);
  assert_int_equal(pkd_async_keyed_unlock(&owner, &keyed), 0);
}

enum { KEYS = 4, TEAM = 6, TURNS = 2000 };
static int inside[KEYS], counts[KEYS]; /* guarded by their keys */
static int wrong[TEAM], tickets[TEAM];

static void take_turns(void* arg, unsigned number) {
  rng_t rng = rng_stream(*(uint64_t*)arg, number);

  for (int i = 0; i < ROUNDS(TURNS); i++) {
    uint64_t key = rng_below(&rng, KEYS);
    pkd_req_t req = {0};
    pkd_deadline_t deadline = rng_below(&rng, 4) == 0
                                  ? pkd_after(rng_below(&rng, 20000))
                                  : PKD_FOREVER;
    int rc = pkd_async_keyed_lock_blocking_u64(&req, &keyed, key, deadline);

    if (rc == UV_ETIMEDOUT && deadline != PKD_FOREVER)
      continue;
    wrong[number] += rc != 0;
    wrong[number] += inside[key]++ != 0;
    counts[key]++;
    inside[key]--;
    tickets[number]++;
    if (rng_below(&rng, 2) == 0) {
      pkd_req_t heir = {0};

      wrong[number] += pkd_req_transfer(&req, &heir) != 0;
      wrong[number] += inside[key]++ != 0;
      inside[key]--;
      wrong[number] += pkd_async_keyed_unlock(&heir, &keyed) != 0;
    } else {
      wrong[number] += pkd_async_keyed_unlock(&req, &keyed) != 0;
    }
  }
}

static void threads_and_tasks_exclude_each_other_per_key(void** state) {
  struct team team;
  uint64_t seed = rng_seed_of(0, NULL);
  int sum = 0, expected = 0;

  (void)state;
  fresh();
  memset(counts, 0, sizeof counts);
  memset(tickets, 0, sizeof tickets);
  team_start(&team, TEAM, take_turns, &seed);
  for (int i = 0; i < ROUNDS(500); i++) {
    lock(0, (uint64_t)i % KEYS);
    run_until(i + 1);
    assert_int_equal(inside[i % KEYS]++, 0);
    counts[i % KEYS]++;
    inside[i % KEYS]--;
    unlock(0);
    expected++;
  }
  team_join(&team);
  for (int i = 0; i < TEAM; i++) {
    assert_int_equal(wrong[i], 0);
    expected += tickets[i];
  }
  for (int i = 0; i < KEYS; i++)
    sum += counts[i];
  assert_int_equal(sum, expected);
}

static void many_keys_can_be_held_at_once(void** state) {
  const unsigned many = PKD_KEYED_MANY;
  pkd_req_t* reqs = calloc(many, sizeof *reqs);
  pkd_req_t extra = {0};

  (void)state;
  fresh();
  assert_non_null(reqs);
  for (unsigned i = 0; i < many; i++)
    assert_int_equal(pkd_async_keyed_trylock_u64(&reqs[i], &keyed, i), 0);
  for (unsigned i = 0; i < many; i += 97)
    assert_int_equal(pkd_async_keyed_trylock_u64(&extra, &keyed, i), UV_EBUSY);
  for (unsigned i = 0; i < many; i++)
    assert_int_equal(pkd_async_keyed_unlock(&reqs[i], &keyed), 0);
  free(reqs);
}

static void what_makes_no_sense_is_refused(void** state) {
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(sizeof(pkd_req_t) <= 128, 1);
  assert_int_equal(pkd_async_keyed_trylock(NULL, &keyed, "a", 1), UV_EINVAL);
  assert_int_equal(pkd_async_keyed_trylock(&req, NULL, "a", 1), UV_EINVAL);
  assert_int_equal(pkd_async_keyed_trylock(&req, &keyed, NULL, 1), UV_EINVAL);
  assert_int_equal(
      pkd_async_keyed_trylock(&req, &keyed, "a", PKD_ASYNC_KEY_MAX + 1),
      UV_EINVAL);
  assert_int_equal(pkd_async_keyed_lock(NULL, &req, &keyed, "a", 1, record),
                   UV_EINVAL);
  assert_int_equal(pkd_async_keyed_lock(&loop, &req, &keyed, "a", 1, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_async_keyed_unlock(&req, &keyed), UV_EPERM);
  assert_int_equal(pkd_async_keyed_unlock(NULL, &keyed), UV_EINVAL);
  assert_int_equal(pkd_async_keyed_unlock(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_keyed_close(NULL), UV_EINVAL);
  assert_int_equal(
      pkd_async_keyed_lock_blocking(&req, &keyed, "a", 1, PKD_FOREVER),
      PKD_EDEADLK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(different_keys_never_wait_for_each_other),
      ON_A_LOOP(one_key_is_granted_in_the_order_of_asking),
      ON_A_LOOP(try_takes_a_free_key_and_never_a_held_one),
      ON_A_LOOP(keys_are_byte_strings_of_any_length),
      ON_A_LOOP(a_cancelled_wait_leaves_the_order_of_the_others),
      ON_A_LOOP(a_revoked_grant_goes_to_the_next),
      ON_A_LOOP(a_late_wait_ends_and_a_closed_name_space_refuses),
      ON_A_LOOP(a_key_is_handed_over_and_free_at_no_moment),
      ON_A_LOOP(a_forked_child_has_no_key_to_hand_over),
      ON_A_LOOP(threads_and_tasks_exclude_each_other_per_key),
      ON_A_LOOP(many_keys_can_be_held_at_once),
      ON_A_LOOP(what_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests_name("async_keyed", tests, NULL, NULL);
}
