/* SPDX-License-Identifier: MIT
 *
 * loop.c - a user of the installed libparkade-uv, in words both C and C++ know.
 *
 * Two tasks of one loop ask for a mutex; the first gives it to the second from
 * its callback. */
#include <parkade/async.h>

#include <stdio.h>

static pkd_loop_t loop;
static pkd_async_mutex_t mutex;
static int served;

static void have_it(pkd_req_t* req, int status) {
  if (status == 0 && pkd_async_mutex_unlock(req, &mutex) == 0)
    served++;
}

int main(void) {
  static pkd_req_t first, second;

  if (pkd_loop_attach(&loop, uv_default_loop()) != 0 ||
      pkd_async_mutex_lock(&loop, &first, &mutex, have_it) != 0 ||
      pkd_async_mutex_lock(&loop, &second, &mutex, have_it) != 0)
    return 2;
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  pkd_loop_detach(&loop, NULL);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  printf("served %d\n", served);
  return served == 2 && uv_loop_close(uv_default_loop()) == 0 ? 0 : 1;
}
