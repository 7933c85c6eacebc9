/* SPDX-License-Identifier: MIT
 *
 * async_wake.c - from a thread to a callback on a loop that sleeps: an unlock of
 * ours, and a bare uv_async_send.
 *
 * The loop sleeps for certain (its thread's state in /proc says so) before the
 * clock is read. Ours alternates between two mutexes, so that the one that will
 * be waited for is held before its waiter comes. */
#define _GNU_SOURCE

#include <parkade/async.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../threads.h"
#include "async_peers.h"
#include "must.h"
#include "peer.h"

enum { MOST = 2000 };

struct sleeper {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_async_mutex_t lock[2];
  pkd_req_t req[2];
  pkd_req_t holder[2];
  uv_async_t bell;
  void (*send)(struct sleeper* s, uint64_t i); /* wakes the loop */
  void (*prepare)(struct sleeper* s, uint64_t i);
  uint64_t count;
  uint64_t arrived;
  uint64_t done; /* atomic: rounds */
  int watch;     /* atomic: of the loop's thread; -1: not there yet */
};

static uint64_t took[MOST];

static uint64_t rounds(struct sleeper* s, void* (*run)(void*)) {
  pthread_t thread;

  s->watch = -1;
  s->count = s->count < MOST ? s->count : MOST;
  if (pthread_create(&thread, NULL, run, s) != 0)
    abort();
  while (__atomic_load_n(&s->watch, __ATOMIC_ACQUIRE) == -1)
    usleep(20);
  for (uint64_t i = 0; i < s->count; i++) {
    uint64_t begin;

    s->prepare(s, i);
    usleep(60);
    while (!threads_sleeps(s->watch)) {
    }
    begin = bench_now();
    s->send(s, i);
    while (__atomic_load_n(&s->done, __ATOMIC_ACQUIRE) != i + 1) {
    }
    took[i] = s->arrived - begin;
  }
  pthread_join(thread, NULL);
  close(s->watch);
  return bench_median(took, (unsigned)s->count);
}

static void arrive(struct sleeper* s, uint64_t begin) {
  s->arrived = begin;
  __atomic_store_n(&s->done, s->done + 1, __ATOMIC_RELEASE);
}

/* --- ours ------------------------------------------------------------------ */

static void hold_next(struct sleeper* s, uint64_t i) {
  must(pkd_async_mutex_trylock(&s->holder[(i + 1) % 2], &s->lock[(i + 1) % 2]),
       "trylock");
}

static void unlock(struct sleeper* s, uint64_t i) {
  pkd_async_mutex_unlock(&s->holder[i % 2], &s->lock[i % 2]);
}

static void have_it(pkd_req_t* req, int status) {
  uint64_t now = bench_now();
  struct sleeper* s = req->data;
  uint64_t i = s->done;

  must(status, "granted");
  pkd_async_mutex_unlock(req, &s->lock[i % 2]);
  if (i + 1 < s->count)
    must(pkd_async_mutex_lock(&s->loop, &s->req[(i + 1) % 2],
                              &s->lock[(i + 1) % 2], have_it),
         "lock");
  arrive(s, now);
}

static void* run_ours(void* arg) {
  struct sleeper* s = arg;

  must(uv_loop_init(&s->uv), "uv_loop_init");
  must(pkd_loop_attach(&s->loop, &s->uv), "attach");
  must(pkd_async_mutex_lock(&s->loop, &s->req[0], &s->lock[0], have_it),
       "lock");
  __atomic_store_n(&s->watch, threads_watch(), __ATOMIC_RELEASE);
  uv_run(&s->uv, UV_RUN_DEFAULT);
  must(pkd_loop_detach(&s->loop, NULL), "detach");
  uv_run(&s->uv, UV_RUN_DEFAULT);
  must(uv_loop_close(&s->uv), "uv_loop_close");
  return NULL;
}

uint64_t async_parkade_wake(uint64_t count) {
  struct sleeper s;

  memset(&s, 0, sizeof s);
  s.count = count;
  s.send = unlock;
  s.prepare = hold_next;
  s.req[0].data = s.req[1].data = &s;
  must(pkd_async_mutex_trylock(&s.holder[0], &s.lock[0]), "trylock");
  return rounds(&s, run_ours);
}

/* --- a bare send ----------------------------------------------------------- */

static void nothing(struct sleeper* s, uint64_t i) {
  (void)s;
  (void)i;
}

static void ring(struct sleeper* s, uint64_t i) {
  (void)i;
  uv_async_send(&s->bell);
}

static void on_bell(uv_async_t* bell) {
  uint64_t now = bench_now();
  struct sleeper* s = bell->data;

  if (s->done + 1 == s->count)
    uv_close((uv_handle_t*)bell, NULL);
  arrive(s, now);
}

static void* run_bare(void* arg) {
  struct sleeper* s = arg;

  must(uv_loop_init(&s->uv), "uv_loop_init");
  must(uv_async_init(&s->uv, &s->bell, on_bell), "uv_async_init");
  s->bell.data = s;
  __atomic_store_n(&s->watch, threads_watch(), __ATOMIC_RELEASE);
  uv_run(&s->uv, UV_RUN_DEFAULT);
  must(uv_loop_close(&s->uv), "uv_loop_close");
  return NULL;
}

uint64_t async_uv_send_wake(uint64_t count) {
  struct sleeper s;

  memset(&s, 0, sizeof s);
  s.count = count;
  s.send = ring;
  s.prepare = nothing;
  return rounds(&s, run_bare);
}
