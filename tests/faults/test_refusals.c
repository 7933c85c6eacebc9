/* SPDX-License-Identifier: MIT
 *
 * test_refusals.c - a system that has no mutex and no thread to give.
 *
 * Both are asked for through libuv: the mutex of a loop by pkd_loop_attach(), the
 * watchdog's thread by the first pkd_loop_set_grant_timeout(). This program has
 * its own of the two calls, which fail when told to. Who was refused has changed
 * nothing, and may ask again. */
#define _GNU_SOURCE

#include "support/test.h"

#include <parkade/async.h>

#include <dlfcn.h>

static int no_mutex, no_thread; /* what the calls return, if not 0 */

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int uv_mutex_init(uv_mutex_t* mutex) {
  int (*real)(uv_mutex_t*);

  if (no_mutex != 0)
    return no_mutex;
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

static void an_attach_without_a_mutex_leaves_nothing_behind(void** state) {
  pkd_req_t req = {0};

  (void)state;
  no_mutex = UV_EAGAIN;
  assert_int_equal(pkd_loop_attach(&loop, &uv), UV_EAGAIN);
  no_mutex = 0;
  /* Not attached: refused as such, blocking is allowed, the loop may end. */
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, count_answer),
                   UV_EINVAL);
  assert_int_equal(pkd_loop_detach(&loop, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock_blocking(&req, &mutex, 0), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  assert_false(uv_loop_alive(&uv));
  assert_int_equal(uv_loop_close(&uv), 0);
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(an_attach_without_a_mutex_leaves_nothing_behind,
                             fresh),
      cmocka_unit_test_setup(a_grant_timeout_without_a_watchdog_is_none, fresh),
  };
  return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
