/* SPDX-License-Identifier: MIT
 *
 * event.c - the asynchronous event: an engine that grants nothing to own.
 *
 * What a request wants is the epoch since which it waits; once it may pass, it is
 * what it consumed, so that a wait which is cancelled before its callback gives a
 * notification back, and the next gets it. */
#include <parkade/async/event.h>

#include "engine.h"
#include "word/async_event.h"

static unsigned admit(uint64_t* word, pkd_req_t* req) {
  uint32_t consumed;

  if (!pkd__async_event_pass(word, pkd__want(req), &consumed))
    return PKD__REFUSED;
  pkd__set_want(req, consumed);
  return PKD__ADMITTED | PKD__PASSES;
}

static uint64_t left(uint64_t word, int64_t act) {
  return pkd__async_event_after(word, (enum pkd__async_event_act)act);
}

/* Counts nobody; but who armed before the last notify_all passes, though others
 * wait who came after it. */
static uint64_t joined(uint64_t word, pkd_req_t* req) {
  (void)req;
  return word;
}

const struct pkd__face pkd__face_event = {
    .bytes = sizeof(uint64_t),
    .queued = PKD__ASYNC_EVENT_QUEUED,
    .closed = PKD__ASYNC_EVENT_CLOSED,
    .admit = admit,
    .left = left,
    .joined = joined,
};

static int act(pkd_async_event_t* event, enum pkd__async_event_act what) {
  if (event == NULL)
    return UV_EINVAL;
  pkd__leave(event, PKD__KIND_EVENT, what);
  return 0;
}

uint32_t pkd_async_event_arm(const pkd_async_event_t* event) {
  return event == NULL
             ? 0
             : pkd__async_event_epoch(pkd__word(&pkd__face_event, event));
}

int pkd_async_event_wait(pkd_loop_t* loop, pkd_req_t* req,
                         pkd_async_event_t* event, pkd_req_cb cb) {
  return pkd_async_event_wait_since(loop, req, event,
                                    pkd_async_event_arm(event), cb);
}

int pkd_async_event_wait_since(pkd_loop_t* loop, pkd_req_t* req,
                               pkd_async_event_t* event, uint32_t since,
                               pkd_req_cb cb) {
  return pkd__start(loop, req, event, PKD__KIND_EVENT, since, cb);
}

int pkd_async_event_try_wait(pkd_req_t* req, pkd_async_event_t* event) {
  return pkd__try(req, event, PKD__KIND_EVENT, pkd_async_event_arm(event));
}

int pkd_async_event_wait_blocking(pkd_req_t* req, pkd_async_event_t* event,
                                  pkd_deadline_t deadline) {
  return pkd__block(req, event, PKD__KIND_EVENT, pkd_async_event_arm(event),
                    deadline);
}

int pkd_async_event_set(pkd_async_event_t* event) {
  return act(event, PKD__ASYNC_EVENT_OPEN);
}

/* If somebody waits though it is set, who set it is just letting them pass, and they
 * are too many for one round: they pass before it is cleared. And while somebody waits
 * and it is not set, there is nothing to clear. */
int pkd_async_event_clear(pkd_async_event_t* event) {
  uint64_t old;

  if (event == NULL)
    return UV_EINVAL;
  do {
    while (((old = pkd__word(&pkd__face_event, event)) &
            PKD__ASYNC_EVENT_QUEUED) != 0) {
      if ((old & (PKD__ASYNC_EVENT_SET | PKD__ASYNC_EVENT_NOTICE)) == 0)
        return 0;
      pkd__leave(event, PKD__KIND_EVENT, PKD__ASYNC_EVENT_NOTHING);
    }
  } while (!pkd__word_cas(&pkd__face_event, event, old,
                          pkd__async_event_after(old, PKD__ASYNC_EVENT_CLEAR)));
  return 0;
}

int pkd_async_event_notify_one(pkd_async_event_t* event) {
  return act(event, PKD__ASYNC_EVENT_NOTIFY_ONE);
}

int pkd_async_event_notify_all(pkd_async_event_t* event) {
  return act(event, PKD__ASYNC_EVENT_NOTIFY_ALL);
}

int pkd_async_event_is_set(const pkd_async_event_t* event) {
  return event != NULL &&
         (pkd__word(&pkd__face_event, event) & PKD__ASYNC_EVENT_SET) != 0;
}

int pkd_async_event_close(pkd_async_event_t* event) {
  if (event == NULL)
    return UV_EINVAL;
  pkd__close(event, PKD__KIND_EVENT);
  return 0;
}

int pkd_async_event_destroy(pkd_async_event_t* event) {
  return pkd__destroy(event, PKD__KIND_EVENT, PKD__ASYNC_EVENT_QUEUED, 0,
                      PKD__ASYNC_EVENT_CLOSED);
}
