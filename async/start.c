/* SPDX-License-Identifier: MIT
 *
 * start.c - how a request begins: it takes what it wants, or it queues.
 *
 * enter() is the one place where a wait begins. It runs under the lot's lock of
 * the address, so that no release can pass between its look at the word and the
 * queueing: either it takes, or the queued bit is set and whoever releases from
 * then on looks into the queue. */
#include "engine.h"
#include "grant.h"
#include "home.h"

#include "panic.h"

struct entry {
  const struct pkd__face* face;
  void* object;
  pkd_req_t* req;
  enum pkd__kind kind;
  int verdict;    /* 0: it has it; UV_EAGAIN: it has to wait */
  unsigned grant; /* what it has */
  uint32_t kept;  /* what it owns already, if it climbs */
  struct pkd__home* kept_home;
  bool behind; /* somebody waits who is not away */
};

static void prepare(struct entry* entry, pkd_req_t* req, void* object,
                    enum pkd__kind kind, uint32_t want);
static void set_deadline(const struct entry* entry, struct pkd__home* home,
                         uint64_t ms);
static int take(struct entry* entry, bool locked);
static bool passes_by(struct entry* entry, uint64_t old);
static bool could_take(const struct entry* entry, uint64_t word);
static int take_ahead(struct entry* entry);
static int take_now(struct entry* entry);
static int take_in_lot(struct entry* entry);
static pkd_unpark_op_t pass_away(void* arg, pkd_waiter_t* waiter);
static uint64_t take_behind(void* arg, const pkd_unpark_result_t* result);
static int look(void* arg);
static int enter(void* arg);
static bool announce(const struct entry* entry, uint64_t old);
static int enqueue(struct entry* entry);
static int settle(const struct entry* entry, int err);
static int refuse(const struct entry* entry, int err);
static int startable(const pkd_req_t* req, const void* object,
                     enum pkd__kind kind, uint32_t want);
static void accepted(const struct entry* entry);

int pkd__start(pkd_loop_t* loop, pkd_req_t* req, void* object,
               enum pkd__kind kind, uint32_t want, pkd_req_cb cb) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;
  struct entry entry;
  uint64_t timeout; /* plus one; 0: none */
  int err;

  if (home == NULL || req == NULL || object == NULL || cb == NULL)
    return UV_EINVAL;
  if ((err = startable(req, object, kind, want)) != 0)
    return err;
  if (home == &pkd__home_gone || home->detaching)
    return UV_ESHUTDOWN;
  pkd__home_check(home, "start");
  pkd__home_adopt(home);
  timeout = req->waiter.token >> 32;
  prepare(&entry, req, object, kind, want);
  req->via.home = home;
  req->cb = cb;
  /* A grant may be taken back, and then the timeout counts as well. It is set before
   * the request takes anything: who has a key stands in the lot's queue from then on,
   * where others read the token. `patience`, relaxed: set by this thread */
  if (timeout != 0 && pkd__load_relaxed(&home->patience) != 0)
    set_deadline(&entry, home, timeout - 1);
  err = timeout == 1 ? take_now(&entry) : take_ahead(&entry);
  if (err == UV_EAGAIN && timeout == 1)
    err = UV_EBUSY;
  if (err == UV_EAGAIN && timeout != 0)
    set_deadline(&entry, home, timeout - 1);
  if (err == UV_EAGAIN)
    err = enqueue(&entry);
  if (err != 0 && err != UV_EAGAIN)
    return refuse(&entry, err);
  accepted(&entry);
  if (err != 0) {
    pkd__home_accept(home, req);
    return 0;
  }
  /* relaxed: only this thread has seen the request so far */
  pkd__store_relaxed(&req->waiter.state, pkd__state_granted(kind, entry.grant));
  if (pkd__load_relaxed(&home->patience) != 0)
    pkd__grant_note(home, req);
  pkd__home_accept_granted(home, req);
  return 0;
}

/* If it has none yet. */
static void set_deadline(const struct entry* entry, struct pkd__home* home,
                         uint64_t ms) {
  uint64_t* token = &entry->req->waiter.token;

  if (*token >> 32 == 0)
    *token |= (uint64_t)pkd__home_deadline(home, ms) << 32;
}

int pkd__try(pkd_req_t* req, void* object, enum pkd__kind kind, uint32_t want) {
  struct entry entry;
  int err;

  if (req == NULL || object == NULL)
    return UV_EINVAL;
  if ((err = startable(req, object, kind, want)) != 0)
    return err;
  prepare(&entry, req, object, kind, want);
  err = take_now(&entry);
  return err == UV_EAGAIN ? refuse(&entry, UV_EBUSY) : settle(&entry, err);
}

int pkd__block(pkd_req_t* req, void* object, enum pkd__kind kind, uint32_t want,
               pkd_deadline_t deadline) {
  pkd_parker_t parker = {0};
  int err = pkd__block_begin(req, object, kind, want, &parker, deadline);

  return err == UV_EAGAIN ? pkd__block_end(req, &parker, deadline) : err;
}

int pkd__block_begin(pkd_req_t* req, void* object, enum pkd__kind kind,
                     uint32_t want, pkd_parker_t* parker,
                     pkd_deadline_t deadline) {
  struct entry entry;
  int err;

  if (req == NULL || object == NULL)
    return UV_EINVAL;
  if ((err = startable(req, object, kind, want)) != 0)
    return err;
  if (pkd__thread_has_loop())
    return PKD_EDEADLK;
  prepare(&entry, req, object, kind, want);
  req->link.next = (struct pkd__link*)parker;
  err = take_ahead(&entry);
  if (err == UV_EAGAIN && deadline != PKD_FOREVER && deadline <= pkd_now() &&
      (err = take_now(&entry)) == UV_EAGAIN)
    err = UV_ETIMEDOUT;
  if (err == UV_EAGAIN)
    err = enqueue(&entry);
  if (err == UV_EAGAIN)
    accepted(&entry);
  return err == UV_EAGAIN ? err : settle(&entry, err);
}

/* The end of a start that nobody has to wait for. */
static int settle(const struct entry* entry, int err) {
  if (err != 0)
    return refuse(entry, err);
  accepted(entry);
  if (entry->kept != 0)
    pkd__set_want(entry->req, pkd__gained(entry->face, pkd__want(entry->req)));
  /* relaxed: only this thread has seen the request so far */
  pkd__store_relaxed(
      &entry->req->waiter.state,
      pkd__state_delivered(pkd__state_granted(entry->kind, entry->grant)));
  return (entry->grant & PKD__LEADS) != 0;
}

/* What it owned before it owns still. */
static int refuse(const struct entry* entry, int err) {
  entry->req->waiter.token = entry->kept;
  if (entry->kept != 0)
    entry->req->via.home = entry->kept_home;
  return err;
}

/* A ticket that climbs is counted anew, by whom it is delivered to. */
static void accepted(const struct entry* entry) {
  if (entry->kept_home != NULL)
    pkd__home_returned(entry->kept_home);
}

static int startable(const pkd_req_t* req, const void* object,
                     enum pkd__kind kind, uint32_t want) {
  uint32_t kept = pkd__kept(pkd__face_of(kind), want);
  int err = pkd__req_startable(req);

  if (kept == 0 || err == UV_EALREADY)
    return err;
  return pkd__owns(req, object, kind) && pkd__want(req) == kept ? 0 : UV_EPERM;
}

static void prepare(struct entry* entry, pkd_req_t* req, void* object,
                    enum pkd__kind kind, uint32_t want) {
  entry->face = pkd__face_of(kind);
  entry->object = object;
  entry->req = req;
  entry->kind = kind;
  entry->kept = pkd__kept(entry->face, want);
  entry->kept_home = entry->kept == 0 ? NULL : req->via.home;
  req->via.home = NULL;
  req->waiter.wake = pkd__woken_by_stranger;
  req->waiter.token = want;
  /* relaxed: who looks for the request has seen a state that is set later. The
   * lot sets the same when it queues the request; that a cancel never sees
   * QUEUED with the address of an earlier wait is why it is set here. */
  pkd__store_relaxed(&req->waiter.key, object);
}

/* Takes what the request wants, if it is there. While somebody waits, only who
 * climbs, and who comes to an object that counts those who wait, is looked at,
 * and only under the lot's lock; but for who takes nothing. */
static int take(struct entry* entry, bool locked) {
  const struct pkd__face* face = entry->face;
  uint64_t token;

  if (face->in_lot != NULL) {
    entry->grant = PKD__ADMITTED;
    return face->in_lot->start(entry->req, false);
  }
  token = entry->req->waiter.token;
  for (;;) {
    uint64_t old = pkd__word(face, entry->object);
    uint64_t word = old;

    if (old & face->closed)
      return UV_ESHUTDOWN;
    if (entry->kept != 0 && face->hopeless(old) != 0)
      return face->hopeless(old);
    if (old & face->queued &&
        !(locked && (face->joined != NULL || entry->kept != 0)))
      return passes_by(entry, old) ? 0 : UV_EAGAIN;
    if (old & face->shut)
      return UV_EAGAIN;
    entry->grant = face->admit(&word, entry->req);
    if (entry->grant == PKD__REFUSED)
      return UV_EAGAIN;
    if (pkd__word_cas(face, entry->object, old, word))
      return 0;
    entry->req->waiter.token = token; /* it has not got what admit() says */
  }
}

/* May it pass, and takes nothing by that? Then so may those who wait: somebody is just
 * letting them pass, and they are too many for one round. */
static bool passes_by(struct entry* entry, uint64_t old) {
  uint64_t token = entry->req->waiter.token;
  uint64_t word = old;

  entry->grant = entry->face->admit(&word, entry->req);
  if (word == old && (entry->grant & PKD__PASSES) != 0)
    return true;
  entry->req->waiter.token = token;
  return false;
}

/* Could it take it now? It goes on wanting what it wants, whatever admit() says. */
static bool could_take(const struct entry* entry, uint64_t word) {
  uint64_t token = entry->req->waiter.token;
  unsigned grant = entry->face->admit(&word, entry->req);

  entry->req->waiter.token = token;
  return grant != PKD__REFUSED;
}

/* Takes it without waiting. Who climbs goes before those who wait, and while
 * somebody does, the word must be looked at under the lot's lock. */
static int take_ahead(struct entry* entry) {
  int err = take(entry, false);

  return err == UV_EAGAIN && entry->kept != 0 ? take_in_lot(entry) : err;
}

/* The same, for one who is not going to wait. The queue may be of requests only
 * that are away (grant.h); they are passed by. And where those who wait are not
 * counted, one may pass what they wait for (event.c). */
static int take_now(struct entry* entry) {
  int err = take_ahead(entry);

  if (err == UV_EAGAIN && entry->face->joined != NULL &&
      entry->face->gone == NULL)
    return take_in_lot(entry);
  /* relaxed: while it does not say so, nobody has been away for long */
  if (err != UV_EAGAIN || entry->face->in_lot != NULL || entry->kept != 0 ||
      (pkd__load_relaxed(&pkd__away) == 0 && !pkd__in_forked_child()))
    return err;
  entry->verdict = UV_EAGAIN;
  entry->behind = false;
  pkd_lot_unpark_filter(entry->object, pass_away, take_behind, entry);
  return entry->verdict;
}

static pkd_unpark_op_t pass_away(void* arg, pkd_waiter_t* waiter) {
  struct entry* entry = arg;

  /* relaxed: the lot's lock guards it while it is queued */
  entry->behind = !pkd__is_away(pkd__load_relaxed(&waiter->state));
  return entry->behind ? PKD_UNPARK_STOP : PKD_UNPARK_SKIP;
}

/* Under the lot's lock. Nor does the word say so from now on, which it may in the
 * child of a fork. */
static void nobody_waits(const struct entry* entry) {
  const struct pkd__face* face = entry->face;
  uint64_t old;

  do {
    old = pkd__word(face, entry->object);
  } while ((old & face->queued) != 0 &&
           !pkd__word_cas(face, entry->object, old, old & ~face->queued));
}

/* Under the lot's lock, which guards the word while somebody waits. */
static uint64_t take_behind(void* arg, const pkd_unpark_result_t* result) {
  struct entry* entry = arg;
  const struct pkd__face* face = entry->face;
  uint64_t word;

  if (!result->have_more) {
    nobody_waits(entry);
    entry->verdict = take(entry, true);
    return 0;
  }
  word = pkd__word(face, entry->object);
  if ((word & face->closed) != 0) {
    entry->verdict = UV_ESHUTDOWN;
  } else if (!entry->behind &&
             (entry->grant = face->admit(&word, entry->req)) != PKD__REFUSED) {
    pkd__word_set(face, entry->object, word);
    entry->verdict = 0;
  }
  return 0;
}

/* A try under the lot's lock. */
static int take_in_lot(struct entry* entry) {
  pkd_lot_enqueue(entry->object, &entry->req->waiter, look, entry);
  return entry->verdict;
}

static int look(void* arg) {
  struct entry* entry = arg;

  entry->verdict = take(entry, true);
  return 0; /* never wait */
}

/* Under the lot's lock. Takes, or announces the waiter: then it is queued. */
static int enter(void* arg) {
  struct entry* entry = arg;
  const struct pkd__face* face = entry->face;
  uint64_t old;

  do {
    entry->verdict = take(entry, true);
    if (entry->verdict != UV_EAGAIN)
      return 0;
    old = pkd__word(face, entry->object);
    /* What take() missed may have come back meanwhile: then look again. */
  } while (!(old & face->queued) &&
           ((old & face->closed) || could_take(entry, old) ||
            !announce(entry, old)));
  if (old & face->queued)
    announce(entry, old);
  /* (S6) release, pairs with (S5): a cancel that finds it queued finds the key */
  pkd__store_release(&entry->req->waiter.state,
                     pkd__state(PKD__QUEUED, entry->kind));
  return 1;
}

/* Says in the word that one more waits. */
static bool announce(const struct entry* entry, uint64_t old) {
  const struct pkd__face* face = entry->face;
  uint64_t token = entry->req->waiter.token;
  uint64_t word = old | face->queued;

  if (face->joined != NULL)
    word = face->joined(word, entry->req);
  if (entry->kept != 0)
    word |= face->climbing;
  if (word == old || pkd__word_cas(face, entry->object, old, word))
    return true;
  entry->req->waiter.token = token; /* it has not joined */
  return false;
}

static int enqueue(struct entry* entry) {
  int err;

  if (entry->face->in_lot != NULL)
    return entry->face->in_lot->start(entry->req, true);
  if (entry->face->overtakes != 0)
    pkd__begin_patience(entry->face, entry->object, entry->req);
  err = entry->kept == 0
            ? pkd_lot_enqueue(entry->object, &entry->req->waiter, enter, entry)
            : pkd_lot_enqueue_front(entry->object, &entry->req->waiter, enter,
                                    entry);
  if (err == -EAGAIN) {
    /* It completed what those who wait were waiting for. */
    if (entry->verdict == 0 && entry->face->joined != NULL)
      pkd__dispatch(entry->object);
    return entry->verdict;
  }
  /* In the child of a fork the queued bit may have been a remnant, of waiters
   * that the child does not have; and then nobody looks after this one. Nor if
   * all who wait are away.
   * relaxed: the lot's lock was held, see grant.h */
  if (pkd__in_forked_child() || pkd__load_relaxed(&pkd__away) != 0)
    pkd__dispatch(entry->object);
  return UV_EAGAIN;
}

/* Sleeps until the request's wait is over. What was granted counts, even if the
 * deadline has passed. */
int pkd__block_end(pkd_req_t* req, pkd_parker_t* parker,
                   pkd_deadline_t deadline) {
  if (pkd_parker_sleep(parker, deadline) != 0 &&
      !pkd__req_end(req, PKD__TIMEDOUT))
    /* Somebody chose it before we could leave, and is about to wake us. */
    pkd_parker_sleep(parker, PKD_FOREVER);
  return pkd__req_settle(req);
}

/* The engine takes its waiters from the queue and wakes them itself. */
void pkd__woken_by_stranger(pkd_waiter_t* waiter) {
  pkd__panic(
      "pkd_lot_unpark", waiter->key,
      "is an asynchronous lock; only its own functions may unpark there");
}
