/* SPDX-License-Identifier: MIT
 *
 * backtrace.c - the calling thread's stack, where the C library can tell it. */
#include "os/os.h"

#if defined(__has_include)
#if __has_include(<execinfo.h>)
#define PKD_HAS_BACKTRACE 1
#include <execinfo.h>
#include <unistd.h>
#endif
#endif

#ifdef PKD_HAS_BACKTRACE

int pkd__os_backtrace(void** frames, int max) {
  return backtrace(frames, max);
}

void pkd__os_print_frames(void* const* frames, int count) {
  backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

#else

int pkd__os_backtrace(void** frames, int max) {
  (void)frames;
  (void)max;
  return 0;
}

void pkd__os_print_frames(void* const* frames, int count) {
  (void)frames;
  (void)count;
}

#endif
