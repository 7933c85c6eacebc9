/* SPDX-License-Identifier: MIT
 *
 * test_async_work.c - work under a lock, while the pool stays free. */
#include "family.h"

#include <semaphore.h>

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;
static int inside, most, begun; /* atomic */
static int runs;                /* guarded by the mutex */
static int statuses[3];         /* how many ended with 0, ECANCELED, else */
static sem_t hold;

static void fresh(void) {
  memset(&mutex, 0, sizeof mutex);
  pkd_async_sem_init(&sem, 2, 0);
  memset(statuses, 0, sizeof statuses);
  inside = most = runs = begun = 0;
}

static void run(pkd_work_t* work) {
  int now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);

  (void)work;
  if (now > __atomic_load_n(&most, __ATOMIC_RELAXED))
    __atomic_store_n(&most, now, __ATOMIC_RELAXED);
  runs++; /* guarded by the mutex */
  __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
}

static void after(pkd_work_t* work, int status) {
  (void)work;
  statuses[status == 0 ? 0 : status == UV_ECANCELED ? 1 : 2]++;
  answered++;
}

static void run_held(pkd_work_t* work) {
  (void)work;
  __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
  while (sem_wait(&hold) != 0) {
  }
}

static void work_runs_one_at_a_time_and_all_of_it(void** state) {
  static pkd_work_t works[200];

  (void)state;
  fresh();
  memset(works, 0, sizeof works);
  for (int i = 0; i < 200; i++)
    assert_int_equal(
        pkd_queue_work(&loop, &works[i], pkd_take_mutex(&mutex), run, after),
        0);
  assert_int_equal(
      pkd_queue_work(&loop, &works[0], pkd_take_mutex(&mutex), run, after),
      UV_EALREADY);
  run_until(200);
  assert_int_equal(runs, 200);
  assert_int_equal(most, 1);
  assert_int_equal(statuses[0], 200);
  assert_false(pkd_async_mutex_is_locked(&mutex));
}

static int unrelated; /* how many unrelated jobs are done */

static void nothing(uv_work_t* job) {
  (void)job;
}

static void count_unrelated(uv_work_t* job, int status) {
  (void)job;
  (void)status;
  unrelated++;
}

static void work_that_waits_keeps_no_thread_of_the_pool(void** state) {
  static pkd_work_t works[50];
  uv_work_t job;

  (void)state;
  fresh();
  memset(works, 0, sizeof works);
  sem_init(&hold, 0, 0);
  unrelated = 0;
  for (int i = 0; i < 50; i++)
    pkd_queue_work(&loop, &works[i], pkd_take_mutex(&mutex), run_held, after);
  uv_queue_work(&uv, &job, nothing, count_unrelated);
  WAIT_FOR((uv_run(&uv, UV_RUN_NOWAIT), unrelated == 1));
  assert_int_equal(answered, 0); /* the holder has not even ended */
  for (int i = 0; i < 50; i++)
    sem_post(&hold);
  run_until(50);
  sem_destroy(&hold);
}

static void cancel_works_until_the_work_has_begun(void** state) {
  static pkd_work_t works[3];

  (void)state;
  fresh();
  memset(works, 0, sizeof works);
  sem_init(&hold, 0, 0);
  assert_int_equal(pkd_work_cancel(&works[0]), UV_EINVAL);
  for (int i = 0; i < 3; i++)
    pkd_queue_work(&loop, &works[i], pkd_take_mutex(&mutex), run_held, after);
  assert_int_equal(pkd_work_set_timeout(&works[1], 1), UV_EALREADY);
  assert_int_equal(pkd_work_cancel(&works[1]), 0);
  run_until(1);
  assert_int_equal(statuses[1], 1);
  WAIT_FOR((uv_run(&uv, UV_RUN_NOWAIT),
            __atomic_load_n(&begun, __ATOMIC_RELAXED) != 0));
  assert_int_equal(pkd_work_cancel(&works[0]), UV_EBUSY);
  sem_post(&hold);
  sem_post(&hold);
  run_until(3);
  assert_int_equal(statuses[0], 2);
  assert_false(pkd_async_mutex_is_locked(&mutex));
  sem_destroy(&hold);
}

static void wait_at_the_gate(uv_work_t* job) {
  (void)job;
  while (sem_wait(&hold) != 0) {
  }
}

static void a_job_that_libuv_cancels_gives_the_lock_back(void** state) {
  enum { POOL = 4 }; /* UV_THREADPOOL_SIZE of this test */
  static uv_work_t blockers[POOL];
  pkd_work_t work = {0};

  (void)state;
  fresh();
  sem_init(&hold, 0, 0);
  unrelated = 0;
  for (int i = 0; i < POOL; i++)
    uv_queue_work(&uv, &blockers[i], wait_at_the_gate, count_unrelated);
  pkd_queue_work(&loop, &work, pkd_take_mutex(&mutex), run, after);
  run_some(); /* the lock is taken, the job stands in the pool's queue */
  assert_true(pkd_async_mutex_is_locked(&mutex));
  assert_int_equal(pkd_work_cancel(&work), 0);
  run_until(1);
  assert_int_equal(statuses[1], 1);
  assert_int_equal(runs, 0);
  assert_false(pkd_async_mutex_is_locked(&mutex));
  for (int i = 0; i < POOL; i++)
    sem_post(&hold);
  WAIT_FOR((uv_run(&uv, UV_RUN_NOWAIT), unrelated == POOL));
  sem_destroy(&hold);
}

static void permits_and_timeouts_work_as_for_the_lock(void** state) {
  static pkd_work_t works[4];
  pkd_req_t owner = {0};

  (void)state;
  fresh();
  memset(works, 0, sizeof works);
  assert_int_equal(pkd_async_sem_try_acquire(&owner, &sem, 2), 0);
  assert_int_equal(pkd_work_set_timeout(&works[0], 0), 0);
  assert_int_equal(
      pkd_queue_work(&loop, &works[0], pkd_take_permits(&sem, 1), run, after),
      UV_EBUSY);
  pkd_work_set_timeout(&works[1], 1);
  assert_int_equal(
      pkd_queue_work(&loop, &works[1], pkd_take_permits(&sem, 1), run, after),
      0);
  run_until(1);
  assert_int_equal(statuses[2], 1);
  assert_int_equal(pkd_async_sem_release(&owner, &sem, 2), 0);
  assert_int_equal(
      pkd_queue_work(&loop, &works[2], pkd_take_permits(&sem, 2), run, after),
      0);
  run_until(2);
  assert_int_equal(pkd_async_sem_available(&sem), 2);
  assert_int_equal(
      pkd_queue_work(NULL, &works[0], pkd_take_mutex(&mutex), run, after),
      UV_EINVAL);
  assert_int_equal(
      pkd_queue_work(&loop, NULL, pkd_take_mutex(&mutex), run, after),
      UV_EINVAL);
  assert_int_equal(
      pkd_queue_work(&loop, &works[0], pkd_take_mutex(&mutex), NULL, after),
      UV_EINVAL);
  assert_int_equal(pkd_work_cancel(NULL), UV_EINVAL);
  assert_int_equal(pkd_work_set_timeout(NULL, 1), UV_EINVAL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_LOOP(work_runs_one_at_a_time_and_all_of_it),
      ON_A_LOOP(work_that_waits_keeps_no_thread_of_the_pool),
      ON_A_LOOP(cancel_works_until_the_work_has_begun),
      ON_A_LOOP(a_job_that_libuv_cancels_gives_the_lock_back),
      ON_A_LOOP(permits_and_timeouts_work_as_for_the_lock),
  };
  return cmocka_run_group_tests_name("async_work", tests, NULL, NULL);
}
