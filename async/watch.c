/* SPDX-License-Identifier: MIT
 *
 * watch.c - the watchdog: one thread for all loops whose grants are not to lie
 * undelivered for ever. It lives while there is such a loop, and does no more
 * than to call pkd__grants_look() when that says so. */
#include <parkade/cond.h>
#include <parkade/mutex.h>

#include "grant.h"

#include <string.h>

static struct {
  pkd_mutex_t lock;
  pkd_cond_t changed;
  /* under `lock` */
  unsigned loops;      /* that want it */
  uint64_t generation; /* of the thread; another number ends it */
  bool again;          /* look now: there is less patience */
  uv_thread_t thread;
} watch;

static int enter(void);
static void run(void* generation);

int pkd_loop_set_grant_timeout(pkd_loop_t* loop, uint64_t ms) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;
  int err = 0;

  if (home == NULL || ms > PKD__PATIENCE_MAX)
    return UV_EINVAL;
  if (home == &pkd__home_gone || home->detaching)
    return UV_ESHUTDOWN;
  pkd__home_check(home, "pkd_loop_set_grant_timeout");
  pkd__home_adopt(home);
  if (ms == 0) {
    pkd__watch_leave(home);
    return 0;
  }
  if (pkd__load_relaxed(&home->patience) == 0) /* relaxed: this thread's */
    err = enter();
  if (err != 0)
    return err;
  pkd__store_relaxed(&home->patience, (uint32_t)ms); /* relaxed: a setting */
  pkd_mutex_lock(&watch.lock);
  watch.again = true;
  pkd_cond_broadcast(&watch.changed);
  pkd_mutex_unlock(&watch.lock);
  return 0;
}

int pkd_loop_get_grants(const pkd_loop_t* loop, pkd_loop_grants_t* grants) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;

  if (home == NULL || grants == NULL)
    return UV_EINVAL;
  if (home == &pkd__home_gone)
    return UV_ESHUTDOWN;
  uv_mutex_lock(&home->lock);
  grants->oldest = pkd__grants_lain(home, pkd_now()) / 1000000;
  grants->undelivered = home->undelivered + home->keys;
  grants->revoked = home->revoked;
  uv_mutex_unlock(&home->lock);
  return 0;
}

/* One loop more; the first brings the thread. */
static int enter(void) {
  int err = 0;

  pkd_mutex_lock(&watch.lock);
  if (watch.loops == 0)
    err = uv_thread_create(&watch.thread, run,
                           (void*)(uintptr_t)(watch.generation + 1));
  if (err == 0)
    watch.generation += watch.loops++ == 0;
  pkd_mutex_unlock(&watch.lock);
  return err == 0 ? 0 : UV_EAGAIN;
}

void pkd__watch_leave(struct pkd__home* home) {
  uv_thread_t thread;
  bool last;

  if (pkd__load_relaxed(&home->patience) == 0) /* relaxed: this thread's */
    return;
  pkd__store_relaxed(&home->patience, 0); /* relaxed: a setting */
  pkd_mutex_lock(&watch.lock);
  last = --watch.loops == 0;
  if (last) {
    thread = watch.thread;
    watch.generation++;
    pkd_cond_broadcast(&watch.changed);
  }
  pkd_mutex_unlock(&watch.lock);
  if (last)
    uv_thread_join(&thread);
}

/* No analysis: the wait may return without the lock. */
static void run(void* generation) PKD_NO_ANALYSIS {
  uint64_t mine = (uintptr_t)generation;

  pkd_mutex_lock(&watch.lock);
  while (watch.generation == mine) {
    pkd_deadline_t next;

    watch.again = false;
    pkd_mutex_unlock(&watch.lock);
    next = pkd__grants_look(pkd_now());
    pkd_mutex_lock(&watch.lock);
    if (watch.generation == mine && !watch.again &&
        pkd_cond_wait_until(&watch.changed, &watch.lock, next) == PKD_ENOTHELD)
      pkd_mutex_lock(&watch.lock);
  }
  pkd_mutex_unlock(&watch.lock);
}

void pkd__watch_forked(void) {
  memset(&watch, 0, sizeof watch);
}
