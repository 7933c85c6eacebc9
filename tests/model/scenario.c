/* SPDX-License-Identifier: MIT
 *
 * scenario.c - what the scenarios over the library share. */
#include "scenario.h"

#include "spin.h"

/* The library as it is after a while, with the length of a spin measured. */
void explore_prepare(void) {
  pkd__spin_t spin = PKD__SPIN_INIT;

  pkd__spin(&spin);
}

void scenario_nobody_at(const void* key) {
  explore_assert(pkd_lot_for_each(key, NULL, NULL) == 0);
}

void scenario_await_waiters(const void* key, size_t count) {
  while (pkd_lot_for_each(key, NULL, NULL) < count)
    explore_yield();
}
