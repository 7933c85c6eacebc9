/* SPDX-License-Identifier: MIT
 *
 * waits.h - every call that can wait, as a table, for faults to be tried on.
 *
 * waits_sync.c has the calls that park a thread, waits_async.c the blocking calls
 * of the asynchronous locks; a test of this folder is linked with either.
 *
 * The main thread has what is waited for: take() gets it, give() lets one waiter
 * through. Both may be repeated. A wait that got through has given back what it
 * got when it returns. */
#ifndef PKD_TEST_WAITS_H
#define PKD_TEST_WAITS_H

#include "sync/kit.h"

#include <errno.h>

enum wait_sort {
  LOCK,   /* taken and given while others wait and hold it */
  SHARED, /* the same, but who waits has a share of the object already */
  OPENED, /* once given it stays open; take() makes it anew */
  CALLED  /* who waits is let through, who comes later is not */
};

struct wait_kind {
  const char* name;
  enum wait_sort sort;
  void (*take)(void);
  /* @return 0, -ETIMEDOUT, or what it should not */
  int (*wait)(pkd_deadline_t deadline);
  void (*give)(void);
  const void* key; /* where it waits */
};

extern struct wait_kind wait_kinds[]; /* a key may be known after take() */
extern const size_t wait_kind_count;

/** One thread that waits. */
struct waiting {
  const struct wait_kind* kind;
  pkd_deadline_t deadline;
  pthread_t thread;
  int rc;      /* what the wait returned, once joined */
  int ended;   /* atomic: it has returned */
  uint64_t at; /* when */
};

static inline void* wait_in_thread(void* arg) {
  struct waiting* w = arg;

  w->rc = w->kind->wait(w->deadline);
  w->at = waitfor_now();
  __atomic_store_n(&w->ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

/** Starts a thread that waits for what the main thread has taken, and returns
 * once it does. */
static inline void start_waiting(struct waiting* w,
                                 const struct wait_kind* kind,
                                 pkd_deadline_t deadline) {
  size_t before = waiting_at(kind->key);

  memset(w, 0, sizeof *w);
  w->kind = kind;
  w->deadline = deadline;
  w->rc = 12345;
  assert_int_equal(pthread_create(&w->thread, NULL, wait_in_thread, w), 0);
  WAIT_FOR(waiting_at(kind->key) > before ||
           __atomic_load_n(&w->ended, __ATOMIC_ACQUIRE) != 0);
}

/** @return what the wait returned */
static inline int join_waiting(struct waiting* w) {
  pthread_join(w->thread, NULL);
  return w->rc;
}

/** Nobody waits anywhere, and each kind can be taken and given as before. */
static inline void all_is_as_it_was(void) {
  for (size_t i = 0; i < wait_kind_count; i++) {
    if (waiting_at(wait_kinds[i].key) != 0)
      fail_msg("somebody waits for %s", wait_kinds[i].name);
    wait_kinds[i].take();
    if (wait_kinds[i].wait(0) != -ETIMEDOUT)
      fail_msg("%s does not wait any more", wait_kinds[i].name);
    wait_kinds[i].give();
  }
}

#endif
