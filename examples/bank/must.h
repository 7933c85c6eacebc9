/* SPDX-License-Identifier: MIT
 *
 * must.h - what cannot fail unless this program is wrong or out of memory.
 *
 * An example has no better answer to either than to stop. */
#ifndef BANK_MUST_H
#define BANK_MUST_H

#include <stddef.h>
#include <stdlib.h>

/* Zeroed memory. */
static inline void* allocate(size_t size) {
  void* memory = calloc(1, size);
  if (memory == NULL)
    abort();
  return memory;
}

/* For calls that are refused only to those who misuse them. */
static inline void must_succeed(int rc) {
  if (rc != 0)
    abort();
}

#endif
