/* SPDX-License-Identifier: MIT
 *
 * guard_pool.c - a blocking mutex inside pool jobs, the usual way out.
 *
 * The loop must not block, so the whole transfer becomes one pool job, and
 * that job blocks. No money is lost. But a job that waits for the mutex keeps
 * its thread, and there are only four: as soon as four transfers wait, every
 * file read and name look-up of the program waits behind them.
 *
 * The two calls cannot be two jobs here: a mutex belongs to the thread that
 * locked it, and with the pool full of waiting jobs the second call would
 * never get a thread. The mutex serves one ledger, so that no job waits for a
 * ledger while it holds the mutex. */
#include <uv.h>

#include "bank.h"
#include "transfer.h"

static struct {
  uv_mutex_t mutex;
  struct ledger* ledger; /* under mutex */
} the;

static void run(uv_work_t* work);
static void on_run(uv_work_t* work, int status);

static int open_guard(struct bank* bank) {
  uv_mutex_init(&the.mutex);
  return ledger_open(&the.ledger, bank->options.database,
                     bank->options.accounts, bank->options.opening);
}

static void close_guard(void) {
  ledger_close(the.ledger);
  uv_mutex_destroy(&the.mutex);
}

static void enter(struct transfer* transfer) {
  transfer->job.work.data = transfer;
  uv_queue_work(&transfer->teller->loop, &transfer->job.work, run, on_run);
}

static void leave(struct transfer* transfer) {
  (void)transfer;
}

static void cancel(struct transfer* transfer) {
  /* Refused when a thread has begun with it: then it runs to its end. */
  uv_cancel((uv_req_t*)&transfer->job.work);
}

static void run(uv_work_t* work) {
  struct transfer* transfer = work->data;
  struct payment* payment = &transfer->payment;
  uv_mutex_lock(&the.mutex);
  stats_enter(&transfer->teller->bank->stats);
  int rc = ledger_read_payment(the.ledger, payment);
  if (rc == 0 && transfer_decide(transfer)) {
    rc = ledger_begin(the.ledger);
    if (rc == 0)
      rc = ledger_write_payment(the.ledger, payment);
    rc = ledger_end(the.ledger, rc);
  }
  uv_mutex_unlock(&the.mutex);
  transfer->job.rc = rc;
}

static void on_run(uv_work_t* work, int status) {
  struct transfer* transfer = work->data;
  if (status == UV_ECANCELED)
    transfer_cancelled(transfer);
  else
    transfer_finish(transfer, transfer->job.rc);
}

const struct guard guard_pool = {
    .name = "pool",
    .title = "blocking mutex in the pool",
    .open = open_guard,
    .close = close_guard,
    .enter = enter,
    .leave = leave,
    .cancel = cancel,
};
