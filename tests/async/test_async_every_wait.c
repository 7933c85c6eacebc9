/* SPDX-License-Identifier: MIT
 *
 * test_async_every_wait.c - the ways a wait ends, for every object, with one
 * loop, with two, and with a loop and threads. */
#include "kinds.h"

static void start_for(const struct kind* kind, struct asker* asker,
                      unsigned number, uint64_t timeout) {
  asker_init(asker, number);
  asker->timeout = timeout;
  assert_int_equal(asker_start(kind, asker), 0);
}

/* It has the object, and gives it back. */
static void pass(const struct kind* kind, struct asker* asker) {
  assert_int_equal(asker_wait(asker), kind->good);
  assert_int_equal(asker->answers, 1);
  assert_int_equal(asker_give_back(kind, asker), 0);
}

/* The same, where each needs to be called. */
static void call_and_pass(const struct kind* kind, struct asker* asker) {
  if (kind->calls)
    give(kind);
  pass(kind, asker);
}

static void ends(struct asker* asker, int status) {
  assert_int_equal(asker_wait(asker), status);
  settle();
  assert_int_equal(asker->answers, 1);
}

/* --- cancel ----------------------------------------------------------------- */

static void cancel_says_at_each_state_what_will_come(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker, next;

  for (unsigned number = 0; number < 2; number++) {
    kind->fresh();
    asker_init(&asker, number);
    assert_int_equal(asker_cancel(kind, &asker), UV_EINVAL); /* idle */
    asker_queue(kind, &asker, number);
    assert_int_equal(asker_cancel(kind, &asker), 0); /* queued */
    if (asker.place == LOOP_A)
      assert_int_equal(asker_cancel(kind, &asker), 0); /* over, not told */
    ends(&asker, UV_ECANCELED);
    assert_int_equal(asker_give_back(kind, &asker),
                     kind->give_back == NULL ? 0 : UV_EPERM);
    assert_int_equal(asker_cancel(kind, &asker), UV_EINVAL);
    asker_queue(kind, &next, number);
    give(kind);
    assert_int_equal(asker_wait(&next), kind->good);
    assert_int_equal(asker_cancel(kind, &next), /* owning, or idle again */
                     kind->give_back == NULL ? UV_EINVAL : UV_EBUSY);
    assert_int_equal(asker_give_back(kind, &next), 0);
    assert_int_equal(next.answers, 1);
    settle();
  }
}

/* Loop A, to which the grant goes, does not turn before the next has it. */
static void a_cancelled_grant_goes_to_the_next_at_once(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker granted, next;

  kind->fresh();
  asker_queue(kind, &granted, 0);
  asker_queue(kind, &next, 1);
  give(kind);
  assert_int_equal(granted.status, NOT_YET);
  assert_int_equal(asker_cancel(kind, &granted), kind->final ? UV_EBUSY : 0);
  if (next.place != LOOP_A)
    WAIT_FOR(next.status != NOT_YET);
  pass(kind, &next);
  ends(&granted, kind->final ? kind->good : UV_ECANCELED);
}

static void a_cancelled_or_late_head_lets_the_others_pass(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker head, late, next;

  for (unsigned number = 0; number < 2; number++) {
    kind->fresh();
    asker_queue(kind, &head, number);
    start_for(kind, &late, 1 - number, 1);
    asker_queue(kind, &next, number);
    assert_int_equal(asker_cancel(kind, &head), 0);
    ends(&head, UV_ECANCELED);
    ends(&late, UV_ETIMEDOUT);
    assert_int_equal(next.answers, 0);
    give(kind);
    pass(kind, &next);
    settle();
  }
}

/* Locked work gives its lock back in the pool, and then is posted to its loop: who
 * has the lock next may be there first. */
static bool is_told_in_order(const struct kind* kind) {
  return strcmp(kind->name, "locked work") != 0;
}

static void who_leaves_in_the_middle_changes_no_order(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker first, middle, last;

  kind->fresh();
  asker_queue(kind, &first, 0);
  asker_queue(kind, &middle, 1);
  asker_queue(kind, &last, 0);
  assert_int_equal(asker_cancel(kind, &middle), 0);
  ends(&middle, UV_ECANCELED);
  give(kind);
  pass(kind, &first);
  if (kind->turn == ALL_AT_ONCE)
    pass(kind, &last);
  else
    call_and_pass(kind, &last);
  assert_true(first.order < last.order);
  settle();
}

/* --- timeouts ---------------------------------------------------------------- */

static void a_late_tail_does_not_cut_off_who_comes_next(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker first, tail, next;

  for (unsigned number = 0; number < 2; number++) {
    kind->fresh();
    asker_queue(kind, &first, 0);
    start_for(kind, &tail, number, 1);
    ends(&tail, UV_ETIMEDOUT);
    asker_queue(kind, &next, 1 - number);
    assert_int_equal(kind->waiting(), 2);
    give(kind);
    pass(kind, &first);
    if (kind->turn == ALL_AT_ONCE)
      pass(kind, &next);
    else
      call_and_pass(kind, &next);
    settle();
  }
}

/* The last ones arrive at a barrier one after the other. If a deadline comes in
 * between, there are too few. */
static bool is_given_in_one_step(const struct kind* kind) {
  return strcmp(kind->name, "barrier") != 0;
}

/* What is given in the moment of the deadline goes to one of the two, whole. */
static void grant_and_deadline_in_one_moment_have_one_winner(void** state) {
  const struct kind* kind = kind_of(state);

  for (unsigned round = 0; round < 6; round++) {
    struct asker timed, other;
    uint64_t since;

    kind->fresh();
    since = waitfor_now();
    start_for(kind, &timed, round, 2);
    asker_queue(kind, &other, round / 2);
    while (waitfor_now() - since < 1700000 + round * 150000) {
    }
    give(kind);
    asker_wait(&timed);
    if (timed.status == UV_ETIMEDOUT) {
      pass(kind, &other);
    } else {
      pass(kind, &timed);
      if (kind->turn == ONE_BY_ONE)
        call_and_pass(kind, &other);
      else
        pass(kind, &other);
    }
    settle();
    assert_int_equal(timed.answers, 1);
  }
}

static void
a_grant_before_the_deadline_counts_however_late_it_is_told(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker;
  uint64_t since;

  kind->fresh();
  start_for(kind, &asker, 0, 2);
  give(kind);
  since = waitfor_now();
  while (waitfor_now() - since < 5000000) {
  }
  pass(kind, &asker);
}

static void who_does_not_want_to_wait_is_told_at_once(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker, blocker;

  kind->fresh();
  asker_init(&asker, 0);
  if (kind->try_it != NULL)
    assert_int_equal(kind->try_it(&asker), UV_EBUSY);
  asker.timeout = 0;
  assert_int_equal(asker_start(kind, &asker), UV_EBUSY);
  asker_init(&blocker, 1);
  if (blocker.place == THREAD) {
    blocker.timeout = 0;
    asker_start(kind, &blocker);
    assert_int_equal(asker_wait(&blocker), UV_ETIMEDOUT);
  }
  settle();
  assert_int_equal(asker.answers, 0);
  assert_int_equal(kind->waiting(), 0);
  give(kind);
  settle();
}

/* --- order -------------------------------------------------------------------- */

enum {
  CROWD = 90
}; /* more than the engine grants, or a turn delivers, at once */
static const struct kind* crowded;

static atomic_int unable; /* who could not give back, or give on */

static void pass_on(struct asker* asker) {
  unable += asker_give_back(crowded, asker) != 0;
  unable += crowded->calls && crowded->give() != 0;
}

static void the_order_of_asking_holds_beyond_a_batch(void** state) {
  const struct kind* kind = kind_of(state);
  static struct asker crowd[CROWD];
  bool threads = ((const struct cell*)*state)->world == LOOP_AND_THREADS;
  unsigned count = threads ? 12 : CROWD;
  bool work = kind->cancel != NULL && kind->give_back == NULL;

  crowded = kind;
  unable = 0;
  kinds_crowd = count + 1;
  kind->fresh();
  for (unsigned i = 0; i < count; i++) {
    asker_init(&crowd[i], i);
    crowd[i].then = pass_on;
    assert_int_equal(asker_start(kind, &crowd[i]), 0);
  }
  give(kind);
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(asker_wait(&crowd[i]), kind->good);
  settle();
  assert_int_equal(unable, 0);
  for (unsigned i = 0; i < count; i++) {
    assert_int_equal(crowd[i].answers, 1);
    /* Work is told of after others have had the lock. */
    if (i >= 2 && crowd[i].place != THREAD && !work)
      assert_true(crowd[i - 2].order < crowd[i].order);
    if (i >= 1 && kind->turn == ONE_BY_ONE && !kind->calls && !work)
      assert_true(crowd[i - 1].order < crowd[i].order);
  }
  kinds_crowd = 4;
}

/* --- close ---------------------------------------------------------------------- */

static bool can_be_closed(const struct kind* kind) {
  return kind->close != NULL;
}

static void close_ends_the_waits_and_keeps_newcomers_out(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker waits[2], newcomer, thread;

  kind->fresh();
  for (unsigned i = 0; i < 2; i++)
    asker_queue(kind, &waits[i], i);
  assert_int_equal(kind->close(), 0);
  for (unsigned i = 0; i < 2; i++)
    ends(&waits[i], UV_ECANCELED);
  asker_init(&newcomer, 0);
  assert_int_equal(asker_start(kind, &newcomer), UV_ESHUTDOWN);
  if (kind->try_it != NULL)
    assert_int_equal(kind->try_it(&newcomer), UV_ESHUTDOWN);
  asker_init(&thread, 1);
  if (thread.place == THREAD) {
    asker_start(kind, &thread);
    assert_int_equal(asker_wait(&thread), UV_ESHUTDOWN);
  }
  if (kind->give_back != NULL)
    give(kind); /* who has it may still give it back */
  settle();
  assert_int_equal(newcomer.answers, 0);
}

/* --- starts, and tickets ----------------------------------------------------------- */

static void a_request_in_use_is_not_started_again(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker;

  kind->fresh();
  asker_queue(kind, &asker, 0);
  assert_int_equal(kind->start(&loop_a, &asker), UV_EALREADY);
  if (kind->try_it != NULL)
    assert_int_equal(kind->try_it(&asker), UV_EALREADY);
  give(kind);
  assert_int_equal(kind->start(&loop_a, &asker), UV_EALREADY); /* granted */
  assert_int_equal(asker_wait(&asker), kind->good);
  if (kind->give_back != NULL && !kind->calls)
    assert_int_equal(kind->start(&loop_a, &asker), UV_EBUSY);
  assert_int_equal(asker_give_back(kind, &asker), 0);
  settle();
  assert_int_equal(asker.answers, 1);
}

static bool is_owned(const struct kind* kind) {
  return kind->give_back != NULL;
}

static void what_is_given_back_is_refused_a_second_time(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker owner, next, stranger;

  for (unsigned number = 0; number < 2; number++) {
    kind->fresh();
    asker_queue(kind, &owner, number);
    assert_int_equal(kind->give_back(&owner), UV_EPERM); /* it only waits */
    give(kind);
    pass(kind, &owner);
    assert_int_equal(kind->give_back(&owner), UV_EPERM);
    asker_init(&next, 1 - number);
    assert_int_equal(asker_start(kind, &next), 0);
    if (!kind->calls)
      assert_int_equal(asker_wait(&next), kind->good);
    assert_int_equal(kind->give_back(&owner), UV_EPERM); /* another has it */
    asker_init(&stranger, number);
    assert_int_equal(kind->give_back(&stranger), UV_EPERM);
    call_and_pass(kind, &next);
    settle();
  }
}

static bool has_a_ticket(const struct kind* kind) {
  return kind->give_back != NULL && kind->cancel == NULL;
}

static void a_ticket_goes_to_another_request(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker owner, heir, next;

  for (unsigned number = 0; number < 2; number++) {
    kind->fresh();
    asker_queue(kind, &owner, number);
    asker_queue(kind, &next, 1 - number);
    give(kind);
    assert_int_equal(asker_wait(&owner), kind->good);
    asker_init(&heir, number);
    assert_int_equal(pkd_req_transfer(&owner.req, &heir.req), 0);
    assert_int_equal(kind->give_back(&owner), UV_EPERM);
    if (kind->turn == ONE_BY_ONE)
      assert_int_equal(next.answers, 0); /* nobody's in between */
    assert_int_equal(kind->give_back(&heir), 0);
    call_and_pass(kind, &next);
    settle();
  }
}

int main(void) {
  const struct every_test tests[] = {
      EVERY(cancel_says_at_each_state_what_will_come),
      EVERY(a_cancelled_grant_goes_to_the_next_at_once),
      EVERY(a_cancelled_or_late_head_lets_the_others_pass),
      SOME(who_leaves_in_the_middle_changes_no_order, is_told_in_order,
           IN_ALL_WORLDS),
      EVERY(a_late_tail_does_not_cut_off_who_comes_next),
      SOME(grant_and_deadline_in_one_moment_have_one_winner,
           is_given_in_one_step, IN_ALL_WORLDS),
      EVERY_ALONE(a_grant_before_the_deadline_counts_however_late_it_is_told),
      EVERY(who_does_not_want_to_wait_is_told_at_once),
      EVERY(the_order_of_asking_holds_beyond_a_batch),
      SOME(close_ends_the_waits_and_keeps_newcomers_out, can_be_closed,
           IN_ALL_WORLDS),
      EVERY_ALONE(a_request_in_use_is_not_started_again),
      SOME(what_is_given_back_is_refused_a_second_time, is_owned,
           IN_ALL_WORLDS),
      SOME(a_ticket_goes_to_another_request, has_a_ticket, IN_ALL_WORLDS),
  };

  return run_for_every_kind("async_every_wait", tests, LENGTH(tests));
}
