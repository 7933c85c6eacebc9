/* SPDX-License-Identifier: MIT
 *
 * test_async_grant_beside.c - a loop that goes on beside one that is stuck, or that
 * was left behind by a fork: what its own callbacks do.
 *
 * They go the shortest way (async/quick.h), which has to notice that those who wait
 * do not count. test_async_grant.c asks from elsewhere. */
#include "stuck.h"
#include "support/child.h"

#include <unistd.h>

static pkd_async_mutex_t first, second;
static pkd_req_t ticket;
static struct actor stuck, next, later;

/* What a callback of loop A does. */
static pkd_req_t turn, in_turn;
static int rc, status;

static void note_status(pkd_req_t* req, int how) {
  (void)req;
  status = how;
}

static int open_beside(void** state) {
  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  memset(&ticket, 0, sizeof ticket);
  memset(&turn, 0, sizeof turn);
  memset(&in_turn, 0, sizeof in_turn);
  rc = status = NOT_YET;
  return world_open(state);
}

/* Loop B was granted the first mutex, and does not come to it. */
static void get_stuck(void) {
  assert_int_equal(pkd_async_mutex_trylock(&ticket, &first), 0);
  actor_start_at(&stuck, LOOP_B, mutex_target(&first));
  stall_b();
  assert_int_equal(pkd_async_mutex_unlock(&ticket, &first), 0);
  WAIT_FOR(grants_of_b().revoked == 1);
}

static void in_a_callback_of_a(pkd_req_cb work) {
  assert_int_equal(pkd_loop_yield(&loop_a, &turn, work), 0);
  WAIT_FOR((turn_a(), rc != NOT_YET));
  assert_int_equal(rc, 0);
}

/* --- beside one that is stuck ------------------------------------------------ */

static void lock_first(pkd_req_t* req, int how) {
  (void)req;
  assert_int_equal(how, 0);
  rc = pkd_async_mutex_lock(&loop_a, &in_turn, &first, note_status);
}

static void a_callback_gets_what_only_the_away_wait_for(void** state) {
  (void)state;
  be_patient(SHORT);
  get_stuck();
  in_a_callback_of_a(lock_first);
  WAIT_FOR((turn_a(), status != NOT_YET));
  assert_int_equal(status, 0);
  wake_b();
  assert_int_equal(stuck.status, NOT_YET); /* back, and waits */
  assert_int_equal(pkd_async_mutex_unlock(&in_turn, &first), 0);
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
}

static void unlock_second(pkd_req_t* req, int how) {
  (void)req;
  assert_int_equal(how, 0);
  rc = pkd_async_mutex_unlock(&ticket, &second);
}

enum { CROWD = 40 }; /* more than are put off in one hold of the lot's lock */

/* They are passed by without a grant that would have to be taken back. */
static void a_callback_gives_back_to_those_behind_a_stuck_loop(void** state) {
  static struct actor crowd[CROWD];

  (void)state;
  be_patient(SHORT);
  assert_int_equal(pkd_async_mutex_trylock(&in_turn, &second), 0);
  for (int i = 0; i < CROWD; i++)
    actor_start_at(&crowd[i], LOOP_B, mutex_target(&second));
  actor_start_at(&next, LOOP_A, mutex_target(&second));
  get_stuck();
  assert_int_equal(pkd_req_transfer(&in_turn, &ticket), 0);
  in_a_callback_of_a(unlock_second);
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(grants_of_b().revoked, 1);
  wake_b();
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
  for (int i = 0; i < CROWD; i++)
    assert_int_equal(crowd[i].status, NOT_YET);
  assert_int_equal(actor_release(&next), 0);
  for (int i = 0; i < CROWD; i++) {
    assert_int_equal(actor_wait(&crowd[i]), 0);
    assert_true(i == 0 || crowd[i].order == crowd[i - 1].order + 1);
    assert_int_equal(actor_release(&crowd[i]), 0);
  }
}

static void a_try_passes_by_the_away_and_nobody_else(void** state) {
  pkd_req_t other = {0};

  (void)state;
  be_patient(SHORT);
  get_stuck();
  WAIT_FOR(pkd_async_mutex_trylock(&ticket, &first) == 0);
  assert_int_equal(pkd_async_mutex_trylock(&other, &first), UV_EBUSY);
  actor_start_at(&later, LOOP_A, mutex_target(&first));
  assert_int_equal(pkd_async_mutex_trylock(&other, &first), UV_EBUSY);
  assert_int_equal(pkd_async_mutex_unlock(&ticket, &first), 0);
  assert_int_equal(pkd_async_mutex_trylock(&other, &first), UV_EBUSY);
  assert_int_equal(actor_wait(&later), 0);
  wake_b();
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(actor_release(&later), 0);
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
}

static pkd_many_t many;
static pkd_many_item_t items[2];
static atomic_int many_status, many_answers;

static void note_many(pkd_many_t* which, int how) {
  (void)which;
  many_answers++;
  many_status = how;
}

static void want_both(void* result) {
  *(int*)result =
      pkd_many_lock(&loop_b, &many, items, 2, PKD_NO_TIMEOUT, note_many);
  uv_sleep(10 * SHORT); /* late for what it has */
}

static void unlock_both(void* result) {
  *(int*)result = pkd_many_unlock(&many);
}

static void several_at_once_come_though_their_loop_is_late(void** state) {
  int result = NOT_YET;

  (void)state;
  memset(&many, 0, sizeof many);
  memset(items, 0, sizeof items);
  items[0].take = pkd_take_mutex(&first);
  items[1].take = pkd_take_mutex(&second);
  many_answers = 0;
  be_patient(SHORT);
  on_loop_b(want_both, &result);
  assert_int_equal(result, 0);
  WAIT_FOR(many_answers != 0);
  assert_int_equal(many_status, 0);
  be_patient(0);
  settle();
  assert_int_equal(many_answers, 1);
  assert_int_equal(pkd_async_mutex_trylock(&ticket, &first), UV_EBUSY);
  assert_int_equal(pkd_async_mutex_trylock(&ticket, &second), UV_EBUSY);
  on_loop_b(unlock_both, &result);
  assert_int_equal(result, 0);
}

static void want_second(void* result) {
  *(int*)result =
      pkd_many_lock(&loop_b, &many, items, 1, PKD_NO_TIMEOUT, note_many);
}

/* They were there first, and begin anew when their loop wakes. */
static void several_at_once_of_a_stuck_loop_keep_nobody(void** state) {
  int result = NOT_YET;

  (void)state;
  memset(&many, 0, sizeof many);
  memset(items, 0, sizeof items);
  items[0].take = pkd_take_mutex(&second);
  many_answers = 0;
  be_patient(SHORT);
  assert_int_equal(pkd_async_mutex_trylock(&in_turn, &second), 0);
  on_loop_b(want_second, &result);
  assert_int_equal(result, 0);
  actor_start_at(&next, LOOP_A, mutex_target(&second));
  get_stuck();
  assert_int_equal(pkd_async_mutex_unlock(&in_turn, &second), 0);
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(many_answers, 0);
  wake_b();
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
  assert_int_equal(many_answers, 0);
  assert_int_equal(actor_release(&next), 0);
  WAIT_FOR(many_answers != 0);
  assert_int_equal(many_status, 0);
  on_loop_b(unlock_both, &result);
  assert_int_equal(result, 0);
}

/* --- in the child of a fork ------------------------------------------------------ */

static pkd_async_sem_t sem;
static pkd_loop_t loop_of_child;

static void acquire_one(pkd_req_t* req, int how) {
  (void)req;
  rc = how != 0 ? how
                : pkd_async_sem_acquire(&loop_of_child, &in_turn, &sem, 1,
                                        note_status);
}

static int acquire_in_child(void) {
  uv_loop_t uv;

  if (uv_loop_init(&uv) != 0 || pkd_loop_attach(&loop_of_child, &uv) != 0)
    return 1;
  if (pkd_loop_yield(&loop_of_child, &turn, acquire_one) != 0)
    return 2;
  uv_run(&uv, UV_RUN_DEFAULT);
  if (rc != 0 || status != 0)
    return 3;
  if (pkd_async_sem_release(&in_turn, &sem, 1) != 0)
    return 4;
  pkd_loop_detach(&loop_of_child, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  return uv_loop_close(&uv) == 0 ? 0 : 5;
}

/* There are permits, but not so many as one of the parent waits for. */
static void
a_callback_in_a_child_does_not_wait_behind_the_parents(void** state) {
  struct actor big;
  pid_t child;

  (void)state;
  assert_int_equal(pkd_async_sem_init(&sem, 2, 3), 0);
  actor_init(&big, 0, sem_target(&sem, 3));
  assert_int_equal(actor_start(&big), 0);
  child = fork();
  if (child == 0)
    _exit(acquire_in_child());
  assert_int_equal(child_ends(child), 0);
  assert_int_equal(pkd_async_sem_add(&sem, 1), 0); /* here all is as it was */
  assert_int_equal(actor_wait(&big), 0);
  assert_int_equal(actor_release(&big), 0);
}

#define BESIDE(test, world)                                                    \
  { #test, test, open_beside, world_close, &worlds[world] }

int main(void) {
  const struct CMUnitTest tests[] = {
      BESIDE(a_callback_gets_what_only_the_away_wait_for, TWO_LOOPS),
      BESIDE(a_callback_gives_back_to_those_behind_a_stuck_loop, TWO_LOOPS),
      BESIDE(a_try_passes_by_the_away_and_nobody_else, TWO_LOOPS),
      BESIDE(several_at_once_come_though_their_loop_is_late, TWO_LOOPS),
      BESIDE(several_at_once_of_a_stuck_loop_keep_nobody, TWO_LOOPS),
      BESIDE(a_callback_in_a_child_does_not_wait_behind_the_parents, ONE_LOOP),
  };

  return cmocka_run_group_tests_name("async_grant_beside", tests, NULL, NULL);
}
