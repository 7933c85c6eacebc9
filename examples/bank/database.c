/* SPDX-License-Identifier: MIT
 *
 * database.c - a few ledgers, lent to pool threads.
 *
 * The two kinds of section, side by side. A job waits for a permit until some
 * other job has done its I/O, so a continuation is queued. The list of idle
 * ledgers is looked at for an instant, so a mutex blocks whoever else looks;
 * who has a permit finds a ledger there.
 *
 * SQLite lets one connection write at a time and makes others sleep and try
 * again, in growing steps, on a thread of the pool. So writers queue up before
 * they have a thread. And as a commit waits for the disk, whoever has the turn
 * writes for all who wait behind it, in one transaction; they find it done when
 * their turn comes. They wait for their turn first and for a permit second: who
 * has a permit waits for nothing but the disk, hence no deadlock. */
#include "database.h"

#include <stddef.h>

#include "bank.h"
#include "must.h"

static void wait_for_turn(struct database_job* job);
static void on_turn(pkd_req_t* turn, int status);
static void ask_for_permit(struct database_job* job);
static void on_permit(pkd_req_t* permit, int status);
static void run(uv_work_t* work);
static void write_all(struct database* database, struct ledger* ledger);
static void let_next(struct database_job* job);
static void on_run(uv_work_t* work, int status);
static struct ledger* borrow(struct database* database);
static void give_back(struct database* database, struct ledger* ledger);

int database_open(struct database* database, const char* path, int64_t accounts,
                  int64_t opening) {
  for (int i = 0; i < LEDGERS; i++) {
    int rc = ledger_open(&database->idle[i], path, accounts, opening);
    if (rc != 0) {
      database_close(database);
      return rc;
    }
    database->idle_count = i + 1;
  }
  return pkd_async_sem_init(&database->permits, LEDGERS, LEDGERS);
}

void database_close(struct database* database) {
  while (database->idle_count > 0)
    ledger_close(database->idle[--database->idle_count]);
}

void database_submit(struct teller* teller, struct database_job* job) {
  job->teller = teller;
  job->work.data = job;
  job->permit.data = job;
  job->turn.data = job;
  if (job->writes)
    wait_for_turn(job);
  else
    ask_for_permit(job);
}

static void wait_for_turn(struct database_job* job) {
  struct database* database = &job->teller->bank->database;
  job->written = false;
  pkd_mutex_lock(&database->mutex);
  job->next = database->unwritten;
  database->unwritten = job;
  pkd_mutex_unlock(&database->mutex);
  must_succeed(pkd_async_mutex_lock(&job->teller->locks, &job->turn,
                                    &database->writer, on_turn));
}

static void on_turn(pkd_req_t* turn, int status) {
  struct database_job* job = turn->data;
  must_succeed(status); /* nobody cancels these */
  if (!job->written) {
    ask_for_permit(job);
    return;
  }
  must_succeed(
      pkd_async_mutex_unlock(turn, &job->teller->bank->database.writer));
  job->done(job);
}

static void ask_for_permit(struct database_job* job) {
  struct teller* teller = job->teller;
  must_succeed(pkd_async_sem_acquire(&teller->locks, &job->permit,
                                     &teller->bank->database.permits, 1,
                                     on_permit));
}

static void on_permit(pkd_req_t* permit, int status) {
  struct database_job* job = permit->data;
  must_succeed(status);
  must_succeed(uv_queue_work(&job->teller->loop, &job->work, run, on_run));
}

static void run(uv_work_t* work) {
  struct database_job* job = work->data;
  struct bank* bank = job->teller->bank;
  uint64_t start = uv_hrtime();
  job->ledger = borrow(&bank->database);
  if (job->writes)
    write_all(&bank->database, job->ledger);
  else
    job->call(job);
  give_back(&bank->database, job->ledger);
  let_next(job);
  stats_call(&bank->stats, (int64_t)((uv_hrtime() - start) / 1000));
}

/* They share the fate of the transaction: either all are written or none. */
static void write_all(struct database* database, struct ledger* ledger) {
  pkd_mutex_lock(&database->mutex);
  struct database_job* all = database->unwritten;
  database->unwritten = NULL;
  pkd_mutex_unlock(&database->mutex);
  int rc = ledger_begin(ledger);
  for (struct database_job* job = all; job != NULL && rc == 0;
       job = job->next) {
    job->ledger = ledger;
    job->call(job);
    rc = job->rc;
  }
  rc = ledger_end(ledger, rc);
  for (struct database_job* job = all; job != NULL; job = job->next) {
    job->rc = rc;
    job->written = true;
  }
}

/* From the pool: any thread may give back, and who is next, maybe on the other
 * loop, need not wait until this one hears of it. */
static void let_next(struct database_job* job) {
  struct database* database = &job->teller->bank->database;
  must_succeed(pkd_async_sem_release(&job->permit, &database->permits, 1));
  if (job->writes)
    must_succeed(pkd_async_mutex_unlock(&job->turn, &database->writer));
}

static void on_run(uv_work_t* work, int status) {
  struct database_job* job = work->data;
  must_succeed(status);
  job->done(job);
}

static struct ledger* borrow(struct database* database) {
  pkd_mutex_lock(&database->mutex);
  struct ledger* ledger = database->idle[--database->idle_count];
  pkd_mutex_unlock(&database->mutex);
  return ledger;
}

static void give_back(struct database* database, struct ledger* ledger) {
  pkd_mutex_lock(&database->mutex);
  database->idle[database->idle_count++] = ledger;
  pkd_mutex_unlock(&database->mutex);
}
