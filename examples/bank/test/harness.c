/* SPDX-License-Identifier: MIT
 *
 * harness.c - processes, sockets and a held database, all with an end. */
#include "harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

const char* build_directory;

static void on_deadline(int number);
static void stop_all(void);
static void write_notice(const struct server* server);
static int read_port(int output);

void set_deadline(unsigned seconds) {
  struct sigaction action = {.sa_handler = on_deadline};
  sigaction(SIGALRM, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  /* A group of our own, so that no server outlives a test that failed. (A
   * session's leader has one, and is refused another.) */
  setpgid(0, 0);
  atexit(stop_all);
  alarm(seconds);
}

static void stop_all(void) {
  signal(SIGTERM, SIG_IGN);
  kill(0, SIGTERM);
}

static void on_deadline(int number) {
  static const char text[] = "the test did not end in time\n";
  (void)number;
  if (write(STDERR_FILENO, text, sizeof text - 1) > 0)
    kill(0, SIGKILL); /* the servers too */
  _exit(1);
}

void server_create(struct server* server, const char* guard) {
  strcpy(server->directory, "/tmp/bank-test-XXXXXX");
  assert_non_null(mkdtemp(server->directory));
  snprintf(server->database, sizeof server->database, "%s/bank.db",
           server->directory);
  write_notice(server);
  server_start(server, guard);
}

void server_start(struct server* server, const char* guard) {
  char notice[96], accounts[16], opening[16], patience[16];
  int output = -1;
  snprintf(notice, sizeof notice, "%s/notice", server->directory);
  snprintf(accounts, sizeof accounts, "%d", ACCOUNTS);
  snprintf(opening, sizeof opening, "%d", OPENING);
  snprintf(patience, sizeof patience, "%d",
           server->patience_ms ? server->patience_ms : PATIENT_MS);
  const char* const arguments[] = {
      "--guard",    guard,        "--database", server->database, "--notice",
      notice,       "--accounts", accounts,     "--opening",      opening,
      "--patience", patience,     NULL};
  server->pid = spawn("bank-server", arguments, &output);
  server->port = read_port(output);
  close(output);
}

void server_stop(struct server* server) {
  int status = -1;
  kill(server->pid, SIGTERM);
  assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
  server->pid = 0;
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

void server_kill(struct server* server) {
  kill(server->pid, SIGKILL);
  assert_int_equal(waitpid(server->pid, NULL, 0), server->pid);
  server->pid = 0;
}

void server_remove(struct server* server) {
  static const char* const files[] = {"bank.db", "bank.db-wal", "bank.db-shm",
                                      "notice"};
  if (server->pid != 0)
    server_stop(server);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", server->directory, files[i]);
    unlink(path);
  }
  rmdir(server->directory);
}

static void write_notice(const struct server* server) {
  char path[96];
  snprintf(path, sizeof path, "%s/notice", server->directory);
  FILE* file = fopen(path, "w");
  assert_non_null(file);
  fputs("open from nine to five", file);
  fclose(file);
}

/* "listening on 127.0.0.1:PORT\n" is all a server says. */
static int read_port(int output) {
  char line[128] = "";
  size_t length = 0;
  while (length < sizeof line - 1 && strchr(line, '\n') == NULL) {
    ssize_t got = read(output, line + length, sizeof line - 1 - length);
    assert_true(got > 0); /* 0: the server ended instead */
    length += (size_t)got;
    line[length] = '\0';
  }
  const char* colon = strrchr(line, ':');
  assert_non_null(colon);
  return atoi(colon + 1);
}

pid_t spawn(const char* program, const char* const* arguments, int* output) {
  char path[512];
  char* argv[32] = {path};
  int ends[2];
  pid_t pid = 0;
  posix_spawn_file_actions_t actions;
  snprintf(path, sizeof path, "%s/%s", build_directory, program);
  for (int i = 0; arguments[i] != NULL; i++)
    argv[i + 1] = strdup(arguments[i]);
  assert_int_equal(pipe(ends), 0);
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  assert_int_equal(posix_spawn(&pid, path, &actions, NULL, argv, environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  *output = ends[0];
  for (int i = 1; argv[i] != NULL; i++)
    free(argv[i]);
  return pid;
}

redisContext* client_open(const struct server* server) {
  redisContext* client = redisConnect("127.0.0.1", server->port);
  assert_non_null(client);
  assert_int_equal(client->err, 0);
  return client;
}

long long ask_integer(redisContext* client, const char* words) {
  redisReply* reply = redisCommand(client, words);
  assert_non_null(reply);
  assert_int_equal(reply->type, REDIS_REPLY_INTEGER);
  long long number = reply->integer;
  freeReplyObject(reply);
  return number;
}

void expect_status(redisContext* client, const char* words,
                   const char* expected) {
  redisReply* reply = redisCommand(client, words);
  assert_non_null(reply);
  assert_int_equal(reply->type, REDIS_REPLY_STATUS);
  assert_string_equal(reply->str, expected);
  freeReplyObject(reply);
}

void expect_error(redisContext* client, const char* words, const char* part) {
  redisReply* reply = redisCommand(client, words);
  assert_non_null(reply);
  if (reply->type != REDIS_REPLY_ERROR || strstr(reply->str, part) == NULL)
    fail_msg("'%s': expected an error with '%s', got '%s'", words, part,
             reply->str ? reply->str : "(no text)");
  freeReplyObject(reply);
}

long long figure(redisContext* client, const char* name) {
  redisReply* reply = redisCommand(client, "STATS");
  assert_non_null(reply);
  assert_int_equal(reply->type, REDIS_REPLY_STRING);
  const char* found = strstr(reply->str, name);
  assert_non_null(found);
  long long number = atoll(found + strlen(name) + 1);
  freeReplyObject(reply);
  return number;
}

void wait_for_figure(redisContext* client, const char* name, long long least) {
  while (figure(client, name) < least)
    poll(NULL, 0, 1); /* the deadline ends a wait in vain */
}

int raw_open(const struct server* server) {
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)server->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0);
  assert_int_equal(
      connect(fd, (const struct sockaddr*)&address, sizeof address), 0);
  return fd;
}

void raw_send(int fd, const char* bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, bytes, length, 0);
    if (sent < 0)
      return; /* the server hung up: what the test reads tells the rest */
    bytes += sent;
    length -= (size_t)sent;
  }
}

size_t raw_read_to_end(int fd, char* buffer, size_t size) {
  size_t length = 0;
  ssize_t got = 0;
  while (length < size - 1 &&
         (got = recv(fd, buffer + length, size - 1 - length, 0)) > 0)
    length += (size_t)got;
  buffer[length] = '\0';
  return length;
}

sqlite3* database_hold(const struct server* server) {
  sqlite3* hold = NULL;
  assert_int_equal(sqlite3_open(server->database, &hold), SQLITE_OK);
  sqlite3_busy_timeout(hold, 20000);
  assert_int_equal(sqlite3_exec(hold, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                   SQLITE_OK);
  return hold;
}

void database_let_go(sqlite3* hold) {
  assert_int_equal(sqlite3_exec(hold, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(hold);
}
