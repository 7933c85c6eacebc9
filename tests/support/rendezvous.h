/* SPDX-License-Identifier: MIT
 *
 * rendezvous.h - a place where threads wait for each other, again and again.
 *
 * What pthread_barrier_t is, which not every system has. It knows nothing of
 * the library under test. */
#ifndef PKD_TEST_RENDEZVOUS_H
#define PKD_TEST_RENDEZVOUS_H

#include <pthread.h>
#include <stdbool.h>

struct rendezvous {
  pthread_mutex_t mutex;
  pthread_cond_t all_here;
  unsigned size;
  unsigned here;        /* under the mutex, as the next */
  unsigned long rounds; /* how often all were here */
};

/** Makes one for `size` threads. */
void rendezvous_init(struct rendezvous* place, unsigned size);

/** Ends it. Everybody has come back from the last meeting. */
void rendezvous_end(struct rendezvous* place);

/** Waits until `size` threads are here.
 * @return true for the one who came last */
bool rendezvous_meet(struct rendezvous* place);

#endif
