/* SPDX-License-Identifier: MIT
 *
 * test_lives.c - clients that vanish, servers that die, money that stays. */
#include "harness.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The guards under which no money may be lost. */
static const char* const keepers[] = {"pool", "async", "account"};
enum { KEEPERS = sizeof keepers / sizeof keepers[0], WAITERS = 6 };

static void one_waits_one_owns_both_vanish(const char* guard);
static void poison(const struct server* server, int account);
static redisContext* ask_to_move(const struct server* server, int from, int to);
static bool was_told_ok(redisContext* client);
static int send_transfer(const struct server* server);
static int send_words(const struct server* server, const char* words);
static void vanish_at_once(int fd);
static pid_t start_load(const struct server* server);
static void load_it(struct server* server, const char* guard,
                    void (*end)(struct server*));

static void a_vanished_waiter_is_cancelled_and_an_owner_finishes(void** state) {
  (void)state;
  for (int i = 0; i < KEEPERS; i++)
    one_waits_one_owns_both_vanish(keepers[i]);
}

/* The owner has 2 and 3. The waiter has 1 and waits for 2; the third waits for
 * 1, and gets it when the waiter is gone. */
static void a_vanished_waiter_gives_back_what_it_has(void** state) {
  struct server server = {0};
  (void)state;
  server_create(&server, "account");
  redisContext* watcher = client_open(&server);
  sqlite3* hold = database_hold(&server);
  int owner = send_words(&server, "TRANSFER 2 3 1\r\n");
  wait_for_figure(watcher, "transfers_inside", 1);
  int waiter = send_words(&server, "TRANSFER 2 1 10\r\n");
  wait_for_figure(watcher, "transfers_waiting", 1);
  int third = send_words(&server, "TRANSFER 1 4 100\r\n");
  wait_for_figure(watcher, "transfers_begun", 3);
  close(waiter);
  wait_for_figure(watcher, "transfers_inside", 2);
  assert_int_equal(figure(watcher, "transfers_cancelled"), 1);
  database_let_go(hold);
  wait_for_figure(watcher, "transfers_done", 2);
  assert_int_equal(ask_integer(watcher, "BALANCE 1"), OPENING - 100);
  assert_int_equal(ask_integer(watcher, "BALANCE 2"), OPENING - 1);
  assert_int_equal(ask_integer(watcher, "TOTAL"), TOTAL);
  close(owner);
  close(third);
  redisFree(watcher);
  server_remove(&server);
}

/* One write at a time, and those who wait meanwhile are written together: with the
 * one that the database refuses fail all of its transaction, and no others. */
static void who_is_told_ok_has_paid_and_nobody_else(void** state) {
  enum { MOVES = 8, BAD = 5 };
  struct server server = {0};
  redisContext* movers[MOVES];
  (void)state;
  server_create(&server, "account");
  redisContext* watcher = client_open(&server);
  poison(&server, 10 + 2 * BAD);
  sqlite3* hold = database_hold(&server);
  for (int i = 0; i < MOVES; i++)
    movers[i] = ask_to_move(&server, 10 + 2 * i, 11 + 2 * i);
  wait_for_figure(watcher, "transfers_inside", MOVES);
  database_let_go(hold);
  for (int i = 0; i < MOVES; i++) {
    char balance[32];
    int moved = was_told_ok(movers[i]) ? 100 : 0;
    snprintf(balance, sizeof balance, "BALANCE %d", 10 + 2 * i);
    assert_int_equal(ask_integer(watcher, balance), OPENING - moved);
    snprintf(balance, sizeof balance, "BALANCE %d", 11 + 2 * i);
    assert_int_equal(ask_integer(watcher, balance), OPENING + moved);
    if (i == BAD)
      assert_int_equal(moved, 0);
  }
  expect_status(watcher, "TRANSFER 10 11 1", "OK");
  redisFree(watcher);
  server_remove(&server);
}

static void a_killed_server_comes_back_with_all_money(void** state) {
  (void)state;
  for (int i = 0; i < KEEPERS; i++) {
    struct server server = {0};
    server_create(&server, keepers[i]);
    load_it(&server, keepers[i], server_kill);
    load_it(&server, keepers[i], server_kill);
    server_remove(&server);
  }
}

static void a_stopped_server_ends_in_order_under_load(void** state) {
  (void)state;
  for (int i = 0; i < KEEPERS; i++) {
    struct server server = {0};
    server_create(&server, keepers[i]);
    load_it(&server, keepers[i], server_stop);
    server_remove(&server);
  }
}

/* The owner is held in its section by the database. More wait than the pool
 * has threads, so the last is in a queue under every guard. */
static void one_waits_one_owns_both_vanish(const char* guard) {
  struct server server = {0};
  int waiters[WAITERS];
  server_create(&server, guard);
  redisContext* watcher = client_open(&server);
  sqlite3* hold = database_hold(&server);
  int owner = send_transfer(&server);
  wait_for_figure(watcher, "transfers_inside", 1);
  for (int i = 0; i < WAITERS; i++) {
    waiters[i] = send_transfer(&server);
    wait_for_figure(watcher, "transfers_waiting", i + 1);
  }
  close(waiters[WAITERS - 1]);
  wait_for_figure(watcher, "transfers_cancelled", 1);
  assert_int_equal(figure(watcher, "transfers_waiting"), WAITERS - 1);
  vanish_at_once(owner);
  wait_for_figure(watcher, "hangups", 2);
  assert_int_equal(figure(watcher, "transfers_inside"), 1);
  database_let_go(hold);
  wait_for_figure(watcher, "transfers_done", WAITERS);
  assert_int_equal(ask_integer(watcher, "BALANCE 1"), OPENING - WAITERS * 100);
  assert_int_equal(ask_integer(watcher, "BALANCE 2"), OPENING + WAITERS * 100);
  assert_int_equal(figure(watcher, "transfers_cancelled"), 1);
  for (int i = 0; i < WAITERS - 1; i++)
    close(waiters[i]);
  redisFree(watcher);
  server_remove(&server);
}

/* The database refuses to change its balance from now on. */
static void poison(const struct server* server, int account) {
  sqlite3* db = NULL;
  char script[160];
  snprintf(script, sizeof script,
           "CREATE TRIGGER refuse BEFORE UPDATE ON accounts WHEN new.id = %d "
           "BEGIN SELECT RAISE(ABORT, 'refused'); END",
           account);
  assert_int_equal(sqlite3_open(server->database, &db), SQLITE_OK);
  assert_int_equal(sqlite3_exec(db, script, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
}

static redisContext* ask_to_move(const struct server* server, int from,
                                 int to) {
  redisContext* client = client_open(server);
  int sent = 0;
  redisAppendCommand(client, "TRANSFER %d %d 100", from, to);
  while (!sent)
    assert_int_equal(redisBufferWrite(client, &sent), REDIS_OK);
  return client;
}

/* @return whether the answer is OK and not an error; it comes, if need be */
static bool was_told_ok(redisContext* client) {
  redisReply* reply = NULL;
  assert_int_equal(redisGetReply(client, (void**)&reply), REDIS_OK);
  bool ok = reply->type == REDIS_REPLY_STATUS;
  assert_true(ok || reply->type == REDIS_REPLY_ERROR);
  freeReplyObject(reply);
  redisFree(client);
  return ok;
}

static int send_transfer(const struct server* server) {
  return send_words(server, "TRANSFER 1 2 100\r\n");
}

static int send_words(const struct server* server, const char* words) {
  int fd = raw_open(server);
  raw_send(fd, words, strlen(words));
  return fd;
}

/* A reset instead of a polite end. */
static void vanish_at_once(int fd) {
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

/* Ends a server in mid-load, starts it again, and counts. */
static void load_it(struct server* server, const char* guard,
                    void (*end)(struct server*)) {
  redisContext* watcher = client_open(server);
  pid_t load = start_load(server);
  wait_for_figure(watcher, "transfers_done", 100);
  end(server);
  assert_int_equal(waitpid(load, NULL, 0), load);
  redisFree(watcher);
  server_start(server, guard);
  watcher = client_open(server);
  assert_int_equal(ask_integer(watcher, "TOTAL"), TOTAL);
  expect_status(watcher, "TRANSFER 50 51 1", "OK");
  redisFree(watcher);
}

/* It ends with its server, and complains; nobody listens. */
static pid_t start_load(const struct server* server) {
  char port[16], accounts[16];
  int output = -1;
  snprintf(port, sizeof port, "%d", server->port);
  snprintf(accounts, sizeof accounts, "%d", ACCOUNTS);
  const char* const arguments[] = {"--port",     port,     "--seconds", "50",
                                   "--accounts", accounts, NULL};
  pid_t pid = spawn("bank-load", arguments, &output);
  close(output);
  return pid;
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_vanished_waiter_is_cancelled_and_an_owner_finishes),
      cmocka_unit_test(a_vanished_waiter_gives_back_what_it_has),
      cmocka_unit_test(who_is_told_ok_has_paid_and_nobody_else),
      cmocka_unit_test(a_killed_server_comes_back_with_all_money),
      cmocka_unit_test(a_stopped_server_ends_in_order_under_load),
  };
  set_deadline(60);
  build_directory = argc > 1 ? argv[1] : ".";
  return cmocka_run_group_tests(tests, NULL, NULL);
}
