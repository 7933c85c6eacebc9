/* SPDX-License-Identifier: MIT
 *
 * sites.c - from where a scenario touched memory.
 *
 * A set of return addresses, kept over all executions of one scenario. Who has
 * changed one function learns from it which scenarios come by there, and need
 * not search the others (tools/mutate does). The program is linked without PIE,
 * so addr2line takes the addresses as they are. */
#include "engine.h"

#include <stdio.h>
#include <string.h>

#define SITES 8192u /* a power of two, some times what the library has */

static uintptr_t sites[SITES];
static unsigned count;

bool ex_noting_sites;

void ex_site(const void* pc) {
  uintptr_t site = (uintptr_t)pc;
  unsigned at = (unsigned)(site * 2654435761u) % SITES;

  while (sites[at] != 0 && sites[at] != site)
    at = (at + 1) % SITES;
  if (sites[at] == site || count == SITES / 2)
    return;
  sites[at] = site;
  count++;
}

/* Of the calls, which lie before the return addresses. */
void ex_sites_print(void) {
  printf("  sites");
  for (unsigned i = 0; i < SITES; i++)
    if (sites[i] != 0)
      printf(" %lx", (unsigned long)sites[i] - 1);
  printf("\n");
  memset(sites, 0, sizeof sites);
  count = 0;
}
