/* SPDX-License-Identifier: MIT
 *
 * test_async_keyed_loops.c - one key, and tasks of more loops than are told at once.
 *
 * Who closes, or gives a key back, in a thread that runs none of them, rings their
 * loops when it has let go of the lot's lock, and has room for 32 until then. A loop
 * that is not rung sleeps on. Built twice, as test_async_keyed.c is. */
#include <parkade/async.h>

#include "support/test.h"

enum { LOOPS = 40, HELD = 300, SHORT = 5 /* ms */, NOT_YET = 12345 };

struct task {
  pkd_req_t req;
  int status;
  int answers;
};

static struct place {
  uv_loop_t uv;
  pkd_loop_t loop;
  struct task key;
  struct task mutex;
  pkd_async_mutex_t own;
} places[LOOPS + 1];

static pkd_async_keyed_t keyed;
static pkd_req_t holders[HELD];
static int inside; /* under the key */

static int open_loops(void** state) {
  int failed = 0;

  (void)state;
  memset(places, 0, sizeof places);
  memset(holders, 0, sizeof holders);
  memset(&keyed, 0, sizeof keyed);
  for (int i = 0; i <= LOOPS; i++) {
    places[i].key.status = places[i].mutex.status = NOT_YET;
    failed |= uv_loop_init(&places[i].uv);
    failed |= pkd_loop_attach(&places[i].loop, &places[i].uv);
  }
  return failed;
}

static int close_loops(void** state) {
  int failed = 0;

  (void)state;
  for (int i = 0; i <= LOOPS; i++) {
    failed |= pkd_loop_detach(&places[i].loop, NULL);
    uv_run(&places[i].uv, UV_RUN_DEFAULT);
    failed |= uv_loop_close(&places[i].uv);
  }
  return failed | (pkd_lot_for_each(NULL, NULL, NULL) != 0);
}

static void told(pkd_req_t* req, int status) {
  struct task* task = (struct task*)req;

  task->status = status;
  task->answers++;
}

static void ask_for_key(struct place* place, pkd_req_cb cb) {
  assert_int_equal(
      pkd_async_keyed_lock_u64(&place->loop, &place->key.req, &keyed, 0, cb),
      0);
}

/* --- a close ---------------------------------------------------------------- */

static void* close_keys(void* result) {
  *(int*)result = pkd_async_keyed_close(&keyed);
  return NULL;
}

/* Where keys share their names, those who hold the others stand before them: the
 * more it has to pass, the more a close sends away at once. */
static void a_close_tells_each_of_them(void** state) {
  pthread_t thread;
  int result = -1;

  (void)state;
  for (uint64_t key = 0; key < HELD; key++)
    assert_int_equal(pkd_async_keyed_trylock_u64(&holders[key], &keyed, key),
                     0);
  for (int i = 0; i < LOOPS; i++)
    ask_for_key(&places[i], told);
  pthread_create(&thread, NULL, close_keys, &result);
  pthread_join(thread, NULL);
  assert_int_equal(result, 0);
  for (int i = 0; i < LOOPS; i++) {
    uv_run(&places[i].uv, UV_RUN_DEFAULT); /* until it has been told */
    assert_int_equal(places[i].key.status, UV_ECANCELED);
    assert_int_equal(places[i].key.answers, 1);
  }
  for (int key = 0; key < HELD; key++)
    assert_int_equal(pkd_async_keyed_unlock(&holders[key], &keyed), 0);
}

/* --- stuck, all of them ------------------------------------------------------ */

static void use_key(pkd_req_t* req, int status) {
  told(req, status);
  assert_int_equal(inside++, 0);
}

static void leave_key(pkd_req_t* req) {
  inside--;
  assert_int_equal(pkd_async_keyed_unlock(req, &keyed), 0);
}

static void use_key_shortly(pkd_req_t* req, int status) {
  use_key(req, status);
  leave_key(req);
}

/* It has its own mutex at once, and does not come to that. */
static void get_stuck(struct place* place) {
  assert_int_equal(pkd_loop_set_grant_timeout(&place->loop, SHORT), 0);
  assert_int_equal(
      pkd_async_mutex_lock(&place->loop, &place->mutex.req, &place->own, told),
      0);
}

static uint64_t revoked_of(const struct place* place) {
  pkd_loop_grants_t grants;

  assert_int_equal(pkd_loop_get_grants(&place->loop, &grants), 0);
  return grants.revoked;
}

static void* give_key_back(void* result) {
  *(int*)result = pkd_async_keyed_unlock(&holders[0], &keyed);
  return NULL;
}

static void turn_all(void) {
  for (int i = 0; i <= LOOPS; i++)
    uv_run(&places[i].uv, UV_RUN_NOWAIT);
}

static bool all_have_had_it(void) {
  for (int i = 0; i < LOOPS; i++)
    if (places[i].key.status == NOT_YET)
      return false;
  return true;
}

/* More of them than are passed by in one look: some are granted it all the same, and
 * lose it again. */
static void who_is_not_stuck_has_it_before_all_who_are(void** state) {
  struct place* awake = &places[LOOPS];
  pthread_t thread;
  int result = -1;

  (void)state;
  inside = 0;
  assert_int_equal(pkd_async_keyed_trylock_u64(&holders[0], &keyed, 0), 0);
  for (int i = 0; i < LOOPS; i++) {
    ask_for_key(&places[i], use_key_shortly);
    get_stuck(&places[i]);
  }
  ask_for_key(awake, use_key);
  for (int i = 0; i < LOOPS; i++)
    WAIT_FOR(revoked_of(&places[i]) == 1);
  pthread_create(&thread, NULL, give_key_back, &result);
  pthread_join(thread, NULL);
  assert_int_equal(result, 0);
  WAIT_FOR((uv_run(&awake->uv, UV_RUN_NOWAIT), awake->key.status != NOT_YET));
  assert_int_equal(awake->key.status, 0);
  for (int i = 0; i < LOOPS; i++)
    assert_int_equal(pkd_loop_set_grant_timeout(&places[i].loop, 0), 0);
  turn_all();
  for (int i = 0; i < LOOPS; i++)
    assert_int_equal(places[i].key.status, NOT_YET); /* back, and waits */
  leave_key(&awake->key.req);
  WAIT_FOR((turn_all(), all_have_had_it()));
  for (int i = 0; i < LOOPS; i++) {
    assert_int_equal(places[i].key.status, 0);
    assert_int_equal(places[i].key.answers, 1);
    assert_int_equal(places[i].mutex.status, 0);
    assert_int_equal(
        pkd_async_mutex_unlock(&places[i].mutex.req, &places[i].own), 0);
  }
}

#define WITH_LOOPS(test)                                                       \
  cmocka_unit_test_setup_teardown(test, open_loops, close_loops)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_LOOPS(a_close_tells_each_of_them),
      WITH_LOOPS(who_is_not_stuck_has_it_before_all_who_are),
  };

  return cmocka_run_group_tests_name("async_keyed_loops", tests, NULL, NULL);
}
