/* SPDX-License-Identifier: MIT
 *
 * cond.c - the condition: a queue of its own, and a way into the lock's.
 *
 * The word is the lock in use: not NULL exactly while somebody is queued at the
 * condition, set by the first waiter and cleared by whoever removes the last,
 * both under the lot's lock of the condition. So a signal knows the lock without
 * being told, and a second lock is found out. What kind of lock it is each
 * waiter's park token says; what is done with it, cond_locks.c.
 *
 *    word   means                leaves by
 *    NULL   nobody waits         the first wait -> lock
 *    lock   waiters, using it    the last one woken, moved or late -> NULL
 *             (in the child of a fork: or waiters that are not in this process)
 *
 * A signal that finds the lock held sets the bit of the lock that leads into its
 * queue and moves the waiter there, both under the two lot locks, so the unlock
 * that follows finds it. A signal that finds the lock free wakes the waiter, who
 * competes; or, for a lock that is never free while somebody is queued, takes it
 * for the waiter.
 *
 * Each waiter learns how it left the condition (by its unpark token if it was
 * woken, by its state if it was moved), since it may be late in either queue or
 * on its way to the lock. Who was signalled and then cannot have the lock in
 * time passes the signal on; one of a broadcast need not, all were called. It has
 * been called, so the condition may be gone: see pass_on(). */
#include <parkade/cond.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "bucket.h"
#include "cond_locks.h"
#include "mutex_tokens.h"

/* How a waiter left. Unlike the locks' tokens, which a moved waiter gets. */
enum {
  WAITING = PKD__TOKEN_HANDOFF + 1, /* it did not: nobody called it */
  SIGNALLED,
  BROADCAST
};

/* --- waiting --------------------------------------------------------------- */

struct wait {
  pkd_cond_t* c;
  void* lock;
  const struct pkd__cond_lock* use;
};

static void pass_on(const struct wait* w);

/* The word changes under the lot's lock of the condition. (K1) release, pairs with
 * (K2): who then learns that nobody waits may free it. */
static void set_lock(pkd_cond_t* c, void* lock) {
  pkd__store_release(&c->lock, lock);
}

static int join(void* arg) {
  struct wait* w = arg;
  void* lock = pkd__load_relaxed(&w->c->lock); /* relaxed: under the lock */

  if (lock == NULL)
    set_lock(w->c, w->lock);
  return lock == NULL || lock == w->lock;
}

static void unlock(void* arg) {
  struct wait* w = arg;

  w->use->unlock(w->lock);
}

static void gave_up(void* arg, const void* key, int was_last) {
  struct wait* w = arg;

  if (key != w->c)
    w->use->gave_up(w->lock, key, was_last);
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

/* Late, and not holding the lock. */
static int give_up(struct wait* w, uint64_t left_as, int why) {
  if (w->use->try_late(w->lock) == 0)
    return left_as == WAITING ? why : 0;
  if (left_as == SIGNALLED)
    pass_on(w);
  return PKD_ENOTHELD;
}

/* Woken by the condition with a token of its own, or by the lock with one of its
 * own after it was moved, or handed the lock by the condition. */
static uint64_t how_it_left(const pkd_parked_t* parked, bool woken) {
  if (parked->state != 0)
    return parked->state;
  return woken ? parked->token : WAITING;
}

/* Unlocks, and sleeps until it is called, late or cancelled.
 * @return as pkd_lot_park; -EAGAIN: others wait with another lock, still held */
static int sleep_at(struct wait* w, uint64_t token, const pkd_cancel_t* cancel,
                    pkd_deadline_t deadline, pkd_parked_t* parked) {
  pkd_park_t how = {0};
  int rc;

  how.validate = join;
  how.before_sleep = unlock;
  how.timed_out = gave_up;
  how.arg = w;
  how.token = token;
  how.cancel = cancel;
  do {
    rc = pkd_lot_park(w->c, &how, deadline, parked);
  } while (rc == -EAGAIN && forget_absent(w->c));
  return rc;
}

int pkd__cond_wait(pkd_cond_t* c, void* lock, enum pkd__cond_kind kind,
                   const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  uint64_t token = pkd__cond_token(kind);
  struct wait w = {c, lock, pkd__cond_lock_of(token)};
  pkd_parked_t parked = {0, 0};
  int rc = sleep_at(&w, token, cancel, deadline, &parked);
  uint64_t left_as;

  if (rc == -EAGAIN)
    return -EINVAL;
  left_as = how_it_left(&parked, rc == 0);
  if (rc == 0)
    rc = w.use->lock_woken(lock, cancel, deadline, parked.token);
  return rc == 0 ? 0 : give_up(&w, left_as, rc);
}

int pkd__cond_wait_and_lock(pkd_cond_t* c, pkd_mutex_t* m,
                            const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  uint64_t token = pkd__cond_token(PKD__COND_MUTEX);
  struct wait w = {c, m, pkd__cond_lock_of(token)};
  pkd_parked_t parked = {0, 0};
  int rc = sleep_at(&w, token, cancel, deadline, &parked);

  if (rc == -EAGAIN)
    return -EINVAL;
  if (rc == 0)
    return w.use->lock_woken(m, NULL, PKD_FOREVER, parked.token);
  /* Nobody called it, or it was late in the mutex's queue already. */
  pkd_mutex_lock(m);
  return how_it_left(&parked, false) == WAITING ? rc : 0;
}

/* --- signalling ------------------------------------------------------------ */

struct call {
  pkd_cond_t* c;
  void* lock;
  bool all;
  const struct pkd__cond_lock* use; /* of the oldest */
  bool taken;                       /* for the one that is woken */
};

static pkd_requeue_op_t wake_or_move(void* arg, pkd_waiter_t* oldest) {
  struct call* call = arg;

  /* Another lock than the one we locked the queue of: the waiters we saw have
   * gone, and others came. Whoever calls looks again. */
  if (pkd__load_relaxed(&call->c->lock) !=
      call->lock) /* relaxed: under the lock */
    return PKD_REQUEUE_ABORT;
  call->use = pkd__cond_lock_of(oldest->token);
  do {
    if (call->use->bind(call->lock))
      return call->all ? PKD_REQUEUE_MOVE_ALL : PKD_REQUEUE_MOVE_ONE;
    call->taken = call->use->take != NULL && call->use->take(call->lock);
  } while (call->use->take != NULL && !call->taken);
  return call->all ? PKD_REQUEUE_WAKE_MOVE_ALL : PKD_REQUEUE_WAKE_ONE;
}

static uint64_t called(void* arg, const pkd_unpark_result_t* result) {
  const struct call* call = arg;

  if (result->unparked != 0 && result->requeued != 0)
    call->use->follow(call->lock);
  if (!result->have_more)
    set_lock(call->c, NULL);
  if (call->taken)
    return PKD__TOKEN_HANDOFF;
  return call->all ? BROADCAST : SIGNALLED;
}

/* The signal of one who is late goes to the next, if there is one. Whoever called us
 * may know of nobody else who waits, and have freed the condition: it is touched
 * only once somebody is seen who waits at a condition there, one that lives
 * therefore, ours or a later one. If that one is used with the same lock it is told
 * once too often, at worst. */
static pkd_requeue_op_t wake_or_move_next(void* arg, pkd_waiter_t* oldest) {
  uint64_t kind = oldest->token & 7;
  bool waits_here = oldest->state == 0 &&
                    oldest->token == pkd__cond_token((enum pkd__cond_kind)kind);

  return waits_here ? wake_or_move(arg, oldest) : PKD_REQUEUE_ABORT;
}

static uint64_t called_next(void* arg, const pkd_unpark_result_t* result) {
  const struct call* call = arg;

  return call->use == NULL ? 0 : called(arg, result);
}

static void pass_on(const struct wait* w) {
  struct call call = {w->c, w->lock, false, NULL, false};

  pkd_lot_unpark_requeue(w->c, w->lock, wake_or_move_next, called_next,
                         SIGNALLED, &call);
}

static size_t notify(pkd_cond_t* c, bool all) {
  for (;;) {
    /* (K2) acquire, pairs with (K1) */
    struct call call = {c, pkd__load_acquire(&c->lock), all, NULL, false};
    pkd_unpark_result_t result;

    if (call.lock == NULL)
      return 0;
    result = pkd_lot_unpark_requeue(c, call.lock, wake_or_move, called,
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
