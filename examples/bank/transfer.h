/* SPDX-License-Identifier: MIT
 *
 * transfer.h - moving money: a logic-critical section across two I/Os. */
#ifndef BANK_TRANSFER_H
#define BANK_TRANSFER_H

#include <parkade/async/many.h>

#include "database.h"
#include "stats.h"

struct teller;

/* The caller's memory, and the transfer's from start until `done`. */
struct transfer {
  struct teller* teller;
  struct payment payment;
  void (*done)(struct transfer* transfer); /* on the teller's loop */
  void* data;
  enum figure outcome; /* moved, refused, cancelled or failed */
  const char* reason;  /* why not, unless moved */
  struct database_job job;
  pkd_req_t ticket;        /* for a guard that is one lock */
  pkd_many_t locks;        /* for one of two: of both accounts */
  pkd_many_item_t pair[2]; /* ... */
};

/* Zero all but teller, payment.from, .to, .amount, done and data. */
void transfer_start(struct transfer* transfer);

/* The client is gone. A transfer that waits is cancelled, one that has
 * entered runs to its end; `done` comes either way. */
void transfer_cancel(struct transfer* transfer);

/* For guards: the section is this transfer's. On its loop. */
void transfer_enter(struct transfer* transfer);

/* For guards: it was cancelled before it entered. On its loop. */
void transfer_cancelled(struct transfer* transfer);

/* For guards that run it their own way: its end, `rc` being the database's. */
void transfer_finish(struct transfer* transfer, int rc);

/* The decision between the two calls: may this payment be made? Computes the
 * new balances, or sets outcome and reason. Touches nothing else. */
int transfer_decide(struct transfer* transfer);

#endif
