/* SPDX-License-Identifier: MIT
 *
 * waitfor.c - wait for a fact, never for a time. */
#include "waitfor.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define PATIENCE (60 * SECOND)

uint64_t waitfor_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

void waitfor_poll(uint64_t since, const char* fact, const char* file,
                  int line) {
  const struct timespec moment = {0, 50000};

  if (waitfor_now() - since > PATIENCE) {
    fprintf(stderr, "%s:%d: waited a minute in vain for: %s\n", file, line,
            fact);
    abort();
  }
  nanosleep(&moment, NULL);
}
