/* SPDX-License-Identifier: MIT
 *
 * request.h - the inside of a pkd_req_t: its state, and what its fields mean.
 *
 * waiter.state holds where the request is, and which kind of object it is for:
 *
 *   31              16 15           8 7            0
 *  +------------------+--------------+--------------+
 *  |      grant       |     kind     |     step     |   zero = idle
 *  +------------------+--------------+--------------+
 *
 *   step      changed to by                                  under
 *   IDLE      deliver, release                               its owner
 *   QUEUED    the start, when it has to wait; a grant taken  the lot's lock
 *             back, or its loop that comes to it (AWAY)
 *   GRANTED   a dispatch; or the start, when it has not to   the lot's lock; own
 *   CANCELED  cancel: from QUEUED                            the lot's lock
 *             from GRANTED                                   the lot's lock, CAS
 *   TIMEDOUT  the loop's timer, a thread's deadline          the lot's lock
 *   CLOSED    close                                          the lot's lock
 *   OWNED     deliver: from GRANTED, unless the grant PASSES CAS
 *
 * From GRANTED to CANCELED, what was granted of an object with a word is given back
 * under the same hold of the lot's lock, and who comes to the end of the wait waits for
 * that (REVOKED). A wait that has used nothing up is canceled by the CAS alone.
 *
 * grant, in GRANTED: bits of enum pkd__grant, what the callback will say. In
 * QUEUED: 0, or PKD__AWAY, if it lies in its loop's mailbox as well (grant.h).
 * In CANCELED: 0, or PKD__REVOKED, of an object with a word.
 *
 * Of a request that climbs (engine.h), cancel and deliver are under the lot's lock.
 *
 * "The lot's lock" is that of the object's address. So one of cancel, timeout,
 * close and grant ends QUEUED, and one of cancel, deliver and taking back ends
 * GRANTED.
 *
 * waiter.token: low 32 bits, what the request wants and then owns (permits, or a
 * mode); high 32 bits, before the start: the timeout in ms plus one, 0 for none;
 * while queued: the deadline on its loop's clock. waiter.key names the object
 * from the start on. `via` is the loop's home, and in a mailbox the next request
 * there; so a request may lie in a mailbox and stand in the lot at once: then its
 * home cannot be told from it. waiter.due and waiter.child, while it is granted:
 * its place among the grants of its home; waiter.due of a key: the number of its
 * home (grant.h). */
#ifndef PKD_ASYNC_REQUEST_H
#define PKD_ASYNC_REQUEST_H

#include <parkade/async/req.h>

#include "atomic.h"

enum pkd__step {
  PKD__IDLE,
  PKD__QUEUED,
  PKD__GRANTED,
  PKD__CANCELED,
  PKD__TIMEDOUT,
  PKD__CLOSED,
  PKD__OWNED
};

enum pkd__kind {
  PKD__KIND_NONE,
  PKD__KIND_MUTEX,
  PKD__KIND_SEM,
  PKD__KIND_EVENT,
  PKD__KIND_ONCE,
  PKD__KIND_GATE,
  PKD__KIND_BARRIER,
  PKD__KIND_KEYED,
  PKD__KIND_RWLOCK,
  PKD__KIND_COND,
  PKD__KIND_YIELD,
  PKD__KINDS
};

/** What an object answers a request. */
enum pkd__grant {
  PKD__REFUSED = 0, /* it has to wait */
  PKD__ADMITTED = 1,
  PKD__PASSES = 2,  /* the wait was all: it owns nothing after its callback */
  PKD__LEADS = 4,   /* its status is 1 */
  PKD__FINAL = 8,   /* too late to cancel, though not delivered */
  PKD__AWAY = 16,   /* no grant: it is queued, and lies in a mailbox as well */
  PKD__REVOKED = 32 /* no grant any more: it is canceled, and was granted */
};

/* The longest timeout, in ms; longer ones never come. */
#define PKD__TIMEOUT_MAX (UINT64_C(1) << 31)

static inline uint32_t pkd__state(enum pkd__step step, enum pkd__kind kind) {
  return (uint32_t)step | (uint32_t)kind << 8;
}

static inline uint32_t pkd__state_granted(enum pkd__kind kind, unsigned grant) {
  return pkd__state(PKD__GRANTED, kind) | (uint32_t)grant << 16;
}

/** Queued, and in a mailbox: who ends its wait must not post it again, nor touch
 * it once its state says so. */
static inline bool pkd__is_away(uint32_t state) {
  return (state >> 16 & PKD__AWAY) != 0;
}

static inline uint32_t pkd__state_away(enum pkd__kind kind) {
  return pkd__state(PKD__QUEUED, kind) | (uint32_t)PKD__AWAY << 16;
}

static inline unsigned pkd__grant_of(uint32_t state) {
  return state >> 16;
}

/** Where a granted request is once it is delivered. */
static inline uint32_t pkd__state_delivered(uint32_t granted) {
  if ((pkd__grant_of(granted) & PKD__PASSES) != 0)
    return PKD__IDLE;
  return pkd__state(PKD__OWNED, (enum pkd__kind)(granted >> 8 & 0xff));
}

static inline enum pkd__step pkd__step_of(uint32_t state) {
  return (enum pkd__step)(state & 0xff);
}

static inline enum pkd__kind pkd__kind_of(uint32_t state) {
  return (enum pkd__kind)(state >> 8 & 0xff);
}

static inline pkd_req_t* pkd__req_of(pkd_waiter_t* waiter) {
  return (pkd_req_t*)((char*)waiter - offsetof(pkd_req_t, waiter));
}

static inline pkd_req_t* pkd__req_at(struct pkd__link* link) {
  return (pkd_req_t*)((char*)link - offsetof(pkd_req_t, link));
}

static inline uint32_t pkd__want(const pkd_req_t* req) {
  /* relaxed: whoever may ask has seen the state that was set after it */
  return (uint32_t)pkd__load_relaxed(&req->waiter.token);
}

/** Its deadline on its loop's clock, or before the start its timeout plus one. */
static inline uint32_t pkd__deadline_of(const pkd_req_t* req) {
  /* relaxed: this half is set before anybody else knows the request; the other
   * half may be changing */
  return (uint32_t)(pkd__load_relaxed(&req->waiter.token) >> 32);
}

/** Changes what it wants, or owns; under the lot's lock or by its owner. */
static inline void pkd__set_want(pkd_req_t* req, uint32_t want) {
  uint64_t deadline = pkd__deadline_of(req);

  /* relaxed: with the state that is set next, who may ask sees it; the loop may
   * be looking at the deadline, which does not change */
  pkd__store_relaxed(&req->waiter.token, deadline << 32 | want);
}

/** Sets the deadline half; by its owner. */
static inline void pkd__set_deadline(pkd_req_t* req, uint32_t deadline) {
  /* relaxed: as pkd__set_want */
  pkd__store_relaxed(&req->waiter.token,
                     (uint64_t)deadline << 32 | pkd__want(req));
}

/** The object of a request that is not idle. */
static inline void* pkd__object_of(const pkd_req_t* req) {
  /* relaxed: whoever may ask has seen the state that was set after it */
  return (void*)(uintptr_t)pkd__load_relaxed(&req->waiter.key);
}

/** The keyed mutex of which `req` holds a key, or waits for one. */
const void* pkd__keyed_owner(const pkd_req_t* req);

/** pkd_req_transfer() for a request that owns a key. */
int pkd__keyed_transfer(pkd_req_t* from, pkd_req_t* to);

/** pkd_req_transfer() for a request that owns a mutex. */
int pkd__mutex_transfer(pkd_req_t* from, pkd_req_t* to);

/** Is `req` one of several that want their locks at once? Such hold on to what
 * they are granted, and take turns strictly: that is why they never deadlock. */
bool pkd__many_has(const pkd_req_t* req);

/** Gives up all that those have whom `item` belongs to, and puts them behind those
 * who wait; the loop of `item`, which has not come to it, is kept from that.
 * @return how many were granted something */
size_t pkd__many_retreat(pkd_req_t* item);

/** In the child of a fork: nobody is entering several queues, or looking for rings. */
void pkd__many_forked(void);
void pkd__cycle_forked(void);

/** May `req` be started? @return 0, UV_EALREADY or UV_EBUSY */
int pkd__req_startable(const pkd_req_t* req);

/** Ends the wait of a queued request by itself: takes it out of its queue, hands
 * it to its loop or thread, and lets those behind it go on.
 *
 * @param step  PKD__CANCELED or PKD__TIMEDOUT
 * @return false if something else ended it: it was not queued any more, or what
 *         it waited for was complete */
bool pkd__req_end(pkd_req_t* req, enum pkd__step step);

/** Turns a grant, which stood in `granted`, into a wait that was canceled.
 * @return false: it was delivered, or taken back, before */
bool pkd__req_revoke(pkd_req_t* req, uint32_t granted);

/** Makes an idle request the owner of `what` of an object; it is the caller's to
 * give. The request counts for no loop. */
void pkd__bestow(pkd_req_t* req, const void* object, enum pkd__kind kind,
                 uint32_t what);

/** Ends a wait that is over: a grant becomes ownership, if no cancel was faster,
 * and the request is its owner's again.
 * @return the status to report */
int pkd__req_settle(pkd_req_t* req);

#endif
