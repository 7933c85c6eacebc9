/* SPDX-License-Identifier: MIT
 *
 * first.c - the program of the README: two tasks, one lock, one timer. */
#include <parkade/async.h>
#include <stdio.h>

static pkd_loop_t loop;
static pkd_async_mutex_t lock; // all-zero memory is a free lock
static uv_timer_t io;          // stands for a database; `lock` guards it

static void after_io(uv_timer_t* timer) { // any number of callbacks later
  pkd_req_t* req = timer->data;
  printf("%s is done\n", (char*)req->data);
  pkd_async_mutex_unlock(req, &lock);
}
static void have_lock(pkd_req_t* req, int status) {
  printf("%s has the lock (%d)\n", (char*)req->data, status);
  io.data = req;
  uv_timer_start(&io, after_io, 10, 0);
}
int main(void) {
  static pkd_req_t alice = {.data = "alice"}, bob = {.data = "bob"};
  uv_timer_init(uv_default_loop(), &io);
  pkd_loop_attach(&loop, uv_default_loop());
  pkd_async_mutex_lock(&loop, &alice, &lock, have_lock); // returns at once
  pkd_async_mutex_lock(&loop, &bob, &lock, have_lock);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
