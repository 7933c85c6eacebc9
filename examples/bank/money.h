/* SPDX-License-Identifier: MIT
 *
 * money.h - the commands that ask the ledger: TRANSFER, BALANCE, TOTAL. */
#ifndef BANK_MONEY_H
#define BANK_MONEY_H

struct command;
struct connection;

void money_transfer(struct connection* connection,
                    const struct command* command);
void money_balance(struct connection* connection,
                   const struct command* command);
void money_total(struct connection* connection, const struct command* command);

#endif
