/* SPDX-License-Identifier: MIT
 *
 * alloc.h - zeroed memory or the end: an example has no better answer. */
#ifndef BANK_ALLOC_H
#define BANK_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

static inline void* allocate(size_t size) {
  void* memory = calloc(1, size);
  if (memory == NULL)
    abort();
  return memory;
}

#endif
