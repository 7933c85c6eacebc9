/* SPDX-License-Identifier: MIT
 *
 * test_async_retreat.c - a stuck loop keeps nobody from the locks of a request for
 * several.
 *
 * Loop B is stalled while it has one of two locks and was granted the other. That
 * is taken back with the one it has had for long: kept, that would be held by
 * somebody who may have to wait for who has got the other meanwhile. */
#include "stuck.h"

static pkd_async_mutex_t m, n;
static pkd_async_keyed_t keyed;
static const uint64_t one = 1, two = 2;

struct both {
  pkd_many_t many;
  pkd_many_item_t items[2];
  uint64_t timeout;
  atomic_int status; /* NOT_YET until the answer */
  atomic_int answers;
  int order;
  int rc;
};

static struct both of_a, of_b;
static struct actor owner, next;

#define LONG 60000 /* ms */

/* Nothing lies undelivered there; what is granted from here on is taken back. */
static void stall_impatient_b(void) {
  be_patient(SHORT);
  stall_b();
}

static int open_patient(void** state) {
  int rc = world_open(state);

  memset(&m, 0, sizeof m);
  memset(&n, 0, sizeof n);
  memset(&keyed, 0, sizeof keyed);
  if (rc == 0)
    be_patient(LONG);
  return rc;
}

static void told(pkd_many_t* many, int status) {
  struct both* both = many->data;

  both->order = next_order();
  both->status = status;
  both->answers++;
}

static void ask(struct both* both, pkd_loop_t* loop) {
  both->rc =
      pkd_many_lock(loop, &both->many, both->items, 2, both->timeout, told);
}

static void ask_on_b(void* arg) {
  (void)arg;
  ask(&of_b, &loop_b);
}

static void prepare(struct both* both, pkd_take_t first, pkd_take_t second) {
  memset(both, 0, sizeof *both);
  both->many.data = both;
  both->items[0].take = first;
  both->items[1].take = second;
  both->timeout = PKD_NO_TIMEOUT;
  both->status = NOT_YET;
}

static void start_at(struct actor* actor, enum place place,
                     pkd_async_mutex_t* mutex) {
  actor_init(actor, 0, mutex_target(mutex));
  actor->place = place;
  assert_int_equal(actor_start(actor), 0);
}

static void await_a(void) {
  WAIT_FOR((turn_a(), of_a.status != NOT_YET));
}

static void await_b(void) {
  WAIT_FOR((turn_a(), of_b.status != NOT_YET));
}

/* Loop B has m, and waits for n, which `owner` on loop A has. */
static void b_waits_for_n(uint64_t timeout) {
  start_at(&owner, LOOP_A, &n);
  assert_int_equal(actor_wait(&owner), 0);
  prepare(&of_b, pkd_take_mutex(&m), pkd_take_mutex(&n));
  of_b.timeout = timeout;
  on_loop_b(ask_on_b, NULL);
  assert_int_equal(of_b.rc, 0);
  settle();
}

/* ... and is granted it, but stalled. */
static void b_is_stuck_with_both(uint64_t timeout) {
  b_waits_for_n(timeout);
  assert_true(timeout != PKD_NO_TIMEOUT || pkd_async_mutex_is_locked(&m));
  stall_impatient_b();
  assert_int_equal(actor_release(&owner), 0);
}

static void locks_of_a_stuck_loop_go_on(void** state) {
  static struct actor wants_m;

  (void)state;
  b_is_stuck_with_both(PKD_NO_TIMEOUT);
  start_at(&next, THREAD, &n);
  assert_int_equal(actor_wait(&next), 0);
  start_at(&wants_m, LOOP_A, &m);
  assert_int_equal(actor_wait(&wants_m), 0);
  WAIT_FOR(grants_of_b().revoked == 2); /* counted when all is given up */
  assert_int_equal(of_b.status, NOT_YET);
  wake_b();
  assert_int_equal(of_b.status, NOT_YET); /* it waits again */
  assert_int_equal(actor_release(&wants_m), 0);
  settle();
  assert_int_equal(of_b.status, NOT_YET);
  assert_int_equal(actor_release(&next), 0);
  await_b();
  assert_int_equal(of_b.status, 0);
  assert_true(pkd_async_mutex_is_locked(&m));
  assert_true(pkd_async_mutex_is_locked(&n));
  assert_int_equal(pkd_many_unlock(&of_b.many), 0);
  assert_false(pkd_async_mutex_is_locked(&m));
  assert_false(pkd_async_mutex_is_locked(&n));
  assert_int_equal(of_b.answers, 1);
}

/* With m, which loop B left behind, the other waits for n; were loop B ahead
 * there, it would wait for m, and both for ever. */
static void who_passed_a_stuck_loop_is_ahead_of_it_everywhere(void** state) {
  (void)state;
  b_is_stuck_with_both(PKD_NO_TIMEOUT);
  start_at(&next, THREAD, &n);
  assert_int_equal(actor_wait(&next), 0);
  prepare(&of_a, pkd_take_mutex(&n), pkd_take_mutex(&m));
  ask(&of_a, &loop_a);
  assert_int_equal(of_a.rc, 0);
  wake_b();
  assert_int_equal(of_b.status, NOT_YET);
  assert_int_equal(actor_release(&next), 0);
  await_a();
  assert_int_equal(of_a.status, 0);
  assert_int_equal(of_b.status, NOT_YET);
  assert_int_equal(pkd_many_unlock(&of_a.many), 0);
  await_b();
  assert_int_equal(of_b.status, 0);
  assert_true(of_a.order < of_b.order);
  assert_int_equal(pkd_many_unlock(&of_b.many), 0);
}

static void free_locks_are_had_as_soon_as_the_loop_wakes(void** state) {
  (void)state;
  b_is_stuck_with_both(PKD_NO_TIMEOUT);
  WAIT_FOR(grants_of_b().revoked == 2);
  assert_false(pkd_async_mutex_is_locked(&m));
  assert_false(pkd_async_mutex_is_locked(&n));
  wake_b();
  assert_int_equal(of_b.status, 0);
  assert_int_equal(pkd_many_unlock(&of_b.many), 0);
}

static void a_request_that_retreats_can_be_cancelled(void** state) {
  (void)state;
  b_is_stuck_with_both(PKD_NO_TIMEOUT);
  WAIT_FOR(grants_of_b().revoked == 2);
  assert_int_equal(pkd_many_cancel(&of_b.many), 0);
  assert_int_equal(pkd_many_cancel(&of_b.many), 0);
  assert_int_equal(pkd_many_unlock(&of_b.many), UV_EPERM);
  wake_b();
  assert_int_equal(of_b.status, UV_ECANCELED);
  assert_int_equal(of_b.answers, 1);
  assert_int_equal(pkd_many_cancel(&of_b.many), UV_EINVAL);
  assert_false(pkd_async_mutex_is_locked(&m));
}

static void the_timeout_counts_from_the_first_start(void** state) {
  (void)state;
  b_is_stuck_with_both(20);
  WAIT_FOR(!pkd_async_mutex_is_locked(&m)); /* or it was over before */
  start_at(&next, THREAD, &n);
  assert_int_equal(actor_wait(&next), 0);
  wake_b();
  await_b(); /* though nobody gives n back */
  assert_int_equal(of_b.status, UV_ETIMEDOUT);
  assert_false(pkd_async_mutex_is_locked(&m));
  assert_int_equal(actor_release(&next), 0);
}

static void one_that_was_closed_meanwhile_ends_it(void** state) {
  (void)state;
  b_is_stuck_with_both(PKD_NO_TIMEOUT);
  WAIT_FOR(grants_of_b().revoked == 2);
  assert_int_equal(pkd_async_mutex_close(&n), 0);
  wake_b();
  assert_int_equal(of_b.status, UV_ESHUTDOWN);
  assert_false(pkd_async_mutex_is_locked(&m));
}

static void detach(void* rc) {
  *(int*)rc = pkd_loop_detach(&loop_b, NULL);
}

static void detaching_ends_it(void** state) {
  int rc = 1;

  (void)state;
  b_is_stuck_with_both(PKD_NO_TIMEOUT);
  WAIT_FOR(grants_of_b().revoked == 2);
  resume_b();
  on_loop_b(detach, &rc);
  assert_int_equal(rc, 0);
  await_b();
  assert_true(of_b.status == UV_ECANCELED || of_b.status == 0);
  if (of_b.status == 0) /* it had come to it before */
    assert_int_equal(pkd_many_unlock(&of_b.many), 0);
  assert_false(pkd_async_mutex_is_locked(&m));
  assert_false(pkd_async_mutex_is_locked(&n));
}

/* --- with keys --------------------------------------------------------------- */

static void keys_of_a_stuck_loop_go_on(void** state) {
  static pkd_req_t holder;

  (void)state;
  memset(&holder, 0, sizeof holder);
  assert_int_equal(pkd_async_keyed_trylock_u64(&holder, &keyed, two), 0);
  prepare(&of_b, pkd_take_key(&keyed, &one, sizeof one),
          pkd_take_key(&keyed, &two, sizeof two));
  on_loop_b(ask_on_b, NULL);
  settle();
  stall_impatient_b();
  assert_int_equal(pkd_async_keyed_unlock(&holder, &keyed), 0);
  prepare(&of_a, pkd_take_key(&keyed, &two, sizeof two),
          pkd_take_key(&keyed, &one, sizeof one));
  ask(&of_a, &loop_a);
  await_a();
  assert_int_equal(of_a.status, 0);
  assert_int_equal(of_b.status, NOT_YET);
  WAIT_FOR(grants_of_b().revoked == 2); /* counted when all is given up */
  wake_b();
  assert_int_equal(of_b.status, NOT_YET);
  assert_int_equal(pkd_many_unlock(&of_a.many), 0);
  await_b();
  assert_int_equal(of_b.status, 0);
  assert_int_equal(pkd_many_unlock(&of_b.many), 0);
}

/* --- all at once ------------------------------------------------------------- */

enum { ROUNDS = 400 };

static struct {
  int under_m, under_n; /* guarded by m and n */
  int wrong;            /* loop B's */
  atomic_bool over;
} storm;

static void again(pkd_many_t* many, int status) {
  struct both* both = many->data;

  if (status == 0) {
    storm.under_m++;
    storm.under_n++;
    both->answers++;
    storm.wrong += pkd_many_unlock(many) != 0;
  }
  storm.wrong += status != 0 && status != UV_ECANCELED;
  if (both->answers < ROUNDS)
    storm.wrong += pkd_many_lock(&loop_b, many, both->items, 2, PKD_NO_TIMEOUT,
                                 again) != 0;
  else
    storm.over = true;
}

static void begin_storm(void* arg) {
  (void)arg;
  storm.wrong += pkd_many_lock(&loop_b, &of_b.many, of_b.items, 2,
                               PKD_NO_TIMEOUT, again) != 0;
}

/* Loop B is stalled again and again, wherever that meets it; a thread cancels. */
static void nothing_is_lost_in_a_storm(void** state) {
  int taken = 0;

  (void)state;
  memset(&storm, 0, sizeof storm);
  be_patient(1);
  prepare(&of_b, pkd_take_mutex(&m), pkd_take_mutex(&n));
  on_loop_b(begin_storm, NULL);
  while (!storm.over) {
    pkd_async_mutex_t* const mutex = taken % 2 == 0 ? &m : &n;

    stall_b();
    start_at(&next, THREAD, mutex);
    assert_int_equal(actor_wait(&next), 0);
    (mutex == &m ? storm.under_m++ : storm.under_n++);
    taken++;
    if (taken % 3 == 0)
      pkd_many_cancel(&of_b.many);
    resume_b();
    assert_int_equal(actor_release(&next), 0);
    actor_end(&next);
  }
  be_patient(0);
  settle();
  assert_int_equal(storm.wrong, 0);
  assert_int_equal(storm.under_m + storm.under_n, 2 * ROUNDS + taken);
  assert_false(pkd_async_mutex_is_locked(&m));
  assert_false(pkd_async_mutex_is_locked(&n));
}

#define WITH_STUCK_LOOP(test)                                                  \
  { #test, test, open_patient, world_close, &worlds[TWO_LOOPS] }

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_STUCK_LOOP(locks_of_a_stuck_loop_go_on),
      WITH_STUCK_LOOP(who_passed_a_stuck_loop_is_ahead_of_it_everywhere),
      WITH_STUCK_LOOP(free_locks_are_had_as_soon_as_the_loop_wakes),
      WITH_STUCK_LOOP(a_request_that_retreats_can_be_cancelled),
      WITH_STUCK_LOOP(the_timeout_counts_from_the_first_start),
      WITH_STUCK_LOOP(one_that_was_closed_meanwhile_ends_it),
      WITH_STUCK_LOOP(detaching_ends_it),
      WITH_STUCK_LOOP(keys_of_a_stuck_loop_go_on),
      WITH_STUCK_LOOP(nothing_is_lost_in_a_storm),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
