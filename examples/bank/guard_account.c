/* SPDX-License-Identifier: MIT
 *
 * guard_account.c - one async lock per account; a transfer holds both.
 *
 * Transfers that share no account do not wait for each other. The locks are
 * those of a keyed mutex: the number of the account is the lock, and an account
 * that nobody uses just now costs no memory. A transfer takes the lower number
 * first, so that two of them never hold one each and wait for the other. */
#include <parkade/async/keyed.h>

#include "guard.h"
#include "must.h"
#include "teller.h"
#include "transfer.h"

static pkd_async_keyed_t accounts; /* all-zero is ready */

static void take_next(struct transfer* transfer);
static void on_lock(pkd_req_t* ticket, int status);

static void enter(struct transfer* transfer) {
  take_next(transfer);
}

static void leave(struct transfer* transfer) {
  while (transfer->taken > 0)
    must_succeed(pkd_async_keyed_unlock(&transfer->tickets[--transfer->taken],
                                        &accounts));
}

static void cancel(struct transfer* transfer) {
  /* It waits for the one after those it has; with both it runs to its end. */
  if (transfer->taken < 2)
    pkd_req_cancel(&transfer->tickets[transfer->taken]);
}

static void take_next(struct transfer* transfer) {
  const struct payment* payment = &transfer->payment;
  int64_t lower = payment->from < payment->to ? payment->from : payment->to;
  int64_t higher = payment->from < payment->to ? payment->to : payment->from;
  pkd_req_t* ticket = &transfer->tickets[transfer->taken];
  ticket->data = transfer;
  must_succeed(pkd_async_keyed_lock_u64(
      &transfer->teller->locks, ticket, &accounts,
      (uint64_t)(transfer->taken == 0 ? lower : higher), on_lock));
}

static void on_lock(pkd_req_t* ticket, int status) {
  struct transfer* transfer = ticket->data;
  if (status < 0) {
    leave(transfer); /* the first, if it was the second that was awaited */
    transfer_cancelled(transfer);
    return;
  }
  transfer->taken++;
  if (transfer->taken < 2)
    take_next(transfer);
  else
    transfer_enter(transfer);
}

const struct guard guard_account = {
    .name = "account",
    .title = "one async lock per account",
    .enter = enter,
    .leave = leave,
    .cancel = cancel,
};
