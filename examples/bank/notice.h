/* SPDX-License-Identifier: MIT
 *
 * notice.h - NOTICE: what hangs on the bank's notice board, read from a file.
 *
 * It has nothing to do with money, but libuv reads files on the thread pool:
 * it shows what a drained pool does to everybody else. */
#ifndef BANK_NOTICE_H
#define BANK_NOTICE_H

struct command;
struct connection;

void notice_read(struct connection* connection, const struct command* command);

#endif
