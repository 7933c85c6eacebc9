/* SPDX-License-Identifier: MIT
 *
 * 04_workers_and_tasks.c - threads and tasks in one queue, for one lock.
 *
 * A printer that must not be used by two at a time. Worker threads may block,
 * so they call lock_blocking; tasks of the loop may not, so they leave a
 * callback. Both stand in the same queue, first come, first served. */
#include <parkade/async/mutex.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { WORKERS = 3, TASKS = 3, PAGES = 100 };

static pkd_async_mutex_t printer; /* all-zero is free */
static int users;                 /* under printer; never above 1 */
static int printed;               /* under printer */
static int mixed;                 /* under printer: somebody was not alone */

static pkd_loop_t locks;
static int running = TASKS;

struct task {
  pkd_req_t ticket;
  uv_timer_t timer; /* the page comes out: a task waits for it and the loop
                       does not */
  int pages;
};

static void begin_page(void) {
  mixed |= users++ != 0;
}

static void end_page(void) {
  users--;
  printed++;
}

/* ---- a worker ------------------------------------------------------------ */

static void work(void* arg) {
  pkd_req_t ticket = {0};
  (void)arg;
  for (int i = 0; i < PAGES; i++) {
    if (pkd_async_mutex_lock_blocking(&ticket, &printer, PKD_FOREVER) != 0)
      abort();
    begin_page();
    end_page();
    pkd_async_mutex_unlock(&ticket, &printer);
  }
}

/* ---- a task -------------------------------------------------------------- */

static void on_mine(pkd_req_t* ticket, int status);
static void on_page_out(uv_timer_t* timer);

static void next_page(struct task* task) {
  task->ticket.data = task;
  if (pkd_async_mutex_lock(&locks, &task->ticket, &printer, on_mine) != 0)
    abort();
}

static void on_mine(pkd_req_t* ticket, int status) {
  struct task* task = ticket->data;
  if (status != 0)
    abort(); /* nobody cancels here */
  begin_page();
  uv_timer_start(&task->timer, on_page_out, 0, 0);
}

static void on_page_out(uv_timer_t* timer) {
  struct task* task = timer->data;
  end_page();
  pkd_async_mutex_unlock(&task->ticket, &printer);
  if (++task->pages < PAGES) {
    next_page(task);
    return;
  }
  uv_close((uv_handle_t*)timer, NULL);
  if (--running == 0)
    pkd_loop_detach(&locks, NULL);
}

int main(void) {
  static struct task tasks[TASKS];
  uv_thread_t workers[WORKERS];

  if (pkd_loop_attach(&locks, uv_default_loop()) != 0)
    return 1;
  for (int i = 0; i < WORKERS; i++)
    uv_thread_create(&workers[i], work, NULL);
  for (int i = 0; i < TASKS; i++) {
    uv_timer_init(uv_default_loop(), &tasks[i].timer);
    tasks[i].timer.data = &tasks[i];
    next_page(&tasks[i]);
  }
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  for (int i = 0; i < WORKERS; i++)
    uv_thread_join(&workers[i]);
  printf("%d pages by %d workers and %d tasks\n", printed, WORKERS, TASKS);
  uv_loop_close(uv_default_loop());
  return printed == (WORKERS + TASKS) * PAGES && !mixed ? 0 : 1;
}
