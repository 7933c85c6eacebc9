/* SPDX-License-Identifier: MIT
 *
 * libc.c - finds what we stand in front of.
 *
 * The first call may come before any constructor has run, ours included, and
 * from several threads: each finds the same functions, so the table may be
 * written twice. Only an object that stays with the C library brings a call
 * here; an allocator that locks a plain mutex never does. */
#include "libc.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "atomic.h"
#include "panic.h"

static struct libc table;
static uint32_t complete; /* atomic */

/* A condition had another layout before glibc 2.3.2; where its functions have
 * that version, another one exists. */
static void* find(const char* name) {
  void* function = NULL;

  if (strncmp(name, "pthread_cond_", 13) == 0)
    function = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
  if (function == NULL)
    function = dlsym(RTLD_NEXT, name);
  if (function == NULL)
    pkd__panic(name, NULL, "is not in the C library of this program");
  return function;
}

static void fill(void) {
#define X(name)                                                                \
  do {                                                                         \
    void* function = find(#name);                                              \
    __typeof__(&name) typed;                                                   \
                                                                               \
    memcpy(&typed, &function, sizeof typed);                                   \
    pkd__store_relaxed(&table.name, typed); /* relaxed: see (L2) */            \
  } while (0);
  LIBC_FUNCTIONS(X)
#undef X
}

const struct libc* libc(void) {
  /* (L1) acquire, pairs with (L2): the table is whole. */
  if (pkd__load_acquire(&complete) == 0) {
    fill();
    /* (L2) release, pairs with (L1). */
    pkd__store_release(&complete, 1);
  }
  return &table;
}
