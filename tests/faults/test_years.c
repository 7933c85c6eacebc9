/* SPDX-License-Identifier: MIT
 *
 * test_years.c - timeouts of a loop that has run for long.
 *
 * A request has 32 bits for its deadline, in milliseconds of its loop's clock, which
 * go round in 49 days; and one of the values says that there is none. The program has
 * its own clock_gettime(), so that weeks pass when the test says so, and no time in
 * between. */
#define _GNU_SOURCE

#include "support/test.h"

#include <parkade/async.h>

#include <dlfcn.h>
#include <time.h>

enum { NOT_YET = 12345, TIMEOUT = 1000 /* ms */ };

static uint64_t stands_at; /* ms; 0: the clock of the system */

__attribute__((visibility("default"))) int clock_gettime(clockid_t which,
                                                         struct timespec* now) {
  int (*real)(clockid_t, struct timespec*);

  *(void**)&real = dlsym(RTLD_NEXT, "clock_gettime");
  if (stands_at == 0 || which == CLOCK_REALTIME)
    return real(which, now);
  now->tv_sec = (time_t)(stands_at / 1000);
  now->tv_nsec = (long)(stands_at % 1000 * 1000000);
  return 0;
}

static pkd_loop_t loop;
static uv_loop_t uv;
static int status;

static void note(pkd_req_t* req, int how) {
  (void)req;
  status = how;
}

static void turn(void) {
  uv_run(&uv, UV_RUN_NOWAIT);
  uv_run(&uv, UV_RUN_NOWAIT); /* libuv looks at the clock once a turn */
}

/* Asks for what somebody has, when the loop has run for so long. */
static void time_out_at(uint64_t age) {
  const uint64_t begin = 1000000;
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t holder = {0}, req = {0};

  stands_at = begin;
  status = NOT_YET;
  memset(&loop, 0, sizeof loop);
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  assert_int_equal(pkd_async_mutex_trylock(&holder, &mutex), 0);
  stands_at = begin + age;
  turn();
  assert_int_equal(pkd_req_set_timeout(&req, TIMEOUT), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, note), 0);
  turn();
  stands_at += TIMEOUT - 1;
  turn();
  assert_int_equal(status, NOT_YET);
  stands_at += 3; /* a little late it may be */
  turn();
  assert_int_equal(status, UV_ETIMEDOUT);
  assert_int_equal(pkd_async_mutex_unlock(&holder, &mutex), 0);
  assert_int_equal(pkd_loop_detach(&loop, NULL), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
  stands_at = 0;
}

static void a_timeout_is_kept_however_old_the_loop_is(void** state) {
  static const uint64_t day = 24 * 3600 * 1000;
  static const uint64_t round = UINT64_C(1) << 32;

  (void)state;
  if (sizeof(time_t) < 8)
    skip(); /* no clock there shows such a time */
  time_out_at(0);
  time_out_at(day);
  time_out_at(25 * day);
  time_out_at(3650 * day);
  for (uint64_t rounds = 1; rounds <= 3; rounds++)
    for (uint64_t ms = rounds * round - TIMEOUT - 3;
         ms <= rounds * round - TIMEOUT + 3; ms++)
      time_out_at(ms);
  time_out_at(round - 1);
  time_out_at(round);
  time_out_at(round + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_timeout_is_kept_however_old_the_loop_is),
  };
  return cmocka_run_group_tests_name("years", tests, NULL, NULL);
}
