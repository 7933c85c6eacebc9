/* SPDX-License-Identifier: MIT
 *
 * async_floor.c - what tasks and loops cost without any lock library.
 *
 * An intrusive queue of waiters and a ready list, for one thread and without a
 * loop: nothing that passes a lock from task to task does less. And a bare
 * uv_async_send to and fro between two loops: no wake of a loop costs less. */
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "async_peers.h"
#include "peer.h"

/* --- an intrusive queue ---------------------------------------------------- */

struct fifo_task {
  struct fifo_task* next;
  void (*run)(struct fifo_task* task);
};

struct fifo {
  struct fifo_task* first;
  struct fifo_task** end;
};

static struct fifo waiting;
static struct fifo ready;
static int held;
static uint64_t left;
static uint64_t warm;
static uint64_t begin;
static uint64_t end;

static void push(struct fifo* f, struct fifo_task* task) {
  task->next = NULL;
  *f->end = task;
  f->end = &task->next;
}

static struct fifo_task* pop(struct fifo* f) {
  struct fifo_task* task = f->first;

  f->first = task->next;
  if (f->first == NULL)
    f->end = &f->first;
  return task;
}

static __attribute__((noinline)) void fifo_lock(struct fifo_task* task) {
  if (!held) {
    held = 1;
    push(&ready, task);
  } else {
    push(&waiting, task);
  }
}

static __attribute__((noinline)) void fifo_unlock(void) {
  if (waiting.first != NULL)
    push(&ready, pop(&waiting));
  else
    held = 0;
}

static void have_it(struct fifo_task* task);

static void after_yield(struct fifo_task* task) {
  if (warm != 0 && --warm == 0)
    begin = bench_now();
  task->run = have_it;
  fifo_unlock();
  if (left != 0 && --left == 0)
    end = bench_now();
  if (left != 0)
    fifo_lock(task);
}

static void have_it(struct fifo_task* task) {
  task->run = after_yield;
  push(&ready, task);
}

static uint64_t fifo_yields(uint64_t tasks, uint64_t count) {
  struct fifo_task* task = calloc(tasks, sizeof *task);

  waiting.end = &waiting.first;
  ready.end = &ready.first;
  held = 0;
  left = count + tasks;
  warm = tasks;
  for (uint64_t i = 0; i < tasks; i++) {
    task[i].run = have_it;
    fifo_lock(&task[i]);
  }
  while (ready.first != NULL) {
    struct fifo_task* next = pop(&ready);

    next->run(next);
  }
  free(task);
  return end - begin;
}

const struct async_peer async_fifo = {.name = "intrusive FIFO, no loop",
                                      .yields = fifo_yields};

/* --- a bare send ----------------------------------------------------------- */

struct send_side {
  uv_loop_t loop;
  uv_async_t async;
  struct send_side* other;
  uint64_t left;
  pthread_barrier_t* both;
};

static void on_send(uv_async_t* async) {
  struct send_side* side = async->data;

  uv_async_send(&side->other->async);
  if (--side->left == 0)
    uv_close((uv_handle_t*)async, NULL);
}

static void* run_send(void* arg) {
  struct send_side* side = arg;

  uv_run(&side->loop, UV_RUN_DEFAULT);
  /* Stay until the other has sent its last: its handle is ours. */
  pthread_barrier_wait(side->both);
  uv_loop_close(&side->loop);
  return NULL;
}

static uint64_t send_cross(uint64_t count) {
  struct send_side side[2];
  pthread_barrier_t both;
  pthread_t thread;
  uint64_t from;

  pthread_barrier_init(&both, NULL, 2);
  for (int i = 0; i < 2; i++) {
    uv_loop_init(&side[i].loop);
    uv_async_init(&side[i].loop, &side[i].async, on_send);
    side[i].async.data = &side[i];
    side[i].other = &side[!i];
    side[i].left = count / 2;
    side[i].both = &both;
  }
  if (pthread_create(&thread, NULL, run_send, &side[1]) != 0)
    abort();
  from = bench_now();
  uv_async_send(&side[1].async);
  run_send(&side[0]);
  pthread_join(thread, NULL);
  pthread_barrier_destroy(&both);
  return bench_now() - from;
}

const struct async_peer async_uv_send = {.name = "bare uv_async_send",
                                         .cross = send_cross,
                                         .wake = async_uv_send_wake};
