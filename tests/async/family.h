/* SPDX-License-Identifier: MIT
 *
 * family.h - a loop and waits that record, for the tests of one object each. */
#ifndef PKD_TEST_FAMILY_H
#define PKD_TEST_FAMILY_H

#include <parkade/async.h>

#include "support/test.h"

static uv_loop_t uv;
static pkd_loop_t loop;
static int answered; /* how many answers came so far */

/* One wait: its request, and what came of it. */
struct wait {
  pkd_req_t req;
  int status;
  int answers;
  int order; /* the how manieth answer it was */
};

static inline void record(pkd_req_t* req, int status) {
  struct wait* wait = (struct wait*)req;

  wait->status = status;
  wait->answers++;
  wait->order = ++answered;
}

/* For cmocka: a fresh loop for each test, and a clean end of it. */
static int open_loop(void** state) {
  (void)state;
  answered = 0;
  return uv_loop_init(&uv) != 0 || pkd_loop_attach(&loop, &uv) != 0;
}

static int close_loop(void** state) {
  (void)state;
  if (pkd_loop_detach(&loop, NULL) != 0)
    return 1;
  uv_run(&uv, UV_RUN_DEFAULT);
  return uv_loop_close(&uv) != 0 || pkd_lot_for_each(NULL, NULL, NULL) != 0;
}

/* Turns the loop until so many answers have come. */
static inline void run_until(int answers) {
  WAIT_FOR((uv_run(&uv, UV_RUN_NOWAIT), answered >= answers));
}

/* A few turns, in which nothing should come. */
static inline void run_some(void) {
  for (int i = 0; i < 4; i++)
    uv_run(&uv, UV_RUN_NOWAIT);
}

#define ON_A_LOOP(test)                                                        \
  cmocka_unit_test_setup_teardown(test, open_loop, close_loop)

#endif
