/* SPDX-License-Identifier: MIT
 *
 * stats.c - every function is one short section under one mutex. */
#include "stats.h"

#include <string.h>

void stats_add(struct stats* stats, enum figure figure, int64_t change) {
  pkd_mutex_lock(&stats->mutex);
  stats->figures[figure] += change;
  pkd_mutex_unlock(&stats->mutex);
}

void stats_raise(struct stats* stats, enum figure figure, int64_t at_least) {
  pkd_mutex_lock(&stats->mutex);
  if (stats->figures[figure] < at_least)
    stats->figures[figure] = at_least;
  pkd_mutex_unlock(&stats->mutex);
}

void stats_call(struct stats* stats, int64_t us) {
  pkd_mutex_lock(&stats->mutex);
  stats->figures[FIGURE_CALLS]++;
  stats->figures[FIGURE_CALLS_US] += us;
  pkd_mutex_unlock(&stats->mutex);
}

void stats_begin(struct stats* stats) {
  pkd_mutex_lock(&stats->mutex);
  stats->figures[FIGURE_BEGUN]++;
  stats->figures[FIGURE_WAITING]++;
  pkd_mutex_unlock(&stats->mutex);
}

void stats_enter(struct stats* stats) {
  pkd_mutex_lock(&stats->mutex);
  stats->figures[FIGURE_WAITING]--;
  stats->figures[FIGURE_INSIDE]++;
  pkd_mutex_unlock(&stats->mutex);
}

void stats_end(struct stats* stats, enum figure outcome, int64_t amount) {
  pkd_mutex_lock(&stats->mutex);
  if (outcome == FIGURE_CANCELLED)
    stats->figures[FIGURE_WAITING]--;
  else
    stats->figures[FIGURE_INSIDE]--;
  if (outcome == FIGURE_MOVED)
    stats->figures[FIGURE_AMOUNT] += amount;
  stats->figures[outcome]++;
  pkd_mutex_unlock(&stats->mutex);
}

void stats_read(struct stats* stats, int64_t figures[FIGURES]) {
  pkd_mutex_lock(&stats->mutex);
  memcpy(figures, stats->figures, sizeof stats->figures);
  pkd_mutex_unlock(&stats->mutex);
}

const char* stats_name(enum figure figure) {
  static const char* const names[FIGURES] = {
      [FIGURE_CLIENTS] = "clients",
      [FIGURE_HANGUPS] = "hangups",
      [FIGURE_COMMANDS] = "commands",
      [FIGURE_BEGUN] = "transfers_begun",
      [FIGURE_WAITING] = "transfers_waiting",
      [FIGURE_INSIDE] = "transfers_inside",
      [FIGURE_MOVED] = "transfers_done",
      [FIGURE_REFUSED] = "transfers_refused",
      [FIGURE_CANCELLED] = "transfers_cancelled",
      [FIGURE_FAILED] = "transfers_failed",
      [FIGURE_AMOUNT] = "amount_moved",
      [FIGURE_CALLS] = "database_calls",
      [FIGURE_CALLS_US] = "database_us",
      [FIGURE_STALL_US] = "longest_stall_us",
  };
  return names[figure];
}
