/* SPDX-License-Identifier: MIT
 *
 * test_refusals.c - a system that has no mutex, no thread and no place to work.
 *
 * All are asked for through libuv: the mutex of a loop by pkd_loop_attach(), the
 * watchdog's thread by the first pkd_loop_set_grant_timeout(), and a place in the
 * pool by pkd_queue_work(). (libuv's own refuses no work; another's may.) This program
 * has its own of the three calls, which fail when told to. Who was refused has changed
 * nothing, and may ask again. */
#define _GNU_SOURCE

#include "attach.h"

#include <dlfcn.h>

static int no_thread, no_work; /* what the calls return, if not 0 */

static int mutexes_until_none; /* 0: any number; 1: the next fails */

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int uv_mutex_init(uv_mutex_t* mutex) {
  int (*real)(uv_mutex_t*);

  if (mutexes_until_none != 0 && --mutexes_until_none == 0)
    return UV_EAGAIN;
  *(void**)&real = dlsym(RTLD_NEXT, "uv_mutex_init");
  return real(mutex);
}

EXPORTED int uv_thread_create(uv_thread_t* thread, uv_thread_cb entry,
                              void* arg) {
  int (*real)(uv_thread_t*, uv_thread_cb, void*);

  if (no_thread != 0)
    return no_thread;
  *(void**)&real = dlsym(RTLD_NEXT, "uv_thread_create");
  return real(thread, entry, arg);
}

EXPORTED int uv_queue_work(uv_loop_t* on, uv_work_t* job, uv_work_cb run,
                           uv_after_work_cb after) {
  int (*real)(uv_loop_t*, uv_work_t*, uv_work_cb, uv_after_work_cb);

  if (no_work != 0)
    return no_work;
  *(void**)&real = dlsym(RTLD_NEXT, "uv_queue_work");
  return real(on, job, run, after);
}

static pkd_loop_t loop;
static uv_loop_t uv;
static pkd_async_mutex_t mutex;
static int answers;

static void count_answer(pkd_req_t* req, int status) {
  (void)req;
  answers += status == 0;
}

static void detach(void) {
  assert_int_equal(pkd_loop_detach(&loop, NULL), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
}

static int fresh(void** state) {
  (void)state;
  memset(&loop, 0, sizeof loop);
  memset(&mutex, 0, sizeof mutex);
  answers = 0;
  return uv_loop_init(&uv);
}

/* @return false: it needs no such mutex */
static bool attach_without_mutex(int which) {
  int err;

  mutexes_until_none = which;
  err = pkd_loop_attach(&loop, &uv);
  mutexes_until_none = 0;
  if (err == 0)
    return false;
  assert_int_equal(err, UV_EAGAIN);
  assert_not_attached(&loop, &uv);
  return true;
}

static void an_attach_without_a_mutex_leaves_nothing_behind(void** state) {
  pkd_req_t req = {0};
  int needed = 0;

  (void)state;
  while (attach_without_mutex(needed + 1))
    needed++;
  assert_in_range(needed, 1, 10);
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, count_answer), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(answers, 1);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  detach();
}

/* Until there is one, a grant is not taken back. */
static void a_grant_timeout_without_a_watchdog_is_none(void** state) {
  pkd_loop_grants_t grants;
  pkd_req_t req = {0}, other = {0};

  (void)state;
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  no_thread = UV_EAGAIN;
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), UV_EAGAIN);
  no_thread = UV_ENOMEM;
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), UV_EAGAIN);
  no_thread = 0;
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, count_answer), 0);
  assert_int_equal(pkd_loop_get_grants(&loop, &grants), 0);
  assert_int_equal(grants.undelivered, 0); /* it is not watched */
  assert_int_equal(pkd_async_mutex_trylock(&other, &mutex), UV_EBUSY);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(answers, 1);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, count_answer), 0);
  WAIT_FOR(pkd_async_mutex_trylock(&other, &mutex) == 0); /* taken back */
  assert_int_equal(pkd_async_mutex_unlock(&other, &mutex), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(answers, 2);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  detach();
}

static int worked, told;

static void work(pkd_work_t* job) {
  (void)job;
  worked++;
}

static void note_told(pkd_work_t* job, int status) {
  (void)job;
  told = status;
}

/* The lock was taken for it, and goes back. */
static void work_that_is_refused_holds_no_lock(void** state) {
  pkd_work_t job = {0};
  pkd_req_t req = {0};

  (void)state;
  told = 1;
  worked = 0;
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  no_work = UV_ENOMEM;
  assert_int_equal(
      pkd_queue_work(&loop, &job, pkd_take_mutex(&mutex), work, note_told), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  no_work = 0;
  assert_int_equal(told, UV_ENOMEM);
  assert_int_equal(worked, 0);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  assert_int_equal(
      pkd_queue_work(&loop, &job, pkd_take_mutex(&mutex), work, note_told), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(told, 0);
  assert_int_equal(worked, 1);
  detach();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(an_attach_without_a_mutex_leaves_nothing_behind,
                             fresh),
      cmocka_unit_test_setup(a_grant_timeout_without_a_watchdog_is_none, fresh),
      cmocka_unit_test_setup(work_that_is_refused_holds_no_lock, fresh),
  };
  return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
