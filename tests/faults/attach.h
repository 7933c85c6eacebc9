/* SPDX-License-Identifier: MIT
 *
 * attach.h - what must be so after an attach that the system refused. */
#ifndef PKD_TEST_ATTACH_H
#define PKD_TEST_ATTACH_H

#include "support/test.h"

#include <parkade/async.h>

static void is_not_called(pkd_req_t* req, int status) {
  (void)req;
  fail_msg("told %d by a loop that is not attached", status);
}

/** Not attached: refused as such, blocking is allowed, the loop may end. It is a
 * fresh one afterwards. */
static inline void assert_not_attached(pkd_loop_t* loop, uv_loop_t* uv) {
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t req = {0};

  assert_int_equal(pkd_async_mutex_lock(loop, &req, &mutex, is_not_called),
                   UV_EINVAL);
  assert_int_equal(pkd_loop_detach(loop, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock_blocking(&req, &mutex, 0), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  assert_false(uv_loop_alive(uv));
  assert_int_equal(uv_loop_close(uv), 0);
  assert_int_equal(uv_loop_init(uv), 0);
}

#endif
