/* SPDX-License-Identifier: MIT
 *
 * scenario_cancel.c - cancel tokens under exploration: who waits for one, and whose
 * wait it ends, against those who fire it; as in scenario_sync.c. */
#include "scenario.h"

#include <parkade/cancel.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>

#include <errno.h>

static struct shared {
  pkd_event_t event;
  pkd_fair_mutex_t fair;
  pkd_cancel_t cancel;
  int data;
  int entered;
} * s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->event, sizeof s->event, "event");
  explore_name(&s->fair, sizeof s->fair, "fair mutex");
  explore_name(&s->cancel, sizeof s->cancel, "token");
  explore_name(&s->data, sizeof s->data, "data");
}

static void spawn(void (*entry)(void* arg), int count) {
  for (int i = 0; i < count; i++)
    explore_spawn(entry, NULL);
}

static void fires(void* arg) {
  (void)arg;
  s->data = 1;
  pkd_cancel_fire(&s->cancel);
}

static void cancellable_section(void* arg) {
  int rc = pkd_fair_mutex_lock_cancellable(&s->fair, &s->cancel, PKD_FOREVER);

  (void)arg;
  explore_assert(rc == 0 || rc == -ECANCELED);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == -ECANCELED)
    explore_assert(s->data == 1);
  else
    pkd_fair_mutex_unlock(&s->fair);
}

static void holds_fair(void* arg) {
  (void)arg;
  pkd_fair_mutex_lock(&s->fair);
  s->entered++;
  pkd_fair_mutex_unlock(&s->fair);
}

/* A callback that needs what one who is tied to the same token may have been
 * granted. */
static void uses_fair_when_fired(pkd_cancel_link_t* link) {
  (void)link;
  pkd_fair_mutex_lock(&s->fair);
  pkd_fair_mutex_unlock(&s->fair);
}

static void cancelled_lock(int with_callback) {
  pkd_cancel_link_t* link = NULL;

  start();
  if (with_callback) {
    link = explore_need(sizeof *link);
    link->fire = uses_fair_when_fired;
    pkd_cancel_link(&s->cancel, link);
  }
  spawn(holds_fair, 1);
  spawn(cancellable_section, 1);
  spawn(fires, 1);
  explore_join();
  if (with_callback)
    explore_assert(pkd_cancel_unlink(link) == -ECANCELED);
  explore_assert(s->fair.word == 0);
  scenario_nobody_at(&s->fair);
  scenario_nobody_at(&s->cancel);
}

static void waits_for_token(void* arg) {
  (void)arg;
  pkd_cancel_wait(&s->cancel, PKD_FOREVER);
  explore_assert(s->data == 1);
}

static void asks_token(void* arg) {
  (void)arg;
  if (pkd_cancel_is_fired(&s->cancel))
    explore_assert(s->data == 1);
}

/* Until it is fired, or for a while. */
static void waits_in_time(void* arg) {
  int rc = pkd_cancel_wait(&s->cancel, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == -ETIMEDOUT);
  if (rc == 0)
    explore_assert(s->data == 1);
  explore_outcome(rc == 0 ? 0 : 1);
}

enum { WAIT, BOTH_WAIT, ASK, WAIT_AND_ASK, WAIT_IN_TIME, BOTH_WAIT_IN_TIME };

static void token(int how) {
  bool timed = how == WAIT_IN_TIME || how == BOTH_WAIT_IN_TIME;

  start();
  if (how != ASK)
    spawn(timed ? waits_in_time : waits_for_token,
          how == BOTH_WAIT || how == BOTH_WAIT_IN_TIME ? 2 : 1);
  if (how == ASK || how == WAIT_AND_ASK)
    spawn(asks_token, 1);
  spawn(fires, 1);
  explore_join();
  scenario_nobody_at(&s->cancel);
}

/* The event is never set: only the token ends the wait, or the deadline. */
static void cancellable_event(void* arg) {
  int rc = pkd_event_wait_cancellable(&s->event, &s->cancel,
                                      arg == NULL ? PKD_FOREVER : SOON);

  explore_assert(rc == -ECANCELED || (arg != NULL && rc == -ETIMEDOUT));
  explore_outcome(rc == -ECANCELED ? 0 : 1);
}

static void cancelled_event(int timed) {
  start();
  explore_spawn(cancellable_event, NULL);
  explore_spawn(cancellable_event, timed ? s : NULL);
  spawn(fires, 1);
  explore_join();
  scenario_nobody_at(&s->event);
  scenario_nobody_at(&s->cancel);
}

const explore_scenario_t explore_cancel[] = {
    {"sync/token-wait", token, WAIT, OK, 0, DEEP},
    {"sync/token-wait-of-two", token, BOTH_WAIT, OK, 0, WIDE},
    {"sync/token-ask", token, ASK, OK, 0, DEEP},
    {"sync/token-wait-and-ask", token, WAIT_AND_ASK, OK, 0, WIDE},
    {"sync/token-timed", token, WAIT_IN_TIME, OK, 3, LATE_DEEP},
    {"sync/token-timed-of-two", token, BOTH_WAIT_IN_TIME, OK, 3, LATE_NARROW},
    {"sync/cancelled-lock", cancelled_lock, 0, OK, 3, WIDE},
    {"sync/cancelled-lock-and-callback", cancelled_lock, 1, OK, 3, WIDE},
    {"sync/cancelled-event", cancelled_event, 0, OK, 1, WIDE},
    {"sync/cancelled-event-timed", cancelled_event, 1, OK, 3, LATE_NARROW},
    {.name = NULL},
};
