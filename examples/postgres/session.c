/* SPDX-License-Identifier: MIT
 *
 * session.c - libpq's non-blocking calls, driven by uv_poll.
 *
 * While it connects, libpq may close its socket and open another (the next
 * address of a host, a server that speaks no TLS), which may even get the same
 * number. A socket must not be closed under a uv_poll_t. So each step stops the
 * old handle first, and starts a new one on whatever socket there is then. */
#include "session.h"

#include <stdlib.h>

static void connect_on(uv_poll_t* poll, int status, int events);
static void go_on(uv_poll_t* poll, int status, int events);
static int watch(struct session* session, int events, uv_poll_cb cb);
static void unwatch(struct session* session);
static int flush(struct session* session);
static void answer(struct session* session, int lost);
static void free_handle(uv_handle_t* handle);

int session_open(struct session* session, uv_loop_t* loop, const char* where,
                 session_cb cb) {
  session->loop = loop;
  session->lost = 0;
  session->cb = cb;
  session->pg = PQconnectStart(where);
  if (session->pg == NULL)
    return UV_ENOMEM;
  if (PQstatus(session->pg) == CONNECTION_BAD)
    return UV_ECONNREFUSED;
  return watch(session, UV_WRITABLE, connect_on);
}

int session_query(struct session* session, const char* sql, int count,
                  const char* const* parameters, session_cb cb) {
  session->cb = cb;
  if (!PQsendQueryParams(session->pg, sql, count, NULL, parameters, NULL, NULL,
                         0))
    return UV_EIO;
  return flush(session);
}

int session_is_up(const struct session* session) {
  return session->pg != NULL && !session->lost &&
         PQstatus(session->pg) == CONNECTION_OK;
}

const char* session_error(const struct session* session) {
  return PQerrorMessage(session->pg);
}

void session_close(struct session* session) {
  unwatch(session);
  PQfinish(session->pg);
  session->pg = NULL;
}

/* ---- connecting ---------------------------------------------------------- */

/* If the socket is in trouble (status), libpq will find out by itself. */
static void connect_on(uv_poll_t* poll, int status, int events) {
  struct session* session = poll->data;
  int err = 0;

  (void)status;
  (void)events;
  unwatch(session);
  switch (PQconnectPoll(session->pg)) {
  case PGRES_POLLING_READING:
    err = watch(session, UV_READABLE, connect_on);
    break;
  case PGRES_POLLING_WRITING:
    err = watch(session, UV_WRITABLE, connect_on);
    break;
  case PGRES_POLLING_OK:
    err = PQsetnonblocking(session->pg, 1);
    if (err == 0)
      answer(session, 0);
    break;
  default:
    err = UV_ECONNREFUSED;
  }
  if (err != 0)
    answer(session, 1);
}

/* ---- a query ------------------------------------------------------------- */

static void go_on(uv_poll_t* poll, int status, int events) {
  struct session* session = poll->data;
  PGresult* result;

  if (status < 0 ||
      ((events & UV_READABLE) != 0 && !PQconsumeInput(session->pg))) {
    answer(session, 1);
    return;
  }
  while (!PQisBusy(session->pg)) {
    result = PQgetResult(session->pg);
    if (result == NULL) { /* that was all of it */
      answer(session, session->result == NULL);
      return;
    }
    PQclear(session->result);
    session->result = result;
  }
  if (flush(session) != 0)
    answer(session, 1);
}

/* Sends what can be sent; waits for the answer, and for room for the rest. */
static int flush(struct session* session) {
  int left = PQflush(session->pg);
  if (left < 0)
    return UV_EIO;
  return watch(session, UV_READABLE | (left > 0 ? UV_WRITABLE : 0), go_on);
}

/* ---- both ---------------------------------------------------------------- */

static int watch(struct session* session, int events, uv_poll_cb cb) {
  if (session->poll == NULL) {
    uv_poll_t* poll = malloc(sizeof *poll);
    if (poll == NULL)
      return UV_ENOMEM;
    int err = uv_poll_init(session->loop, poll, PQsocket(session->pg));
    if (err != 0) {
      free(poll);
      return err;
    }
    poll->data = session;
    session->poll = poll;
  }
  return uv_poll_start(session->poll, events, cb);
}

static void unwatch(struct session* session) {
  if (session->poll != NULL)
    uv_close((uv_handle_t*)session->poll, free_handle);
  session->poll = NULL;
}

static void free_handle(uv_handle_t* handle) {
  free(handle);
}

/* The callback may start the next query, so all is put away before. */
static void answer(struct session* session, int lost) {
  PGresult* result = session->result;
  session->result = NULL;
  session->lost = lost;
  if (session->poll != NULL)
    uv_poll_stop(session->poll);
  session->cb(session, lost ? NULL : result);
  PQclear(result);
}
