/* SPDX-License-Identifier: MIT
 *
 * database.h - calls of the ledger from a loop, run on the thread pool.
 *
 * A job waits for a permit, as a continuation and so at no cost to any thread;
 * then it runs `call` on a pool thread with one of a few ledgers, gives both
 * back and runs `done` on the loop it came from. */
#ifndef BANK_DATABASE_H
#define BANK_DATABASE_H

#include <stdbool.h>
#include <uv.h>

#include <parkade/async/mutex.h>
#include <parkade/async/sem.h>
#include <parkade/mutex.h>

#include "ledger.h"

struct bank;
struct teller;

/* One less than libuv's pool has threads: there is always one left for others,
 * however many calls of the database wait. */
enum { LEDGERS = 3 };

struct database {
  pkd_async_mutex_t writer; /* SQLite admits one; see database.c */
  pkd_async_sem_t permits;  /* to run one call; as many as ledgers */
  pkd_mutex_t mutex;
  int idle_count;                 /* under mutex */
  struct ledger* idle[LEDGERS];   /* under mutex */
  struct database_job* unwritten; /* under mutex; the newest first */
};

/* The caller's memory, and the database's from submit until `done`. */
struct database_job {
  void* data;
  void (*call)(struct database_job* job); /* pool thread; sets rc */
  void (*done)(struct database_job* job); /* loop thread */
  bool writes;
  bool written; /* by whoever had the turn before; who has it may look */
  int rc;
  struct ledger* ledger; /* during call */
  struct teller* teller;
  struct database_job* next; /* of the unwritten */
  pkd_req_t turn;            /* to write */
  pkd_req_t permit;
  uv_work_t work;
};

int database_open(struct database* database, const char* path, int64_t accounts,
                  int64_t opening);
void database_close(struct database* database);

/* `done` always comes, and never inside this call. */
void database_submit(struct teller* teller, struct database_job* job);

#endif
