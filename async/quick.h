/* SPDX-License-Identifier: MIT
 *
 * quick.h - the shortest way through an object, for who knows its face.
 *
 * The same steps as in start.c, request.c and engine.c, and the same orders, but
 * written out for one face, which the compiler then sees through: no call but
 * those of the lot, and no field is written that the plain case does not need.
 * Whatever is not plain (a request in use, a timeout, a loop that is not between
 * prepare and check or has a grant timeout, an object that is closed or may be
 * overtaken, threads and stuck loops among those who wait) is left as it was, and
 * goes the long way, which looks at everything again. */
#ifndef PKD_ASYNC_QUICK_H
#define PKD_ASYNC_QUICK_H

#include "engine.h"
#include "grant.h"
#include "home.h"

#define PKD__QUICK static inline __attribute__((always_inline))

/* @return what the object grants `req`, which is idle; PKD__REFUSED: it is not
 *         as plain as that, or somebody was faster */
PKD__QUICK unsigned pkd__quick_take(const struct pkd__face* face, void* object,
                                    pkd_req_t* req, uint32_t want) {
  uint64_t old = pkd__word(face, object);
  uint64_t word = old;
  unsigned grant;

  if ((old & (face->queued | face->closed | face->shut)) != 0)
    return PKD__REFUSED;
  req->waiter.token = want;
  grant = face->admit(&word, req);
  return grant != PKD__REFUSED && pkd__word_cas(face, object, old, word)
             ? grant
             : PKD__REFUSED;
}

PKD__QUICK bool pkd__quick_is_fresh(const pkd_req_t* req) {
  /* (D2) acquire, pairs with (D1) and (D3): who gave back what it owned is done
   * with it */
  return pkd__load_acquire(&req->waiter.state) == PKD__IDLE &&
         pkd__deadline_of(req) == 0;
}

/** The callbacks of one face, for the lot; made by PKD__QUICK_CALLS. */
struct pkd__quick_calls {
  pkd_validate_cb enter;
  pkd_decide_cb decide;
  pkd_finish_cb finish;
};

#define PKD__QUICK_CALLS(face, kind)                                           \
  static int quick_enter(void* arg) {                                          \
    return pkd__quick_enter((face), (kind), arg);                              \
  }                                                                            \
  static pkd_unpark_op_t quick_decide(void* arg, pkd_waiter_t* waiter) {       \
    return pkd__quick_decide((face), (kind), arg, waiter);                     \
  }                                                                            \
  static uint64_t quick_finish(void* arg, const pkd_unpark_result_t* result) { \
    return pkd__quick_finish((face), arg, result);                             \
  }                                                                            \
  static const struct pkd__quick_calls quick_calls = {                         \
      quick_enter, quick_decide, quick_finish}

/* --- waiting --------------------------------------------------------------- */

/* As enter() in start.c, for who finds it held or waited for. The request is the
 * argument; its key is set. */
PKD__QUICK int pkd__quick_enter(const struct pkd__face* face,
                                enum pkd__kind kind, pkd_req_t* req) {
  void* object = pkd__object_of(req);
  uint64_t old = pkd__word(face, object);
  uint64_t word = old;

  if ((old & face->closed) != 0)
    return 0;
  /* Without the bit it may have come back meanwhile. */
  if ((old & face->queued) == 0 &&
      (((old & face->shut) == 0 && face->admit(&word, req) != PKD__REFUSED) ||
       !pkd__word_cas(face, object, old, old | face->queued)))
    return 0;
  /* (S6) release, pairs with (S5): a cancel that finds it queued finds the key */
  pkd__store_release(&req->waiter.state, pkd__state(PKD__QUEUED, kind));
  return 1;
}

/* @return whether it waits; else it is as it was */
PKD__QUICK bool pkd__quick_wait(const struct pkd__face* face,
                                const struct pkd__quick_calls* calls,
                                struct pkd__home* home, pkd_req_t* req,
                                void* object, uint32_t want) {
  if ((pkd__word(face, object) & (face->closed | face->overtakes)) != 0)
    return false;
  req->via.home = home;
  req->waiter.wake = pkd__woken_by_stranger;
  req->waiter.token = want;
  /* relaxed: as prepare() in start.c */
  pkd__store_relaxed(&req->waiter.key, object);
  if (pkd_lot_enqueue(object, &req->waiter, calls->enter, req) != 0)
    return false;
  pkd__home_count_in(home);
  pkd__list_append(&home->plain, &req->link);
  /* relaxed: as enqueue() in start.c */
  if (pkd__load_relaxed(&pkd__away) != 0 || pkd__in_forked_child())
    pkd__dispatch(object);
  return true;
}

/** As pkd__start(). */
PKD__QUICK int pkd__quick_start(const struct pkd__face* face,
                                enum pkd__kind kind,
                                const struct pkd__quick_calls* calls,
                                pkd_loop_t* loop, pkd_req_t* req, void* object,
                                uint32_t want, pkd_req_cb cb) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;
  unsigned grant;

  /* relaxed: the caller runs the loop's thread, and between prepare and check,
   * when `turn` is set, the loop has no other. A detach has cleared it. */
  if (home == NULL || req == NULL || object == NULL || cb == NULL ||
      pkd__load_relaxed(&home->turn) == 0 ||
      pkd__load_relaxed(&home->patience) != 0 || !pkd__quick_is_fresh(req))
    return pkd__start(loop, req, object, kind, want, cb);
  pkd__home_check(home, "start");
  grant = pkd__quick_take(face, object, req, want);
  if (grant == PKD__REFUSED) {
    req->cb = cb;
    return pkd__quick_wait(face, calls, home, req, object, want)
               ? 0
               : pkd__start(loop, req, object, kind, want, cb);
  }
  req->cb = cb;
  /* relaxed, both: only this thread has seen the request so far */
  pkd__store_relaxed(&req->waiter.key, object);
  pkd__store_relaxed(&req->waiter.state, pkd__state_granted(kind, grant));
  pkd__home_accept_granted(home, req);
  return 0;
}

/* --- giving back ------------------------------------------------------------ */

#define PKD__QUICK_ROUND 4

/* A round of grants, as in engine.c. */
struct pkd__quick_round {
  void* object;
  int64_t amount;
  pkd_req_t*
      ticket; /* that gives it back; NULL: the caller has a right to it */
  bool seen;  /* a waiter was there: `word` is valid, `amount` given back */
  bool denied;
  bool more; /* who is next is not plain: another round is owed */
  unsigned count;
  uint64_t word;
  pkd_req_t* taken[PKD__QUICK_ROUND];
  struct pkd__bells bells;
};

/* Is `req` of a loop that comes to it soon, and nothing to be noted? Its home can
 * be told only of who is not away, which the state says. */
PKD__QUICK bool pkd__quick_is_plain(const pkd_req_t* req, enum pkd__kind kind) {
  const struct pkd__home* home;

  /* relaxed, all: the lot's lock guards the state; a hint; and a setting, which
   * counts from now on */
  if (pkd__load_relaxed(&req->waiter.state) != pkd__state(PKD__QUEUED, kind))
    return false;
  home = req->via.home;
  return home != NULL && !pkd__load_relaxed(&home->stuck) &&
         pkd__load_relaxed(&home->patience) == 0;
}

/* As decide() in engine.c. */
PKD__QUICK pkd_unpark_op_t pkd__quick_decide(const struct pkd__face* face,
                                             enum pkd__kind kind, void* arg,
                                             pkd_waiter_t* waiter) {
  struct pkd__quick_round* round = arg;
  pkd_req_t* req = pkd__req_of(waiter);
  uint64_t word;
  unsigned grant;

  if (round->seen && (round->word & face->shut) != 0)
    return PKD_UNPARK_STOP;
  if (!pkd__quick_is_plain(req, kind) || round->count == PKD__QUICK_ROUND) {
    round->more = true;
    return PKD_UNPARK_STOP;
  }
  if (!round->seen) {
    word = pkd__word(face, round->object);
    round->more = (word & (face->closed | face->climbing)) != 0;
    round->denied = round->ticket != NULL && !face->has(word, round->ticket);
    if (round->more || round->denied)
      return PKD_UNPARK_STOP;
    round->word = face->left(word, round->amount);
    round->seen = true;
  }
  word = round->word;
  grant = face->admit(&word, req);
  if (grant == PKD__REFUSED)
    return PKD_UNPARK_STOP;
  round->word = word;
  /* (S1) release, pairs with (S2) and (S5) */
  pkd__store_release(&waiter->state, pkd__state_granted(kind, grant));
  round->taken[round->count++] = req;
  return PKD_UNPARK_TAKE;
}

/* As finish() in engine.c. */
PKD__QUICK uint64_t pkd__quick_finish(const struct pkd__face* face, void* arg,
                                      const pkd_unpark_result_t* result) {
  struct pkd__quick_round* round = arg;

  if (!round->seen)
    return 0;
  if (round->ticket != NULL)
    pkd__give_up(round->ticket);
  /* The last touch of the object. */
  pkd__word_set(face, round->object,
                result->have_more ? round->word : round->word & ~face->queued);
  for (unsigned i = 0; i < round->count; i++) {
    pkd_req_t* req = round->taken[i];
    pkd__home_hand(req->via.home, req, &round->bells);
  }
  return 0;
}

/** As pkd__leave(), or with a ticket as pkd__leave_by(), whose first round it is. */
PKD__QUICK int pkd__quick_leave(const struct pkd__face* face,
                                enum pkd__kind kind,
                                const struct pkd__quick_calls* calls,
                                void* object, int64_t amount,
                                const struct pkd__home* home,
                                pkd_req_t* ticket) {
  uint64_t word = pkd__word(face, object);
  struct pkd__quick_round round;

  round.seen = round.denied = false;
  if ((word & face->queued) == 0) {
    if ((ticket == NULL || face->has(word, ticket)) &&
        pkd__word_cas(face, object, word, face->left(word, amount))) {
      if (ticket != NULL)
        pkd__give_up(ticket);
      return 0;
    }
  } else if ((word & face->overtakes) == 0) {
    round.object = object;
    round.amount = amount;
    round.ticket = ticket;
    round.more = false;
    round.count = round.bells.count = 0;
    pkd_lot_unpark_filter(object, calls->decide, calls->finish, &round);
    if (round.bells.count != 0)
      pkd__bells_ring(&round.bells);
  }
  if (round.seen) {
    if (round.more)
      pkd__dispatch(object);
    else
      pkd__check(object);
    return 0;
  }
  if (round.denied)
    return UV_EPERM;
  if (ticket != NULL)
    return pkd__leave_by(object, kind, amount, home, ticket);
  pkd__leave(object, kind, amount);
  return 0;
}

#endif
