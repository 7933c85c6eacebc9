/* SPDX-License-Identifier: MIT
 *
 * many.c - several locks at once, each by a request of its own.
 *
 * `order` makes the entering of all queues one step. So of two such requests one
 * is ahead of the other in *every* queue they share, and the oldest of all waits
 * only for requests for a single lock, which wait for nothing: it gets its turn
 * everywhere, then the next. Nothing is held but while entering.
 *
 * A request that fails anywhere is over: the rest is cancelled, what it had is
 * given back, and the answer comes when all items have answered, because their
 * memory is the user's again then. What came first, the end of all waits or a
 * failure, is decided under the lock of the request, under which its items are
 * cancelled, too: so who cancels from another thread is done with it when the
 * answer comes.
 *
 * If its loop is stuck with a grant to one of its items (grant.h), all of it
 * *retreats*: it ends in the same way, but when its items have answered it enters
 * all queues anew, behind those who are there by then. To keep a place in some of
 * them, and be passed by in others, would be no order any more, and two requests
 * might wait for each other. */
#include <parkade/async/many.h>

#include "engine.h"
#include "home.h"
#include "take.h"

enum { IDLE, WAITS, OWNS };

/* A status while it waits, as 0 and the failures are. */
#define RETREATS 1

static pkd_mutex_t order; /* nothing is locked under it but the lot */

static int check(pkd_many_t* many, const pkd_many_item_t* items, size_t count);
static void begin(pkd_many_t* many, pkd_many_item_t* items);
static void enter(pkd_loop_t* loop, pkd_many_t* many, size_t count,
                  uint64_t timeout);
static void begun_with(pkd_many_t* many, size_t started);
static size_t cancel_items(pkd_many_t* many);
static void answered(pkd_req_t* req, int status);
static void enter_anew(pkd_loop_t* loop, pkd_many_t* many, size_t count);
static bool fail(pkd_many_t* many, int status);
static void item_failed(pkd_many_t* many, int status);
static size_t retreated(pkd_many_t* many);
static int finish(pkd_many_t* many);
static size_t release(pkd_many_item_t* items, size_t count);

/* It guards no memory: another thread may have been entering, and has left nothing
 * half done that the child would see. */
void pkd__many_forked(void) {
  order = (pkd_mutex_t)PKD_MUTEX_INIT;
}

static int state_of(pkd_many_t* many) {
  int state;

  pkd_mutex_lock(&many->lock);
  state = many->state;
  pkd_mutex_unlock(&many->lock);
  return state;
}

int pkd_many_lock(pkd_loop_t* loop, pkd_many_t* many, pkd_many_item_t* items,
                  size_t count, uint64_t timeout, pkd_many_cb cb) {
  int err = cb == NULL ? UV_EINVAL : check(many, items, count);

  if (err != 0)
    return err;
  begin(many, items);
  many->cb = cb;
  many->deadline = timeout > PKD__TIMEOUT_MAX
                       ? PKD_FOREVER
                       : pkd_now() + timeout * UINT64_C(1000000);
  enter(loop, many, count, timeout);
  return many->open == 0 ? finish(many) : 0;
}

/* Enters all queues in one step. What fails at once has failed. */
static void enter(pkd_loop_t* loop, pkd_many_t* many, size_t count,
                  uint64_t timeout) {
  size_t started = 0;
  int err = 0;

  pkd_mutex_lock(&order);
  for (; started < count && err == 0; started += err == 0) {
    pkd_many_item_t* item = &many->items[started];

    item->req.data = many;
    pkd_req_set_timeout(&item->req, timeout);
    err = pkd__take_start(loop, &item->req, &item->take, answered);
  }
  pkd_mutex_unlock(&order);
  many->open = started;
  begun_with(many, started);
  if (err != 0)
    fail(many, err);
}

static void answered(pkd_req_t* req, int status) {
  pkd_many_t* many = req->data;
  size_t count;

  many->open--;
  if (status < 0)
    item_failed(many, status);
  if (many->open == 0 && (count = retreated(many)) != 0)
    enter_anew(req->via.home->face, many, count);
  if (many->open == 0) {
    status = finish(many);
    many->cb(many, status);
  }
}

/* The timeout counts from the first time on. */
static void enter_anew(pkd_loop_t* loop, pkd_many_t* many, size_t count) {
  pkd_deadline_t now = pkd_now();

  if (loop->home->detaching)
    fail(many, UV_ECANCELED);
  else if (many->deadline == PKD_FOREVER)
    enter(loop, many, count, PKD_NO_TIMEOUT);
  else if (now < many->deadline)
    enter(loop, many, count, (many->deadline - now + 999999) / 1000000);
  else
    fail(many, UV_ETIMEDOUT);
}

bool pkd__many_has(const pkd_req_t* req) {
  return req->cb == answered;
}

int pkd_many_lock_blocking(pkd_many_t* many, pkd_many_item_t* items,
                           size_t count, pkd_deadline_t deadline) {
  int err = check(many, items, count);
  size_t begun = 0;

  if (err != 0)
    return err;
  begin(many, items);
  pkd_mutex_lock(&order);
  for (; begun < count && err == 0; begun++) {
    pkd_many_item_t* item = &items[begun];

    item->parker.word = 0;
    err = pkd__take_block(&item->req, &item->take, &item->parker, deadline);
    item->req.data = err == UV_EAGAIN ? item : NULL; /* it waits */
    if (err == UV_EAGAIN)
      err = 0;
  }
  pkd_mutex_unlock(&order);
  begun_with(many, begun);
  if (err != 0)
    fail(many, err);
  for (size_t i = 0; i < begun; i++) {
    pkd_many_item_t* item = &items[i];

    if (item->req.data == NULL)
      continue;
    err = pkd__block_end(&item->req, &item->parker, deadline);
    if (err < 0)
      fail(many, err);
  }
  return finish(many);
}

static void begin(pkd_many_t* many, pkd_many_item_t* items) {
  pkd_mutex_lock(&many->lock);
  many->items = items;
  many->count = 0;
  many->status = 0;
  many->state = WAITS;
  pkd_mutex_unlock(&many->lock);
}

/* Items behind the `started` ones never began. It may have failed meanwhile. */
static void begun_with(pkd_many_t* many, size_t started) {
  pkd_mutex_lock(&many->lock);
  many->count = started;
  if (many->status != 0)
    cancel_items(many);
  pkd_mutex_unlock(&many->lock);
}

/* @return false: something else ended it before */
static bool fail(pkd_many_t* many, int status) {
  bool first;

  pkd_mutex_lock(&many->lock);
  first = many->state == WAITS && many->status >= 0;
  if (first && many->status != RETREATS)
    cancel_items(many);
  if (first)
    many->status = status;
  pkd_mutex_unlock(&many->lock);
  return first;
}

/* While it retreats they all do. */
static void item_failed(pkd_many_t* many, int status) {
  pkd_mutex_lock(&many->lock);
  if (many->status == 0) {
    many->status = status;
    cancel_items(many);
  }
  pkd_mutex_unlock(&many->lock);
}

/* Under the lock. What an item has already it gives back.
 * @return how many were granted something */
static size_t cancel_items(pkd_many_t* many) {
  size_t granted = 0;

  for (size_t i = 0; i < many->count; i++) {
    pkd_req_t* req = &many->items[i].req;
    /* relaxed: to be counted only */
    uint32_t state = pkd__load_relaxed(&req->waiter.state);

    if (pkd_req_cancel(req) == 0)
      granted += pkd__step_of(state) == PKD__GRANTED;
  }
  return granted + release(many->items, many->count);
}

size_t pkd__many_retreat(pkd_req_t* item) {
  pkd_many_t* many = item->data;
  size_t granted = 0;

  pkd_mutex_lock(&many->lock);
  if (many->status == 0) {
    many->status = RETREATS;
    granted = cancel_items(many);
  }
  pkd_mutex_unlock(&many->lock);
  return granted;
}

/* All items have answered. @return how many have to begin anew, or 0 */
static size_t retreated(pkd_many_t* many) {
  size_t count = 0;

  pkd_mutex_lock(&many->lock);
  if (many->status == RETREATS) {
    count = many->count;
    many->count = 0;
    many->status = 0;
  }
  pkd_mutex_unlock(&many->lock);
  return count;
}

/* All items have answered. */
static int finish(pkd_many_t* many) {
  int status;

  pkd_mutex_lock(&many->lock);
  status = many->status;
  many->state = status == 0 ? OWNS : IDLE;
  pkd_mutex_unlock(&many->lock);
  if (status != 0)
    release(many->items, many->count);
  return status;
}

/* @return how many were owned */
static size_t release(pkd_many_item_t* items, size_t count) {
  size_t owned = 0;

  for (size_t i = 0; i < count; i++) {
    if (pkd_req_owned(&items[i].req) != NULL)
      owned += pkd__take_release(&items[i].req, &items[i].take) == 0;
  }
  return owned;
}

int pkd_many_trylock(pkd_many_t* many, pkd_many_item_t* items, size_t count) {
  int err = check(many, items, count);

  if (err != 0)
    return err;
  for (size_t i = 0; i < count && err == 0; i++) {
    err = pkd__take_try(&items[i].req, &items[i].take);
    if (err != 0)
      release(items, i);
  }
  if (err != 0)
    return err;
  begin(many, items);
  begun_with(many, count);
  return finish(many);
}

int pkd_many_unlock(pkd_many_t* many) {
  bool owned;

  if (many == NULL)
    return UV_EINVAL;
  pkd_mutex_lock(&many->lock);
  owned = many->state == OWNS; /* of several who give it back one is right */
  if (owned)
    many->state = IDLE;
  pkd_mutex_unlock(&many->lock);
  if (!owned)
    return UV_EPERM;
  release(many->items, many->count);
  return 0;
}

int pkd_many_cancel(pkd_many_t* many) {
  int err;

  if (many == NULL)
    return UV_EINVAL;
  if (fail(many, UV_ECANCELED))
    return 0;
  pkd_mutex_lock(&many->lock);
  err = many->state == IDLE ? UV_EINVAL : UV_EBUSY;
  if (many->state == WAITS && many->status == UV_ECANCELED)
    err = 0; /* it is, by whomever */
  pkd_mutex_unlock(&many->lock);
  return err;
}

/* Is all of it possible, and idle? */
static int check(pkd_many_t* many, const pkd_many_item_t* items, size_t count) {
  int state;

  if (many == NULL || items == NULL || count == 0)
    return UV_EINVAL;
  if ((state = state_of(many)) != IDLE)
    return state == WAITS ? UV_EALREADY : UV_EBUSY;
  for (size_t i = 0; i < count; i++) {
    int err = pkd__req_startable(&items[i].req);

    if (err == 0)
      err = pkd__take_check(&items[i].take);
    if (err != 0)
      return err;
    for (size_t j = 0; j < i; j++) {
      if (pkd__take_same(&items[i].take, &items[j].take))
        return UV_EINVAL;
    }
  }
  return 0;
}
