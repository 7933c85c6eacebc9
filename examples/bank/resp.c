/* SPDX-License-Identifier: MIT
 *
 * resp.c - commands built by hiredis's reader, and replies written by hand.
 *
 * A command is an array of bulk strings. Whatever else the reader meets (a
 * nested array, a number, a nil) is refused by returning NULL to it, which it
 * reports as an error: the stream is then broken and the client is told so.
 *
 * A line that does not begin with '*' is an inline command, as typed into a
 * plain terminal: words between blanks. */
#include "resp.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <hiredis/hiredis.h>

/* hiredis counted elements in an int before its version 1. */
#if HIREDIS_MAJOR >= 1
typedef size_t element_count;
#else
typedef int element_count;
#endif

static void* build_array(const redisReadTask* task, element_count count);
static void* build_string(const redisReadTask* task, char* text, size_t n);
static void* refuse_integer(const redisReadTask* task, long long number);
static void* refuse_nil(const redisReadTask* task);
static void free_object(void* object);
static struct command* command_new(size_t count);
static int command_set(struct command* command, size_t i, const char* text,
                       size_t length);
static int is_inside_array(const struct resp_stream* stream);
static enum resp_result next_inline(struct resp_stream* stream,
                                    struct command** out);
static int drop_consumed(struct resp_stream* stream);
static struct command* split_line(const char* line, size_t length);

/* createDouble and createBool, where hiredis has them, stay NULL: RESP3 only. */
static redisReplyObjectFunctions build = {
    .createString = build_string,
    .createArray = build_array,
    .createInteger = refuse_integer,
    .createNil = refuse_nil,
    .freeObject = free_object,
};

int resp_open(struct resp_stream* stream) {
  stream->reader = redisReaderCreateWithFunctions(&build);
  return stream->reader != NULL;
}

void resp_close(struct resp_stream* stream) {
  redisReaderFree(stream->reader);
}

int resp_feed(struct resp_stream* stream, const char* bytes, size_t length) {
  return redisReaderFeed(stream->reader, bytes, length) == REDIS_OK;
}

size_t resp_buffered(const struct resp_stream* stream) {
  return stream->reader->len - stream->reader->pos;
}

int resp_is_halfway(const struct resp_stream* stream) {
  return is_inside_array(stream) || resp_buffered(stream) > 0;
}

enum resp_result resp_next(struct resp_stream* stream, struct command** out) {
  redisReader* reader = stream->reader;
  void* built = NULL;
  if (!is_inside_array(stream)) {
    /* Asked without a byte, the reader would think a command has begun. */
    if (resp_buffered(stream) == 0)
      return RESP_MORE;
    if (reader->buf[reader->pos] != '*')
      return next_inline(stream, out);
  }
  if (redisReaderGetReply(reader, &built) != REDIS_OK)
    return RESP_BROKEN;
  if (built == NULL)
    return resp_buffered(stream) > RESP_MAX_COMMAND ? RESP_BROKEN : RESP_MORE;
  *out = built;
  return RESP_COMMAND;
}

void command_free(struct command* command) {
  if (command == NULL)
    return;
  for (size_t i = 0; i < command->count; i++)
    free(command->arguments[i].text);
  free(command);
}

int command_is(const struct command* command, size_t i, const char* word) {
  return i < command->count &&
         strcasecmp(command->arguments[i].text, word) == 0;
}

/* ---- what the reader calls ---------------------------------------------- */

static void* build_array(const redisReadTask* task, element_count count) {
  if (task->parent != NULL || count > RESP_MAX_ARGUMENTS)
    return NULL;
  return command_new((size_t)count);
}

static void* build_string(const redisReadTask* task, char* text, size_t n) {
  struct command* command = task->parent ? task->parent->obj : NULL;
  if (command == NULL || task->type != REDIS_REPLY_STRING)
    return NULL;
  if (!command_set(command, (size_t)task->idx, text, n))
    return NULL;
  return command;
}

static void* refuse_integer(const redisReadTask* task, long long number) {
  (void)task;
  (void)number;
  return NULL;
}

static void* refuse_nil(const redisReadTask* task) {
  (void)task;
  return NULL;
}

static void free_object(void* object) {
  command_free(object);
}

/* ---- commands ----------------------------------------------------------- */

static struct command* command_new(size_t count) {
  struct command* command =
      calloc(1, sizeof *command + count * sizeof command->arguments[0]);
  if (command != NULL)
    command->count = count;
  return command;
}

static int command_set(struct command* command, size_t i, const char* text,
                       size_t length) {
  struct argument* argument = &command->arguments[i];
  command->bytes += length;
  if (command->bytes > RESP_MAX_COMMAND)
    return 0;
  argument->text = malloc(length + 1);
  if (argument->text == NULL)
    return 0;
  memcpy(argument->text, text, length);
  argument->text[length] = '\0';
  argument->length = length;
  return 1;
}

static int is_inside_array(const struct resp_stream* stream) {
  return stream->reader->ridx >= 0;
}

static enum resp_result next_inline(struct resp_stream* stream,
                                    struct command** out) {
  const char* line = stream->reader->buf + stream->reader->pos;
  const char* end = memchr(line, '\n', resp_buffered(stream));
  if (end == NULL)
    return resp_buffered(stream) > RESP_MAX_COMMAND ? RESP_BROKEN : RESP_MORE;
  *out = split_line(line, (size_t)(end - line));
  stream->reader->pos += (size_t)(end - line) + 1;
  return *out != NULL && drop_consumed(stream) ? RESP_COMMAND : RESP_BROKEN;
}

/* The reader drops what it has parsed itself; the lines it never saw would
 * stay, so past a page or two the rest moves into a new reader. */
static int drop_consumed(struct resp_stream* stream) {
  redisReader* old = stream->reader;
  if (old->pos < RESP_MAX_COMMAND)
    return 1;
  if (!resp_open(stream)) {
    stream->reader = old;
    return 0;
  }
  int fed = redisReaderFeed(stream->reader, old->buf + old->pos,
                            old->len - old->pos) == REDIS_OK;
  redisReaderFree(old);
  return fed;
}

static struct command* split_line(const char* line, size_t length) {
  struct command* command = command_new(RESP_MAX_ARGUMENTS);
  const char* end = line + length;
  size_t count = 0;
  while (command != NULL) {
    while (line < end && isspace((unsigned char)*line))
      line++;
    if (line == end)
      break;
    const char* word = line;
    while (line < end && !isspace((unsigned char)*line))
      line++;
    if (count == RESP_MAX_ARGUMENTS ||
        !command_set(command, count++, word, (size_t)(line - word))) {
      command_free(command);
      return NULL;
    }
  }
  if (command != NULL)
    command->count = count;
  return command;
}

/* ---- replies ------------------------------------------------------------ */

void reply_status(FILE* out, const char* text) {
  fprintf(out, "+%s\r\n", text);
}

void reply_integer(FILE* out, int64_t number) {
  fprintf(out, ":%lld\r\n", (long long)number);
}

void reply_bulk(FILE* out, const char* text, size_t length) {
  fprintf(out, "$%zu\r\n", length);
  fwrite(text, 1, length, out);
  fputs("\r\n", out);
}

void reply_array(FILE* out, size_t count) {
  fprintf(out, "*%zu\r\n", count);
}

void reply_error(FILE* out, const char* text, const char* detail) {
  fprintf(out, "-ERR %s", text);
  if (detail != NULL) {
    fputs(" '", out);
    for (int i = 0; detail[i] != '\0' && i < 64; i++)
      fputc(isprint((unsigned char)detail[i]) ? detail[i] : '?', out);
    fputc('\'', out);
  }
  fputs("\r\n", out);
}
