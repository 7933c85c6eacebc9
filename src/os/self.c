/* SPDX-License-Identifier: MIT
 *
 * self.c - what os.h asks about the calling thread and its processor, and what
 * the compiler answers: the same on every system with threads in POSIX's way. */
#include "os/os.h"

#include "thread_local.h"

uintptr_t pkd__os_thread_id(void) {
  static PKD__THREAD_LOCAL char self;
  return (uintptr_t)&self;
}

bool pkd__os_now_and_then(void) {
  static PKD__THREAD_LOCAL uint32_t calls;
  return ++calls % 256 == 0;
}

bool pkd__os_at_times(void) {
  static PKD__THREAD_LOCAL uint64_t next;
  uint64_t now = pkd__os_now();

  if (now < next)
    return false;
  next = now + 250000;
  return true;
}

void pkd__os_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#elif defined(__arm__)
  __asm__ volatile("yield");
#endif
}
