/* SPDX-License-Identifier: MIT
 *
 * gate.c - the asynchronous gate: those inside are counted, those who close it
 * wait in the engine until the count is zero. */
#include <parkade/async/gate.h>

#include "engine.h"
#include "word/async_gate.h"

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  (void)req;
  return pkd__async_gate_inside(*word) == 0 ? PKD__ADMITTED | PKD__PASSES
                                            : PKD__REFUSED;
}

/* `out` is how many leave; a cancelled close gives nothing back. */
static uint64_t left(uint64_t word, int64_t out) {
  return out == 0 ? word : pkd__async_gate_leave(word);
}

const struct pkd__face pkd__face_gate = {
    .bytes = sizeof(uint64_t),
    .queued = PKD__ASYNC_GATE_QUEUED,
    .admit = admit,
    .left = left,
};

int pkd_async_gate_enter(pkd_async_gate_t* gate) {
  uint64_t old;
  uint64_t word;

  if (gate == NULL)
    return UV_EINVAL;
  do {
    old = word = pkd__word(&pkd__face_gate, gate);
    if (!pkd__async_gate_enter(&word))
      return (old & PKD__ASYNC_GATE_SHUT) != 0 ? UV_ESHUTDOWN : UV_EAGAIN;
  } while (!pkd__word_cas(&pkd__face_gate, gate, old, word));
  return 0;
}

int pkd_async_gate_leave(pkd_async_gate_t* gate) {
  if (gate == NULL)
    return UV_EINVAL;
  if (pkd_async_gate_inside(gate) == 0)
    return UV_EPERM;
  pkd__leave(gate, PKD__KIND_GATE, 1);
  return 0;
}

/* Nobody waits at an open gate, so the fast way is free. */
static void shut(pkd_async_gate_t* gate) {
  uint64_t old;

  do {
    old = pkd__word(&pkd__face_gate, gate);
  } while (
      (old & PKD__ASYNC_GATE_SHUT) == 0 &&
      !pkd__word_cas(&pkd__face_gate, gate, old, old | PKD__ASYNC_GATE_SHUT));
}

int pkd_async_gate_close(pkd_loop_t* loop, pkd_req_t* req,
                         pkd_async_gate_t* gate, pkd_req_cb cb) {
  if (gate == NULL)
    return UV_EINVAL;
  shut(gate);
  return pkd__start(loop, req, gate, PKD__KIND_GATE, 0, cb);
}

int pkd_async_gate_close_blocking(pkd_req_t* req, pkd_async_gate_t* gate,
                                  pkd_deadline_t deadline) {
  if (gate == NULL)
    return UV_EINVAL;
  shut(gate);
  return pkd__block(req, gate, PKD__KIND_GATE, 0, deadline);
}

uint32_t pkd_async_gate_inside(const pkd_async_gate_t* gate) {
  return gate == NULL
             ? 0
             : pkd__async_gate_inside(pkd__word(&pkd__face_gate, gate));
}

int pkd_async_gate_destroy(pkd_async_gate_t* gate) {
  return pkd__destroy(gate, PKD__KIND_GATE,
                      PKD__ASYNC_GATE_QUEUED | UINT64_C(0xffffffff) << 32, 0,
                      PKD__ASYNC_GATE_SHUT);
}
