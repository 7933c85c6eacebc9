/* SPDX-License-Identifier: MIT
 *
 * test_async_many.c - several locks at once: all or nothing, and no deadlock
 * whatever the order they are named in. */
#include "family.h"
#include "support/child.h"

#include <stdatomic.h>
#include <unistd.h>

static pkd_async_mutex_t a, b, c;
static pkd_async_sem_t sem;
static pkd_async_keyed_t keyed;
static int last_status;

static void fresh(void) {
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  memset(&c, 0, sizeof c);
  memset(&keyed, 0, sizeof keyed);
  pkd_async_sem_init(&sem, 3, 0);
  last_status = 1;
}

static void told(pkd_many_t* many, int status) {
  (void)many;
  last_status = status;
  answered++;
}

static void mutexes_permits_and_keys_are_taken_together(void** state) {
  pkd_many_t many = {0};
  pkd_many_item_t items[4] = {{.take = pkd_take_mutex(&b)},
                              {.take = pkd_take_permits(&sem, 2)},
                              {.take = pkd_take_key(&keyed, "x", 1)},
                              {.take = pkd_take_mutex(&a)}};
  pkd_req_t other = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_many_lock(&loop, &many, items, 4, PKD_NO_TIMEOUT, told),
                   0);
  assert_int_equal(pkd_many_lock(&loop, &many, items, 4, PKD_NO_TIMEOUT, told),
                   UV_EALREADY);
  assert_int_equal(answered, 0);
  run_until(1);
  assert_int_equal(last_status, 0);
  assert_true(pkd_async_mutex_is_locked(&a));
  assert_int_equal(pkd_async_sem_available(&sem), 1);
  assert_int_equal(pkd_async_keyed_trylock(&other, &keyed, "x", 1), UV_EBUSY);
  assert_int_equal(pkd_many_lock(&loop, &many, items, 4, PKD_NO_TIMEOUT, told),
                   UV_EBUSY);
  assert_int_equal(pkd_many_unlock(&many), 0);
  assert_int_equal(pkd_many_unlock(&many), UV_EPERM);
  assert_false(pkd_async_mutex_is_locked(&a));
  assert_false(pkd_async_mutex_is_locked(&b));
  assert_int_equal(pkd_async_sem_available(&sem), 3);
  assert_int_equal(pkd_async_keyed_trylock(&other, &keyed, "x", 1), 0);
  assert_int_equal(pkd_async_keyed_unlock(&other, &keyed), 0);
  assert_int_equal(pkd_many_trylock(&many, items, 4), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 1);
  assert_int_equal(pkd_many_unlock(&many), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 3);
}

static void crosswise_requests_do_not_deadlock(void** state) {
  pkd_req_t owner = {0};
  pkd_many_t first = {0}, second = {0};
  pkd_many_item_t ab[2] = {{.take = pkd_take_mutex(&a)},
                           {.take = pkd_take_mutex(&b)}};
  pkd_many_item_t ba[2] = {{.take = pkd_take_mutex(&b)},
                           {.take = pkd_take_mutex(&a)}};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&owner, &b), 0);
  assert_int_equal(pkd_many_lock(&loop, &first, ab, 2, PKD_NO_TIMEOUT, told),
                   0);
  assert_int_equal(pkd_many_lock(&loop, &second, ba, 2, PKD_NO_TIMEOUT, told),
                   0);
  run_some();
  assert_int_equal(answered, 0);
  assert_int_equal(pkd_async_mutex_unlock(&owner, &b), 0);
  run_until(1);
  run_some();
  assert_int_equal(answered, 1);
  assert_int_equal(pkd_many_unlock(&second), UV_EPERM);
  assert_int_equal(pkd_many_unlock(&first), 0);
  run_until(2);
  assert_int_equal(pkd_many_unlock(&second), 0);
  assert_false(pkd_async_mutex_is_locked(&a));
  assert_false(pkd_async_mutex_is_locked(&b));
}

static void a_failed_request_owns_nothing(void** state) {
  pkd_req_t owner = {0};
  pkd_many_t many = {0};
  pkd_many_item_t items[3] = {{.take = pkd_take_mutex(&a)},
                              {.take = pkd_take_mutex(&b)},
                              {.take = pkd_take_mutex(&c)}};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&owner, &b), 0);
  /* cancelled */
  pkd_many_lock(&loop, &many, items, 3, PKD_NO_TIMEOUT, told);
  assert_int_equal(pkd_many_cancel(&many), 0);
  assert_int_equal(pkd_many_cancel(&many), 0);
  run_until(1);
  assert_int_equal(last_status, UV_ECANCELED);
  assert_int_equal(pkd_many_cancel(&many), UV_EINVAL);
  assert_false(pkd_async_mutex_is_locked(&a));
  assert_false(pkd_async_mutex_is_locked(&c));
  /* late */
  pkd_many_lock(&loop, &many, items, 3, 1, told);
  run_until(2);
  assert_int_equal(last_status, UV_ETIMEDOUT);
  assert_false(pkd_async_mutex_is_locked(&a));
  /* not willing to wait: the first is free, the second is not */
  assert_int_equal(pkd_many_lock(&loop, &many, items, 3, 0, told), 0);
  run_until(3);
  assert_int_equal(last_status, UV_EBUSY);
  assert_false(pkd_async_mutex_is_locked(&a));
  assert_int_equal(pkd_many_trylock(&many, items, 3), UV_EBUSY);
  assert_false(pkd_async_mutex_is_locked(&a));
  /* closed while it waits, and before */
  pkd_many_lock(&loop, &many, items, 3, PKD_NO_TIMEOUT, told);
  assert_int_equal(pkd_async_mutex_close(&b), 0);
  run_until(4);
  assert_int_equal(last_status, UV_ECANCELED);
  assert_int_equal(pkd_many_lock(&loop, &many, items, 3, PKD_NO_TIMEOUT, told),
                   0);
  run_until(5);
  assert_int_equal(last_status, UV_ESHUTDOWN);
  assert_false(pkd_async_mutex_is_locked(&a));
  assert_false(pkd_async_mutex_is_locked(&c));
  assert_int_equal(pkd_async_mutex_unlock(&owner, &b), 0);
}

static int in_the_way; /* atomic */

/* Under the lot's lock of `b`, for longer than the timeout. */
static void stand_in_the_way(void* arg, const void* key, pkd_waiter_t* waiter) {
  uint64_t since = waitfor_now();

  (void)arg;
  (void)key;
  (void)waiter;
  __atomic_store_n(&in_the_way, 1, __ATOMIC_RELAXED);
  while (waitfor_now() - since < 20000000) {
  }
}

static void look(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_lot_for_each(&b, stand_in_the_way, NULL);
}

static void a_timeout_that_passes_on_the_way_to_the_queue_counts(void** state) {
  struct wait waiting = {.status = 1}, late = {.status = 1};
  pkd_req_t owner = {0};
  struct team team;

  (void)state;
  fresh();
  in_the_way = 0;
  assert_int_equal(pkd_async_mutex_trylock(&owner, &b), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &waiting.req, &b, record), 0);
  team_start(&team, 1, look, NULL);
  WAIT_FOR(__atomic_load_n(&in_the_way, __ATOMIC_RELAXED));
  assert_int_equal(pkd_req_set_timeout(&late.req, 1), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &late.req, &b, record), 0);
  run_until(1);
  assert_int_equal(late.status, UV_ETIMEDOUT);
  team_join(&team);
  assert_int_equal(pkd_async_mutex_unlock(&owner, &b), 0);
  run_until(2);
  assert_int_equal(pkd_async_mutex_unlock(&waiting.req, &b), 0);
}

static pkd_many_t blocked;
static pkd_many_item_t blocked_items[2];
static int blocked_with;

static void block(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  blocked_with =
      pkd_many_lock_blocking(&blocked, blocked_items, 2, PKD_FOREVER);
}

/* What it was granted already goes on to the next. */
static void a_blocked_thread_can_be_cancelled(void** state) {
  pkd_req_t owner = {0};
  struct wait next = {.status = 1};
  struct team team;

  (void)state;
  fresh();
  memset(&blocked, 0, sizeof blocked);
  memset(blocked_items, 0, sizeof blocked_items);
  blocked_items[0].take = pkd_take_mutex(&a);
  blocked_items[1].take = pkd_take_mutex(&b);
  assert_int_equal(pkd_async_mutex_trylock(&owner, &b), 0);
  team_start(&team, 1, block, NULL);
  WAIT_FOR(pkd_lot_for_each(&b, NULL, NULL) == 1);
  assert_true(pkd_async_mutex_is_locked(&a));
  assert_int_equal(pkd_async_mutex_lock(&loop, &next.req, &a, record), 0);
  assert_int_equal(pkd_many_cancel(&blocked), 0);
  team_join(&team);
  assert_int_equal(blocked_with, UV_ECANCELED);
  assert_int_equal(pkd_many_cancel(&blocked), UV_EINVAL);
  run_until(1);
  assert_int_equal(next.status, 0);
  assert_int_equal(pkd_async_mutex_unlock(&next.req, &a), 0);
  assert_int_equal(pkd_async_mutex_unlock(&owner, &b), 0);
}

static int block_rc[6];
static bool all_free;

static void block_on_permits(void* arg, unsigned number) {
  pkd_many_t many = {0};
  pkd_many_item_t items[2] = {{.take = pkd_take_mutex(&a)},
                              {.take = pkd_take_permits(&sem, 2)}};

  (void)arg;
  (void)number;
  block_rc[0] = pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER);
  block_rc[1] = (int)pkd_async_sem_available(&sem);
  pkd_many_unlock(&many);
  items[1].take = pkd_take_permits(&sem, PKD_ASYNC_SEM_MAX + 1u);
  block_rc[2] = pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER);
  items[1].take = (pkd_take_t){.object = &b}; /* of no kind */
  block_rc[3] = pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER);
  items[1].take = pkd_take_key(&keyed, NULL, 1);
  block_rc[4] = pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER);
  items[1].take = pkd_take_key(&keyed, NULL, 0); /* the empty one */
  pkd_async_keyed_close(&keyed);
  block_rc[5] = pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER);
  all_free = !pkd_async_mutex_is_locked(&a);
}

static void a_thread_takes_permits_too_and_nothing_with_nonsense(void** state) {
  (void)state;
  fresh();
  team_run(1, block_on_permits, NULL);
  assert_int_equal(block_rc[0], 0);
  assert_int_equal(block_rc[1], 1);
  assert_int_equal(block_rc[2], UV_EINVAL);
  assert_int_equal(block_rc[3], UV_EINVAL);
  assert_int_equal(block_rc[4], UV_EINVAL);
  assert_int_equal(block_rc[5], UV_ESHUTDOWN);
  assert_true(all_free);
  assert_int_equal(pkd_async_sem_available(&sem), 3);
}

static int cancelled; /* how often a cancel said 0 */

static void cancel_from_elsewhere(void* arg, unsigned number) {
  (void)number;
  cancelled += pkd_many_cancel(arg) == 0;
}

/* Zero means exactly that the answer says so. */
static void cancel_from_another_thread_races_the_grants(void** state) {
  pkd_many_t many = {0};
  pkd_many_item_t items[2];

  (void)state;
  fresh();
  for (int i = 0; i < ROUNDS(500); i++) {
    pkd_req_t owner = {0};
    struct team team;

    memset(items, 0, sizeof items);
    items[0].take = pkd_take_mutex(&a);
    items[1].take = pkd_take_mutex(&b);
    cancelled = 0;
    assert_int_equal(pkd_async_mutex_trylock(&owner, &b), 0);
    assert_int_equal(
        pkd_many_lock(&loop, &many, items, 2, PKD_NO_TIMEOUT, told), 0);
    team_start(&team, 1, cancel_from_elsewhere, &many);
    assert_int_equal(pkd_async_mutex_unlock(&owner, &b), 0);
    run_until(i + 1);
    team_join(&team);
    assert_int_equal(last_status, cancelled != 0 ? UV_ECANCELED : 0);
    assert_int_equal(pkd_many_unlock(&many), cancelled != 0 ? UV_EPERM : 0);
    assert_false(pkd_async_mutex_is_locked(&a));
    assert_false(pkd_async_mutex_is_locked(&b));
  }
}

static void what_makes_no_sense_is_refused(void** state) {
  pkd_many_t many = {0};
  pkd_many_item_t twice[2] = {{.take = pkd_take_mutex(&a)},
                              {.take = pkd_take_mutex(&a)}};
  pkd_many_item_t keys[3] = {{.take = pkd_take_key(&keyed, "aa", 2)},
                             {.take = pkd_take_key(&keyed, "ab", 2)},
                             {.take = pkd_take_key(&keyed, "aa", 2)}};
  pkd_many_item_t empty[1] = {{.take = {0}}};
  pkd_many_item_t odd[2] = {{.take = pkd_take_key(&keyed, "", 0)},
                            {.take = pkd_take_key(&keyed, "", 0)}};

  (void)state;
  fresh();
  assert_int_equal(pkd_many_trylock(&many, twice, 2), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, keys, 3), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, empty, 1), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, odd, 2), UV_EINVAL);
  odd[0].take = pkd_take_key(&keyed, NULL, 0); /* the same key */
  assert_int_equal(pkd_many_trylock(&many, odd, 2), UV_EINVAL);
  odd[0].take = (pkd_take_t){.object = &b}; /* of no kind */
  assert_int_equal(pkd_many_trylock(&many, odd, 1), UV_EINVAL);
  odd[0].take = pkd_take_mutex(&b);
  assert_int_equal(pkd_async_mutex_trylock(&odd[0].req, &a), 0);
  assert_int_equal(pkd_many_trylock(&many, odd, 1), UV_EBUSY);
  assert_int_equal(pkd_async_mutex_unlock(&odd[0].req, &a), 0);
  assert_int_equal(pkd_many_trylock(&many, twice, 0), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(&many, NULL, 1), UV_EINVAL);
  assert_int_equal(pkd_many_trylock(NULL, twice, 1), UV_EINVAL);
  assert_int_equal(pkd_many_lock(&loop, &many, twice, 1, PKD_NO_TIMEOUT, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_many_unlock(NULL), UV_EINVAL);
  assert_int_equal(pkd_many_cancel(NULL), UV_EINVAL);
  assert_int_equal(pkd_many_lock_blocking(&many, twice, 1, PKD_FOREVER),
                   PKD_EDEADLK);
  assert_int_equal(pkd_many_trylock(&many, keys, 2), 0);
  assert_int_equal(pkd_many_unlock(&many), 0);
}

/* Wherever it stands among the others: it is returned, and nobody is told. */
static void what_cannot_be_had_is_refused_at_once(void** state) {
  pkd_take_t never[4] = {
      pkd_take_permits(&sem, 4), pkd_take_key(&keyed, NULL, 2),
      pkd_take_key(&keyed, "x", (size_t)PKD_ASYNC_KEY_MAX + 1),
      (pkd_take_t){.object = &b}};

  (void)state;
  fresh();
  pkd_async_sem_init(&sem, 3, 3);
  for (size_t i = 0; i < LENGTH(never); i++) {
    pkd_many_t many = {0};
    pkd_many_item_t items[2] = {{.take = pkd_take_key(&keyed, "aa", 2)},
                                {.take = never[i]}};

    assert_int_equal(pkd_many_trylock(&many, items, 2), UV_EINVAL);
    assert_int_equal(
        pkd_many_lock(&loop, &many, items, 2, PKD_NO_TIMEOUT, told), UV_EINVAL);
    assert_int_equal(pkd_loop_pending(&loop), 0);
    assert_int_equal(pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER),
                     UV_EINVAL);
  }
  assert_int_equal(answered, 0);
}

/* --- fork --------------------------------------------------------------------- */

static atomic_bool enough;

/* Is entering its queues most of the time. */
static void enter_and_leave(void* arg, unsigned number) {
  static pkd_async_mutex_t locks[32];
  static pkd_many_item_t items[LENGTH(locks)];
  pkd_many_t many = {0};

  (void)arg;
  (void)number;
  for (size_t i = 0; i < LENGTH(locks); i++)
    items[i].take = pkd_take_mutex(&locks[i]);
  while (!atomic_load(&enough)) {
    if (pkd_many_lock_blocking(&many, items, LENGTH(locks), PKD_FOREVER) == 0)
      pkd_many_unlock(&many);
  }
}

static int lock_two(void) {
  pkd_many_t many = {0};
  pkd_many_item_t items[2] = {{.take = pkd_take_mutex(&a)},
                              {.take = pkd_take_mutex(&b)}};

  alarm(20); /* or it waits for a thread that it does not have */
  if (pkd_many_lock_blocking(&many, items, 2, PKD_FOREVER) != 0)
    return 1;
  return pkd_many_unlock(&many) == 0 ? 0 : 2;
}

/* Whatever another thread was at in the parent. */
static void a_forked_child_takes_several_at_once(void** state) {
  struct team team;

  (void)state;
  fresh();
  atomic_store(&enough, false);
  team_start(&team, 1, enter_and_leave, NULL);
  for (int i = 0; i < ROUNDS(50); i++) {
    pid_t child = fork();

    if (child == 0)
      _exit(lock_two());
    assert_int_equal(child_ends(child), 0);
  }
  atomic_store(&enough, true);
  team_join(&team);
}

/* --- all at once ---------------------------------------------------------------- */

enum { LOCKS = 4, TEAM = 6, TURNS = 1500 };
static int inside[LOCKS]; /* guarded by the keys */
static int wrong[TEAM], got[TEAM];

/* Two different keys of four, in any order; now and then with a deadline. */
static void take_two(void* arg, unsigned number) {
  rng_t rng = rng_stream(*(uint64_t*)arg, number);

  for (int i = 0; i < ROUNDS(TURNS); i++) {
    uint64_t x = rng_below(&rng, LOCKS);
    uint64_t y = (x + 1 + rng_below(&rng, LOCKS - 1)) % LOCKS;
    pkd_many_t many = {0};
    pkd_many_item_t items[2] = {{.take = pkd_take_key(&keyed, &x, sizeof x)},
                                {.take = pkd_take_key(&keyed, &y, sizeof y)}};
    pkd_deadline_t deadline = rng_below(&rng, 4) == 0
                                  ? pkd_after(rng_below(&rng, 20000))
                                  : PKD_FOREVER;
    int rc = pkd_many_lock_blocking(&many, items, 2, deadline);

    if (rc == UV_ETIMEDOUT && deadline != PKD_FOREVER)
      continue;
    wrong[number] += rc != 0;
    wrong[number] += inside[x]++ != 0;
    wrong[number] += inside[y]++ != 0;
    inside[x]--;
    inside[y]--;
    got[number]++;
    wrong[number] += pkd_many_unlock(&many) != 0;
  }
}

static void threads_and_tasks_never_deadlock_in_any_order(void** state) {
  struct team team;
  uint64_t seed = rng_seed_of(0, NULL);
  pkd_many_t many = {0};
  uint64_t keys[LOCKS] = {3, 1, 0, 2};
  pkd_many_item_t items[LOCKS];

  (void)state;
  fresh();
  memset(items, 0, sizeof items);
  for (int i = 0; i < LOCKS; i++)
    items[i].take = pkd_take_key(&keyed, &keys[i], sizeof keys[i]);
  team_start(&team, TEAM, take_two, &seed);
  for (int i = 0; i < ROUNDS(200); i++) {
    assert_int_equal(
        pkd_many_lock(&loop, &many, items, LOCKS, PKD_NO_TIMEOUT, told), 0);
    run_until(i + 1);
    assert_int_equal(last_status, 0);
    for (int j = 0; j < LOCKS; j++)
      assert_int_equal(inside[j], 0);
    assert_int_equal(pkd_many_unlock(&many), 0);
  }
  team_join(&team);
  for (int i = 0; i < TEAM; i++) {
    assert_int_equal(wrong[i], 0);
    assert_true(got[i] > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(mutexes_permits_and_keys_are_taken_together),
      ON_A_LOOP(crosswise_requests_do_not_deadlock),
      ON_A_LOOP(a_failed_request_owns_nothing),
      ON_A_LOOP(a_timeout_that_passes_on_the_way_to_the_queue_counts),
      ON_A_LOOP(a_blocked_thread_can_be_cancelled),
      ON_A_LOOP(a_thread_takes_permits_too_and_nothing_with_nonsense),
      ON_A_LOOP(cancel_from_another_thread_races_the_grants),
      ON_A_LOOP(what_makes_no_sense_is_refused),
      ON_A_LOOP(what_cannot_be_had_is_refused_at_once),
      ON_A_LOOP(a_forked_child_takes_several_at_once),
      ON_A_LOOP(threads_and_tasks_never_deadlock_in_any_order),
  };
  return cmocka_run_group_tests_name("async_many", tests, NULL, NULL);
}
