/* SPDX-License-Identifier: MIT
 *
 * museum/leave.c - leaving a queue before one's turn: cancels and timeouts
 * against grants and wakes. */
#include "museum.h"

static bool cured;

/* A queue of two, under one lock, and a permit that passes through it. */
typedef enum step { FREE, QUEUED, GRANTED, GONE } step_t;

typedef struct place {
  step_t step;    /* under queue */
  uint32_t woken; /* what its thread sleeps on */
} place_t;

static uint32_t queue;
static place_t place[2];
static int permits; /* under queue */
static int served;  /* under queue */

static bool start(int i) {
  bool now;

  museum_lock(&queue);
  now = permits > 0;
  if (now)
    permits--;
  place[i].step = now ? GRANTED : QUEUED;
  museum_unlock(&queue);
  return now;
}

/* Under queue: the oldest that waits gets the permit. */
static void pass_on(void) {
  for (int i = 0; i < 2; i++)
    if (place[i].step == QUEUED) {
      place[i].step = GRANTED;
      museum_set(&place[i].woken);
      return;
    }
  permits++;
}

static void give_back(void) {
  museum_lock(&queue);
  served++;
  pass_on();
  museum_unlock(&queue);
}

static void patient(void* arg) {
  (void)arg;
  if (!start(1))
    museum_await(&place[1].woken);
  give_back();
}

static void holder(void* arg) {
  (void)arg;
  give_back();
}

static void cast(void (*leaver)(void* arg), int how) {
  cured = how;
  explore_spawn(holder, NULL);
  explore_spawn(leaver, NULL);
  explore_spawn(patient, NULL);
  explore_join();
  explore_assert(permits == 1);
}

/* Cancelled after the grant was made and before it was noticed: the permit goes
 * down with the request.
 * Kotlin/kotlinx.coroutines #2380, agronholm/anyio #1075, tenzir/tenzir #6432. */
static void cancels_and_drops(void* arg) {
  (void)arg;
  if (start(0)) {
    give_back();
    return;
  }
  museum_lock(&queue);
  if (place[0].step == GRANTED && cured)
    pass_on();
  place[0].step = GONE;
  museum_unlock(&queue);
}

static void drops_grant(int how) {
  cast(cancels_and_drops, how);
}

/* The cancel gives the permit back although it was never granted: one too many.
 * Kotlin/kotlinx.coroutines #4145: a mutex is unlocked by a cancellation. */
static void cancels_and_returns(void* arg) {
  bool granted;

  (void)arg;
  if (start(0)) {
    give_back();
    return;
  }
  museum_lock(&queue);
  granted = place[0].step == GRANTED;
  place[0].step = GONE;
  if (granted || !cured)
    pass_on();
  museum_unlock(&queue);
}

static void returns_twice(int how) {
  cast(cancels_and_returns, how);
}

/* Looks at its state, then acts on it without the lock held throughout: the
 * grant comes in between, and both sides believe they have won.
 * ocaml-multicore/eio #110, lalinsky/zio #94, typelevel/cats-effect #3549. */
static void cancels_in_two_steps(void* arg) {
  bool granted;

  (void)arg;
  if (start(0)) {
    give_back();
    return;
  }
  museum_lock(&queue);
  granted = place[0].step == GRANTED;
  if (!cured) {
    museum_unlock(&queue);
    museum_lock(&queue);
  }
  if (granted)
    pass_on();
  place[0].step = GONE;
  museum_unlock(&queue);
}

static void cancel_in_two_steps(int how) {
  cast(cancels_in_two_steps, how);
}

/* A deadline that is believed though the wake had come: the wake was the only
 * one, and nobody else hears of it.
 * asterinas/asterinas #1587 and #1642. */
static void believes_deadline(void* arg) {
  int rc = 0;

  (void)arg;
  if (start(0)) {
    give_back();
    return;
  }
  while (rc == 0 && pkd__load_acquire(&place[0].woken) == 0)
    rc = pkd__os_wait(&place[0].woken, 0, pkd__os_now() + 1000);
  if (rc == 0) {
    give_back();
    return;
  }
  museum_lock(&queue);
  if (cured && place[0].step == GRANTED)
    pass_on();
  place[0].step = GONE;
  museum_unlock(&queue);
}

static void ignores_wake(int how) {
  cast(believes_deadline, how);
}

/* Who timed out stays in the queue; the next wake goes to it, and is lost.
 * bytecodealliance/wasmtime #5871. */
static void leaves_its_place(void* arg) {
  int rc = 0;

  (void)arg;
  if (start(0)) {
    give_back();
    return;
  }
  while (rc == 0 && pkd__load_acquire(&place[0].woken) == 0)
    rc = pkd__os_wait(&place[0].woken, 0, pkd__os_now() + 1000);
  if (rc == 0) {
    give_back();
    return;
  }
  if (!cured)
    return;
  museum_lock(&queue);
  if (place[0].step == GRANTED)
    pass_on();
  place[0].step = GONE;
  museum_unlock(&queue);
}

static void stays_in_queue(int how) {
  cast(leaves_its_place, how);
}

/* The head wanted more than there was and leaves: those behind it could go now,
 * and nobody tells them.
 * golang/go #37852: x/sync/semaphore. */
static void greedy_head(void* arg) {
  (void)arg;
  museum_lock(&queue);
  place[0].step = QUEUED; /* wants two permits; there is one */
  museum_unlock(&queue);
  museum_lock(&queue);
  place[0].step = GONE;
  if (cured && place[1].step == QUEUED && permits > 0) {
    permits--;
    place[1].step = GRANTED;
    museum_set(&place[1].woken);
  }
  museum_unlock(&queue);
}

static void modest_second(void* arg) {
  bool wait;

  (void)arg;
  museum_lock(&queue);
  wait = place[0].step == QUEUED; /* first in, first out */
  place[1].step = wait ? QUEUED : GRANTED;
  if (!wait)
    permits--;
  museum_unlock(&queue);
  if (wait)
    museum_await(&place[1].woken);
}

static void head_leaves(int how) {
  cured = how;
  permits = 1;
  explore_spawn(greedy_head, NULL);
  explore_spawn(modest_second, NULL);
  explore_join();
}

/* A notification given to one who then goes away must go to the next.
 * typelevel/cats-effect #3998: cancelling one take makes another hang. */
static void notified_and_leaves(void* arg) {
  (void)arg;
  museum_lock(&queue);
  place[0].step = QUEUED;
  museum_unlock(&queue);
  museum_lock(&queue);
  if (place[0].step == GRANTED && cured)
    pass_on();
  place[0].step = GONE;
  museum_unlock(&queue);
}

static void waits_for_notice(void* arg) {
  (void)arg;
  if (!start(1))
    museum_await(&place[1].woken);
}

static void forgets_to_forward(int how) {
  cured = how;
  explore_spawn(notified_and_leaves, NULL);
  explore_spawn(waits_for_notice, NULL);
  explore_spawn(holder, NULL);
  explore_join();
}

/* A cancel that takes the others out to find its own, and puts them back at the
 * end: first come is not first served any more.
 * typelevel/cats-effect #3564. */
static int line[8]; /* under queue: who waits, oldest first */
static int first;   /* under queue */
static int last;    /* under queue */

static void stands_in_line(void* arg) {
  (void)arg;
  museum_lock(&queue);
  line[last++] = explore_self();
  museum_unlock(&queue);
}

static void leaves_line(void* arg) {
  int waiting;

  stands_in_line(arg);
  museum_lock(&queue);
  waiting = last - first;
  for (int i = 0; i < waiting; i++) {
    int who = line[first++];
    if (who != explore_self())
      line[last++] = who;
    else if (!cured)
      break; /* those behind keep their place, those before lost theirs */
  }
  museum_unlock(&queue);
}

static void cancel_reorders(int how) {
  int order[2];

  cured = how;
  line[last++] = 8;
  line[last++] = 9;
  explore_spawn(leaves_line, NULL);
  explore_spawn(stands_in_line, NULL);
  explore_join();
  order[0] = line[first];
  order[1] = line[first + 1];
  explore_assert(order[0] == 8 && order[1] == 9);
}

/* The timer of a wait may fire before the waiter is in the queue: it finds
 * nobody, and will not come again.
 * apache/brpc #617 and #893. */
static bool fired; /* under queue */
static bool armed;

static void waits_with_timer(void* arg) {
  bool sleep;

  (void)arg;
  pkd__store_release(&armed, true);
  museum_lock(&queue);
  sleep = !(cured && fired);
  if (sleep)
    place[0].step = QUEUED;
  museum_unlock(&queue);
  if (sleep)
    museum_await(&place[0].woken);
}

static void timer_fires(void* arg) {
  (void)arg;
  while (!pkd__load_acquire(&armed))
    explore_yield();
  museum_lock(&queue);
  fired = true;
  if (place[0].step == QUEUED) {
    place[0].step = GONE;
    museum_set(&place[0].woken);
  }
  museum_unlock(&queue);
}

static void early_timer(int how) {
  cured = how;
  explore_spawn(waits_with_timer, NULL);
  explore_spawn(timer_fires, NULL);
  explore_join();
}

#define TWO BOUNDS(.preemptions = 2)
#define TIMED BOUNDS(.preemptions = 2, .timeouts = 1)

const explore_scenario_t explore_museum_leave[] = {
    EXHIBIT("drops-grant", drops_grant, ASSERTION, TWO),
    EXHIBIT("returns-twice", returns_twice, ASSERTION, TWO),
    EXHIBIT("cancel-in-two-steps", cancel_in_two_steps, ASSERTION, TWO),
    EXHIBIT("ignores-wake", ignores_wake, ASSERTION, TIMED),
    EXHIBIT("stays-in-queue", stays_in_queue, ASSERTION, TIMED),
    EXHIBIT("head-leaves", head_leaves, DEADLOCK, TWO),
    EXHIBIT("forgets-to-forward", forgets_to_forward, DEADLOCK, TWO),
    EXHIBIT("cancel-reorders", cancel_reorders, ASSERTION, TWO),
    EXHIBIT("early-timer", early_timer, DEADLOCK, TWO),
    {.name = NULL},
};
