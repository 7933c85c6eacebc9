/* SPDX-License-Identifier: MIT
 *
 * yield.c - a task lets the others of its loop go first.
 *
 * A wait that is over as it begins: the request is granted at its start, on the
 * loop's own thread, and goes through the ready list like any other. There is no
 * object, so nothing is given back if it is cancelled. */
#include "engine.h"
#include "home.h"

int pkd_loop_yield(pkd_loop_t* loop, pkd_req_t* req, pkd_req_cb cb) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;
  int err;

  if (home == NULL || req == NULL || cb == NULL)
    return UV_EINVAL;
  if ((err = pkd__req_startable(req)) != 0)
    return err;
  if (home == &pkd__home_gone || home->detaching)
    return UV_ESHUTDOWN;
  pkd__home_check(home, "pkd_loop_yield");
  if (!pkd__home_is_here(home))
    pkd__home_adopt(home);
  req->cb = cb;
  req->waiter.token = 0; /* its timeout is used up: it waits for nobody */
  /* relaxed, both: only this thread has seen the request so far */
  pkd__store_relaxed(&req->waiter.key, (const void*)loop);
  pkd__store_relaxed(&req->waiter.state,
                     pkd__state_granted(PKD__KIND_YIELD, PKD__PASSES));
  pkd__home_accept_granted(home, req);
  return 0;
}

/* It never waits in a queue. */
static int start(pkd_req_t* req, bool wait) {
  (void)req;
  (void)wait;
  return UV_EINVAL;
}

static bool end(pkd_req_t* req, enum pkd__step step, bool* away) {
  (void)req;
  (void)step;
  (void)away;
  return false;
}

static bool take_back(pkd_req_t* req, uint32_t state) {
  /* (S4) acq_rel, pairs with (S3): either this revokes or it is delivered */
  return pkd__cas_acq_rel(&req->waiter.state, &state,
                          pkd__state(PKD__CANCELED, PKD__KIND_YIELD));
}

static uint32_t settle(pkd_req_t* req) {
  /* (S2) acquire, pairs with (S1): cancelled, or its loop would have settled it */
  return pkd__load_acquire(&req->waiter.state);
}

static const struct pkd__in_lot in_lot = {
    .start = start,
    .end = end,
    .revoke = take_back,
    .settle = settle,
};

const struct pkd__face pkd__face_yield = {.in_lot = &in_lot, .plain = true};
