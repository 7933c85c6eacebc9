/* SPDX-License-Identifier: MIT
 *
 * os_explore.c - the contract of src/os/os.h for explored code.
 *
 * The third answer, beside linux.c and posix.c, and the weakest that the
 * contract allows: a sleep may end for no reason, a wake reaches any one of the
 * sleepers, the clock may have moved on at every look. The look at the word and
 * the falling asleep are one step. No call orders memory. */
#include "engine.h"

#include "os/os.h"

#include <errno.h>

#define JUMP 2000000u /* ns: past every short patience of the library */

#define NOTE_FRAME() (ex_self()->live = (uintptr_t)__builtin_frame_address(0))

int pkd__os_wait(uint32_t* word, uint32_t expected, uint64_t deadline) {
  const void* pc = __builtin_return_address(0);
  uint32_t found;
  int rc;

  if (!ex.inside)
    ex_fail(EXPLORE_CRASH, "T%d sleeps in its setup", ex.current);
  NOTE_FRAME();
  ex_point();
  found = ex_kernel_read(word, pc);
  EX_TRACE(pc, "sleep  on %s while it is %u; it is %u%s",
           ex_arena_name((uintptr_t)word), expected, found,
           deadline == UINT64_MAX ? "" : "; timed");
  if (found != expected)
    return 0;
  if (deadline <= ex.now)
    return -ETIMEDOUT;
  rc = ex_sleep(word, expected, deadline);
  EX_TRACE(pc, "slept  on %s%s", ex_arena_name((uintptr_t)word),
           rc == 0 ? "" : "; timed out");
  return rc;
}

void pkd__os_wake(uint32_t* word) {
  const void* pc = __builtin_return_address(0);
  bool woke;

  if (!ex.inside)
    return;
  NOTE_FRAME();
  ex_point();
  ex_self()->clock.at[ex.current]++;
  ex_kernel_event(word);
  woke = ex_wake(word);
  EX_TRACE(pc, "wake   %s: %s", ex_arena_name((uintptr_t)word),
           woke ? "one sleeper" : "nobody");
}

uint64_t pkd__os_now(void) {
  if (ex.inside && ex.spent.jumps < ex_bounds.jumps &&
      ex_search_pick(2, EX_ENVIRONMENT) == 1) {
    ex.spent.jumps++;
    ex.now += JUMP;
    EX_TRACE(__builtin_return_address(0), "clock  is 2 ms later");
  }
  if (ex.quiet) /* what is measured takes long: a spin becomes a few looks */
    ex.now += JUMP;
  if (ex.inside)
    ex_event(ex.now);
  return ex.now;
}

unsigned pkd__os_cpus(void) {
  return ex_bounds.cpus > 0 ? (unsigned)ex_bounds.cpus : 1;
}

uintptr_t pkd__os_thread_id(void) {
  return (uintptr_t)ex_self();
}

bool pkd__os_now_and_then(void) {
  bool now = ex.inside && ex.spent.doubts < ex_bounds.doubts &&
             ex_search_pick(2, EX_ENVIRONMENT) == 1;

  if (now) {
    ex.spent.doubts++;
    EX_TRACE(__builtin_return_address(0), "now    is one of the rare times");
  }
  if (ex.inside)
    ex_event(now);
  return now;
}

bool pkd__os_at_times(void) {
  return pkd__os_now_and_then();
}

void pkd__os_relax(void) {
  explore_yield();
}

/* Threads of scenarios end without destructors. */
int pkd__os_at_thread_exit(struct pkd__exit_note* note) {
  (void)note;
  return -EAGAIN;
}

void pkd__os_at_lost_frames(void (*leave)(void)) {
  (void)leave;
}

/* Nor is one cancelled by the system. */
int pkd__os_forbid_cancel(void) {
  return 0;
}

void pkd__os_allow_cancel(int before) {
  (void)before;
}

/* Forked children are tested with real ones. */
void pkd__os_at_fork(void (*child)(void)) {
  (void)child;
}
