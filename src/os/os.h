/* SPDX-License-Identifier: MIT
 *
 * os.h - all that Parkade asks of an operating system.
 *
 * linux.c answers with futexes, posix.c with pthread mutexes and conditions;
 * the schedule explorer brings a third answer. Nothing above knows which.
 *
 * A word here is 32 bits, aligned, changed with atomic operations by its owner.
 * The address given to pkd__os_wake is never read: it may be the word of a
 * waiter that has left already, so a wake can reach a stranger who sleeps on
 * the same address now. Every caller of pkd__os_wait looks again. */
#ifndef PKD_OS_H
#define PKD_OS_H

#include <stdbool.h>
#include <stdint.h>

/** Sleeps while *word == expected, until a wake, the deadline or anything else.
 *
 * @param word      the word; the comparison and the falling asleep are one step
 *                  with respect to pkd__os_wake on the same address
 * @param expected  returns at once when *word differs
 * @param deadline  nanoseconds of pkd__os_now(), UINT64_MAX for never
 * @return 0           woken, or not, or a signal came, or *word differed
 *         -ETIMEDOUT  the deadline has passed */
int pkd__os_wait(uint32_t* word, uint32_t expected, uint64_t deadline);

/** Wakes at least one thread asleep on `word`, if there is one.
 * Orders nothing: the caller has changed *word before. */
void pkd__os_wake(uint32_t* word);

/** Nanoseconds on the monotonic clock. */
uint64_t pkd__os_now(void);

/** How many processors this process may run on; at least 1. */
unsigned pkd__os_cpus(void);

/** The calling thread's number: not 0, not that of another living thread. */
uintptr_t pkd__os_thread_id(void);

/** True once in a few hundred calls of the calling thread: for what need not be
 * done each time. Costs next to nothing. */
bool pkd__os_now_and_then(void);

/** The same by the clock, which it reads: true for the calling thread if a quarter
 * of a millisecond has gone since it was true for it. */
bool pkd__os_at_times(void);

/** Tells the processor that this is a spin loop. */
void pkd__os_relax(void);

/** What is to be done when a thread ends; in memory of that thread. */
struct pkd__exit_note {
  void (*leave)(struct pkd__exit_note* note);
  struct pkd__exit_note* next; /* the system's, from here on */
  int rounds;
};

/** Calls note->leave(note) when the calling thread ends, late among its
 * destructors. Not for the thread that returns from main.
 * @return 0; -EAGAIN, -ENOMEM: the system cannot */
int pkd__os_at_thread_exit(struct pkd__exit_note* note);

/** Where a thread that is cancelled, or ends itself, leaves its frames as they are
 * instead of unwinding them: calls `give_back` when the calling thread ends, late
 * among its destructors and while its stack is still there. Elsewhere it does
 * nothing. Always the same function; calling this again is harmless. */
void pkd__os_at_lost_frames(void (*give_back)(void));

/** From here on the calling thread is not cancelled.
 * @return for pkd__os_allow_cancel(), which makes it as it was */
int pkd__os_forbid_cancel(void);
void pkd__os_allow_cancel(int before);

/** The calling thread's stack, innermost first. May allocate the first time.
 * @return how many frames; 0 where it cannot be had */
int pkd__os_backtrace(void** frames, int max);

/** Writes frames to stderr, one a line. Allocates nothing. */
void pkd__os_print_frames(void* const* frames, int count);

/** Calls `child` in the child of every fork() from now on. Called once. */
void pkd__os_at_fork(void (*child)(void));

#endif
