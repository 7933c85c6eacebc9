/* SPDX-License-Identifier: MIT
 *
 * hand_over.c - a worker thread begins a section, a task of a loop ends it.
 *
 * The lock belongs to a ticket. The worker waits for it by its own (it may
 * block), and hands what it owns over to the ticket of the task that goes on:
 * nobody comes in between. */
#include <parkade/async/mutex.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

/* Loops and threads want it in turn: spare some of the wakes. */
static pkd_async_mutex_t report = PKD_ASYNC_MUTEX_OVERTAKES_INIT;
static int pages; /* under `report` */

struct task {
  pkd_req_t ticket;
  uv_async_t ready;
};

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "hand_over: %s\n", pkd_strerror(err));
  exit(1);
}

/* On a thread of its own. */
static void compute(void* arg) {
  struct task* task = arg;
  pkd_req_t mine = {0};

  must(pkd_async_mutex_lock_blocking(&mine, &report, PKD_FOREVER));
  pages = 12;
  must(pkd_req_transfer(&mine, &task->ticket));
  must(uv_async_send(&task->ready));
}

/* On the loop: the section goes on here. */
static void on_ready(uv_async_t* ready) {
  struct task* task = ready->data;

  if (pkd_req_owned(&task->ticket) != &report)
    return; /* a bell may ring early */
  printf("%d pages\n", pages);
  must(pkd_async_mutex_unlock(&task->ticket, &report));
  uv_close((uv_handle_t*)ready, NULL);
}

int main(void) {
  static struct task task;
  uv_thread_t worker;

  must(uv_async_init(uv_default_loop(), &task.ready, on_ready));
  task.ready.data = &task;
  must(uv_thread_create(&worker, compute, &task));
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  uv_thread_join(&worker);
  must(uv_loop_close(uv_default_loop()));
  return pages == 12 && !pkd_async_mutex_is_locked(&report) ? 0 : 1;
}
