/* SPDX-License-Identifier: MIT
 *
 * money.c - from a client's words to a transfer or a look into the ledger.
 *
 * What can be refused without the ledger is refused here, before it costs a
 * place in any queue. */
#include "money.h"

#include <errno.h>
#include <stdlib.h>

#include "must.h"
#include "bank.h"
#include "connection.h"
#include "transfer.h"

struct query {
  struct connection* connection;
  int64_t account;
  int64_t answer;
  struct database_job job;
};

static void on_transferred(struct transfer* transfer);
static void on_gone(void* transfer);
static void ask(struct connection* connection, int64_t account,
                void (*call)(struct database_job*));
static void call_balance(struct database_job* job);
static void call_total(struct database_job* job);
static void on_answer(struct database_job* job);
static int read_account(FILE* out, const struct argument* word, int64_t* id);
static int read_amount(FILE* out, const struct argument* word, int64_t* amount);
static int read_number(const struct argument* word, int64_t* number);

void money_transfer(struct connection* connection,
                    const struct command* command) {
  FILE* out = connection_out(connection);
  struct payment payment = {0};
  if (!read_account(out, &command->arguments[1], &payment.from) ||
      !read_account(out, &command->arguments[2], &payment.to) ||
      !read_amount(out, &command->arguments[3], &payment.amount))
    return;
  if (payment.from == payment.to) {
    reply_error(out, "both accounts are the same", NULL);
    return;
  }
  struct transfer* transfer = allocate(sizeof *transfer);
  transfer->teller = connection->teller;
  transfer->payment = payment;
  transfer->done = on_transferred;
  transfer->data = connection;
  connection_wait(connection, on_gone, transfer);
  transfer_start(transfer);
}

void money_balance(struct connection* connection,
                   const struct command* command) {
  int64_t account = 0;
  if (read_account(connection_out(connection), &command->arguments[1],
                   &account))
    ask(connection, account, call_balance);
}

void money_total(struct connection* connection, const struct command* command) {
  (void)command;
  ask(connection, 0, call_total);
}

static void on_transferred(struct transfer* transfer) {
  struct connection* connection = transfer->data;
  FILE* out = connection_out(connection);
  if (transfer->outcome == FIGURE_MOVED)
    reply_status(out, "OK");
  else
    reply_error(out, transfer->reason, NULL);
  free(transfer);
  connection_resume(connection);
}

static void on_gone(void* transfer) {
  transfer_cancel(transfer);
}

/* ---- BALANCE and TOTAL: one call, no decision, no guard ------------------ */

static void ask(struct connection* connection, int64_t account,
                void (*call)(struct database_job*)) {
  struct query* query = allocate(sizeof *query);
  query->connection = connection;
  query->account = account;
  query->job.data = query;
  query->job.call = call;
  query->job.done = on_answer;
  connection_wait(connection, NULL, NULL);
  database_submit(connection->teller, &query->job);
}

static void call_balance(struct database_job* job) {
  struct query* query = job->data;
  job->rc = ledger_balance(job->ledger, query->account, &query->answer);
}

static void call_total(struct database_job* job) {
  struct query* query = job->data;
  job->rc = ledger_total(job->ledger, &query->answer);
}

static void on_answer(struct database_job* job) {
  struct query* query = job->data;
  struct connection* connection = query->connection;
  FILE* out = connection_out(connection);
  if (job->rc == 0)
    reply_integer(out, query->answer);
  else
    reply_error(out, ledger_strerror(job->rc), NULL);
  free(query);
  connection_resume(connection);
}

/* ---- words to numbers ---------------------------------------------------- */

static int read_account(FILE* out, const struct argument* word, int64_t* id) {
  if (read_number(word, id) == 0)
    return 1;
  reply_error(out, "no such account", word->text);
  return 0;
}

static int read_amount(FILE* out, const struct argument* word,
                       int64_t* amount) {
  int rc = read_number(word, amount);
  if (rc == ERANGE)
    reply_error(out, "the amount is out of range", word->text);
  else if (rc != 0)
    reply_error(out, "the amount is not a number", word->text);
  else if (*amount <= 0)
    reply_error(out, "the amount must be positive", word->text);
  else
    return 1;
  return 0;
}

/* Decimal digits with an optional minus and nothing else: 0, EINVAL, ERANGE. */
static int read_number(const struct argument* word, int64_t* number) {
  char* end = NULL;
  const char* text = word->text;
  const char* digits = text[0] == '-' ? text + 1 : text;
  if (digits[0] < '0' || digits[0] > '9')
    return EINVAL;
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (end != text + word->length)
    return EINVAL;
  *number = value;
  return errno;
}
