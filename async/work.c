/* SPDX-License-Identifier: MIT
 *
 * work.c - locked work: a request first, then a job of libuv's pool.
 *
 * The ticket is not tied to a thread, so the pool gives the lock back itself. If
 * libuv cancels the job before it began, the loop does. */
#include <parkade/async/work.h>

#include "home.h"
#include "take.h"

enum { IDLE, WAITS, IN_POOL };

static void have_it(pkd_req_t* req, int status);
static void run(uv_work_t* job);
static void after(uv_work_t* job, int status);
static void end(pkd_work_t* work, int status);

int pkd_queue_work(pkd_loop_t* loop, pkd_work_t* work, pkd_take_t take,
                   pkd_work_cb run_cb, pkd_after_work_cb after_cb) {
  int err;

  if (loop == NULL || work == NULL || run_cb == NULL || after_cb == NULL)
    return UV_EINVAL;
  if (work->stage != IDLE)
    return UV_EALREADY;
  err = pkd__take_start(loop, &work->req, &take, have_it);
  if (err != 0)
    return err;
  work->req.data = work;
  work->take = take;
  work->uv = loop->home->uv;
  work->run = run_cb;
  work->after = after_cb;
  work->stage = WAITS;
  return 0;
}

static void have_it(pkd_req_t* req, int status) {
  pkd_work_t* work = req->data;

  if (status >= 0) {
    work->stage = IN_POOL;
    work->job.data = work;
    status = uv_queue_work(work->uv, &work->job, run, after);
    if (status == 0)
      return;
    pkd__take_release(req, &work->take);
  }
  end(work, status);
}

/* In a thread of the pool. */
static void run(uv_work_t* job) {
  pkd_work_t* work = job->data;

  work->run(work);
  pkd__take_release(&work->req, &work->take);
}

static void after(uv_work_t* job, int status) {
  pkd_work_t* work = job->data;

  if (status == UV_ECANCELED) /* it never ran */
    pkd__take_release(&work->req, &work->take);
  end(work, status);
}

static void end(pkd_work_t* work, int status) {
  work->stage = IDLE;
  work->after(work, status); /* it may be gone after this */
}

int pkd_work_set_timeout(pkd_work_t* work, uint64_t ms) {
  if (work == NULL)
    return UV_EINVAL;
  return work->stage == IDLE ? pkd_req_set_timeout(&work->req, ms)
                             : UV_EALREADY;
}

int pkd_work_cancel(pkd_work_t* work) {
  if (work == NULL || work->stage == IDLE)
    return UV_EINVAL;
  return work->stage == WAITS ? pkd_req_cancel(&work->req)
                              : uv_cancel((uv_req_t*)&work->job);
}
