/* SPDX-License-Identifier: MIT
 *
 * work_fair.c - two threads that want one fair mutex all the time; each keeps it
 * until the other has come, so that each unlock is a hand-off. The floor passes a
 * turn between two threads that sleep on a futex.
 *
 * Counted is how often the holder changed, not how often somebody locked. */
#define _GNU_SOURCE

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <parkade/fair_mutex.h>

#include "harness.h"
#include "peer.h"
#include "threads.h"
#include "workloads.h"

struct field {
  pkd_fair_mutex_t lock __attribute__((aligned(128)));
  uint32_t turn __attribute__((aligned(128))); /* atomic */
  uint32_t comes[2];                           /* atomic: it is about to lock */
  uint32_t last;    /* under the lock: who had it last */
  uint64_t changes; /* under the lock */
  uint32_t stop __attribute__((aligned(128)));
};

struct player {
  struct field* field;
  uint32_t me;
} __attribute__((aligned(128)));

static void count_change(struct field* f, uint32_t me) {
  f->changes += f->last != me;
  f->last = me;
}

static void play_fair(void* arg) {
  struct player* p = arg;
  struct field* f = p->field;

  while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
    __atomic_store_n(&f->comes[p->me], 1, __ATOMIC_RELEASE);
    pkd_fair_mutex_lock(&f->lock);
    __atomic_store_n(&f->comes[p->me], 0, __ATOMIC_RELEASE);
    count_change(f, p->me);
    while (!__atomic_load_n(&f->comes[1 - p->me], __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
    }
    pkd_fair_mutex_unlock(&f->lock);
  }
}

static void play_raw(void* arg) {
  struct player* p = arg;
  struct field* f = p->field;

  for (;;) {
    while (__atomic_load_n(&f->turn, __ATOMIC_ACQUIRE) != p->me)
      syscall(SYS_futex, &f->turn, FUTEX_WAIT_PRIVATE, 1 - p->me, NULL, NULL,
              0);
    if (__atomic_load_n(&f->stop, __ATOMIC_RELAXED))
      break;
    count_change(f, p->me);
    __atomic_store_n(&f->turn, 1 - p->me, __ATOMIC_RELEASE);
    syscall(SYS_futex, &f->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
  }
  __atomic_store_n(&f->turn, 1 - p->me, __ATOMIC_RELEASE); /* the other's end */
  syscall(SYS_futex, &f->turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

struct play {
  void (*body)(void* player);
};

static void fair_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  const struct play* play = peer;
  struct field f = {.last = 2};
  struct player player[2] = {{&f, 0}, {&f, 1}};
  uint64_t wall =
      threads_run(2, play->body, player, sizeof player[0], ms, &f.stop);

  (void)size;
  result->value[NS] = (double)wall / (double)f.changes;
  result->ops = (double)f.changes;
}

void work_fair(void) {
  static const struct play ours = {play_fair};
  static const struct play raw = {play_raw};
  static struct cell cell = {.id = "mutex/fair-turns",
                             .title = "fair mutex, two threads: hand-off",
                             .op = "hand-off",
                             .threads = 2};

  cell_add(&cell, "parkade", OURS, fair_round, &ours);
  cell_add(&cell, "raw futex", FLOOR, fair_round, &raw);
  cell_goal(&cell, "raw futex", NS, 1.1);
  cell_run(&cell);
}
