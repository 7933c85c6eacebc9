/* SPDX-License-Identifier: MIT
 *
 * notice.c - open, read, close: three trips to the thread pool. */
#include "notice.h"

#include <fcntl.h>
#include <stdlib.h>
#include <uv.h>

#include "must.h"
#include "bank.h"
#include "connection.h"

struct reading {
  uv_fs_t fs;
  struct connection* connection;
  uv_file file;
  ssize_t result; /* bytes read, or libuv's error */
  char text[4096];
};

static void on_open(uv_fs_t* fs);
static void on_read(uv_fs_t* fs);
static void on_close(uv_fs_t* fs);
static void finish(struct reading* reading);

void notice_read(struct connection* connection, const struct command* command) {
  struct teller* teller = connection->teller;
  struct reading* reading = allocate(sizeof *reading);
  (void)command;
  reading->connection = connection;
  reading->fs.data = reading;
  connection_wait(connection, NULL, NULL);
  uv_fs_open(&teller->loop, &reading->fs, teller->bank->options.notice,
             O_RDONLY, 0, on_open);
}

static void on_open(uv_fs_t* fs) {
  struct reading* reading = fs->data;
  uv_buf_t buffer = uv_buf_init(reading->text, sizeof reading->text);
  reading->result = fs->result;
  reading->file = (uv_file)fs->result;
  uv_fs_req_cleanup(fs);
  if (reading->result < 0)
    finish(reading);
  else
    uv_fs_read(fs->loop, fs, reading->file, &buffer, 1, 0, on_read);
}

static void on_read(uv_fs_t* fs) {
  struct reading* reading = fs->data;
  reading->result = fs->result;
  uv_fs_req_cleanup(fs);
  uv_fs_close(fs->loop, fs, reading->file, on_close);
}

static void on_close(uv_fs_t* fs) {
  struct reading* reading = fs->data;
  uv_fs_req_cleanup(fs);
  finish(reading);
}

static void finish(struct reading* reading) {
  struct connection* connection = reading->connection;
  FILE* out = connection_out(connection);
  if (reading->result < 0)
    reply_error(out, uv_strerror((int)reading->result), NULL);
  else
    reply_bulk(out, reading->text, (size_t)reading->result);
  free(reading);
  connection_resume(connection);
}
