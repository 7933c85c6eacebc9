/* SPDX-License-Identifier: MIT
 *
 * async_parkade_mixed.c - tasks of a loop and threads that block, all on one
 * async mutex: see async_peer.h. */
#include <parkade/async.h>

#include <pthread.h>
#include <stdlib.h>

#include "async_peers.h"
#include "must.h"
#include "peer.h"

enum { MIXED_TASKS = 4, MIXED_THREADS = 2 };

struct mixed_task {
  pkd_req_t req;
  struct mixed* mixed;
  uint64_t asked;
};

struct mixed {
  pkd_loop_t loop;
  pkd_async_mutex_t lock;
  struct mixed_task task[MIXED_TASKS];
  uint64_t ops;     /* under the lock */
  uint64_t longest; /* under the lock */
  uint64_t until;
};

static void mixed_note(struct mixed* mixed, uint64_t asked) {
  uint64_t waited = bench_now() - asked;

  mixed->ops++;
  if (waited > mixed->longest)
    mixed->longest = waited;
}

static void mixed_holds(pkd_req_t* req, int status) {
  struct mixed_task* task = req->data;
  struct mixed* mixed = task->mixed;

  must(status, "granted");
  mixed_note(mixed, task->asked);
  pkd_async_mutex_unlock(req, &mixed->lock);
  task->asked = bench_now();
  if (task->asked < mixed->until)
    must(pkd_async_mutex_lock(&mixed->loop, req, &mixed->lock, mixed_holds),
         "lock");
}

static void* mixed_thread(void* arg) {
  struct mixed* mixed = arg;
  pkd_req_t req = {0};
  uint64_t asked;

  while ((asked = bench_now()) < mixed->until) {
    must(pkd_async_mutex_lock_blocking(&req, &mixed->lock, PKD_FOREVER),
         "lock_blocking");
    mixed_note(mixed, asked);
    pkd_async_mutex_unlock(&req, &mixed->lock);
  }
  return NULL;
}

static uint64_t run_mixed(uint64_t ms, unsigned flags, uint64_t* longest) {
  struct mixed mixed = {.until = bench_now() + ms * 1000000};
  pthread_t thread[MIXED_THREADS];
  uv_loop_t uv;

  must(pkd_async_mutex_init(&mixed.lock, flags), "mutex_init");
  must(uv_loop_init(&uv), "uv_loop_init");
  must(pkd_loop_attach(&mixed.loop, &uv), "attach");
  for (int i = 0; i < MIXED_THREADS; i++) {
    if (pthread_create(&thread[i], NULL, mixed_thread, &mixed) != 0)
      abort();
  }
  for (int i = 0; i < MIXED_TASKS; i++) {
    struct mixed_task* task = &mixed.task[i];

    task->mixed = &mixed;
    task->req.data = task;
    task->asked = bench_now();
    must(
        pkd_async_mutex_lock(&mixed.loop, &task->req, &mixed.lock, mixed_holds),
        "lock");
  }
  uv_run(&uv, UV_RUN_DEFAULT);
  for (int i = 0; i < MIXED_THREADS; i++)
    pthread_join(thread[i], NULL);
  must(pkd_loop_detach(&mixed.loop, NULL), "detach");
  uv_run(&uv, UV_RUN_DEFAULT);
  must(uv_loop_close(&uv), "uv_loop_close");
  *longest = mixed.longest;
  return mixed.ops;
}

uint64_t async_parkade_mixed(uint64_t ms, uint64_t* longest) {
  return run_mixed(ms, 0, longest);
}

static uint64_t overtaking(uint64_t ms, uint64_t* longest) {
  return run_mixed(ms, PKD_ASYNC_MUTEX_OVERTAKES, longest);
}

const struct async_peer async_parkade_overtaking = {
    .name = "parkade, overtaking",
    .mixed = overtaking,
};
