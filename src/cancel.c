/* SPDX-License-Identifier: MIT
 *
 * cancel.c - the token that ends waits: a word, and the lot's queue at it.
 *
 * Whatever is linked to a token is a waiter at the token's address. To fire is
 * to set the word and wake each: the lot's order of "look, then queue" against
 * "set, then dequeue" is what keeps a link from falling between, and a wake
 * function is what calls back. A child is a link of its parent, so a tree
 * needs nothing of its own.
 *
 * A link is either taken out of the queue by unlink, or chosen by fire, never
 * both. Chosen, it belongs to the firing thread until link->fired is woken: that
 * wake is its last touch, and unlink waits for it. One link is chosen at a time:
 * those behind it can leave while its callback runs, which may need a lock that one
 * of them has been granted. In the child of a fork there is no firing thread of its
 * parent's, and nothing to wait for. */
#include <parkade/cancel.h>

#include "atomic.h"
#include "bucket.h"
#include "os/os.h"

static int not_fired(void* c) {
  /* (C2) acquire, pairs with (C1): a wait that is refused here shows what the one
   * who fired did before, though it may not have had the lot's lock yet. */
  return pkd__load_acquire(&((pkd_cancel_t*)c)->fired) == 0;
}

static void run_link(pkd_waiter_t* waiter) {
  pkd_cancel_link_t* link = (pkd_cancel_link_t*)waiter;

  link->fire(link);
  pkd_parker_wake(&link->fired);
}

int pkd_cancel_link(const pkd_cancel_t* c, pkd_cancel_link_t* link) {
  link->waiter.wake = run_link;
  link->waiter.state = pkd__forks();
  link->fired.word = 0;
  link->token = c;
  if (pkd_lot_enqueue(c, &link->waiter, not_fired, (void*)(uintptr_t)c) == 0)
    return 0;
  link->token = NULL;
  return -ECANCELED;
}

int pkd_cancel_unlink(pkd_cancel_link_t* link) {
  if (link->token == NULL)
    return -ENOENT;
  link->token = NULL;
  if (pkd_lot_remove(&link->waiter, NULL, NULL) == 0)
    return 0;
  if (link->waiter.state != pkd__forks()) /* linked by a parent */
    return pkd_parker_sleep(&link->fired, 0) == 0 ? -ECANCELED : 0;
  pkd_parker_sleep(&link->fired, PKD_FOREVER);
  return -ECANCELED;
}

int pkd_cancel_fire(pkd_cancel_t* c) {
  int cancel;

  /* (C1) release, pairs with (C2): who finds it fired sees why. */
  if (pkd__exchange_release(&c->fired, 1) != 0)
    return 0;
  /* Nobody else calls the links any more, and one whose callback did not return
   * would be waited for: this thread must not end in one. */
  cancel = pkd__os_forbid_cancel();
  while (pkd_lot_unpark_one(c, NULL, NULL).unparked != 0) {
  }
  pkd__os_allow_cancel(cancel);
  return 1;
}

/* --- the tree --------------------------------------------------------------- */

static void fire_child(pkd_cancel_link_t* up) {
  char* child = (char*)up - offsetof(pkd_cancel_t, up);

  pkd_cancel_fire((pkd_cancel_t*)(void*)child);
}

int pkd_cancel_init(pkd_cancel_t* c, pkd_cancel_t* parent,
                    pkd_deadline_t deadline) {
  pkd_deadline_t limit = pkd_cancel_deadline(parent);

  *c = (pkd_cancel_t)PKD_CANCEL_INIT;
  if (deadline > limit)
    deadline = limit;
  if (deadline != PKD_FOREVER)
    c->deadline = deadline == 0 ? 1 : deadline; /* 0 is for zeroed memory */
  c->up.fire = fire_child;
  if (parent == NULL || pkd_cancel_link(parent, &c->up) == 0)
    return 0;
  c->fired = 1; /* nobody else knows it yet */
  return -ECANCELED;
}

void pkd_cancel_close(pkd_cancel_t* c) {
  pkd_cancel_unlink(&c->up);
}

/* --- looking and waiting ---------------------------------------------------- */

pkd_deadline_t pkd_cancel_deadline(const pkd_cancel_t* c) {
  return c == NULL || c->deadline == 0 ? PKD_FOREVER : c->deadline;
}

int pkd_cancel_is_fired(const pkd_cancel_t* c) {
  pkd_deadline_t deadline = pkd_cancel_deadline(c);

  /* (C2) acquire, pairs with (C1). */
  if (c != NULL && pkd__load_acquire(&c->fired) != 0)
    return 1;
  return deadline != PKD_FOREVER && deadline <= pkd__os_now();
}

struct pause {
  pkd_cancel_link_t link; /* first: fire() gets its address */
  pkd_parker_t parker;
};

static void end_pause(pkd_cancel_link_t* link) {
  pkd_parker_wake(&((struct pause*)link)->parker);
}

int pkd_cancel_wait(const pkd_cancel_t* c, pkd_deadline_t deadline) {
  pkd_deadline_t limit = pkd_cancel_deadline(c);
  struct pause pause = {0};
  int rc;

  pause.link.fire = end_pause;
  if (pkd_cancel_link(c, &pause.link) == 0) {
    rc = pkd_parker_sleep(&pause.parker, deadline < limit ? deadline : limit);
    if (pkd_cancel_unlink(&pause.link) == 0 && rc != 0 && deadline < limit)
      return -ETIMEDOUT;
  }
  return pkd_cancel_is_fired(c) ? 0 : -ETIMEDOUT; /* with its order (C2) */
}
