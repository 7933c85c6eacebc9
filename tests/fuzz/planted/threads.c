/* SPDX-License-Identifier: MIT
 *
 * threads.c - a bug for fuzz_threads to find, as the linker's --wrap puts it in:
 * who is late leaves, though it was chosen just before. */
#include <parkade/lot.h>

int __real_pkd_lot_remove(pkd_waiter_t* waiter, pkd_removed_cb removed,
                          void* arg);
int __wrap_pkd_lot_remove(pkd_waiter_t* waiter, pkd_removed_cb removed,
                          void* arg);

int __wrap_pkd_lot_remove(pkd_waiter_t* waiter, pkd_removed_cb removed,
                          void* arg) {
  __real_pkd_lot_remove(waiter, removed, arg);
  return 0;
}
