/* SPDX-License-Identifier: MIT
 *
 * guard.c - the list of guards. */
#include "guard.h"

#include <stddef.h>
#include <string.h>

static const struct guard* const guards[] = {
    &guard_none,
    &guard_pool,
    &guard_async,
    &guard_account,
};

const struct guard* guard_find(const char* name) {
  for (size_t i = 0; i < sizeof guards / sizeof guards[0]; i++)
    if (strcmp(guards[i]->name, name) == 0)
      return guards[i];
  return NULL;
}
