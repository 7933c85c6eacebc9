/* SPDX-License-Identifier: MIT
 *
 * guard_async.c - one async mutex around all transfers.
 *
 * While a transfer waits, nothing of the program waits with it: no thread of
 * the pool, no loop. What is queued is the continuation on_lock(). The ticket
 * owns the mutex, so the section may cross any number of callbacks and pool
 * threads before it is given back. */
#include <parkade/async/mutex.h>

#include "must.h"
#include "guard.h"
#include "teller.h"
#include "transfer.h"

static pkd_async_mutex_t mutex; /* all-zero is free */

static void on_lock(pkd_req_t* ticket, int status);

static void enter(struct transfer* transfer) {
  transfer->ticket.data = transfer;
  must_succeed(pkd_async_mutex_lock(&transfer->teller->locks, &transfer->ticket,
                                    &mutex, on_lock));
}

static void leave(struct transfer* transfer) {
  must_succeed(pkd_async_mutex_unlock(&transfer->ticket, &mutex));
}

static void cancel(struct transfer* transfer) {
  /* Refused when the mutex is its own: then it runs to its end. */
  pkd_req_cancel(&transfer->ticket);
}

static void on_lock(pkd_req_t* ticket, int status) {
  if (status < 0)
    transfer_cancelled(ticket->data);
  else
    transfer_enter(ticket->data);
}

const struct guard guard_async = {
    .name = "async",
    .title = "one async mutex",
    .enter = enter,
    .leave = leave,
    .cancel = cancel,
};
