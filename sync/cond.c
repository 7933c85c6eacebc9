/* SPDX-License-Identifier: MIT
 *
 * cond.c - the condition: a queue of its own, and a way into the mutex's.
 *
 * The word is the mutex in use: not NULL exactly while somebody is queued at the
 * condition, set by the first waiter and cleared by whoever removes the last,
 * both under the lot's lock of the condition. So a signal knows the mutex
 * without being told, and a second mutex is found out.
 *
 *    word   means                leaves by
 *    NULL   nobody waits         the first wait -> m
 *    m      waiters, using m     the last one woken, moved or late -> NULL
 *             (in the child of a fork: or waiters that are not in this process)
 *
 * A signal that finds the mutex held sets the mutex's P bit and moves the waiter
 * into its queue, both under the two lot locks, so the unlock that follows finds
 * it there. A signal that finds it free wakes the waiter, who competes.
 *
 * Each waiter learns how it left the condition (by its unpark token if it was
 * woken, by its state if it was moved), since it may be late in either queue or
 * on its way to the mutex. Who was signalled and then cannot have the mutex in
 * time passes the signal on; one of a broadcast need not, all were called. */
#include <parkade/cond.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "bucket.h"
#include "mutex_tokens.h"
#include "word/mutex.h"

/* How a waiter left. Unlike the mutex's tokens, which a moved waiter gets. */
enum {
  WAITING = PKD__TOKEN_HANDOFF + 1, /* it did not: nobody called it */
  SIGNALLED,
  BROADCAST
};

/* --- waiting --------------------------------------------------------------- */

struct wait {
  pkd_cond_t* c;
  pkd_mutex_t* m;
};

/* The word changes under the lot's lock of the condition. (K1) release, pairs with
 * the acquire loads (K2) of who then says that nobody waits, and may free it. */
static void set_lock(pkd_cond_t* c, void* lock) {
  pkd__store_release(&c->lock, lock);
}

static int join(void* arg) {
  struct wait* w = arg;
  void* lock = pkd__load_relaxed(&w->c->lock); /* relaxed: under the lock */

  if (lock == NULL)
    set_lock(w->c, w->m);
  return lock == NULL || lock == w->m;
}

static void unlock_mutex(void* arg) {
  pkd_mutex_unlock(((struct wait*)arg)->m);
}

static void gave_up(void* arg, const void* key, int was_last) {
  struct wait* w = arg;

  if (key != w->c)
    pkd__mutex_gave_up(w->m, key, was_last);
  else if (was_last)
    set_lock(w->c, NULL);
}

static pkd_unpark_op_t leave(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_STOP;
}

static uint64_t forget(void* arg, const pkd_unpark_result_t* result) {
  if (!result->have_more)
    set_lock(arg, NULL);
  return 0;
}

/* In the child of a fork the word may name the mutex of waiters that stayed with
 * the parent. @return true if it did, and does no more */
static bool forget_absent(pkd_cond_t* c) {
  return pkd__forked() && !pkd_lot_unpark_filter(c, leave, forget, c).have_more;
}

/* Late, and not holding the mutex. */
static int give_up(struct wait* w, uint64_t left_as, int why) {
  if (pkd_mutex_trylock(w->m) == 0)
    return left_as == WAITING ? why : 0;
  if (left_as == SIGNALLED)
    pkd_cond_signal(w->c);
  return PKD_ENOTHELD;
}

int pkd_cond_wait_cancellable(pkd_cond_t* c, pkd_mutex_t* m,
                              const pkd_cancel_t* cancel,
                              pkd_deadline_t deadline) {
  struct wait w = {c, m};
  pkd_park_t how = {0};
  pkd_parked_t parked = {0, 0};
  int rc;

  how.validate = join;
  how.before_sleep = unlock_mutex;
  how.timed_out = gave_up;
  how.arg = &w;
  how.token = WAITING;
  how.cancel = cancel;
  do {
    rc = pkd_lot_park(c, &how, deadline, &parked);
  } while (rc == -EAGAIN && forget_absent(c));
  if (rc == -EAGAIN)
    return -EINVAL;
  if (rc == 0)
    rc = pkd__mutex_lock_woken(m, cancel, deadline, parked.token);
  if (rc == 0)
    return 0;
  return give_up(&w, parked.state != 0 ? parked.state : parked.token, rc);
}

int pkd_cond_wait_until(pkd_cond_t* c, pkd_mutex_t* m,
                        pkd_deadline_t deadline) {
  return pkd_cond_wait_cancellable(c, m, NULL, deadline);
}

int pkd_cond_wait(pkd_cond_t* c, pkd_mutex_t* m) {
  return pkd_cond_wait_until(c, m, PKD_FOREVER);
}

int pkd_cond_wait_for(pkd_cond_t* c, pkd_mutex_t* m, uint64_t ns) {
  return pkd_cond_wait_until(c, m, pkd_after(ns));
}

/* --- signalling ------------------------------------------------------------ */

struct call {
  pkd_cond_t* c;
  pkd_mutex_t* m;
  bool all;
};

/* Under both lot locks: is the mutex held, with its holder told by P that the
 * queue is not empty? */
static bool bind_to_holder(pkd_mutex_t* m) {
  uint8_t old = pkd__load_relaxed(&m->word); /* relaxed: the exchange decides */

  while (!pkd__mutex_is_free(old)) {
    /* relaxed: the lot's lock orders the queue; P only leads there */
    if (pkd__cas_relaxed(&m->word, &old, pkd__mutex_parked(old, false)))
      return true;
  }
  return false;
}

static pkd_requeue_op_t wake_or_move(void* arg, pkd_waiter_t* oldest) {
  const struct call* call = arg;

  (void)oldest;
  /* Another mutex than the one we locked the queue of: the waiters we saw have
   * gone, and others came. Whoever calls looks again. */
  if (pkd__load_relaxed(&call->c->lock) !=
      call->m) /* relaxed: under the lock */
    return PKD_REQUEUE_ABORT;
  if (bind_to_holder(call->m))
    return call->all ? PKD_REQUEUE_MOVE_ALL : PKD_REQUEUE_MOVE_ONE;
  return call->all ? PKD_REQUEUE_WAKE_MOVE_ALL : PKD_REQUEUE_WAKE_ONE;
}

static uint64_t called(void* arg, const pkd_unpark_result_t* result) {
  const struct call* call = arg;

  /* Moved behind one that was woken: that one will lock, and its unlock must
   * look for them. relaxed: as in bind_to_holder. */
  if (result->unparked != 0 && result->requeued != 0)
    pkd__or_relaxed(&call->m->word, (uint8_t)PKD__MUTEX_PARKED);
  if (!result->have_more)
    set_lock(call->c, NULL);
  return call->all ? BROADCAST : SIGNALLED;
}

static size_t notify(pkd_cond_t* c, bool all) {
  for (;;) {
    /* (K2) acquire, pairs with (K1) */
    struct call call = {c, pkd__load_acquire(&c->lock), all};
    pkd_unpark_result_t result;

    if (call.m == NULL)
      return 0;
    result = pkd_lot_unpark_requeue(c, call.m, wake_or_move, called,
                                    all ? BROADCAST : SIGNALLED, &call);
    if (result.unparked + result.requeued != 0)
      return result.unparked + result.requeued;
  }
}

int pkd__cond_signal_slow(pkd_cond_t* c) {
  return notify(c, false) != 0;
}

size_t pkd__cond_broadcast_slow(pkd_cond_t* c) {
  return notify(c, true);
}
