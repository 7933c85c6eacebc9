/* SPDX-License-Identifier: MIT
 *
 * soak.h - what the parts of the soak share: who acts, what is guarded, and what
 * is counted.
 *
 * An actor is a worker thread or a loop. Everything in its `struct self` is its
 * own between two standstills and the main thread's while all stand still, but
 * for the mark, which the main thread watches. */
#ifndef PKD_SOAK_H
#define PKD_SOAK_H

#include <parkade/async.h>
#include <parkade/barrier.h>
#include <parkade/cancel.h>
#include <parkade/cell.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/lot.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

#include "support/rng.h"

#include <stdbool.h>

enum { WORKERS = 8, LOOPS = 3, ACTORS = WORKERS + LOOPS };

#define US UINT64_C(1000)
#define MS (1000 * US)
#define SECOND (1000 * MS)

/* Every kind of wait, blocking or in a loop; counted apart. */
#define KINDS(X)                                                               \
  X(MUTEX, "pkd_mutex")                                                        \
  X(FAIR, "pkd_fair_mutex")                                                    \
  X(REMUTEX, "pkd_remutex")                                                    \
  X(READ, "pkd_rwlock read")                                                   \
  X(WRITE, "pkd_rwlock write")                                                 \
  X(UP, "pkd_rwlock up")                                                       \
  X(UPGRADE, "pkd_rwlock upgrade")                                             \
  X(COND, "pkd_cond")                                                          \
  X(SEM, "pkd_sem")                                                            \
  X(BARRIER, "pkd_barrier")                                                    \
  X(LATCH, "pkd_latch")                                                        \
  X(EVENT, "pkd_event")                                                        \
  X(ONCE, "pkd_once")                                                          \
  X(CELL, "PKD_CELL")                                                          \
  X(PARK, "pkd_thread_park")                                                   \
  X(A_MUTEX, "pkd_async_mutex")                                                \
  X(A_SEM, "pkd_async_sem")                                                    \
  X(A_RWLOCK, "pkd_async_rwlock")                                              \
  X(A_UPGRADE, "pkd_async_rwlock upgrade")                                     \
  X(A_COND, "pkd_async_cond")                                                  \
  X(A_EVENT, "pkd_async_event")                                                \
  X(A_BARRIER, "pkd_async_barrier")                                            \
  X(A_ONCE, "pkd_async_once")                                                  \
  X(A_KEYED, "pkd_async_keyed")                                                \
  X(A_MANY, "pkd_many")                                                        \
  X(A_WORK, "pkd_queue_work")

#define AS_ENUM(name, text) name,
enum kind { KINDS(AS_ENUM) KIND_COUNT };
#undef AS_ENUM

extern const char* const kind_names[KIND_COUNT];

/* Plain counters, each guarded by one of the locks. */
enum {
  AT_MUTEX = 0,                 /* 3 */
  AT_FAIR = AT_MUTEX + 3,       /* 2 */
  AT_REMUTEX = AT_FAIR + 2,     /* 1 */
  AT_RWLOCK = AT_REMUTEX + 1,   /* 3, one of each policy */
  AT_A_MUTEX = AT_RWLOCK + 3,   /* 3 */
  AT_A_RWLOCK = AT_A_MUTEX + 3, /* 2 */
  AT_KEY = AT_A_RWLOCK + 2,     /* 4 */
  GUARDED = AT_KEY + 4
};

extern uint64_t guarded[GUARDED];

/* What became of the waits of one kind. */
struct count {
  uint64_t asked, granted, late, cancelled, refused;
  uint64_t longest; /* nanoseconds from the call to the answer */
};

struct self {
  unsigned number;
  rng_t rng;
  struct count counts[KIND_COUNT];
  uint64_t entered[GUARDED];
  uint64_t called, a_called; /* waiters at conditions that were signalled */
  uint64_t leads, a_leads;   /* barriers that this one completed */
  uint64_t fires, detached, closed;
  uint64_t wrong;
  const char* first_wrong;

  /* atomic: the call it stands in; since is 0 between calls */
  uint64_t since;
  const void* object;
  unsigned kind;
};

extern struct self actors[ACTORS];

/** Set while all stand still. */
extern uint64_t leg_ends;

bool leg_is_over(void);

uint64_t chance(struct self* self, uint64_t below);

/** Now and then lets others go first, or sleeps for some microseconds. */
void linger(struct self* self);

/** A moment to come, within a few milliseconds; sometimes a past one. */
pkd_deadline_t soon(struct self* self);

/** Counts what must not be. */
#define EXPECT(self, fact) expect_fact(self, fact, #fact)
void expect_fact(struct self* self, bool fact, const char* text);

/** A wait begins, in the calling thread, and ends with `rc`. */
void wait_begins(struct self* self, enum kind kind, const void* object);
void wait_ends(struct self* self, int rc);

/** What came of one wait that took so long. */
void count_wait(struct self* self, enum kind kind, int rc, uint64_t took);

/** Under the lock of `guarded[which]`. */
void write_guarded(struct self* self, unsigned which);
void read_guarded(struct self* self, unsigned which);

/** While all stand still: counts what is not as it has to be. */
#define MUST(fact) must_hold(fact, #fact)
void must_hold(bool fact, const char* text);

/* --- tokens.c: a token per worker, that the others fire --- */
void tokens_init(void); /* once */
void tokens_open(bool fired_soon);
void tokens_fire_all(void);
void tokens_check(void);
const pkd_cancel_t* token_of(struct self* self);
void token_close(struct self* self);
void fire_somebody(struct self* self);

/* --- locks.c: one random thing with a lock for threads --- */
void locks_open(void);
void locks_begin_leg(struct self* self);
void locks_do(struct self* self);
void locks_end_leg(struct self* self);
void locks_check(void);

/* --- tasks.c, loops.c: the locks for loops --- */
void tasks_open(void);
void tasks_close_one(struct rng* rng);
void tasks_drained(void);
void tasks_check(void);
void tasks_block(struct self* self);

void* loop_main(void* self);

/** Cancels some task of some loop, and gives back what somebody lost. */
void loops_disturb(struct self* self);

/** Says so if a task of a loop waits for longer than `limit`.
 * @return whether one does */
bool loops_look(uint64_t limit);

/** All actors and the main thread: the beginning of a leg, and its end. */
void meet(void);
extern bool over; /* set while all stand still */

#endif
