/* SPDX-License-Identifier: MIT
 *
 * shutdown.c - end when the last task has ended, and not before.
 *
 * Every task goes through a gate. To shut down, the gate is closed: newcomers
 * are refused, and a callback comes when nobody is inside any more. Then nobody
 * uses the locks, and the loop may be detached and closed. */
#include <parkade/async/gate.h>
#include <parkade/async/mutex.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { TASKS = 3 };

struct task {
  pkd_req_t ticket;
  uv_timer_t io;
};

static pkd_loop_t locks;
static pkd_async_gate_t open_tasks;
static pkd_async_mutex_t ledger;
static pkd_req_t closing;
static int done;
static int refused;

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "shutdown: %s\n", pkd_strerror(err));
  exit(1);
}

static void on_ledger(pkd_req_t* ticket, int status);
static void on_io(uv_timer_t* io);

static void begin(struct task* task) {
  if (pkd_async_gate_enter(&open_tasks) != 0) {
    refused++; /* UV_ESHUTDOWN: say so to the client */
    return;
  }
  task->ticket.data = task->io.data = task;
  must(uv_timer_init(uv_default_loop(), &task->io));
  must(pkd_async_mutex_lock(&locks, &task->ticket, &ledger, on_ledger));
}

static void on_ledger(pkd_req_t* ticket, int status) {
  struct task* task = ticket->data;
  must(status);
  must(uv_timer_start(&task->io, on_io, 1, 0));
}

static void on_io(uv_timer_t* io) {
  struct task* task = io->data;
  must(pkd_async_mutex_unlock(&task->ticket, &ledger));
  uv_close((uv_handle_t*)io, NULL);
  done++;
  must(pkd_async_gate_leave(&open_tasks));
}

static void on_everybody_out(pkd_req_t* req, int status) {
  (void)req;
  must(status);
  printf("%d tasks ended, nobody is inside\n", done);
  must(pkd_async_mutex_destroy(&ledger)); /* a check: nobody uses it */
  must(pkd_loop_detach(&locks, NULL));
}

static void shut_down(void) {
  must(pkd_async_gate_close(&locks, &closing, &open_tasks, on_everybody_out));
}

int main(void) {
  static struct task tasks[TASKS];
  struct task late = {0};

  must(pkd_loop_attach(&locks, uv_default_loop()));
  for (int i = 0; i < TASKS; i++)
    begin(&tasks[i]);
  shut_down();
  begin(&late);
  printf("%d came too late\n", refused);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  must(uv_loop_close(uv_default_loop()));
  return done == TASKS && refused == 1 ? 0 : 1;
}
