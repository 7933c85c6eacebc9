/* SPDX-License-Identifier: MIT
 *
 * deliver.c - from the grant to the callback; home.h draws the way.
 *
 * No ring is lost. Whoever pushes onto an empty inbox rings once; whoever finds
 * it non-empty relies on the ring of the one before. Let P push, with the CAS
 * (H1), and read that the inbox was empty: the value was written by a take (H2).
 * libuv clears the bell's pending flag before it calls on_bell, which takes. If
 * the take that P read came after that clearing, P sees it, for (H1) acquires
 * what (H2) released, and uv_async_send really sends. If it came before, on_bell
 * is still to come, and its take is later than P's push in the order of the
 * inbox: it finds P's request. uv_async_send itself orders nothing when it
 * finds the flag set. */
#include "engine.h"
#include "grant.h"
#include "home.h"

#include "panic.h"

#include <pthread.h>
#include <stdlib.h>

#define BUSY UINT64_C(1)
#define TURN_CALLBACKS 64
#define TURN_NS UINT64_C(1000000)
#define TURN_EXPIRIES 256

enum place { ELSEWHERE, IN_TURN, AT_HOME };

static void wait_for_deadline(struct pkd__home* home, pkd_req_t* req);
static enum place enter(struct pkd__home* home);
static void leave(struct pkd__home* home, enum place place);
static void deliver_one(struct pkd__home* home);
static int settle(struct pkd__home* home, pkd_req_t* req);
static uint64_t now_of(const struct pkd__home* home);
static uint64_t deadline_from(uint64_t present, const struct pkd__link* link);
static uint64_t deadline_of(const struct pkd__wheel* wheel,
                            const struct pkd__link* link);
static void on_timer(uv_timer_t* timer);
static void on_idle(uv_idle_t* idle);

/* --- the way in ------------------------------------------------------------ */

void pkd__home_post(struct pkd__home* home, pkd_req_t* req,
                    struct pkd__bells* bells) {
  enum place place = enter(home);
  pkd_req_t* head;

  if (place != ELSEWHERE) {
    pkd__home_ready(home, req);
    leave(home, place);
    return;
  }
  head = pkd__load_relaxed(&home->inbox); /* relaxed: the CAS checks it */
  do {
    req->via.next = head;
    /* (H1) acq_rel, pairs with (H2): who finds it full relies on the ring of
     * the one before; see the head of this file. */
  } while (!pkd__cas_acq_rel(&home->inbox, &head, req));
  if (head == NULL)
    bells->home[bells->count++] = home;
}

void pkd__bells_ring(const struct pkd__bells* bells) {
  int cancel;

  if (bells->count == 0)
    return;
  /* To ring is to write, where a thread may be cancelled: others rely on a ring that
   * the loop would never hear. */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  for (unsigned i = 0; i < bells->count; i++) {
    struct pkd__home* home = bells->home[i];

    pkd__home_check(home, "release");
    uv_async_send(&home->bell);
    /* (H3) release, pairs with (H4): the bell is not touched any more, and after
     * this neither is home. */
    pkd__add_release(&home->rung, 1);
  }
  pthread_setcancelstate(cancel, NULL);
}

void pkd__home_accept(struct pkd__home* home, pkd_req_t* req) {
  pkd__home_count_in(home);
  wait_for_deadline(home, req);
}

void pkd__home_wait_again(struct pkd__home* home, pkd_req_t* req) {
  pkd__wheel_remove(&home->wheel, &req->link);
  wait_for_deadline(home, req);
}

static void wait_for_deadline(struct pkd__home* home, pkd_req_t* req) {
  if (pkd__deadline_of(req) == 0) {
    pkd__list_append(&home->plain, &req->link);
    return;
  }
  if (pkd__wheel_next(&home->wheel) == PKD__WHEEL_NEVER)
    pkd__wheel_set(&home->wheel, now_of(home));
  /* The wheel may have stood still for weeks, up to its first deadline. */
  pkd__wheel_insert(&home->wheel, &req->link,
                    deadline_from(now_of(home), &req->link));
  pkd__home_arm(home);
}

void pkd__home_is_closing(const struct pkd__home* home, const char* call) {
  pkd__panic(call, home->uv,
             "(uv_loop_t): its handles of Parkade were closed without "
             "pkd_loop_detach; detach a loop before a uv_walk that closes");
}

/* --- the way out ----------------------------------------------------------- */

void pkd__home_collect_surely(struct pkd__home* home) {
  /* (H2) acq_rel, pairs with (H1). An exchange even if it looks empty: only that
   * takes part in the order of the inbox. */
  pkd_req_t* taken = pkd__exchange_acq_rel(&home->inbox, NULL);
  pkd_req_t* oldest = NULL;

  if (taken != NULL)
    home->taken++;
  while (taken != NULL) {
    pkd_req_t* next = taken->via.next;

    taken->via.next = oldest;
    oldest = taken;
    taken = next;
  }
  while (oldest != NULL) {
    pkd_req_t* next = oldest->via.next;

    pkd__home_append(home, oldest);
    oldest = next;
  }
}

void pkd__home_deliver_turn(struct pkd__home* home) {
  uint64_t start;
  unsigned count = 0;
  unsigned look = 1; /* at the clock, after so many */

  pkd__home_collect(home);
  if (home->ready != NULL) {
    /* What becomes ready meanwhile has its turn as well: a chain of grants costs
     * a look at the I/O once per budget, not once per link. */
    start = uv_hrtime();
    home->awake = true;
    do {
      deliver_one(home);
      if (++count == TURN_CALLBACKS)
        break;
      if (count == look) {
        uint64_t spent = uv_hrtime() - start;

        if (spent >= TURN_NS)
          break;
        /* Reading the clock costs as much as a callback. Twice as many more take
         * twice as long; four times as many, while that is next to nothing. */
        look *= spent < TURN_NS / 16 ? 4 : 2;
      }
    } while (home->ready != NULL);
    if (home->detaching)
      return;
    home->awake =
        home->ready != NULL; /* the rest may have come with the bell */
    if (home->awake)
      uv_idle_start(&home->idle, on_idle);
    else
      uv_idle_stop(&home->idle);
  }
  if (home->pending == 0 && home->keeps) {
    home->keeps = false;
    uv_unref((uv_handle_t*)&home->check);
  }
}

void pkd__home_deliver_all(struct pkd__home* home) {
  while (home->ready != NULL)
    deliver_one(home);
}

static void deliver_one(struct pkd__home* home) {
  pkd_req_t* req = home->ready;
  int status;

  home->ready = req->via.next;
  req->via.home = home;
  home->ready_count--;
  if (!pkd__grant_met(home, req))
    return;
  home->pending--;
  if (pkd__deadline_of(req) == 0)
    pkd__list_remove(&req->link);
  else
    pkd__wheel_remove(&home->wheel, &req->link);
  status = settle(home, req);
  req->cb(req, status); /* it may be gone after this */
}

/* As pkd__req_settle(), whose commonest case it has at hand; and counts tickets. */
static int settle(struct pkd__home* home, pkd_req_t* req) {
  /* (S2) acquire, pairs with (S1): what the last owner did is visible */
  uint32_t state = pkd__load_acquire(&req->waiter.state);
  uint32_t granted = state;
  const struct pkd__face* face = pkd__face_of(pkd__kind_of(state));
  bool keeps = pkd__kept(face, pkd__want(req)) != 0;
  int status;

  if (pkd__step_of(state) == PKD__GRANTED && face->plain &&
      pkd__deadline_of(req) == 0 && !keeps &&
      /* (S3) acq_rel, pairs with (S4): either this delivers or a cancel revokes */
      pkd__cas_acq_rel(&req->waiter.state, &state,
                       pkd__state_delivered(granted))) {
    home->here += (pkd__grant_of(granted) & PKD__PASSES) == 0;
    return (pkd__grant_of(granted) & PKD__LEADS) != 0;
  }
  status = pkd__req_settle(req);
  /* It may have been given back by now (many.c): the state tells no more. */
  home->here +=
      status < 0 ? keeps : (pkd__grant_of(granted) & PKD__PASSES) == 0;
  return status;
}

void pkd__home_wake(struct pkd__home* home) {
  home->awake = true;
  uv_idle_start(&home->idle, on_idle);
}

/* --- whose thread is it? --------------------------------------------------- */

/* Is the calling thread the loop's, and no other can be for now? */
static enum place enter(struct pkd__home* home) {
  uint64_t self = pkd__self();
  uint64_t mine = self << 1;

  /* relaxed, both: a thread sees its own name only if it wrote it last itself */
  if (pkd__load_relaxed(&home->turn) == self)
    return IN_TURN;
  if (pkd__load_relaxed(&home->owner) != mine)
    return ELSEWHERE;
  /* (O1) acquire, pairs with (O3); the loop cannot move until (O2) */
  return pkd__cas_acquire(&home->owner, &mine, mine | BUSY) ? AT_HOME
                                                            : ELSEWHERE;
}

static void leave(struct pkd__home* home, enum place place) {
  if (place == AT_HOME)
    /* (O2) release, pairs with (O3) */
    pkd__store_release(&home->owner, pkd__self() << 1);
}

void pkd__home_adopt(struct pkd__home* home) {
  uint64_t mine = pkd__self() << 1;
  /* relaxed: the CAS checks it */
  uint64_t owner = pkd__load_relaxed(&home->owner);

  if (owner == mine)
    return;
  do {
    owner &= ~BUSY; /* wait for who is just inside; it is a few instructions */
    /* (O3) acq_rel, pairs with (O1) and (O2): what the former thread did to the
     * ready list is visible, and from here on it finds itself elsewhere. */
  } while (!pkd__cas_acq_rel(&home->owner, &owner, mine));
  pkd__registry_moved();
}

void pkd__home_returned_away(struct pkd__home* home) {
  /* (A1) acq_rel, pairs with itself and (A2): who frees it comes after all */
  if (pkd__sub_acq_rel(&home->away, 1) == 1)
    pkd__home_free(home);
}

void pkd__home_free(struct pkd__home* home) {
  uv_mutex_destroy(&home->lock);
  uv_mutex_destroy(&home->retreat);
  free(home);
}

/* --- timeouts -------------------------------------------------------------- */

static uint64_t now_of(const struct pkd__home* home) {
  return uv_hrtime() / 1000000 - home->epoch;
}

uint32_t pkd__home_deadline(const struct pkd__home* home, uint64_t ms) {
  /* One more, as the present is rounded down: never too early. 0 means none. */
  uint32_t deadline = (uint32_t)(now_of(home) + ms + 1);

  return deadline == 0 ? 1 : deadline;
}

/* The wheel counts in 64 bits, a request in 32: deadlines are at most a little
 * more than 2^31 ahead of the present. What looks to be further ahead is behind it:
 * time went on while the request was on its way to the wheel. */
static uint64_t deadline_from(uint64_t present, const struct pkd__link* link) {
  const char* at = (const char*)link - offsetof(pkd_req_t, link);
  uint32_t deadline = pkd__deadline_of((const pkd_req_t*)(const void*)at);
  uint32_t ahead = deadline - (uint32_t)present;

  return ahead > PKD__TIMEOUT_MAX / 2 * 3 ? present : present + ahead;
}

/* Of one that the wheel has come near to. */
static uint64_t deadline_of(const struct pkd__wheel* wheel,
                            const struct pkd__link* link) {
  return deadline_from(wheel->now, link);
}

void pkd__home_expire(struct pkd__home* home) {
  uint64_t now = now_of(home);

  pkd__home_adopt(home);
  for (int i = 0; i < TURN_EXPIRIES; i++) {
    struct pkd__link* link = pkd__wheel_expire(&home->wheel, now, deadline_of);

    if (link == NULL)
      break;
    pkd__list_append(&home->plain, link);
    /* Granted or cancelled already: that counts, and is on its way. */
    pkd__req_end(pkd__req_at(link), PKD__TIMEDOUT);
  }
  home->armed = PKD__WHEEL_NEVER;
  pkd__home_arm(home);
}

void pkd__home_arm(struct pkd__home* home) {
  uint64_t next = pkd__wheel_next(&home->wheel);
  /* uv_timer_start counts from here; it may lie before the attach, so the other is
   * told in its terms. */
  uint64_t now = uv_now(home->uv);
  uint64_t due = next + home->epoch;

  if (next >= home->armed || home->detaching)
    return;
  home->armed = next;
  uv_timer_start(&home->timer, on_timer, due > now ? due - now : 0, 0);
}

static void on_timer(uv_timer_t* timer) {
  pkd__home_expire(timer->data);
}

/* Nothing: that it is active keeps the loop from sleeping. */
static void on_idle(uv_idle_t* idle) {
  (void)idle;
}
