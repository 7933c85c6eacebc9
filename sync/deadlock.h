/* SPDX-License-Identifier: MIT
 *
 * deadlock.h - what the parts of the deadlock watch share.
 *
 *   deadlock.c         what the watch is told, and when it looks
 *   deadlock_ring.c    who holds what and waits for whom; rings of waiting
 *   deadlock_order.c   which lock was ever wanted under which; contradictions
 *   deadlock_report.c  a report, from what was found to the reader
 *
 * All of it is under one lock, the guard, taken by deadlock.c only; a report is
 * put together under it and sent after it. */
#ifndef PKD_SYNC_DEADLOCK_H
#define PKD_SYNC_DEADLOCK_H

#include <parkade/deadlock.h>
#include <parkade/lot.h>

#include <stdbool.h>

/* A line of the program. */
struct pkd__site {
  const char* file; /* NULL: not known */
  int line;
};

/* A lock that a thread holds, or wants. */
struct pkd__hold {
  const void* object;
  uint8_t kind, mode; /* pkd__watch_kind, pkd__watch_mode */
  uint32_t count;     /* how often, if the kind is re-entrant or counts */
  struct pkd__site site;
};

enum {
  PKD__RECORDS = 512, /* threads that are watched at a time */
  PKD__HOLDS = 48,    /* locks that one holds at a time */
  PKD__RING_MAX = 16,
  PKD__FRAMES_MAX = 32
};

/* A watched thread. */
struct pkd__record {
  uintptr_t thread;           /* 0: nobody's */
  const pkd_waiter_t* waiter; /* NULL: it does not sleep */
  uint64_t since;             /* when it began to want, as a number */
  uintptr_t joins;            /* 0: nobody */
  struct pkd__hold wanted;    /* object NULL: nothing, or not known */
  uint32_t count;
  struct pkd__hold held[PKD__HOLDS];
  bool stuck, seen; /* in the search under way */
};

extern struct pkd__record pkd__records[PKD__RECORDS];
extern size_t pkd__records_used; /* none beyond was ever used */

/* A report in the making. */
struct pkd__finding {
  pkd_deadlock_verdict_t verdict;
  size_t count; /* 0: nothing found */
  pkd_deadlock_step_t steps[PKD__RING_MAX];
};

/** Must one who wants it so wait for one who holds it so? `again` is for plain
 * reads against plain reads: true if writers may stand between. */
bool pkd__watch_conflict(unsigned wanted, unsigned held, bool again);

/** The last of these holds of `object`, in this mode or (0) in any. */
struct pkd__hold* pkd__find_hold(struct pkd__record* r, const void* object,
                                 unsigned mode);
void pkd__add_hold(struct pkd__record* r, const struct pkd__hold* hold);
void pkd__remove_hold(struct pkd__record* r, struct pkd__hold* hold);

/** A semaphore was released, by a thread that holds permits of it or another. */
void pkd__note_release(const void* sem, bool by_holder);

/** `mine` is about to sleep: finds the ring it closes, if it does. */
void pkd__ring_look(struct pkd__record* mine, struct pkd__finding* finding);
void pkd__ring_clear(void);

/** The calling thread holds `held[0..count)` and is going to wait for `wanted`:
 * notes the orders, and finds the first that contradicts an old one. */
void pkd__order_note(const struct pkd__hold* held, size_t count,
                     const struct pkd__hold* wanted,
                     struct pkd__finding* finding);

/** Forgets the locks in `size` bytes at `memory`; forgets all. */
void pkd__order_forget(const char* memory, size_t size);
void pkd__order_clear(void);

/** Counts something that did not fit. */
void pkd__watch_missed(void);

void pkd__report(const struct pkd__finding* finding, pkd_deadlock_cb cb,
                 void* data);

/** Makes the first backtrace, which may allocate, before it matters. */
void pkd__report_prepare(void);

const char* pkd__watch_name(unsigned kind);

#endif
