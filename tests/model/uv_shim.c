/* SPDX-License-Identifier: MIT
 *
 * uv_shim.c - libuv for explored code: the part that async/ uses, and weaker.
 *
 * The functions have libuv's names and types and stand in its place at link
 * time. The order of a turn is that of libuv 1.44: timers, idle, prepare, poll,
 * check, closing. Where libuv promises little, this promises nothing:
 *
 *   - uv_async_send orders no memory: its flag and the count that stands for the
 *     eventfd are relaxed, and it returns early when the flag looks set;
 *   - sends coalesce, and a callback may come without a send (`spurious`);
 *   - poll may return for no reason;
 *   - a handle's flags are plain memory, as they are in libuv: two threads that
 *     use one handle otherwise than by uv_async_send race, and are reported.
 *
 * This file is compiled with the hooks, like the code that it serves. What it
 * keeps in a handle lies in `u`, which libuv keeps for itself. */
#include "explore.h"

#include "uv_pool.h"

#include "atomic.h"
#include "os/os.h"

#include <uv.h>

#define MS 1000000u
#define HANDLES 24
#define ALWAYS UINT64_MAX

enum { ACTIVE = 1, REFERENCED = 2, CLOSING = 4 };

/* In uv_handle_t.u: 32 bytes on 64-bit systems. */
typedef struct inner {
  void (*cb)(void);
  uint64_t due;     /* timer: ms */
  uint32_t pending; /* async: atomic, the flag that swallows repeated sends */
  uint32_t flags;
  uint32_t started; /* timer: which start of its loop's that was */
} inner_t;

typedef struct shim_loop {
  uint32_t sends; /* atomic: what the eventfd counts */
  bool stopped;
  uint64_t now; /* ms */
  unsigned jobs;
  uint32_t starts; /* of timers */
  unsigned count;
  uv_handle_t* handle[HANDLES];
} shim_loop_t;

static inner_t* inner_of(uv_handle_t* handle) {
  return (inner_t*)(void*)handle->u.reserved;
}

static shim_loop_t* loop_of(const uv_loop_t* loop) {
  return loop->internal_fields;
}

/* --- loops --------------------------------------------------------------- */

static void update_time(shim_loop_t* loop) {
  loop->now = pkd__os_now() / MS;
}

int uv_loop_init(uv_loop_t* loop) {
  loop->internal_fields = explore_need(sizeof(shim_loop_t));
  update_time(loop_of(loop));
  return 0;
}

int uv_loop_close(uv_loop_t* loop) {
  return loop_of(loop)->count == 0 ? 0 : UV_EBUSY;
}

int uv_loop_alive(const uv_loop_t* uv) {
  const shim_loop_t* loop = loop_of(uv);

  if (loop->jobs > 0)
    return 1;
  for (unsigned i = 0; i < loop->count; i++) {
    uint32_t flags = inner_of(loop->handle[i])->flags;
    if (flags & CLOSING ||
        (flags & (ACTIVE | REFERENCED)) == (ACTIVE | REFERENCED))
      return 1;
  }
  return 0;
}

void uv_stop(uv_loop_t* loop) {
  loop_of(loop)->stopped = true;
}

uint64_t uv_now(const uv_loop_t* loop) {
  return loop_of(loop)->now;
}

uint64_t uv_hrtime(void) {
  return pkd__os_now();
}

void uv_walk(uv_loop_t* uv, uv_walk_cb cb, void* arg) {
  shim_loop_t* loop = loop_of(uv);

  for (unsigned i = 0; i < loop->count; i++)
    cb(loop->handle[i], arg);
}

/* --- handles ------------------------------------------------------------- */

static void init(uv_loop_t* uv, uv_handle_t* handle, uv_handle_type type) {
  shim_loop_t* loop = loop_of(uv);

  if (loop->count == HANDLES)
    explore_fail("more than %d handles in a loop", HANDLES);
  handle->loop = uv;
  handle->type = type;
  *inner_of(handle) = (inner_t){NULL, 0, 0, REFERENCED, 0};
  loop->handle[loop->count++] = handle;
}

static int start(uv_handle_t* handle, void (*cb)(void)) {
  inner_t* inner = inner_of(handle);

  if (inner->flags & CLOSING)
    return UV_EINVAL;
  if (!(inner->flags & ACTIVE)) {
    inner->cb = cb;
    inner->flags |= ACTIVE;
  }
  return 0;
}

static int stop(uv_handle_t* handle) {
  inner_of(handle)->flags &= ~(uint32_t)ACTIVE;
  return 0;
}

void uv_close(uv_handle_t* handle, uv_close_cb cb) {
  if (inner_of(handle)->flags & CLOSING)
    explore_fail("uv_close: the handle is closing");
  inner_of(handle)->flags = CLOSING;
  handle->close_cb = cb;
}

int uv_is_closing(const uv_handle_t* handle) {
  const inner_t* inner = (const inner_t*)(const void*)handle->u.reserved;
  return (inner->flags & CLOSING) != 0;
}

int uv_is_active(const uv_handle_t* handle) {
  const inner_t* inner = (const inner_t*)(const void*)handle->u.reserved;
  return (inner->flags & ACTIVE) != 0;
}

void uv_ref(uv_handle_t* handle) {
  inner_of(handle)->flags |= REFERENCED;
}

void uv_unref(uv_handle_t* handle) {
  inner_of(handle)->flags &= ~(uint32_t)REFERENCED;
}

int uv_prepare_init(uv_loop_t* loop, uv_prepare_t* handle) {
  init(loop, (uv_handle_t*)handle, UV_PREPARE);
  return 0;
}

int uv_check_init(uv_loop_t* loop, uv_check_t* handle) {
  init(loop, (uv_handle_t*)handle, UV_CHECK);
  return 0;
}

int uv_idle_init(uv_loop_t* loop, uv_idle_t* handle) {
  init(loop, (uv_handle_t*)handle, UV_IDLE);
  return 0;
}

int uv_prepare_start(uv_prepare_t* handle, uv_prepare_cb cb) {
  return start((uv_handle_t*)handle, (void (*)(void))cb);
}

int uv_check_start(uv_check_t* handle, uv_check_cb cb) {
  return start((uv_handle_t*)handle, (void (*)(void))cb);
}

int uv_idle_start(uv_idle_t* handle, uv_idle_cb cb) {
  return start((uv_handle_t*)handle, (void (*)(void))cb);
}

int uv_prepare_stop(uv_prepare_t* handle) {
  return stop((uv_handle_t*)handle);
}

int uv_check_stop(uv_check_t* handle) {
  return stop((uv_handle_t*)handle);
}

int uv_idle_stop(uv_idle_t* handle) {
  return stop((uv_handle_t*)handle);
}

int uv_timer_init(uv_loop_t* loop, uv_timer_t* handle) {
  init(loop, (uv_handle_t*)handle, UV_TIMER);
  return 0;
}

int uv_timer_start(uv_timer_t* handle, uv_timer_cb cb, uint64_t timeout,
                   uint64_t repeat) {
  inner_t* inner = inner_of((uv_handle_t*)handle);

  if (repeat != 0)
    explore_fail("the shim has no repeating timers");
  stop((uv_handle_t*)handle);
  inner->due = loop_of(handle->loop)->now + timeout;
  inner->started = loop_of(handle->loop)->starts++;
  return start((uv_handle_t*)handle, (void (*)(void))cb);
}

int uv_timer_stop(uv_timer_t* handle) {
  return stop((uv_handle_t*)handle);
}

int uv_async_init(uv_loop_t* loop, uv_async_t* handle, uv_async_cb cb) {
  init(loop, (uv_handle_t*)handle, UV_ASYNC);
  return start((uv_handle_t*)handle, (void (*)(void))cb);
}

int uv_async_send(uv_async_t* handle) {
  inner_t* inner = inner_of((uv_handle_t*)handle);

  if (pkd__load_relaxed(&inner->pending) != 0 ||
      pkd__exchange_relaxed(&inner->pending, 1) != 0)
    return 0;
  shim_loop_wake(handle->loop);
  return 0;
}

void shim_loop_wake(uv_loop_t* uv) {
  shim_loop_t* loop = loop_of(uv);

  pkd__add_relaxed(&loop->sends, 1);
  pkd__os_wake(&loop->sends);
}

void shim_loop_hold(uv_loop_t* loop) {
  loop_of(loop)->jobs++;
}

void shim_loop_release(uv_loop_t* loop) {
  loop_of(loop)->jobs--;
}

/* --- a turn -------------------------------------------------------------- */

static void call(uv_handle_t* handle) {
  ((void (*)(uv_handle_t*))inner_of(handle)->cb)(handle);
}

static bool is_active(uv_handle_t* handle, uv_handle_type type) {
  return handle->type == type && inner_of(handle)->flags & ACTIVE;
}

/* Those that are started at its beginning, if they still are when it is their
 * turn. */
static void run_phase(shim_loop_t* loop, uv_handle_type type) {
  uv_handle_t* ready[HANDLES];
  unsigned count = 0;

  for (unsigned i = 0; i < loop->count; i++)
    if (is_active(loop->handle[i], type))
      ready[count++] = loop->handle[i];
  for (unsigned i = 0; i < count; i++)
    if (is_active(ready[i], type))
      call(ready[i]);
}

/* @return the timer that is due first, of those started before `end`; or NULL */
static uv_handle_t* first_due(shim_loop_t* loop, uint32_t end) {
  uv_handle_t* first = NULL;

  for (unsigned i = 0; i < loop->count; i++) {
    uv_handle_t* handle = loop->handle[i];
    const inner_t* inner = inner_of(handle);
    if (!is_active(handle, UV_TIMER) || inner->due > loop->now ||
        inner->started >= end)
      continue;
    if (first == NULL || inner->due < inner_of(first)->due ||
        (inner->due == inner_of(first)->due &&
         inner->started < inner_of(first)->started))
      first = handle;
  }
  return first;
}

static void run_timers(shim_loop_t* loop) {
  uint32_t end = loop->starts;
  uv_handle_t* timer;

  while ((timer = first_due(loop, end)) != NULL) {
    stop(timer);
    call(timer);
  }
}

/* @return when poll has to be back, in ms; 0: at once */
static uint64_t poll_end(uv_loop_t* uv, uv_run_mode mode) {
  shim_loop_t* loop = loop_of(uv);
  uint64_t end = ALWAYS;

  if (mode == UV_RUN_NOWAIT || loop->stopped || !uv_loop_alive(uv))
    return 0;
  for (unsigned i = 0; i < loop->count; i++) {
    uv_handle_t* handle = loop->handle[i];
    if (inner_of(handle)->flags & CLOSING || is_active(handle, UV_IDLE))
      return 0;
    if (is_active(handle, UV_TIMER) && inner_of(handle)->due < end)
      end = inner_of(handle)->due;
  }
  return end;
}

static void poll(uv_loop_t* uv, uv_run_mode mode) {
  shim_loop_t* loop = loop_of(uv);
  uint64_t end = poll_end(uv, mode);
  bool ghost;

  if (end > loop->now && pkd__load_relaxed(&loop->sends) == 0)
    pkd__os_wait(&loop->sends, 0, end == ALWAYS ? UINT64_MAX : end * MS);
  update_time(loop);
  ghost = explore_spurious();
  if (pkd__exchange_relaxed(&loop->sends, 0) == 0 && !ghost)
    return;
  if (loop->jobs > 0)
    shim_pool_deliver(uv);
  for (unsigned i = 0; i < loop->count; i++) {
    uv_handle_t* handle = loop->handle[i];
    if (is_active(handle, UV_ASYNC) &&
        (pkd__exchange_relaxed(&inner_of(handle)->pending, 0) != 0 || ghost))
      call(handle);
  }
}

static void finish_closing(shim_loop_t* loop) {
  unsigned i = 0;

  while (i < loop->count) {
    uv_handle_t* handle = loop->handle[i];
    if (!(inner_of(handle)->flags & CLOSING)) {
      i++;
      continue;
    }
    loop->handle[i] = loop->handle[--loop->count];
    if (handle->close_cb != NULL)
      handle->close_cb(handle); /* it may be gone after this */
  }
}

int uv_run(uv_loop_t* uv, uv_run_mode mode) {
  shim_loop_t* loop = loop_of(uv);
  int alive = uv_loop_alive(uv);

  update_time(loop);
  while (alive && !loop->stopped) {
    run_timers(loop);
    run_phase(loop, UV_IDLE);
    run_phase(loop, UV_PREPARE);
    poll(uv, mode);
    run_phase(loop, UV_CHECK);
    finish_closing(loop);
    if (mode == UV_RUN_ONCE)
      run_timers(loop);
    alive = uv_loop_alive(uv);
    if (mode != UV_RUN_DEFAULT)
      break;
  }
  loop->stopped = false;
  return alive;
}

/* --- threads ------------------------------------------------------------- */

/* Three values: 2 says that somebody may sleep. */
static uint32_t* word_of(uv_mutex_t* mutex) {
  return (uint32_t*)(void*)mutex;
}

int uv_mutex_init(uv_mutex_t* mutex) {
  pkd__store_relaxed(word_of(mutex), 0);
  return 0;
}

void uv_mutex_destroy(uv_mutex_t* mutex) {
  explore_assert(pkd__load_relaxed(word_of(mutex)) == 0);
}

void uv_mutex_lock(uv_mutex_t* mutex) {
  uint32_t seen = 0;

  if (pkd__cas_acquire(word_of(mutex), &seen, 1))
    return;
  while (pkd__exchange_acquire(word_of(mutex), 2) != 0)
    pkd__os_wait(word_of(mutex), 2, ALWAYS);
}

void uv_mutex_unlock(uv_mutex_t* mutex) {
  if (pkd__exchange_release(word_of(mutex), 0) == 2)
    pkd__os_wake(word_of(mutex));
}

/* The only thread that async/ starts is its watchdog; a scenario looks in its
 * place, when it likes. */
int uv_thread_create(uv_thread_t* thread, uv_thread_cb entry, void* arg) {
  (void)thread;
  (void)entry;
  (void)arg;
  return 0;
}

int uv_thread_join(uv_thread_t* thread) {
  (void)thread;
  return 0;
}

/* --- words --------------------------------------------------------------- */

const char* uv_strerror(int err) {
  (void)err;
  return "an error of libuv";
}

const char* uv_err_name(int err) {
  (void)err;
  return "UV_E";
}
