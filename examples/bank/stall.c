/* SPDX-License-Identifier: MIT
 *
 * stall.c - a turn of the loop lasts from one prepare callback to the next. */
#include "stall.h"

#include <stddef.h>

#include "stats.h"

static void on_prepare(uv_prepare_t* prepare);

void stall_watch_start(struct stall_watch* watch, uv_loop_t* loop,
                       struct stats* stats) {
  watch->stats = stats;
  uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
  uv_prepare_init(loop, &watch->prepare);
  watch->prepare.data = watch;
  uv_prepare_start(&watch->prepare, on_prepare);
  uv_unref((uv_handle_t*)&watch->prepare);
  watch->turn_began = uv_hrtime();
}

void stall_watch_stop(struct stall_watch* watch) {
  uv_close((uv_handle_t*)&watch->prepare, NULL);
}

static void on_prepare(uv_prepare_t* prepare) {
  struct stall_watch* watch = prepare->data;
  uint64_t now = uv_hrtime();
  uint64_t idle = uv_metrics_idle_time(prepare->loop);
  uint64_t turn = now - watch->turn_began;
  uint64_t slept = idle - watch->idle_before;
  if (turn > slept && turn - slept > watch->longest) {
    watch->longest = turn - slept;
    stats_raise(watch->stats, FIGURE_STALL_US,
                (int64_t)(watch->longest / 1000));
  }
  watch->turn_began = now;
  watch->idle_before = idle;
}
