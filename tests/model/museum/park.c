/* SPDX-License-Identifier: MIT
 *
 * museum/park.c - falling asleep: wake-ups lost between the last look and the
 * sleep, and messages that arrive without what they announce. */
#include "museum.h"

static bool cured;

/* Announce and look again: both sides store, then load. With less than seq_cst
 * each may miss the other.
 * smol-rs/event-listener #138: notify() read the listener count too early. */
static uint32_t listeners;
static uint32_t state;
static uint32_t woken;

static void listens(void* arg) {
  (void)arg;
  if (cured)
    pkd__store_seq_cst(&listeners, 1);
  else
    pkd__store_release(&listeners, 1);
  if ((cured ? pkd__load_seq_cst(&state) : pkd__load_acquire(&state)) == 0)
    museum_await(&woken);
}

static void notifies(void* arg) {
  (void)arg;
  if (cured)
    pkd__store_seq_cst(&state, 1);
  else
    pkd__store_release(&state, 1);
  if ((cured ? pkd__load_seq_cst(&listeners) : pkd__load_acquire(&listeners)))
    museum_set(&woken);
}

static void announce_and_check(int how) {
  cured = how;
  explore_spawn(listens, NULL);
  explore_spawn(notifies, NULL);
  explore_join();
}

/* The same with read-modify-writes on one side: relaxed ones order nothing.
 * apache/brpc #3539: a worker that goes to sleep and the one who has work. */
static uint32_t idle;
static uint32_t work;

static void worker_idles(void* arg) {
  (void)arg;
  pkd__add_relaxed(&idle, 1);
  if (!cured && pkd__load_acquire(&work) == 0)
    museum_await(&woken);
  /* a read-modify-write reads the newest value, and orders the two */
  if (cured && pkd__add_acq_rel(&work, 0) == 0)
    museum_await(&woken);
}

static void brings_work(void* arg) {
  (void)arg;
  pkd__add_acq_rel(&work, 1);
  if ((cured ? pkd__add_acq_rel(&idle, 0) : pkd__load_relaxed(&idle)) != 0)
    museum_set(&woken);
}

static void idle_worker(int how) {
  cured = how;
  explore_spawn(worker_idles, NULL);
  explore_spawn(brings_work, NULL);
  explore_join();
}

/* Looks first and announces afterwards: the work comes in between.
 * ClickHouse/silk #76: a processor parks. */
static void parks_after_look(void* arg) {
  bool found;

  (void)arg;
  found = pkd__load_seq_cst(&work) != 0;
  pkd__store_seq_cst(&idle, 1);
  if (cured)
    found = pkd__load_seq_cst(&work) != 0;
  if (!found)
    museum_await(&woken);
}

static void submits(void* arg) {
  (void)arg;
  pkd__store_seq_cst(&work, 1);
  if (pkd__load_seq_cst(&idle) != 0)
    museum_set(&woken);
}

static void look_then_announce(int how) {
  cured = how;
  explore_spawn(parks_after_look, NULL);
  explore_spawn(submits, NULL);
  explore_join();
}

/* A futex whose value is compared before the queue is locked.
 * unikraft/unikraft #1763, nanovms/nanos #1601. */
static uint32_t queue;
static uint32_t value;
static uint32_t* sleeper; /* under queue: a word on the sleeper's stack */

static void futex_wait(void* arg) {
  uint32_t mine = 0;
  bool differs = false;

  (void)arg;
  if (!cured)
    differs = pkd__load_seq_cst(&value) != 0;
  museum_lock(&queue);
  if (cured)
    differs = pkd__load_seq_cst(&value) != 0;
  if (!differs)
    sleeper = &mine;
  museum_unlock(&queue);
  if (!differs)
    museum_await(&mine);
}

static void futex_wake(void* arg) {
  uint32_t* found;

  (void)arg;
  pkd__store_seq_cst(&value, 1);
  museum_lock(&queue);
  found = sleeper;
  sleeper = NULL;
  museum_unlock(&queue);
  if (found != NULL)
    museum_set(found);
}

static void value_outside_lock(int how) {
  cured = how;
  explore_spawn(futex_wait, NULL);
  explore_spawn(futex_wake, NULL);
  explore_join();
}

/* atomic.wait: the compare is locked, but the lock is dropped before queueing.
 * bytecodealliance/wasm-micro-runtime #2044. */
static void compare_then_queue(void* arg) {
  uint32_t mine = 0;
  bool differs;

  (void)arg;
  museum_lock(&queue);
  differs = pkd__load_seq_cst(&value) != 0;
  if (!cured) {
    museum_unlock(&queue);
    museum_lock(&queue);
  }
  if (!differs)
    sleeper = &mine;
  museum_unlock(&queue);
  if (!differs)
    museum_await(&mine);
}

static void two_critical_sections(int how) {
  cured = how;
  explore_spawn(compare_then_queue, NULL);
  explore_spawn(futex_wake, NULL);
  explore_join();
}

/* A bell whose repeated rings are swallowed orders nothing for who rang last.
 * libuv/libuv #4584: uv_async_send as the only publication. */
static uint32_t pending;
static int parcel;

static void rings(void* arg) {
  (void)arg;
  parcel = 1;
  if (cured)
    pkd__store_release(&state, 1);
  if (pkd__load_relaxed(&pending) == 0)
    pkd__store_relaxed(&pending, 1);
}

static void answers(void* arg) {
  (void)arg;
  if (pkd__exchange_relaxed(&pending, 0) == 0)
    return;
  if (!cured || pkd__load_acquire(&state) != 0)
    explore_assert(parcel == 1);
}

static void bell_publishes(int how) {
  cured = how;
  explore_spawn(rings, NULL);
  explore_spawn(answers, NULL);
  explore_join();
}

/* Disarms the bell after emptying the box: who came between rang in vain.
 * The mistake that the mailbox of every actor system was built around once. */
static uint32_t box;
static uint32_t taken;

static void posts(void* arg) {
  (void)arg;
  pkd__add_acq_rel(&box, 1);
  if (pkd__exchange_acq_rel(&pending, 1) == 0)
    museum_set(&woken);
}

static void empties(void* arg) {
  (void)arg;
  while (taken < 2) {
    museum_await(&woken);
    pkd__store_seq_cst(&woken, 0);
    if (cured)
      pkd__exchange_acq_rel(&pending, 0);
    taken += pkd__exchange_acq_rel(&box, 0);
    if (!cured)
      pkd__exchange_acq_rel(&pending, 0);
  }
}

static void disarms_late(int how) {
  cured = how;
  explore_spawn(posts, NULL);
  explore_spawn(posts, NULL);
  explore_spawn(empties, NULL);
  explore_join();
}

/* An event count that is read after the condition was looked at.
 * lalinsky/zio #610. */
static uint32_t epoch;

static void waits_on_epoch(void* arg) {
  uint32_t before = pkd__load_seq_cst(&epoch);

  (void)arg;
  while (pkd__load_seq_cst(&state) == 0) {
    if (!cured)
      before = pkd__load_seq_cst(&epoch);
    pkd__os_wait(&epoch, before, UINT64_MAX);
    before = pkd__load_seq_cst(&epoch);
  }
}

static void advances_epoch(void* arg) {
  (void)arg;
  pkd__store_seq_cst(&state, 1);
  pkd__add_acq_rel(&epoch, 1);
  pkd__os_wake(&epoch);
}

static void late_epoch(int how) {
  cured = how;
  explore_spawn(waits_on_epoch, NULL);
  explore_spawn(advances_epoch, NULL);
  explore_join();
}

#define WEAK BOUNDS(.preemptions = 3, .stale = 1)
#define STRONG BOUNDS(.preemptions = 3)

const explore_scenario_t explore_museum_park[] = {
    EXHIBIT("announce-and-check", announce_and_check, DEADLOCK, WEAK),
    EXHIBIT("idle-worker", idle_worker, DEADLOCK, WEAK),
    EXHIBIT("look-then-announce", look_then_announce, DEADLOCK, STRONG),
    EXHIBIT("value-outside-lock", value_outside_lock, DEADLOCK, STRONG),
    EXHIBIT("two-critical-sections", two_critical_sections, DEADLOCK, STRONG),
    EXHIBIT("bell-publishes", bell_publishes, RACE, WEAK),
    EXHIBIT("disarms-late", disarms_late, DEADLOCK, STRONG),
    EXHIBIT("late-epoch", late_epoch, DEADLOCK, STRONG),
    {.name = NULL},
};
