/* SPDX-License-Identifier: MIT
 *
 * quick.h - the shortest way through a free object, for who knows its face.
 *
 * The same steps as in start.c, request.c and engine.c, and the same orders, but
 * written out for one face, which the compiler then sees through: no call, and
 * no field is written that the plain case does not need. Whatever is not plain (a
 * request in use, a timeout, a loop that is not between prepare and check or has
 * a grant timeout, an object that is held, closed or waited for) is left as it
 * was, and goes the long way, which looks at everything again. */
#ifndef PKD_ASYNC_QUICK_H
#define PKD_ASYNC_QUICK_H

#include "engine.h"
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
  /* acquire, pairs with (D1), as in pkd__req_startable() */
  return pkd__load_acquire(&req->waiter.state) == PKD__IDLE &&
         pkd__deadline_of(req) == 0;
}

/** As pkd__start(). */
PKD__QUICK int pkd__quick_start(const struct pkd__face* face,
                                enum pkd__kind kind, pkd_loop_t* loop,
                                pkd_req_t* req, void* object, uint32_t want,
                                pkd_req_cb cb) {
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
  if (grant == PKD__REFUSED)
    return pkd__start(loop, req, object, kind, want, cb);
  req->cb = cb;
  /* relaxed, both: only this thread has seen the request so far */
  pkd__store_relaxed(&req->waiter.key, object);
  pkd__store_relaxed(&req->waiter.state, pkd__state_granted(kind, grant));
  pkd__home_accept_granted(home, req);
  return 0;
}

/** As pkd__leave_near(), whose first round it is. */
PKD__QUICK void pkd__quick_leave(const struct pkd__face* face,
                                 enum pkd__kind kind, void* object,
                                 int64_t amount, const struct pkd__home* home) {
  uint64_t word = pkd__word(face, object);

  if ((word & face->queued) != 0 ||
      !pkd__word_cas(face, object, word, face->left(word, amount)))
    pkd__leave_near(object, kind, amount, home);
}

#endif
