/* SPDX-License-Identifier: MIT
 *
 * take.c - one switch over what a pkd_take_t can say. */
#include "take.h"

#include "engine.h"
#include "keyed.h"

#include <string.h>

int pkd__take_check(const pkd_take_t* take) {
  if (take->object == NULL)
    return UV_EINVAL;
  switch (take->kind) {
  case PKD__TAKE_MUTEX:
    return 0;
  case PKD__TAKE_PERMITS:
    return pkd__sem_check(take->object, (uint32_t)take->amount);
  case PKD__TAKE_KEY:
    return (take->key == NULL && take->amount != 0) ||
                   take->amount > PKD_ASYNC_KEY_MAX
               ? UV_EINVAL
               : 0;
  default:
    return UV_EINVAL;
  }
}

int pkd__take_start(pkd_loop_t* loop, pkd_req_t* req, const pkd_take_t* take,
                    pkd_req_cb cb) {
  switch (take->kind) {
  case PKD__TAKE_MUTEX:
    return pkd_async_mutex_lock(loop, req, take->object, cb);
  case PKD__TAKE_PERMITS:
    return pkd_async_sem_acquire(loop, req, take->object,
                                 (uint32_t)take->amount, cb);
  case PKD__TAKE_KEY:
    return pkd_async_keyed_lock(loop, req, take->object, take->key,
                                take->amount, cb);
  default:
    return UV_EINVAL;
  }
}

/* Who takes by value learns that it owns the mutex, not that it is poisoned. */
static int untold(int status) {
  return status > 0 ? 0 : status;
}

int pkd__take_try(pkd_req_t* req, const pkd_take_t* take) {
  switch (take->kind) {
  case PKD__TAKE_MUTEX:
    return untold(pkd_async_mutex_trylock(req, take->object));
  case PKD__TAKE_PERMITS:
    return pkd_async_sem_try_acquire(req, take->object, (uint32_t)take->amount);
  case PKD__TAKE_KEY:
    return pkd_async_keyed_trylock(req, take->object, take->key, take->amount);
  default:
    return UV_EINVAL;
  }
}

int pkd__take_block(pkd_req_t* req, const pkd_take_t* take,
                    pkd_parker_t* parker, pkd_deadline_t deadline) {
  int err;

  switch (take->kind) {
  case PKD__TAKE_MUTEX:
    return untold(pkd__block_begin(req, take->object, PKD__KIND_MUTEX, 1,
                                   parker, deadline));
  case PKD__TAKE_PERMITS:
    err = pkd__sem_check(take->object, (uint32_t)take->amount);
    return err != 0
               ? err
               : pkd__block_begin(req, take->object, PKD__KIND_SEM,
                                  (uint32_t)take->amount, parker, deadline);
  case PKD__TAKE_KEY:
    err = pkd__keyed_prepare(req, take->object, take->key, take->amount);
    return err != 0
               ? err
               : pkd__block_begin(
                     req,
                     pkd__keyed_name(take->object, take->key, take->amount),
                     PKD__KIND_KEYED, (uint32_t)take->amount, parker, deadline);
  default:
    return UV_EINVAL;
  }
}

int pkd__take_release(pkd_req_t* req, const pkd_take_t* take) {
  switch (take->kind) {
  case PKD__TAKE_MUTEX:
    return pkd_async_mutex_unlock(req, take->object);
  case PKD__TAKE_PERMITS:
    return pkd_async_sem_release(req, take->object, (uint32_t)take->amount);
  default:
    return pkd_async_keyed_unlock(req, take->object);
  }
}

bool pkd__take_same(const pkd_take_t* a, const pkd_take_t* b) {
  if (a->kind != b->kind || a->object != b->object)
    return false;
  return a->kind != PKD__TAKE_KEY ||
         (a->amount == b->amount &&
          (a->amount == 0 || memcmp(a->key, b->key, a->amount) == 0));
}
