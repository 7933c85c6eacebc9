/* SPDX-License-Identifier: MIT
 *
 * shop.c - two hundred visits to a shop whose books are in PostgreSQL.
 *
 *   shop CONNECTION      a connection string of libpq
 *
 * All visits begin at once, on one loop. Three locks order them:
 *   - a semaphore bounds the connections (pool.c);
 *   - a once creates the tables. Who comes first is the one who does it, over
 *     several statements; the others wait. The very first finds its connection
 *     cut: then the next who waits does it;
 *   - a reader-writer lock guards the prices, which are kept in memory. To
 *     reload them takes two queries, and nobody may see one new price and one
 *     old. Sales go on side by side; until one is booked no price changes.
 *
 * Always in this order: connection, tables, prices. In the end it asks the
 * database whether all was right. */
#include "pool.h"

#include <parkade/async/once.h>
#include <parkade/async/rwlock.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VISITS = 200, RELOAD_EVERY = 20, QUEUE_MS = 20000 };

struct visit {
  struct lease lease;
  pkd_req_t once;
  pkd_req_t prices; /* the ticket */
  int number;
  int step;
  char text[3][16];
};

static pkd_loop_t locks;
static struct pool pool;
static pkd_async_once_t tables;
static int cuts; /* connections that were cut */
static int left = VISITS;
static const char* verdict = "unknown";

static pkd_async_rwlock_t rwlock;
static struct {
  int loaded;
  int tea;
  int cake;
} prices; /* under rwlock */

static int sales; /* under way, by readers: the loop's thread counts */
static int most_sales;

static void begin(struct visit* visit);
static void on_connection(struct lease* lease, int status);
static void on_once(pkd_req_t* req, int status);
static void create(struct visit* visit);
static void on_created(struct session* session, const PGresult* result);
static void read_prices(struct visit* visit);
static void reload_prices(struct visit* visit);
static void on_may_read(pkd_req_t* req, int status);
static void on_may_write(pkd_req_t* req, int status);
static void on_raised(struct session* session, const PGresult* result);
static void on_tea(struct session* session, const PGresult* result);
static void on_cake(struct session* session, const PGresult* result);
static void sell(struct visit* visit);
static void on_sold(struct session* session, const PGresult* result);
static void check(struct lease* lease, int status);
static void on_checked(struct session* session, const PGresult* result);
static void run(struct visit* visit, const char* sql, session_cb cb);
static int number_in(const PGresult* result);
static void must(int err);

int main(int argc, char** argv) {
  static struct visit visits[VISITS];

  if (argc != 2) {
    fprintf(stderr, "usage: shop CONNECTION\n");
    return 2;
  }
  must(pkd_loop_attach(&locks, uv_default_loop()));
  must(pool_init(&pool, &locks, uv_default_loop(), argv[1]));
  for (int i = 0; i < VISITS; i++) {
    visits[i].number = i;
    begin(&visits[i]);
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  must(uv_loop_close(uv_default_loop()));
  printf("%d visits over %d connections (%d opened, %d cut), %d sales at once: "
         "%s\n",
         VISITS, POOL_SIZE, pool.opened, cuts, most_sales, verdict);
  return strcmp(verdict, "right") == 0 ? 0 : 1;
}

/* ---- a connection -------------------------------------------------------- */

static void begin(struct visit* visit) {
  visit->lease.data = visit;
  must(pool_get(&pool, &visit->lease, QUEUE_MS, on_connection));
}

static void on_connection(struct lease* lease, int status) {
  struct visit* visit = lease->data;
  must(status);
  lease->session->data = visit;
  visit->once.data = visit;
  must(pkd_async_once_call(&locks, &visit->once, &tables, on_once));
}

/* ---- the tables: once ---------------------------------------------------- */

static const char* const schema[] = {
    "CREATE TABLE price (name text PRIMARY KEY, cents int)",
    "INSERT INTO price VALUES ('tea', 200), ('cake', 300)",
    "CREATE TABLE sale (visit int PRIMARY KEY, tea int, cake int, listed int)",
    "ALTER TABLE sale ADD backend int DEFAULT pg_backend_pid()",
};

static void on_once(pkd_req_t* req, int status) {
  struct visit* visit = req->data;
  if (status == 0) { /* another has made them */
    read_prices(visit);
    return;
  }
  if (status < 0)
    must(status);
  visit->step = 0;
  if (cuts == 0) /* an accident, made to happen */
    run(visit, "SELECT pg_terminate_backend(pg_backend_pid())", on_created);
  else
    create(visit);
}

static void create(struct visit* visit) {
  run(visit, schema[visit->step++], on_created);
}

static void on_created(struct session* session, const PGresult* result) {
  struct visit* visit = session->data;
  if (!session_is_up(session)) {
    cuts++;
    must(pkd_async_once_done(&visit->once, &tables, UV_EIO));
    pool_put(&visit->lease);
    begin(visit);
    return;
  }
  if (PQresultStatus(result) != PGRES_COMMAND_OK) {
    fprintf(stderr, "shop: %s", session_error(session));
    exit(1);
  }
  if (visit->step < (int)(sizeof schema / sizeof schema[0])) {
    create(visit);
    return;
  }
  must(pkd_async_once_done(&visit->once, &tables, 0));
  read_prices(visit);
}

/* ---- the prices: a cache that reloads ------------------------------------ */

static void read_prices(struct visit* visit) {
  visit->prices.data = visit;
  if (visit->number % RELOAD_EVERY == 0)
    reload_prices(visit);
  else
    must(pkd_async_rwlock_rdlock(&locks, &visit->prices, &rwlock, on_may_read));
}

static void on_may_read(pkd_req_t* req, int status) {
  struct visit* visit = req->data;
  must(status);
  if (prices.loaded) {
    sell(visit);
    return;
  }
  must(pkd_async_rwlock_unlock(req, &rwlock));
  reload_prices(visit);
}

static void reload_prices(struct visit* visit) {
  must(pkd_async_rwlock_wrlock(&locks, &visit->prices, &rwlock, on_may_write));
}

static void on_may_write(pkd_req_t* req, int status) {
  must(status);
  run(req->data, "UPDATE price SET cents = cents + 1", on_raised);
}

static void on_raised(struct session* session, const PGresult* result) {
  struct visit* visit = session->data;
  if (PQresultStatus(result) != PGRES_COMMAND_OK)
    must(UV_EIO);
  run(visit, "SELECT cents FROM price WHERE name = 'tea'", on_tea);
}

static void on_tea(struct session* session, const PGresult* result) {
  prices.tea = number_in(result); /* and the cake is still the old one */
  run(session->data, "SELECT cents FROM price WHERE name = 'cake'", on_cake);
}

/* From now on a reader like the others, and no other writer was in between. */
static void on_cake(struct session* session, const PGresult* result) {
  struct visit* visit = session->data;
  prices.cake = number_in(result);
  prices.loaded = 1;
  must(pkd_async_rwlock_downgrade(&visit->prices, &rwlock));
  sell(visit);
}

/* ---- the sale: a reader until it is booked ------------------------------- */

static void sell(struct visit* visit) {
  const char* const parameters[] = {visit->text[0], visit->text[1],
                                    visit->text[2]};
  snprintf(visit->text[0], sizeof visit->text[0], "%d", visit->number);
  snprintf(visit->text[1], sizeof visit->text[1], "%d", prices.tea);
  snprintf(visit->text[2], sizeof visit->text[2], "%d", prices.cake);
  if (++sales > most_sales)
    most_sales = sales;
  must(session_query(
      visit->lease.session,
      "INSERT INTO sale (visit, tea, cake, listed)"
      " SELECT $1::int, $2::int, $3::int, cents FROM price WHERE name = 'tea'",
      3, parameters, on_sold));
}

static void on_sold(struct session* session, const PGresult* result) {
  struct visit* visit = session->data;
  if (PQresultStatus(result) != PGRES_COMMAND_OK) {
    fprintf(stderr, "shop: %s", session_error(session));
    exit(1);
  }
  sales--;
  must(pkd_async_rwlock_unlock(&visit->prices, &rwlock));
  pool_put(&visit->lease);
  if (--left == 0)
    must(pool_get(&pool, &visit->lease, QUEUE_MS, check));
}

/* ---- was all right? ------------------------------------------------------ */

/* Every visit sold once, at prices that belong together; and the semaphore let
 * no more connections be than there are places, beside the one that was cut. */
static const char question[] =
    "SELECT CASE"
    " WHEN count(*) <> $1::int THEN 'sales are missing'"
    " WHEN bool_or(cake <> tea + 100) THEN 'old and new prices are mixed'"
    " WHEN bool_or(tea <> listed) THEN 'a price changed during a sale'"
    " WHEN count(DISTINCT tea) < 2 THEN 'no price ever changed'"
    " WHEN count(DISTINCT backend) > $2::int THEN 'too many connections'"
    " ELSE 'right' END FROM sale";

static void check(struct lease* lease, int status) {
  struct visit* visit = lease->data;
  const char* const parameters[] = {visit->text[0], visit->text[1]};
  must(status);
  lease->session->data = visit;
  snprintf(visit->text[0], sizeof visit->text[0], "%d", VISITS);
  snprintf(visit->text[1], sizeof visit->text[1], "%d", POOL_SIZE);
  must(session_query(lease->session, question, 2, parameters, on_checked));
}

static void on_checked(struct session* session, const PGresult* result) {
  struct visit* visit = session->data;
  static char text[64];
  if (PQresultStatus(result) != PGRES_TUPLES_OK)
    must(UV_EIO);
  snprintf(text, sizeof text, "%s", PQgetvalue(result, 0, 0));
  verdict = text;
  if (cuts != 1 || pool.opened > POOL_SIZE + 1)
    verdict = "not the connections that were expected";
  pool_put(&visit->lease);
  pool_close(&pool);
  must(pkd_loop_detach(&locks, NULL));
}

/* ---- small things -------------------------------------------------------- */

static void run(struct visit* visit, const char* sql, session_cb cb) {
  must(session_query(visit->lease.session, sql, 0, NULL, cb));
}

static int number_in(const PGresult* result) {
  if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
    must(UV_EIO);
  return atoi(PQgetvalue(result, 0, 0));
}

/* A real shop would answer the one visit with an error; this one closes. */
static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "shop: %s\n", pkd_strerror(err));
  exit(1);
}
