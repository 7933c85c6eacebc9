/* SPDX-License-Identifier: MIT
 *
 * request.c - what can be done to any request, whatever it is for. */
#include "request.h"

#include "cond.h"
#include "engine.h"
#include "grant.h"
#include "home.h"

struct ending {
  pkd_req_t* req;
  enum pkd__step step;
  const void* key; /* where it was */
  bool others;     /* may go on, now that it is gone */
  unsigned grant;  /* it was granted in the last moment */
  bool away;       /* it lies in its mailbox already, and may be gone */
  struct pkd__debt debt;
};

static bool end_from(pkd_req_t* req, enum pkd__step step, uint32_t state);
static void removed(void* arg, const void* key, int was_last);
static bool is_left_behind(const pkd_req_t* req, uint32_t state);
static bool take_back(pkd_req_t* req, uint32_t state);
static void settle_revoked(pkd_req_t* req);
static bool take_back_climb(pkd_req_t* req, uint32_t state);
static uint32_t settle_climb(pkd_req_t* req);

int pkd_req_set_timeout(pkd_req_t* req, uint64_t ms) {
  uint64_t timeout = ms > PKD__TIMEOUT_MAX ? 0 : ms + 1;
  int err = req == NULL ? UV_EINVAL : pkd__req_startable(req);

  if (err == 0 || err == UV_EBUSY) {
    pkd__set_deadline(req, (uint32_t)timeout);
    err = 0;
  }
  return err;
}

int pkd_req_cancel(pkd_req_t* req) {
  if (req == NULL)
    return UV_EINVAL;
  for (;;) {
    /* (S5) acquire, pairs with (S1) and (S6): with the state come key and want */
    uint32_t state = pkd__load_acquire(&req->waiter.state);

    switch (pkd__step_of(state)) {
    case PKD__IDLE:
      return UV_EINVAL;
    case PKD__QUEUED:
      if (end_from(req, PKD__CANCELED, state))
        return 0;
      if (is_left_behind(req, state))
        return UV_EINVAL;
      break; /* something else ended it just now */
    case PKD__GRANTED:
      if ((pkd__grant_of(state) & PKD__FINAL) != 0)
        return UV_EBUSY;
      if (take_back(req, state))
        return 0;
      break;
    case PKD__CANCELED:
    case PKD__CLOSED:
      return 0;
    default:
      return UV_EBUSY;
    }
  }
}

/* Does it say still that it waits, and does not? It did in the parent of this
 * process. */
static bool is_left_behind(const pkd_req_t* req, uint32_t state) {
  /* (S5) acquire, pairs with (S1) and (S6), as for who looks again */
  return pkd__in_forked_child() &&
         pkd__load_acquire(&req->waiter.state) == state;
}

/* Takes back a grant that was not delivered. The callback is still to come, so
 * the request is in place, but not after that. */
static bool take_back(pkd_req_t* req, uint32_t state) {
  const struct pkd__face* face = pkd__face_of(pkd__kind_of(state));
  uint32_t want = pkd__want(req);
  struct pkd__debt debt;

  if (face->in_lot != NULL)
    return face->in_lot->revoke(req, state);
  if (pkd__kept(face, want) != 0)
    return take_back_climb(req, state);
  /* It has used nothing up, and there is nothing to give back. */
  if ((pkd__grant_of(state) & PKD__PASSES) != 0 && want == 0)
    return pkd__req_revoke(req, state);
  debt = pkd__cond_debt(req);
  if (!pkd__leave_revoked(req, state))
    return false;
  pkd__cond_forward(&debt);
  return true;
}

bool pkd__req_revoke(pkd_req_t* req, uint32_t state) {
  enum pkd__kind kind = pkd__kind_of(state);

  /* (S4) acq_rel, pairs with (S3): either this revokes or it is delivered */
  return pkd__cas_acq_rel(&req->waiter.state, &state,
                          pkd__state(PKD__CANCELED, kind) |
                              (uint32_t)PKD__REVOKED << 16);
}

static int nothing(void* unused) {
  (void)unused;
  return 0;
}

/* Waits until who has taken a grant of `req` back is done with the object: under the
 * lot's lock, see pkd__leave_revoked(). */
static void settle_revoked(pkd_req_t* req) {
  pkd_lot_enqueue(pkd__object_of(req), &req->waiter, nothing, NULL);
}

/* --- who climbs ------------------------------------------------------------ */

/* It owns something before and after. So what the word says of it has to change in
 * one step with its state: told of the end before that, it might give back what the
 * word does not say it has. Both this and the delivery are under the lot's lock. */
struct climb {
  pkd_req_t* req;
  uint32_t state; /* before */
};

static int fall(void* arg) {
  struct climb* climb = arg;
  pkd_req_t* req = climb->req;
  enum pkd__kind kind = pkd__kind_of(climb->state);
  const struct pkd__face* face = pkd__face_of(kind);
  void* object = pkd__object_of(req);
  uint32_t want = pkd__want(req);
  uint32_t* state = &req->waiter.state;
  uint32_t now = pkd__load_relaxed(state); /* relaxed: under the lot's lock */

  if (now != climb->state) {
    climb->state = now;
    return 0;
  }
  /* relaxed: its end is told under the lot's lock */
  pkd__store_relaxed(state, pkd__state(PKD__CANCELED, kind));
  /* Who has climbed is alone: others change the word under this lock only. */
  pkd__word_set(face, object,
                face->left(pkd__word(face, object), (int64_t)want));
  return 0; /* it is not queued */
}

static bool take_back_climb(pkd_req_t* req, uint32_t state) {
  struct climb climb = {req, state};
  void* object = pkd__object_of(req);

  pkd_lot_enqueue(object, &req->waiter, fall, &climb);
  if (climb.state != state)
    return false;
  pkd__dispatch(object);
  return true;
}

static int arrive(void* arg) {
  struct climb* climb = arg;
  uint32_t* state = &climb->req->waiter.state;

  climb->state = pkd__load_relaxed(state); /* relaxed: under the lot's lock */
  if (pkd__step_of(climb->state) == PKD__GRANTED)
    /* (S1) release, pairs with (S2): who shows the ticket asks for its home */
    pkd__store_release(state, pkd__state_delivered(climb->state));
  return 0;
}

static uint32_t settle_climb(pkd_req_t* req) {
  struct climb climb = {req, 0};

  pkd_lot_enqueue(pkd__object_of(req), &req->waiter, arrive, &climb);
  return climb.state;
}

/* --- waits that end by themselves ------------------------------------------ */

bool pkd__req_end(pkd_req_t* req, enum pkd__step step) {
  /* (S5) acquire, pairs with (S1) and (S6) */
  return end_from(req, step, pkd__load_acquire(&req->waiter.state));
}

/* The same, which stood in `state` a moment ago. */
static bool end_from(pkd_req_t* req, enum pkd__step step, uint32_t state) {
  struct ending ending;
  struct pkd__bells bells;
  const struct pkd__in_lot* in_lot =
      pkd__step_of(state) == PKD__IDLE
          ? NULL
          : pkd__face_of(pkd__kind_of(state))->in_lot;

  ending.req = req;
  ending.step = step;
  ending.grant = PKD__REFUSED;
  ending.others = ending.away = false;
  ending.debt.cond = NULL;
  if (in_lot != NULL ? !in_lot->end(req, step, &ending.away)
                     : pkd_lot_remove(&req->waiter, removed, &ending) != 0)
    return false;
  bells.count = 0;
  if (!ending.away && req->via.home == NULL)
    pkd_parker_wake((pkd_parker_t*)req->link.next);
  else if (!ending.away)
    pkd__home_hand(req->via.home, req, &bells);
  if (bells.count != 0)
    pkd__bells_ring(&bells);
  /* It may have been the head, and all that kept the others waiting. */
  if (ending.others)
    pkd__dispatch(ending.key);
  if (ending.debt.cond != NULL)
    pkd__cond_forward(&ending.debt);
  return ending.grant == PKD__REFUSED;
}

/* Under the lot's lock; the waiter kept the object in place until now. */
static void removed(void* arg, const void* key, int was_last) {
  struct ending* ending = arg;
  uint32_t* state = &ending->req->waiter.state;
  /* relaxed: the lot's lock guards it while it is queued */
  uint32_t old = pkd__load_relaxed(state);
  enum pkd__kind kind = pkd__kind_of(old);

  ending->away = pkd__is_away(old);
  pkd__grant_ended(old);
  ending->debt = pkd__cond_debt(ending->req);
  ending->grant =
      pkd__withdraw(key, ending->req, was_last != 0, &ending->others);
  ending->key = key;
  /* (S1) release, pairs with (S2) and (S5); who is away may be gone after it */
  pkd__store_release(state, ending->grant == PKD__REFUSED
                                ? pkd__state(ending->step, kind)
                                : pkd__state_granted(kind, ending->grant));
}

int pkd__req_startable(const pkd_req_t* req) {
  /* (D2) acquire, pairs with (D1), (D3) and (S1): who gave back what it owned is
   * done with it */
  uint32_t state = pkd__load_acquire(&req->waiter.state);

  if (pkd__step_of(state) == PKD__IDLE)
    return 0;
  return pkd__step_of(state) == PKD__OWNED ? UV_EBUSY : UV_EALREADY;
}

int pkd__req_settle(pkd_req_t* req) {
  /* (S2) acquire, pairs with (S1): what the last owner did is visible */
  uint32_t state = pkd__load_acquire(&req->waiter.state);
  const struct pkd__face* face = pkd__face_of(pkd__kind_of(state));
  const struct pkd__in_lot* in_lot = face->in_lot;
  uint32_t want;
  uint32_t kept;

  if (in_lot != NULL)
    state = in_lot->settle(req);
  want = pkd__want(req);
  kept = pkd__kept(face, want);
  if (kept != 0)
    state = settle_climb(req);
  if (pkd__step_of(state) == PKD__GRANTED) {
    uint32_t granted = state;

    /* relaxed: a revoke may be reading the half that does not change */
    pkd__store_relaxed(&req->waiter.token, want);
    /* (S3) acq_rel, pairs with (S4): either this delivers or a cancel revokes */
    if (in_lot != NULL || kept != 0 ||
        pkd__cas_acq_rel(&req->waiter.state, &state,
                         pkd__state_delivered(granted))) {
      if (kept != 0)
        pkd__set_want(req, pkd__gained(face, want));
      return (pkd__grant_of(granted) & PKD__LEADS) != 0;
    }
  }
  if ((pkd__grant_of(state) & PKD__REVOKED) != 0)
    settle_revoked(req);
  /* relaxed, both: the request is its owner's again; a cancel that came too late
   * may still be looking at it */
  pkd__store_relaxed(&req->waiter.token, kept);
  pkd__store_relaxed(&req->waiter.state,
                     kept == 0 ? (uint32_t)PKD__IDLE
                               : pkd__state(PKD__OWNED, pkd__kind_of(state)));
  return pkd__step_of(state) == PKD__TIMEDOUT ? UV_ETIMEDOUT : UV_ECANCELED;
}

const void* pkd_req_owned(const pkd_req_t* req) {
  uint32_t state;

  if (req == NULL)
    return NULL;
  /* (S2) acquire, pairs with (S1) */
  state = pkd__load_acquire(&req->waiter.state);
  if (pkd__step_of(state) != PKD__OWNED)
    return NULL;
  return pkd__kind_of(state) == PKD__KIND_KEYED ? pkd__keyed_owner(req)
                                                : pkd__object_of(req);
}

int pkd__disown(pkd_req_t* req, const void* object, enum pkd__kind kind) {
  uint32_t state = pkd__state(PKD__OWNED, kind);
  struct pkd__home* home;

  if (!pkd__owns(req, object, kind))
    return UV_EPERM;
  home = req->via.home;
  /* (D1) acq_rel, pairs with (D2) and itself: of several who show the same
   * ticket, one is right */
  if (!pkd__cas_acq_rel(&req->waiter.state, &state, PKD__IDLE))
    return UV_EPERM;
  if (home != NULL)
    pkd__home_returned(home);
  return 0;
}

void pkd__bestow(pkd_req_t* req, const void* object, enum pkd__kind kind,
                 uint32_t what) {
  req->via.home = NULL;
  req->waiter.token = what;
  /* relaxed: with the state, who may ask sees it */
  pkd__store_relaxed(&req->waiter.key, object);
  /* (S1) release, pairs with (S2): with the ticket comes what it guards */
  pkd__store_release(&req->waiter.state, pkd__state(PKD__OWNED, kind));
}

int pkd_req_transfer(pkd_req_t* from, pkd_req_t* to) {
  enum pkd__kind kind;
  const void* object;
  uint32_t what;
  int err;

  if (from == NULL || to == NULL || from == to)
    return UV_EINVAL;
  if ((err = pkd__req_startable(to)) != 0)
    return err;
  if ((object = pkd_req_owned(from)) == NULL)
    return UV_EPERM;
  /* relaxed: pkd_req_owned() has looked with acquire */
  kind = pkd__kind_of(pkd__load_relaxed(&from->waiter.state));
  if (kind == PKD__KIND_KEYED) /* the ticket itself stands in the lot */
    return pkd__keyed_transfer(from, to);
  if (kind == PKD__KIND_MUTEX) /* its word names the ticket */
    return pkd__mutex_transfer(from, to);
  /* (T1) acq_rel, pairs with itself: what was taken off before is not ours */
  what = (uint32_t)pkd__exchange_acq_rel(&from->waiter.token, 0);
  if ((err = pkd__disown(from, object, kind)) == 0)
    pkd__bestow(to, object, kind, what);
  return err;
}
