/* SPDX-License-Identifier: MIT
 *
 * barrier.c - the asynchronous barrier: an engine that counts those who wait.
 *
 * Everybody but the last queues; the last completes the generation under the
 * lot's lock, and then those of the generation before pass. */
#include <parkade/async/barrier.h>

#include "engine.h"
#include "word/async_barrier.h"

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  const pkd_async_barrier_t* barrier = pkd__object_of(req);
  uint32_t want = pkd__want(req);

  if (want != 0)
    return want != pkd__async_barrier_here(*word)
               ? PKD__ADMITTED | PKD__PASSES | PKD__FINAL
               : PKD__REFUSED;
  return pkd__async_barrier_complete(word, barrier->parties)
             ? PKD__ADMITTED | PKD__PASSES | PKD__LEADS | PKD__FINAL
             : PKD__REFUSED;
}

static uint64_t joined(uint64_t word, pkd_req_t* req) {
  pkd__set_want(req, pkd__async_barrier_here(word));
  return pkd__async_barrier_join(word);
}

/* Final grants are never given back. */
static uint64_t left(uint64_t word, int64_t amount) {
  (void)amount;
  return word;
}

const struct pkd__face pkd__face_barrier = {
    .bytes = sizeof(uint64_t),
    .queued = PKD__ASYNC_BARRIER_QUEUED,
    .closed = PKD__ASYNC_BARRIER_BROKEN,
    .admit = admit,
    .joined = joined,
    .gone = pkd__async_barrier_gone,
    .left = left,
};

int pkd_async_barrier_init(pkd_async_barrier_t* barrier, uint32_t parties) {
  if (barrier == NULL || parties > PKD_ASYNC_BARRIER_MAX)
    return UV_EINVAL;
  barrier->word = 0;
  barrier->parties = parties;
  return 0;
}

int pkd_async_barrier_arrive(pkd_loop_t* loop, pkd_req_t* req,
                             pkd_async_barrier_t* barrier, pkd_req_cb cb) {
  return pkd__start(loop, req, barrier, PKD__KIND_BARRIER, 0, cb);
}

int pkd_async_barrier_arrive_blocking(pkd_req_t* req,
                                      pkd_async_barrier_t* barrier,
                                      pkd_deadline_t deadline) {
  return pkd__block(req, barrier, PKD__KIND_BARRIER, 0, deadline);
}

int pkd_async_barrier_abort(pkd_async_barrier_t* barrier) {
  if (barrier == NULL)
    return UV_EINVAL;
  pkd__close(barrier, PKD__KIND_BARRIER);
  return 0;
}

int pkd_async_barrier_reset(pkd_async_barrier_t* barrier) {
  const uint64_t broken = PKD__ASYNC_BARRIER_BROKEN;
  uint64_t old;

  if (barrier == NULL)
    return UV_EINVAL;
  do {
    /* If somebody waits at a broken one, the abort is just sending them away, and
     * they are too many for one round: they go first. */
    while (((old = pkd__word(&pkd__face_barrier, barrier)) & broken) != 0 &&
           (old & PKD__ASYNC_BARRIER_QUEUED) != 0)
      pkd__leave(barrier, PKD__KIND_BARRIER, 0);
    if ((old & broken) == 0)
      return 0;
  } while (!pkd__word_cas(&pkd__face_barrier, barrier, old, old & ~broken));
  return 0;
}

uint32_t pkd_async_barrier_arrived(const pkd_async_barrier_t* barrier) {
  return barrier == NULL ? 0
                         : pkd__async_barrier_arrived(
                               pkd__word(&pkd__face_barrier, barrier));
}

int pkd_async_barrier_destroy(pkd_async_barrier_t* barrier) {
  return pkd__destroy(barrier, PKD__KIND_BARRIER, PKD__ASYNC_BARRIER_QUEUED, 0,
                      0);
}
