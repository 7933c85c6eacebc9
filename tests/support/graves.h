/* SPDX-License-Identifier: MIT
 *
 * graves.h - objects that are freed the moment they may be, again and again.
 *
 * Two threads use one object after the other. For each, one of them is told that
 * it is the last and frees it, while the call by which the other let go may still
 * be on its way home. What was freed is filled and, under AddressSanitizer,
 * forbidden: any touch is an error then; elsewhere a write is found when the
 * memory is used again. So a round costs little more than its calls, and there
 * can be a million of them. */
#ifndef PKD_TEST_GRAVES_H
#define PKD_TEST_GRAVES_H

#include <parkade/lot.h>

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

/** One way to use and to leave an object. */
struct mortal {
  const char* name;
  /* Makes a new object of zeroed memory; may be NULL. */
  void (*bear)(void* object);
  /* Uses it, in thread 0 or 1. `linger`: let the other get into the queue before
   * you let go. @return true: nobody uses it any more, free it */
  bool (*use)(void* object, unsigned number, bool linger);
};

/** Lets `rounds` objects live and die. `size` is that of one.
 * @return how many bytes were written after their end */
unsigned graves_fill(const struct mortal* mortal, size_t size, unsigned rounds);

/** How many rounds a test should do: what PKD_GRAVES says in the environment
 * (`./dev check free`: a million), or a few thousand. */
unsigned graves_rounds(void);

/** How often the other was seen in the queue; atomic, for who counts. */
extern unsigned graves_met;

/** Gives the other a moment to queue up at `key`, but not for ever. */
static inline void graves_linger(const void* key) {
  for (int i = 0; i < 200; i++) {
    if (pkd_lot_for_each(key, NULL, NULL) != 0) {
      __atomic_add_fetch(&graves_met, 1, __ATOMIC_RELAXED);
      return;
    }
    sched_yield();
  }
}

#endif
