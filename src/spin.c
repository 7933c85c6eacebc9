/* SPDX-License-Identifier: MIT
 *
 * spin.c - how long to spin: for as long as a sleep would cost, measured once per
 * process. Who does so pays at most twice of what the better of the two would
 * have cost (Karlin, Li, Manasse, Owicki: Empirical Studies of Competitive
 * Spinning for a Shared-Memory Multiprocessor, 1991). */
#include "spin.h"

#include "atomic.h"
#include "os/os.h"

/* A sleep and its wake, in calls of the system that have nothing to do: the two
 * calls, and two threads that change places on a processor. 10.6 were measured
 * where such a call takes 1.1 us. */
#define SLEEP_IN_CALLS 10u

/* What a sleep may seem to cost. Where a call is very cheap the processor is
 * still woken by another, and who measures may itself be interrupted. */
#define CHEAPEST_NS 2000u
#define DEAREST_NS 16000u

#define SAMPLE 64u /* pauses */
#define CALLS 3u   /* of which the cheapest counts */

/* Of three rounds. An interrupted sample must not switch spinning off for good. */
#define FEWEST 13u

static uint32_t budget; /* in pauses, plus 1; 0 = not measured yet */

static uint64_t price_of_sleep(void) {
  uint64_t least = DEAREST_NS;
  uint32_t nobody = 0;

  for (unsigned i = 0; i < CALLS; i++) {
    uint64_t start = pkd__os_now();
    uint64_t ns;

    pkd__os_wake(&nobody);
    ns = pkd__os_now() - start;
    if (ns < least / SLEEP_IN_CALLS)
      least = ns * SLEEP_IN_CALLS;
  }
  return least < CHEAPEST_NS ? CHEAPEST_NS : least;
}

static __attribute__((noinline, cold)) uint32_t measure(void) {
  uint32_t pauses = 0;

  if (pkd__os_cpus() > 1) {
    uint64_t spent = price_of_sleep();
    uint64_t start = pkd__os_now();
    uint64_t ns;

    for (unsigned i = 0; i < SAMPLE; i++)
      pkd__os_relax();
    ns = pkd__os_now() - start;
    pauses = (uint32_t)(ns == 0 ? spent : spent * SAMPLE / ns);
    if (pauses < FEWEST)
      pauses = FEWEST;
  }
  pkd__store_relaxed(&budget,
                     pauses + 1); /* relaxed: any measurement will do */
  return pauses + 1;
}

bool pkd__spin(pkd__spin_t* spin) {
  uint32_t limit = pkd__load_relaxed(&budget); /* relaxed: just a number */
  uint32_t round = spin->round == 0 ? 1 : spin->round * 3;

  if (limit == 0)
    limit = measure();
  if (spin->pauses + round >= limit)
    return false;
  for (uint32_t i = 0; i < round; i++)
    pkd__os_relax();
  spin->pauses += round;
  spin->round = round;
  return true;
}
