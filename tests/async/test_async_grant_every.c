/* SPDX-License-Identifier: MIT
 *
 * test_async_grant_every.c - what a stuck loop does not come to goes on to the next,
 * for every lock that has one owner at a time.
 *
 * As test_async_grant.c, which has the cases of single kinds. Built twice: as it is
 * shipped, and so that many keys share a name, as test_async_keyed.c is. */
#include "kinds.h"
#include "stuck.h"

static struct asker stuck, next, later, crowd[200];
static const struct kind* kind;

static void begin(void** state) {
  kind = kind_of(state);
  be_patient(SHORT);
  kind->fresh();
}

static void start_late(struct asker* asker, enum place place,
                       uint64_t timeout) {
  asker_init(asker, 0);
  asker->place = place;
  asker->timeout = timeout;
  assert_int_equal(asker_start(kind, asker), 0);
}

static void start_at(struct asker* asker, enum place place) {
  start_late(asker, place, PKD_NO_TIMEOUT);
}

static void pass(struct asker* asker) {
  assert_int_equal(asker_wait(asker), 0);
  assert_int_equal(asker->answers, 1);
  assert_int_equal(asker_give_back(kind, asker), 0);
}

static void grant_to_stuck_loop(void) {
  start_at(&stuck, LOOP_B);
  stall_b();
  give(kind);
}

/* Granted, taken back, and wanted by nobody else. */
static void take_back(void) {
  grant_to_stuck_loop();
  await_revoked(1);
}

static void others_go_on_while_one_loop_is_stuck(void** state) {
  begin(state);
  grant_to_stuck_loop();
  start_at(&next, LOOP_A);
  pass(&next);
  start_at(&later, THREAD);
  pass(&later);
  assert_int_equal(stuck.status, NOT_YET);
  wake_b();
  pass(&stuck);
}

static void who_waited_before_the_grant_was_taken_back_goes_on(void** state) {
  begin(state);
  start_at(&stuck, LOOP_B);
  start_at(&next, THREAD);
  start_at(&later, LOOP_A);
  stall_b();
  give(kind);
  pass(&next);
  pass(&later);
  assert_int_equal(stuck.status, NOT_YET);
  wake_b();
  pass(&stuck);
}

static void who_was_overtaken_is_first_when_its_loop_wakes(void** state) {
  begin(state);
  grant_to_stuck_loop();
  start_at(&next, LOOP_A);
  assert_int_equal(asker_wait(&next), 0);
  start_at(&later, LOOP_A);
  wake_b();
  assert_int_equal(stuck.status, NOT_YET); /* awake, and `next` owns it */
  assert_int_equal(asker_give_back(kind, &next), 0);
  assert_int_equal(asker_wait(&stuck), 0);
  assert_int_equal(later.status, NOT_YET);
  pass(&stuck);
  pass(&later);
}

static void what_is_free_is_delivered_as_soon_as_its_loop_wakes(void** state) {
  begin(state);
  take_back();
  assert_int_equal(kind->give_back(&stuck), UV_EPERM);
  wake_b();
  assert_int_equal(stuck.status, 0);
  pass(&stuck);
}

static void a_stuck_loop_costs_one_timeout_however_many_queue(void** state) {
  begin(state);
  for (int i = 0; i < 20; i++)
    start_at(&crowd[i], LOOP_B);
  start_at(&next, LOOP_A);
  stall_b();
  give(kind);
  assert_int_equal(asker_wait(&next), 0);
  assert_int_equal(grants_of_b().revoked, 1);
  wake_b();
  assert_int_equal(asker_give_back(kind, &next), 0);
  for (int i = 0; i < 20; i++) {
    pass(&crowd[i]);
    assert_true(i == 0 || crowd[i].order == crowd[i - 1].order + 1);
  }
}

static void two_hundred_who_are_away_are_passed_by(void** state) {
  begin(state);
  for (int i = 0; i < 200; i++)
    start_at(&crowd[i], LOOP_B);
  stall_b();
  give(kind);
  await_revoked(1);
  for (int i = 0; i < 3; i++) {
    start_at(&next, LOOP_A);
    pass(&next);
  }
  wake_b();
  for (int i = 0; i < 200; i++)
    pass(&crowd[i]);
}

/* Nobody has it, and nobody waits for it. */
static void it_is_free(void) {
  struct asker asker;

  assert_int_equal(kind->waiting(), 0);
  asker_init(&asker, 0);
  assert_int_equal(kind->try_it(&asker), 0);
  assert_int_equal(kind->give_back(&asker), 0);
}

/* --- newcomers -------------------------------------------------------------- */

static void a_try_passes_by_those_who_are_away(void** state) {
  struct asker other;

  begin(state);
  take_back();
  asker_init(&next, 0);
  asker_init(&other, 0);
  WAIT_FOR(kind->try_it(&next) == 0);
  assert_int_equal(kind->try_it(&other), UV_EBUSY);
  wake_b();
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(kind->try_it(&other), UV_EBUSY);
  assert_int_equal(kind->give_back(&next), 0);
  pass(&stuck);
}

static void who_does_not_wait_gets_what_only_the_away_wait_for(void** state) {
  begin(state);
  take_back();
  start_late(&next, LOOP_A, 0);
  pass(&next);
  start_late(&later, THREAD, 0);
  pass(&later);
  wake_b();
  pass(&stuck);
  it_is_free();
}

/* --- the ends of a wait that was taken back ---------------------------------- */

static void cancel_ends_one_that_is_away(void** state) {
  begin(state);
  take_back();
  assert_int_equal(pkd_req_cancel(&stuck.req), 0);
  it_is_free();
  assert_int_equal(stuck.status, NOT_YET);
  wake_b();
  assert_int_equal(stuck.status, UV_ECANCELED);
  assert_int_equal(stuck.answers, 1);
}

static void cancel_ends_one_that_came_back(void** state) {
  begin(state);
  grant_to_stuck_loop();
  start_at(&next, LOOP_A);
  assert_int_equal(asker_wait(&next), 0);
  wake_b();
  assert_int_equal(pkd_req_cancel(&stuck.req), 0);
  assert_int_equal(asker_wait(&stuck), UV_ECANCELED);
  assert_int_equal(stuck.answers, 1);
  pass(&next);
}

static void a_cancelled_grant_is_not_taken_back(void** state) {
  begin(state);
  be_patient(1000000);
  grant_to_stuck_loop();
  assert_int_equal(grants_of_b().undelivered, 1);
  assert_int_equal(pkd_req_cancel(&stuck.req), 0);
  it_is_free();
  wake_b();
  assert_int_equal(stuck.status, UV_ECANCELED);
  assert_int_equal(grants_of_b().revoked, 0);
  assert_int_equal(grants_of_b().undelivered, 0);
}

static void a_timeout_ends_one_that_is_away(void** state) {
  uint64_t end;

  begin(state);
  start_late(&stuck, LOOP_B, 100);
  end = uv_hrtime() + 110 * UINT64_C(1000000);
  stall_b();
  give(kind);
  start_at(&next, LOOP_A);
  assert_int_equal(asker_wait(&next), 0);
  WAIT_FOR(uv_hrtime() > end);
  assert_int_equal(stuck.status, NOT_YET);
  resume_b();
  assert_int_equal(asker_wait(&stuck), UV_ETIMEDOUT);
  pass(&next);
}

static void a_timeout_ends_one_that_came_back(void** state) {
  begin(state);
  start_late(&stuck, LOOP_B, 300);
  stall_b();
  give(kind);
  start_at(&next, LOOP_A);
  assert_int_equal(asker_wait(&next), 0);
  wake_b();
  assert_int_equal(asker_wait(&stuck), UV_ETIMEDOUT);
  pass(&next);
}

static void close_ends_those_who_are_away(void** state) {
  begin(state);
  for (int i = 0; i < 100; i++)
    start_at(&crowd[i], LOOP_B);
  start_at(&next, LOOP_A);
  stall_b();
  give(kind);
  assert_int_equal(asker_wait(&next), 0);
  start_at(&later, LOOP_A);
  assert_int_equal(kind->close(), 0);
  assert_int_equal(asker_wait(&later), UV_ECANCELED);
  assert_int_equal(asker_give_back(kind, &next), 0);
  assert_int_equal(kind->waiting(), 0);
  wake_b();
  for (int i = 0; i < 100; i++) {
    assert_int_equal(crowd[i].status, UV_ECANCELED);
    assert_int_equal(crowd[i].answers, 1);
  }
}

/* Nobody can wait behind it. */
static void what_is_closed_keeps_whom_it_was_granted_to(void** state) {
  begin(state);
  be_patient(200);
  grant_to_stuck_loop();
  assert_int_equal(kind->close(), 0);
  WAIT_FOR(grants_of_b().undelivered == 0); /* the watchdog was here */
  assert_int_equal(grants_of_b().revoked, 0);
  wake_b();
  pass(&stuck);
}

/* --- a loop that never wakes, but to be detached ------------------------------ */

static struct {
  uv_loop_t uv;
  pkd_loop_t loop;
  struct asker asker[2];
  uv_sem_t begun, go;
} third;

/* It is granted the object at its start, and waits for it a second time. */
static void* run_third(void* arg) {
  (void)arg;
  pkd_loop_attach(&third.loop, &third.uv);
  pkd_loop_set_grant_timeout(&third.loop, SHORT);
  kind->start(&third.loop, &third.asker[0]);
  kind->start(&third.loop, &third.asker[1]);
  uv_sem_post(&third.begun);
  uv_sem_wait(&third.go);
  pkd_loop_detach(&third.loop, NULL);
  uv_run(&third.uv, UV_RUN_DEFAULT);
  return NULL;
}

static void detach_ends_those_who_are_away_and_those_who_wait(void** state) {
  pthread_t thread;

  begin(state);
  memset(&third, 0, sizeof third);
  uv_loop_init(&third.uv);
  uv_sem_init(&third.begun, 0);
  uv_sem_init(&third.go, 0);
  asker_init(&third.asker[0], 0);
  asker_init(&third.asker[1], 0);
  give(kind);
  pthread_create(&thread, NULL, run_third, NULL);
  uv_sem_wait(&third.begun);
  start_at(&next, LOOP_A);
  pass(&next);
  uv_sem_post(&third.go);
  pthread_join(thread, NULL);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(third.asker[i].status, UV_ECANCELED);
    assert_int_equal(third.asker[i].answers, 1);
  }
  assert_int_equal(uv_loop_close(&third.uv), 0);
  uv_sem_destroy(&third.begun);
  uv_sem_destroy(&third.go);
}

/* --- what is told ------------------------------------------------------------- */

static void grants_tell_what_lies_undelivered_and_how_long(void** state) {
  uint64_t lain;

  begin(state);
  be_patient(1000000);
  grant_to_stuck_loop();
  lain = uv_hrtime();
  assert_int_equal(grants_of_b().undelivered, 1);
  WAIT_FOR(uv_hrtime() - lain > 20 * UINT64_C(1000000));
  lain = (uv_hrtime() - lain) / 1000000; /* at least so long, in whole ms */
  assert_in_range(grants_of_b().oldest, lain - 1, UINT64_MAX);
  wake_b();
  assert_int_equal(grants_of_b().undelivered, 0);
  assert_int_equal(grants_of_b().oldest, 0);
  pass(&stuck);
}

/* Does it have one owner at a time, who had nothing before and gives it back? */
static bool is_a_lock(const struct kind* k) {
  return k->turn == ONE_BY_ONE && !k->calls && k->good == 0 &&
         k->give_back != NULL && k->cancel == NULL;
}

#define FOR_EACH_LOCK(test) SOME(test, is_a_lock, 1u << TWO_LOOPS)

int main(void) {
  const struct every_test tests[] = {
      FOR_EACH_LOCK(others_go_on_while_one_loop_is_stuck),
      FOR_EACH_LOCK(who_waited_before_the_grant_was_taken_back_goes_on),
      FOR_EACH_LOCK(who_was_overtaken_is_first_when_its_loop_wakes),
      FOR_EACH_LOCK(what_is_free_is_delivered_as_soon_as_its_loop_wakes),
      FOR_EACH_LOCK(a_stuck_loop_costs_one_timeout_however_many_queue),
      FOR_EACH_LOCK(two_hundred_who_are_away_are_passed_by),
      FOR_EACH_LOCK(a_try_passes_by_those_who_are_away),
      FOR_EACH_LOCK(who_does_not_wait_gets_what_only_the_away_wait_for),
      FOR_EACH_LOCK(cancel_ends_one_that_is_away),
      FOR_EACH_LOCK(cancel_ends_one_that_came_back),
      FOR_EACH_LOCK(a_cancelled_grant_is_not_taken_back),
      FOR_EACH_LOCK(a_timeout_ends_one_that_is_away),
      FOR_EACH_LOCK(a_timeout_ends_one_that_came_back),
      FOR_EACH_LOCK(close_ends_those_who_are_away),
      FOR_EACH_LOCK(what_is_closed_keeps_whom_it_was_granted_to),
      FOR_EACH_LOCK(detach_ends_those_who_are_away_and_those_who_wait),
      FOR_EACH_LOCK(grants_tell_what_lies_undelivered_and_how_long),
  };

  return run_for_every_kind("async_grant_every", tests, LENGTH(tests));
}
