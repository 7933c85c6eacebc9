/* SPDX-License-Identifier: MIT
 *
 * work_lot.c - the lot with many addresses: what one wait and one wake cost when
 * 10 or 100,000 other addresses have a waiter. Continuations, so that the
 * kernel's part does not hide the lot's. */
#include <stdlib.h>

#include <parkade/lot.h>

#include "harness.h"
#include "peer.h"
#include "workloads.h"

struct crowd {
  uint64_t addresses;
};

static uint64_t woken;

static void wake(pkd_waiter_t* waiter) {
  (void)waiter;
  woken++;
}

static void crowd_round(const void* peer, const void* size, unsigned ms,
                        struct result* result) {
  const struct crowd* s = size;
  pkd_waiter_t* waiter = calloc(s->addresses, sizeof *waiter);
  char* key = calloc(s->addresses, 64);
  uint64_t count = (uint64_t)ms * 4000;
  uint64_t at = 0;
  uint64_t begin;
  uint64_t used;

  (void)peer;
  for (uint64_t i = 0; i < s->addresses; i++) {
    waiter[i].wake = wake;
    pkd_lot_enqueue(key + 64 * i, &waiter[i], NULL, NULL);
  }
  used = bench_used();
  begin = bench_now();
  for (uint64_t i = 0; i < count; i++) {
    at = (at + 7919) % s->addresses;
    pkd_lot_unpark_one(key + 64 * at, NULL, NULL);
    pkd_lot_enqueue(key + 64 * at, &waiter[at], NULL, NULL);
  }
  result->value[NS] = (double)(bench_now() - begin) / (double)count;
  result->value[CPU] = (double)(bench_used() - used) / (double)count;
  for (uint64_t i = 0; i < s->addresses; i++)
    pkd_lot_unpark_one(key + 64 * i, NULL, NULL);
  free(key);
  free(waiter);
}

/* The candidates of this cell are sizes, all of them ours. */
static void ten_round(const void* peer, const void* size, unsigned ms,
                      struct result* result) {
  static const struct crowd ten = {10};

  (void)size;
  crowd_round(peer, &ten, ms, result);
}

void work_lot(void) {
  static const struct crowd crowd = {100000};
  static struct cell cell = {
      .id = "lot/addresses",
      .title = "one wait and wake while 100,000 or 10 addresses have waiters",
      .op = "wait + wake",
      .size = &crowd,
      .threads = 1,
      .by_hand = true};

  cell_add(&cell, "parkade, 100,000", OURS, crowd_round, NULL);
  cell_add(&cell, "parkade, 10", FLOOR, ten_round, NULL);
  cell_goal(&cell, "parkade, 10", CPU, 1.5);
  cell_run(&cell);
}
