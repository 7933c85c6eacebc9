/* SPDX-License-Identifier: MIT
 *
 * session.h - one connection to PostgreSQL, on a libuv loop.
 *
 * libpq never blocks here: uv_poll says when its socket is ready, libpq says
 * what to wait for next. One query at a time. */
#ifndef EXAMPLES_POSTGRES_SESSION_H
#define EXAMPLES_POSTGRES_SESSION_H

#include <libpq-fe.h>
#include <uv.h>

struct session;

/* `result` is NULL when the connection is lost, and cleared afterwards; after
 * session_open() it is NULL always. Never called inside a call. */
typedef void (*session_cb)(struct session* session, const PGresult* result);

struct session {
  void* data; /* the user's */

  /* private */
  uv_loop_t* loop;
  uv_poll_t* poll; /* NULL while libpq may change its socket */
  PGconn* pg;      /* NULL: not open */
  session_cb cb;
  int lost;
  PGresult* result; /* of the query under way */
};

/* Connects. Returns 0, and `cb` will come; or an error, and it will not. */
int session_open(struct session* session, uv_loop_t* loop, const char* where,
                 session_cb cb);

/* Runs one statement with `count` parameters in text form. */
int session_query(struct session* session, const char* sql, int count,
                  const char* const* parameters, session_cb cb);

/* Whether it can be used. */
int session_is_up(const struct session* session);

/* What went wrong last, in words. */
const char* session_error(const struct session* session);

void session_close(struct session* session);

#endif
