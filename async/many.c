/* SPDX-License-Identifier: MIT
 *
 * many.c - several locks at once, each by a request of its own.
 *
 * `order` makes the entering of all queues one step. So of two such requests one
 * is ahead of the other in *every* queue they share, and the oldest of all waits
 * only for requests for a single lock, which wait for nothing: it gets its turn
 * everywhere, then the next. Nothing is held but while entering.
 *
 * A request that fails anywhere is over: the rest is cancelled, and the answer
 * comes when all items have answered, because their memory is the user's again
 * then. */
#include <parkade/async/many.h>

#include <parkade/mutex.h>

#include "engine.h"
#include "take.h"

enum { IDLE, WAITS, OWNS };

static pkd_mutex_t order;

static int check(const pkd_many_t* many, const pkd_many_item_t* items,
                 size_t count);
static void answered(pkd_req_t* req, int status);
static void fail(pkd_many_t* many, int status);
static void finish(pkd_many_t* many);
static void release(pkd_many_item_t* items, size_t count);

/* relaxed: the tickets of the items carry the order; this one is a note */
static int state_of(const pkd_many_t* many) {
  return pkd__load_relaxed(&many->state);
}

static void set_state(pkd_many_t* many, int state) {
  pkd__store_relaxed(&many->state, state); /* relaxed: as state_of */
}

int pkd_many_lock(pkd_loop_t* loop, pkd_many_t* many, pkd_many_item_t* items,
                  size_t count, uint64_t timeout, pkd_many_cb cb) {
  int err = cb == NULL ? UV_EINVAL : check(many, items, count);
  size_t started = 0;

  if (err != 0)
    return err;
  many->items = items;
  many->count = count;
  many->status = 0;
  many->cb = cb;
  pkd_mutex_lock(&order);
  for (; started < count && err == 0; started += err == 0) {
    pkd_many_item_t* item = &items[started];

    item->req.data = many;
    pkd_req_set_timeout(&item->req, timeout);
    err = pkd__take_start(loop, &item->req, &item->take, answered);
  }
  pkd_mutex_unlock(&order);
  if (started == 0)
    return err;
  many->open = started;
  many->count = started; /* the others never began */
  set_state(many, WAITS);
  if (err != 0)
    fail(many, err);
  return 0;
}

static void answered(pkd_req_t* req, int status) {
  pkd_many_t* many = req->data;

  many->open--;
  if (status < 0 && many->status == 0)
    fail(many, status);
  if (many->open == 0)
    finish(many);
}

bool pkd__many_has(const pkd_req_t* req) {
  return req->cb == answered;
}

static void fail(pkd_many_t* many, int status) {
  many->status = status;
  for (size_t i = 0; i < many->count; i++)
    pkd_req_cancel(&many->items[i].req);
}

/* All items have answered. */
static void finish(pkd_many_t* many) {
  if (many->status == 0) {
    set_state(many, OWNS);
  } else {
    release(many->items, many->count);
    set_state(many, IDLE);
  }
  many->cb(many, many->status);
}

static void release(pkd_many_item_t* items, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (pkd_req_owned(&items[i].req) != NULL)
      pkd__take_release(&items[i].req, &items[i].take);
  }
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
  many->items = items;
  many->count = count;
  set_state(many, OWNS);
  return 0;
}

int pkd_many_lock_blocking(pkd_many_t* many, pkd_many_item_t* items,
                           size_t count, pkd_deadline_t deadline) {
  int err = check(many, items, count);
  int first = 0; /* the first failure */
  size_t begun = 0;

  if (err != 0)
    return err;
  pkd_mutex_lock(&order);
  for (; begun < count && first == 0; begun++) {
    pkd_many_item_t* item = &items[begun];

    item->parker.word = 0;
    err = pkd__take_block(&item->req, &item->take, &item->parker, deadline);
    item->req.data = err == UV_EAGAIN ? item : NULL; /* it waits */
    if (err != UV_EAGAIN)
      first = err;
  }
  pkd_mutex_unlock(&order);
  for (size_t i = 0; i < begun; i++) {
    pkd_many_item_t* item = &items[i];

    if (item->req.data == NULL)
      continue;
    if (first != 0)
      pkd_req_cancel(&item->req);
    err = pkd__block_end(&item->req, &item->parker, deadline);
    if (first == 0 && err < 0)
      first = err;
  }
  if (first != 0) {
    release(items, begun);
    return first;
  }
  many->items = items;
  many->count = count;
  set_state(many, OWNS);
  return 0;
}

int pkd_many_unlock(pkd_many_t* many) {
  int state = OWNS;

  if (many == NULL)
    return UV_EINVAL;
  /* relaxed: of several who give it back one is right; see state_of */
  if (!pkd__cas_relaxed(&many->state, &state, IDLE))
    return UV_EPERM;
  release(many->items, many->count);
  return 0;
}

int pkd_many_cancel(pkd_many_t* many) {
  int err = UV_EBUSY;

  if (many == NULL || state_of(many) == IDLE)
    return UV_EINVAL;
  if (state_of(many) == OWNS)
    return UV_EBUSY;
  if (many->status != 0)
    return many->status == UV_ECANCELED ? 0 : UV_EBUSY;
  for (size_t i = 0; i < many->count; i++) {
    if (pkd_req_cancel(&many->items[i].req) == 0)
      err = 0;
  }
  if (err == 0)
    many->status = UV_ECANCELED;
  return err;
}

/* Is all of it possible, and idle? */
static int check(const pkd_many_t* many, const pkd_many_item_t* items,
                 size_t count) {
  if (many == NULL || items == NULL || count == 0)
    return UV_EINVAL;
  if (state_of(many) != IDLE)
    return state_of(many) == WAITS ? UV_EALREADY : UV_EBUSY;
  for (size_t i = 0; i < count; i++) {
    int err = pkd__req_startable(&items[i].req);

    if (err != 0)
      return err;
    if (items[i].take.object == NULL)
      return UV_EINVAL;
    for (size_t j = 0; j < i; j++) {
      if (pkd__take_same(&items[i].take, &items[j].take))
        return UV_EINVAL;
    }
  }
  return 0;
}
