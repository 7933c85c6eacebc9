/* SPDX-License-Identifier: MIT
 *
 * keyed_close.c - to close a keyed mutex is to look for those who wait.
 *
 * A keyed mutex has no list of them: they stand in the lot, under as many names as
 * there are keys. So the lot is walked, part by part: under the lock of a part the
 * names are noted at which somebody is to be sent away, then each name is emptied.
 *
 * Nobody is left. Before it waits, a newcomer looks at `closed` under the lot's
 * lock of its name (keyed.c). If it has it before the walk has, the walk finds it;
 * if after, `closed` was set before that, and it is refused.
 *
 * Only the waiters say that a keyed mutex is there. When the last of them has been
 * told, another may free it, and yet another may be made in its place while the
 * walk goes on. So it is asked, through one who waits for it and therefore keeps
 * it, whether it is closed. */
#include "engine.h"
#include "home.h"
#include "keyed.h"

#define NAMES 32u /* noted under one hold of the lot's lock */
#define ROUND 32u /* sent away under one hold; see send_away() */
#define BELLS (sizeof((struct pkd__bells*)0)->home / sizeof(struct pkd__home*))

struct search {
  const pkd_async_keyed_t* keyed;
  unsigned count;
  const void* name[NAMES];
};

struct ending {
  const pkd_async_keyed_t* keyed;
  size_t passed; /* in this hold of the lot's lock */
  size_t taken;
  bool full;
  pkd_req_t* first; /* the taken, oldest first */
  pkd_req_t* last;
};

static int note(void* arg, const void* name, pkd_waiter_t* waiter);
static bool waits_for_closed(const pkd_req_t* req,
                             const pkd_async_keyed_t* keyed);
static void empty(const void* name, const pkd_async_keyed_t* keyed);

int pkd_async_keyed_close(pkd_async_keyed_t* keyed) {
  struct search search = {.keyed = keyed};
  unsigned part = 0;

  if (keyed == NULL)
    return UV_EINVAL;
  /* (K1) release, pairs with (K2). From here on `keyed` is touched for who waits
   * only: who is refused may be the last who knows it, and free it. */
  pkd__store_release(&keyed->closed, 1);
  while (pkd__lot_visit(part, note, &search)) {
    for (unsigned i = 0; i < search.count; i++)
      empty(search.name[i], keyed);
    part += search.count < NAMES; /* full: there may be more of them */
    search.count = 0;
  }
  return 0;
}

/* Is `req` to be sent away? Under the lot's lock, in the queue. */
static bool waits_for_closed(const pkd_req_t* req,
                             const pkd_async_keyed_t* keyed) {
  /* relaxed: the lot's lock guards it while it is queued */
  uint32_t state = pkd__load_relaxed(&req->waiter.state);

  return state == pkd__state(PKD__QUEUED, PKD__KIND_KEYED) &&
         pkd__keyed_owner(req) == keyed &&
         pkd__load_relaxed(&keyed->closed) != 0; /* relaxed: as the state */
}

/* Anything may wait in the lot. A request is known by its `wake`, and who stands
 * at a name by its kind, or by none, if it has asked for a key without waiting. Of
 * other queues the first is enough. */
static int note(void* arg, const void* name, pkd_waiter_t* waiter) {
  struct search* search = arg;
  uint32_t state;

  if (search->count == NAMES || waiter->wake != pkd__woken_by_stranger)
    return 0;
  /* relaxed: the lot's lock guards it while it is queued */
  state = pkd__load_relaxed(&waiter->state);
  if (state != PKD__IDLE && pkd__kind_of(state) != PKD__KIND_KEYED)
    return 0;
  if (!waits_for_closed(pkd__req_of(waiter), search->keyed))
    return 1;
  search->name[search->count++] = name;
  return 0;
}

/* --- one name -------------------------------------------------------------- */

/* One that has left the queue needs its key no more, and is strung to the others
 * by its place. */
static pkd_req_t* next_of(const pkd_req_t* req) {
  return (pkd_req_t*)(uintptr_t)req->extra[0];
}

static void append(struct ending* ending, pkd_req_t* req) {
  req->extra[0] = 0;
  if (ending->first == NULL)
    ending->first = req;
  else
    ending->last->extra[0] = (uintptr_t)req;
  ending->last = req;
}

/* Those of other keys, if they share the name, may stand before all of them. Who
 * stops behind them has to pass them again, so it takes as many as it has passed:
 * the whole costs no more than twice the queue. */
static pkd_unpark_op_t send_away(void* arg, pkd_waiter_t* waiter) {
  struct ending* ending = arg;
  pkd_req_t* req = pkd__req_of(waiter);

  if (!waits_for_closed(req, ending->keyed)) {
    ending->passed++;
    return PKD_UNPARK_SKIP;
  }
  if (ending->taken >= ROUND && ending->taken >= ending->passed) {
    ending->full = true;
    return PKD_UNPARK_STOP;
  }
  ending->taken++;
  /* (S1) release, pairs with (S2) and (S5) */
  pkd__store_release(&waiter->state, pkd__state(PKD__CLOSED, PKD__KIND_KEYED));
  append(ending, req);
  return PKD_UNPARK_TAKE;
}

/* To their loops and threads; each may be gone as soon as it is there. */
static void hand_out(pkd_req_t* req) {
  struct pkd__bells bells;

  bells.count = 0;
  while (req != NULL) {
    pkd_req_t* next = next_of(req);

    if (req->via.home == NULL)
      pkd_parker_wake((pkd_parker_t*)req->link.next);
    else
      pkd__home_post(req->via.home, req, &bells);
    req = next;
    if (req == NULL || bells.count == BELLS) {
      pkd__bells_ring(&bells);
      bells.count = 0;
    }
  }
}

static void empty(const void* name, const pkd_async_keyed_t* keyed) {
  struct ending ending;

  do {
    ending = (struct ending){.keyed = keyed};
    pkd_lot_unpark_filter(name, send_away, NULL, &ending);
    hand_out(ending.first);
  } while (ending.full);
}
