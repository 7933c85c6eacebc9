/* SPDX-License-Identifier: MIT
 *
 * threads.h - a team of threads that start together.
 *
 * A cmocka assert off the main thread ends the process without a word. So a
 * member only records, in memory that is its own or atomic, and the main thread
 * asserts after team_join(), which makes all records visible. */
#ifndef PKD_TEST_THREADS_H
#define PKD_TEST_THREADS_H

#include <pthread.h>

#include "rendezvous.h"

enum { TEAM_MAX = 256 };

/** What a member does. `number` counts from 0. */
typedef void (*team_fn)(void* arg, unsigned number);

struct team;

struct team_member {
  struct team* team;
  unsigned number;
  pthread_t thread;
};

struct team {
  team_fn work;
  void* arg;
  unsigned size;
  struct rendezvous start;
  struct team_member members[TEAM_MAX];
};

/** Starts `size` threads; none enters `work` before all of them exist.
 * Ends the process when a thread cannot be made. */
void team_start(struct team* team, unsigned size, team_fn work, void* arg);

/** Waits until every member has returned. */
void team_join(struct team* team);

/** Starts a team and joins it. */
void team_run(unsigned size, team_fn work, void* arg);

#endif
