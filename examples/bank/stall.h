/* SPDX-License-Identifier: MIT
 *
 * stall.h - how long a loop did not look at its sockets.
 *
 * libuv counts the time a loop sleeps in its poll. What remains of a turn is
 * time in which callbacks ran and every client waited: the turn's stall. */
#ifndef BANK_STALL_H
#define BANK_STALL_H

#include <uv.h>

struct stats;

struct stall_watch {
  uv_prepare_t prepare;
  struct stats* stats;
  uint64_t turn_began;
  uint64_t idle_before;
  uint64_t longest; /* what has been reported */
};

/* Before anything else runs on the loop; reports to FIGURE_STALL_US. */
void stall_watch_start(struct stall_watch* watch, uv_loop_t* loop,
                       struct stats* stats);
void stall_watch_stop(struct stall_watch* watch);

#endif
