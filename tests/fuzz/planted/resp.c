/* SPDX-License-Identifier: MIT
 *
 * resp.c - a bug for fuzz_resp to find, as the linker's --wrap puts it in: a bulk
 * string is taken to end at its first NUL. */
#include "resp.h"

#include <string.h>

void __real_reply_bulk(FILE* out, const char* text, size_t length);
void __wrap_reply_bulk(FILE* out, const char* text, size_t length);

void __wrap_reply_bulk(FILE* out, const char* text, size_t length) {
  if (strlen(text) >= length) {
    __real_reply_bulk(out, text, length);
    return;
  }
  fprintf(out, "$%zu\r\n%s\r\n", length, text);
}
