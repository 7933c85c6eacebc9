/* SPDX-License-Identifier: MIT
 *
 * locked_work.c - work for the thread pool, under a lock that no thread of the
 * pool waits for: the lock comes first, then the thread. */
#include <parkade/async/work.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { JOBS = 8 };

static pkd_loop_t locks;
static pkd_async_mutex_t database;
static int rows; /* under `database` */
static int left = JOBS;

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "locked_work: %s\n", pkd_strerror(err));
  exit(1);
}

/* In a thread of the pool, with the lock held. It may block for the database; it
 * never blocks for the lock. */
static void insert(pkd_work_t* work) {
  (void)work;
  rows++;
}

/* On the loop, when the lock has been given back. */
static void on_inserted(pkd_work_t* work, int status) {
  (void)work;
  must(status);
  if (--left == 0)
    must(pkd_loop_detach(&locks, NULL));
}

int main(void) {
  static pkd_work_t jobs[JOBS];

  must(pkd_loop_attach(&locks, uv_default_loop()));
  for (int i = 0; i < JOBS; i++)
    must(pkd_queue_work(&locks, &jobs[i], pkd_take_mutex(&database), insert,
                        on_inserted));
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  must(uv_loop_close(uv_default_loop()));
  printf("%d rows\n", rows);
  return rows == JOBS ? 0 : 1;
}
