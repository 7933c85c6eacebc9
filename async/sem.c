/* SPDX-License-Identifier: MIT
 *
 * sem.c - the asynchronous semaphore: the engine, counting.
 *
 * `total` and the available permits change one after the other, always so that
 * available and held are together no more than `total`: permits that come are
 * counted in `total` first, permits that go are taken from the available ones
 * first. So there are never more owners than permits, whoever else adds or
 * resizes in between; and exactly as many when nobody is inside a call. `total`
 * goes below zero when those are forgotten that a resize left owing. */
#include <parkade/async/sem.h>

#include "keyed.h"
#include "quick.h"
#include "word/async_sem.h"

static int spend(pkd_req_t* req, pkd_async_sem_t* sem, uint32_t n);

static uint32_t limit_of(const pkd_async_sem_t* sem) {
  return sem->max == 0 ? PKD_ASYNC_SEM_MAX : sem->max;
}

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  return pkd__async_sem_take(word, pkd__want(req));
}

const struct pkd__face pkd__face_sem = {
    .bytes = sizeof(uint64_t),
    .queued = PKD__ASYNC_SEM_QUEUED,
    .closed = PKD__ASYNC_SEM_CLOSED,
    .plain = true,
    .admit = admit,
    .left = pkd__async_sem_left,
};

PKD__QUICK_CALLS(&pkd__face_sem, PKD__KIND_SEM);

int pkd_async_sem_init(pkd_async_sem_t* sem, uint32_t permits, uint32_t max) {
  if (sem == NULL || max > PKD_ASYNC_SEM_MAX ||
      permits > (max == 0 ? PKD_ASYNC_SEM_MAX : max))
    return UV_EINVAL;
  sem->word = pkd__async_sem_of(permits);
  sem->total = permits;
  sem->max = max;
  return 0;
}

int pkd_async_sem_acquire(pkd_loop_t* loop, pkd_req_t* req,
                          pkd_async_sem_t* sem, uint32_t n, pkd_req_cb cb) {
  int err = pkd__sem_check(sem, n);

  return err != 0 ? err
                  : pkd__quick_start(&pkd__face_sem, PKD__KIND_SEM,
                                     &quick_calls, loop, req, sem, n, cb);
}

int pkd_async_sem_try_acquire(pkd_req_t* req, pkd_async_sem_t* sem,
                              uint32_t n) {
  int err = pkd__sem_check(sem, n);

  return err != 0 ? err : pkd__try(req, sem, PKD__KIND_SEM, n);
}

int pkd_async_sem_acquire_blocking(pkd_req_t* req, pkd_async_sem_t* sem,
                                   uint32_t n, pkd_deadline_t deadline) {
  int err = pkd__sem_check(sem, n);

  return err != 0 ? err : pkd__block(req, sem, PKD__KIND_SEM, n, deadline);
}

int pkd__sem_check(const pkd_async_sem_t* sem, uint32_t n) {
  return sem == NULL || n > limit_of(sem) ? UV_EINVAL : 0;
}

int pkd_async_sem_release(pkd_req_t* req, pkd_async_sem_t* sem, uint32_t n) {
  int err;

  if (req == NULL || sem == NULL)
    return UV_EINVAL;
  err = spend(req, sem, n);
  if (err == 0 && n != 0)
    (void)pkd__quick_leave(&pkd__face_sem, PKD__KIND_SEM, &quick_calls, sem, n,
                           NULL, NULL);
  return err;
}

int pkd_async_sem_forget(pkd_req_t* req, pkd_async_sem_t* sem, uint32_t n) {
  int err;

  if (req == NULL || sem == NULL)
    return UV_EINVAL;
  err = spend(req, sem, n);
  if (err == 0 && n != 0)
    pkd__sub_relaxed(&sem->total, n); /* relaxed: see pkd_async_sem_add */
  return err;
}

/* Takes n off what the request owns; with the last one it is idle. */
static int spend(pkd_req_t* req, pkd_async_sem_t* sem, uint32_t n) {
  uint64_t token;

  if (!pkd__owns(req, sem, PKD__KIND_SEM))
    return UV_EPERM;
  /* relaxed: checked by the CAS */
  token = pkd__load_relaxed(&req->waiter.token);
  do {
    if ((uint32_t)token < n)
      return UV_EPERM;
    /* (T1) acq_rel, pairs with itself: several threads may release parts */
  } while (!pkd__cas_acq_rel(&req->waiter.token, &token, token - n));
  if ((uint32_t)token == n)
    (void)pkd__disown(req, sem, PKD__KIND_SEM);
  return 0;
}

int pkd_async_sem_split(pkd_req_t* req, pkd_req_t* other, pkd_async_sem_t* sem,
                        uint32_t n) {
  int err;

  if (req == NULL || other == NULL || sem == NULL || n == 0 || req == other)
    return UV_EINVAL;
  if ((err = pkd__req_startable(other)) != 0)
    return err;
  err = spend(req, sem, n);
  if (err == 0)
    pkd__bestow(other, sem, PKD__KIND_SEM, n);
  return err;
}

int pkd_async_sem_merge(pkd_req_t* req, pkd_req_t* other,
                        pkd_async_sem_t* sem) {
  uint32_t n;
  int err;

  if (req == NULL || other == NULL || sem == NULL || req == other)
    return UV_EINVAL;
  if (!pkd__owns(req, sem, PKD__KIND_SEM) ||
      !pkd__owns(other, sem, PKD__KIND_SEM))
    return UV_EPERM;
  n = pkd_async_sem_owned(other, sem);
  err = spend(other, sem, n);
  if (err == 0)
    pkd__add_acq_rel(&req->waiter.token, n); /* (T1) as in spend() */
  return err;
}

int pkd_async_sem_add(pkd_async_sem_t* sem, uint32_t n) {
  uint32_t total;

  if (sem == NULL)
    return UV_EINVAL;
  total = pkd__load_relaxed(&sem->total); /* relaxed: checked by the CAS */
  do {
    if ((int64_t)(int32_t)total + n > limit_of(sem))
      return UV_EOVERFLOW;
    /* relaxed, though the word has to follow: each step of it acquires and releases. If
     * our change of the word came before that of one who took permits from it
     * and then shrank the total we read, that one would have acquired from us,
     * and our reading of the total would come before its writing. */
  } while (!pkd__cas_relaxed(&sem->total, &total, total + n));
  if (n != 0)
    pkd__leave(sem, PKD__KIND_SEM, n);
  return 0;
}

int pkd_async_sem_resize(pkd_async_sem_t* sem, uint32_t permits) {
  int64_t taken = 0; /* from the available ones, before `total` shrinks */
  uint32_t total;

  if (sem == NULL || permits > limit_of(sem))
    return UV_EINVAL;
  total = pkd__load_relaxed(&sem->total); /* relaxed: checked by the CAS */
  do {
    int64_t more = (int64_t)(int32_t)total - permits;
    int64_t due = more > 0 ? more : 0;

    if (due != taken)
      pkd__leave(sem, PKD__KIND_SEM, taken - due);
    taken = due;
  } while (!pkd__cas_relaxed(&sem->total, &total, permits)); /* as in add */
  if ((int32_t)total < (int64_t)permits)
    pkd__leave(sem, PKD__KIND_SEM, (int64_t)permits - (int32_t)total);
  return 0;
}

int pkd_async_sem_close(pkd_async_sem_t* sem) {
  if (sem == NULL)
    return UV_EINVAL;
  pkd__close(sem, PKD__KIND_SEM);
  return 0;
}

int pkd_async_sem_destroy(pkd_async_sem_t* sem) {
  if (sem == NULL)
    return UV_EINVAL;
  /* relaxed: a count, guards nothing */
  return pkd__destroy(sem, PKD__KIND_SEM, ~(uint64_t)PKD__ASYNC_SEM_CLOSED,
                      pkd__async_sem_of(pkd__load_relaxed(&sem->total)),
                      PKD__ASYNC_SEM_CLOSED);
}

int32_t pkd_async_sem_available(const pkd_async_sem_t* sem) {
  return sem == NULL ? 0
                     : pkd__async_sem_available(pkd__word(&pkd__face_sem, sem));
}

uint32_t pkd_async_sem_owned(const pkd_req_t* req, const pkd_async_sem_t* sem) {
  if (req == NULL || sem == NULL || !pkd__owns(req, sem, PKD__KIND_SEM))
    return 0;
  /* relaxed: the ticket's owner knows; for others it is a hint */
  return (uint32_t)pkd__load_relaxed(&req->waiter.token);
}
