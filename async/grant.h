/* SPDX-License-Identifier: MIT
 *
 * grant.h - grants that a loop does not come to, and how they are taken back.
 *
 * A loop that is stuck in a callback must not freeze those who wait behind it.
 * If its owner has asked for that (`patience`), each grant to it that others may
 * wait for is noted in its home, oldest first, until the loop comes to it. A
 * watchdog looks at the homes now and then; if the oldest grant is overdue, the
 * home is stuck, and all that was granted to it and not delivered is taken back:
 *
 *   state          in the lot   in a mailbox   noted   leaves by
 *   QUEUED         yes          no             no      a grant -> GRANTED, or, if
 *                                                      its home is stuck -> AWAY ;
 *                                                      cancel, timeout, close
 *   GRANTED        no           yes            yes     the loop comes -> OWNED ;
 *                                                      cancel -> CANCELED ;
 *                                                      the watchdog -> AWAY
 *   QUEUED, AWAY   yes, before  yes            no      the loop comes -> QUEUED,
 *                  the others                          and it may be granted then
 *                                                      and there ; cancel,
 *                                                      timeout, close
 *
 * Into and out of AWAY the state changes under the lot's lock of the address. Who
 * is away is passed by, so the lock may be free, with the queued bit set, while
 * only such requests wait: "free implies no waiter who is not away". A newcomer
 * cannot know, and looks (pkd__dispatch) once it is queued.
 *
 * Who holds a key stands in the lot, GRANTED or not (keyed.c), and has no room for
 * a place in a list. So of keys a home only counts those that lie undelivered; each
 * has the home's number in waiter.due, and is found by a walk of the lot, if that
 * has to be (keyed_walk.c): when the loop has come to none of them for too long.
 * Such a request does not leave its place, and changes under the lot's lock of its
 * name only; that it is noted still is looked at under the home's lock, too.
 *
 * One of several (many.c) cannot be taken back alone: all of them retreat. And one
 * that climbs (engine.h) is cancelled, and owns what it did before. Neither is a
 * step under one lock: the watchdog holds the home's `retreat` meanwhile, without
 * which the loop does not come to such a request.
 *
 * The list of a home is guarded by its `lock`, which nests inside that of the
 * lot: an entry is there from the grant until the loop or the watchdog takes it
 * out, and both do that before anything else, so what is in the list is alive.
 * waiter.due is the time of the grant, and 0 of who is not noted. */
#ifndef PKD_ASYNC_GRANT_H
#define PKD_ASYNC_GRANT_H

#include "engine.h"
#include "home.h"

/* The longest patience, in ms: what waiter.due can tell apart. */
#define PKD__PATIENCE_MAX (30u * 60 * 1000)

/** How many requests are away in this process: not 0 while one is. Changes under
 * the lot's lock of the address of each, so who holds that and reads 0 knows that
 * nobody is away there. */
extern uint32_t pkd__away;

/** May such a grant be taken back? Not if it holds nothing up, or if there is no way
 * back. */
static inline bool pkd__grant_revocable(unsigned grant) {
  return (grant & (PKD__PASSES | PKD__FINAL)) == 0;
}

/** Does more hang on `req` than its own place: is it one of several, or does it climb?
 * Such a one is never away. */
static inline bool pkd__grant_is_bound(const struct pkd__face* face,
                                       const pkd_req_t* req) {
  return pkd__kept(face, pkd__want(req)) != 0 || pkd__many_has(req);
}

/** Is the loop of `req` stuck, which is queued and could be granted that? Then it
 * has its turn when the loop comes to it. */
static inline bool pkd__grant_waits(const struct pkd__face* face,
                                    const pkd_req_t* req, unsigned grant) {
  /* relaxed: a hint; who is granted all the same is noted, and taken back */
  return req->via.home != NULL && pkd__load_relaxed(&req->via.home->stuck) &&
         pkd__grant_revocable(grant) && !pkd__grant_is_bound(face, req);
}

/** `req` was granted something just now, if it is not sent away, and is about to be
 * posted; under the lot's lock, or by its loop at the start. */
void pkd__grant_note(struct pkd__home* home, pkd_req_t* req);

/** The loop has come to `req`, which it has taken from its mailbox.
 * @return true: its wait is over; false: its grant had been taken back, and it
 *         waits again */
bool pkd__grant_met_noted(struct pkd__home* home, pkd_req_t* req);

static inline bool pkd__grant_met(struct pkd__home* home, pkd_req_t* req) {
  /* (G2) acquire, pairs with (G1), and (S2) acquire, pairs with (S1): as there.
   * relaxed: as there */
  if (pkd__load_acquire(&req->waiter.due) == 0 &&
      !pkd__is_away(pkd__load_acquire(&req->waiter.state)) &&
      !pkd__load_relaxed(&home->stuck))
    return true;
  return pkd__grant_met_noted(home, req);
}

/** Puts `req`, whose turn it would be, off until its stuck loop comes to it; it
 * has to be posted. Under the lot's lock. */
void pkd__grant_put_off(pkd_req_t* req, enum pkd__kind kind);

/** A request that stood in `state` has left its queue without a grant; under the
 * lot's lock. */
void pkd__grant_ended(uint32_t state);

/** Is `req`, which stands at the name of a key, noted for `home`? Under the lot's
 * lock, and only a hint. */
static inline bool pkd__grant_is_key_of(const struct pkd__home* home,
                                        const pkd_req_t* req) {
  /* relaxed, both: looked at again, under the home's lock */
  return pkd__load_relaxed(&req->waiter.due) == home->number &&
         pkd__load_relaxed(&req->waiter.state) ==
             pkd__state_granted(PKD__KIND_KEYED, PKD__ADMITTED);
}

/** The watchdog, which holds `retreat`, has met a grant to `req`, which is bound: it
 * is given up. No lock of the lot may be held. */
void pkd__grant_retreat(struct pkd__home* home, pkd_req_t* req);

/** Takes the grant of such a key back, if it is noted for `home` still, or only
 * forgets that it was, if it `stays`. Under the lot's lock of its name.
 * @return true: it is queued, and away */
bool pkd__grant_take_key(struct pkd__home* home, pkd_req_t* req, bool stays);

/** For how many nanoseconds the oldest has lain there at `now`; of keys, for how
 * long the loop has come to none. Under the home's lock. */
uint64_t pkd__grants_lain(const struct pkd__home* home, pkd_deadline_t now);

/** Takes back what is overdue at `now` (pkd_now()).
 * @return when to look next */
pkd_deadline_t pkd__grants_look(pkd_deadline_t now);

/** In the child of a fork: no watchdog watches here. */
void pkd__watch_forked(void);

/** Nobody watches `home` any more. Its thread. */
void pkd__watch_leave(struct pkd__home* home);

#endif
