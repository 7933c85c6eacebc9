/* SPDX-License-Identifier: MIT
 *
 * test_commands.c - what a client may say, and what it must not. */
#include "harness.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct server server;

static int start(void** state) {
  (void)state;
  server_create(&server, "pool");
  return 0;
}

static int stop(void** state) {
  (void)state;
  server_remove(&server);
  return 0;
}

static void commands_do_what_they_say(void** state) {
  redisContext* client = client_open(&server);
  (void)state;
  expect_status(client, "PING", "PONG");
  expect_status(client, "transfer 1 2 500", "OK");
  assert_int_equal(ask_integer(client, "BALANCE 1"), OPENING - 500);
  assert_int_equal(ask_integer(client, "BALANCE 2"), OPENING + 500);
  assert_int_equal(ask_integer(client, "TOTAL"), TOTAL);
  redisReply* reply = redisCommand(client, "NOTICE");
  assert_non_null(reply);
  assert_string_equal(reply->str, "open from nine to five");
  freeReplyObject(reply);
  assert_int_equal(figure(client, "transfers_done"), 1);
  assert_int_equal(figure(client, "amount_moved"), 500);
  redisFree(client);
}

static void all_money_can_move_and_not_a_cent_more(void** state) {
  redisContext* client = client_open(&server);
  (void)state;
  expect_error(client, "TRANSFER 3 4 10001", "insufficient funds");
  expect_status(client, "TRANSFER 3 4 10000", "OK");
  expect_error(client, "TRANSFER 3 4 1", "insufficient funds");
  assert_int_equal(ask_integer(client, "BALANCE 3"), 0);
  redisFree(client);
}

static void bad_commands_get_a_clear_error_and_move_nothing(void** state) {
  static const struct {
    const char* words;
    const char* part;
  } cases[] = {
      {"TRANSFER 5 999 1", "no such account"},
      {"TRANSFER 999 5 1", "no such account"},
      {"TRANSFER 5 tom 1", "no such account 'tom'"},
      {"TRANSFER 0 5 1", "no such account"},
      {"TRANSFER -5 6 1", "no such account"},
      {"TRANSFER 99999999999999999999 6 1", "no such account"},
      {"TRANSFER 5 6 much", "not a number"},
      {"TRANSFER 5 6 1.5", "not a number"},
      {"TRANSFER 5 6 1e3", "not a number"},
      {"TRANSFER 5 6 0x10", "not a number"},
      {"TRANSFER 5 6 -", "not a number"},
      {"TRANSFER 5 6 -1", "must be positive"},
      {"TRANSFER 5 6 0", "must be positive"},
      {"TRANSFER 5 6 9223372036854775808", "out of range"},
      {"TRANSFER 5 6 -9223372036854775809", "out of range"},
      {"TRANSFER 5 6 9223372036854775807", "insufficient funds"},
      {"TRANSFER 5 5 1", "the same"},
      {"TRANSFER 5 6", "wrong number of arguments for 'transfer'"},
      {"TRANSFER 5 6 1 1", "wrong number of arguments for 'transfer'"},
      {"BALANCE", "wrong number of arguments for 'balance'"},
      {"BALANCE 999", "no such account"},
      {"TOTAL 1", "wrong number of arguments for 'total'"},
      {"CONFIG SET save x", "only CONFIG GET"},
      {"STEAL 5 6 1", "unknown command 'STEAL'"},
  };
  redisContext* client = client_open(&server);
  (void)state;
  long long before = figure(client, "transfers_done");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_error(client, cases[i].words, cases[i].part);
  assert_int_equal(figure(client, "transfers_done"), before);
  assert_int_equal(ask_integer(client, "BALANCE 5"), OPENING);
  assert_int_equal(ask_integer(client, "BALANCE 6"), OPENING);
  redisFree(client);
}

static void an_account_that_would_overflow_is_refused(void** state) {
  redisContext* client = client_open(&server);
  sqlite3* other = NULL;
  (void)state;
  assert_int_equal(sqlite3_open(server.database, &other), SQLITE_OK);
  sqlite3_busy_timeout(other, 20000);
  assert_int_equal(
      sqlite3_exec(other,
                   "UPDATE accounts SET balance = 9223372036854775807"
                   " WHERE id = 7",
                   NULL, NULL, NULL),
      SQLITE_OK);
  expect_error(client, "TRANSFER 8 7 1", "cannot hold that much");
  assert_int_equal(ask_integer(client, "BALANCE 8"), OPENING);
  sqlite3_exec(other, "UPDATE accounts SET balance = 10000 WHERE id = 7", NULL,
               NULL, NULL);
  sqlite3_close(other);
  redisFree(client);
}

static void garbage_is_answered_or_cut_off_and_others_go_on(void** state) {
  static const struct {
    const char* bytes;
    size_t length;
  } cases[] = {
#define BYTES(s) s, sizeof s - 1
      {BYTES("*1000000000\r\n")},
      {BYTES("*-1\r\n")},
      {BYTES("*x\r\n")},
      {BYTES("*1\r\n$x\r\n")},
      {BYTES("*1\r\n$-1\r\n")},
      {BYTES("*1\r\n$99999999999999999999\r\n")},
      {BYTES("*1\r\n@oops\r\n")},
      {BYTES("*1\r\n+PING\r\n")},
      {BYTES("*2\r\n:5\r\n:6\r\n")},
      {BYTES("*1\r\n*1\r\n$4\r\nPING\r\n")},
      {BYTES("\0\1\2\377\376\n")},
#undef BYTES
  };
  redisContext* other = client_open(&server);
  char answer[512];
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int fd = raw_open(&server);
    raw_send(fd, cases[i].bytes, cases[i].length);
    raw_send(fd, "QUIT\r\n", 6);
    raw_read_to_end(fd, answer, sizeof answer);
    assert_true(answer[0] == '-');
    close(fd);
    expect_status(other, "PING", "PONG");
  }
  redisFree(other);
}

static void a_command_that_is_too_long_is_refused(void** state) {
  static const char* const heads[] = {"*2\r\n$4\r\nPING\r\n$60000\r\n",
                                      "PING "};
  static char much[60000];
  char answer[512];
  (void)state;
  memset(much, 'x', sizeof much);
  for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
    int fd = raw_open(&server);
    raw_send(fd, heads[i], strlen(heads[i]));
    raw_send(fd, much, sizeof much);
    raw_read_to_end(fd, answer, sizeof answer);
    assert_non_null(strstr(answer, "-ERR"));
    assert_non_null(strstr(answer, "too long"));
    close(fd);
  }
}

static void half_a_command_holds_up_nobody_and_ends(void** state) {
  static const char* const halves[] = {"*4\r\n$8\r\nTRANSFER\r\n$1\r\n9\r\n$2",
                                       "*", "*1\r\n$9999\r\nPING", "PING"};
  struct server impatient = {.patience_ms = IMPATIENT_MS};
  enum { HALVES = sizeof halves / sizeof halves[0] };
  int fds[HALVES];
  char answer[512];
  (void)state;
  server_create(&impatient, "pool");
  redisContext* other = client_open(&impatient);
  for (int i = 0; i < HALVES; i++) {
    fds[i] = raw_open(&impatient);
    raw_send(fds[i], halves[i], strlen(halves[i]));
  }
  expect_status(other, "TRANSFER 9 10 1", "OK");
  for (int i = 0; i < HALVES; i++) {
    raw_read_to_end(fds[i], answer, sizeof answer);
    assert_string_equal(answer,
                        "-ERR a command was begun and not finished\r\n");
    close(fds[i]);
  }
  expect_status(other, "TRANSFER 9 10 1", "OK");
  redisFree(other);
  server_remove(&impatient);
}

static void a_command_in_many_pieces_is_one_command(void** state) {
  static const char whole[] =
      "*2\r\n$4\r\nPING\r\n$5\r\nhello\r\nPING\r\nQUIT\r\n";
  char answer[512];
  (void)state;
  int fd = raw_open(&server);
  for (size_t i = 0; i < sizeof whole - 1; i++)
    raw_send(fd, whole + i, 1);
  raw_read_to_end(fd, answer, sizeof answer);
  assert_string_equal(answer, "$5\r\nhello\r\n+PONG\r\n+OK\r\n");
  close(fd);
}

/* Sends until the sockets are full and nothing moves any more: the server has
 * stopped to read. Returns how many bytes went out. */
static size_t flood(int fd, const char* line, size_t limit) {
  size_t length = strlen(line), sent = 0;
  while (sent < limit) {
    ssize_t got =
        send(fd, line + sent % length, length - sent % length, MSG_DONTWAIT);
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (got > 0)
      sent += (size_t)got;
    else if (errno != EAGAIN)
      fail_msg("the server hung up after %zu bytes", sent);
    else if (poll(&room, 1, 500) == 0)
      break;
  }
  return sent;
}

static void a_flood_of_commands_is_held_back_then_answered(void** state) {
  static const char line[] = "PING 0123456789012345678901234567890123456789\n";
  static const char reply[] =
      "$40\r\n0123456789012345678901234567890123456789\r\n";
  const size_t limit = 256u << 20;
  static char buffer[65536];
  redisContext* other = client_open(&server);
  size_t received = 0, due = 0;
  (void)state;
  int fd = raw_open(&server);
  size_t sent = flood(fd, line, limit);
  assert_true(sent < limit); /* or the server keeps it all in memory */
  expect_status(other, "PING", "PONG");
  due = sent / (sizeof line - 1) * (sizeof reply - 1);
  while (received < due) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    assert_true(got > 0);
    for (ssize_t i = 0; i < got && received + (size_t)i < due; i++)
      if (buffer[i] != reply[(received + (size_t)i) % (sizeof reply - 1)])
        fail_msg("byte %zu of the replies is wrong", received + (size_t)i);
    received += (size_t)got;
  }
  close(fd);
  redisFree(other);
}

static void pipelined_transfers_run_in_order_and_all(void** state) {
  enum { COUNT = 500 };
  redisContext* client = client_open(&server);
  (void)state;
  long long before = ask_integer(client, "BALANCE 20");
  for (int i = 0; i < COUNT; i++)
    redisAppendCommand(client, i % 2 == 0 ? "TRANSFER 20 21 3" : "BALANCE 20");
  for (int i = 0; i < COUNT; i++) {
    redisReply* reply = NULL;
    assert_int_equal(redisGetReply(client, (void**)&reply), REDIS_OK);
    if (i % 2 == 1)
      assert_int_equal(reply->integer, before - 3 * (i + 1) / 2);
    freeReplyObject(reply);
  }
  redisFree(client);
}

static void no_money_was_lost_by_all_this(void** state) {
  redisContext* client = client_open(&server);
  (void)state;
  assert_int_equal(ask_integer(client, "TOTAL"), TOTAL);
  redisFree(client);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(commands_do_what_they_say),
      cmocka_unit_test(all_money_can_move_and_not_a_cent_more),
      cmocka_unit_test(bad_commands_get_a_clear_error_and_move_nothing),
      cmocka_unit_test(an_account_that_would_overflow_is_refused),
      cmocka_unit_test(garbage_is_answered_or_cut_off_and_others_go_on),
      cmocka_unit_test(a_command_that_is_too_long_is_refused),
      cmocka_unit_test(half_a_command_holds_up_nobody_and_ends),
      cmocka_unit_test(a_command_in_many_pieces_is_one_command),
      cmocka_unit_test(a_flood_of_commands_is_held_back_then_answered),
      cmocka_unit_test(pipelined_transfers_run_in_order_and_all),
      cmocka_unit_test(no_money_was_lost_by_all_this),
  };
  set_deadline(60);
  build_directory = argc > 1 ? argv[1] : ".";
  return cmocka_run_group_tests(tests, start, stop);
}
