/* SPDX-License-Identifier: MIT
 *
 * guard_account.c - one async lock per account; a transfer holds both.
 *
 * Transfers that share no account do not wait for each other. The locks are
 * those of a keyed mutex: the number of the account is the lock, and an account
 * that nobody uses just now costs no memory. A transfer asks for both at once,
 * so two of them never hold one each and wait for the other. */
#include <parkade/async/keyed.h>
#include <parkade/async/many.h>

#include "guard.h"
#include "must.h"
#include "teller.h"
#include "transfer.h"

static pkd_async_keyed_t accounts; /* all-zero is ready */

static void on_locks(pkd_many_t* locks, int status);

static void enter(struct transfer* transfer) {
  struct payment* payment = &transfer->payment;
  pkd_many_item_t* pair = transfer->pair;
  pair[0].take = pkd_take_key(&accounts, &payment->from, sizeof payment->from);
  pair[1].take = pkd_take_key(&accounts, &payment->to, sizeof payment->to);
  transfer->locks.data = transfer;
  must_succeed(pkd_many_lock(&transfer->teller->locks, &transfer->locks, pair,
                             2, PKD_NO_TIMEOUT, on_locks));
}

static void leave(struct transfer* transfer) {
  must_succeed(pkd_many_unlock(&transfer->locks));
}

static void cancel(struct transfer* transfer) {
  /* Refused when it has both: then it runs to its end. */
  pkd_many_cancel(&transfer->locks);
}

static void on_locks(pkd_many_t* locks, int status) {
  if (status < 0)
    transfer_cancelled(locks->data);
  else
    transfer_enter(locks->data);
}

const struct guard guard_account = {
    .name = "account",
    .title = "one async lock per account",
    .enter = enter,
    .leave = leave,
    .cancel = cancel,
};
