/* SPDX-License-Identifier: MIT
 *
 * connection.h - one client: its bytes, its command in work, its replies.
 *
 * Commands run one at a time, in order; what comes meanwhile is kept, up to a
 * limit, then the socket is not read any more and TCP slows the client down.
 * A client that does not read its replies gets no new ones either. */
#ifndef BANK_CONNECTION_H
#define BANK_CONNECTION_H

#include <stdbool.h>
#include <stdio.h>
#include <uv.h>

#include "resp.h"

struct teller;

struct connection {
  struct teller* teller;
  struct connection* next; /* in the teller's list */
  struct connection* previous;
  uv_tcp_t tcp;
  uv_shutdown_t shutdown;
  uv_timer_t patience; /* runs while a command is half sent, or we hang up */
  struct resp_stream in;
  FILE* out; /* replies not yet given to libuv, or NULL */
  char* out_text;
  size_t out_length;
  void (*gone)(void* arg); /* tells the command in work that we hang up */
  void* gone_arg;
  unsigned open_handles;
  bool busy;       /* a command is in work elsewhere */
  bool processing; /* the loop over commands is on the stack */
  bool paused;     /* not reading: too much is buffered */
  bool ending;     /* last reply written; waiting for the client to close */
  bool closing;
};

/* Takes the next client of the teller's listener. */
void connection_accept(struct teller* teller);

/* Hangs up. What a command in work writes after this is dropped. */
void connection_close(struct connection* connection);

/* For commands: where to write the reply. */
FILE* connection_out(struct connection* connection);

/* For commands: the reply comes later, followed by connection_resume(). If
 * the client leaves first, `gone` is called; resume is still due. */
void connection_wait(struct connection* connection, void (*gone)(void*),
                     void* arg);
void connection_resume(struct connection* connection);

/* For commands: no more of this client once the reply is out. */
void connection_end(struct connection* connection);

#endif
