/* SPDX-License-Identifier: MIT
 *
 * pool.c - the semaphore says that one is free, the list says which. */
#include "pool.h"

static void on_permit(pkd_req_t* permit, int status);
static void on_open(struct session* session, const PGresult* result);

int pool_init(struct pool* pool, pkd_loop_t* locks, uv_loop_t* loop,
              const char* where) {
  pool->locks = locks;
  pool->loop = loop;
  pool->where = where;
  for (int i = 0; i < POOL_SIZE; i++)
    pool->idle[i] = &pool->sessions[i];
  pool->idle_count = POOL_SIZE;
  return pkd_async_sem_init(&pool->free, POOL_SIZE, POOL_SIZE);
}

int pool_get(struct pool* pool, struct lease* lease, uint64_t ms, pool_cb cb) {
  int err = pkd_req_set_timeout(&lease->permit, ms);
  if (err != 0)
    return err;
  lease->pool = pool;
  lease->cb = cb;
  lease->permit.data = lease;
  return pkd_async_sem_acquire(pool->locks, &lease->permit, &pool->free, 1,
                               on_permit);
}

/* First back to the list, then to the semaphore: a permit means that there is
 * one in the list. */
void pool_put(struct lease* lease) {
  struct pool* pool = lease->pool;
  if (!session_is_up(lease->session))
    session_close(lease->session);
  pool->idle[pool->idle_count++] = lease->session;
  lease->session = NULL;
  pkd_async_sem_release(&lease->permit, &pool->free, 1);
}

void pool_close(struct pool* pool) {
  for (int i = 0; i < POOL_SIZE; i++)
    session_close(&pool->sessions[i]);
}

static void on_permit(pkd_req_t* permit, int status) {
  struct lease* lease = permit->data;
  struct pool* pool = lease->pool;
  if (status != 0) {
    lease->cb(lease, status);
    return;
  }
  lease->session = pool->idle[--pool->idle_count];
  if (session_is_up(lease->session)) {
    lease->cb(lease, 0);
    return;
  }
  pool->opened++;
  lease->session->data = lease;
  if (session_open(lease->session, pool->loop, pool->where, on_open) != 0)
    on_open(lease->session, NULL);
}

static void on_open(struct session* session, const PGresult* result) {
  struct lease* lease = session->data;
  (void)result;
  if (session_is_up(session)) {
    lease->cb(lease, 0);
    return;
  }
  fprintf(stderr, "pool: %s", session_error(session));
  pool_put(lease);
  lease->cb(lease, UV_ECONNREFUSED);
}
