/* SPDX-License-Identifier: MIT
 *
 * work_locked.c - thousands of works under one lock, and what an unrelated file
 * read has of them: pkd_queue_work(), which takes the lock before it takes a
 * thread of the pool, beside works that wait for the lock in the pool.
 *
 * The pool has its four threads of default. A work holds the lock for 10 us of
 * computing. The reads come one after the other, each of 4 KB from /dev/zero, so
 * that no disk is measured. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <parkade/async.h>
#include <parkade/mutex.h>

#include "harness.h"
#include "peer.h"
#include "peers/must.h"
#include "workloads.h"

enum { WORK_NS = 10000, MOST_READS = 100000 };

struct load;

struct work {
  pkd_work_t locked;
  uv_work_t plain;
  struct load* load;
};

struct load {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_async_mutex_t task_lock;
  pkd_mutex_t thread_lock;
  struct work* work;
  uint64_t works;
  uint64_t done;
  uint64_t sum; /* under the lock */
  uint64_t asked;
  unsigned reads;
  uv_fs_t read;
  uv_file file;
  char page[4096];
};

static uint64_t took[MOST_READS];

static void compute(struct load* l) {
  uint64_t until = bench_now() + WORK_NS;

  while (bench_now() < until)
    l->sum++;
}

/* --- ours ------------------------------------------------------------------ */

static void locked_run(pkd_work_t* work) {
  compute(((struct work*)work->data)->load);
}

static void locked_after(pkd_work_t* work, int status) {
  must(status, "work");
  ((struct work*)work->data)->load->done++;
}

static void queue_locked(struct load* l) {
  for (uint64_t i = 0; i < l->works; i++) {
    l->work[i].locked.data = &l->work[i];
    must(pkd_queue_work(&l->loop, &l->work[i].locked,
                        pkd_take_mutex(&l->task_lock), locked_run,
                        locked_after),
         "pkd_queue_work");
  }
}

/* --- the blocking way ------------------------------------------------------ */

static void plain_run(uv_work_t* work) {
  struct load* l = ((struct work*)work->data)->load;

  pkd_mutex_lock(&l->thread_lock);
  compute(l);
  pkd_mutex_unlock(&l->thread_lock);
}

static void plain_after(uv_work_t* work, int status) {
  must(status, "work");
  ((struct work*)work->data)->load->done++;
}

static void queue_plain(struct load* l) {
  for (uint64_t i = 0; i < l->works; i++) {
    l->work[i].plain.data = &l->work[i];
    must(uv_queue_work(&l->uv, &l->work[i].plain, plain_run, plain_after),
         "uv_queue_work");
  }
}

/* --- the reads ------------------------------------------------------------- */

static void on_read(uv_fs_t* fs);

static void ask(struct load* l) {
  uv_buf_t buf = uv_buf_init(l->page, sizeof l->page);

  l->asked = bench_now();
  l->read.data = l;
  must(uv_fs_read(&l->uv, &l->read, l->file, &buf, 1, 0, on_read),
       "uv_fs_read");
}

static void on_read(uv_fs_t* fs) {
  struct load* l = fs->data;

  if (l->reads < MOST_READS)
    took[l->reads++] = bench_now() - l->asked;
  uv_fs_req_cleanup(fs);
  if (l->done < l->works)
    ask(l);
}

/* --- rounds ---------------------------------------------------------------- */

struct way {
  void (*queue)(struct load* load);
};

static uint64_t run_load(const struct way* way, uint64_t works,
                         struct load* l) {
  uint64_t begin;
  uint64_t wall;

  memset(l, 0, sizeof *l);
  must(uv_loop_init(&l->uv), "uv_loop_init");
  must(pkd_loop_attach(&l->loop, &l->uv), "attach");
  l->file = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  l->works = works;
  l->work = calloc(works, sizeof *l->work);
  for (uint64_t i = 0; i < works; i++)
    l->work[i].load = l;
  begin = bench_now();
  way->queue(l);
  ask(l);
  uv_run(&l->uv, UV_RUN_DEFAULT);
  wall = bench_now() - begin;
  must(pkd_loop_detach(&l->loop, NULL), "detach");
  uv_run(&l->uv, UV_RUN_DEFAULT);
  must(uv_loop_close(&l->uv), "uv_loop_close");
  free(l->work);
  uv_fs_t closing;
  uv_fs_close(NULL, &closing, l->file, NULL);
  return wall;
}

static void read_round(const void* peer, const void* size, unsigned ms,
                       struct result* result) {
  static struct load l;
  double sum = 0;

  (void)ms;
  run_load(peer, *(const uint64_t*)size, &l);
  for (unsigned i = 0; i < l.reads; i++) {
    sum += (double)took[i];
    if ((double)took[i] > result->value[LONGEST])
      result->value[LONGEST] = (double)took[i];
  }
  result->value[NS] = sum / l.reads;
}

static void all_round(const void* peer, const void* size, unsigned ms,
                      struct result* result) {
  static struct load l;
  uint64_t works = *(const uint64_t*)size;
  uint64_t wall = run_load(peer, works, &l);

  (void)ms;
  result->value[NS] = (double)wall / (double)works;
  result->ops = (double)works;
}

static void run(const char* id, const char* title, const char* op,
                bench_round round, double factor) {
  static const struct way locked = {queue_locked};
  static const struct way plain = {queue_plain};
  static uint64_t works;
  struct cell* cell = calloc(1, sizeof *cell);

  works = bench_options.quick ? 1000 : 10000;
  cell->id = id;
  cell->title = title;
  cell->op = op;
  cell->size = &works;
  cell->threads = 5;
  cell_add(cell, "parkade", OURS, round, &locked);
  cell_add(cell, "lock held in the pool", PEER, round, &plain);
  if (factor > 0)
    cell_goal(cell, "lock held in the pool", LONGEST, factor);
  cell_run(cell);
  free(cell);
}

void work_locked(void) {
  run("work/read", "a file read beside 10,000 works under one lock", "read",
      read_round, 0.1);
  run("work/all", "10,000 works of 10 us under one lock", "work", all_round, 0);
}
