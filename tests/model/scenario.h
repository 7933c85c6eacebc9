/* SPDX-License-Identifier: MIT
 *
 * scenario.h - what the scenarios over the library share. */
#ifndef EXPLORE_SCENARIO_H
#define EXPLORE_SCENARIO_H

#include "explore.h"

#include <parkade/lot.h>

/** A deadline that is not over yet: it passes when the explorer says so. */
#define SOON (pkd_now() + 1000)

/** What most scenarios end with. */
#define OK EXPLORE_OK

/** How far most are searched; as far as takes seconds. */
#define DEEP                                                                   \
  { .preemptions = 3, .stale = 1 }
#define WIDE                                                                   \
  { .preemptions = 2, .stale = 1 }
#define FLAT                                                                   \
  { .preemptions = 1, .stale = 1 }
#define NARROW                                                                 \
  { .preemptions = 2 }
#define LATE_DEEP                                                              \
  { .preemptions = 3, .stale = 1, .timeouts = 1 }
#define LATE_WIDE                                                              \
  { .preemptions = 2, .stale = 1, .timeouts = 1 }
#define LATE_NARROW                                                            \
  { .preemptions = 2, .timeouts = 1 }

/** Fails unless nobody waits at `key`. */
void scenario_nobody_at(const void* key);

/** Yields until `count` waiters are queued at `key`. */
void scenario_await_waiters(const void* key, size_t count);

#endif
