/* SPDX-License-Identifier: MIT
 *
 * fuzz_resp.c - what a client may send to the bank: bytes, commands, replies.
 *
 * hiredis's reader, the parser, the table of commands and the reading of numbers
 * are the bank's; the database behind them is not there. Each input is fed twice,
 * once as it is and once in pieces, as a network may cut it: the replies are the
 * same. They are RESP themselves, as hiredis reads it, one for each command. And no
 * payment gets through that could not be meant. */
#include "input.h"

#include "bank.h"
#include "command.h"
#include "connection.h"
#include "money.h"
#include "notice.h"
#include "resp.h"
#include "transfer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#define MUST(fact)                                                             \
  do {                                                                         \
    if (!(fact)) {                                                             \
      printf("not so: %s\n", #fact);                                           \
      fflush(stdout);                                                          \
      abort();                                                                 \
    }                                                                          \
  } while (0)

/* --- what is behind the commands ---------------------------------------------- */

FILE* connection_out(struct connection* connection) {
  return connection->out;
}

void connection_wait(struct connection* connection, void (*gone)(void*),
                     void* arg) {
  (void)gone;
  (void)arg;
  MUST(!connection->busy);
  connection->busy = true;
}

void connection_resume(struct connection* connection) {
  MUST(connection->busy);
  connection->busy = false;
}

void connection_end(struct connection* connection) {
  connection->ending = true;
}

void transfer_start(struct transfer* transfer) {
  const struct payment* payment = &transfer->payment;

  MUST(payment->amount > 0);
  MUST(payment->from != payment->to);
  transfer->outcome = payment->amount > 1000 ? FIGURE_REFUSED : FIGURE_MOVED;
  transfer->reason = "insufficient funds";
  transfer->done(transfer);
}

void transfer_cancel(struct transfer* transfer) {
  (void)transfer;
}

void database_submit(struct teller* teller, struct database_job* job) {
  (void)teller;
  job->call(job);
  job->done(job);
}

int ledger_balance(struct ledger* ledger, int64_t account, int64_t* balance) {
  (void)ledger;
  *balance = account;
  return account < 0;
}

int ledger_total(struct ledger* ledger, int64_t* total) {
  (void)ledger;
  *total = 0;
  return 0;
}

const char* ledger_strerror(int rc) {
  (void)rc;
  return "no such account";
}

void notice_read(struct connection* connection, const struct command* command) {
  (void)command;
  reply_bulk(connection_out(connection), "open", 4);
}

/* --- one conversation --------------------------------------------------------- */

struct talk {
  char* text; /* all replies */
  size_t length;
  int replies;  /* how many there have to be */
  bool garbled; /* the input was not RESP */
};

static struct bank bank;

static void take_commands(struct connection* connection, struct talk* talk) {
  struct command* command = NULL;
  enum resp_result result = RESP_MORE;

  while (!connection->ending &&
         (result = resp_next(&connection->in, &command)) == RESP_COMMAND) {
    MUST(command->count <= RESP_MAX_ARGUMENTS);
    for (size_t i = 0; i < command->count; i++)
      MUST(command->arguments[i].text[command->arguments[i].length] == '\0');
    talk->replies += command->count > 0;
    command_run(connection, command);
    MUST(!connection->busy);
    command_free(command);
  }
  if (!connection->ending && result == RESP_BROKEN) {
    talk->garbled = true;
    talk->replies++;
    reply_error(connection->out, "Protocol error", NULL);
    connection_end(connection);
  }
}

/* @param piece  how many bytes come at a time; 0: all at once */
static struct talk converse(const uint8_t* bytes, size_t length, size_t piece) {
  struct talk talk = {NULL, 0, 0, false};
  static struct connection connection;

  memset(&connection, 0, sizeof connection);
  connection.teller = &bank.tellers[0];
  connection.out = open_memstream(&talk.text, &talk.length);
  MUST(connection.out != NULL && resp_open(&connection.in));
  while (length > 0 && !connection.ending) {
    size_t now = piece == 0 || piece > length ? length : piece;

    MUST(resp_feed(&connection.in, (const char*)bytes, now));
    take_commands(&connection, &talk);
    bytes += now;
    length -= now;
  }
  resp_close(&connection.in);
  fclose(connection.out);
  return talk;
}

static void replies_are_whole(const struct talk* talk) {
  redisReader* reader = redisReaderCreate();
  void* reply = NULL;

  MUST(reader != NULL);
  MUST(redisReaderFeed(reader, talk->text, talk->length) == REDIS_OK);
  for (int i = 0; i < talk->replies; i++) {
    MUST(redisReaderGetReply(reader, &reply) == REDIS_OK);
    MUST(reply != NULL);
    freeReplyObject(reply);
  }
  MUST(redisReaderGetReply(reader, &reply) == REDIS_OK && reply == NULL);
  MUST(reader->pos == reader->len);
  redisReaderFree(reader);
}

static const struct guard no_guard = {.name = "none"};

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  struct input in = {bytes, length};
  size_t piece = 1 + input_below(&in, 255);
  struct talk whole, cut;

  bank.guard = &no_guard;
  bank.tellers[0].bank = &bank;
  whole = converse(in.bytes, in.left, 0);
  cut = converse(in.bytes, in.left, piece);
  replies_are_whole(&whole);
  MUST(whole.garbled == cut.garbled);
  MUST(whole.length == cut.length);
  MUST(memcmp(whole.text, cut.text, whole.length) == 0);
  free(whole.text);
  free(cut.text);
  return 0;
}
