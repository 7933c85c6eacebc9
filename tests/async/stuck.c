/* SPDX-License-Identifier: MIT
 *
 * stuck.c - loop B is stalled, and what it was granted is taken back. */
#include "stuck.h"

struct timeout {
  uint64_t ms;
  int rc;
};

static void set_timeout(void* arg) {
  struct timeout* timeout = arg;

  timeout->rc = pkd_loop_set_grant_timeout(&loop_b, timeout->ms);
}

void be_patient(uint64_t ms) {
  struct timeout timeout = {ms, UV_EINVAL};

  on_loop_b(set_timeout, &timeout);
  assert_int_equal(timeout.rc, 0);
}

pkd_loop_grants_t grants_of_b(void) {
  pkd_loop_grants_t grants;

  assert_int_equal(pkd_loop_get_grants(&loop_b, &grants), 0);
  return grants;
}

void await_revoked(uint64_t count) {
  WAIT_FOR(grants_of_b().revoked >= count);
}

void wake_b(void) {
  resume_b();
  be_patient(0);
  settle();
}
