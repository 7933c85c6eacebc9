/* SPDX-License-Identifier: MIT
 *
 * test_descriptors.c - a process without a file descriptor to spare.
 *
 * libuv opens what a loop needs when the loop is initialised, so an attach needs
 * none (libuv 1.44 to 1.51); should a libuv ask for one in uv_async_init(), the
 * attach has to say so and leave nothing behind. Both are tried: the descriptors
 * run out in truth, and uv_async_init(), which this program has its own of, fails
 * in every place where attach calls it. */
#define _GNU_SOURCE

#include "attach.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static int fail_with; /* what uv_async_init() returns, if not 0 */

__attribute__((visibility("default"))) int
uv_async_init(uv_loop_t* uv, uv_async_t* handle, uv_async_cb cb) {
  int (*real)(uv_loop_t*, uv_async_t*, uv_async_cb);

  if (fail_with != 0)
    return fail_with;
  *(void**)&real = dlsym(RTLD_NEXT, "uv_async_init");
  return real(uv, handle, cb);
}

static int answers;

static void count_answer(pkd_req_t* req, int status) {
  (void)req;
  answers += status == 0;
}

/* Works as ever: a lock, a queue, and the end. */
static void use_and_detach(pkd_loop_t* loop, uv_loop_t* uv) {
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t first = {0}, second = {0};

  answers = 0;
  assert_int_equal(pkd_async_mutex_lock(loop, &first, &mutex, count_answer), 0);
  assert_int_equal(pkd_async_mutex_lock(loop, &second, &mutex, count_answer),
                   0);
  uv_run(uv, UV_RUN_NOWAIT);
  assert_int_equal(answers, 1);
  assert_int_equal(pkd_async_mutex_unlock(&first, &mutex), 0);
  uv_run(uv, UV_RUN_DEFAULT);
  assert_int_equal(answers, 2);
  assert_int_equal(pkd_async_mutex_unlock(&second, &mutex), 0);
  assert_int_equal(pkd_loop_detach(loop, NULL), 0);
  uv_run(uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(uv), 0);
}

/* All that the limit allows, and then one that a loop has still. */
static void a_loop_is_attached_without_a_descriptor_to_spare(void** state) {
  struct rlimit old, low;
  pkd_loop_t loop = {0};
  uv_loop_t uv, other;
  int fds[256];
  int count = 0;
  int err;

  (void)state;
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  low = old;
  low.rlim_cur = 128;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  while (count < 256 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0)
    count++;
  assert_int_equal(errno, EMFILE);
  assert_int_equal(uv_loop_init(&other), UV_EMFILE); /* it is true */
  err = pkd_loop_attach(&loop, &uv);
  if (err == 0)
    use_and_detach(&loop, &uv);
  else
    assert_int_equal(err, UV_EMFILE);
  while (count > 0)
    close(fds[--count]);
  setrlimit(RLIMIT_NOFILE, &old);
  if (err != 0) {
    assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
    use_and_detach(&loop, &uv);
  }
}

static void an_attach_that_fails_leaves_nothing_behind(void** state) {
  const int errors[] = {UV_EMFILE, UV_ENFILE, UV_ENOMEM};

  (void)state;
  for (size_t i = 0; i < LENGTH(errors); i++) {
    pkd_loop_t loop = {0};
    uv_loop_t uv;

    assert_int_equal(uv_loop_init(&uv), 0);
    fail_with = errors[i];
    assert_int_equal(pkd_loop_attach(&loop, &uv), errors[i]);
    fail_with = 0;
    assert_not_attached(&loop, &uv);
    assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
    use_and_detach(&loop, &uv);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_loop_is_attached_without_a_descriptor_to_spare),
      cmocka_unit_test(an_attach_that_fails_leaves_nothing_behind),
  };
  return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
