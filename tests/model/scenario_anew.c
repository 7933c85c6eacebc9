/* SPDX-License-Identifier: MIT
 *
 * scenario_anew.c - an address that is used anew.
 *
 * Who ends a wait, or comes too late to, looks at who stands where the object was. It
 * may be gone by then with all who waited, and in its place be something that is used
 * otherwise: a condition, or a mutex of threads. What waits there is not taken for a
 * wait of the object that was. */
#include "scenario.h"

#include <parkade/async/cond.h>
#include <parkade/async/mutex.h>
#include <parkade/async/sem.h>
#include <parkade/mutex.h>

typedef struct shared {
  pkd_async_mutex_t m; /* of the condition */
  pkd_req_t ticket;
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req[3];
  int over; /* atomic */
} shared_t;

static shared_t* s;

static union place {
  pkd_async_mutex_t async;
  pkd_async_sem_t sem;
  pkd_async_cond_t cond;
  pkd_mutex_t mutex;
} * place;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(s, sizeof *s, "shared");
  place = explore_need(sizeof *place);
  explore_name(place, sizeof *place, "place");
}

static void attach(void) {
  uv_loop_init(&s->uv);
  pkd_loop_attach(&s->loop, &s->uv);
}

/* --- what is there then ------------------------------------------------------ */

static void unlock_first(pkd_req_t* req, int status) {
  explore_assert(status == 0);
  explore_assert(pkd_async_mutex_unlock(req, &s->m) == 0);
}

static void signal_anew(pkd_req_t* req, int status) {
  (void)req;
  explore_assert(status == 0);
  explore_assert(pkd_async_cond_signal(&place->cond) == 1);
}

static void use_for_condition(void) {
  place->cond = (pkd_async_cond_t)PKD_ASYNC_COND_INIT;
  explore_assert(pkd_async_mutex_trylock(&s->ticket, &s->m) == 0);
  explore_assert(pkd_async_cond_wait(&s->loop, &s->ticket, &place->cond, &s->m,
                                     unlock_first) == 0);
  explore_assert(pkd_loop_yield(&s->loop, &s->req[2], signal_anew) == 0);
}

static void use_for_mutex(void) {
  place->mutex = (pkd_mutex_t)PKD_MUTEX_INIT;
  pkd_mutex_lock(&place->mutex);
  __atomic_store_n(&s->over, 1, __ATOMIC_RELEASE);
  scenario_await_waiters(place, 1);
  pkd_mutex_unlock(&place->mutex);
}

/* --- a wait is ended ---------------------------------------------------------- */

/* Two wait for permits. A thread cancels the first of them, and looks whether the
 * other may go on. */
static void (*use_anew)(void);

static void leave_place(pkd_req_t* req, int status) {
  explore_assert(status == UV_ECANCELED);
  if (req == &s->req[0])
    explore_assert(pkd_req_cancel(&s->req[1]) == 0);
  else
    use_anew();
}

static void two_at_place(void* arg) {
  (void)arg;
  attach();
  for (int i = 0; i < 2; i++)
    explore_assert(pkd_async_sem_acquire(&s->loop, &s->req[i], &place->sem, 1,
                                         leave_place) == 0);
}

static void turns(void* arg) {
  (void)arg;
  uv_run(&s->uv, UV_RUN_DEFAULT);
}

static void cancels_at_place(void* arg) {
  (void)arg;
  explore_assert(pkd_req_cancel(&s->req[0]) == 0);
}

static void locks_place(void* arg) {
  (void)arg;
  while (__atomic_load_n(&s->over, __ATOMIC_ACQUIRE) == 0)
    explore_yield();
  pkd_mutex_lock(&place->mutex);
  pkd_mutex_unlock(&place->mutex);
}

static void used_anew(int by_thread) {
  start();
  use_anew = by_thread ? use_for_mutex : use_for_condition;
  explore_spawn(turns, NULL);
  explore_setup(two_at_place, NULL);
  explore_spawn(cancels_at_place, NULL);
  if (by_thread)
    explore_spawn(locks_place, NULL);
  explore_join();
  scenario_nobody_at(place);
}

/* --- a grant is taken back ---------------------------------------------------- */

/* A cancel that is late, or just in time, meets where the mutex was a thread that
 * waits for one of its own. */
static void had_place(pkd_req_t* req, int status) {
  explore_assert(status == 0 || status == UV_ECANCELED);
  if (status == 0)
    explore_assert(pkd_async_mutex_unlock(req, &place->async) == 0);
  explore_outcome(status == 0);
  use_for_mutex();
}

static void one_at_place(void* arg) {
  (void)arg;
  attach();
  explore_assert(pkd_async_mutex_lock(&s->loop, &s->req[0], &place->async,
                                      had_place) == 0);
}

static void cancels_late(void* arg) {
  (void)arg;
  (void)pkd_req_cancel(&s->req[0]);
}

static void used_anew_after_grant(int unused) {
  (void)unused;
  start();
  explore_spawn(turns, NULL);
  explore_setup(one_at_place, NULL);
  explore_spawn(cancels_late, NULL);
  explore_spawn(locks_place, NULL);
  explore_join();
  scenario_nobody_at(place);
}

const explore_scenario_t explore_anew[] = {
    {"between/used-anew", used_anew, 0, OK, 0, WIDE},
    {"between/used-anew-thread", used_anew, 1, OK, 0, FLAT},
    {"between/used-anew-after-grant", used_anew_after_grant, 0, OK, 3, FLAT},
    {.name = NULL},
};
