/* SPDX-License-Identifier: MIT
 *
 * scenario.h - what the scenarios over the library share. */
#ifndef EXPLORE_SCENARIO_H
#define EXPLORE_SCENARIO_H

#include "explore.h"

#include <parkade/lot.h>

/** A deadline that is not over yet: it passes when the explorer says so. */
#define SOON (pkd_now() + 1000)

/** Fails unless nobody waits at `key`. */
void scenario_nobody_at(const void* key);

/** Yields until `count` waiters are queued at `key`. */
void scenario_await_waiters(const void* key, size_t count);

#endif
