/* SPDX-License-Identifier: MIT
 *
 * keyed_close.c - to close a keyed mutex is to look for those who wait.
 *
 * They are found by a walk of the lot (keyed_walk.c), and each name is emptied of
 * them. Nobody is left. Before it waits, a newcomer looks at `closed` under the
 * lot's lock of its name (keyed.c). If it has it before the walk has, the walk
 * finds it; if after, `closed` was set before that, and it is refused.
 *
 * Only the waiters say that a keyed mutex is there. When the last of them has been
 * told, another may free it, and yet another may be made in its place while the
 * walk goes on. So it is asked, through one who waits for it and therefore keeps
 * it, whether it is closed. */
#include "engine.h"
#include "grant.h"
#include "home.h"
#include "keyed.h"

#define ROUND                                                                  \
  32u /* sent away under one hold of the lot's lock; see send_away() */

struct ending {
  const pkd_async_keyed_t* keyed;
  size_t passed; /* in this hold of the lot's lock */
  size_t taken;
  bool full;
  pkd_waiter_t* first; /* the taken, oldest first, strung by `next` */
  pkd_waiter_t** end;
};

static bool waits_for_closed(const void* keyed, const pkd_req_t* req);
static void empty(void* keyed, const void* name);

int pkd_async_keyed_close(pkd_async_keyed_t* keyed) {
  if (keyed == NULL)
    return UV_EINVAL;
  /* (K1) release, pairs with (K2). From here on `keyed` is touched for who waits
   * only: who is refused may be the last who knows it, and free it. */
  pkd__store_release(&keyed->closed, 1);
  pkd__keyed_walk(waits_for_closed, empty, keyed);
  return 0;
}

/* Is `req` to be sent away? Under the lot's lock, in the queue. */
static bool waits_for_closed(const void* arg, const pkd_req_t* req) {
  const pkd_async_keyed_t* keyed = arg;

  /* relaxed, both: the lot's lock guards the state while it is queued, and has
   * ordered `closed` */
  return pkd__step_of(pkd__load_relaxed(&req->waiter.state)) == PKD__QUEUED &&
         pkd__keyed_owner(req) == keyed &&
         pkd__load_relaxed(&keyed->closed) != 0;
}

/* --- one name -------------------------------------------------------------- */

/* Strung by their places in the queue, which they have left, as the one before
 * `waiter` has by now. Not by the room of their keys: who has queued one up, or has come
 * to it, may be about to look who else is there for its key (keyed.c). */
static void append(struct ending* ending, pkd_waiter_t* waiter) {
  *ending->end = waiter;
  ending->end = &waiter->next;
}

/* Those of other keys, if they share the name, may stand before all of them. Who
 * stops behind them has to pass them again, so it takes as many as it has passed:
 * the whole costs no more than twice the queue. */
static pkd_unpark_op_t send_away(void* arg, pkd_waiter_t* waiter) {
  struct ending* ending = arg;
  pkd_req_t* req = pkd__req_of(waiter);

  if (!waits_for_closed(ending->keyed, req)) {
    ending->passed++;
    return PKD_UNPARK_SKIP;
  }
  if (ending->taken >= ROUND && ending->taken >= ending->passed) {
    ending->full = true;
    return PKD_UNPARK_STOP;
  }
  ending->taken++;
  append(ending, waiter);
  return PKD_UNPARK_TAKE;
}

/* All of them are out of the queue. Who is away may be gone as soon as its state
 * says that its wait is over; the others stay until they are handed out. */
static uint64_t finish(void* arg, const pkd_unpark_result_t* result) {
  struct ending* ending = arg;
  pkd_waiter_t* waiter;

  (void)result;
  *ending->end = NULL;
  waiter = ending->first;
  ending->end = &ending->first;
  while (waiter != NULL) {
    pkd_waiter_t* next = waiter->next;
    /* relaxed: under the lot's lock */
    uint32_t state = pkd__load_relaxed(&waiter->state);

    pkd__grant_ended(state);
    if (!pkd__is_away(state))
      append(ending, waiter);
    /* (S1) release, pairs with (S2) and (S5) */
    pkd__store_release(&waiter->state,
                       pkd__state(PKD__CLOSED, PKD__KIND_KEYED));
    waiter = next;
  }
  *ending->end = NULL;
  return 0;
}

/* To their loops and threads; each may be gone as soon as it is there. */
static void hand_out(pkd_waiter_t* waiter) {
  struct pkd__bells bells;

  bells.count = 0;
  while (waiter != NULL) {
    pkd_waiter_t* next = waiter->next;
    pkd_req_t* req = pkd__req_of(waiter);

    if (req->via.home == NULL)
      pkd_parker_wake((pkd_parker_t*)req->link.next);
    else
      pkd__home_post(req->via.home, req, &bells);
    waiter = next;
    if (waiter == NULL || bells.count == PKD__BELLS) {
      pkd__bells_ring(&bells);
      bells.count = 0;
    }
  }
}

static void empty(void* keyed, const void* name) {
  struct ending ending;

  do {
    ending = (struct ending){.keyed = keyed, .end = &ending.first};
    pkd_lot_unpark_filter(name, send_away, finish, &ending);
    hand_out(ending.first);
  } while (ending.full);
}
