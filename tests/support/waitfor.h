/* SPDX-License-Identifier: MIT
 *
 * waitfor.h - wait for a fact, never for a time.
 *
 * "The other thread sleeps in the lot by now" is a fact a test can look at
 * (pkd_lot_for_each counts it); "100 ms are enough" is a guess that a loaded
 * machine refutes. A fact that does not come within a minute ends the process,
 * naming the fact and the line. */
#ifndef PKD_TEST_WAITFOR_H
#define PKD_TEST_WAITFOR_H

#include <stdint.h>

/** Polls `fact`, an expression, until it is true. */
#define WAIT_FOR(fact)                                                         \
  do {                                                                         \
    uint64_t since = waitfor_now();                                            \
    while (!(fact))                                                            \
      waitfor_poll(since, #fact, __FILE__, __LINE__);                          \
  } while (0)

/** Nanoseconds on the monotonic clock: the test's own, not pkd_now(). */
uint64_t waitfor_now(void);

/** Lets others run for a moment; ends the process a minute after `since`. */
void waitfor_poll(uint64_t since, const char* fact, const char* file, int line);

#endif
