/* SPDX-License-Identifier: MIT
 *
 * test_async_overtake.c - a mutex on which tasks of the unlocker's loop may go
 * first, for a while.
 *
 * How soon a test gets to its unlock is the machine's affair. So that somebody
 * overtakes is tried until it is seen; that nobody does is looked at at once. */
#include "actors.h"

#define PATIENCE_NS 500000

static pkd_async_mutex_t mutex, trigger;
static struct actor owner, puller, stranger, near;

static int open_overtaking(void** state) {
  memset(&trigger, 0, sizeof trigger);
  pkd_async_mutex_init(&mutex, PKD_ASYNC_MUTEX_OVERTAKES);
  return world_open(state);
}

#define OVERTAKING(test)                                                       \
  { #test, test, open_overtaking, world_close, &worlds[TWO_LOOPS] }

static void init_at(struct actor* actor, enum place place,
                    struct target target) {
  actor_init(actor, 0, target);
  actor->place = place;
}

static void release_owner(struct actor* actor) {
  actor_release(&owner);
  actor_release(actor);
}

static void release(struct actor* actor) {
  actor_release(actor);
}

static void own_on_loop_a(void) {
  actor_start_at(&owner, LOOP_A, mutex_target(&mutex));
  assert_int_equal(actor_wait(&owner), 0);
}

static void unlock_on_loop_a(void) {
  init_at(&puller, LOOP_A, mutex_target(&trigger));
  puller.then = release_owner;
  assert_int_equal(actor_start(&puller), 0);
  assert_int_equal(actor_wait(&puller), 0);
}

static void use_and_release(struct actor* actor) {
  assert_int_equal(actor_wait(actor), 0);
  assert_int_equal(actor_release(actor), 0);
}

/* @return whether the stranger, who came first, came second. */
static bool is_overtaken(enum place place) {
  own_on_loop_a();
  actor_start_at(&stranger, place, mutex_target(&mutex));
  actor_start_at(&near, LOOP_A, mutex_target(&mutex));
  unlock_on_loop_a();
  WAIT_FOR((turn_a(), near.status != NOT_YET || stranger.status != NOT_YET));
  if (near.status == 0) {
    use_and_release(&near);
    use_and_release(&stranger);
  } else {
    use_and_release(&stranger);
    use_and_release(&near);
  }
  return near.order < stranger.order;
}

static void a_task_of_the_unlockers_loop_overtakes_a_thread(void** state) {
  (void)state;
  WAIT_FOR(is_overtaken(THREAD));
}

static void a_task_of_the_unlockers_loop_overtakes_another_loop(void** state) {
  (void)state;
  WAIT_FOR(is_overtaken(LOOP_B));
}

static void who_has_waited_long_is_not_overtaken(void** state) {
  uint64_t patience;

  (void)state;
  own_on_loop_a();
  actor_start_at(&stranger, THREAD, mutex_target(&mutex));
  actor_start_at(&near, LOOP_A, mutex_target(&mutex));
  patience = uv_hrtime() + PATIENCE_NS;
  WAIT_FOR(uv_hrtime() > patience);
  unlock_on_loop_a();
  use_and_release(&stranger);
  use_and_release(&near);
  assert_true(stranger.order < near.order);
}

static void nobody_overtakes_on_a_strict_mutex(void** state) {
  (void)state;
  pkd_async_mutex_init(&mutex, 0);
  for (int i = 0; i < 20; i++)
    assert_false(is_overtaken(i % 2 ? THREAD : LOOP_B));
}

/* The thread that unlocks runs no loop just now. */
static void an_unlock_from_elsewhere_lets_nobody_overtake(void** state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    own_on_loop_a();
    actor_start_at(&stranger, LOOP_B, mutex_target(&mutex));
    actor_start_at(&near, LOOP_A, mutex_target(&mutex));
    assert_int_equal(actor_release(&owner), 0);
    use_and_release(&stranger);
    use_and_release(&near);
    assert_true(stranger.order < near.order);
  }
}

static void one_behind_eight_others_does_not_overtake(void** state) {
  static struct actor others[8];

  (void)state;
  own_on_loop_a();
  for (int i = 0; i < 8; i++)
    actor_start_at(&others[i], LOOP_B, mutex_target(&mutex));
  actor_start_at(&near, LOOP_A, mutex_target(&mutex));
  unlock_on_loop_a();
  for (int i = 0; i < 8; i++) {
    use_and_release(&others[i]);
    assert_int_equal(near.status, NOT_YET);
  }
  use_and_release(&near);
}

/* Those of one loop keep their own order. */
static void who_overtakes_does_so_in_order(void** state) {
  static struct actor tasks[4];

  (void)state;
  own_on_loop_a();
  actor_start_at(&stranger, THREAD, mutex_target(&mutex));
  for (int i = 0; i < 4; i++) {
    init_at(&tasks[i], LOOP_A, mutex_target(&mutex));
    tasks[i].then = release;
    assert_int_equal(actor_start(&tasks[i]), 0);
  }
  unlock_on_loop_a();
  WAIT_FOR((turn_a(), stranger.status != NOT_YET));
  use_and_release(&stranger);
  for (int i = 0; i < 4; i++) {
    assert_int_equal(actor_wait(&tasks[i]), 0);
    assert_true(i == 0 || tasks[i].order > tasks[i - 1].order);
  }
}

/* Four tasks want it again and again, and a thread gets it all the same. */
static atomic_bool enough;

static void lock_again(struct actor* actor) {
  assert_int_equal(actor_release(actor), 0);
  if (!enough)
    actor_start(actor);
}

static void a_thread_gets_in_between_tasks_that_never_stop(void** state) {
  static struct actor tasks[4];

  (void)state;
  enough = false;
  for (int i = 0; i < 4; i++) {
    init_at(&tasks[i], LOOP_A, mutex_target(&mutex));
    tasks[i].then = lock_again;
    assert_int_equal(actor_start(&tasks[i]), 0);
  }
  for (int i = 0; i < 10; i++) {
    init_at(&stranger, THREAD, mutex_target(&mutex));
    stranger.then = release;
    assert_int_equal(actor_start(&stranger), 0);
    WAIT_FOR((turn_a(), stranger.status != NOT_YET));
    actor_end(&stranger);
  }
  enough = true;
  WAIT_FOR((turn_a(), pkd_loop_pending(&loop_a) == 0));
  assert_int_equal(waiting_at(&mutex), 0);
}

/* --- what may not overtake, and what ends meanwhile ------------------------ */

static void both(pkd_many_t* many, int status) {
  *(int*)many->data = status;
}

/* Two such requests, each with a lock the other wants, would never end. */
static void one_of_several_at_once_does_not_overtake(void** state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    pkd_many_item_t items[1] = {{.take = pkd_take_mutex(&mutex)}};
    int status = NOT_YET;
    pkd_many_t many = {.data = &status};

    own_on_loop_a();
    actor_start_at(&stranger, LOOP_B, mutex_target(&mutex));
    assert_int_equal(
        pkd_many_lock(&loop_a, &many, items, 1, PKD_NO_TIMEOUT, both), 0);
    unlock_on_loop_a();
    assert_int_equal(actor_wait(&stranger), 0);
    assert_int_equal(status, NOT_YET);
    assert_int_equal(actor_release(&stranger), 0);
    WAIT_FOR((turn_a(), status != NOT_YET));
    assert_int_equal(status, 0);
    assert_int_equal(pkd_many_unlock(&many), 0);
  }
}

static void close_and_cancel_end_who_may_be_overtaken(void** state) {
  (void)state;
  own_on_loop_a();
  actor_start_at(&stranger, LOOP_B, mutex_target(&mutex));
  actor_start_at(&near, LOOP_A, mutex_target(&mutex));
  assert_int_equal(pkd_req_cancel(&stranger.req), 0);
  assert_int_equal(actor_wait(&stranger), UV_ECANCELED);
  actor_start_at(&stranger, LOOP_B, mutex_target(&mutex));
  assert_int_equal(pkd_async_mutex_close(&mutex), 0);
  unlock_on_loop_a();
  assert_int_equal(actor_wait(&near), UV_ECANCELED);
  assert_int_equal(actor_wait(&stranger), UV_ECANCELED);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
}

/* Its request was for a key before, of which it still has the bytes; and it was
 * granted the mutex as it asked, so it has never begun to wait. */
static void who_comes_back_after_being_away_is_not_overtaken(void** state) {
  pkd_async_keyed_t keyed = PKD_ASYNC_KEYED_INIT;
  pkd_loop_grants_t grants;
  unsigned char key[PKD_ASYNC_KEY_INLINE];
  uint64_t patience;

  (void)state;
  memset(key, 0xff, sizeof key);
  init_at(&stranger, LOOP_A, mutex_target(&mutex));
  assert_int_equal(
      pkd_async_keyed_trylock(&stranger.req, &keyed, key, sizeof key), 0);
  assert_int_equal(pkd_async_keyed_unlock(&stranger.req, &keyed), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop_a, 5), 0);
  assert_int_equal(actor_start(&stranger), 0);
  WAIT_FOR((pkd_loop_get_grants(&loop_a, &grants), grants.revoked == 1));
  assert_int_equal(pkd_loop_set_grant_timeout(&loop_a, 0), 0);
  actor_start_at(&owner, LOOP_B, mutex_target(&mutex));
  WAIT_FOR(owner.status == 0);
  settle(); /* loop A comes to the stranger, who waits again */
  actor_start_at(&near, LOOP_B, mutex_target(&mutex));
  patience = uv_hrtime() + PATIENCE_NS;
  WAIT_FOR(uv_hrtime() > patience);
  init_at(&puller, LOOP_B, mutex_target(&trigger));
  puller.then = release_owner;
  assert_int_equal(actor_start(&puller), 0);
  assert_int_equal(actor_wait(&puller), 0);
  WAIT_FOR((turn_a(), near.status != NOT_YET || stranger.status != NOT_YET));
  assert_int_equal(near.status, NOT_YET);
  use_and_release(&stranger);
  use_and_release(&near);
}

static void an_unknown_flag_is_refused(void** state) {
  static const pkd_async_mutex_t overtakes = PKD_ASYNC_MUTEX_OVERTAKES_INIT;

  (void)state;
  assert_int_equal(pkd_async_mutex_init(NULL, 0), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_init(&mutex, 1), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_init(&mutex, PKD_ASYNC_MUTEX_OVERTAKES), 0);
  assert_memory_equal(&mutex, &overtakes, sizeof mutex);
  assert_int_equal(pkd_async_mutex_is_locked(&mutex), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OVERTAKING(a_task_of_the_unlockers_loop_overtakes_a_thread),
      OVERTAKING(a_task_of_the_unlockers_loop_overtakes_another_loop),
      OVERTAKING(who_has_waited_long_is_not_overtaken),
      OVERTAKING(nobody_overtakes_on_a_strict_mutex),
      OVERTAKING(an_unlock_from_elsewhere_lets_nobody_overtake),
      OVERTAKING(one_behind_eight_others_does_not_overtake),
      OVERTAKING(who_overtakes_does_so_in_order),
      OVERTAKING(a_thread_gets_in_between_tasks_that_never_stop),
      OVERTAKING(one_of_several_at_once_does_not_overtake),
      OVERTAKING(close_and_cancel_end_who_may_be_overtaken),
      OVERTAKING(who_comes_back_after_being_away_is_not_overtaken),
      OVERTAKING(an_unknown_flag_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
