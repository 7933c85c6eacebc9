/* SPDX-License-Identifier: MIT
 *
 * pool.h - a few connections for many tasks.
 *
 * An async semaphore counts them: who finds none waits in its queue, first
 * come, first served, without a thread that stands still. A connection is
 * opened when it is first needed, and again when it was lost. All tasks run on
 * one loop, so the list of idle connections needs no lock. */
#ifndef EXAMPLES_POSTGRES_POOL_H
#define EXAMPLES_POSTGRES_POOL_H

#include "session.h"

#include <parkade/async/sem.h>

enum { POOL_SIZE = 4 };

struct pool {
  pkd_loop_t* locks;
  uv_loop_t* loop;
  const char* where;
  pkd_async_sem_t free; /* permits: idle connections */
  struct session sessions[POOL_SIZE];
  struct session* idle[POOL_SIZE];
  int idle_count;
  int opened; /* ever */
};

/* A connection that is lent. */
struct lease {
  void* data; /* the user's */
  struct session* session;

  /* private */
  struct pool* pool;
  pkd_req_t permit;
  void (*cb)(struct lease* lease, int status);
};

/* Status 0: lease->session is yours until pool_put(). Otherwise nothing is. */
typedef void (*pool_cb)(struct lease* lease, int status);

/* `where` is a connection string of libpq. */
int pool_init(struct pool* pool, pkd_loop_t* locks, uv_loop_t* loop,
              const char* where);

/* Asks for a connection, and waits for it at most `ms` in the queue. */
int pool_get(struct pool* pool, struct lease* lease, uint64_t ms, pool_cb cb);

void pool_put(struct lease* lease);

/* Closes all; nothing may be lent. */
void pool_close(struct pool* pool);

#endif
