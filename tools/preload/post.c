/* SPDX-License-Identifier: MIT
 *
 * post.c - sem_post() in a signal handler.
 *
 * To wake a waiter takes the lock of a bucket of the lot, for a moment. The thread
 * that a signal interrupts may hold that lock, or one that its holder waits for,
 * and would wait for itself. So each thread counts the bucket locks it holds or is
 * taking: the linker leads the lot's calls through here (--wrap, see meson.build).
 * A post that finds the count not zero is written down, and made by the
 * interrupted thread a few instructions later, when it holds none any more.
 *
 * All of it is one thread and its handlers, and a handler has ended when what it
 * interrupted goes on. So who makes what is owed finds that others have only
 * added to it; and one at a time does that, whoever interrupts it leaves it be. */
#include "post.h"

#include "atomic.h"
#include "bucket.h"
#include "panic.h"

/* Posts by handlers within one section of the lot, which is a moment. */
enum { MOST = 64 };

struct mine {
  uint32_t inside; /* bucket locks held, or being taken */
  uint32_t making; /* 1: what is owed is being made */
  uint32_t count;  /* of what is owed */
  pkd_sem_t* owed[MOST];
};

static _Thread_local struct mine mine;

/* relaxed, in this file: seen by this thread and its handlers alone; what counts is
 * that the compiler leaves each where it stands. */
static void enter(void) {
  pkd__store_relaxed(&mine.inside, pkd__load_relaxed(&mine.inside) + 1);
}

static void make_what_is_owed(void) {
  uint32_t made = 0;
  uint32_t count;

  do {
    while (made < pkd__load_relaxed(&mine.count)) { /* relaxed: as above */
      pkd_sem_t* s = mine.owed[made++];

      if (pkd_sem_release(s, 1) == -EOVERFLOW)
        pkd__panic("sem_post", s, "was called in a signal handler too often");
    }
    count = made;
  } while (!pkd__cas_relaxed(&mine.count, &count, 0)); /* relaxed: as above */
}

static void leave(void) {
  uint32_t inside = pkd__load_relaxed(&mine.inside) - 1; /* relaxed: as above */

  pkd__store_relaxed(&mine.inside, inside); /* relaxed: as above */
  /* Again, if something was written down after the last look of the maker. */
  while (inside == 0 && pkd__load_relaxed(&mine.count) != 0 && /* as above */
         pkd__load_relaxed(&mine.making) == 0) {
    pkd__store_relaxed(&mine.making, 1); /* relaxed: as above */
    make_what_is_owed();
    pkd__store_relaxed(&mine.making, 0); /* relaxed: as above */
  }
}

int post(pkd_sem_t* s) {
  uint32_t place;

  if (pkd__load_relaxed(&mine.inside) == 0) /* relaxed: as above */
    return pkd_sem_release(s, 1);
  place = pkd__add_relaxed(&mine.count, 1); /* relaxed: as above */
  if (place >= MOST)
    pkd__panic("sem_post", s, "was called by too many signal handlers at once");
  pkd__store_relaxed(&mine.owed[place], s); /* relaxed: as above */
  return 0;
}

/* --- what the linker calls instead ----------------------------------------- */

struct pkd__bucket* __real_pkd__bucket_lock(const void* key);
struct pkd__bucket* __real_pkd__bucket_lock_of(const pkd_waiter_t* waiter);
struct pkd__bucket* __real_pkd__bucket_lock_nth(unsigned n);
void __real_pkd__bucket_lock_two(const void* a, const void* b,
                                 struct pkd__bucket** bucket_a,
                                 struct pkd__bucket** bucket_b);
void __real_pkd__bucket_unlock(struct pkd__bucket* bucket);
void __real_pkd__bucket_unlock_two(struct pkd__bucket* a,
                                   struct pkd__bucket* b);

struct pkd__bucket* __wrap_pkd__bucket_lock(const void* key);
struct pkd__bucket* __wrap_pkd__bucket_lock_of(const pkd_waiter_t* waiter);
struct pkd__bucket* __wrap_pkd__bucket_lock_nth(unsigned n);
void __wrap_pkd__bucket_lock_two(const void* a, const void* b,
                                 struct pkd__bucket** bucket_a,
                                 struct pkd__bucket** bucket_b);
void __wrap_pkd__bucket_unlock(struct pkd__bucket* bucket);
void __wrap_pkd__bucket_unlock_two(struct pkd__bucket* a,
                                   struct pkd__bucket* b);

struct pkd__bucket* __wrap_pkd__bucket_lock(const void* key) {
  enter();
  return __real_pkd__bucket_lock(key);
}

struct pkd__bucket* __wrap_pkd__bucket_lock_of(const pkd_waiter_t* waiter) {
  enter();
  return __real_pkd__bucket_lock_of(waiter);
}

struct pkd__bucket* __wrap_pkd__bucket_lock_nth(unsigned n) {
  enter();
  return __real_pkd__bucket_lock_nth(n);
}

void __wrap_pkd__bucket_lock_two(const void* a, const void* b,
                                 struct pkd__bucket** bucket_a,
                                 struct pkd__bucket** bucket_b) {
  enter();
  __real_pkd__bucket_lock_two(a, b, bucket_a, bucket_b);
}

void __wrap_pkd__bucket_unlock(struct pkd__bucket* bucket) {
  __real_pkd__bucket_unlock(bucket);
  leave();
}

void __wrap_pkd__bucket_unlock_two(struct pkd__bucket* a,
                                   struct pkd__bucket* b) {
  __real_pkd__bucket_unlock_two(a, b);
  leave();
}
