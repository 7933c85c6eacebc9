/* SPDX-License-Identifier: MIT
 *
 * deadlocks.c - orders of locking that contradict each other, and tasks that wait
 * for each other, are told of. Compiled with -DPKD_DEADLOCK. */
#include <parkade/async.h>
#include <parkade/deadlock.h>
#include <parkade/mutex.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "deadlocks: %s\n", pkd_strerror(err));
  exit(1);
}

/* --- threads --------------------------------------------------------------- */

static pkd_mutex_t savings, current;
static int moved; /* under both */
static int contradictions;

/* Takes them in the order of its arguments, which is the mistake. */
static void move_between(pkd_mutex_t* from, pkd_mutex_t* to) {
  PKD_WITH_MUTEX(from) {
    PKD_WITH_MUTEX(to) {
      moved++;
    }
  }
}

static void on_deadlock(void* data, const pkd_deadlock_report_t* report) {
  (void)data;
  if (report->verdict == PKD_DEADLOCK_POTENTIAL)
    contradictions++;
  printf("%zu orders contradict each other\n", report->count);
}

static void watch_threads(void) {
  pkd_deadlock_on_report(on_deadlock, NULL); /* without: to stderr, in full */
  pkd_deadlock_watch(1);                     /* or PARKADE_DEADLOCK=1 */
  move_between(&savings, &current);
  move_between(&current, &savings); /* nobody hangs, this time */
  pkd_deadlock_watch(0);
}

/* --- tasks ----------------------------------------------------------------- */

struct task {
  pkd_req_t has, wants;
  pkd_req_watch_t watch[2];
  pkd_async_mutex_t* first;
  pkd_async_mutex_t* second;
};

static pkd_loop_t locks;
static pkd_async_mutex_t alice, bob;
static int left = 2;

static void on_second(pkd_req_t* req, int status) {
  struct task* task = req->data;

  if (status == 0)
    must(pkd_async_mutex_unlock(&task->wants, task->second));
  must(pkd_async_mutex_unlock(&task->has, task->first));
  must(pkd_req_unwatch(&task->watch[0]));
  must(pkd_req_unwatch(&task->watch[1]));
  if (--left == 0)
    must(pkd_loop_detach(&locks, NULL));
}

/* One who has an account and wants another as well. */
static void begin(struct task* task, const char* name) {
  must(pkd_req_watch(&task->watch[0], &task->has, task, name));
  must(pkd_req_watch(&task->watch[1], &task->wants, task, name));
  must(pkd_async_mutex_trylock(&task->has, task->first));
  task->wants.data = task;
}

static void on_ring(void* arg, const pkd_req_wait_t* waits, size_t count) {
  (void)arg;
  for (size_t i = 0; i < count; i++)
    printf("%s waits for %s\n", waits[i].name, waits[i].owner);
}

static void watch_tasks(void) {
  static struct task there = {.first = &alice, .second = &bob};
  static struct task back = {.first = &bob, .second = &alice};

  must(pkd_loop_attach(&locks, uv_default_loop()));
  begin(&there, "transfer 7");
  begin(&back, "transfer 8");
  must(pkd_async_mutex_lock(&locks, &there.wants, there.second, on_second));
  must(pkd_async_mutex_lock(&locks, &back.wants, back.second, on_second));
  if (pkd_req_cycles(on_ring, NULL) != 0)
    must(pkd_req_cancel(&back.wants)); /* one gives up, the other goes on */
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  must(uv_loop_close(uv_default_loop()));
}

int main(void) {
  watch_threads();
  watch_tasks();
  return contradictions == 1 && moved == 2 && left == 0 ? 0 : 1;
}
