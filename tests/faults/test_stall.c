/* SPDX-License-Identifier: MIT
 *
 * test_stall.c - a loop that stands still while others go on.
 *
 * Loop B is held in a callback until the test lets it go: how long that is depends
 * on what the others have done by then, not on a clock. It stands in queues, and
 * locks are granted to it that it cannot take notice of. */
#include "async/actors.h"

enum { ROUNDS_OF_OTHERS = 500, WORKERS = 2 };

static struct {
  pkd_async_mutex_t mutex;
  pkd_async_sem_t sem;
  pkd_async_rwlock_t rwlock;
  pkd_async_keyed_t keyed;
} others;

/* --- threads that use what the stalled loop has no part in ------------------ */

static int work_once(unsigned number) {
  pkd_req_t req = {0};
  uint64_t key = number % 2; /* B stands at another key of the same object */
  int err = pkd_async_mutex_lock_blocking(&req, &others.mutex, PKD_FOREVER);

  err |= pkd_async_mutex_unlock(&req, &others.mutex);
  err |= pkd_async_sem_acquire_blocking(&req, &others.sem, 1, PKD_FOREVER);
  err |= pkd_async_sem_release(&req, &others.sem, 1);
  err |= pkd_async_rwlock_wrlock_blocking(&req, &others.rwlock, PKD_FOREVER);
  err |= pkd_async_rwlock_unlock(&req, &others.rwlock);
  err |=
      pkd_async_keyed_lock_blocking_u64(&req, &others.keyed, key, PKD_FOREVER);
  err |= pkd_async_keyed_unlock(&req, &others.keyed);
  return err;
}

static int errors[WORKERS];
static atomic_int working;

static void work(void* arg, unsigned number) {
  (void)arg;
  for (unsigned i = 0; i < ROUNDS_OF_OTHERS; i++)
    errors[number] |= work_once(number + i);
  working--;
}

/* --- tasks of loop A that do ------------------------------------------------ */

struct task {
  pkd_req_t req;
  int rounds;
};

static void again(pkd_req_t* req, int status) {
  struct task* task = (struct task*)req;

  if (status != 0 || pkd_async_mutex_unlock(req, &others.mutex) != 0) {
    task->rounds = -1;
    return;
  }
  if (++task->rounds < ROUNDS_OF_OTHERS)
    pkd_async_mutex_lock(&loop_a, req, &others.mutex, again);
}

/* What B waits for, or has been granted. */
static struct {
  pkd_async_mutex_t granted, queued;
  struct actor holder_of_granted, holder_of_queued;
  struct actor b_granted, b_queued;
} with_b;

static pkd_req_t b_key;
static atomic_int b_key_status;

static void key_answered(pkd_req_t* req, int status) {
  (void)req;
  b_key_status = status;
}

static void lock_key(void* arg) {
  (void)arg;
  pkd_async_keyed_lock_u64(&loop_b, &b_key, &others.keyed, 99, key_answered);
}

static void unlock_key(void* arg) {
  *(int*)arg = pkd_async_keyed_unlock(&b_key, &others.keyed);
}

static void stand_in_queues(void) {
  memset(&with_b, 0, sizeof with_b);
  memset(&others, 0, sizeof others);
  pkd_async_sem_init(&others.sem, 1, 0);
  b_key_status = NOT_YET;
  actor_init(&with_b.holder_of_granted, 0, mutex_target(&with_b.granted));
  actor_init(&with_b.holder_of_queued, 0, mutex_target(&with_b.queued));
  actor_init(&with_b.b_granted, 1, mutex_target(&with_b.granted));
  actor_init(&with_b.b_queued, 1, mutex_target(&with_b.queued));
  actor_start(&with_b.holder_of_granted);
  actor_start(&with_b.holder_of_queued);
  assert_int_equal(actor_wait(&with_b.holder_of_granted), 0);
  assert_int_equal(actor_wait(&with_b.holder_of_queued), 0);
  actor_start(&with_b.b_granted);
  actor_start(&with_b.b_queued);
  on_loop_b(lock_key, NULL);
}

/* B stands still, one lock is granted to it, in the queue of another it waits. */
static void stall_with_a_grant(void) {
  stand_in_queues();
  stall_b();
  assert_int_equal(actor_release(&with_b.holder_of_granted), 0);
  assert_int_equal(with_b.b_granted.answers, 0);
  assert_true(pkd_async_mutex_is_locked(&with_b.granted));
}

static void resume_and_end(int expected) {
  int err = 0;

  resume_b();
  assert_int_equal(actor_wait(&with_b.b_granted), expected);
  if (expected == 0)
    assert_int_equal(actor_release(&with_b.b_granted), 0);
  assert_int_equal(with_b.b_queued.answers, 0);
  assert_int_equal(actor_release(&with_b.holder_of_queued), 0);
  assert_int_equal(actor_wait(&with_b.b_queued), 0);
  assert_int_equal(actor_release(&with_b.b_queued), 0);
  WAIT_FOR(b_key_status == 0);
  on_loop_b(unlock_key, &err);
  assert_int_equal(err, 0);
  assert_int_equal(with_b.b_granted.answers, 1);
  assert_int_equal(with_b.b_queued.answers, 1);
  assert_false(pkd_async_mutex_is_locked(&with_b.granted));
  assert_false(pkd_async_mutex_is_locked(&with_b.queued));
}

static void others_go_on_while_a_loop_stands_still(void** state) {
  struct team team;
  struct task tasks[3];

  (void)state;
  stall_with_a_grant();
  memset(errors, 0, sizeof errors);
  memset(tasks, 0, sizeof tasks);
  working = WORKERS;
  team_start(&team, WORKERS, work, NULL);
  for (size_t i = 0; i < LENGTH(tasks); i++)
    assert_int_equal(
        pkd_async_mutex_lock(&loop_a, &tasks[i].req, &others.mutex, again), 0);
  for (size_t i = 0; i < LENGTH(tasks); i++)
    WAIT_FOR(
        (turn_a(), tasks[i].rounds < 0 || tasks[i].rounds == ROUNDS_OF_OTHERS));
  WAIT_FOR((turn_a(), working == 0));
  team_join(&team);
  for (size_t i = 0; i < LENGTH(tasks); i++)
    assert_int_equal(tasks[i].rounds, ROUNDS_OF_OTHERS);
  for (size_t i = 0; i < WORKERS; i++)
    assert_int_equal(errors[i], 0);
  assert_int_equal(with_b.b_granted.answers, 0); /* it has stood still */
  resume_and_end(0);
}

static void who_waits_behind_it_is_late_in_time(void** state) {
  struct actor task;
  pkd_req_t req = {0};

  (void)state;
  stall_with_a_grant();
  actor_init(&task, 0, mutex_target(&with_b.granted));
  task.timeout = 5;
  actor_start(&task);
  assert_int_equal(actor_wait(&task), UV_ETIMEDOUT);
  actor_init(&task, 0, mutex_target(&with_b.queued));
  task.timeout = 5;
  actor_start(&task);
  assert_int_equal(actor_wait(&task), UV_ETIMEDOUT);
  /* and one that is cancelled, of another loop than the one that stands */
  actor_init(&task, 0, mutex_target(&with_b.granted));
  actor_start(&task);
  assert_int_equal(pkd_req_cancel(&task.req), 0);
  assert_int_equal(actor_wait(&task), UV_ECANCELED);
  assert_int_equal(pkd_async_mutex_trylock(&req, &with_b.granted), UV_EBUSY);
  assert_int_equal(with_b.b_granted.answers, 0);
  resume_and_end(0);
}

static void its_grant_can_be_taken_back_and_goes_to_the_next(void** state) {
  struct actor task;

  (void)state;
  stall_with_a_grant();
  actor_init(&task, 0, mutex_target(&with_b.granted));
  actor_start(&task);
  assert_int_equal(pkd_req_cancel(&with_b.b_granted.req), 0);
  assert_int_equal(actor_wait(&task), 0);
  assert_int_equal(with_b.b_granted.answers, 0);
  assert_int_equal(actor_release(&task), 0);
  resume_and_end(UV_ECANCELED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_WORLD(others_go_on_while_a_loop_stands_still, TWO_LOOPS),
      IN_WORLD(who_waits_behind_it_is_late_in_time, TWO_LOOPS),
      IN_WORLD(its_grant_can_be_taken_back_and_goes_to_the_next, TWO_LOOPS),
  };
  return cmocka_run_group_tests_name("stall", tests, NULL, NULL);
}
