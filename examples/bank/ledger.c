/* SPDX-License-Identifier: MIT
 *
 * ledger.c - the bank's SQL: a few prepared statements and transactions.
 *
 * WAL, so that readers and the writer do not wait for each other; synchronous
 * FULL, so that a transfer the client was told of survives a power cut. A
 * transaction that is not committed when the process dies never happened:
 * that is what keeps TOTAL right under kill -9. */
#include "ledger.h"

#include <stdlib.h>

#include <sqlite3.h>

enum statement {
  GET_BALANCE,
  SET_BALANCE,
  ADD_JOURNAL,
  GET_TOTAL,
  BEGIN,
  COMMIT,
  ROLLBACK,
  STATEMENTS
};

static const char* const sql[STATEMENTS] = {
    [GET_BALANCE] = "SELECT balance FROM accounts WHERE id = ?1",
    [SET_BALANCE] = "UPDATE accounts SET balance = ?2 WHERE id = ?1",
    [ADD_JOURNAL] = "INSERT INTO journal VALUES(NULL, ?1, ?2, ?3)",
    [GET_TOTAL] = "SELECT sum(balance) FROM accounts",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

/* How long a writer waits for another process that holds the file. */
enum { BUSY_MS = 20000 };

struct ledger {
  sqlite3* db;
  sqlite3_stmt* statements[STATEMENTS];
};

static int create_tables(sqlite3* db, int64_t accounts, int64_t opening);
static int run(struct ledger* ledger, enum statement which, int count,
               const int64_t* values, int64_t* result);

int ledger_open(struct ledger** out, const char* path, int64_t accounts,
                int64_t opening) {
  struct ledger* ledger = calloc(1, sizeof *ledger);
  if (ledger == NULL)
    return SQLITE_NOMEM;
  int rc = sqlite3_open(path, &ledger->db);
  if (rc == SQLITE_OK)
    rc = sqlite3_busy_timeout(ledger->db, BUSY_MS);
  if (rc == SQLITE_OK)
    rc = sqlite3_exec(ledger->db,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
                      NULL, NULL, NULL);
  if (rc == SQLITE_OK)
    rc = create_tables(ledger->db, accounts, opening);
  for (int i = 0; i < STATEMENTS && rc == SQLITE_OK; i++)
    rc = sqlite3_prepare_v3(ledger->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                            &ledger->statements[i], NULL);
  if (rc != SQLITE_OK) {
    ledger_close(ledger);
    ledger = NULL;
  }
  *out = ledger;
  return rc;
}

void ledger_close(struct ledger* ledger) {
  for (int i = 0; i < STATEMENTS; i++)
    sqlite3_finalize(ledger->statements[i]);
  sqlite3_close(ledger->db);
  free(ledger);
}

int ledger_read_payment(struct ledger* ledger, struct payment* payment) {
  int rc = ledger_balance(ledger, payment->from, &payment->from_balance);
  if (rc != SQLITE_OK)
    return rc;
  return ledger_balance(ledger, payment->to, &payment->to_balance);
}

int ledger_begin(struct ledger* ledger) {
  return run(ledger, BEGIN, 0, NULL, NULL);
}

int ledger_write_payment(struct ledger* ledger, const struct payment* payment) {
  const int64_t from[] = {payment->from, payment->from_balance};
  const int64_t to[] = {payment->to, payment->to_balance};
  const int64_t entry[] = {payment->from, payment->to, payment->amount};
  int rc = run(ledger, SET_BALANCE, 2, from, NULL);
  if (rc == SQLITE_OK)
    rc = run(ledger, SET_BALANCE, 2, to, NULL);
  if (rc == SQLITE_OK)
    rc = run(ledger, ADD_JOURNAL, 3, entry, NULL);
  return rc;
}

int ledger_end(struct ledger* ledger, int rc) {
  if (rc == SQLITE_OK)
    rc = run(ledger, COMMIT, 0, NULL, NULL);
  if (rc != SQLITE_OK && !sqlite3_get_autocommit(ledger->db))
    run(ledger, ROLLBACK, 0, NULL, NULL);
  return rc;
}

int ledger_balance(struct ledger* ledger, int64_t account, int64_t* balance) {
  return run(ledger, GET_BALANCE, 1, &account, balance);
}

int ledger_total(struct ledger* ledger, int64_t* total) {
  return run(ledger, GET_TOTAL, 0, NULL, total);
}

const char* ledger_strerror(int rc) {
  return rc == LEDGER_NO_ACCOUNT ? "no such account" : sqlite3_errstr(rc);
}

static int create_tables(sqlite3* db, int64_t accounts, int64_t opening) {
  char* script = sqlite3_mprintf(
      "BEGIN IMMEDIATE;"
      "CREATE TABLE IF NOT EXISTS accounts("
      "  id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS journal("
      "  id INTEGER PRIMARY KEY, source INTEGER NOT NULL,"
      "  target INTEGER NOT NULL, amount INTEGER NOT NULL);"
      "WITH RECURSIVE n(id) AS ("
      "  SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < %lld)"
      "INSERT INTO accounts SELECT id, %lld FROM n"
      "  WHERE NOT EXISTS (SELECT 1 FROM accounts);"
      "COMMIT",
      (long long)accounts, (long long)opening);
  if (script == NULL)
    return SQLITE_NOMEM;
  int rc = sqlite3_exec(db, script, NULL, NULL, NULL);
  sqlite3_free(script);
  return rc;
}

/* Runs one statement to its end. With a `result`, a row is expected. */
static int run(struct ledger* ledger, enum statement which, int count,
               const int64_t* values, int64_t* result) {
  sqlite3_stmt* statement = ledger->statements[which];
  for (int i = 0; i < count; i++)
    sqlite3_bind_int64(statement, i + 1, values[i]);
  int rc = sqlite3_step(statement);
  if (rc == SQLITE_ROW && result != NULL) {
    *result = sqlite3_column_int64(statement, 0);
    rc = SQLITE_OK;
  } else if (rc == SQLITE_DONE) {
    rc = result == NULL ? SQLITE_OK : LEDGER_NO_ACCOUNT;
  }
  sqlite3_reset(statement);
  return rc;
}
