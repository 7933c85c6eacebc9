/* SPDX-License-Identifier: MIT
 *
 * slow_cancel.c - the C library's pthread_cancel(), held up on the way there: by a
 * loader that has to read a file first, say, or a processor that others have. */
#define _GNU_SOURCE

#include "slow_cancel.h"

#include <dlfcn.h>
#include <time.h>

long cancel_takes_ms;

int pthread_cancel(pthread_t thread) {
  struct timespec span = {cancel_takes_ms / 1000,
                          cancel_takes_ms % 1000 * 1000000};
  int (*real)(pthread_t);

  *(void**)&real = dlsym(RTLD_NEXT, "pthread_cancel");
  nanosleep(&span, NULL);
  return real(thread);
}
