/* SPDX-License-Identifier: MIT
 *
 * clock.c - from a struct timespec on one of two clocks to a deadline.
 *
 * The library waits on the monotonic clock. A time of day is translated when the
 * wait begins, and looked at again when it ends: a clock that was set back makes
 * the wait longer, as it should. A clock that is set forward does not make it
 * shorter; that is what we cannot do. */
#include "clock.h"

#define NS 1000000000

bool until_is_valid(const struct until* until) {
  return until->when == NULL ||
         ((until->clock == CLOCK_REALTIME || until->clock == CLOCK_MONOTONIC) &&
          until->when->tv_nsec >= 0 && until->when->tv_nsec < NS);
}

/* Nanoseconds until then; 0 if it has come, UINT64_MAX if that is too many. */
static uint64_t left(const struct until* until) {
  struct timespec now;
  int64_t seconds;
  int64_t ns;

  if (until->when->tv_sec < 0)
    return 0;
  clock_gettime(until->clock, &now);
  seconds = (int64_t)until->when->tv_sec - (int64_t)now.tv_sec;
  ns = until->when->tv_nsec - now.tv_nsec;
  if (seconds > INT32_MAX)
    return UINT64_MAX;
  if (seconds < 0 || seconds * NS + ns <= 0)
    return 0;
  return (uint64_t)(seconds * NS + ns);
}

pkd_deadline_t until_deadline(const struct until* until) {
  uint64_t ns;

  if (until->when == NULL)
    return PKD_FOREVER;
  ns = left(until);
  /* In this order: a deadline that is late by a moment, never early. */
  return ns == 0 ? 0 : pkd_after(ns);
}

bool until_has_come(const struct until* until, uint64_t slack) {
  return left(until) <= slack;
}
