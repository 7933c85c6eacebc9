/* SPDX-License-Identifier: MIT
 *
 * engine.c - grants: one function, dispatch(), decides them all, but for keys
 * (keyed.c), and for what quick.h writes out.
 *
 * A round of dispatch() runs under the lot's lock of the address. decide() looks
 * at the heads and computes the word in a local copy; finish() writes it back,
 * then hands the granted requests to their loops. In this order, because who is
 * handed its request may run at once and free the object. Threads are woken, and
 * loops rung, when the lot's lock is dropped.
 *
 * The first round of a leave() may touch the object: the caller owns part of it
 * until the round has given that back. Who takes a grant back may do so as well, but
 * only once that is taken back, in this round (has_right()). Any other round touches
 * it only if decide() was shown a waiter, which keeps it in place.
 *
 * (A little long: who is granted, who is passed by and who is sent away is one
 * decision, and is easier to check in one place.) */
#include "engine.h"

#include "grant.h"
#include "home.h"
#include "panic.h"

#define ROUND 32u /* grants under one hold of the lot's lock */

/* Overtaking. A lock that goes to and fro between threads pays a wake for each
 * section; one that stays with the tasks of a loop pays none. So where an object
 * allows it, a task that gives back lets the first of its own loop overtake, if
 * one is among the REACH first and the head has not yet waited for PATIENCE. Who
 * has is served in its turn, and so are then all before whom nobody is younger:
 * a wait lasts PATIENCE, and the sections of those ahead, at most. */
#define PATIENCE UINT64_C(500000) /* ns */
#define REACH 8u

struct round {
  const void* key;
  const struct pkd__face* face; /* set with `object`, or by the first waiter */
  void* object;                 /* NULL: must not be touched without a waiter */
  int64_t amount;               /* what the caller gives back */
  bool owed;                    /* ... and that it has not been given yet */
  bool close;                   /* nobody is granted, everybody is sent away */
  bool seen;                    /* a waiter was there: `word` is valid */
  bool full;                    /* stopped because of ROUND */
  uint64_t word;
  const pkd_req_t* to;          /* its loop has it in hand: not to be posted */
  bool came;                    /* it was granted */
  const struct pkd__home* near; /* whose requests may overtake, or NULL */
  pkd_req_t* ticket;  /* that gives `amount` back; NULL: a right to it */
  pkd_req_t* revoked; /* or: whose grant it was, if it stands in ... */
  uint32_t granted;   /* ... this state still; NULL: a right to it */
  bool denied;        /* that is not the ticket's to give, or not there */
  bool gives;         /* this round has given `amount` back */
  unsigned passed_by; /* how many may be overtaken */
  unsigned count;
  pkd_req_t* taken[ROUND]; /* granted, closed, or put off */
  struct pkd__bells bells;
};

static int leave_queue(void* object, const struct pkd__face* face,
                       int64_t amount, const struct pkd__home* near,
                       pkd_req_t* ticket);
static void dispatch(struct round* round);
static pkd_unpark_op_t decide(void* arg, pkd_waiter_t* waiter);
static bool see(struct round* round, const pkd_waiter_t* waiter,
                enum pkd__kind kind);
static bool is_strange(const pkd_waiter_t* waiter, enum pkd__kind kind);
static bool has_right(const struct round* round, uint64_t word);
static bool is_overtaken(struct round* round, const pkd_req_t* req);
static bool nobody_overtakes(struct round* round);
static pkd_unpark_op_t serve(struct round* round, pkd_req_t* req,
                             enum pkd__kind kind);
static uint64_t finish(void* arg, const pkd_unpark_result_t* result);
static bool hand_out(struct round* round, pkd_req_t* req);
static void write_back(struct round* round, bool have_more);

const struct pkd__face* const pkd__faces[PKD__KINDS] = {
    [PKD__KIND_MUTEX] = &pkd__face_mutex,
    [PKD__KIND_SEM] = &pkd__face_sem,
    [PKD__KIND_EVENT] = &pkd__face_event,
    [PKD__KIND_ONCE] = &pkd__face_once,
    [PKD__KIND_GATE] = &pkd__face_gate,
    [PKD__KIND_BARRIER] = &pkd__face_barrier,
    [PKD__KIND_KEYED] = &pkd__face_keyed,
    [PKD__KIND_RWLOCK] = &pkd__face_rwlock,
    [PKD__KIND_COND] = &pkd__face_cond,
    [PKD__KIND_YIELD] = &pkd__face_yield,
};

void pkd__leave(void* object, enum pkd__kind kind, int64_t amount) {
  const struct pkd__face* face = pkd__face_of(kind);
  uint64_t word = pkd__word(face, object);

  while ((word & face->queued) == 0) {
    if (pkd__word_cas(face, object, word, face->left(word, amount)))
      return;
    word = pkd__word(face, object);
  }
  (void)leave_queue(object, face, amount, NULL, NULL);
}

int pkd__leave_by(void* object, enum pkd__kind kind, int64_t amount,
                  const struct pkd__home* home, pkd_req_t* ticket) {
  const struct pkd__face* face = pkd__face_of(kind);
  uint64_t word = pkd__word(face, object);

  while ((word & face->queued) == 0) {
    if (!face->has(word, ticket))
      return UV_EPERM;
    if (pkd__word_cas(face, object, word, face->left(word, amount))) {
      pkd__give_up(ticket);
      return 0;
    }
    word = pkd__word(face, object);
  }
  return leave_queue(object, face, amount, home, ticket);
}

/* A round at `key` that neither gives back nor closes. (The places of those who are
 * taken are left as they are.) */
static void prepare(struct round* round, const void* key,
                    const struct pkd__face* face) {
  round->key = key;
  round->face = face;
  round->object = NULL;
  round->owed = round->close = round->came = false;
  round->to = NULL;
  round->near = NULL;
  round->ticket = round->revoked = NULL;
}

/* ... that gives back. The object is the caller's until it has. */
static void prepare_leave(struct round* round, void* object,
                          const struct pkd__face* face, int64_t amount) {
  prepare(round, object, face);
  round->object = object;
  round->amount = amount;
  round->owed = true;
}

/* Gives back to those who wait. `near` is not touched before it is sure that the
 * ticket keeps it: another may have given it back, and the loop may be gone. */
static int leave_queue(void* object, const struct pkd__face* face,
                       int64_t amount, const struct pkd__home* near,
                       pkd_req_t* ticket) {
  struct round round;

  prepare_leave(&round, object, face, amount);
  round.near = near;
  round.ticket = ticket;
  dispatch(&round);
  return round.denied ? UV_EPERM : 0;
}

bool pkd__leave_revoked(pkd_req_t* req, uint32_t granted) {
  const struct pkd__face* face = pkd__face_of(pkd__kind_of(granted));
  void* object = pkd__object_of(req);
  struct round round;

  prepare_leave(&round, object, face, pkd__want(req));
  round.revoked = req;
  round.granted = granted;
  dispatch(&round);
  return !round.denied;
}

void pkd__dispatch(const void* key) {
  (void)pkd__dispatch_to(key, NULL);
}

bool pkd__dispatch_to(const void* key, const pkd_req_t* to) {
  struct round round;

  prepare(&round, key, NULL);
  round.to = to;
  dispatch(&round);
  return round.came;
}

void pkd__close(void* object, enum pkd__kind kind) {
  struct round round;

  prepare(&round, object, pkd__face_of(kind));
  round.object = object;
  round.close = true;
  dispatch(&round);
}

int pkd__destroy(void* object, enum pkd__kind kind, uint64_t mask,
                 uint64_t idle, uint64_t mark) {
  const struct pkd__face* face = pkd__face_of(kind);
  uint64_t word;

  if (object == NULL)
    return UV_EINVAL;
  do {
    word = pkd__word(face, object);
    if ((word & mask) != idle)
      return UV_EBUSY;
  } while (!pkd__word_cas(face, object, word, word | mark));
  return 0;
}

static void dispatch(struct round* round) {
  round->denied = false;
  do {
    round->seen = round->full = round->gives = false;
    round->count = round->passed_by = 0;
    round->bells.count = 0;
    pkd_lot_unpark_filter(round->key, decide, finish, round);
    for (unsigned i = 0; i < round->count; i++)
      pkd_parker_wake((pkd_parker_t*)round->taken[i]->link.next);
    pkd__bells_ring(&round->bells);
    /* Given back: others may have freed it, and another may be there now. If
     * this one is closed, its word says so to the next round. */
    if (!round->owed)
      round->object = NULL;
    round->close = false;
  } while (round->full);
  pkd__check(round->key);
}

static pkd_unpark_op_t decide(void* arg, pkd_waiter_t* waiter) {
  struct round* round = arg;
  pkd_req_t* req = pkd__req_of(waiter);
  uint32_t state;

  if (round->count == ROUND) {
    round->full = true;
    return PKD_UNPARK_STOP;
  }
  /* Without a look at the waiter, whose memory is likely to be far away. */
  if (round->seen && !round->close && (round->word & round->face->shut) != 0)
    return PKD_UNPARK_STOP;
  /* relaxed: the lot's lock guards it while it is queued */
  state = pkd__load_relaxed(&waiter->state);
  if (!round->seen && !see(round, waiter, pkd__kind_of(state)))
    return PKD_UNPARK_STOP;
  if (!pkd__is_away(state)) {
    if (round->near != NULL && is_overtaken(round, req))
      return round->passed_by < REACH ? PKD_UNPARK_SKIP : PKD_UNPARK_STOP;
    return serve(round, req, pkd__kind_of(state));
  }
  if (!round->close)
    return PKD_UNPARK_SKIP;
  /* Its loop may come to it as soon as the state says that it is over; so that
   * is said last. */
  round->taken[round->count++] = req;
  return PKD_UNPARK_TAKE;
}

/* Somebody waits: the object is in place.
 * @return false: the caller has no right to what it would give back, or it was gone,
 *         and what is there now is none of its business */
static bool see(struct round* round, const pkd_waiter_t* waiter,
                enum pkd__kind kind) {
  if ((round->object == NULL || round->revoked != NULL) &&
      is_strange(waiter, kind))
    return false;
  round->seen = true;
  round->face = pkd__face_of(kind);
  round->word = pkd__word(round->face, round->key);
  round->denied = round->owed && !has_right(round, round->word);
  if (round->denied)
    return false;
  if (round->owed)
    round->word = round->face->left(round->word, round->amount);
  round->gives = round->owed;
  round->owed = false;
  /* A close that needs several rounds is not overtaken by a grant. */
  round->close |= (round->word & round->face->closed) != 0;
  if ((round->word & round->face->overtakes) == 0 || round->close ||
      (round->near != NULL && !pkd__home_is_here(round->near)))
    round->near = NULL;
  return true;
}

/* Where an object was, another may be by now, which has no word: a condition, or
 * something of somebody else's, who uses the lot as well. */
static bool is_strange(const pkd_waiter_t* waiter, enum pkd__kind kind) {
  return waiter->wake != pkd__woken_by_stranger ||
         pkd__face_of(kind)->in_lot != NULL;
}

/* To what it gives back. A grant is taken back in this step. */
static bool has_right(const struct round* round, uint64_t word) {
  if (round->revoked != NULL)
    return pkd__req_revoke(round->revoked, round->granted);
  return round->ticket == NULL || round->face->has(word, round->ticket);
}

static pkd_unpark_op_t serve(struct round* round, pkd_req_t* req,
                             enum pkd__kind kind) {
  const struct pkd__face* face = round->face;
  uint32_t kept = pkd__kept(face, pkd__want(req));
  uint64_t word = round->word;
  unsigned grant = PKD__REFUSED;

  /* Where those who wait are counted, the count may be complete already. */
  if (!round->close || face->gone != NULL)
    grant = face->admit(&word, req);
  if (grant == PKD__REFUSED && !round->close)
    /* Who climbs is first, but for those who were away and came back. */
    return (word & face->climbing) != 0 && kept == 0 ? PKD_UNPARK_SKIP
                                                     : PKD_UNPARK_STOP;
  if (grant != PKD__REFUSED && req != round->to && round->near == NULL &&
      pkd__grant_waits(face, req, grant)) {
    pkd__grant_put_off(req, kind);
    round->taken[round->count++] = req;
    return PKD_UNPARK_SKIP;
  }
  if (grant == PKD__REFUSED && face->gone != NULL)
    word = face->gone(word);
  if (grant == PKD__REFUSED && kept != 0)
    word &= ~face->climbing;
  round->word = word;
  /* (S1) release, pairs with (S2) and (S5) */
  pkd__store_release(&req->waiter.state, grant == PKD__REFUSED
                                             ? pkd__state(PKD__CLOSED, kind)
                                             : pkd__state_granted(kind, grant));
  round->taken[round->count++] = req;
  return PKD_UNPARK_TAKE;
}

/* Is it left to wait, in case one of the near follows? The first decides. */
static bool is_overtaken(struct round* round, const pkd_req_t* req) {
  if (req->via.home == round->near && !pkd__many_has(req))
    return false;
  if (round->passed_by == 0 && req->extra[2] <= pkd_now()) {
    round->near = NULL;
    return false;
  }
  round->passed_by++;
  return true;
}

/* Then the round has done nothing, and the next one does it all, in order. */
static bool nobody_overtakes(struct round* round) {
  if (round->passed_by == 0 || round->count != 0)
    return false;
  round->near = NULL;
  round->owed = round->gives;
  round->full = true;
  return true;
}

void pkd__begin_patience(const struct pkd__face* face, const void* object,
                         pkd_req_t* req) {
  if ((pkd__word(face, object) & face->overtakes) != 0)
    req->extra[2] = pkd_now() + PATIENCE;
}

static uint64_t finish(void* arg, const pkd_unpark_result_t* result) {
  struct round* round = arg;
  unsigned threads = 0;

  if (nobody_overtakes(round))
    return 0;
  write_back(round, result->have_more != 0);
  for (unsigned i = 0; i < round->count; i++) {
    pkd_req_t* req = round->taken[i];

    /* A thread stays until it is woken, a loop's request may be gone at once. */
    if (!hand_out(round, req))
      round->taken[threads++] = req;
  }
  round->count = threads;
  return 0;
}

/* To its loop, if it has one that does not have it already. */
static bool hand_out(struct round* round, pkd_req_t* req) {
  /* relaxed: set under the lock that is held */
  uint32_t state = pkd__load_relaxed(&req->waiter.state);
  bool away = pkd__is_away(state);
  struct pkd__home* home;

  if (away && round->close) {
    pkd__grant_ended(state);
    /* (S1) release, pairs with (S2) and (S5); it may be gone after this */
    pkd__store_release(&req->waiter.state,
                       pkd__state(PKD__CLOSED, pkd__kind_of(state)));
    return true;
  }
  home = req->via.home;
  if (home == NULL)
    return false;
  if (req == round->to) {
    round->came = true;
    return true;
  }
  /* relaxed: a setting, which counts from now on */
  if (!away && pkd__load_relaxed(&home->patience) != 0)
    pkd__grant_note(home, req);
  pkd__home_post(home, req, &round->bells);
  return true;
}

/* The last touch of the object in this round. */
static void write_back(struct round* round, bool have_more) {
  const struct pkd__face* face = round->face;
  void* object = (void*)(uintptr_t)round->key;
  uint64_t keep;
  uint64_t close;

  if (round->denied || (!round->seen && round->object == NULL))
    return;
  keep = have_more ? ~UINT64_C(0) : ~face->queued;
  close = round->close ? face->closed : 0;
  if (round->seen) {
    if (round->gives && round->ticket != NULL)
      pkd__give_up(round->ticket);
    pkd__word_set(face, object, (round->word | close) & keep);
    return;
  }
  round->denied = round->revoked != NULL && !has_right(round, 0);
  if (round->denied)
    return;
  /* Nobody waits, whatever the word says: fast paths may be changing it. */
  for (;;) {
    uint64_t old = pkd__word(face, object);
    uint64_t word = round->owed ? face->left(old, round->amount) : old;

    if (round->ticket != NULL && !face->has(old, round->ticket)) {
      round->denied = true;
      return;
    }
    if (pkd__word_cas(face, object, old, (word | close) & keep))
      break;
  }
  round->owed = false;
  if (round->ticket != NULL)
    pkd__give_up(round->ticket);
}

unsigned pkd__withdraw_counted(const struct pkd__face* face, void* object,
                               pkd_req_t* req, bool was_last, bool* others) {
  uint64_t word = pkd__word(face, object);
  unsigned grant = PKD__REFUSED;

  if (face->gone != NULL) {
    grant = face->admit(&word, req);
    if (grant == PKD__REFUSED)
      word = face->gone(word);
  }
  if (pkd__kept(face, pkd__want(req)) != 0)
    word &= ~face->climbing;
  if (was_last)
    word &= ~face->queued;
  pkd__word_set(face, object, word);
  *others = !was_last && (word & face->shut) == 0;
  return grant;
}

/* --- the invariant --------------------------------------------------------- */

#ifdef PKD_CHECKS

/* Looks at the head, and leaves it and the others where they are. */
static pkd_unpark_op_t look(void* arg, pkd_waiter_t* waiter) {
  const char** wrong = arg;
  pkd_req_t copy = {.waiter = *waiter}; /* admit may write in it */
  enum pkd__kind kind = pkd__kind_of(copy.waiter.state);
  const struct pkd__face* face;
  uint64_t word;

  if (is_strange(waiter, kind))
    return PKD_UNPARK_STOP;
  face = pkd__face_of(kind);
  word = pkd__word(face, waiter->key);
  if ((word & face->queued) == 0)
    *wrong = "has a queue that its word does not know of";
  else if (pkd__is_away(copy.waiter.state))
    return PKD_UNPARK_SKIP;
  else if (face->admit(&word, &copy))
    *wrong = "is free for a waiter that nobody admits";
  return PKD_UNPARK_STOP;
}

/* Free implies no eligible waiter. Another thread may be between two rounds just
 * now, so what is wrong must stay wrong for a while. */
void pkd__check(const void* key) {
  const char* wrong = NULL;

  for (int i = 0; i < 2000; i++) {
    pkd_parker_t nobody = {0};

    wrong = NULL;
    pkd_lot_unpark_filter(key, look, NULL, &wrong);
    if (wrong == NULL)
      return;
    pkd_parker_sleep(&nobody, pkd_after(1000000));
  }
  pkd__panic("dispatch", key, wrong);
}

#else

void pkd__check(const void* key) {
  (void)key;
}

#endif
