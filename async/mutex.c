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

  if (!pkd__async_mutex_take(word, pkd__async_mutex_owner(req)))
    return PKD__REFUSED;
  return poisoned ? PKD__ADMITTED | PKD__LEADS : PKD__ADMITTED;
}

static uint64_t left(uint64_t word, int64_t amount) {
  if (amount == POISON)
    return pkd__async_mutex_poisoned(word);
  return amount == MEND ? pkd__async_mutex_mended(word)
                        : pkd__async_mutex_left(word);
}

static bool has(uint64_t word, const pkd_req_t* req) {
  return pkd__async_mutex_has(word, pkd__async_mutex_owner(req));
}

const struct pkd__face pkd__face_mutex = {
    .bytes = sizeof(uint32_t),
    .queued = PKD__ASYNC_MUTEX_QUEUED,
    .closed = PKD__ASYNC_MUTEX_CLOSED,
    .shut = PKD__ASYNC_MUTEX_LOCKED,
    .overtakes = PKD__ASYNC_MUTEX_OVERTAKES,
    .plain = true,
    .admit = admit,
    .left = left,
    .has = has,
};

PKD__QUICK_CALLS(&pkd__face_mutex, PKD__KIND_MUTEX);

int pkd_async_mutex_init(pkd_async_mutex_t* mutex, unsigned flags) {
  if (mutex == NULL || (flags & ~(unsigned)PKD_ASYNC_MUTEX_OVERTAKES) != 0)
    return UV_EINVAL;
  mutex->word = flags;
  return 0;
}

int pkd_async_mutex_lock(pkd_loop_t* loop, pkd_req_t* req,
                         pkd_async_mutex_t* mutex, pkd_req_cb cb) {
  return pkd__quick_start(&pkd__face_mutex, PKD__KIND_MUTEX, &quick_calls, loop,
                          req, mutex, 1, cb);
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

/* The right to it is the ticket's if the word says so, which is looked at in the
 * same step that gives it back. */
static int unlock(pkd_req_t* req, pkd_async_mutex_t* mutex, int64_t amount) {
  struct pkd__home* home;
  int err;

  if (req == NULL || mutex == NULL)
    return UV_EINVAL;
  if (!pkd__owns(req, mutex, PKD__KIND_MUTEX))
    return UV_EPERM;
  home = req->via.home;
  err = pkd__quick_leave(&pkd__face_mutex, PKD__KIND_MUTEX, &quick_calls, mutex,
                         amount, home, req);
  if (err == 0 && home != NULL)
    pkd__home_returned(home);
  return err;
}

int pkd__async_mutex_unlock_slow(pkd_req_t* req, pkd_async_mutex_t* mutex) {
  return unlock(req, mutex, 1);
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

struct passing {
  pkd_async_mutex_t* mutex;
  const pkd_req_t* from;
  const pkd_req_t* to;
  bool done;
};

/* Under the lot's lock of the mutex, as somebody may wait there. */
static int pass(void* arg) {
  struct passing* passing = arg;
  uint32_t owner = pkd__async_mutex_owner(passing->to);
  uint64_t word;

  do {
    word = pkd__word(&pkd__face_mutex, passing->mutex);
    passing->done = has(word, passing->from);
  } while (passing->done &&
           !pkd__word_cas(&pkd__face_mutex, passing->mutex, word,
                          pkd__async_mutex_passed(word, owner)));
  return 0; /* nobody queues */
}

int pkd__mutex_transfer(pkd_req_t* from, pkd_req_t* to) {
  struct passing passing = {pkd__object_of(from), from, to, false};
  struct pkd__home* home = from->via.home;

  pkd_lot_enqueue(passing.mutex, &to->waiter, pass, &passing);
  if (!passing.done)
    return UV_EPERM;
  pkd__give_up(from);
  pkd__bestow(to, passing.mutex, PKD__KIND_MUTEX, 1);
  if (home != NULL)
    pkd__home_returned(home);
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
