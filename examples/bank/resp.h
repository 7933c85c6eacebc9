/* SPDX-License-Identifier: MIT
 *
 * resp.h - RESP2, the protocol of redis-cli: commands in, replies out.
 *
 * hiredis's reader does the parsing. It is told to build a `struct command`
 * where it would build a reply, and every limit is checked while it builds, so
 * a hostile length never becomes an allocation. */
#ifndef BANK_RESP_H
#define BANK_RESP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* More than any client here sends, and little enough to keep for thousands of
 * clients. */
#define RESP_MAX_ARGUMENTS 64
#define RESP_MAX_COMMAND (16 * 1024)

struct argument {
  char* text; /* ends with a NUL; may hold others */
  size_t length;
};

struct command {
  size_t count;
  size_t bytes; /* of all arguments so far; bounded by RESP_MAX_COMMAND */
  struct argument arguments[];
};

struct redisReader;

/* One client's bytes on their way to become commands. */
struct resp_stream {
  struct redisReader* reader;
};

enum resp_result {
  RESP_COMMAND, /* one whole command */
  RESP_MORE,    /* nothing whole yet */
  RESP_BROKEN,  /* not RESP, or beyond a limit; the stream is lost */
};

int resp_open(struct resp_stream* stream); /* false without memory */
void resp_close(struct resp_stream* stream);

/* Takes `length` bytes as they came from the socket; false without memory. */
int resp_feed(struct resp_stream* stream, const char* bytes, size_t length);

/* The next command; the caller frees it with command_free(). */
enum resp_result resp_next(struct resp_stream* stream, struct command** out);

/* Bytes taken and not yet part of a command. */
size_t resp_buffered(const struct resp_stream* stream);

/* Has a command been begun and not been finished? */
int resp_is_halfway(const struct resp_stream* stream);

void command_free(struct command* command);

/* Is argument `i` this word, in any case? */
int command_is(const struct command* command, size_t i, const char* word);

void reply_status(FILE* out, const char* text);
void reply_integer(FILE* out, int64_t number);
void reply_bulk(FILE* out, const char* text, size_t length);
void reply_array(FILE* out, size_t count);

/* `detail` may come from a client: it is quoted, cut and made harmless. */
void reply_error(FILE* out, const char* text, const char* detail);

#endif
