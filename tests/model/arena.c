/* SPDX-License-Identifier: MIT
 *
 * arena.c - the memory of scenarios, at the same address in every process.
 *
 * The lot's hash is computed from addresses: were they random, executions would
 * differ from one process to the next and neither the table of counts nor a
 * schedule string would mean anything. So stacks and scenario objects lie in
 * one mapping at a fixed place. Freed blocks are not used again within an
 * execution: a late touch of one is always seen. */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GRAINS (EX_ARENA_SIZE / EX_GRAIN)
#define NAMES 24
#define PLACE ((void*)EX_PLACE)

/* Linux 4.17; older kernels take PLACE for a hint, which is checked below. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

typedef struct name {
  uintptr_t at;
  size_t size;
  const char* name;
} name_t;

static char* mapping;
static size_t used;
bool ex_freed[GRAINS];
static uint32_t block_grains[GRAINS]; /* at a block's first grain */
static name_t names[NAMES];
static int name_count;

static char* base(void) {
  if (mapping == NULL) {
    size_t size = EX_STACKS_SIZE + EX_ARENA_SIZE;
    mapping = mmap(PLACE, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapping != PLACE) {
      fprintf(stderr, "explore: no memory at %p\n", PLACE);
      exit(2);
    }
  }
  return mapping;
}

static char* heap(void) {
  return base() + EX_STACKS_SIZE;
}

char* ex_arena_stacks(void) {
  return base();
}

void ex_arena_begin(void) {
  memset(heap(), 0, used);
  memset(ex_freed, 0, used / EX_GRAIN);
  used = 0;
  name_count = 0;
}

void* explore_need(size_t size) {
  size_t grains = (size + EX_GRAIN - 1) / EX_GRAIN;
  char* block = heap() + used;

  if (size > EX_ARENA_SIZE || used + grains * EX_GRAIN > EX_ARENA_SIZE) {
    fprintf(stderr, "explore: the arena is full\n");
    exit(2);
  }
  if (ex.inside)
    ex_event(used); /* who comes first gets which block */
  block_grains[used / EX_GRAIN] = (uint32_t)grains;
  used += grains * EX_GRAIN;
  return block;
}

void* explore_alloc(size_t size) {
  if (ex.inside && ex.spent.failures < ex_bounds.failures &&
      ex_search_pick(2, EX_ENVIRONMENT) == 1) {
    ex.spent.failures++;
    ex_event(31);
    return NULL;
  }
  return explore_need(size);
}

void explore_free(void* block) {
  size_t first;

  if (block == NULL)
    return;
  first = (size_t)((char*)block - heap()) / EX_GRAIN;
  /* a write: it must happen after all that others did with the block */
  ex_shadow_access((uintptr_t)block, block_grains[first] * (size_t)EX_GRAIN,
                   EX_WRITE, __builtin_return_address(0));
  memset(&ex_freed[first], 1, block_grains[first]);
  EX_TRACE(__builtin_return_address(0), "free   %s",
           ex_arena_name((uintptr_t)block));
}

/* The linker's --wrap sends the library's allocations here. */
void* __wrap_malloc(size_t size);
void* __wrap_calloc(size_t count, size_t size);
void __wrap_free(void* block);

void* __wrap_malloc(size_t size) {
  return ex.inside || ex.quiet ? explore_alloc(size) : __real_malloc(size);
}

void* __wrap_calloc(size_t count, size_t size) {
  return ex.inside || ex.quiet ? explore_alloc(count * size)
                               : __real_calloc(count, size);
}

void __wrap_free(void* block) {
  if (ex_arena_holds((uintptr_t)block))
    explore_free(block);
  else
    __real_free(block);
}

void explore_name(const void* at, size_t size, const char* name) {
  if (name_count < NAMES) {
    names[name_count].at = (uintptr_t)at;
    names[name_count].size = size;
    names[name_count].name = name;
    name_count++;
  }
}

const char* ex_arena_name(uintptr_t at) {
  static char buffers[4][48];
  static unsigned turn;
  char* text = buffers[turn++ % 4];
  int owner = ex_fiber_owner(at);
  size_t offset = 0;
  const char* variable;

  for (int i = 0; i < name_count; i++)
    if (at - names[i].at < names[i].size) {
      if (at == names[i].at)
        snprintf(text, sizeof buffers[0], "%s", names[i].name);
      else
        snprintf(text, sizeof buffers[0], "%s+%u", names[i].name,
                 (unsigned)(at - names[i].at));
      return text;
    }
  if (owner >= 0)
    snprintf(text, sizeof buffers[0], "T%d.stack-%u", owner,
             (unsigned)ex_fiber_offset(at));
  else if (ex_arena_holds(at))
    snprintf(text, sizeof buffers[0], "heap+%u",
             (unsigned)(at - (uintptr_t)heap()));
  else if ((variable = ex_static_name(at, &offset)) != NULL)
    snprintf(text, sizeof buffers[0], "%s+%u", variable, (unsigned)offset);
  else
    snprintf(text, sizeof buffers[0], "%#lx", (unsigned long)at);
  return text;
}
