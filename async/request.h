/* SPDX-License-Identifier: MIT
 *
 * request.h - the inside of a pkd_req_t: its state, and what its fields mean.
 *
 * waiter.state holds where the request is, and which kind of object it is for:
 *
 *   31              16 15           8 7            0
 *  +------------------+--------------+--------------+
 *  |       role       |     kind     |     step     |   zero = idle
 *  +------------------+--------------+--------------+
 *
 *   step      changed to by                                  under
 *   IDLE      deliver, release                               its owner
 *   QUEUED    the start, when it has to wait                 the lot's lock
 *   GRANTED   a dispatch; or the start, when it has not to   the lot's lock; own
 *   CANCELED  cancel: from QUEUED | from GRANTED             the lot's lock | CAS
 *   TIMEDOUT  the loop's timer, a thread's deadline          the lot's lock
 *   CLOSED    close                                          the lot's lock
 *   OWNED     deliver: from GRANTED                          CAS
 *
 * "The lot's lock" is that of the object's address. So one of cancel, timeout,
 * close and grant ends QUEUED, and one of cancel and deliver ends GRANTED.
 *
 * waiter.token: low 32 bits, what the request wants and then owns (permits, or a
 * mode); high 32 bits, before the start: the timeout in ms plus one, 0 for none;
 * while queued: the deadline on its loop's clock. waiter.key names the object
 * from the start on, and waiter.next, when the lot does not use it, links the
 * requests of a mailbox. */
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

enum pkd__kind { PKD__KIND_NONE, PKD__KIND_MUTEX, PKD__KIND_SEM, PKD__KINDS };

/* The longest timeout, in ms; longer ones never come. */
#define PKD__TIMEOUT_MAX (UINT64_C(1) << 31)

static inline uint32_t pkd__state(enum pkd__step step, enum pkd__kind kind) {
  return (uint32_t)step | (uint32_t)kind << 8;
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
  return (uint32_t)req->waiter.token;
}

/** The object of a request that is not idle. */
static inline void* pkd__object_of(const pkd_req_t* req) {
  /* relaxed: whoever may ask has seen the state that was set after it */
  return (void*)(uintptr_t)pkd__load_relaxed(&req->waiter.key);
}

/** May `req` be started? @return 0, UV_EALREADY or UV_EBUSY */
int pkd__req_startable(const pkd_req_t* req);

/** Ends the wait of a queued request by itself: takes it out of its queue, hands
 * it to its loop or thread, and lets those behind it go on.
 *
 * @param step  PKD__CANCELED or PKD__TIMEDOUT
 * @return false if it was not queued any more; nothing happened then */
bool pkd__req_end(pkd_req_t* req, enum pkd__step step);

/** The status of a request that is over without a grant. */
int pkd__req_status(enum pkd__step step);

#endif
