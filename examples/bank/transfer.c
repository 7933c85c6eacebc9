/* SPDX-License-Identifier: MIT
 *
 * transfer.c - read both balances, decide, write both back.
 *
 *   start -> guard.enter ... transfer_enter -> [read]  on a pool thread
 *                              on_read: decide           on the loop
 *                                        -> [write] on a pool thread
 *                              on_written, guard.leave, done   on the loop
 *
 * From transfer_enter() to guard.leave() nobody else may touch these balances,
 * and this thread does a hundred other things meanwhile. Once entered, a
 * transfer always runs to its end: nobody stops it between read and write. */
#include "transfer.h"

#include <stddef.h>

#include "bank.h"

static void read_balances(struct database_job* job);
static void on_read(struct database_job* job);
static void write_balances(struct database_job* job);
static void on_written(struct database_job* job);
static void end(struct transfer* transfer);

void transfer_start(struct transfer* transfer) {
  struct bank* bank = transfer->teller->bank;
  stats_begin(&bank->stats);
  bank->guard->enter(transfer);
}

void transfer_cancel(struct transfer* transfer) {
  transfer->teller->bank->guard->cancel(transfer);
}

void transfer_enter(struct transfer* transfer) {
  stats_enter(&transfer->teller->bank->stats);
  transfer->job.data = transfer;
  transfer->job.call = read_balances;
  transfer->job.done = on_read;
  transfer->job.writes = false;
  database_submit(transfer->teller, &transfer->job);
}

void transfer_cancelled(struct transfer* transfer) {
  transfer->outcome = FIGURE_CANCELLED;
  transfer->reason = "cancelled";
  end(transfer);
}

void transfer_finish(struct transfer* transfer, int rc) {
  if (rc != 0) {
    transfer->outcome =
        rc == LEDGER_NO_ACCOUNT ? FIGURE_REFUSED : FIGURE_FAILED;
    transfer->reason = ledger_strerror(rc);
  } else if (transfer->reason == NULL) {
    transfer->outcome = FIGURE_MOVED;
  }
  transfer->teller->bank->guard->leave(transfer);
  end(transfer);
}

int transfer_decide(struct transfer* transfer) {
  struct payment* payment = &transfer->payment;
  transfer->outcome = FIGURE_REFUSED;
  if (payment->from_balance < payment->amount) {
    transfer->reason = "insufficient funds";
    return 0;
  }
  if (payment->to_balance > INT64_MAX - payment->amount) {
    transfer->reason = "the receiving account cannot hold that much";
    return 0;
  }
  payment->from_balance -= payment->amount;
  payment->to_balance += payment->amount;
  return 1;
}

static void read_balances(struct database_job* job) {
  struct transfer* transfer = job->data;
  job->rc = ledger_read_payment(job->ledger, &transfer->payment);
}

static void on_read(struct database_job* job) {
  struct transfer* transfer = job->data;
  if (job->rc != 0 || !transfer_decide(transfer)) {
    transfer_finish(transfer, job->rc);
    return;
  }
  job->call = write_balances;
  job->done = on_written;
  job->writes = true;
  database_submit(transfer->teller, job);
}

static void write_balances(struct database_job* job) {
  struct transfer* transfer = job->data;
  job->rc = ledger_write_payment(job->ledger, &transfer->payment);
}

static void on_written(struct database_job* job) {
  transfer_finish(job->data, job->rc);
}

static void end(struct transfer* transfer) {
  stats_end(&transfer->teller->bank->stats, transfer->outcome,
            transfer->payment.amount);
  transfer->done(transfer);
}
