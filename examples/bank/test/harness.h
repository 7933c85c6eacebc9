/* SPDX-License-Identifier: MIT
 *
 * harness.h - a bank server for a test: started, asked, stopped or killed. */
#ifndef BANK_TEST_HARNESS_H
#define BANK_TEST_HARNESS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <sys/types.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <sqlite3.h>

enum { ACCOUNTS = 100, OPENING = 10000, TOTAL = ACCOUNTS * OPENING };
/* More than any test takes; and as little as a test of it can bear. */
enum { PATIENT_MS = 100000, IMPATIENT_MS = 300 };

/* The program's first argument: where bank-server and bank-load lie. */
extern const char* build_directory;

struct server {
  pid_t pid;
  int port;
  int patience_ms; /* PATIENT_MS if zero */
  char directory[64];
  char database[96];
};

/* Ends the test program with a message if it has not ended in `seconds`. */
void set_deadline(unsigned seconds);

/* A new database in a directory of its own, and a server on it. */
void server_create(struct server* server, const char* guard);
/* A server on the same database, after server_stop() or server_kill(). */
void server_start(struct server* server, const char* guard);
/* SIGTERM; asserts that it ends well (sanitizers speak by the exit code). */
void server_stop(struct server* server);
void server_kill(struct server* server);
/* Stops it, if it runs, and removes its files. */
void server_remove(struct server* server);

/* Starts another program of build_directory; a NULL ends the arguments. */
pid_t spawn(const char* program, const char* const* arguments, int* output);

redisContext* client_open(const struct server* server);

/* One command as words in one string; asserts the type of the reply. */
long long ask_integer(redisContext* client, const char* words);
void expect_status(redisContext* client, const char* words, const char* reply);
void expect_error(redisContext* client, const char* words, const char* part);

/* A figure of STATS, and to wait until it is at least so much. */
long long figure(redisContext* client, const char* name);
void wait_for_figure(redisContext* client, const char* name, long long least);

/* Bare sockets, for those who do not keep to the protocol. */
int raw_open(const struct server* server);
void raw_send(int fd, const char* bytes, size_t length);
/* Reads until the server closes; returns the bytes, ended by a NUL. */
size_t raw_read_to_end(int fd, char* buffer, size_t size);

/* Holds the file's write lock, so that any transfer stays inside its section
 * until it is let go: this is how tests stop time. */
sqlite3* database_hold(const struct server* server);
void database_let_go(sqlite3* hold);

#endif
