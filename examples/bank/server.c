/* SPDX-License-Identifier: MIT
 *
 * server.c - the bank: options, two tellers, a signal to stop.
 *
 *   bank-server --guard none --database bank.db --port 6400
 *   redis-cli -p 6400 TRANSFER 1 2 500 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bank.h"

static void usage(void);
static void read_options(struct options* options, int argc, char** argv);
static int64_t read_count(const char* text);
static int open_bank(struct bank* bank);
static void close_bank(struct bank* bank);
static int run_bank(struct bank* bank);
static void block_signals(void);
static int complain(const char* what, const char* why);

static struct bank bank;
static sigset_t stop_signals;

int main(int argc, char** argv) {
  bank.options = (struct options){.database = "bank.db",
                                  .notice = "bank-notice.txt",
                                  .guard = "none",
                                  .accounts = 1000,
                                  .opening = 1000000,
                                  .patience_ms = 10000};
  read_options(&bank.options, argc, argv);
  bank.guard = guard_find(bank.options.guard);
  if (bank.guard == NULL)
    return complain("no such guard", bank.options.guard);
  /* Before any thread begins, so that all inherit both. The size is the
   * default; set here it is the same in every place this runs. */
  block_signals();
  uv_os_setenv("UV_THREADPOOL_SIZE", "4");
  if (open_bank(&bank) != 0)
    return 1;
  int rc = run_bank(&bank);
  close_bank(&bank);
  return rc;
}

static void usage(void) {
  fputs("usage: bank-server [--guard NAME] [--database FILE] [--port PORT]\n"
        "                   [--notice FILE] [--accounts N] [--opening N]\n"
        "                   [--patience MS]\n",
        stderr);
  exit(2);
}

static void read_options(struct options* options, int argc, char** argv) {
  static const struct option known[] = {
      {"guard", required_argument, NULL, 'g'},
      {"database", required_argument, NULL, 'd'},
      {"notice", required_argument, NULL, 'n'},
      {"port", required_argument, NULL, 'p'},
      {"accounts", required_argument, NULL, 'a'},
      {"opening", required_argument, NULL, 'o'},
      {"patience", required_argument, NULL, 't'},
      {NULL, 0, NULL, 0},
  };
  int letter;
  while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (letter) {
    case 'g':
      options->guard = optarg;
      break;
    case 'd':
      options->database = optarg;
      break;
    case 'n':
      options->notice = optarg;
      break;
    case 'p':
      options->port = (int)read_count(optarg);
      break;
    case 'a':
      options->accounts = read_count(optarg);
      break;
    case 'o':
      options->opening = read_count(optarg);
      break;
    case 't':
      options->patience_ms = (unsigned)read_count(optarg);
      break;
    default:
      usage();
    }
  }
  if (optind != argc)
    usage();
}

static int64_t read_count(const char* text) {
  char* end = NULL;
  long long count = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || count < 0)
    usage();
  return count;
}

static int open_bank(struct bank* b) {
  const struct options* options = &b->options;
  int rc = database_open(&b->database, options->database, options->accounts,
                         options->opening);
  if (rc == 0 && b->guard->open != NULL)
    rc = b->guard->open(b);
  return rc == 0 ? 0 : complain(options->database, ledger_strerror(rc));
}

static void close_bank(struct bank* b) {
  if (b->guard->close != NULL)
    b->guard->close();
  database_close(&b->database);
}

static int run_bank(struct bank* b) {
  for (int i = 0; i < TELLERS; i++) {
    int rc = teller_open(&b->tellers[i], b, &b->options.port);
    if (rc != 0)
      return complain("cannot listen", uv_strerror(rc));
  }
  for (int i = 0; i < TELLERS; i++) {
    int rc = teller_start(&b->tellers[i]);
    if (rc != 0)
      return complain("cannot start a thread", uv_strerror(rc));
  }
  printf("listening on 127.0.0.1:%d\n", b->options.port);
  fflush(stdout);
  int number;
  sigwait(&stop_signals, &number);
  for (int i = 0; i < TELLERS; i++)
    teller_stop(&b->tellers[i]);
  for (int i = 0; i < TELLERS; i++)
    teller_join(&b->tellers[i]);
  return 0;
}

static void block_signals(void) {
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop_signals, NULL);
  signal(SIGPIPE, SIG_IGN); /* a client that hangs up is no reason to die */
}

static int complain(const char* what, const char* why) {
  fprintf(stderr, "bank-server: %s: %s\n", what, why);
  return 1;
}
