/* SPDX-License-Identifier: MIT
 *
 * command.h - what a client can ask for. */
#ifndef BANK_COMMAND_H
#define BANK_COMMAND_H

struct command;
struct connection;

/* Answers `command` on `connection`, now or later; keeps nothing of it. */
void command_run(struct connection* connection, const struct command* command);

#endif
