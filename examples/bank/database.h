/* SPDX-License-Identifier: MIT
 *
 * database.h - calls of the ledger from a loop, run on the thread pool.
 *
 * A job borrows one of a few ledgers, runs `call` with it on a pool thread,
 * gives it back and runs `done` on the loop it came from. */
#ifndef BANK_DATABASE_H
#define BANK_DATABASE_H

#include <uv.h>

#include <parkade/mutex.h>

#include "ledger.h"

struct bank;
struct teller;

/* libuv's pool has four threads unless UV_THREADPOOL_SIZE says otherwise; with
 * as many ledgers a running job always finds one. */
enum { LEDGERS = 4 };

struct database {
  pkd_mutex_t mutex;
  int idle_count;               /* under mutex */
  struct ledger* idle[LEDGERS]; /* under mutex */
};

/* The caller's memory, and the database's from submit until `done`. */
struct database_job {
  void* data;
  void (*call)(struct database_job* job); /* pool thread; sets rc */
  void (*done)(struct database_job* job); /* loop thread */
  int rc;
  struct ledger* ledger; /* during call */
  struct bank* bank;
  uv_work_t work;
};

int database_open(struct database* database, const char* path, int64_t accounts,
                  int64_t opening);
void database_close(struct database* database);

/* `done` always comes, and never inside this call. */
void database_submit(struct teller* teller, struct database_job* job);

#endif
