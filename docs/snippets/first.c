/* SPDX-License-Identifier: MIT
 *
 * first.c - the program of the README: two tasks, one lock, one loop. */
#include <parkade/async.h>
#include <stdio.h>

static pkd_async_mutex_t lock; // all-zero memory is a free lock

static void have_lock(pkd_req_t* req, int status) {
  printf("%s has the lock (%d)\n", (char*)req->data, status);
  pkd_async_mutex_unlock(req, &lock); // here, or any number of callbacks later
}

int main(void) {
  static pkd_loop_t loop;
  static pkd_req_t alice = {.data = "alice"}, bob = {.data = "bob"};
  pkd_loop_attach(&loop, uv_default_loop());
  pkd_async_mutex_lock(&loop, &alice, &lock, have_lock); // returns at once
  pkd_async_mutex_lock(&loop, &bob, &lock, have_lock);
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
