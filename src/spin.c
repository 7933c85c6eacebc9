/* SPDX-License-Identifier: MIT
 *
 * spin.c - how long to spin, measured once per process. */
#include "spin.h"

#include "atomic.h"
#include "os/os.h"

/* What a spin may cost in all: a good part of a futex sleep and wake (4 us on
 * the machines measured), so spinning in vain costs at most that much more. */
#define BUDGET_NS 2000u
#define SAMPLE 64u
#define LONGEST_ROUND 64u

static uint32_t budget; /* in pauses, plus 1; 0 = not measured yet */

static __attribute__((noinline, cold)) uint32_t measure(void) {
  uint32_t pauses = 0;

  if (pkd__os_cpus() > 1) {
    uint64_t start = pkd__os_now();
    uint64_t ns;

    for (unsigned i = 0; i < SAMPLE; i++)
      pkd__os_relax();
    ns = pkd__os_now() - start;
    pauses = (uint32_t)(ns == 0 ? BUDGET_NS : BUDGET_NS * SAMPLE / ns);
    /* An interrupted sample must not switch spinning off for good. */
    if (pauses < 8)
      pauses = 8;
  }
  pkd__store_relaxed(&budget,
                     pauses + 1); /* relaxed: any measurement will do */
  return pauses + 1;
}

bool pkd__spin(pkd__spin_t* spin) {
  uint32_t limit = pkd__load_relaxed(&budget); /* relaxed: just a number */

  if (limit == 0)
    limit = measure();
  if (spin->pauses + 1 >= limit)
    return false;
  spin->round = spin->round == 0 ? 1 : spin->round * 2;
  if (spin->round > LONGEST_ROUND)
    spin->round = LONGEST_ROUND;
  for (uint32_t i = 0; i < spin->round; i++)
    pkd__os_relax();
  spin->pauses += spin->round;
  return true;
}
