/* SPDX-License-Identifier: MIT
 *
 * clock.h - from a struct timespec on one of two clocks to a deadline. */
#ifndef PKD_PRELOAD_CLOCK_H
#define PKD_PRELOAD_CLOCK_H

#include <parkade/base.h>

#include <stdbool.h>
#include <time.h>

/** An end that a caller of the pthread functions has asked for. */
struct until {
  clockid_t clock;
  const struct timespec* when; /* NULL: never */
};

#define FOREVER ((struct until){CLOCK_MONOTONIC, NULL})

/** Is it a clock and a time that the standard knows? */
bool until_is_valid(const struct until* until);

/** The deadline on pkd_now()'s clock, as things stand. */
pkd_deadline_t until_deadline(const struct until* until);

/** The deadline has passed; has the time come as well? Not where the wall clock
 * was set back. `slack`: nanoseconds that may be missing. */
bool until_has_come(const struct until* until, uint64_t slack);

#endif
