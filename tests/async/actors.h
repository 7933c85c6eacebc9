/* SPDX-License-Identifier: MIT
 *
 * actors.h - who asks for a lock in a test: a task of one loop, of another loop
 * on another thread, or a thread that blocks.
 *
 * A test that is written in terms of actors runs in three worlds: all actors on
 * one loop; on two loops in turn; on a loop and in threads in turn. Loop A is
 * the main thread's and turns only when the test says so; loop B has a thread of
 * its own and can be stalled. An actor records, the main thread asserts. */
#ifndef PKD_TEST_ACTORS_H
#define PKD_TEST_ACTORS_H

#include <parkade/async.h>

#include "support/test.h"

#include <stdatomic.h>

enum world { ONE_LOOP, TWO_LOOPS, LOOP_AND_THREADS };
enum place { LOOP_A, LOOP_B, THREAD };

/** What actors ask for. */
struct target {
  pkd_async_mutex_t* mutex; /* or NULL, as the others */
  pkd_async_sem_t* sem;
  pkd_async_rwlock_t* rwlock;
  pkd_async_cond_t* cond; /* with `mutex`, which the actor owns */
  uint32_t n;             /* permits; or a pkd_async_rwlock_mode_t */
};

enum { NOT_YET = 12345 };

struct actor {
  pkd_req_t req;
  enum place place;
  struct target target;
  uint64_t timeout; /* milliseconds, or PKD_NO_TIMEOUT */
  void (*then)(
      struct actor* actor); /* runs where the answer arrives, or NULL */
  void* arg;

  atomic_int status;  /* NOT_YET until the answer */
  atomic_int answers; /* how many came */
  int order;          /* 1 for the first answer in this world, then 2 ... */
  int started;        /* what the start returned; for a thread 0 */
  pthread_t thread;
  bool has_thread;
};

/** Opens the worlds' loops. For cmocka: setup, with the world in *state. */
int world_open(void** state);

/** Detaches and closes them, and fails the test if anything is left. */
int world_close(void** state);

/** One test for each world. */
#define IN_EACH_WORLD(test)                                                    \
  {#test " [one loop]", test, world_open, world_close, &worlds[0]},            \
      {#test " [two loops]", test, world_open, world_close, &worlds[1]}, {     \
#test " [loop and threads]", test, world_open, world_close, &worlds[2]     \
  }
#define IN_WORLD(test, which)                                                  \
  { #test, test, world_open, world_close, &worlds[which] }
#define IN_ONE_WORLD(test) IN_WORLD(test, ONE_LOOP)
extern enum world worlds[3];

extern pkd_loop_t loop_a, loop_b;
extern uv_loop_t uv_a, uv_b;

/** Where the nth of this world is, in turn. */
enum place place_of(unsigned number);

/** The next number in the order of the answers of this world. */
int next_order(void);

/** The nth actor of this world, idle, at its place, in `actors`. */
void actor_init(struct actor* actor, unsigned number, struct target target);

/** Starts it; returns when it has its answer, or is queued, or was refused.
 * @return what the start returned */
int actor_start(struct actor* actor);

/** The nth actor of this world, started, owns the target at once. */
void actor_own(struct actor* actor, unsigned number, struct target target);

/** The nth actor of this world, started, waits for the target. */
void actor_queue(struct actor* actor, unsigned number, struct target target);

/** An actor at this place, started. */
void actor_start_at(struct actor* actor, enum place place,
                    struct target target);

/** Turns loop A until the actor has its answer; @return the status. */
int actor_wait(struct actor* actor);

/** Gives back what the actor owns, on the calling thread. */
int actor_release(struct actor* actor);

/** Waits for its thread to end, if it has one. */
void actor_end(struct actor* actor);

/** Turns loop A once, without waiting. */
void turn_a(void);

/** Lets both loops deliver what they have. Not while B is stalled. */
void settle(void);

/** Runs `work` on loop B's thread, and waits for it. */
void on_loop_b(void (*work)(void* arg), void* arg);

/** Keeps loop B's thread busy until it is resumed. */
void stall_b(void);
void resume_b(void);

/** How many wait at an address. */
size_t waiting_at(const void* object);

struct target mutex_target(pkd_async_mutex_t* mutex);
struct target sem_target(pkd_async_sem_t* sem, uint32_t n);
struct target rwlock_target(pkd_async_rwlock_t* lock, uint32_t mode);
const void* target_address(struct target target);

#endif
