/* SPDX-License-Identifier: MIT
 *
 * deadlock.h - find deadlocks: those that are, and those that are waiting to be.
 *
 *   cc -DPKD_DEADLOCK ...          the calls of these units can be watched
 *   PARKADE_DEADLOCK=1 ./server    and are, from the first lock on
 *
 * Two things are reported, once each, when the call that makes them true begins
 * to wait: threads that wait for each other in a ring (certain: they hang unless
 * one has a deadline or is cancelled), and orders of locking that contradict each
 * other (potential: with other timing the threads would hang). A report names the
 * locks, the threads, and the file and line where each lock was taken and wanted.
 * The program goes on as if nothing had been said.
 *
 * The cost while it is off. A unit compiled without -DPKD_DEADLOCK pays nothing on a
 * fast path and refers to nothing of the watch; the library pays one predictable
 * branch where a thread goes to sleep. A unit compiled with it pays one such branch
 * per call. The inline fast paths are why the unit must choose, and the switch at
 * run time is for those units alone: what never leaves your code, a lock that was
 * free, cannot be seen from the library. Choose for all units that use a lock, or for
 * none: a lock taken in a watched unit and released in another is believed held.
 * clang's -Wthread-safety has nothing to say about a watched unit.
 *
 * What is believed of each kind:
 *
 *   mutex, fair, re-entrant   in rings and in orders; a thread that locks its own
 *                             plain mutex again is a ring of one
 *   rwlock                    the same by mode: readers do not exclude readers,
 *                             but a plain reader waits behind a waiting writer;
 *                             a recursive read does not, and is never blamed
 *   semaphore                 in rings, once it was seen used as a lock: released
 *                             by the thread that took it, never by another
 *   once                      in rings: its initializer runs in a thread
 *   condition                 as its mutex, while the wait is moved to it; whoever
 *                             would signal cannot be known, so no ring of that
 *   barrier, latch, event     the same: never blamed
 *   joining a thread          in rings, if you say so (pkd_deadlock_joining)
 *   try calls                 wait for nobody: they add no order that leads to
 *                             the lock tried, so "try, else back off" is legal
 *   calls with a deadline     in rings while they wait; in orders as try calls,
 *                             since they end and can back off
 *   gate locks                two orders that are only used under one common lock
 *                             do not contradict each other
 *
 * Tables of fixed size, no allocation. What does not fit is not watched and is
 * counted, see pkd_deadlock_missed(). Memory that is reused for another lock
 * would inherit the old lock's orders: say pkd_deadlock_forget().
 *
 * Source: the order graph of Linux's lockdep; gate locks as in GoodLock. */
#ifndef PARKADE_DEADLOCK_H
#define PARKADE_DEADLOCK_H

#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How sure a report is. */
typedef enum pkd_deadlock_verdict {
  PKD_DEADLOCK_CERTAIN = 1, /* these threads wait for each other now */
  PKD_DEADLOCK_POTENTIAL    /* they would, with other timing */
} pkd_deadlock_verdict_t;

/** One thread of a ring: it keeps what the one before it wants, and wants what
 * the next one keeps. */
typedef struct pkd_deadlock_step {
  uintptr_t thread; /* pkd_thread_id() */
  const char* kind; /* "mutex", "rwlock", ... of `wants`, "thread" if joining */
  const void* holds;     /* NULL: it stands ahead in the queue, or is joined */
  const char* held_file; /* where it was taken; NULL: not known */
  int held_line;
  const void* wants;     /* NULL: it joins a thread */
  const char* want_file; /* NULL: not known */
  int want_line;
} pkd_deadlock_step_t;

/** A ring of threads, or of orders. */
typedef struct pkd_deadlock_report {
  pkd_deadlock_verdict_t verdict;
  size_t count; /* of steps; 1: a thread that waits for itself */
  const pkd_deadlock_step_t* steps;
  void* const* frames; /* the reporting thread's stack, innermost first */
  size_t depth;        /* of frames; 0 where there is no backtrace */
} pkd_deadlock_report_t;

/** Told of a deadlock, in the thread that completes it, before it sleeps, with
 * nothing of the library locked. The report lives until it returns. It may use
 * any lock that is not part of the report; what it locks is not watched. The thread
 * cannot be cancelled meanwhile. */
typedef void (*pkd_deadlock_cb)(void* data,
                                const pkd_deadlock_report_t* report);

/** Switches the watch on (1) or off (0). Off forgets all it has seen. At start it
 * is on if the environment has PARKADE_DEADLOCK, not empty and not "0".
 *
 * @return what it was before
 * Threads:   any; not from a report
 * Blocks:    no */
PKD_API int pkd_deadlock_watch(int on);

/** Sends reports to `cb`; NULL: to stderr, as at start.
 * `data` is passed on to it.
 * Threads:   any; not from a report
 * Blocks:    no */
PKD_API void pkd_deadlock_on_report(pkd_deadlock_cb cb, void* data);

/** Forgets all about the locks in `size` bytes at `memory`: they end here. For
 * memory that is going to hold other locks, before it does.
 * Threads:   any; not from a report
 * Blocks:    no */
PKD_API void pkd_deadlock_forget(const void* memory, size_t size);

/** How often something did not fit the tables: 0 means no verdict was lost.
 *
 * Blocks:    no
 * Threads:   any */
PKD_API size_t pkd_deadlock_missed(void);

/** The calling thread is going to wait for the end of a thread, or for anything
 * else that only that thread can do.
 *
 * @param thread  pkd_thread_id() of that thread
 * Threads:   any; pkd_deadlock_joined() is owed afterwards
 * Blocks:    no */
PKD_API void pkd_deadlock_joining(uintptr_t thread);

/** The wait that pkd_deadlock_joining() began is over.
 *
 * Blocks:    no
 * Threads:   the one that began it */
PKD_API void pkd_deadlock_joined(void);

/* --- what the lock headers use ---------------------------------------------- */

enum pkd__watch_kind {
  PKD__WATCH_MUTEX = 1,
  PKD__WATCH_FAIR_MUTEX,
  PKD__WATCH_REMUTEX,
  PKD__WATCH_RWLOCK,
  PKD__WATCH_SEM,
  PKD__WATCH_ONCE
};

enum pkd__watch_mode {
  PKD__WATCH_EXCLUSIVE = 1,
  PKD__WATCH_SHARED,
  PKD__WATCH_SHARED_AGAIN, /* wanted only: a recursive read */
  PKD__WATCH_UPGRADABLE,
  PKD__WATCH_UPGRADE, /* wanted only: by a reader or an upgradable holder */
  PKD__WATCH_TRY = 8  /* with a mode: gives up rather than wait */
};

extern PKD_API uint8_t pkd__watching; /* atomic; 1: on */
PKD_API void pkd__watch_want(const void* object, unsigned kind, unsigned mode,
                             const char* file, int line);
PKD_API void pkd__watch_got(int rc);
PKD_API void pkd__watch_drop(const void* object, unsigned mode);
PKD_API void pkd__watch_lend(const void* object, unsigned kind, unsigned mode,
                             const char* file, int line);
PKD_API void pkd__watch_upgraded(int rc);
PKD_API void pkd__watch_turn(const void* object, unsigned from, unsigned to);

#ifdef PKD_DEADLOCK

static inline int pkd__is_watched(void) {
  return __builtin_expect(
             __atomic_load_n(&pkd__watching, __ATOMIC_RELAXED) != 0, 0) != 0;
}

static inline void* pkd__wanting(const void* object, unsigned kind,
                                 unsigned mode, const char* file, int line) {
  if (pkd__is_watched())
    pkd__watch_want(object, kind, mode, file, line);
  return (void*)(uintptr_t)object;
}

static inline int pkd__got(int rc) {
  if (pkd__is_watched())
    pkd__watch_got(rc);
  return rc;
}

static inline void* pkd__dropping(const void* object, unsigned mode) {
  if (pkd__is_watched())
    pkd__watch_drop(object, mode);
  return (void*)(uintptr_t)object;
}

static inline void* pkd__lending(const void* object, unsigned kind,
                                 unsigned mode, const char* file, int line) {
  if (pkd__is_watched())
    pkd__watch_lend(object, kind, mode, file, line);
  return (void*)(uintptr_t)object;
}

static inline int pkd__turned(int rc) {
  if (pkd__is_watched())
    pkd__watch_upgraded(rc);
  return rc;
}

static inline void* pkd__turning(const void* object, unsigned from,
                                 unsigned to) {
  if (pkd__is_watched())
    pkd__watch_turn(object, from, to);
  return (void*)(uintptr_t)object;
}

/* `object`, a pointer, on its way into a call that wants, gives up, or gives up
 * and wants again (a condition's lock, a bump). Then what the call returned. */
#define PKD__AS(object) (__typeof__(&*(object)))
#define PKD__WANT(object, kind, mode)                                          \
  (PKD__AS(object)                                                             \
       pkd__wanting((object), PKD__WATCH_##kind, (mode), __FILE__, __LINE__))
#define PKD__DROP(object, mode)                                                \
  (PKD__AS(object) pkd__dropping((object), (mode)))
#define PKD__LEND(object, kind, mode)                                          \
  (PKD__AS(object)                                                             \
       pkd__lending((object), PKD__WATCH_##kind, (mode), __FILE__, __LINE__))
#define PKD__GOT(rc) pkd__got(rc)
#define PKD__TURN(object, from, to)                                            \
  (PKD__AS(object) pkd__turning((object), (from), (to)))
#define PKD__TURNED(rc) pkd__turned(rc)

/* After a wait that gives its lock up and takes it again. */
#define PKD__GOT_AGAIN(rc) pkd__got_again(rc)

static inline int pkd__got_again(int rc) {
  if (pkd__is_watched())
    pkd__watch_got(rc == PKD_ENOTHELD ? rc : 0);
  return rc;
}

/* A watched section: what was wanted on the way in, is held; what is left, is
 * given up. `mode` 0 on the way out: however it is held by then. */
#define PKD__SEEN_SCOPE(name, scope_t, lock_t, enter, leave)                   \
  static inline scope_t pkd__seen_enter_##name(lock_t* lock) {                 \
    scope_t scope = enter(lock);                                               \
    pkd__got(0);                                                               \
    return scope;                                                              \
  }                                                                            \
  static inline void pkd__seen_leave_##name(scope_t* scope) {                  \
    pkd__dropping(scope->held, 0);                                             \
    leave(scope);                                                              \
  }
#define PKD__WITH_SEEN(name, scope_t, lock)                                    \
  PKD__WITH_SEEN_AS(name, scope_t, lock, PKD__NAME(pkd__scope_, __COUNTER__))
#define PKD__WITH_SEEN_AS(name, scope_t, lock, scope)                          \
  for (scope_t scope __attribute__((cleanup(pkd__seen_leave_##name))) =        \
           pkd__seen_enter_##name(lock);                                       \
       !scope.left; scope.left = 1)

#endif

#ifdef __cplusplus
}
#endif

#endif
