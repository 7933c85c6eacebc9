/* SPDX-License-Identifier: MIT
 *
 * test_async_keyed_grant.c - keys of a loop that is stuck, many at once.
 *
 * test_async_grant_every.c has the cases of one key. Built twice, as
 * test_async_keyed.c is. */
#include "actors.h"

enum { HELD = 80, KEYS = 3, LOOPS = 3, TASKS = 6, THREADS = 2 };

static pkd_async_keyed_t keyed;
static uint64_t seed;

static void set_timeout(void* ms) {
  assert_int_equal(pkd_loop_set_grant_timeout(&loop_b, *(uint64_t*)ms), 0);
}

static struct {
  pkd_req_t req;
  atomic_int status;
} of_b[HELD], of_a[HELD];

static void answered(pkd_req_t* req, int status) {
  *(atomic_int*)req->data = status;
}

static void ask_on_b(void* arg) {
  (void)arg;
  for (uint64_t key = 0; key < HELD; key++)
    pkd_async_keyed_lock_u64(&loop_b, &of_b[key].req, &keyed, key, answered);
}

/* More keys than are found under one hold of any lock. */
static void each_key_of_a_stuck_loop_goes_on(void** state) {
  static pkd_req_t holders[HELD];
  pkd_loop_grants_t grants;
  uint64_t ms = 5;

  (void)state;
  memset(&keyed, 0, sizeof keyed);
  memset(holders, 0, sizeof holders);
  on_loop_b(set_timeout, &ms);
  for (uint64_t key = 0; key < HELD; key++) {
    of_a[key].req.data = &of_a[key].status;
    of_b[key].req.data = &of_b[key].status;
    of_a[key].status = of_b[key].status = NOT_YET;
    assert_int_equal(pkd_async_keyed_trylock_u64(&holders[key], &keyed, key),
                     0);
  }
  on_loop_b(ask_on_b, NULL);
  stall_b();
  for (uint64_t key = 0; key < HELD; key++) {
    assert_int_equal(pkd_async_keyed_lock_u64(&loop_a, &of_a[key].req, &keyed,
                                              key, answered),
                     0);
    assert_int_equal(pkd_async_keyed_unlock(&holders[key], &keyed), 0);
  }
  for (int key = 0; key < HELD; key++) {
    WAIT_FOR((turn_a(), of_a[key].status != NOT_YET));
    assert_int_equal(of_a[key].status, 0);
    assert_int_equal(of_b[key].status, NOT_YET);
  }
  assert_int_equal(pkd_loop_get_grants(&loop_b, &grants), 0);
  assert_int_equal(grants.undelivered, 0);
  resume_b();
  ms = 0;
  on_loop_b(set_timeout, &ms);
  settle();
  for (int key = 0; key < HELD; key++) {
    assert_int_equal(of_b[key].status, NOT_YET); /* it is back, and waits */
    assert_int_equal(pkd_async_keyed_unlock(&of_a[key].req, &keyed), 0);
    WAIT_FOR((turn_a(), of_b[key].status != NOT_YET));
    assert_int_equal(of_b[key].status, 0);
    assert_int_equal(pkd_async_keyed_unlock(&of_b[key].req, &keyed), 0);
  }
}

/* --- all at once ------------------------------------------------------------ */

static struct {
  int inside[KEYS];    /* under the keys */
  long sections[KEYS]; /* under the keys */
  atomic_int wrong;
  atomic_long without; /* ends of a wait without the key */
} storm;

struct storm_task {
  pkd_req_t req;
  struct storm_loop* loop;
  uint64_t key;
  int left;
};

struct storm_loop {
  pthread_t thread;
  uv_loop_t uv;
  pkd_loop_t loop;
  rng_t rng;
  struct storm_task task[TASKS];
  uint64_t revoked;
};

static void section(uint64_t key) {
  storm.wrong += storm.inside[key]++ != 0;
  storm.sections[key]++;
  storm.inside[key]--;
}

/* By the ticket, or by another that it was handed to. */
static void give_back(pkd_req_t* req, bool handed_over) {
  pkd_req_t heir = {0};

  if (handed_over)
    storm.wrong += pkd_req_transfer(req, &heir) != 0;
  storm.wrong += pkd_async_keyed_unlock(handed_over ? &heir : req, &keyed) != 0;
}

static void storm_start(struct storm_task* task);

static void storm_answer(pkd_req_t* req, int status) {
  struct storm_task* task = (struct storm_task*)req;
  rng_t* rng = &task->loop->rng;

  if (status == 0) {
    section(task->key);
    give_back(req, rng_below(rng, 4) == 0);
  } else {
    storm.wrong += status != UV_ECANCELED && status != UV_ETIMEDOUT;
    storm.without++;
  }
  if (rng_below(rng, 60) == 0)
    uv_sleep(10); /* this loop is stuck for a while */
  if (--task->left > 0)
    storm_start(task);
}

static void storm_start(struct storm_task* task) {
  rng_t* rng = &task->loop->rng;

  task->key = rng_below(rng, KEYS);
  if (rng_below(rng, 8) == 0)
    pkd_req_set_timeout(&task->req, 1 + rng_below(rng, 4));
  storm.wrong += pkd_async_keyed_lock_u64(&task->loop->loop, &task->req, &keyed,
                                          task->key, storm_answer) != 0;
  /* One of the others, which may be anywhere on its way. */
  if (rng_below(rng, 8) == 0)
    pkd_req_cancel(&task->loop->task[rng_below(rng, TASKS)].req);
}

static void* storm_run(void* arg) {
  struct storm_loop* loop = arg;
  pkd_loop_grants_t grants;

  pkd_loop_attach(&loop->loop, &loop->uv);
  pkd_loop_set_grant_timeout(&loop->loop, 1);
  for (int i = 0; i < TASKS; i++) {
    loop->task[i].loop = loop;
    loop->task[i].left = ROUNDS(300);
    storm_start(&loop->task[i]);
  }
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  pkd_loop_get_grants(&loop->loop, &grants);
  loop->revoked = grants.revoked;
  storm.wrong += grants.undelivered != 0;
  pkd_loop_detach(&loop->loop, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  return NULL;
}

static void* storm_block(void* arg) {
  rng_t* rng = arg;

  for (int i = 0; i < ROUNDS(1000); i++) {
    uint64_t key = rng_below(rng, KEYS);
    pkd_req_t req = {0};
    int rc =
        rng_below(rng, 4) == 0
            ? pkd_async_keyed_trylock_u64(&req, &keyed, key)
            : pkd_async_keyed_lock_blocking_u64(&req, &keyed, key, PKD_FOREVER);

    storm.wrong += rc != 0 && rc != UV_EBUSY;
    storm.without += rc != 0;
    if (rc != 0)
      continue;
    section(key);
    give_back(&req, rng_below(rng, 4) == 0);
  }
  return NULL;
}

static void loops_that_stall_at_random_lose_no_key(void** state) {
  static struct storm_loop loops[LOOPS];
  rng_t streams[THREADS];
  pthread_t threads[THREADS];
  uint64_t revoked = 0;
  long sections = 0;

  (void)state;
  memset(&storm, 0, sizeof storm);
  memset(&keyed, 0, sizeof keyed);
  for (int i = 0; i < LOOPS; i++) {
    uv_loop_init(&loops[i].uv);
    loops[i].rng = rng_stream(seed, (unsigned)i);
    pthread_create(&loops[i].thread, NULL, storm_run, &loops[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    streams[i] = rng_stream(seed, (unsigned)(LOOPS + i));
    pthread_create(&threads[i], NULL, storm_block, &streams[i]);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < LOOPS; i++) {
    pthread_join(loops[i].thread, NULL);
    assert_int_equal(uv_loop_close(&loops[i].uv), 0);
    revoked += loops[i].revoked;
  }
  for (int i = 0; i < KEYS; i++)
    sections += storm.sections[i];
  assert_int_equal(storm.wrong, 0);
  assert_int_equal(sections + storm.without,
                   LOOPS * TASKS * ROUNDS(300) + THREADS * ROUNDS(1000));
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
  print_message("%lu keys were taken back\n", (unsigned long)revoked);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      IN_WORLD(each_key_of_a_stuck_loop_goes_on, TWO_LOOPS),
      cmocka_unit_test(loops_that_stall_at_random_lose_no_key),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("async_keyed_grant", tests, NULL, NULL);
}
