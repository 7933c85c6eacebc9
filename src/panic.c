/* SPDX-License-Identifier: MIT
 *
 * panic.c - the one way to die.
 *
 * One write, so that the line stays whole when several threads fail at once;
 * no allocation and no stdio lock, since either may be what is broken. */
#include "panic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void pkd__panic(const char* call, const void* object, const char* why) {
  char line[256];
  int n =
      snprintf(line, sizeof line, "parkade: %s: %p %s\n", call, object, why);

  if (n >= (int)sizeof line) {
    n = (int)sizeof line - 1;
    line[n - 1] = '\n';
  }
  if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0) {
    /* nobody to tell */
  }
  abort();
}
