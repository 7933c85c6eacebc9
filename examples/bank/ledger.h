/* SPDX-License-Identifier: MIT
 *
 * ledger.h - one connection to the bank's SQLite file.
 *
 * Every call blocks on the disk: pool threads only (and main, at the start).
 * A ledger is used by one thread at a time; who may use it when is decided in
 * database.c. Results are 0, SQLite's own codes (positive), or ours. */
#ifndef BANK_LEDGER_H
#define BANK_LEDGER_H

#include <stdint.h>

struct ledger;

enum { LEDGER_NO_ACCOUNT = -1 };

/* A payment: what was read, and what shall be written. Absolute balances, as
 * programs do it that read, think and write back. */
struct payment {
  int64_t from;
  int64_t to;
  int64_t amount;
  int64_t from_balance;
  int64_t to_balance;
};

/* Opens the file; the first to open a new one creates `accounts` accounts
 * with `opening` each. An existing file keeps what it has. */
int ledger_open(struct ledger** out, const char* path, int64_t accounts,
                int64_t opening);
void ledger_close(struct ledger* ledger);

int ledger_read_payment(struct ledger* ledger, struct payment* payment);

/* One transaction, of one payment or of many that have no account in common.
 * After a failure ledger_end() is told of it, and nothing was written. */
int ledger_begin(struct ledger* ledger);
int ledger_write_payment(struct ledger* ledger, const struct payment* payment);
int ledger_end(struct ledger* ledger, int rc);

int ledger_balance(struct ledger* ledger, int64_t account, int64_t* balance);
int ledger_total(struct ledger* ledger, int64_t* total);

const char* ledger_strerror(int rc);

#endif
