/* SPDX-License-Identifier: MIT
 *
 * test_async_blocking.c - which threads may block for an asynchronous lock, and
 * a loop that moves from thread to thread. */
#include "actors.h"

#include <pthread.h>

static pkd_async_mutex_t mutex;
static pkd_loop_t loop;
static uv_loop_t uv;

static int try_blocking(void) {
  pkd_req_t req = {0};
  int err = pkd_async_mutex_lock_blocking(&req, &mutex, 0);

  if (err == 0)
    pkd_async_mutex_unlock(&req, &mutex);
  return err;
}

static void fresh(void) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
}

static void in_thread(void* arg) {
  *(int*)arg = try_blocking();
}

static int try_in_a_thread(void) {
  uv_thread_t thread;
  int err = NOT_YET;

  uv_thread_create(&thread, in_thread, &err);
  uv_thread_join(&thread);
  return err;
}

static void open_loop(void) {
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
}

static void close_loop(void) {
  assert_int_equal(pkd_loop_detach(&loop, NULL), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
}

static void a_thread_with_a_loop_must_not_block(void** state) {
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(try_blocking(), 0);
  open_loop();
  assert_int_equal(try_blocking(), PKD_EDEADLK); /* though it is free */
  assert_int_equal(try_in_a_thread(), 0);        /* others may */
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(try_blocking(), PKD_EDEADLK);
  assert_int_equal(try_in_a_thread(), UV_ETIMEDOUT);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  uv_run(&uv, UV_RUN_NOWAIT);
  assert_int_equal(try_blocking(), PKD_EDEADLK); /* between two runs, too */
  close_loop();
  assert_int_equal(try_blocking(), 0);
}

static int inside;

static void block_inside(pkd_req_t* req, int status) {
  (void)status;
  inside = try_blocking();
  pkd_async_mutex_unlock(req, &mutex);
}

static void a_callback_must_not_block(void** state) {
  pkd_req_t req = {0};

  (void)state;
  fresh();
  open_loop();
  inside = NOT_YET;
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, block_inside), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(inside, PKD_EDEADLK);
  close_loop();
}

struct visit {
  int before, after;
};

static void ring(uv_timer_t* timer) {
  uv_close((uv_handle_t*)timer, NULL);
}

static void run_it_here(void* arg) {
  struct visit* visit = arg;

  uv_timer_t timer;

  visit->before = try_blocking();
  uv_timer_init(&uv, &timer);
  uv_timer_start(&timer, ring, 0, 0); /* an empty loop would not turn */
  uv_run(&uv, UV_RUN_DEFAULT);
  visit->after = try_blocking();
}

static void the_thread_that_ran_a_loop_last_must_not_block(void** state) {
  struct visit visit = {NOT_YET, NOT_YET};
  uv_thread_t thread;

  (void)state;
  fresh();
  open_loop();
  uv_thread_create(&thread, run_it_here, &visit);
  uv_thread_join(&thread);
  assert_int_equal(visit.before, 0);
  assert_int_equal(visit.after, PKD_EDEADLK);
  assert_int_equal(try_blocking(), PKD_EDEADLK); /* it attached the loop */
  /* a thread of later is not taken for that one, whatever its number is */
  assert_int_equal(try_in_a_thread(), 0);
  uv_run(&uv, UV_RUN_NOWAIT);
  close_loop();
}

static uintptr_t delivered_on;

static void note_thread(pkd_req_t* req, int status) {
  delivered_on = pkd_thread_id();
  if (status == 0)
    pkd_async_mutex_unlock(req, &mutex);
}

struct move {
  pkd_req_t req;
  uintptr_t thread;
};

static void lock_and_run_here(void* arg) {
  struct move* move = arg;

  move->thread = pkd_thread_id();
  pkd_loop_adopt(&loop);
  pkd_async_mutex_lock(&loop, &move->req, &mutex, note_thread);
  uv_run(&uv, UV_RUN_DEFAULT);
}

static void a_loop_may_move_to_another_thread(void** state) {
  struct move move = {0};
  pkd_req_t owner = {0};
  uv_thread_t thread;

  (void)state;
  fresh();
  open_loop();
  for (int i = 0; i < 20; i++) {
    assert_int_equal(pkd_async_mutex_trylock(&owner, &mutex), 0);
    uv_thread_create(&thread, lock_and_run_here, &move);
    WAIT_FOR(waiting_at(&mutex) == 1);
    /* this thread was the loop's: it is not taken for it now */
    assert_int_equal(pkd_async_mutex_unlock(&owner, &mutex), 0);
    uv_thread_join(&thread);
    assert_int_equal(delivered_on, move.thread);
    assert_int_equal(
        pkd_async_mutex_lock(&loop, &move.req, &mutex, note_thread), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(delivered_on, pkd_thread_id());
  }
  close_loop();
}

struct blocked {
  pkd_req_t req;
  int status;
};

static void block_for_it(void* arg) {
  struct blocked* blocked = arg;

  blocked->status =
      pkd_async_mutex_lock_blocking(&blocked->req, &mutex, PKD_FOREVER);
}

static void a_blocked_thread_can_be_cancelled(void** state) {
  struct blocked blocked = {0};
  pkd_req_t owner = {0};
  uv_thread_t thread;

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&owner, &mutex), 0);
  uv_thread_create(&thread, block_for_it, &blocked);
  WAIT_FOR(waiting_at(&mutex) == 1);
  assert_int_equal(pkd_req_cancel(&blocked.req), 0);
  uv_thread_join(&thread);
  assert_int_equal(blocked.status, UV_ECANCELED);
  assert_int_equal(pkd_async_mutex_unlock(&owner, &mutex), 0);
}

struct mortal {
  unsigned owns; /* atomic */
  int err;       /* of its unlock */
};

static void* unlock_when_cancelled(void* arg) {
  struct mortal* mortal = arg;
  pkd_req_t req = {0};

  pkd_async_mutex_lock_blocking(&req, &mutex, PKD_FOREVER);
  __atomic_store_n(&mortal->owns, 1, __ATOMIC_RELEASE);
  WAIT_FOR(waiting_at(&mutex) == 1);
  pthread_cancel(pthread_self());
  mortal->err = pkd_async_mutex_unlock(&req, &mutex);
  pthread_testcancel();
  return NULL;
}

/* To ring for a loop is to write, and a thread that writes can be cancelled there. */
static void an_unlock_is_no_point_of_cancellation(void** state) {
  struct mortal mortal = {.err = NOT_YET};
  pkd_req_t req = {0};
  pthread_t thread;
  void* end;

  (void)state;
  fresh();
  open_loop();
  assert_int_equal(
      pthread_create(&thread, NULL, unlock_when_cancelled, &mortal), 0);
  WAIT_FOR(__atomic_load_n(&mortal.owns, __ATOMIC_ACQUIRE) == 1);
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, note_thread), 0);
  uv_run(&uv, UV_RUN_DEFAULT); /* for ever, if nobody rings */
  pthread_join(thread, &end);
  assert_ptr_equal(end, PTHREAD_CANCELED);
  assert_int_equal(mortal.err, 0);
  close_loop();
}

static void close_wakes_blocked_threads(void** state) {
  struct blocked blocked[3] = {0};
  uv_thread_t threads[3];
  pkd_req_t owner = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&owner, &mutex), 0);
  for (int i = 0; i < 3; i++)
    uv_thread_create(&threads[i], block_for_it, &blocked[i]);
  WAIT_FOR(waiting_at(&mutex) == 3);
  assert_int_equal(pkd_async_mutex_close(&mutex), 0);
  for (int i = 0; i < 3; i++) {
    uv_thread_join(&threads[i]);
    assert_int_equal(blocked[i].status, UV_ECANCELED);
  }
  assert_int_equal(pkd_async_mutex_unlock(&owner, &mutex), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_thread_with_a_loop_must_not_block),
      cmocka_unit_test(a_callback_must_not_block),
      cmocka_unit_test(the_thread_that_ran_a_loop_last_must_not_block),
      cmocka_unit_test(a_loop_may_move_to_another_thread),
      cmocka_unit_test(a_blocked_thread_can_be_cancelled),
      cmocka_unit_test(an_unlock_is_no_point_of_cancellation),
      cmocka_unit_test(close_wakes_blocked_threads),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
