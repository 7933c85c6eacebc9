/* SPDX-License-Identifier: MIT
 *
 * connection.c - from bytes to commands, from replies to bytes.
 *
 *   reading --command--> busy --resume--> reading --error, QUIT--> ending
 *      any of them --client gone, server stops--> closing --> freed
 *
 * Freed when both handles are closed and no command is in work: a command may
 * hold the connection for as long as it likes, and never touches freed memory.
 *
 * Hanging up with unread input makes TCP drop the last reply, so an error is
 * followed by a half-close, and input is read and thrown away for a while. */
#include "connection.h"

#include <stdlib.h>

#include "must.h"
#include "bank.h"
#include "command.h"

/* Beyond this the client is not read any more. One command always fits. */
enum { INPUT_LIMIT = 4 * RESP_MAX_COMMAND };
/* Unsent replies beyond this hold up its next command. */
enum { OUTPUT_LIMIT = 256 * 1024 };

struct output {
  uv_write_t write;
  struct connection* connection;
  char* text;
};

static void open_timer(struct connection* connection);
static void link_to_teller(struct connection* connection);
static void on_alloc(uv_handle_t* handle, size_t hint, uv_buf_t* buffer);
static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);
static void process(struct connection* connection);
static bool may_run(const struct connection* connection);
static void watch_input(struct connection* connection);
static void fail(struct connection* connection, const char* why);
static void on_impatient(uv_timer_t* timer);
static void flush(struct connection* connection);
static void half_close(struct connection* connection);
static void on_half_closed(uv_shutdown_t* shutdown, int status);
static void on_written(uv_write_t* write, int status);
static void on_closed(uv_handle_t* handle);
static void free_if_over(struct connection* connection);

void connection_accept(struct teller* teller) {
  struct connection* connection = allocate(sizeof *connection);
  connection->teller = teller;
  if (!resp_open(&connection->in))
    abort();
  link_to_teller(connection);
  uv_tcp_init(&teller->loop, &connection->tcp);
  connection->tcp.data = connection;
  open_timer(connection);
  connection->open_handles = 2;
  if (uv_accept((uv_stream_t*)&teller->listener,
                (uv_stream_t*)&connection->tcp) != 0 ||
      uv_tcp_nodelay(&connection->tcp, 1) != 0 ||
      uv_read_start((uv_stream_t*)&connection->tcp, on_alloc, on_read) != 0)
    connection_close(connection);
}

void connection_close(struct connection* connection) {
  if (connection->closing)
    return;
  connection->closing = true;
  stats_add(&connection->teller->bank->stats, FIGURE_HANGUPS, 1);
  uv_close((uv_handle_t*)&connection->tcp, on_closed);
  uv_close((uv_handle_t*)&connection->patience, on_closed);
  if (connection->busy && connection->gone != NULL)
    connection->gone(connection->gone_arg);
}

FILE* connection_out(struct connection* connection) {
  if (connection->out == NULL)
    connection->out =
        open_memstream(&connection->out_text, &connection->out_length);
  if (connection->out == NULL)
    abort(); /* as in must.h */
  return connection->out;
}

void connection_wait(struct connection* connection, void (*gone)(void*),
                     void* arg) {
  connection->busy = true;
  connection->gone = gone;
  connection->gone_arg = arg;
}

void connection_resume(struct connection* connection) {
  connection->busy = false;
  connection->gone = NULL;
  if (connection->closing)
    free_if_over(connection);
  else
    process(connection);
}

void connection_end(struct connection* connection) {
  connection->ending = true;
}

static void open_timer(struct connection* connection) {
  uv_timer_init(&connection->teller->loop, &connection->patience);
  connection->patience.data = connection;
}

static void link_to_teller(struct connection* connection) {
  struct teller* teller = connection->teller;
  connection->next = teller->connections;
  if (connection->next != NULL)
    connection->next->previous = connection;
  teller->connections = connection;
  stats_add(&teller->bank->stats, FIGURE_CLIENTS, 1);
}

static void on_alloc(uv_handle_t* handle, size_t hint, uv_buf_t* buffer) {
  struct connection* connection = handle->data;
  (void)hint;
  /* One buffer per loop: on_read copies out of it before the next read. */
  *buffer = uv_buf_init(connection->teller->buffer,
                        sizeof connection->teller->buffer);
}

static void on_read(uv_stream_t* stream, ssize_t count,
                    const uv_buf_t* buffer) {
  struct connection* connection = stream->data;
  if (count < 0)
    connection_close(connection);
  else if (connection->ending)
    return;
  else if (!resp_feed(&connection->in, buffer->base, (size_t)count))
    connection_close(connection);
  else
    process(connection);
}

/* Runs whole commands until one has to wait, or the replies pile up. A command
 * that is answered at once resumes inside the loop, hence `processing`. */
static void process(struct connection* connection) {
  struct command* command = NULL;
  enum resp_result result = RESP_MORE;
  if (connection->processing)
    return;
  connection->processing = true;
  while (may_run(connection) &&
         (result = resp_next(&connection->in, &command)) == RESP_COMMAND) {
    stats_add(&connection->teller->bank->stats, FIGURE_COMMANDS, 1);
    uv_timer_stop(&connection->patience); /* it was for this command */
    command_run(connection, command);
    command_free(command);
  }
  connection->processing = false;
  if (result == RESP_BROKEN)
    fail(connection, "not a command, or one that is too long");
  flush(connection);
  watch_input(connection);
}

static bool may_run(const struct connection* connection) {
  return !connection->busy && !connection->closing && !connection->ending &&
         uv_stream_get_write_queue_size((const uv_stream_t*)&connection->tcp) <
             OUTPUT_LIMIT;
}

/* Reads on or not, and starts or stops the client's clock. */
static void watch_input(struct connection* connection) {
  if (connection->closing || connection->ending)
    return;
  bool full = resp_buffered(&connection->in) > INPUT_LIMIT;
  if (full && !connection->paused)
    uv_read_stop((uv_stream_t*)&connection->tcp);
  else if (!full && connection->paused)
    uv_read_start((uv_stream_t*)&connection->tcp, on_alloc, on_read);
  connection->paused = full;
  /* If we may not run, what is buffered is our delay, not the client's. */
  if (!may_run(connection) || !resp_is_halfway(&connection->in))
    uv_timer_stop(&connection->patience);
  else if (!uv_is_active((uv_handle_t*)&connection->patience))
    uv_timer_start(&connection->patience, on_impatient,
                   connection->teller->bank->options.patience_ms, 0);
}

static void fail(struct connection* connection, const char* why) {
  reply_error(connection_out(connection), why, NULL);
  connection_end(connection);
}

static void on_impatient(uv_timer_t* timer) {
  struct connection* connection = timer->data;
  if (connection->ending) {
    connection_close(connection);
    return;
  }
  fail(connection, "a command was begun and not finished");
  flush(connection);
}

/* Gives the replies to libuv; after the last of them, half-closes. */
static void flush(struct connection* connection) {
  if (connection->out == NULL || connection->closing)
    return;
  struct output* output = allocate(sizeof *output);
  if (fclose(connection->out) != 0)
    abort(); /* as in must.h */
  connection->out = NULL;
  output->text = connection->out_text;
  output->connection = connection;
  uv_buf_t buffer = uv_buf_init(output->text, (unsigned)connection->out_length);
  connection->out_text = NULL;
  int rc = uv_write(&output->write, (uv_stream_t*)&connection->tcp, &buffer, 1,
                    on_written);
  if (rc != 0) {
    free(output->text);
    free(output);
    connection_close(connection);
  } else if (connection->ending) {
    half_close(connection);
  }
}

static void half_close(struct connection* connection) {
  uv_stream_t* stream = (uv_stream_t*)&connection->tcp;
  uv_shutdown(&connection->shutdown, stream, on_half_closed);
  if (connection->paused)
    uv_read_start(stream, on_alloc, on_read);
  uv_timer_start(&connection->patience, on_impatient,
                 connection->teller->bank->options.patience_ms, 0);
}

static void on_half_closed(uv_shutdown_t* shutdown, int status) {
  (void)shutdown;
  (void)status; /* the client's close, or our patience, comes next */
}

static void on_written(uv_write_t* write, int status) {
  struct output* output = (struct output*)write;
  struct connection* connection = output->connection;
  free(output->text);
  free(output);
  if (status != 0)
    connection_close(connection);
  else if (!connection->ending && !connection->busy)
    process(connection); /* it may have waited for room */
}

static void on_closed(uv_handle_t* handle) {
  struct connection* connection = handle->data;
  connection->open_handles--;
  free_if_over(connection);
}

static void free_if_over(struct connection* connection) {
  struct teller* teller = connection->teller;
  if (connection->open_handles > 0 || connection->busy)
    return;
  if (connection->previous != NULL)
    connection->previous->next = connection->next;
  else
    teller->connections = connection->next;
  if (connection->next != NULL)
    connection->next->previous = connection->previous;
  if (connection->out != NULL)
    fclose(connection->out);
  free(connection->out_text);
  resp_close(&connection->in);
  free(connection);
  stats_add(&teller->bank->stats, FIGURE_CLIENTS, -1);
  teller_connection_freed(teller);
}
