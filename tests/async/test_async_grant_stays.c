/* SPDX-License-Identifier: MIT
 *
 * test_async_grant_stays.c - waits that own nothing in the end are over once they
 * are granted, however late their loop is.
 *
 * Nobody waits behind them for what they were granted, so it is not taken back, nor
 * put off if their loop is known to be stuck. test_async_grant_every.c has what is. */
#include "kinds.h"
#include "stuck.h"

static struct asker wait;
static const struct kind* kind;

static void start_on_b(void) {
  asker_init(&wait, 0);
  wait.place = LOOP_B;
  assert_int_equal(asker_start(kind, &wait), 0);
}

static void begin(void** state) {
  kind = kind_of(state);
  kinds_crowd = 2;
  kind->fresh();
}

static void it_came_to_pass(void) {
  assert_int_equal(kind->waiting(), 0);
  if (kind->final)
    assert_int_equal(pkd_req_cancel(&wait.req), UV_EBUSY);
  wake_b();
  assert_int_equal(wait.status, kind->good);
  assert_int_equal(wait.answers, 1);
}

static void a_grant_to_a_late_loop_does_not_count(void** state) {
  begin(state);
  be_patient(1000000);
  start_on_b();
  stall_b();
  give(kind);
  assert_int_equal(grants_of_b().undelivered, 0);
  it_came_to_pass();
  assert_int_equal(grants_of_b().revoked, 0);
}

/* That a mutex was taken back shows it. */
static void a_loop_that_is_known_to_be_stuck_is_granted_it(void** state) {
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t ticket = {0};
  struct actor stuck;

  begin(state);
  be_patient(SHORT);
  assert_int_equal(pkd_async_mutex_trylock(&ticket, &mutex), 0);
  actor_start_at(&stuck, LOOP_B, mutex_target(&mutex));
  start_on_b();
  stall_b();
  assert_int_equal(pkd_async_mutex_unlock(&ticket, &mutex), 0);
  WAIT_FOR(grants_of_b().revoked == 1);
  assert_int_equal(kind->waiting(), 1);
  give(kind);
  it_came_to_pass();
  assert_int_equal(grants_of_b().revoked, 1);
  assert_int_equal(stuck.status, 0);
  assert_int_equal(actor_release(&stuck), 0);
}

/* Is nothing owned after it, by itself or by what it stands for? */
static bool owns_nothing(const struct kind* k) {
  return k->give_back == NULL && k->cancel == NULL;
}

#define FOR_EACH_WAIT(test) SOME(test, owns_nothing, 1u << TWO_LOOPS)

int main(void) {
  const struct every_test tests[] = {
      FOR_EACH_WAIT(a_grant_to_a_late_loop_does_not_count),
      FOR_EACH_WAIT(a_loop_that_is_known_to_be_stuck_is_granted_it),
  };

  return run_for_every_kind("async_grant_stays", tests, LENGTH(tests));
}
