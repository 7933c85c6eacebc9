/* SPDX-License-Identifier: MIT
 *
 * once.c - the asynchronous once: the right to initialise, handed on until one
 * succeeds. */
#include <parkade/async/once.h>

#include "engine.h"
#include "word/async_once.h"

/* What a request wants, and gives back if its turn is revoked: a failure. */
enum { FAILED, DONE };

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  (void)req;
  if ((*word & PKD__ASYNC_ONCE_DONE) != 0)
    return PKD__ADMITTED | PKD__PASSES | PKD__FINAL;
  return pkd__async_once_lead(word) ? PKD__ADMITTED | PKD__LEADS : PKD__REFUSED;
}

static uint64_t left(uint64_t word, int64_t outcome) {
  return pkd__async_once_after(word, outcome == DONE);
}

const struct pkd__face pkd__face_once = {
    .bytes = sizeof(uint32_t),
    .queued = PKD__ASYNC_ONCE_QUEUED,
    .admit = admit,
    .left = left,
};

int pkd_async_once_call(pkd_loop_t* loop, pkd_req_t* req,
                        pkd_async_once_t* once, pkd_req_cb cb) {
  return pkd__start(loop, req, once, PKD__KIND_ONCE, FAILED, cb);
}

int pkd_async_once_try(pkd_req_t* req, pkd_async_once_t* once) {
  return pkd__try(req, once, PKD__KIND_ONCE, FAILED);
}

int pkd_async_once_call_blocking(pkd_req_t* req, pkd_async_once_t* once,
                                 pkd_deadline_t deadline) {
  return pkd__block(req, once, PKD__KIND_ONCE, FAILED, deadline);
}

int pkd_async_once_done(pkd_req_t* req, pkd_async_once_t* once, int status) {
  int err;

  if (req == NULL || once == NULL || status > 0)
    return UV_EINVAL;
  err = pkd__disown(req, once, PKD__KIND_ONCE);
  if (err == 0)
    pkd__leave(once, PKD__KIND_ONCE, status == 0 ? DONE : FAILED);
  return err;
}

int pkd_async_once_destroy(pkd_async_once_t* once) {
  return pkd__destroy(once, PKD__KIND_ONCE,
                      PKD__ASYNC_ONCE_QUEUED | PKD__ASYNC_ONCE_RUNNING, 0, 0);
}
