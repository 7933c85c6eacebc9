/* SPDX-License-Identifier: MIT
 *
 * ending_waits.c - a wait that ends because its time is over, and two that end
 * because somebody says so: a thread's and a task's, by one token. */
#include <parkade/async/cancel.h>
#include <parkade/async/mutex.h>
#include <parkade/mutex.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static pkd_loop_t locks;
static pkd_async_mutex_t report;
static pkd_mutex_t cache;
static int sorry; /* how many were told that it took too long */

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "ending_waits: %s\n", pkd_strerror(err));
  exit(1);
}

/* ---- a thread waits no longer than a deadline ------------------------------ */

static int refresh_within(uint64_t ns) {
  int err = pkd_mutex_lock_for(&cache, ns);
  if (err != 0)
    return err; /* -ETIMEDOUT: not held, nothing is owed */
  /* ... */
  pkd_mutex_unlock(&cache);
  return 0;
}

/* ---- a task waits no longer than a timeout --------------------------------- */

static void on_report(pkd_req_t* req, int status) {
  (void)req;
  if (status == UV_ETIMEDOUT)
    sorry++;
}

static void ask_for_report(pkd_req_t* req) {
  must(pkd_req_set_timeout(req, 5)); /* milliseconds; for the next start */
  must(pkd_async_mutex_lock(&locks, req, &report, on_report));
}

/* ---- both belong to a client, who may go away ------------------------------ */

struct client {
  pkd_cancel_t gone; /* zeroed: not fired */
  pkd_req_t req;
  pkd_req_tie_t tie;
  int cancelled;
};

static void on_mine(pkd_req_t* req, int status) {
  struct client* client = req->data;
  pkd_req_untie(&client->tie); /* first of all */
  if (status == UV_ECANCELED)
    client->cancelled++;
}

static void serve(struct client* client) {
  client->req.data = client;
  must(pkd_async_mutex_lock(&locks, &client->req, &report, on_mine));
  must(pkd_req_cancel_on(&client->tie, &client->req, &client->gone));
}

static void work(void* arg) {
  struct client* client = arg;
  int rc = pkd_mutex_lock_cancellable(&cache, &client->gone, PKD_FOREVER);
  if (rc == -ECANCELED)
    client->cancelled++; /* the loop's thread reads it after the join */
}

int main(void) {
  static struct client client;
  pkd_req_t owner = {0};
  pkd_req_t late = {0};
  uv_thread_t worker;

  must(pkd_loop_attach(&locks, uv_default_loop()));
  must(pkd_loop_set_grant_timeout(&locks, 500)); /* milliseconds */
  must(pkd_async_mutex_trylock(&owner, &report));
  pkd_mutex_lock(&cache); /* both stay held, so that all must wait */

  ask_for_report(&late);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  printf("%d was told that it took too long\n", sorry);

  serve(&client);
  must(uv_thread_create(&worker, work, &client));
  pkd_cancel_fire(&client.gone); /* it hung up; from any thread */
  uv_thread_join(&worker);
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  printf("%d waits were cancelled\n", client.cancelled);

  printf("%s\n", pkd_strerror(refresh_within(1000000)));
  pkd_mutex_unlock(&cache);
  must(refresh_within(1000000));
  must(pkd_async_mutex_unlock(&owner, &report));
  must(pkd_loop_detach(&locks, NULL));
  uv_run(uv_default_loop(), UV_RUN_DEFAULT);
  must(uv_loop_close(uv_default_loop()));
  return sorry == 1 && client.cancelled == 2 ? 0 : 1;
}
