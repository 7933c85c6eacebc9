/* SPDX-License-Identifier: MIT
 *
 * loop.c - a loop's life with Parkade: attach, its phases, detach.
 *
 * Detaching closes the handles at once, so that a uv_walk that comes next finds
 * them closing. Two things are waited for before: that each pending request has
 * come home (it was cancelled, so it does as soon as a thread that is just
 * posting it has done so), and that nobody is still ringing the bell. The
 * callbacks are called when the handles are closed. */
#include "grant.h"
#include "home.h"
#include "request.h"

#include <stdlib.h>

struct pkd__home pkd__home_gone;

static int init_locks(struct pkd__home* home);
static void start_handles(struct pkd__home* home);
static void on_bell(uv_async_t* bell);
static void on_prepare(uv_prepare_t* prepare);
static void on_check(uv_check_t* check);
static void cancel_all(struct pkd__home* home);
static void close_handles(struct pkd__home* home);
static void on_close(uv_handle_t* handle);

int pkd_loop_attach(pkd_loop_t* loop, uv_loop_t* uv_loop) {
  struct pkd__home* home;
  int err;

  if (loop == NULL || uv_loop == NULL)
    return UV_EINVAL;
  home = calloc(1, sizeof *home);
  if (home == NULL)
    return UV_ENOMEM;
  home->uv = uv_loop;
  home->face = loop;
  home->attacher = pkd__self();
  home->owner = home->attacher << 1;
  home->away = PKD__AWAY_BIAS;
  if ((err = init_locks(home)) != 0) {
    free(home);
    return err;
  }
  /* From here on the watchdog of the grants may look at it. */
  if (!pkd__registry_add(home))
    err = UV_EALREADY;
  else if ((err = uv_async_init(uv_loop, &home->bell, on_bell)) != 0)
    pkd__registry_remove(home);
  if (err != 0) {
    pkd__home_free(home);
    return err;
  }
  start_handles(home);
  loop->home = home;
  return 0;
}

static int init_locks(struct pkd__home* home) {
  int err = uv_mutex_init(&home->lock);

  if (err == 0 && (err = uv_mutex_init(&home->retreat)) != 0)
    uv_mutex_destroy(&home->lock);
  return err;
}

static void start_handles(struct pkd__home* home) {
  uv_prepare_init(home->uv, &home->prepare);
  uv_check_init(home->uv, &home->check);
  uv_idle_init(home->uv, &home->idle);
  uv_timer_init(home->uv, &home->timer);
  home->bell.data = home->prepare.data = home->check.data = home;
  home->idle.data = home->timer.data = home;
  uv_unref((uv_handle_t*)&home->bell);
  uv_unref((uv_handle_t*)&home->prepare);
  uv_unref((uv_handle_t*)&home->check);
  uv_unref((uv_handle_t*)&home->idle);
  uv_unref((uv_handle_t*)&home->timer);
  uv_prepare_start(&home->prepare, on_prepare);
  uv_check_start(&home->check, on_check);
  home->epoch = uv_hrtime() / 1000000;
  home->armed = PKD__WHEEL_NEVER;
  pkd__list_init(&home->plain);
  pkd__wheel_init(&home->wheel, 0);
}

static void on_bell(uv_async_t* bell) {
  pkd__home_adopt(bell->data);
  pkd__home_collect_surely(bell->data);
}

static void on_prepare(uv_prepare_t* prepare) {
  struct pkd__home* home = prepare->data;

  pkd__home_adopt(home);
  pkd__store_relaxed(&home->turn, pkd__self()); /* relaxed: see enter() */
}

static void on_check(uv_check_t* check) {
  struct pkd__home* home = check->data;

  pkd__home_deliver_turn(home);
  pkd__store_relaxed(&home->turn, 0); /* relaxed: see enter() */
}

size_t pkd_loop_held(const pkd_loop_t* loop) {
  const struct pkd__home* home = loop == NULL ? NULL : loop->home;

  if (home == NULL || home == &pkd__home_gone)
    return 0;
  /* relaxed: a snapshot */
  return (size_t)(home->here + pkd__load_relaxed(&home->away) - PKD__AWAY_BIAS);
}

size_t pkd_loop_pending(const pkd_loop_t* loop) {
  return loop == NULL || loop->home == NULL ? 0 : loop->home->pending;
}

int pkd_loop_adopt(pkd_loop_t* loop) {
  if (loop == NULL || loop->home == NULL)
    return UV_EINVAL;
  if (loop->home == &pkd__home_gone || loop->home->detaching)
    return UV_ESHUTDOWN;
  pkd__home_check(loop->home, "pkd_loop_adopt");
  pkd__home_adopt(loop->home);
  return 0;
}

int pkd_loop_detach(pkd_loop_t* loop, pkd_loop_cb cb) {
  struct pkd__home* home = loop == NULL ? NULL : loop->home;

  if (home == NULL)
    return UV_EINVAL;
  if (home == &pkd__home_gone || home->detaching)
    return UV_EALREADY;
  pkd__home_check(home, "pkd_loop_detach");
  pkd__home_adopt(home);
  home->detaching = true;
  home->detached = cb;
  cancel_all(home);
  pkd__watch_leave(home);
  close_handles(home);
  return 0;
}

static void cancel_all(struct pkd__home* home) {
  struct pkd__link* link;

  pkd__wheel_empty(&home->wheel, &home->plain);
  for (link = home->plain.next; link != &home->plain; link = link->next)
    pkd_req_cancel(pkd__req_at(link));
  /* Some may be on their way from other threads. Nothing here holds those up:
   * no lock is held, and what they wait for is a processor at most. */
  for (;;) {
    pkd_parker_t nobody = {0};

    pkd__home_collect_surely(home);
    /* (H4) acquire, pairs with (H3): who rang is done with the bell */
    if (home->ready_count == home->pending &&
        pkd__load_acquire(&home->rung) == home->taken)
      return;
    pkd_parker_sleep(&nobody, pkd_after(20000));
  }
}

static void close_handles(struct pkd__home* home) {
  /* relaxed: the check phase will not come again to say so */
  pkd__store_relaxed(&home->turn, 0);
  home->open = 5;
  uv_close((uv_handle_t*)&home->bell, on_close);
  uv_close((uv_handle_t*)&home->prepare, on_close);
  uv_close((uv_handle_t*)&home->check, on_close);
  uv_close((uv_handle_t*)&home->idle, on_close);
  uv_close((uv_handle_t*)&home->timer, on_close);
}

static void on_close(uv_handle_t* handle) {
  struct pkd__home* home = handle->data;
  pkd_loop_t* loop = home->face;
  pkd_loop_cb detached = home->detached;
  int64_t held;

  if (--home->open != 0)
    return;
  pkd__home_deliver_all(home);
  pkd__registry_remove(home);
  loop->home = &pkd__home_gone;
  held = home->here;
  /* (A2) acq_rel, pairs with (A1): tickets that are still held keep the memory */
  if (pkd__add_acq_rel(&home->away, held - PKD__AWAY_BIAS) + held ==
      PKD__AWAY_BIAS)
    pkd__home_free(home);
  if (detached != NULL)
    detached(loop);
}
