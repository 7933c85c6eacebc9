/* SPDX-License-Identifier: MIT
 *
 * 02_connection_pool.c - threads share connections, and wait for a free one.
 *
 * The mutex guards the list for an instant. Who finds it empty waits on the
 * condition, with a deadline, and holds nothing meanwhile. What is done with a
 * connection happens outside the mutex: that takes long, and is nobody else's
 * business. (Tasks of a loop take a permit of a pkd_async_sem_t instead.) */
#include <parkade/cond.h>
#include <parkade/mutex.h>

#include <pthread.h>
#include <stdio.h>

enum { CONNECTIONS = 2, THREADS = 6, QUERIES = 500 };

struct connection {
  int users; /* never above 1, which is the point */
  long queries;
};

static struct pool {
  pkd_mutex_t mutex;
  pkd_cond_t returned;
  int free_count;                       /* under mutex */
  struct connection* free[CONNECTIONS]; /* under mutex */
} pool;

static struct connection connections[CONNECTIONS];
static int shared; /* atomic: somebody saw a connection with two users */

/* A connection of its own for the caller, or NULL if none came in time. clang's
 * analysis does not know that a wait may end without the mutex. */
static struct connection* pool_take(struct pool* p,
                                    pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  struct connection* connection = NULL;
  int rc = 0;

  pkd_mutex_lock(&p->mutex);
  while (p->free_count == 0 && rc == 0)
    rc = pkd_cond_wait_until(&p->returned, &p->mutex, deadline);
  if (rc == PKD_ENOTHELD)
    return NULL; /* too late, and somebody else has the mutex */
  if (p->free_count > 0)
    connection = p->free[--p->free_count];
  pkd_mutex_unlock(&p->mutex);
  return connection;
}

static void pool_return(struct pool* p, struct connection* connection) {
  pkd_mutex_lock(&p->mutex);
  p->free[p->free_count++] = connection;
  pkd_mutex_unlock(&p->mutex);
  pkd_cond_signal(&p->returned);
}

static void* query(void* arg) {
  for (int i = 0; i < QUERIES; i++) {
    struct connection* connection = pool_take(&pool, PKD_FOREVER);
    if (connection == NULL || ++connection->users != 1)
      __atomic_store_n(&shared, 1, __ATOMIC_RELAXED);
    if (connection == NULL)
      break;
    connection->queries++;
    connection->users--;
    pool_return(&pool, connection);
  }
  return arg;
}

int main(void) {
  pthread_t threads[THREADS];
  long queries = 0;

  for (int i = 0; i < CONNECTIONS; i++)
    pool_return(&pool, &connections[i]);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, query, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < CONNECTIONS; i++)
    queries += connections[i].queries;
  printf("%ld queries on %d connections\n", queries, CONNECTIONS);

  /* All taken: the next one gives up when its time is over. */
  while (pool_take(&pool, pkd_now()) != NULL)
    ;
  if (pool_take(&pool, pkd_after(1000000)) != NULL)
    return 1;
  puts("none free within a millisecond");
  return queries == (long)THREADS * QUERIES && shared == 0 ? 0 : 1;
}
