/* SPDX-License-Identifier: MIT
 *
 * rwlock.c - the asynchronous reader-writer lock on the engine.
 *
 * What a request wants is a move (word/async_rwlock.h): a mode, and for an
 * upgrade the mode that it owns already and keeps if it fails. */
#include <parkade/async/rwlock.h>

#include "quick.h"
#include "word/async_rwlock.h"

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  return pkd__async_rwlock_take(word, pkd__want(req));
}

static uint64_t left(uint64_t word, int64_t move) {
  return pkd__async_rwlock_left(word, (uint32_t)move);
}

/* Two who read and both wait for the other to leave. */
static int hopeless(uint64_t word) {
  return (word & PKD__ASYNC_RWLOCK_PENDING) != 0 ? PKD_EDEADLK : 0;
}

const struct pkd__face pkd__face_rwlock = {
    .bytes = sizeof(uint64_t),
    .queued = PKD__ASYNC_RWLOCK_QUEUED,
    .closed = PKD__ASYNC_RWLOCK_CLOSED,
    .shut = PKD__ASYNC_RWLOCK_WRITER,
    .plain = true,
    .admit = admit,
    .left = left,
    .climbing = PKD__ASYNC_RWLOCK_PENDING,
    .hopeless = hopeless,
};

PKD__QUICK_CALLS(&pkd__face_rwlock, PKD__KIND_RWLOCK);

static int lock_async(pkd_loop_t* loop, pkd_req_t* req,
                      pkd_async_rwlock_t* lock, unsigned mode, pkd_req_cb cb) {
  return pkd__quick_start(&pkd__face_rwlock, PKD__KIND_RWLOCK, &quick_calls,
                          loop, req, lock, mode, cb);
}

int pkd_async_rwlock_rdlock(pkd_loop_t* loop, pkd_req_t* req,
                            pkd_async_rwlock_t* lock, pkd_req_cb cb) {
  return lock_async(loop, req, lock, PKD__ASYNC_READ, cb);
}

int pkd_async_rwlock_wrlock(pkd_loop_t* loop, pkd_req_t* req,
                            pkd_async_rwlock_t* lock, pkd_req_cb cb) {
  return lock_async(loop, req, lock, PKD__ASYNC_WRITE, cb);
}

int pkd_async_rwlock_uplock(pkd_loop_t* loop, pkd_req_t* req,
                            pkd_async_rwlock_t* lock, pkd_req_cb cb) {
  return lock_async(loop, req, lock, PKD__ASYNC_UP, cb);
}

int pkd_async_rwlock_tryrdlock(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  return pkd__try(req, lock, PKD__KIND_RWLOCK, PKD__ASYNC_READ);
}

int pkd_async_rwlock_trywrlock(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  return pkd__try(req, lock, PKD__KIND_RWLOCK, PKD__ASYNC_WRITE);
}

int pkd_async_rwlock_tryuplock(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  return pkd__try(req, lock, PKD__KIND_RWLOCK, PKD__ASYNC_UP);
}

int pkd_async_rwlock_rdlock_blocking(pkd_req_t* req, pkd_async_rwlock_t* lock,
                                     pkd_deadline_t deadline) {
  return pkd__block(req, lock, PKD__KIND_RWLOCK, PKD__ASYNC_READ, deadline);
}

int pkd_async_rwlock_wrlock_blocking(pkd_req_t* req, pkd_async_rwlock_t* lock,
                                     pkd_deadline_t deadline) {
  return pkd__block(req, lock, PKD__KIND_RWLOCK, PKD__ASYNC_WRITE, deadline);
}

int pkd_async_rwlock_uplock_blocking(pkd_req_t* req, pkd_async_rwlock_t* lock,
                                     pkd_deadline_t deadline) {
  return pkd__block(req, lock, PKD__KIND_RWLOCK, PKD__ASYNC_UP, deadline);
}

pkd_async_rwlock_mode_t pkd_async_rwlock_owned(const pkd_req_t* req,
                                               const pkd_async_rwlock_t* lock) {
  if (req == NULL || lock == NULL || !pkd__owns(req, lock, PKD__KIND_RWLOCK))
    return PKD_ASYNC_RWLOCK_NONE;
  /* Of an upgrade that is just being delivered the other mode is still there. */
  return (pkd_async_rwlock_mode_t)(pkd__want(req) & 0xff);
}

int pkd_async_rwlock_unlock(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  pkd_async_rwlock_mode_t mode = pkd_async_rwlock_owned(req, lock);
  int err;

  if (req == NULL || lock == NULL)
    return UV_EINVAL;
  /* It has no mode while it is handed over. */
  err = mode == PKD_ASYNC_RWLOCK_NONE
            ? UV_EPERM
            : pkd__disown(req, lock, PKD__KIND_RWLOCK);
  if (err == 0)
    (void)pkd__quick_leave(&pkd__face_rwlock, PKD__KIND_RWLOCK, &quick_calls,
                           lock, mode, NULL, NULL);
  return err;
}

/* --- from mode to mode ------------------------------------------------------ */

/* @return the move of an upgrade; 0 if `req` cannot */
static uint32_t upgrade(const pkd_req_t* req, const pkd_async_rwlock_t* lock) {
  pkd_async_rwlock_mode_t mode = pkd_async_rwlock_owned(req, lock);

  if (mode != PKD_ASYNC_RWLOCK_READ && mode != PKD_ASYNC_RWLOCK_UP)
    return 0;
  return pkd__async_rwlock_move(PKD__ASYNC_WRITE, mode);
}

/* Why it cannot. */
static int no_upgrade(const pkd_req_t* req, const pkd_async_rwlock_t* lock) {
  if (req == NULL || lock == NULL)
    return UV_EINVAL;
  return pkd__req_startable(req) == UV_EALREADY ? UV_EALREADY : UV_EPERM;
}

int pkd_async_rwlock_upgrade(pkd_loop_t* loop, pkd_req_t* req,
                             pkd_async_rwlock_t* lock, pkd_req_cb cb) {
  uint32_t move = upgrade(req, lock);

  return move == 0 ? no_upgrade(req, lock)
                   : pkd__start(loop, req, lock, PKD__KIND_RWLOCK, move, cb);
}

int pkd_async_rwlock_tryupgrade(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  uint32_t move = upgrade(req, lock);

  return move == 0 ? no_upgrade(req, lock)
                   : pkd__try(req, lock, PKD__KIND_RWLOCK, move);
}

int pkd_async_rwlock_upgrade_blocking(pkd_req_t* req, pkd_async_rwlock_t* lock,
                                      pkd_deadline_t deadline) {
  uint32_t move = upgrade(req, lock);

  return move == 0 ? no_upgrade(req, lock)
                   : pkd__block(req, lock, PKD__KIND_RWLOCK, move, deadline);
}

static int fall(pkd_req_t* req, pkd_async_rwlock_t* lock, unsigned to) {
  pkd_async_rwlock_mode_t mode = pkd_async_rwlock_owned(req, lock);

  if (req == NULL || lock == NULL)
    return UV_EINVAL;
  if (mode != PKD_ASYNC_RWLOCK_WRITE &&
      (mode != PKD_ASYNC_RWLOCK_UP || to != PKD__ASYNC_READ))
    return UV_EPERM;
  pkd__set_want(req, to);
  pkd__leave(lock, PKD__KIND_RWLOCK, pkd__async_rwlock_move(mode, to));
  return 0;
}

int pkd_async_rwlock_downgrade(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  return fall(req, lock, PKD__ASYNC_READ);
}

int pkd_async_rwlock_downgrade_to_up(pkd_req_t* req, pkd_async_rwlock_t* lock) {
  return fall(req, lock, PKD__ASYNC_UP);
}

/* --- the end ---------------------------------------------------------------- */

int pkd_async_rwlock_close(pkd_async_rwlock_t* lock) {
  if (lock == NULL)
    return UV_EINVAL;
  pkd__close(lock, PKD__KIND_RWLOCK);
  return 0;
}

int pkd_async_rwlock_destroy(pkd_async_rwlock_t* lock) {
  return pkd__destroy(lock, PKD__KIND_RWLOCK,
                      ~(uint64_t)PKD__ASYNC_RWLOCK_CLOSED, 0,
                      PKD__ASYNC_RWLOCK_CLOSED);
}
