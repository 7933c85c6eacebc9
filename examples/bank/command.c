/* SPDX-License-Identifier: MIT
 *
 * command.c - the table of commands, and those that are answered at once.
 *
 * COMMAND, CONFIG, CLIENT, SELECT and INFO are here because redis-cli and
 * redis-benchmark ask for them before they do what they are told. */
#include "command.h"

#include <string.h>

#include "bank.h"
#include "connection.h"
#include "money.h"
#include "notice.h"

typedef void (*command_fn)(struct connection* connection,
                           const struct command* command);

static void ping(struct connection* connection, const struct command* command);
static void stats(struct connection* connection, const struct command* command);
static void info(struct connection* connection, const struct command* command);
static void list(struct connection* connection, const struct command* command);
static void config(struct connection* connection,
                   const struct command* command);
static void ok(struct connection* connection, const struct command* command);
static void quit(struct connection* connection, const struct command* command);

/* As Redis counts: arity includes the name; negative means "at least". */
static const struct entry {
  const char* name;
  int arity;
  command_fn run;
} table[] = {
    {"transfer", 4, money_transfer},
    {"balance", 2, money_balance},
    {"total", 1, money_total},
    {"notice", 1, notice_read},
    {"stats", 1, stats},
    {"ping", -1, ping},
    {"info", -1, info},
    {"command", -1, list},
    {"config", -2, config},
    {"client", -2, ok},
    {"select", 2, ok},
    {"quit", 1, quit},
};

enum { COMMANDS = sizeof table / sizeof table[0] };

void command_run(struct connection* connection, const struct command* command) {
  if (command->count == 0)
    return; /* an empty line, as Redis has it */
  for (int i = 0; i < COMMANDS; i++) {
    const struct entry* entry = &table[i];
    size_t least = (size_t)(entry->arity < 0 ? -entry->arity : entry->arity);
    if (!command_is(command, 0, entry->name))
      continue;
    if (command->count < least || (entry->arity > 0 && command->count > least))
      reply_error(connection_out(connection), "wrong number of arguments for",
                  entry->name);
    else
      entry->run(connection, command);
    return;
  }
  reply_error(connection_out(connection), "unknown command",
              command->arguments[0].text);
}

static void ping(struct connection* connection, const struct command* command) {
  FILE* out = connection_out(connection);
  if (command->count == 1)
    reply_status(out, "PONG");
  else
    reply_bulk(out, command->arguments[1].text, command->arguments[1].length);
}

/* name:value lines, as in INFO, which tools know how to read. */
static void stats(struct connection* connection,
                  const struct command* command) {
  int64_t figures[FIGURES];
  char text[1024];
  size_t length = 0;
  (void)command;
  stats_read(&connection->teller->bank->stats, figures);
  for (int i = 0; i < FIGURES; i++)
    length +=
        (size_t)snprintf(text + length, sizeof text - length, "%s:%lld\r\n",
                         stats_name((enum figure)i), (long long)figures[i]);
  reply_bulk(connection_out(connection), text, length);
}

static void info(struct connection* connection, const struct command* command) {
  const struct bank* bank = connection->teller->bank;
  char text[256];
  int length = snprintf(text, sizeof text,
                        "# Server\r\nredis_mode:standalone\r\n"
                        "server_name:parkade bank\r\nguard:%s\r\n"
                        "tcp_port:%d\r\n",
                        bank->guard->name, bank->options.port);
  (void)command;
  reply_bulk(connection_out(connection), text, (size_t)length);
}

/* COMMAND: name, arity, flags, and where its keys are (it has none). */
static void list(struct connection* connection, const struct command* command) {
  FILE* out = connection_out(connection);
  if (command_is(command, 1, "count")) {
    reply_integer(out, COMMANDS);
    return;
  }
  if (command->count > 1) { /* DOCS, INFO, ...: we have none */
    reply_array(out, 0);
    return;
  }
  reply_array(out, COMMANDS);
  for (int i = 0; i < COMMANDS; i++) {
    reply_array(out, 6);
    reply_bulk(out, table[i].name, strlen(table[i].name));
    reply_integer(out, table[i].arity);
    reply_array(out, 0);
    for (int key = 0; key < 3; key++)
      reply_integer(out, 0);
  }
}

/* CONFIG GET: redis-benchmark prints these two above its figures. */
static void config(struct connection* connection,
                   const struct command* command) {
  FILE* out = connection_out(connection);
  if (!command_is(command, 1, "get")) {
    reply_error(out, "only CONFIG GET is known, not",
                command->arguments[1].text);
  } else if (command_is(command, 2, "save") ||
             command_is(command, 2, "appendonly")) {
    const struct argument* name = &command->arguments[2];
    const char* value = command_is(command, 2, "save") ? "" : "no";
    reply_array(out, 2);
    reply_bulk(out, name->text, name->length);
    reply_bulk(out, value, strlen(value));
  } else {
    reply_array(out, 0);
  }
}

static void ok(struct connection* connection, const struct command* command) {
  (void)command;
  reply_status(connection_out(connection), "OK");
}

static void quit(struct connection* connection, const struct command* command) {
  ok(connection, command);
  connection_end(connection);
}
