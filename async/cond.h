/* SPDX-License-Identifier: MIT
 *
 * cond.h - the debt of a signal: who was chosen and does not come passes it on. */
#ifndef PKD_ASYNC_COND_H
#define PKD_ASYNC_COND_H

#include <parkade/async/cond.h>

#include "request.h"

/* What a request wants of a mutex is 1, and this, if a signal moved it there. */
enum { PKD__SIGNALLED = 2 };

struct pkd__debt {
  pkd_async_cond_t* cond; /* NULL: none. Perhaps gone by now */
  pkd_async_mutex_t* mutex;
};

/** The debt of a request that waits for a mutex or was granted it. */
static inline struct pkd__debt pkd__cond_debt(const pkd_req_t* req) {
  struct pkd__debt debt = {NULL, NULL};
  /* relaxed: whoever may ask has seen the state that was set after it */
  uint32_t state = pkd__load_relaxed(&req->waiter.state);

  if (pkd__kind_of(state) == PKD__KIND_MUTEX &&
      (pkd__want(req) & PKD__SIGNALLED) != 0) {
    debt.mutex = (pkd_async_mutex_t*)(uintptr_t)req->extra[0];
    debt.cond = (pkd_async_cond_t*)(uintptr_t)req->extra[1];
  }
  return debt;
}

/** Signals the condition in the place of one who did not come. */
void pkd__cond_forward(const struct pkd__debt* debt);

#endif
