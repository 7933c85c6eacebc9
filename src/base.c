/* SPDX-License-Identifier: MIT
 *
 * base.c - the clock and the thread's number, as base.h promises them. */
#include <parkade/base.h>

#include "os/os.h"

pkd_deadline_t pkd_now(void) {
  return pkd__os_now();
}

pkd_deadline_t pkd_after(uint64_t ns) {
  uint64_t now = pkd__os_now();
  return ns > PKD_FOREVER - now ? PKD_FOREVER : now + ns;
}

uintptr_t pkd_thread_id(void) {
  return pkd__os_thread_id();
}
