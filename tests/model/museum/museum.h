/* SPDX-License-Identifier: MIT
 *
 * museum.h - what the exhibits share: a lock that is right, and a way to list a
 * bug and its cure.
 *
 * An exhibit is a published bug of another library, reduced to the few steps
 * that make it; the comment over it says where it was reported. It is a model
 * of the mistake, not that library's code. Each is run twice: as it was, where
 * the explorer must find it, and cured, where it must find nothing. */
#ifndef EXPLORE_MUSEUM_H
#define EXPLORE_MUSEUM_H

#include "../explore.h"

#include "atomic.h"
#include "os/os.h"

#include <errno.h>
#include <stddef.h>

/** The argument of an exhibit's body. */
enum { BROKEN, CURED };

#define EXHIBIT(title, body, verdict, ...)                                     \
  {"museum/" title, body, BROKEN, EXPLORE_##verdict, 0, __VA_ARGS__}, {        \
    "museum/" title "-cured", body, CURED, EXPLORE_OK, 0, __VA_ARGS__          \
  }

#define BOUNDS(...)                                                            \
  { __VA_ARGS__ }

/** A three-valued mutex on a word. */
static inline void museum_lock(uint32_t* word) {
  uint32_t seen = 0;

  if (pkd__cas_acquire(word, &seen, 1))
    return;
  while (pkd__exchange_acquire(word, 2) != 0)
    pkd__os_wait(word, 2, UINT64_MAX);
}

static inline void museum_unlock(uint32_t* word) {
  if (pkd__exchange_release(word, 0) == 2)
    pkd__os_wake(word);
}

/** Sleeps until the word is set by museum_set(). */
static inline void museum_await(uint32_t* word) {
  while (pkd__load_acquire(word) == 0)
    pkd__os_wait(word, 0, UINT64_MAX);
}

static inline void museum_set(uint32_t* word) {
  pkd__store_release(word, 1);
  pkd__os_wake(word);
}

#endif
