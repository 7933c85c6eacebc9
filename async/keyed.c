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
 * stranger, and by who leaves.
 *
 * A holder leaves the queue before its state says so, under the same hold of the
 * lock; and a grant is settled (delivered or not) under the lock, too. So whoever
 * finds a request in the queue finds it alive. */
#include "keyed.h"

#include "engine.h"
#include "home.h"
#include "request.h"

#include <string.h>

/* How many names there are where addresses have no bit to spare; a test makes
 * it three, on any machine, so that many keys share each. */
#if !defined(PKD_KEYED_NAMES) && UINTPTR_MAX <= UINT32_MAX
#define PKD_KEYED_NAMES 65536
#endif

/* Then a request has to remember its mutex, too. */
#ifdef PKD_KEYED_NAMES
enum { MUTEX = sizeof(((pkd_req_t*)0)->extra) / sizeof(uint64_t) - 1 };
#define INLINE (MUTEX * sizeof(uint64_t))
#else
#define INLINE PKD_ASYNC_KEY_INLINE
#endif

#define ODD UINT64_C(0x9e3779b97f4a7c15)
#define ODD_INVERSE UINT64_C(0xf1de83e19937733d) /* ODD * it = 1, modulo 2^64 */

/* One look at the queue of a name, for the key of `req`. */
struct look {
  pkd_req_t* req;
  bool leave;        /* `req` leaves, if it stands there in this state ... */
  uint32_t expect;   /* ... */
  uint32_t then;     /* ... and is in this one afterwards */
  bool left;         /* it did */
  bool met;          /* one with that key stands there, who does not leave */
  bool preceded;     /* ... and is not `req` */
  pkd_req_t* chosen; /* ... and was granted the key */
};

static const pkd_async_keyed_t* keyed_of(const pkd_req_t* req);
static bool same_key(const pkd_req_t* a, const pkd_req_t* b);
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
      keyed_of(req) != keyed)
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
  if (pkd__load_acquire(&keyed->closed) != 0)
    return UV_ESHUTDOWN;
  if (length > INLINE)
    memcpy(req->extra, &key, sizeof key);
  else if (length != 0)
    memcpy(req->extra, key, length);
#ifdef PKD_KEYED_NAMES
  req->extra[MUTEX] = (uintptr_t)keyed;
#endif
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
  bool stranger;                  /* the oldest is there for another key */
  bool shut;                      /* it may not wait */
};

/* Under the lot's lock. What a request that does not wait leaves in its state,
 * IDLE, makes it a holder in the eyes of the others. */
static int join(void* arg, pkd_waiter_t* oldest) {
  struct joining* j = arg;

  j->free = oldest == NULL;
  j->stranger = oldest != NULL && !same_key(pkd__req_of(oldest), j->req);
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
  struct joining joining = {.req = req, .keyed = wait ? keyed_of(req) : NULL};
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
  return pkd__load_relaxed(&((pkd_req_t*)req)->waiter.state) ==
         pkd__state(PKD__QUEUED, PKD__KIND_KEYED);
}

struct ending {
  pkd_req_t* req;
  enum pkd__step step;
};

static void ended(void* arg, const void* key, int was_last) {
  const struct ending* ending = arg;

  (void)key;
  (void)was_last;
  /* (S1) release, pairs with (S2) and (S5) */
  pkd__store_release(&ending->req->waiter.state,
                     pkd__state(ending->step, PKD__KIND_KEYED));
}

/* Nobody waits for one who only waits: nobody else has to be looked at. */
static bool end(pkd_req_t* req, enum pkd__step step, bool* away) {
  struct ending ending = {req, step};

  *away = false;
  return pkd_lot_remove_if(&req->waiter, only_waits, req, ended, &ending) == 0;
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
    /* relaxed: under the lot's lock */
    pkd__store_relaxed(state, pkd__state_delivered(settling->state));
  return 0;
}

static uint32_t settle(pkd_req_t* req) {
  struct settling settling = {req, 0};

  pkd_lot_unpark_filter(pkd__object_of(req), stop, settled, &settling);
  return settling.state;
}

static const struct pkd__in_lot in_lot = {
    .start = start,
    .end = end,
    .revoke = take_back,
    .settle = settle,
};

const struct pkd__face pkd__face_keyed = {.in_lot = &in_lot};

/* --- one look -------------------------------------------------------------- */

static pkd_unpark_op_t decide(void* arg, pkd_waiter_t* waiter) {
  struct look* look = arg;
  pkd_req_t* req = pkd__req_of(waiter);
  uint32_t state = pkd__load_relaxed(&waiter->state); /* relaxed: as settled */

  if (!same_key(req, look->req))
    return PKD_UNPARK_SKIP;
  if (req == look->req && look->leave && state == look->expect) {
    look->left = true;
    return PKD_UNPARK_TAKE;
  }
  if (!look->met) { /* the first of the key */
    look->met = true;
    look->preceded = req != look->req;
    if (state == pkd__state(PKD__QUEUED, PKD__KIND_KEYED)) {
      look->chosen = req;
      /* (S1) release, pairs with (S2) and (S5) */
      pkd__store_release(&waiter->state,
                         pkd__state_granted(PKD__KIND_KEYED, PKD__ADMITTED));
    }
  }
  return look->leave && !look->left ? PKD_UNPARK_SKIP : PKD_UNPARK_STOP;
}

struct round {
  struct look* look;
  struct pkd__bells bells;
  pkd_parker_t* parker;
};

static pkd_unpark_op_t decide_in_round(void* arg, pkd_waiter_t* waiter) {
  return decide(((struct round*)arg)->look, waiter);
}

/* Who left is out of the queue by now. */
static uint64_t finish(void* arg, const pkd_unpark_result_t* result) {
  struct round* round = arg;
  const struct look* look = round->look;

  (void)result;
  if (look->left)
    /* (S1) release, pairs with (D2) too: what it did shows to its next start */
    pkd__store_release(&look->req->waiter.state, look->then);
  if (look->chosen != NULL && look->chosen->via.home == NULL)
    round->parker = (pkd_parker_t*)look->chosen->link.next;
  else if (look->chosen != NULL)
    pkd__home_post(look->chosen->via.home, look->chosen, &round->bells);
  return 0;
}

static void look_at(struct look* look) {
  struct round round;

  round.look = look;
  round.bells.count = 0;
  round.parker = NULL;
  pkd_lot_unpark_filter(pkd__object_of(look->req), decide_in_round, finish,
                        &round);
  if (round.parker != NULL)
    pkd_parker_wake(round.parker);
  pkd__bells_ring(&round.bells);
}

/* --- keys and names -------------------------------------------------------- */

static const void* bytes_of(const pkd_req_t* req) {
  const void* key = req->extra;

  if (pkd__want(req) > INLINE)
    memcpy(&key, req->extra, sizeof key);
  return key;
}

/* The finaliser of MurmurHash3, word by word. Good enough to spread; that keys
 * which agree in it are told apart does not depend on it. */
static uint64_t mix(uint64_t h) {
  h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
  h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
  return h ^ h >> 33;
}

static uint64_t hash(const void* key, size_t length) {
  static const char anchor; /* its address differs from run to run */
  uint64_t h = (uint64_t)(uintptr_t)&anchor + length * ODD;
  const unsigned char* rest = key;

  while (length != 0) {
    size_t n = length < 8 ? length : 8;
    uint64_t word = 0;

    memcpy(&word, rest, n);
    h = mix(h ^ word);
    rest += n;
    length -= n;
  }
  return h;
}

#ifndef PKD_KEYED_NAMES

/* Names have the top bit, which no address of a program has. The product is one
 * to one modulo 2^63: equal keys of two keyed mutexes never share a name, and
 * the mutex can be found again. */
#define TOP (UINT64_C(1) << 63)

void* pkd__keyed_name(const pkd_async_keyed_t* keyed, const void* key,
                      size_t length) {
  return (void*)(uintptr_t)(((uintptr_t)keyed * ODD + hash(key, length)) | TOP);
}

static const pkd_async_keyed_t* keyed_of(const pkd_req_t* req) {
  uint64_t name = (uintptr_t)pkd__object_of(req);
  uint64_t product = name - hash(bytes_of(req), pkd__want(req));

  return (const pkd_async_keyed_t*)(uintptr_t)(product * ODD_INVERSE & ~TOP);
}

static bool same_mutex(const pkd_req_t* a, const pkd_req_t* b) {
  (void)a;
  (void)b;
  return true;
}

#else

/* No address is free here: names are the bytes of a table that is never touched.
 */
static const char names[PKD_KEYED_NAMES];

void* pkd__keyed_name(const pkd_async_keyed_t* keyed, const void* key,
                      size_t length) {
  uint64_t h = mix((uintptr_t)keyed * ODD + hash(key, length));
  return (void*)(uintptr_t)&names[h % sizeof names];
}

static const pkd_async_keyed_t* keyed_of(const pkd_req_t* req) {
  return (const pkd_async_keyed_t*)(uintptr_t)req->extra[MUTEX];
}

static bool same_mutex(const pkd_req_t* a, const pkd_req_t* b) {
  return keyed_of(a) == keyed_of(b);
}

#endif

/* Both stand, or stood, in one queue. */
static bool same_key(const pkd_req_t* a, const pkd_req_t* b) {
  uint32_t length = pkd__want(a);

  return a == b || (length == pkd__want(b) && same_mutex(a, b) &&
                    memcmp(bytes_of(a), bytes_of(b), length) == 0);
}

const void* pkd__keyed_owner(const pkd_req_t* req) {
  return keyed_of(req);
}
