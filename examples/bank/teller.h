/* SPDX-License-Identifier: MIT
 *
 * teller.h - one loop on one thread, with its listener and its clients. */
#ifndef BANK_TELLER_H
#define BANK_TELLER_H

#include <stdbool.h>
#include <uv.h>

#include <parkade/async/loop.h>

#include "stall.h"

struct bank;
struct connection;

struct teller {
  struct bank* bank;
  uv_loop_t loop;
  uv_thread_t thread;
  uv_tcp_t listener;
  uv_async_t stop;
  pkd_loop_t locks; /* this loop's place at the async locks */
  struct stall_watch stall;
  struct connection* connections;
  bool stopping;
  char buffer[64 * 1024]; /* what was just read, until it is parsed */
};

/* Listens on the loopback port `*port`; 0 chooses one and says which. All
 * tellers listen on the same port and the kernel deals out the clients. */
int teller_open(struct teller* teller, struct bank* bank, int* port);

/* Runs the loop on a thread of its own. */
int teller_start(struct teller* teller);

/* From any thread: hang up on everybody, finish what is owned, end. */
void teller_stop(struct teller* teller);
void teller_join(struct teller* teller);

/* For connections: one is gone. */
void teller_connection_freed(struct teller* teller);

#endif
