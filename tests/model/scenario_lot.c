/* SPDX-License-Identifier: MIT
 *
 * scenario_lot.c - the lot itself under exploration: park, enqueue, remove,
 * unpark and requeue against each other and against deadlines.
 *
 * Each uses the lot as a primitive does: a word that says whether to wait,
 * looked at in validate and changed in finish, and plain data that the unpark
 * must have published. */
#include "scenario.h"

#include "atomic.h"

#include <errno.h>

typedef struct shared {
  uint32_t closed; /* wait while set; atomic, changed under the key's lock */
  uint32_t other;  /* a second key */
  int data;        /* published by the one who opens */
  pkd_waiter_t waiter;
  int woken; /* continuations run */
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  s->closed = 1;
  explore_name(&s->closed, sizeof s->closed, "gate");
  explore_name(&s->other, sizeof s->other, "other key");
  explore_name(&s->data, sizeof s->data, "data");
  explore_name(&s->waiter, sizeof s->waiter, "waiter");
}

static void finish(void) {
  explore_join();
  scenario_nobody_at(&s->closed);
  scenario_nobody_at(&s->other);
}

static int is_closed(void* arg) {
  (void)arg;
  return (int)pkd__load_relaxed(&s->closed);
}

static uint64_t open_gate(void* arg, const pkd_unpark_result_t* result) {
  (void)arg;
  (void)result;
  pkd__store_release(&s->closed, 0);
  return 7;
}

static int park_until(pkd_deadline_t deadline, uint64_t* token) {
  pkd_park_t how = {0};
  pkd_parked_t parked = {0, 0};
  int rc;

  how.validate = is_closed;
  rc = pkd_lot_park(&s->closed, &how, deadline, &parked);
  *token = parked.token;
  return rc;
}

/* Everyone who was unparked, or found the gate open, sees the data. */
static void parks(void* arg) {
  uint64_t token;
  int rc = park_until(PKD_FOREVER, &token);

  (void)arg;
  explore_assert(rc == 0 || rc == -EAGAIN);
  if (rc == 0)
    explore_assert(token == 7 && s->data == 1);
}

static void parks_timed(void* arg) {
  uint64_t token;
  int rc = park_until(SOON, &token);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : rc == -EAGAIN ? 1 : 2);
  if (rc == 0)
    explore_assert(token == 7 && s->data == 1);
}

static void opens_for_one(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_lot_unpark_one(&s->closed, open_gate, NULL);
}

static void opens_for_all(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_lot_unpark_one(&s->closed, open_gate, NULL);
  pkd_lot_unpark_all(&s->closed, 7);
}

static void park_and_unpark(int timed) {
  start();
  explore_spawn(timed ? parks_timed : parks, NULL);
  explore_spawn(opens_for_one, NULL);
  finish();
}

static void two_parked(int timed) {
  start();
  explore_spawn(parks, NULL);
  explore_spawn(timed ? parks_timed : parks, NULL);
  explore_spawn(opens_for_all, NULL);
  finish();
}

/* --- continuations ------------------------------------------------------- */

static void continues(pkd_waiter_t* waiter) {
  explore_assert(waiter == &s->waiter && waiter->token == 7);
  explore_assert(s->data == 1);
  s->woken++;
}

static void enqueue(void) {
  s->waiter.wake = continues;
  explore_assert(pkd_lot_enqueue(&s->closed, &s->waiter, is_closed, NULL) == 0);
}

static void note_removed(void* arg, const void* key, int was_last) {
  *(const void**)arg = key;
  explore_outcome(was_last ? 8 : 9);
}

/* Either the cancel or the wake has it, never both, never neither. */
static void enqueues_and_removes(void* arg) {
  const void* key = NULL;

  (void)arg;
  s->waiter.wake = continues;
  if (pkd_lot_enqueue(&s->closed, &s->waiter, is_closed, NULL) != 0)
    return;
  if (pkd_lot_remove(&s->waiter, note_removed, &key) == 0) {
    explore_assert(key == &s->closed || key == &s->other);
    explore_outcome(key == &s->closed ? 0 : 1);
    s->waiter.token = 1;
  } else {
    explore_outcome(2);
  }
}

static void cancel_against_wake(int with_second) {
  start();
  explore_spawn(enqueues_and_removes, NULL);
  explore_spawn(opens_for_all, NULL);
  if (with_second)
    explore_spawn(parks, NULL);
  explore_join();
  /* queued and not removed means woken; removed means not */
  if (s->waiter.wake != NULL && s->waiter.token != 0)
    explore_assert(s->woken == (s->waiter.token == 7));
  finish();
}

/* --- requeue ------------------------------------------------------------- */

static pkd_requeue_op_t move_all(void* arg, pkd_waiter_t* oldest) {
  (void)arg;
  explore_assert(oldest != NULL);
  return PKD_REQUEUE_MOVE_ALL;
}

static pkd_requeue_op_t wake_and_move(void* arg, pkd_waiter_t* oldest) {
  (void)arg;
  (void)oldest;
  return PKD_REQUEUE_WAKE_MOVE_ALL;
}

static void requeues(void* arg) {
  pkd_unpark_result_t result;

  s->data = 1;
  result = pkd_lot_unpark_requeue(&s->closed, &s->other,
                                  arg == NULL ? move_all : wake_and_move,
                                  open_gate, 0, NULL);
  explore_assert(result.have_more == 0);
  pkd_lot_unpark_all(&s->other, 7);
}

static void requeue_against_park(int timed) {
  start();
  explore_spawn(parks, NULL);
  explore_spawn(timed ? parks_timed : parks, NULL);
  explore_spawn(requeues, timed ? NULL : &s->data);
  finish();
}

static void requeue_against_cancel(int with_second) {
  start();
  explore_spawn(enqueues_and_removes, NULL);
  explore_spawn(requeues, NULL);
  if (with_second)
    explore_spawn(parks, NULL);
  explore_join();
  if (s->waiter.wake != NULL && s->waiter.token != 0)
    explore_assert(s->woken == (s->waiter.token == 7));
  finish();
}

/* Two requeues in opposite directions: the order of the buckets holds. */
static void requeues_back(void* arg) {
  (void)arg;
  pkd_lot_unpark_requeue(&s->other, &s->closed, move_all, NULL, 0, NULL);
}

static void requeues_forth(void* arg) {
  (void)arg;
  pkd_lot_unpark_requeue(&s->closed, &s->other, move_all, NULL, 0, NULL);
}

static void opposite_requeues(int with_waiter) {
  start();
  s->data = 1;
  if (with_waiter)
    enqueue();
  explore_spawn(requeues_forth, NULL);
  explore_spawn(requeues_back, NULL);
  explore_join();
  pkd_lot_unpark_all(&s->closed, 7);
  pkd_lot_unpark_all(&s->other, 7);
  explore_assert(s->woken == with_waiter);
  finish();
}

/* --- the parker ---------------------------------------------------------- */

static pkd_parker_t* parker;

static void sleeps(void* arg) {
  pkd_parker_t mine = {0};
  int rc;

  __atomic_store_n(&parker, &mine, __ATOMIC_RELEASE);
  rc = pkd_parker_sleep(&mine, arg == NULL ? PKD_FOREVER : SOON);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0) {
    explore_assert(s->data == 1);
  } else {
    /* who looked us up will wake us: wait for it before the frame goes */
    pkd_parker_sleep(&mine, PKD_FOREVER);
  }
}

static void wakes(void* arg) {
  pkd_parker_t* theirs = __atomic_load_n(&parker, __ATOMIC_ACQUIRE);

  (void)arg;
  while (theirs == NULL) {
    explore_yield();
    theirs = __atomic_load_n(&parker, __ATOMIC_ACQUIRE);
  }
  s->data = 1;
  pkd_parker_wake(theirs);
}

static void parker_alone(int timed) {
  start();
  explore_spawn(sleeps, timed ? &s->data : NULL);
  explore_spawn(wakes, NULL);
  finish();
}

const explore_scenario_t explore_lot[] = {
    {"lot/parker",
     parker_alone,
     0,
     OK,
     1,
     {.preemptions = EXPLORE_UNBOUNDED, .stale = 2, .spurious = 2}},
    {"lot/parker-timed",
     parker_alone,
     1,
     OK,
     3,
     {.preemptions = EXPLORE_UNBOUNDED, .stale = 2, .timeouts = 1}},
    {"lot/park-unpark",
     park_and_unpark,
     0,
     OK,
     0,
     {.preemptions = EXPLORE_UNBOUNDED, .stale = 1, .spurious = 1}},
    {"lot/park-unpark-timed",
     park_and_unpark,
     1,
     OK,
     7,
     {.preemptions = 4, .stale = 1, .timeouts = 1, .spurious = 1}},
    {"lot/two-parked", two_parked, 0, OK, 0, DEEP},
    {"lot/two-parked-timed",
     two_parked,
     1,
     OK,
     7,
     {.preemptions = 3, .timeouts = 1}},
    {"lot/cancel-against-wake",
     cancel_against_wake,
     0,
     OK,
     0,
     {.preemptions = 4, .stale = 1}},
    {"lot/cancel-against-wake-of-two", cancel_against_wake, 1, OK, 0, DEEP},
    {"lot/cancel-against-wake-and-spin",
     cancel_against_wake,
     0,
     OK,
     0,
     {.preemptions = 2, .stale = 1, .cpus = 2}},
    {"lot/requeue-against-park", requeue_against_park, 0, OK, 0, WIDE},
    {"lot/requeue-against-timeout", requeue_against_park, 1, OK, 7, LATE_WIDE},
    {"lot/requeue-against-cancel",
     requeue_against_cancel,
     0,
     OK,
     0,
     {.preemptions = 4, .stale = 1}},
    {"lot/requeue-against-cancel-of-two", requeue_against_cancel, 1, OK, 0,
     WIDE},
    {"lot/opposite-requeues",
     opposite_requeues,
     1,
     OK,
     0,
     {.preemptions = EXPLORE_UNBOUNDED}},
    {.name = NULL},
};
