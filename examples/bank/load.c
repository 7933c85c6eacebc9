/* SPDX-License-Identifier: MIT
 *
 * load.c - clients that keep the bank busy, and what they saw of it.
 *
 *   bank-load --port 6400 --seconds 2
 *
 * Most payments go from one of many cold accounts (customers) to one of a few
 * hot ones (shops). Each client has one transfer under way and sends the next
 * when the reply is in; a few others ask for NOTICE now and then, which has
 * nothing to do with money. When the time is up, the last replies are awaited
 * and the money is counted. Prints one line of tab-separated figures:
 *
 *   change  transfers/s  p50 us  p99 us  notice p99 us  stall us  refused */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <uv.h>

#include "must.h"
#include "samples.h"

/* A server that answers nothing for so long hangs. */
enum { GIVE_UP_MS = 60000, PROGRESS_MS = 200 };

struct options {
  int port;
  double seconds;
  int clients;
  int askers; /* of NOTICE */
  int pause_ms;
  unsigned accounts;
  unsigned hot;
  const char* title;
};

struct client {
  struct load* load;
  redisAsyncContext* redis;
  uv_timer_t pause; /* askers only */
  uint64_t sent;
};

struct load {
  struct options options;
  uv_loop_t loop;
  uv_timer_t clock;
  uint64_t began;
  uint64_t ends;
  uint64_t took; /* with the last replies, which come after `ends` */
  unsigned seed;
  int open; /* clients still connected */
  long refused;
  struct samples transfers;
  struct samples notices;
  struct client* clients;
};

static void read_options(struct options* options, int argc, char** argv);
static void run(struct load* load);
static void connect_client(struct client* client, struct load* load);
static void pay(struct client* client);
static void on_paid(redisAsyncContext* redis, void* reply, void* arg);
static void ask(struct client* client);
static void on_asked(redisAsyncContext* redis, void* reply, void* arg);
static void on_pause_over(uv_timer_t* timer);
static void leave(struct client* client);
static void on_tick(uv_timer_t* timer);
static long long ask_number(int port, const char* question, const char* name);
static void report(struct load* load, long long change, long long stall_us);
static void die(const char* what);

int main(int argc, char** argv) {
  static struct load load;
  load.options = (struct options){.seconds = 2,
                                  .clients = 128,
                                  .askers = 4,
                                  .pause_ms = 5,
                                  .accounts = 1000,
                                  .hot = 4,
                                  .title = "load"};
  read_options(&load.options, argc, argv);
  long long before = ask_number(load.options.port, "TOTAL", NULL);
  run(&load);
  long long after = ask_number(load.options.port, "TOTAL", NULL);
  long long stall = ask_number(load.options.port, "STATS", "longest_stall_us:");
  report(&load, after - before, stall);
  samples_free(&load.transfers);
  samples_free(&load.notices);
  return 0;
}

static void read_options(struct options* options, int argc, char** argv) {
  static const struct option known[] = {
      {"port", required_argument, NULL, 'p'},
      {"seconds", required_argument, NULL, 's'},
      {"clients", required_argument, NULL, 'c'},
      {"askers", required_argument, NULL, 'n'},
      {"accounts", required_argument, NULL, 'a'},
      {"hot", required_argument, NULL, 'h'},
      {"title", required_argument, NULL, 't'},
      {NULL, 0, NULL, 0},
  };
  int letter;
  while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (letter) {
    case 'p':
      options->port = atoi(optarg);
      break;
    case 's':
      options->seconds = atof(optarg);
      break;
    case 'c':
      options->clients = atoi(optarg);
      break;
    case 'n':
      options->askers = atoi(optarg);
      break;
    case 'a':
      options->accounts = (unsigned)atoi(optarg);
      break;
    case 'h':
      options->hot = (unsigned)atoi(optarg);
      break;
    case 't':
      options->title = optarg;
      break;
    default:
      exit(2);
    }
  }
  if (options->port <= 0 || options->seconds <= 0 || options->clients <= 0 ||
      options->askers < 0 || options->hot < 2 ||
      options->accounts < options->hot + 2)
    die("bad options");
}

static void run(struct load* load) {
  int count = load->options.clients + load->options.askers;
  uv_loop_init(&load->loop);
  load->seed = (unsigned)uv_hrtime();
  load->clients = allocate((size_t)count * sizeof *load->clients);
  load->began = uv_hrtime();
  load->ends = load->began + (uint64_t)(load->options.seconds * 1e9);
  uv_timer_init(&load->loop, &load->clock);
  load->clock.data = load;
  uv_timer_start(&load->clock, on_tick, PROGRESS_MS, PROGRESS_MS);
  for (int i = 0; i < count; i++) {
    struct client* client = &load->clients[i];
    connect_client(client, load);
    if (i < load->options.clients)
      pay(client);
    else
      ask(client);
  }
  uv_run(&load->loop, UV_RUN_DEFAULT);
  load->took = uv_hrtime() - load->began;
  if (uv_loop_close(&load->loop) != 0)
    die("a handle was left open");
  free(load->clients);
}

static void connect_client(struct client* client, struct load* load) {
  client->load = load;
  client->redis = redisAsyncConnect("127.0.0.1", load->options.port);
  if (client->redis == NULL || client->redis->err != 0 ||
      redisLibuvAttach(client->redis, &load->loop) != REDIS_OK)
    die("cannot connect");
  uv_timer_init(&load->loop, &client->pause);
  client->pause.data = client;
  load->open++;
}

/* 8 of 10: a customer pays a shop; the others: shop to shop, and customer to
 * customer. Shops are the accounts 1 to `hot`. */
static void pay(struct client* client) {
  struct load* load = client->load;
  unsigned hot = load->options.hot;
  unsigned cold = load->options.accounts - hot;
  int kind = rand_r(&load->seed) % 10;
  unsigned from = (unsigned)rand_r(&load->seed);
  unsigned to = (unsigned)rand_r(&load->seed);
  from = kind == 0 ? 1 + from % hot : 1 + hot + from % cold;
  to = kind == 1 ? 1 + hot + to % cold : 1 + to % hot;
  if (from == to)
    to = from == 1 ? 2 : from - 1;
  client->sent = uv_hrtime();
  redisAsyncCommand(client->redis, on_paid, client, "TRANSFER %u %u %d", from,
                    to, 1 + rand_r(&load->seed) % 100);
}

static void on_paid(redisAsyncContext* redis, void* reply, void* arg) {
  struct client* client = arg;
  const redisReply* answer = reply;
  (void)redis;
  if (answer == NULL)
    die("the server hung up");
  uint64_t now = uv_hrtime();
  samples_add(&client->load->transfers, now - client->sent);
  client->load->refused += answer->type == REDIS_REPLY_ERROR;
  if (now < client->load->ends)
    pay(client);
  else
    leave(client);
}

static void ask(struct client* client) {
  client->sent = uv_hrtime();
  redisAsyncCommand(client->redis, on_asked, client, "NOTICE");
}

static void on_asked(redisAsyncContext* redis, void* reply, void* arg) {
  struct client* client = arg;
  const redisReply* answer = reply;
  (void)redis;
  if (answer == NULL)
    die("the server hung up");
  if (answer->type != REDIS_REPLY_STRING)
    die("NOTICE failed; give the server a --notice file");
  samples_add(&client->load->notices, uv_hrtime() - client->sent);
  uv_timer_start(&client->pause, on_pause_over,
                 (uint64_t)client->load->options.pause_ms, 0);
}

static void on_pause_over(uv_timer_t* timer) {
  struct client* client = timer->data;
  if (uv_hrtime() < client->load->ends)
    ask(client);
  else
    leave(client);
}

static void leave(struct client* client) {
  struct load* load = client->load;
  redisAsyncDisconnect(client->redis);
  uv_close((uv_handle_t*)&client->pause, NULL);
  if (--load->open == 0)
    uv_close((uv_handle_t*)&load->clock, NULL);
}

static void on_tick(uv_timer_t* timer) {
  struct load* load = timer->data;
  uint64_t now = uv_hrtime();
  if (now > load->ends + (uint64_t)GIVE_UP_MS * 1000000)
    die("the server does not answer any more");
  if (isatty(STDERR_FILENO))
    fprintf(stderr, "\r\033[K%s: %.1f s, %zu transfers", load->options.title,
            (double)(now - load->began) / 1e9, load->transfers.count);
}

/* One question on a connection of its own: a number, or one among STATS. */
static long long ask_number(int port, const char* question, const char* name) {
  redisContext* redis = redisConnect("127.0.0.1", port);
  if (redis == NULL || redis->err != 0)
    die("cannot connect");
  redisReply* reply = redisCommand(redis, question);
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    die(question);
  const char* found = name == NULL ? NULL : strstr(reply->str, name);
  long long number = name == NULL    ? reply->integer
                     : found != NULL ? atoll(found + strlen(name))
                                     : -1;
  freeReplyObject(reply);
  redisFree(redis);
  return number;
}

static void report(struct load* load, long long change, long long stall_us) {
  if (isatty(STDERR_FILENO))
    fprintf(stderr, "\r\033[K");
  printf("%lld\t%.0f\t%.0f\t%.0f\t%.0f\t%lld\t%ld\n", change,
         (double)load->transfers.count * 1e9 / (double)load->took,
         (double)samples_percentile(&load->transfers, 50) / 1e3,
         (double)samples_percentile(&load->transfers, 99) / 1e3,
         (double)samples_percentile(&load->notices, 99) / 1e3, stall_us,
         load->refused);
}

static void die(const char* what) {
  fprintf(stderr, "bank-load: %s\n", what);
  exit(1);
}
