/* SPDX-License-Identifier: MIT
 *
 * 07_own_primitive.c - a primitive of your own on the lot, for threads and loops.
 *
 * A countdown latch: it opens when its count is zero. Threads sleep for it,
 * tasks of an event loop leave a continuation; both stand in one queue, and the
 * latch never asks which is which. Four bytes of state:
 *
 *    31                      1   0
 *   +--------------------------+---+
 *   |        count left        | W |    W: somebody may be waiting
 *   +--------------------------+---+
 *
 * Why no wake-up is lost: a waiter sets W and is queued only if, under the lot's
 * lock, the count is still not zero; the last count_down sees W in the same
 * atomic step that makes the count zero, and then wakes all through that lock. */
#include <parkade/lot.h>

#include <stdio.h>
#include <uv.h>

/* --- the primitive --------------------------------------------------------- */

typedef struct latch {
  uint32_t word; /* atomic */
} latch_t;

enum { WAITERS = 1, ONE = 2 };

static int still_closed(void* latch) {
  return __atomic_load_n(&((latch_t*)latch)->word, __ATOMIC_RELAXED) >= ONE;
}

/* Acquire: pairs with the release in latch_count_down. */
static int latch_is_open(latch_t* latch) {
  return __atomic_load_n(&latch->word, __ATOMIC_ACQUIRE) < ONE;
}

static void latch_count_down(latch_t* latch) {
  uint32_t old = __atomic_fetch_sub(&latch->word, ONE, __ATOMIC_ACQ_REL);

  if (old == (ONE | WAITERS))
    pkd_lot_unpark_all(latch, 0);
}

/* Blocks the calling thread. */
static void latch_wait(latch_t* latch) {
  pkd_park_t how = {.validate = still_closed, .arg = latch};

  while (!latch_is_open(latch)) {
    __atomic_fetch_or(&latch->word, WAITERS, __ATOMIC_RELAXED);
    pkd_lot_park(latch, &how, PKD_FOREVER, NULL);
  }
}

/* Waits without blocking: returns 0 and calls waiter->wake() later, or -EAGAIN
 * because the latch is open. */
static int latch_then(latch_t* latch, pkd_waiter_t* waiter) {
  __atomic_fetch_or(&latch->word, WAITERS, __ATOMIC_RELAXED);
  return pkd_lot_enqueue(latch, waiter, still_closed, latch);
}

/* --- a program ------------------------------------------------------------- */

enum { WORKERS = 3 };

static latch_t latch = {WORKERS * ONE};
static int results[WORKERS]; /* what the latch publishes */

/* A task of a loop that goes on when the latch opens. */
struct task {
  pkd_waiter_t waiter; /* first: wake() gets its address */
  uv_async_t doorbell;
  int sum;
};

static int sum_results(void) {
  int sum = 0;
  for (int i = 0; i < WORKERS; i++)
    sum += results[i];
  return sum;
}

/* In the thread that opened the latch: only ring. */
static void ring(pkd_waiter_t* waiter) {
  uv_async_send(&((struct task*)waiter)->doorbell);
}

/* On the loop's thread. uv_async_send promises a call, not an order between the
 * threads: looking at the latch brings that. */
static void go_on(uv_async_t* doorbell) {
  struct task* task = doorbell->data;

  if (!latch_is_open(&latch))
    return;
  task->sum = sum_results();
  printf("task:   all %d workers are done, sum %d\n", WORKERS, task->sum);
  uv_close((uv_handle_t*)doorbell, NULL);
}

static void work(void* arg) {
  int number = *(int*)arg;

  results[number] = 10 * (number + 1);
  latch_count_down(&latch);
}

static void wait_in_thread(void* sum) {
  latch_wait(&latch);
  *(int*)sum = sum_results();
}

int main(void) {
  uv_thread_t workers[WORKERS];
  uv_thread_t sleeper;
  int numbers[WORKERS];
  struct task task = {0};
  int sum = 0;

  uv_async_init(uv_default_loop(), &task.doorbell, go_on);
  task.doorbell.data = &task;
  task.waiter.wake = ring;
  if (latch_then(&latch, &task.waiter) != 0)
    ring(&task.waiter);
  uv_thread_create(&sleeper, wait_in_thread, &sum);
  for (int i = 0; i < WORKERS; i++) {
    numbers[i] = i;
    uv_thread_create(&workers[i], work, &numbers[i]);
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  for (int i = 0; i < WORKERS; i++)
    uv_thread_join(&workers[i]);
  uv_thread_join(&sleeper);
  uv_loop_close(uv_default_loop());
  printf("thread: all %d workers are done, sum %d\n", WORKERS, sum);
  return sum == 60 && task.sum == 60 ? 0 : 1;
}
