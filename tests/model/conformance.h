/* SPDX-License-Identifier: MIT
 *
 * conformance.h - what libuv promises and the library builds on; one suite for
 * libuv itself (conformance_uv.c) and for the explorer's stand-in for it
 * (scenario_shim.c). */
#ifndef EXPLORE_CONFORMANCE_H
#define EXPLORE_CONFORMANCE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct conformance {
  const char* name; /* a sentence */
  void (*test)(void);
  bool pool; /* queues work */
} conformance_t;

/** All of them; the last has no name. */
extern const conformance_t conformance[];

/* What the two worlds bring. */

/** Starts a thread; at most two in a test. */
void conformance_spawn(void (*entry)(void* arg), void* arg);
/** Waits for all of them, and for the pool. */
void conformance_join(void);
/** Ends the test as failed. */
void conformance_fail(const char* what, int line);

#define expect(condition)                                                      \
  do {                                                                         \
    if (!(condition))                                                          \
      conformance_fail(#condition, __LINE__);                                  \
  } while (0)

#endif
