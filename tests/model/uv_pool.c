/* SPDX-License-Identifier: MIT
 *
 * uv_pool.c - uv_queue_work for explored code: a pool of one thread.
 *
 * A job is a slot whose state says whose it is: the pool takes it from QUEUED,
 * the loop finds it OVER, a cancel comes before either. libuv orders these steps
 * by its mutexes; here the state's release and acquire do, and `ends`, without
 * which the loop, woken by an end, might not see it yet. The scenario spawns
 * shim_pool() as a thread like any other, and ends it. */
#include "uv_pool.h"

#include "atomic.h"
#include "os/os.h"

#define JOBS 4

enum { EMPTY, QUEUED, RUNNING, OVER, CANCELLED };

typedef struct job {
  uint32_t state; /* atomic, see above */
  uv_work_t* req;
} job_t;

static job_t jobs[JOBS];
static uint32_t posts; /* atomic: changes with every job, and at the end */
static uint32_t ends;  /* atomic: orders an end before the loop's look for it */
static bool stopping;  /* atomic */

static void ring(void) {
  pkd__add_release(&posts, 1);
  pkd__os_wake(&posts);
}

static void tell(uv_loop_t* loop) {
  pkd__exchange_release(&ends, 1);
  shim_loop_wake(loop);
}

int uv_queue_work(uv_loop_t* loop, uv_work_t* req, uv_work_cb work_cb,
                  uv_after_work_cb after_work_cb) {
  req->loop = loop;
  req->type = UV_WORK;
  req->work_cb = work_cb;
  req->after_work_cb = after_work_cb;
  shim_loop_hold(loop);
  for (int i = 0; i < JOBS; i++)
    if (pkd__load_acquire(&jobs[i].state) == EMPTY) {
      jobs[i].req = req;
      pkd__store_release(&jobs[i].state, QUEUED);
      ring();
      return 0;
    }
  explore_fail("more than %d jobs at once", JOBS);
}

int uv_cancel(uv_req_t* req) {
  for (int i = 0; i < JOBS; i++) {
    uint32_t queued = QUEUED;
    uint32_t seen = pkd__load_acquire(&jobs[i].state);
    if (seen == EMPTY || (uv_req_t*)jobs[i].req != req)
      continue;
    if (!pkd__cas_acq_rel(&jobs[i].state, &queued, CANCELLED))
      return UV_EBUSY;
    tell(jobs[i].req->loop);
    return 0;
  }
  return UV_EBUSY;
}

void shim_pool_deliver(uv_loop_t* loop) {
  pkd__exchange_acquire(&ends, 0);
  for (int i = 0; i < JOBS; i++) {
    uint32_t state = pkd__load_acquire(&jobs[i].state);
    uv_work_t* req;

    if (state != OVER && state != CANCELLED)
      continue;
    req = jobs[i].req;
    if (req->loop != loop)
      continue;
    pkd__store_release(&jobs[i].state, EMPTY);
    shim_loop_release(loop);
    req->after_work_cb(req, state == OVER ? 0 : UV_ECANCELED);
  }
}

static bool run_one(void) {
  for (int i = 0; i < JOBS; i++) {
    uint32_t queued = QUEUED;
    uv_loop_t* loop;

    if (!pkd__cas_acquire(&jobs[i].state, &queued, RUNNING))
      continue;
    loop = jobs[i].req->loop;
    jobs[i].req->work_cb(jobs[i].req);
    pkd__store_release(&jobs[i].state, OVER);
    tell(loop);
    return true;
  }
  return false;
}

void shim_pool(void* arg) {
  (void)arg;
  for (;;) {
    uint32_t seen = pkd__load_acquire(&posts);

    if (run_one())
      continue;
    if (pkd__load_acquire(&stopping))
      return;
    pkd__os_wait(&posts, seen, UINT64_MAX);
  }
}

void shim_pool_stop(void) {
  pkd__store_release(&stopping, true);
  ring();
}
