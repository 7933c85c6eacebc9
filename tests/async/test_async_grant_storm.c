/* SPDX-License-Identifier: MIT
 *
 * test_async_grant_storm.c - loops that stall at random, under a mutex that lets
 * some overtake and under a few keys: nobody loses what it was granted, and nobody
 * has what was taken back.
 *
 * Tasks of several loops, some with a timeout, cancel each other, and threads block
 * for the same locks. Built twice, as test_async_keyed.c is. */
#include <parkade/async.h>

#include "support/test.h"

#include <stdatomic.h>

enum { KEYS = 3, LOOPS = 3, TASKS = 6, THREADS = 2 };

struct storm_task {
  pkd_req_t req; /* first: an answer finds its task */
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

/** What they want: a lock for each of `keys` keys. */
struct subject {
  unsigned keys;
  int (*start)(pkd_loop_t* loop, pkd_req_t* req, uint64_t key, pkd_req_cb cb);
  int (*block)(pkd_req_t* req, uint64_t key);
  int (*attempt)(pkd_req_t* req, uint64_t key);
  int (*unlock)(pkd_req_t* req);
};

static uint64_t seed;
static const struct subject* subject;

static struct {
  int inside[KEYS];    /* under the keys */
  long sections[KEYS]; /* under the keys */
  atomic_int wrong;
  atomic_long without; /* ends of a wait without the lock */
} storm;

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
  storm.wrong += subject->unlock(handed_over ? &heir : req) != 0;
}

/* --- tasks ------------------------------------------------------------------ */

static void begin(struct storm_task* task);

static void answer(pkd_req_t* req, int status) {
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
    begin(task);
}

static void begin(struct storm_task* task) {
  rng_t* rng = &task->loop->rng;

  task->key = rng_below(rng, subject->keys);
  if (rng_below(rng, 8) == 0)
    pkd_req_set_timeout(&task->req, 1 + rng_below(rng, 4));
  storm.wrong +=
      subject->start(&task->loop->loop, &task->req, task->key, answer) != 0;
  /* One of the others, which may be anywhere on its way. */
  if (rng_below(rng, 8) == 0)
    pkd_req_cancel(&task->loop->task[rng_below(rng, TASKS)].req);
}

static void* run_loop(void* arg) {
  struct storm_loop* loop = arg;
  pkd_loop_grants_t grants;

  pkd_loop_attach(&loop->loop, &loop->uv);
  pkd_loop_set_grant_timeout(&loop->loop, 1);
  for (int i = 0; i < TASKS; i++) {
    loop->task[i].loop = loop;
    loop->task[i].left = ROUNDS(400);
    begin(&loop->task[i]);
  }
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  pkd_loop_get_grants(&loop->loop, &grants);
  loop->revoked = grants.revoked;
  storm.wrong += grants.undelivered != 0;
  pkd_loop_detach(&loop->loop, NULL);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  return NULL;
}

/* --- threads ---------------------------------------------------------------- */

static void* run_thread(void* arg) {
  rng_t* rng = arg;

  for (int i = 0; i < ROUNDS(1000); i++) {
    uint64_t key = rng_below(rng, subject->keys);
    pkd_req_t req = {0};
    int rc = rng_below(rng, 4) == 0 ? subject->attempt(&req, key)
                                    : subject->block(&req, key);

    storm.wrong += rc != 0 && rc != UV_EBUSY;
    storm.without += rc != 0;
    if (rc != 0)
      continue;
    section(key);
    give_back(&req, rng_below(rng, 4) == 0);
  }
  return NULL;
}

/* --- both ------------------------------------------------------------------- */

static void rage(const struct subject* what) {
  static struct storm_loop loops[LOOPS];
  rng_t streams[THREADS];
  pthread_t threads[THREADS];
  uint64_t revoked = 0;
  long sections = 0;

  subject = what;
  memset(&storm, 0, sizeof storm);
  memset(loops, 0, sizeof loops);
  for (int i = 0; i < LOOPS; i++) {
    uv_loop_init(&loops[i].uv);
    loops[i].rng = rng_stream(seed, (unsigned)i);
    pthread_create(&loops[i].thread, NULL, run_loop, &loops[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    streams[i] = rng_stream(seed, (unsigned)(LOOPS + i));
    pthread_create(&threads[i], NULL, run_thread, &streams[i]);
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
                   LOOPS * TASKS * ROUNDS(400) + THREADS * ROUNDS(1000));
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
  print_message("%lu grants were taken back\n", (unsigned long)revoked);
}

static pkd_async_mutex_t mutex;

static int start_mutex(pkd_loop_t* loop, pkd_req_t* req, uint64_t key,
                       pkd_req_cb cb) {
  (void)key;
  return pkd_async_mutex_lock(loop, req, &mutex, cb);
}

static int block_mutex(pkd_req_t* req, uint64_t key) {
  (void)key;
  return pkd_async_mutex_lock_blocking(req, &mutex, PKD_FOREVER);
}

static int try_mutex(pkd_req_t* req, uint64_t key) {
  (void)key;
  return pkd_async_mutex_trylock(req, &mutex);
}

static int unlock_mutex(pkd_req_t* req) {
  return pkd_async_mutex_unlock(req, &mutex);
}

static void loops_that_stall_at_random_lose_nothing(void** state) {
  static const struct subject mutexes = {1, start_mutex, block_mutex, try_mutex,
                                         unlock_mutex};

  (void)state;
  pkd_async_mutex_init(&mutex, PKD_ASYNC_MUTEX_OVERTAKES);
  rage(&mutexes);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
}

static pkd_async_keyed_t keyed;

static int start_key(pkd_loop_t* loop, pkd_req_t* req, uint64_t key,
                     pkd_req_cb cb) {
  return pkd_async_keyed_lock_u64(loop, req, &keyed, key, cb);
}

static int block_key(pkd_req_t* req, uint64_t key) {
  return pkd_async_keyed_lock_blocking_u64(req, &keyed, key, PKD_FOREVER);
}

static int try_key(pkd_req_t* req, uint64_t key) {
  return pkd_async_keyed_trylock_u64(req, &keyed, key);
}

static int unlock_key(pkd_req_t* req) {
  return pkd_async_keyed_unlock(req, &keyed);
}

static void loops_that_stall_at_random_lose_no_key(void** state) {
  static const struct subject few_keys = {KEYS, start_key, block_key, try_key,
                                          unlock_key};

  (void)state;
  memset(&keyed, 0, sizeof keyed);
  rage(&few_keys);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loops_that_stall_at_random_lose_nothing),
      cmocka_unit_test(loops_that_stall_at_random_lose_no_key),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("async_grant_storm", tests, NULL, NULL);
}
