/* SPDX-License-Identifier: MIT
 *
 * threads.c - a team of threads that start together. */
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>

static void must(int rc, const char* what);
static void* member_main(void* arg);

void team_start(struct team* team, unsigned size, team_fn work, void* arg) {
  must(size == 0 || size > TEAM_MAX, "a team of that size");
  team->work = work;
  team->arg = arg;
  team->size = size;
  rendezvous_init(&team->start, size);
  for (unsigned i = 0; i < size; i++) {
    struct team_member* member = &team->members[i];

    member->team = team;
    member->number = i;
    must(pthread_create(&member->thread, NULL, member_main, member),
         "a thread");
  }
}

void team_join(struct team* team) {
  for (unsigned i = 0; i < team->size; i++)
    must(pthread_join(team->members[i].thread, NULL), "a join");
  rendezvous_end(&team->start);
  team->size = 0;
}

void team_run(unsigned size, team_fn work, void* arg) {
  struct team team;

  team_start(&team, size, work, arg);
  team_join(&team);
}

static void* member_main(void* arg) {
  struct team_member* member = arg;

  rendezvous_meet(&member->team->start);
  member->team->work(member->team->arg, member->number);
  return NULL;
}

/* A test that lacks a thread proves nothing: it must not go on. */
static void must(int rc, const char* what) {
  if (rc == 0)
    return;
  fprintf(stderr, "threads.c: no %s (%d)\n", what, rc);
  abort();
}
