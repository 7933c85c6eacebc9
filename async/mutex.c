/* SPDX-License-Identifier: MIT
 *
 * mutex.c - the asynchronous mutex: one permit, and the engine. */
#include <parkade/async/mutex.h>

#include "quick.h"
#include "word/async_mutex.h"

/* What an owner gives back. A request wants 1, or, moved by a signal, a little
 * more (cond.h); these are apart from that. */
enum { POISON = 4, MEND = 8 };

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  bool poisoned = (*word & PKD__ASYNC_MUTEX_POISONED) != 0;

  (void)req;
  if (!pkd__async_mutex_take(word))
    return PKD__REFUSED;
  return poisoned ? PKD__ADMITTED | PKD__LEADS : PKD__ADMITTED;
}

static uint64_t left(uint64_t word, int64_t amount) {
  if (amount == POISON)
    return pkd__async_mutex_poisoned(word);
  return amount == MEND ? pkd__async_mutex_mended(word)
                        : pkd__async_mutex_left(word);
}

const struct pkd__face pkd__face_mutex = {
    .bytes = sizeof(uint32_t),
    .queued = PKD__ASYNC_MUTEX_QUEUED,
    .closed = PKD__ASYNC_MUTEX_CLOSED,
    .shut = PKD__ASYNC_MUTEX_LOCKED,
    .overtakes = PKD__ASYNC_MUTEX_OVERTAKES,
    .admit = admit,
    .left = left,
};

int pkd_async_mutex_init(pkd_async_mutex_t* mutex, unsigned flags) {
  if (mutex == NULL || (flags & ~(unsigned)PKD_ASYNC_MUTEX_OVERTAKES) != 0)
    return UV_EINVAL;
  mutex->word = flags;
  return 0;
}

int pkd_async_mutex_lock(pkd_loop_t* loop, pkd_req_t* req,
                         pkd_async_mutex_t* mutex, pkd_req_cb cb) {
  return pkd__quick_start(&pkd__face_mutex, PKD__KIND_MUTEX, loop, req, mutex,
                          1, cb);
}

/* What the header spells out. */
_Static_assert(PKD__REQ_OWNS_MUTEX ==
                   ((uint32_t)PKD__OWNED | (uint32_t)PKD__KIND_MUTEX << 8),
               "pkd__state(PKD__OWNED, PKD__KIND_MUTEX)");
_Static_assert((int)PKD_ASYNC_MUTEX_OVERTAKES == PKD__ASYNC_MUTEX_OVERTAKES,
               "the flag is the bit");
_Static_assert(PKD__IDLE == 0 && PKD__ASYNC_MUTEX_LOCKED == 1, "in mutex.h");

int pkd__async_mutex_trylock_slow(pkd_req_t* req, pkd_async_mutex_t* mutex) {
  return pkd__try(req, mutex, PKD__KIND_MUTEX, 1);
}

int pkd_async_mutex_lock_blocking(pkd_req_t* req, pkd_async_mutex_t* mutex,
                                  pkd_deadline_t deadline) {
  return pkd__block(req, mutex, PKD__KIND_MUTEX, 1, deadline);
}

static int unlock(pkd_req_t* req, pkd_async_mutex_t* mutex, int64_t amount) {
  const struct pkd__home* home;
  int err;

  if (req == NULL || mutex == NULL)
    return UV_EINVAL;
  err = pkd__disown_here(req, mutex, PKD__KIND_MUTEX, &home);
  if (err == 0)
    pkd__quick_leave(&pkd__face_mutex, PKD__KIND_MUTEX, mutex, amount, home);
  return err;
}

int pkd__async_mutex_unlock_slow(pkd_req_t* req, pkd_async_mutex_t* mutex) {
  return unlock(req, mutex, 1);
}

int pkd__async_mutex_leave_slow(pkd_async_mutex_t* mutex) {
  pkd__leave(mutex, PKD__KIND_MUTEX, 1);
  return 0;
}

int pkd_async_mutex_unlock_poisoned(pkd_req_t* req, pkd_async_mutex_t* mutex) {
  return unlock(req, mutex, POISON);
}

int pkd_async_mutex_mend(pkd_req_t* req, pkd_async_mutex_t* mutex) {
  if (req == NULL || mutex == NULL)
    return UV_EINVAL;
  if (!pkd__owns(req, mutex, PKD__KIND_MUTEX))
    return UV_EPERM;
  pkd__leave(mutex, PKD__KIND_MUTEX, MEND);
  return 0;
}

int pkd_async_mutex_close(pkd_async_mutex_t* mutex) {
  if (mutex == NULL)
    return UV_EINVAL;
  pkd__close(mutex, PKD__KIND_MUTEX);
  return 0;
}

int pkd_async_mutex_destroy(pkd_async_mutex_t* mutex) {
  return pkd__destroy(mutex, PKD__KIND_MUTEX, PKD__ASYNC_MUTEX_BUSY, 0,
                      PKD__ASYNC_MUTEX_CLOSED);
}

int pkd_async_mutex_is_locked(const pkd_async_mutex_t* mutex) {
  return mutex != NULL &&
         (pkd__word(&pkd__face_mutex, mutex) & PKD__ASYNC_MUTEX_LOCKED) != 0;
}
