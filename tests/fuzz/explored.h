/* SPDX-License-Identifier: MIT
 *
 * explored.h - one input of a fuzzer as one execution of the explorer.
 *
 * The input's first bytes are a program, of which the fuzzer's body makes what its
 * threads do; the rest is the schedule, a byte for each of the explorer's choices:
 * who runs, which old value is read, what times out, what ends for no reason. */
#ifndef PKD_FUZZ_EXPLORED_H
#define PKD_FUZZ_EXPLORED_H

#include "input.h"

#include "model/explore.h"

/** Runs `body` once, with the bytes left in `schedule` for choices. If it does not
 * end well, prints the trace and aborts. */
void explored_run(const char* name, void (*body)(int unused),
                  const explore_bounds_t* bounds, const struct input* schedule);

#endif
