/* SPDX-License-Identifier: MIT
 *
 * 05_cancel_on_disconnect.c - a client that leaves gives up its place.
 *
 * Three clients of a server want the same lock. The first has it; the second
 * waits and hangs up; so its wait is cancelled and the third comes next. The
 * rule for a connection's end: cancel the request. 0 means that its callback
 * will say UV_ECANCELED and that it owns nothing; UV_EBUSY means that it owns
 * the lock, and then the work goes on to its end as if nothing had happened. */
#include <parkade/async/mutex.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct client {
  int number;
  pkd_req_t ticket;
  uv_pipe_t pipe;
  uv_file far_end; /* the client itself, played by this program */
};

static struct client clients[3];
static pkd_async_mutex_t lock;
static pkd_loop_t locks;
static char order[128]; /* what happened, in one line */
static size_t length;

static void on_mine(pkd_req_t* ticket, int status);
static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);

static void note(int number, const char* what) {
  length += (size_t)snprintf(order + length, sizeof order - length, "%d %s. ",
                             number, what);
}

static void on_alloc(uv_handle_t* handle, size_t hint, uv_buf_t* buffer) {
  static char bytes[64];
  (void)handle;
  (void)hint;
  *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void client_open(struct client* client, int number) {
  uv_file ends[2];
  if (uv_pipe(ends, UV_NONBLOCK_PIPE, 0) != 0)
    abort();
  client->number = number;
  client->far_end = ends[1];
  uv_pipe_init(uv_default_loop(), &client->pipe, 0);
  uv_pipe_open(&client->pipe, ends[0]);
  client->pipe.data = client;
  client->ticket.data = client;
  uv_read_start((uv_stream_t*)&client->pipe, on_alloc, on_read);
  if (pkd_async_mutex_lock(&locks, &client->ticket, &lock, on_mine) != 0)
    abort();
}

/* Nothing is ever sent here, so this is the end of a connection. */
static void on_read(uv_stream_t* stream, ssize_t count,
                    const uv_buf_t* buffer) {
  struct client* client = stream->data;
  (void)buffer;
  if (count >= 0)
    return;
  note(client->number, "hung up");
  pkd_req_cancel(&client->ticket);
  uv_close((uv_handle_t*)stream, NULL);
}

static void on_mine(pkd_req_t* ticket, int status) {
  struct client* client = ticket->data;
  if (status == UV_ECANCELED) {
    note(client->number, "cancelled");
    pkd_async_mutex_unlock(&clients[0].ticket, &lock);
    close(clients[0].far_end);
    return;
  }
  note(client->number, "has it");
  if (client == &clients[0]) {
    close(clients[1].far_end); /* the second loses patience */
    return;
  }
  pkd_async_mutex_unlock(ticket, &lock);
  close(client->far_end);
  pkd_loop_detach(&locks, NULL);
}

int main(void) {
  if (pkd_loop_attach(&locks, uv_default_loop()) != 0)
    return 1;
  for (int i = 0; i < 3; i++)
    client_open(&clients[i], i + 1);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  puts(order);
  uv_loop_close(uv_default_loop());
  const char* cancelled = strstr(order, "2 cancelled");
  const char* next = strstr(order, "3 has it");
  return cancelled != NULL && next != NULL && cancelled < next ? 0 : 1;
}
