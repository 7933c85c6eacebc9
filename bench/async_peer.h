/* SPDX-License-Identifier: MIT
 *
 * async_peer.h - a lock library for tasks, as the benchmark sees it.
 *
 * Each function runs one round and returns its nanoseconds; NULL where a peer
 * has no such thing. A task is what the library makes of it: a request with
 * callbacks, a Rust future. "Yield" puts the task behind the ready ones in the
 * library's own ready list; it is not a turn of the poller, which every library
 * takes once in so many of them. (tokio's yield_now() is one, since 1.23, and is
 * not what is measured.) The end of a task and its memory are no library's lock,
 * and not timed. */
#ifndef BENCH_ASYNC_PEER_H
#define BENCH_ASYNC_PEER_H

#include <stdint.h>

struct async_peer {
  const char* name;
  /* trylock + unlock, `count` times */
  uint64_t (*try_pairs)(uint64_t count);
  /* lock by callback (await) + unlock of a free lock, one task */
  uint64_t (*lock_pairs)(uint64_t count);
  /* `tasks` on one loop, each holds the lock over a yield; `count` hand-offs,
   * after each task had its first */
  uint64_t (*yields)(uint64_t tasks, uint64_t count);
  /* `tasks` queue while the lock is held, then it is passed through all of them;
   * *enqueued is the first half's time, the result the second's. A future queues
   * when it is first polled, so the first half has the runtime's step to it */
  uint64_t (*burst)(uint64_t tasks, uint64_t* enqueued);
  /* `tasks` queue; then each cancels, in another order; the cancels' time */
  uint64_t (*cancel)(uint64_t tasks);
  /* the same, until each task has been told */
  uint64_t (*cancel_and_tell)(uint64_t tasks);
  /* two loops on two threads, one task each, which pass one lock to and fro;
   * both have queued before the first has it */
  uint64_t (*cross)(uint64_t count);
  /* two loops, `tasks` on each, hold over a yield; `count` hand-offs in all */
  uint64_t (*loops)(uint64_t tasks, uint64_t count);
  /* k permits over a yield, `tasks` on one loop, two permits each */
  uint64_t (*permits)(uint64_t k, uint64_t tasks, uint64_t count);
  /* a rwlock over a yield, one of ten writes, `tasks` on one loop */
  uint64_t (*rwlocks)(uint64_t tasks, uint64_t count);
  /* from a thread's unlock to the callback on a loop that slept: the median */
  uint64_t (*wake)(uint64_t count);
  /* four tasks on one loop and two threads that block, all on one lock, for `ms`;
   * returns the operations, *longest is the longest wait */
  uint64_t (*mixed)(uint64_t ms, uint64_t* longest);
};

#endif
