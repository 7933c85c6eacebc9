/* SPDX-License-Identifier: MIT
 *
 * test_close.c - everything is closed while grants are in flight.
 *
 * A loop on a thread of its own waits for one object of each kind. The main thread
 * holds them all, and lets go of them one after the other; meanwhile, at a moment
 * that is another one each time, the loop detaches, and walks its handles and
 * closes them all. Each request gets one answer, and what was granted is given
 * back; then all memory is freed at once. (Memcheck and the sanitizers look at
 * what is touched after that, with a libuv that they see into as well.) */
#include <parkade/async.h>

#include "support/test.h"

#include <stdatomic.h>

enum { MUTEX, SEM, READ, WRITE, EVENT, ONCE, GATE, KEY, BARRIER, COND, KINDS };
enum { EACH = 3 }; /* requests of each kind */

struct round {
  pkd_async_mutex_t mutex, cond_mutex;
  pkd_async_sem_t sem;
  pkd_async_rwlock_t read, write;
  pkd_async_event_t event;
  pkd_async_once_t once;
  pkd_async_gate_t gate;
  pkd_async_keyed_t keyed;
  pkd_async_barrier_t barrier;
  pkd_async_cond_t cond;

  pkd_req_t held[KINDS]; /* by the main thread */
  struct wait {
    pkd_req_t req;
    struct round* round;
    int kind;
    int answers;
  } waits[KINDS][EACH];

  uv_loop_t uv;
  pkd_loop_t loop;
  uv_async_t user; /* a handle that is not ours */
  uv_timer_t timer;
  unsigned turns; /* before it detaches */
  bool detached;
  atomic_int ready; /* all waits are queued */
  atomic_int wrong;
};

/* --- the loop's thread ------------------------------------------------------ */

static int give_back(struct round* r, pkd_req_t* req, int kind, int status) {
  switch (kind) {
  case MUTEX:
    return pkd_async_mutex_unlock(req, &r->mutex);
  case SEM:
    return pkd_async_sem_release(req, &r->sem, 1);
  case READ:
    return pkd_async_rwlock_unlock(req, &r->read);
  case WRITE:
    return pkd_async_rwlock_unlock(req, &r->write);
  case ONCE:
    return status == 1 ? pkd_async_once_done(req, &r->once, UV_EIO) : 0;
  case KEY:
    return pkd_async_keyed_unlock(req, &r->keyed);
  case COND:
    return pkd_async_mutex_unlock(req, &r->cond_mutex);
  default:
    return 0; /* the wait was all */
  }
}

static void answered(pkd_req_t* req, int status) {
  struct wait* wait = (struct wait*)req;
  struct round* r = wait->round;

  wait->answers++;
  if (status < 0 ? status != UV_ECANCELED
                 : give_back(r, req, wait->kind, status) != 0)
    r->wrong++;
}

static int wait_for(struct round* r, pkd_req_t* req, int kind) {
  switch (kind) {
  case MUTEX:
    return pkd_async_mutex_lock(&r->loop, req, &r->mutex, answered);
  case SEM:
    return pkd_async_sem_acquire(&r->loop, req, &r->sem, 1, answered);
  case READ:
    return pkd_async_rwlock_rdlock(&r->loop, req, &r->read, answered);
  case WRITE:
    return pkd_async_rwlock_wrlock(&r->loop, req, &r->write, answered);
  case EVENT:
    return pkd_async_event_wait(&r->loop, req, &r->event, answered);
  case ONCE:
    return pkd_async_once_call(&r->loop, req, &r->once, answered);
  case GATE:
    return pkd_async_gate_close(&r->loop, req, &r->gate, answered);
  case KEY:
    return pkd_async_keyed_lock_u64(&r->loop, req, &r->keyed, 5, answered);
  case BARRIER:
    return pkd_async_barrier_arrive(&r->loop, req, &r->barrier, answered);
  default:
    if (pkd_async_mutex_trylock(req, &r->cond_mutex) != 0)
      return UV_EIO;
    return pkd_async_cond_wait(&r->loop, req, &r->cond, &r->cond_mutex,
                               answered);
  }
}

static void user_woken(uv_async_t* handle) {
  (void)handle;
}

static void close_open(uv_handle_t* handle, void* arg) {
  (void)arg;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

static void note_detached(pkd_loop_t* loop) {
  struct round* r =
      (struct round*)(void*)((char*)loop - offsetof(struct round, loop));

  for (int kind = 0; kind < KINDS; kind++)
    for (int i = 0; i < EACH; i++)
      r->wrong += r->waits[kind][i].answers != 1;
  r->detached = true;
}

static void run_loop(void* arg) {
  struct round* r = arg;

  if (uv_loop_init(&r->uv) != 0 || pkd_loop_attach(&r->loop, &r->uv) != 0)
    abort();
  uv_async_init(&r->uv, &r->user, user_woken);
  uv_timer_init(&r->uv, &r->timer);
  for (int kind = 0; kind < KINDS; kind++)
    for (int i = 0; i < EACH; i++) {
      r->waits[kind][i].round = r;
      r->waits[kind][i].kind = kind;
      r->wrong += wait_for(r, &r->waits[kind][i].req, kind) != 0;
    }
  r->ready = 1;
  for (unsigned i = 0; i < r->turns; i++)
    uv_run(&r->uv, UV_RUN_NOWAIT);
  r->wrong += pkd_loop_detach(&r->loop, note_detached) != 0;
  uv_walk(&r->uv, close_open, NULL);
  uv_run(&r->uv, UV_RUN_DEFAULT);
  r->wrong += uv_loop_close(&r->uv) != 0;
  r->wrong += !r->detached;
}

/* --- the main thread -------------------------------------------------------- */

static void hold_everything(struct round* r) {
  pkd_async_sem_init(&r->sem, 1, 0);
  pkd_async_barrier_init(&r->barrier, EACH + 1);
  pkd_async_mutex_trylock(&r->held[MUTEX], &r->mutex);
  pkd_async_sem_try_acquire(&r->held[SEM], &r->sem, 1);
  pkd_async_rwlock_trywrlock(&r->held[READ], &r->read);
  pkd_async_rwlock_tryrdlock(&r->held[WRITE], &r->write);
  pkd_async_once_try(&r->held[ONCE], &r->once);
  pkd_async_gate_enter(&r->gate);
  pkd_async_keyed_trylock_u64(&r->held[KEY], &r->keyed, 5);
}

static int let_go(struct round* r, int kind) {
  switch (kind) {
  case EVENT:
    return pkd_async_event_notify_one(&r->event) |
           pkd_async_event_notify_all(&r->event);
  case ONCE:
    return pkd_async_once_done(&r->held[ONCE], &r->once, 0);
  case GATE:
    return pkd_async_gate_leave(&r->gate);
  case BARRIER: {
    int rc = pkd_async_barrier_arrive_blocking(&r->held[BARRIER], &r->barrier,
                                               0); /* only tries: the loop may
                                                      have left it for good */
    return rc < 0 && rc != UV_ETIMEDOUT ? rc : 0;
  }
  case COND:
    return pkd_async_cond_signal(&r->cond) < 0 ||
           pkd_async_cond_broadcast(&r->cond) < 0;
  default:
    return give_back(r, &r->held[kind], kind, 0);
  }
}

static void everything_is_closed_with_grants_in_flight(void** state) {
  rng_t rng = rng_stream(*(uint64_t*)*state, 0);

  for (unsigned i = 0; i < ROUNDS(300); i++) {
    struct round* r = calloc(1, sizeof *r);
    unsigned first = (unsigned)rng_below(&rng, KINDS);
    uv_thread_t thread;

    assert_non_null(r);
    r->turns = (unsigned)rng_below(&rng, 6);
    hold_everything(r);
    assert_int_equal(uv_thread_create(&thread, run_loop, r), 0);
    WAIT_FOR(r->ready);
    for (unsigned k = 0; k < KINDS; k++)
      assert_int_equal(let_go(r, (int)((first + k) % KINDS)), 0);
    uv_thread_join(&thread);
    assert_int_equal(r->wrong, 0);
    assert_false(pkd_async_mutex_is_locked(&r->mutex));
    assert_false(pkd_async_mutex_is_locked(&r->cond_mutex));
    assert_int_equal(pkd_async_sem_destroy(&r->sem), 0);
    assert_int_equal(pkd_async_rwlock_destroy(&r->read), 0);
    assert_int_equal(pkd_async_rwlock_destroy(&r->write), 0);
    assert_int_equal(pkd_async_once_destroy(&r->once), 0);
    assert_int_equal(pkd_async_cond_destroy(&r->cond), 0);
    free(r);
    assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
  }
}

int main(int argc, char** argv) {
  static uint64_t seed;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_prestate(everything_is_closed_with_grants_in_flight,
                                &seed),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("close", tests, NULL, NULL);
}
