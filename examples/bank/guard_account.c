/* SPDX-License-Identifier: MIT
 *
 * guard_account.c - one async mutex per account, both held by a transfer.
 *
 * Transfers that share no account do not wait for each other. A transfer takes
 * the lock with the lower number first, so that two of them can never hold
 * one each and wait for the other.
 *
 * A mutex is four bytes and needs no init, so there is simply an array, one
 * for each account of a new bank. Numbers beyond it share a lock with others,
 * which costs time and never money. */
#include <parkade/async/mutex.h>

#include "bank.h"
#include "must.h"
#include "transfer.h"

static struct {
  pkd_async_mutex_t* locks;
  uint64_t count;
} the;

static void take(struct transfer* transfer, int which);
static void on_lock(pkd_req_t* ticket, int status);
static pkd_async_mutex_t* lock_of(const struct transfer* transfer, int which);

static int open_guard(struct bank* bank) {
  the.count = (uint64_t)bank->options.accounts + 1;
  the.locks = allocate(the.count * sizeof *the.locks);
  return 0;
}

static void close_guard(void) {
  free(the.locks);
}

static void enter(struct transfer* transfer) {
  take(transfer, 0);
}

static void leave(struct transfer* transfer) {
  for (int which = transfer->taken - 1; which >= 0; which--)
    must_succeed(pkd_async_mutex_unlock(&transfer->tickets[which],
                                        lock_of(transfer, which)));
}

/* Which one it waits for, if any, is the one after those it has. */
static void cancel(struct transfer* transfer) {
  if (transfer->taken < 2)
    pkd_req_cancel(&transfer->tickets[transfer->taken]);
}

static void take(struct transfer* transfer, int which) {
  pkd_req_t* ticket = &transfer->tickets[which];
  ticket->data = transfer;
  must_succeed(pkd_async_mutex_lock(&transfer->teller->locks, ticket,
                                    lock_of(transfer, which), on_lock));
}

static void on_lock(pkd_req_t* ticket, int status) {
  struct transfer* transfer = ticket->data;
  if (status < 0) {
    leave(transfer);
    transfer_cancelled(transfer);
    return;
  }
  transfer->taken++;
  if (transfer->taken == 1 && lock_of(transfer, 0) != lock_of(transfer, 1))
    take(transfer, 1);
  else
    transfer_enter(transfer);
}

/* Of the two locks of a transfer, 0 is the lower and 1 the higher. */
static pkd_async_mutex_t* lock_of(const struct transfer* transfer, int which) {
  uint64_t from = (uint64_t)transfer->payment.from % the.count;
  uint64_t to = (uint64_t)transfer->payment.to % the.count;
  uint64_t lower = from < to ? from : to;
  uint64_t higher = from < to ? to : from;
  return &the.locks[which == 0 ? lower : higher];
}

const struct guard guard_account = {
    .name = "account",
    .title = "one async mutex per account",
    .open = open_guard,
    .close = close_guard,
    .enter = enter,
    .leave = leave,
    .cancel = cancel,
};
