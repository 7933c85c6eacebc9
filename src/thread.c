/* SPDX-License-Identifier: MIT
 *
 * thread.c - the calling thread as a waiter; the only place one sleeps for a
 * lock.
 *
 * A sleeper is a waiter and a parker, in the frame of the sleeping function:
 * nothing is allocated and nothing outlives the thread. It may leave only after
 * its parker was woken or after it took itself out of the queue, so whoever
 * chose it finds its memory in place until pkd_parker_wake, which touches the
 * word once and then only names its address. */
#include <parkade/cancel.h>

#include "atomic.h"
#include "hook.h"
#include "lot.h"
#include "os/os.h"

const struct pkd__hooks* pkd__hooks;

struct sleeper {
  pkd_waiter_t waiter; /* first: wake() gets its address */
  pkd_parker_t parker;
  const pkd_park_t* how;
  bool cancelled; /* by the firing thread, before it wakes the parker */
  pkd_cancel_link_t link;
};

static void wake_sleeper(pkd_waiter_t* waiter) {
  pkd_parker_wake(&((struct sleeper*)waiter)->parker);
}

/* In the thread that fires. A sleeper that was chosen already is left alone: it
 * has been granted what it waits for. */
static void cancel_sleeper(pkd_cancel_link_t* link) {
  char* at = (char*)link - offsetof(struct sleeper, link);
  struct sleeper* self = (struct sleeper*)(void*)at;
  const pkd_park_t* how = self->how;

  if (pkd_lot_remove(&self->waiter, how->timed_out, how->arg) == 0) {
    self->cancelled = true;
    pkd_parker_wake(&self->parker);
  }
}

/* The link comes after the queueing, so that who fires finds us queued, and goes
 * before we leave: unlink waits for a cancel_sleeper() under way. */
static int sleep_cancellable(struct sleeper* self, pkd_deadline_t deadline) {
  const pkd_cancel_t* cancel = self->how->cancel;
  pkd_deadline_t limit = pkd_cancel_deadline(cancel);
  int rc;

  self->link.fire = cancel_sleeper;
  if (pkd_cancel_link(cancel, &self->link) != 0)
    return -ECANCELED;
  rc = pkd_parker_sleep(&self->parker, deadline < limit ? deadline : limit);
  pkd_cancel_unlink(&self->link);
  return rc != 0 && limit <= deadline ? -ECANCELED : rc;
}

/* Sleeps, queued, and leaves the queue if nobody has chosen it. */
static int sleep_queued(struct sleeper* self, pkd_deadline_t deadline) {
  const pkd_park_t* how = self->how;
  int rc = how->cancel != NULL ? sleep_cancellable(self, deadline)
                               : pkd_parker_sleep(&self->parker, deadline);

  if (self->cancelled)
    return -ECANCELED;
  if (rc != 0 && pkd_lot_remove(&self->waiter, how->timed_out, how->arg) != 0) {
    /* Chosen before we could leave: the waker counts on us, and holds our
     * memory until it has woken us. */
    pkd_parker_sleep(&self->parker, PKD_FOREVER);
    rc = 0;
  }
  return rc;
}

static __attribute__((noinline)) int
sleep_watched(struct sleeper* self, pkd_deadline_t deadline,
              const struct pkd__hooks* hooks) {
  int rc;

  hooks->sleeps(&self->waiter, deadline);
  rc = sleep_queued(self, deadline);
  hooks->awake();
  return rc;
}

int pkd_lot_park(const void* key, const pkd_park_t* how,
                 pkd_deadline_t deadline, pkd_parked_t* parked) {
  struct sleeper self = {0};
  const struct pkd__hooks* hooks;
  int rc;

  self.how = how;
  self.waiter.wake = wake_sleeper;
  self.waiter.token = how->token;
  self.waiter.due = how->due;
  rc = pkd__lot_enqueue(key, &self.waiter, how->validate, how->arg,
                        how->front != 0);
  if (rc != 0)
    return rc;
  if (how->before_sleep != NULL)
    how->before_sleep(how->arg);
  hooks = pkd__hooked();
  rc = __builtin_expect(hooks != NULL, 0)
           ? sleep_watched(&self, deadline, hooks)
           : sleep_queued(&self, deadline);
  if (parked != NULL) {
    parked->token = self.waiter.token;
    parked->state = self.waiter.state;
  }
  return rc;
}

int pkd_parker_sleep(pkd_parker_t* parker, pkd_deadline_t deadline) {
  /* (P1) acquire, pairs with (P2): all the waker did before is visible, the
   * unpark token and what the lock guards among it. */
  while (pkd__load_acquire(&parker->word) == 0) {
    if (pkd__os_wait(&parker->word, 0, deadline) == -ETIMEDOUT &&
        /* relaxed: if it is there, (P1) looks again */
        pkd__load_relaxed(&parker->word) == 0)
      return -ETIMEDOUT;
  }
  return 0;
}

void pkd_parker_wake(pkd_parker_t* parker) {
  uint32_t* word = &parker->word;

  /* (P2) release, pairs with (P1). The sleeper may return and its frame be gone
   * from here on: the wake below is given an address and reads nothing. */
  pkd__store_release(word, 1);
  pkd__os_wake(word);
}
