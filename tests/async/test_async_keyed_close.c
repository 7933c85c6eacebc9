/* SPDX-License-Identifier: MIT
 *
 * test_async_keyed_close.c - a close finds all who wait for a key, wherever that
 * is, and nobody else.
 *
 * Built twice, as test_async_keyed.c is. */
#include "family.h"
#include "support/child.h"

#include <stdatomic.h>
#include <unistd.h>

static pkd_async_keyed_t keyed, other;
static pkd_req_t holders[64];
static struct wait waits[128];

static void fresh(void) {
  memset(&keyed, 0, sizeof keyed);
  memset(&other, 0, sizeof other);
  memset(holders, 0, sizeof holders);
  memset(waits, 0, sizeof waits);
}

static void hold(unsigned i, pkd_async_keyed_t* in, uint64_t key) {
  assert_int_equal(pkd_async_keyed_trylock_u64(&holders[i], in, key), 0);
}

static void lock(unsigned i, pkd_async_keyed_t* in, uint64_t key) {
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[i].req, in, key, record), 0);
}

static void unlock(pkd_req_t* req, pkd_async_keyed_t* in) {
  assert_int_equal(pkd_async_keyed_unlock(req, in), 0);
}

static void close_keys(void) {
  assert_int_equal(pkd_async_keyed_close(&keyed), 0);
}

static void waits_for_every_key_end_and_the_holders_stay(void** state) {
  (void)state;
  fresh();
  for (unsigned i = 0; i < 60; i++)
    hold(i, &keyed, i);
  for (unsigned i = 0; i < 120; i++)
    lock(i, &keyed, i % 60);
  close_keys();
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 60);
  assert_int_equal(answered, 0); /* never inside a call */
  run_until(120);
  run_some();
  assert_int_equal(answered, 120);
  for (unsigned i = 0; i < 120; i++) {
    assert_int_equal(waits[i].status, UV_ECANCELED);
    assert_int_equal(waits[i].answers, 1);
    assert_null(pkd_req_owned(&waits[i].req));
    /* In the order in which they came. */
    assert_true(i < 60 || waits[i].order > waits[i - 60].order);
  }
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[0].req, &keyed, 99, record),
      UV_ESHUTDOWN);
  close_keys(); /* once more: there is nobody */
  for (unsigned i = 0; i < 60; i++)
    unlock(&holders[i], &keyed);
}

static void long_keys_are_found_as_well(void** state) {
  static char paths[8][200];

  (void)state;
  fresh();
  for (unsigned i = 0; i < 8; i++) {
    memset(paths[i], 'a' + (int)i, sizeof paths[i]);
    assert_int_equal(
        pkd_async_keyed_trylock(&holders[i], &keyed, paths[i], sizeof paths[i]),
        0);
    assert_int_equal(pkd_async_keyed_lock(&loop, &waits[i].req, &keyed,
                                          paths[i], sizeof paths[i], record),
                     0);
  }
  close_keys();
  run_until(8);
  for (unsigned i = 0; i < 8; i++) {
    assert_int_equal(waits[i].status, UV_ECANCELED);
    unlock(&holders[i], &keyed);
  }
}

/* As of any lock that is closed. */
static void who_is_refused_has_used_up_its_timeout(void** state) {
  (void)state;
  fresh();
  close_keys();
  hold(0, &other, 1);
  assert_int_equal(pkd_req_set_timeout(&waits[0].req, 0), 0);
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop, &waits[0].req, &keyed, 1, record),
      UV_ESHUTDOWN);
  lock(0, &other, 1); /* queued, as if none was set */
  unlock(&holders[0], &other);
  run_until(1);
  assert_int_equal(waits[0].status, 0);
  unlock(&waits[0].req, &other);
}

static int strangers_woken;

static void stranger_woken(pkd_waiter_t* waiter) {
  (void)waiter;
  strangers_woken++;
}

/* Those of another keyed mutex, with the same keys, behind and between; those of a
 * mutex; and somebody's continuation. */
static void whoever_waits_for_something_else_waits_on(void** state) {
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_waiter_t stranger = {.wake = stranger_woken};
  struct wait owner = {{0}, 0, 0, 0}, next = {{0}, 0, 0, 0};

  (void)state;
  fresh();
  strangers_woken = 0;
  for (unsigned i = 0; i < 20; i++) {
    hold(i, &keyed, i);
    hold(20 + i, &other, i);
  }
  for (unsigned i = 0; i < 80; i++)
    lock(i, i % 2 == 0 ? &keyed : &other, i / 2 % 20);
  assert_int_equal(pkd_async_mutex_trylock(&owner.req, &mutex), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &next.req, &mutex, record), 0);
  assert_int_equal(pkd_lot_enqueue(&stranger, &stranger, NULL, NULL), 0);
  close_keys();
  run_until(40);
  run_some();
  assert_int_equal(answered, 40);
  for (unsigned i = 0; i < 80; i += 2)
    assert_int_equal(waits[i].status, UV_ECANCELED);
  for (unsigned i = 0; i < 20; i++) {
    unlock(&holders[i], &keyed);
    unlock(&holders[20 + i], &other);
  }
  run_until(60);
  for (unsigned i = 1; i < 40; i += 2) {
    assert_int_equal(waits[i].status, 0);
    unlock(&waits[i].req, &other);
  }
  run_until(80);
  for (unsigned i = 41; i < 80; i += 2)
    unlock(&waits[i].req, &other);
  assert_int_equal(pkd_async_mutex_unlock(&owner.req, &mutex), 0);
  run_until(81);
  assert_int_equal(next.status, 0);
  assert_int_equal(pkd_async_mutex_unlock(&next.req, &mutex), 0);
  assert_int_equal(strangers_woken, 0);
  assert_int_equal(pkd_lot_unpark_all(&stranger, 0), 1);
}

static void a_grant_stands_that_is_not_delivered_yet(void** state) {
  (void)state;
  fresh();
  lock(0, &keyed, 7); /* granted */
  lock(1, &keyed, 7);
  close_keys();
  run_until(2);
  assert_int_equal(waits[0].status, 0);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  unlock(&waits[0].req, &keyed);
}

static void a_wait_with_a_timeout_ends_once(void** state) {
  (void)state;
  fresh();
  hold(0, &keyed, 7);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(pkd_req_set_timeout(&waits[i].req, i == 0 ? 1 : 100000),
                     0);
    lock(i, &keyed, 7);
  }
  run_until(1);
  assert_int_equal(waits[0].status, UV_ETIMEDOUT);
  assert_int_equal(pkd_req_cancel(&waits[1].req), 0);
  close_keys();
  assert_int_equal(pkd_req_cancel(&waits[2].req), 0); /* it will be so */
  run_until(3);
  run_some();
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(waits[i].answers, 1);
  assert_int_equal(waits[1].status, UV_ECANCELED);
  assert_int_equal(waits[2].status, UV_ECANCELED);
  unlock(&holders[0], &keyed);
}

static int many_status, many_answers;

static void note_many(pkd_many_t* many, int status) {
  (void)many;
  many_status = status;
  many_answers++;
}

/* What it was granted meanwhile goes back. */
static void several_at_once_end_with_one_of_their_keys(void** state) {
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_many_t many = {0};
  pkd_many_item_t items[3] = {{.take = pkd_take_mutex(&mutex)},
                              {.take = pkd_take_key(&keyed, "held", 4)},
                              {.take = pkd_take_key(&keyed, "free", 4)}};
  pkd_req_t req = {0};

  (void)state;
  fresh();
  many_answers = 0;
  assert_int_equal(pkd_async_keyed_trylock(&holders[0], &keyed, "held", 4), 0);
  assert_int_equal(
      pkd_many_lock(&loop, &many, items, 3, PKD_NO_TIMEOUT, note_many), 0);
  close_keys();
  WAIT_FOR((uv_run(&uv, UV_RUN_NOWAIT), many_answers != 0));
  assert_int_equal(many_status, UV_ECANCELED);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  unlock(&holders[0], &keyed);
  assert_int_equal(
      pkd_many_lock(&loop, &many, items, 3, PKD_NO_TIMEOUT, note_many), 0);
  WAIT_FOR((uv_run(&uv, UV_RUN_NOWAIT), many_answers != 1));
  assert_int_equal(many_status, UV_ESHUTDOWN);
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
}

/* --- a crowd --------------------------------------------------------------- */

static void free_crowd(struct wait* crowd, unsigned count) {
  for (unsigned i = 0; i < count; i++) {
    assert_int_equal(crowd[i].answers, 1);
    assert_int_equal(crowd[i].status, UV_ECANCELED);
  }
  free(crowd);
}

static struct wait* queue_up(unsigned count, unsigned keys) {
  struct wait* crowd = calloc(count, sizeof *crowd);

  assert_non_null(crowd);
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(pkd_async_keyed_lock_u64(&loop, &crowd[i].req, &keyed,
                                              i % keys, record),
                     0);
  return crowd;
}

/* So many that no test would end in time if each cost a look at the others. */
static void a_crowd_at_one_key_is_sent_away(void** state) {
  const unsigned many = ROUNDS(500000);
  struct wait* crowd;

  (void)state;
  fresh();
  hold(0, &keyed, 0);
  crowd = queue_up(many, 1);
  close_keys();
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 1);
  run_until((int)many);
  free_crowd(crowd, many);
  unlock(&holders[0], &keyed);
}

static void a_crowd_of_keys_is_sent_away(void** state) {
  const unsigned many = ROUNDS(PKD_KEYED_MANY / 2);
  pkd_req_t* owners = calloc(many, sizeof *owners);
  struct wait* crowd;

  (void)state;
  fresh();
  assert_non_null(owners);
  for (unsigned i = 0; i < many; i++)
    assert_int_equal(pkd_async_keyed_trylock_u64(&owners[i], &keyed, i), 0);
  crowd = queue_up(many, many);
  close_keys();
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), many);
  run_until((int)many);
  free_crowd(crowd, many);
  for (unsigned i = 0; i < many; i++)
    unlock(&owners[i], &keyed);
  free(owners);
}

/* --- threads, and more loops ------------------------------------------------ */

enum { KEYS = 5, TEAM = 6, LOOPS = 2, TASKS = 8 };
static int wrong[TEAM];
static atomic_int inside[KEYS];
static atomic_bool go;

/* @return false: the keyed mutex is closed */
static bool section(pkd_req_t* req, uint64_t key, int rc, int* faults) {
  *faults += rc != 0 && rc != UV_ECANCELED && rc != UV_ESHUTDOWN;
  if (rc != 0)
    return false;
  *faults += inside[key]++ != 0;
  inside[key]--;
  *faults += pkd_async_keyed_unlock(req, &keyed) != 0;
  return true;
}

struct loop_task {
  pkd_req_t req;
  pkd_loop_t* loop;
  rng_t* rng;
  uint64_t key;
  int* faults;
};

static void ask(struct loop_task* task);

static void asked(pkd_req_t* req, int status) {
  struct loop_task* task = (struct loop_task*)req;

  if (section(req, task->key, status, task->faults))
    ask(task);
}

static void ask(struct loop_task* task) {
  int rc;

  task->key = rng_below(task->rng, KEYS);
  rc = pkd_async_keyed_lock_u64(task->loop, &task->req, &keyed, task->key,
                                asked);
  *task->faults += rc != 0 && rc != UV_ESHUTDOWN;
}

static uv_loop_t turns[LOOPS]; /* the main thread's, but for the turning */

static void run_loop(uv_loop_t* own, rng_t* rng, int* faults) {
  struct loop_task tasks[TASKS];
  pkd_loop_t mine = {0};

  memset(tasks, 0, sizeof tasks);
  *faults += pkd_loop_attach(&mine, own) != 0;
  for (int i = 0; i < TASKS; i++) {
    tasks[i].loop = &mine;
    tasks[i].rng = rng;
    tasks[i].faults = faults;
    ask(&tasks[i]);
  }
  uv_run(own, UV_RUN_DEFAULT); /* until all of them have been sent away */
  *faults += pkd_loop_detach(&mine, NULL) != 0;
  uv_run(own, UV_RUN_DEFAULT);
}

/* The first two run loops; all go on until somebody closes. */
static void ask_until_closed(void* arg, unsigned number) {
  rng_t rng = rng_stream(*(uint64_t*)arg, number);
  int rounds = 0;

  if (number < LOOPS) {
    run_loop(&turns[number], &rng, &wrong[number]);
    return;
  }
  for (;;) {
    uint64_t key = rng_below(&rng, KEYS);
    pkd_req_t req = {0};
    int rc = pkd_async_keyed_lock_blocking_u64(&req, &keyed, key, PKD_FOREVER);

    if (!section(&req, key, rc, &wrong[number]))
      return;
    if (++rounds == 100)
      go = true;
  }
}

static void nobody_is_left_of_a_crowd_that_a_close_meets(void** state) {
  uint64_t seed = rng_seed_of(0, NULL);

  (void)state;
  for (int round = 0; round < ROUNDS(50); round++) {
    struct team team;
    uint64_t stream = seed + (uint64_t)round;

    fresh();
    go = false;
    memset(wrong, 0, sizeof wrong);
    for (int i = 0; i < LOOPS; i++)
      assert_int_equal(uv_loop_init(&turns[i]), 0);
    team_start(&team, TEAM, ask_until_closed, &stream);
    WAIT_FOR(go);
    close_keys();
    team_join(&team); /* a thread or a loop that is forgotten never ends */
    for (int i = 0; i < TEAM; i++)
      assert_int_equal(wrong[i], 0);
    for (int i = 0; i < LOOPS; i++)
      assert_int_equal(uv_loop_close(&turns[i]), 0);
    assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
  }
}

static void block_on_key(void* arg, unsigned number) {
  pkd_req_t req = {0};

  (void)arg;
  wrong[number] =
      pkd_async_keyed_lock_blocking_u64(&req, &keyed, number, PKD_FOREVER);
}

static void threads_are_told_as_tasks_are(void** state) {
  struct team team;

  (void)state;
  fresh();
  memset(wrong, 0, sizeof wrong);
  for (unsigned i = 0; i < TEAM; i++)
    hold(i, &keyed, i);
  for (unsigned i = 0; i < TEAM; i++)
    lock(i, &keyed, i);
  team_start(&team, TEAM, block_on_key, NULL);
  WAIT_FOR(pkd_lot_for_each(NULL, NULL, NULL) == 3 * TEAM);
  close_keys();
  team_join(&team);
  run_until(TEAM);
  for (unsigned i = 0; i < TEAM; i++) {
    assert_int_equal(wrong[i], UV_ECANCELED);
    assert_int_equal(waits[i].status, UV_ECANCELED);
    unlock(&holders[i], &keyed);
  }
}

/* Those who wait are the parent's, and so is the lot in which they stand. */
static void a_close_in_a_child_is_nothing_to_the_parent(void** state) {
  pid_t child;

  (void)state;
  fresh();
  hold(0, &keyed, 7);
  lock(0, &keyed, 7);
  child = fork();
  if (child == 0) {
    pkd_req_t req = {0};

    if (pkd_async_keyed_close(&keyed) != 0)
      _exit(1);
    _exit(pkd_async_keyed_trylock_u64(&req, &keyed, 8) != UV_ESHUTDOWN);
  }
  assert_int_equal(child_ends(child), 0);
  run_some();
  assert_int_equal(answered, 0);
  unlock(&holders[0], &keyed);
  run_until(1);
  assert_int_equal(waits[0].status, 0);
  unlock(&waits[0].req, &keyed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(waits_for_every_key_end_and_the_holders_stay),
      ON_A_LOOP(long_keys_are_found_as_well),
      ON_A_LOOP(who_is_refused_has_used_up_its_timeout),
      ON_A_LOOP(whoever_waits_for_something_else_waits_on),
      ON_A_LOOP(a_grant_stands_that_is_not_delivered_yet),
      ON_A_LOOP(a_wait_with_a_timeout_ends_once),
      ON_A_LOOP(several_at_once_end_with_one_of_their_keys),
      ON_A_LOOP(a_crowd_at_one_key_is_sent_away),
      ON_A_LOOP(a_crowd_of_keys_is_sent_away),
      ON_A_LOOP(nobody_is_left_of_a_crowd_that_a_close_meets),
      ON_A_LOOP(threads_are_told_as_tasks_are),
      ON_A_LOOP(a_close_in_a_child_is_nothing_to_the_parent),
  };
  return cmocka_run_group_tests_name("async_keyed_close", tests, NULL, NULL);
}
