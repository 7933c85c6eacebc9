/* SPDX-License-Identifier: MIT
 *
 * keyed.c - the keyed mutex: its whole state is the lot.
 *
 * A key has no word. It has a name: an address that belongs to nobody, computed
 * from the keyed mutex and the key. Who holds a key stands in the lot's queue of
 * that name, first among the requests for that key; those behind it wait. The
 * key is free when nobody stands there. So nothing is kept for other keys, and
 * all that happens to a key happens under the lot's lock of its name.
 *
 * Two keys may have one name, if their hashes agree; then requests for both stand
 * in one queue. Each compares the key itself and passes the others by, so that
 * costs time and nothing else. One rule serves all cases: *if the first of a key
 * only waits, it is granted*. It is applied when one has queued up behind a
 * stranger, or behind one who is away; by who leaves; and for who comes back.
 *
 * Who is away (grant.h) is passed by: the first is the first who is not. When that
 * one has the key, it goes to the head of the queue, so that it is the first still
 * when those it has passed have come back.
 *
 * A holder leaves the queue before its state says so, under the same hold of the
 * lock; and a grant is settled (delivered or not) under the lock, too. So whoever
 * finds a request in the queue finds it alive. */
#include "keyed.h"

#include "engine.h"
#include "grant.h"
#include "home.h"
#include "request.h"

#include <string.h>

/* One look at the queue of a name, for the key of `req`. */
struct look {
  pkd_req_t* req;
  bool leave;          /* `req` leaves, if it stands there in this state ... */
  uint32_t expect;     /* ... */
  uint32_t then;       /* ... and is in this one afterwards */
  bool left;           /* it did */
  bool met;            /* one with that key stands there, who does not leave */
  bool preceded;       /* ... and is not `req` */
  pkd_req_t* chosen;   /* ... and was granted the key */
  bool passed;         /* it stands behind others who are away */
  const pkd_req_t* to; /* its loop has it in hand: not to be posted */
  bool came;           /* it was granted */
};

static void look_at(struct look* look);

/* --- the calls ------------------------------------------------------------- */

int pkd_async_keyed_lock(pkd_loop_t* loop, pkd_req_t* req,
                         pkd_async_keyed_t* keyed, const void* key,
                         size_t length, pkd_req_cb cb) {
  int err = pkd__keyed_prepare(req, keyed, key, length);

  if (err != 0)
    return err;
  return pkd__start(loop, req, pkd__keyed_name(keyed, key, length),
                    PKD__KIND_KEYED, (uint32_t)length, cb);
}

int pkd_async_keyed_trylock(pkd_req_t* req, pkd_async_keyed_t* keyed,
                            const void* key, size_t length) {
  int err = pkd__keyed_prepare(req, keyed, key, length);

  if (err != 0)
    return err;
  return pkd__try(req, pkd__keyed_name(keyed, key, length), PKD__KIND_KEYED,
                  (uint32_t)length);
}

int pkd_async_keyed_lock_blocking(pkd_req_t* req, pkd_async_keyed_t* keyed,
                                  const void* key, size_t length,
                                  pkd_deadline_t deadline) {
  int err = pkd__keyed_prepare(req, keyed, key, length);

  if (err != 0)
    return err;
  return pkd__block(req, pkd__keyed_name(keyed, key, length), PKD__KIND_KEYED,
                    (uint32_t)length, deadline);
}

int pkd_async_keyed_unlock(pkd_req_t* req, pkd_async_keyed_t* keyed) {
  struct look look = {.req = req,
                      .leave = true,
                      .expect = pkd__state(PKD__OWNED, PKD__KIND_KEYED),
                      .then = PKD__IDLE};
  struct pkd__home* home;

  if (req == NULL || keyed == NULL)
    return UV_EINVAL;
  /* (S2) acquire, pairs with (S1) */
  if (pkd__load_acquire(&req->waiter.state) != look.expect ||
      pkd__keyed_owner(req) != keyed)
    return UV_EPERM;
  home = req->via.home;
  look_at(&look);
  if (!look.left)
    return UV_EPERM; /* another thread showed the same ticket first */
  if (home != NULL)
    pkd__home_returned(home);
  return 0;
}

int pkd__keyed_prepare(pkd_req_t* req, pkd_async_keyed_t* keyed,
                       const void* key, size_t length) {
  int err;

  if (req == NULL || keyed == NULL || (key == NULL && length != 0) ||
      length > PKD_ASYNC_KEY_MAX)
    return UV_EINVAL;
  if ((err = pkd__req_startable(req)) != 0)
    return err;
  /* (K2) acquire, pairs with (K1): who closed it is done with it */
  if (pkd__load_acquire(&keyed->closed) != 0) {
    req->waiter.token = 0; /* its timeout is used up, as by any start */
    return UV_ESHUTDOWN;
  }
  pkd__key_set(req, keyed, key, length);
  return 0;
}

/* --- handing over ---------------------------------------------------------- */

struct transfer {
  pkd_req_t* from;
  pkd_req_t* to;
};

static int inherit(void* arg);
static bool step_out(pkd_req_t* req, uint32_t expect);

/* The heir takes its place at the front of the queue in the step in which the
 * other ceases to be the owner. That one stands behind it for a moment still, as
 * somebody who does not wait (see join), and grants, when it steps out, what the
 * heir may have given back by then. */
int pkd__keyed_transfer(pkd_req_t* from, pkd_req_t* to) {
  struct transfer transfer = {from, to};
  struct pkd__home* home = from->via.home;
  uint64_t token = to->waiter.token;

  memcpy(to->extra, from->extra, sizeof to->extra);
  to->via.home = NULL;
  to->waiter.wake = from->waiter.wake;
  to->waiter.token = pkd__want(from);
  if (pkd_lot_enqueue_front(pkd__object_of(from), &to->waiter, inherit,
                            &transfer) != 0) {
    to->waiter.token = token;
    return UV_EPERM; /* another thread showed the same ticket first */
  }
  if (!step_out(from, PKD__IDLE)) {
    /* It was its parent's, who has forked this process: nobody holds a key. */
    step_out(to, pkd__state(PKD__OWNED, PKD__KIND_KEYED));
    return UV_EPERM;
  }
  if (home != NULL)
    pkd__home_returned(home);
  return 0;
}

/* Under the lot's lock. */
static int inherit(void* arg) {
  struct transfer* transfer = arg;
  uint32_t owned = pkd__state(PKD__OWNED, PKD__KIND_KEYED);
  uint32_t* state = &transfer->from->waiter.state;

  if (pkd__load_relaxed(state) != owned) /* relaxed: under the lot's lock */
    return 0;
  pkd__store_relaxed(state, PKD__IDLE); /* relaxed: its owner is in this call */
  /* (S1) release, pairs with (S2): with the ticket comes what it guards */
  pkd__store_release(&transfer->to->waiter.state, owned);
  return 1;
}

static bool step_out(pkd_req_t* req, uint32_t expect) {
  struct look look = {
      .req = req, .leave = true, .expect = expect, .then = PKD__IDLE};

  look_at(&look);
  return look.left;
}

/* --- in the queue ---------------------------------------------------------- */

struct joining {
  pkd_req_t* req;
  const pkd_async_keyed_t* keyed; /* if it would wait; else NULL */
  bool free;                      /* nobody stood there: it holds the key */
  bool stranger; /* the oldest is there for another key, or is away */
  bool shut;     /* it may not wait */
};

/* Under the lot's lock: is `req` queued, and passed by? */
static bool is_away(const pkd_req_t* req) {
  /* relaxed, both: the lot's lock guards it; see grant.h */
  return pkd__load_relaxed(&pkd__away) != 0 &&
         pkd__is_away(pkd__load_relaxed(&req->waiter.state));
}

/* Under the lot's lock. What a request that does not wait leaves in its state,
 * IDLE, makes it a holder in the eyes of the others. */
static int join(void* arg, pkd_waiter_t* oldest) {
  struct joining* j = arg;

  j->free = oldest == NULL;
  j->stranger = oldest != NULL && (is_away(pkd__req_of(oldest)) ||
                                   !pkd__same_key(pkd__req_of(oldest), j->req));
  if (j->free || j->keyed == NULL)
    return j->free || j->stranger;
  /* (K2) acquire, pairs with (K1). A close that will not find it in the queue has
   * had the lot's lock before, and is seen here. */
  j->shut = pkd__load_acquire(&j->keyed->closed) != 0;
  if (!j->shut)
    /* (S6) release, pairs with (S5): a cancel that finds it queued, finds all */
    pkd__store_release(&j->req->waiter.state,
                       pkd__state(PKD__QUEUED, PKD__KIND_KEYED));
  return !j->shut;
}

static int start(pkd_req_t* req, bool wait) {
  struct joining joining = {.req = req,
                            .keyed = wait ? pkd__keyed_owner(req) : NULL};
  struct look look = {.req = req};

  if (pkd_lot_enqueue_behind(pkd__object_of(req), &req->waiter, join,
                             &joining) != 0)
    return joining.shut ? UV_ESHUTDOWN : UV_EAGAIN;
  if (joining.free)
    return 0;
  if (joining.stranger)
    look_at(&look); /* nobody of its key may be there to grant it */
  if (wait)
    return UV_EAGAIN;
  if (!look.preceded)
    return 0;
  /* A try, in the middle of its own queue, which stands among strangers. */
  step_out(req, PKD__IDLE);
  return UV_EAGAIN;
}

/* Under the lot's lock: is `req` still one of those who wait? */
static int only_waits(void* req) {
  /* relaxed: under the lot's lock */
  return pkd__step_of(pkd__load_relaxed(&((pkd_req_t*)req)->waiter.state)) ==
         PKD__QUEUED;
}

struct ending {
  pkd_req_t* req;
  enum pkd__step step;
  bool away;
};

static void ended(void* arg, const void* key, int was_last) {
  struct ending* ending = arg;
  uint32_t* state = &ending->req->waiter.state;
  uint32_t old = pkd__load_relaxed(state); /* relaxed: under the lot's lock */

  (void)key;
  (void)was_last;
  ending->away = pkd__is_away(old);
  pkd__grant_ended(old);
  /* (S1) release, pairs with (S2) and (S5); who is away may be gone after it */
  pkd__store_release(state, pkd__state(ending->step, PKD__KIND_KEYED));
}

/* Nobody waits for one who only waits: nobody else has to be looked at. */
static bool end(pkd_req_t* req, enum pkd__step step, bool* away) {
  struct ending ending = {req, step, false};
  bool done =
      pkd_lot_remove_if(&req->waiter, only_waits, req, ended, &ending) == 0;

  *away = ending.away;
  return done;
}

static bool take_back(pkd_req_t* req, uint32_t state) {
  struct look look = {.req = req,
                      .leave = true,
                      .expect = state,
                      .then = pkd__state(PKD__CANCELED, PKD__KIND_KEYED)};

  look_at(&look);
  return look.left;
}

static pkd_unpark_op_t stop(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_STOP;
}

struct settling {
  pkd_req_t* req;
  uint32_t state; /* before */
};

static uint64_t settled(void* arg, const pkd_unpark_result_t* result) {
  struct settling* settling = arg;
  uint32_t* state = &settling->req->waiter.state;

  (void)result;
  settling->state =
      pkd__load_relaxed(state); /* relaxed: under the lot's lock */
  if (pkd__step_of(settling->state) == PKD__GRANTED)
    /* (S1) release, pairs with (S2): who shows the ticket asks for its home */
    pkd__store_release(state, pkd__state_delivered(settling->state));
  return 0;
}

static uint32_t settle(pkd_req_t* req) {
  struct settling settling = {req, 0};

  pkd_lot_unpark_filter(pkd__object_of(req), stop, settled, &settling);
  return settling.state;
}

/* It was away, and waits again. */
static bool dispatch_to(pkd_req_t* to) {
  struct look look = {.req = to, .to = to};

  look_at(&look);
  return look.came;
}

static const struct pkd__in_lot in_lot = {
    .start = start,
    .end = end,
    .revoke = take_back,
    .settle = settle,
    .dispatch_to = dispatch_to,
};

const struct pkd__face pkd__face_keyed = {.in_lot = &in_lot};

/* --- one look -------------------------------------------------------------- */

struct round {
  struct look* look;
  struct pkd__bells bells;
  pkd_parker_t* parker;
  struct pkd__home* home; /* if a key that was granted to it is taken back */
  pkd_req_t* several;     /* such a key is one of several */
};

/* Is it passed by, as its loop is stuck? Then it lies in its mailbox as well from
 * now on. One bell may have to be left for who is granted the key. */
static bool put_off(struct round* round, pkd_req_t* req) {
  if (req == round->look->to || round->bells.count + 1 >= PKD__BELLS ||
      !pkd__grant_waits(&pkd__face_keyed, req, PKD__ADMITTED))
    return false;
  pkd__grant_put_off(req, PKD__KIND_KEYED);
  pkd__home_post(req->via.home, req, &round->bells);
  return true;
}

/* The first of the key who is not away. */
static void meet(struct look* look, pkd_req_t* req, bool waits) {
  look->met = true;
  look->preceded = req != look->req;
  if (!waits)
    return;
  look->chosen = req;
  /* (S1) release, pairs with (S2) and (S5) */
  pkd__store_release(&req->waiter.state,
                     pkd__state_granted(PKD__KIND_KEYED, PKD__ADMITTED));
}

static pkd_unpark_op_t decide(void* arg, pkd_waiter_t* waiter) {
  struct round* round = arg;
  struct look* look = round->look;
  pkd_req_t* req = pkd__req_of(waiter);
  uint32_t state = pkd__load_relaxed(&waiter->state); /* relaxed: as settled */
  bool waits = pkd__step_of(state) == PKD__QUEUED;

  if (look->met && (!look->leave || look->left))
    return PKD_UNPARK_STOP;
  if (!pkd__same_key(req, look->req))
    return PKD_UNPARK_SKIP;
  if (req == look->req && look->leave && state == look->expect) {
    look->left = true;
    return PKD_UNPARK_TAKE;
  }
  if (look->met)
    return PKD_UNPARK_SKIP;
  if (waits && (pkd__is_away(state) || put_off(round, req))) {
    look->passed = true;
    return PKD_UNPARK_SKIP;
  }
  meet(look, req, waits);
  if (look->passed)
    return PKD_UNPARK_FRONT;
  return look->leave && !look->left ? PKD_UNPARK_SKIP : PKD_UNPARK_STOP;
}

/* Who left is out of the queue by now. */
static uint64_t finish(void* arg, const pkd_unpark_result_t* result) {
  struct round* round = arg;
  struct look* look = round->look;
  pkd_req_t* chosen = look->chosen;
  struct pkd__home* home;

  (void)result;
  if (look->left)
    /* (S1) release, pairs with (D2) too: what it did shows to its next start */
    pkd__store_release(&look->req->waiter.state, look->then);
  if (chosen == NULL)
    return 0;
  look->came = chosen == look->to;
  home = chosen->via.home;
  if (home == NULL)
    round->parker = (pkd_parker_t*)chosen->link.next;
  if (home == NULL || look->came)
    return 0;
  /* relaxed: a setting, which counts from now on */
  if (pkd__load_relaxed(&home->patience) != 0)
    pkd__grant_note(home, chosen);
  pkd__home_post(home, chosen, &round->bells);
  return 0;
}

static void look_through(struct round* round, const void* name,
                         pkd_decide_cb decide_op) {
  round->bells.count = 0;
  round->parker = NULL;
  pkd_lot_unpark_filter(name, decide_op, finish, round);
  if (round->parker != NULL)
    pkd_parker_wake(round->parker);
  pkd__bells_ring(&round->bells);
}

static void look_at(struct look* look) {
  struct round round;

  round.look = look;
  look_through(&round, pkd__object_of(look->req), decide);
}

/* --- taken back ------------------------------------------------------------ */

/* The first that is noted for the home stays at its place, which is the first of
 * its key, and is passed by. A closed mutex keeps its owners. */
static pkd_unpark_op_t decide_overdue(void* arg, pkd_waiter_t* waiter) {
  struct round* round = arg;
  struct look* look = round->look;
  pkd_req_t* req = pkd__req_of(waiter);
  const pkd_async_keyed_t* keyed;

  if (look->req != NULL)
    return decide(arg, waiter);
  if (!pkd__grant_is_key_of(round->home, req))
    return PKD_UNPARK_SKIP;
  if (pkd__many_has(req)) {
    round->several = req;
    return PKD_UNPARK_STOP;
  }
  keyed = pkd__keyed_owner(req);
  /* relaxed: who has a key keeps the mutex in place; it stays closed */
  if (pkd__grant_take_key(round->home, req,
                          pkd__load_relaxed(&keyed->closed) != 0)) {
    look->req = req;
    look->passed = true;
  }
  return PKD_UNPARK_SKIP;
}

static bool is_overdue(const void* home, const pkd_req_t* req) {
  return pkd__grant_is_key_of(home, req);
}

static void take_back_at(void* home, const void* name) {
  struct look look;
  struct round round;

  do {
    look = (struct look){.req = NULL};
    round.look = &look;
    round.home = home;
    round.several = NULL;
    look_through(&round, name, decide_overdue);
    if (round.several != NULL)
      pkd__grant_retreat(home, round.several);
  } while (look.req != NULL || round.several != NULL);
}

void pkd__keyed_take_back(struct pkd__home* home) {
  pkd__keyed_walk(is_overdue, take_back_at, home);
}
