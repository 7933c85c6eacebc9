/* SPDX-License-Identifier: MIT
 *
 * cond.c - the asynchronous condition: two queues, and a step from one to the
 * other.
 *
 * A request waits first at the address of the condition, then, once signalled,
 * at that of its mutex, where it is like any other that wants it. The lot moves
 * it from one to the other under both locks, and its kind (request.h) changes in
 * the same step. Each end of its wait looks at where it was.
 *
 * cond->mutex is written under the lot's lock of the condition: not NULL exactly
 * while somebody waits there, but for the child of a fork. The condition is
 * touched only by its callers, or under that lock while somebody waits there. A
 * signal is a debt: a request that was chosen by one, and does not get the mutex,
 * passes it on (PKD__SIGNALLED); by then the condition may be gone, so that looks
 * for waiters by the address alone. */
#include <parkade/async/cond.h>

#include "cond.h"

#include "engine.h"
#include "grant.h"
#include "home.h"
#include "word/async_mutex.h"

#include <limits.h>

struct entry {
  pkd_async_cond_t* cond;
  pkd_async_mutex_t* mutex;
  pkd_req_t* req;
  int err;
};

struct call {
  pkd_async_cond_t* cond;
  pkd_async_mutex_t* mutex;
  bool all;
  bool forwarded; /* touch the condition only if somebody waits there */
  bool again;     /* who waits there waits with another mutex by now */
};

static int no_owner(const pkd_req_t* req);
static int begin(struct entry* entry, uint64_t token);
static int enter(void* arg);
static size_t call_on(struct call* call);
static pkd_requeue_op_t choose(void* arg, pkd_waiter_t* oldest);
static uint64_t finish(void* arg, const pkd_unpark_result_t* result);

/* (C1) acquire, pairs with (C2): who sees that nobody waits may free the
 * condition, and comes after the last one's touch. */
static pkd_async_mutex_t* mutex_of(const pkd_async_cond_t* cond) {
  return pkd__load_acquire(&cond->mutex);
}

static void set_mutex(pkd_async_cond_t* cond, pkd_async_mutex_t* mutex) {
  pkd__store_release(&cond->mutex, mutex); /* (C2) release, pairs with (C1) */
}

/* --- waiting --------------------------------------------------------------- */

int pkd_async_cond_wait(pkd_loop_t* loop, pkd_req_t* req,
                        pkd_async_cond_t* cond, pkd_async_mutex_t* mutex,
                        pkd_req_cb cb) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;
  struct entry entry = {cond, mutex, req, 0};
  struct pkd__home* before;
  pkd_req_cb cb_before;
  uint64_t timeout; /* plus one; 0: none */
  int err;

  if (home == NULL || req == NULL || cond == NULL || mutex == NULL ||
      cb == NULL)
    return UV_EINVAL;
  if (home == &pkd__home_gone || home->detaching)
    return UV_ESHUTDOWN;
  if (!pkd__owns(req, mutex, PKD__KIND_MUTEX))
    return no_owner(req);
  pkd__home_check(home, "pkd_async_cond_wait");
  pkd__home_adopt(home);
  timeout = pkd__deadline_of(req);
  pkd__set_deadline(req, 0);
  if (timeout == 1)
    return UV_EBUSY;
  if (timeout > 1)
    timeout = pkd__home_deadline(home, timeout - 1);
  before = req->via.home;
  cb_before = req->cb;
  req->via.home = home;
  req->cb = cb;
  err = begin(&entry, timeout << 32 | 1);
  if (err != 0) {
    req->via.home = before;
    req->cb = cb_before;
    return err;
  }
  if (before != NULL)
    pkd__home_returned(before);
  pkd__home_accept(home, req);
  pkd__leave(mutex, PKD__KIND_MUTEX, 1);
  return 0;
}

int pkd_async_cond_wait_blocking(pkd_req_t* req, pkd_async_cond_t* cond,
                                 pkd_async_mutex_t* mutex,
                                 pkd_deadline_t deadline) {
  struct entry entry = {cond, mutex, req, 0};
  pkd_parker_t parker = {0};
  struct pkd__home* before;
  struct pkd__link link;
  int err;

  if (req == NULL || cond == NULL || mutex == NULL)
    return UV_EINVAL;
  if (!pkd__owns(req, mutex, PKD__KIND_MUTEX))
    return no_owner(req);
  if (pkd__thread_has_loop())
    return PKD_EDEADLK;
  before = req->via.home;
  link = req->link;
  req->via.home = NULL;
  req->link.next = (struct pkd__link*)&parker;
  err = begin(&entry, 1);
  if (err != 0) {
    req->via.home = before;
    req->link = link;
    return err;
  }
  if (before != NULL)
    pkd__home_returned(before);
  pkd__leave(mutex, PKD__KIND_MUTEX, 1);
  return pkd__block_end(req, &parker, deadline);
}

/* Why it cannot wait: it does so already, or has nothing to give up. */
static int no_owner(const pkd_req_t* req) {
  return pkd__req_startable(req) == UV_EALREADY ? UV_EALREADY : UV_EPERM;
}

/* Queues the request, which owns the mutex until its caller gives that up. So
 * whoever takes the mutex after that finds it waiting. */
static int begin(struct entry* entry, uint64_t token) {
  pkd_req_t* req = entry->req;
  const void* object = pkd__object_of(req);

  req->extra[0] = (uintptr_t)entry->mutex;
  req->extra[1] = (uintptr_t)entry->cond;
  req->extra[2] = 0; /* once it is moved to the mutex, it has waited enough */
  req->waiter.wake = pkd__woken_by_stranger;     /* a try may not have set it */
  pkd__store_relaxed(&req->waiter.token, token); /* relaxed: as prepare() */
  pkd__store_relaxed(&req->waiter.key, (const void*)entry->cond);
  if (pkd_lot_enqueue(entry->cond, &req->waiter, enter, entry) == 0)
    return 0;
  pkd__set_deadline(req, 0);                    /* used up by this start */
  pkd__store_relaxed(&req->waiter.key, object); /* relaxed: still its own */
  return entry->err;
}

/* Under the lot's lock of the condition. */
static int enter(void* arg) {
  struct entry* entry = arg;
  pkd_async_mutex_t* mutex = mutex_of(entry->cond);

  if (mutex != NULL && mutex != entry->mutex && !pkd__in_forked_child()) {
    entry->err = UV_EINVAL;
    return 0;
  }
  set_mutex(entry->cond, entry->mutex);
  /* (S6) release, pairs with (S5): a cancel that finds it queued finds the key */
  pkd__store_release(&entry->req->waiter.state,
                     pkd__state(PKD__QUEUED, PKD__KIND_COND));
  return 1;
}

/* --- signalling ------------------------------------------------------------ */

static int call_known(pkd_async_cond_t* cond, bool all) {
  struct call call = {cond, NULL, all, false, false};
  size_t count;

  if (cond == NULL)
    return UV_EINVAL;
  call.mutex = mutex_of(cond);
  count = call_on(&call);
  return count > INT_MAX ? INT_MAX : (int)count;
}

int pkd_async_cond_signal(pkd_async_cond_t* cond) {
  return call_known(cond, false);
}

int pkd_async_cond_broadcast(pkd_async_cond_t* cond) {
  return call_known(cond, true);
}

int pkd_async_cond_destroy(const pkd_async_cond_t* cond) {
  if (cond == NULL)
    return UV_EINVAL;
  return mutex_of(cond) != NULL ? UV_EBUSY : 0;
}

void pkd__cond_forward(const struct pkd__debt* debt) {
  struct call call = {debt->cond, debt->mutex, false, true, false};

  if (debt->cond != NULL)
    (void)call_on(&call);
}

static size_t call_on(struct call* call) {
  pkd_unpark_result_t result;

  do {
    if (call->mutex == NULL)
      return 0;
    call->again = false;
    result =
        pkd_lot_unpark_requeue(call->cond, call->mutex, choose, finish,
                               pkd__state(PKD__QUEUED, PKD__KIND_MUTEX), call);
    if (call->again)
      call->mutex = mutex_of(call->cond);
  } while (call->again);
  /* Whoever was moved may find the mutex free. */
  if (result.requeued != 0)
    pkd__dispatch(call->mutex);
  return result.requeued;
}

/* Under the lot's locks of condition and mutex; somebody waits. */
static pkd_requeue_op_t choose(void* arg, pkd_waiter_t* oldest) {
  struct call* call = arg;
  uint64_t old;
  uint64_t word;

  /* relaxed: the lot's lock guards it while it is queued */
  if (oldest->wake != pkd__woken_by_stranger ||
      pkd__kind_of(pkd__load_relaxed(&oldest->state)) != PKD__KIND_COND ||
      pkd__req_of(oldest)->extra[0] != (uintptr_t)call->mutex) {
    /* If forwarded: another object is there now, or a new use of this one. */
    call->again = !call->forwarded;
    return PKD_REQUEUE_ABORT;
  }
  call->forwarded = false; /* the condition is there */
  do {
    old = pkd__word(&pkd__face_mutex, call->mutex);
    word = old | PKD__ASYNC_MUTEX_QUEUED;
  } while (old != word &&
           !pkd__word_cas(&pkd__face_mutex, call->mutex, old, word));
  if (call->all)
    return PKD_REQUEUE_MOVE_ALL;
  pkd__set_want(pkd__req_of(oldest), 1 | PKD__SIGNALLED);
  return PKD_REQUEUE_MOVE_ONE;
}

/* Under the same locks. */
static uint64_t finish(void* arg, const pkd_unpark_result_t* result) {
  struct call* call = arg;

  if (!result->have_more && !call->forwarded && !call->again)
    set_mutex(call->cond, NULL);
  return 0;
}

/* --- a wait that ends by itself -------------------------------------------- */

struct ending {
  pkd_req_t* req;
  enum pkd__step step;
  const void* mutex; /* where it was, if it had been moved there */
  bool others;       /* ... and those who wait there may go on */
  bool away;
  struct pkd__debt debt;
};

/* Under the lot's lock of `key`, which is that of the condition or the mutex. */
static void removed(void* arg, const void* key, int was_last) {
  struct ending* ending = arg;
  uint32_t* state = &ending->req->waiter.state;
  /* relaxed: the lot's lock guards it while it is queued */
  uint32_t old = pkd__load_relaxed(state);
  enum pkd__kind kind = pkd__kind_of(old);

  ending->away = pkd__is_away(old);
  pkd__grant_ended(old);
  ending->debt = pkd__cond_debt(ending->req);
  if (kind == PKD__KIND_MUTEX) {
    (void)pkd__withdraw(key, ending->req, was_last != 0, &ending->others);
    ending->mutex = key;
  } else if (was_last) {
    set_mutex((pkd_async_cond_t*)(uintptr_t)key, NULL);
  }
  /* (S1) release, pairs with (S2) and (S5); who is away may be gone after it */
  pkd__store_release(state, pkd__state(ending->step, kind));
}

static bool end(pkd_req_t* req, enum pkd__step step, bool* away) {
  struct ending ending = {.req = req, .step = step};

  if (pkd_lot_remove(&req->waiter, removed, &ending) != 0)
    return false;
  *away = ending.away;
  if (ending.others)
    pkd__dispatch(ending.mutex);
  pkd__cond_forward(&ending.debt);
  return true;
}

static int start(pkd_req_t* req, bool wait) {
  (void)req;
  (void)wait;
  return UV_EINVAL;
}

static bool take_back(pkd_req_t* req, uint32_t state) {
  (void)req;
  (void)state;
  return false;
}

static uint32_t settle(pkd_req_t* req) {
  /* (S2) acquire, pairs with (S1) */
  return pkd__load_acquire(&req->waiter.state);
}

/* It starts by its own functions, and what it is granted is the mutex. */
static const struct pkd__in_lot in_lot = {
    .start = start,
    .end = end,
    .revoke = take_back,
    .settle = settle,
};

const struct pkd__face pkd__face_cond = {.in_lot = &in_lot};
