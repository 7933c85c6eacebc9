/* SPDX-License-Identifier: MIT
 *
 * rwlock_pass.c - who of a rwlock's queue is let in, and how.
 *
 * Everything here happens under the lot's lock of the address, and, where
 * somebody is let in or woken because the lock is free, with H set: a writer has
 * it still, another first takes it. So the word cannot move under the choice.
 *
 * Patient: the front of the queue, readers and the first upgradable, up to and
 * including the first writer, is woken to compete, and whoever runs may be faster.
 * (Were the upgradable the last, who may be in beside it would sleep until it
 * leaves.) Those who were woken last keep the lock moving, and a woken writer is
 * marked by K and by the time: readers let it pass if it does not come (rwlock.c,
 * makes_way).
 *
 * Due: when the oldest has waited its time, or the unlock is a fair one, or the
 * policy prefers a side, the lock is handed over: to all readers and the first
 * upgradable, or to the first writer. After a writer the readers come first, after
 * readers a writer: so a phase of one side is followed by one of the other. Where
 * readers stay, what an upgradable gives up is handed over to the next.
 *
 * A reader leaves by one subtraction and may be the last to know that the lock
 * still exists: after it somebody else may have got the lock and freed it. Hence
 * pkd__rw_pass_left() touches the word only after it has seen a waiter with the
 * mark of a rwlock in the queue: that one is waiting in a lock that lives, ours
 * or a later one at the same address. What is done for it is right for whatever
 * lock it is, since it is decided by that lock's word. */
#include "rwlock_pass.h"

#include <parkade/lot.h>

#include "atomic.h"
#include "bucket.h"
#include "lot.h"
#include "mutex_tokens.h"

/* Whose turn it is. */
enum turn {
  NOBODY,    /* those who hold it will pass it on */
  FRONT,     /* the front of the queue, to compete */
  SHARERS,   /* readers and the first upgradable, handed over */
  WRITER,    /* the first writer, handed over */
  UPGRADER,  /* the upgrader, if the readers are gone */
  LOOK,      /* nobody; is a writer there? */
  COMPETERS, /* readers and the first upgradable, to compete */
  JOINERS,   /* those before a writer, handed over, beside those who have it */
};

struct pass {
  pkd_rwlock_t* l;
  uint32_t share; /* of the caller, given up here; HELD also once we took it */
  uint32_t keep;
  bool fair;
  bool gave_up; /* the caller uses the lock and has stopped waiting */
  bool begun;   /* a waiter was seen: the lock lives, the rest is set */
  enum turn turn;
  bool again; /* this pass found nobody: another turn */
  /* of this pass */
  uint32_t readers;
  bool up;
  bool writer;
  bool upgraded;
  bool pending; /* a writer or upgrader stays in the queue */
};

static enum turn first_turn(const struct pass* p, const pkd_waiter_t* oldest,
                            bool after_writer);

/* --- taking H -------------------------------------------------------------- */

/* Takes H, for those in the queue, if nobody has the lock or only the caller. */
static bool take(struct pass* p, uint32_t* old) {
  while (pkd__rw_is_free(*old - p->share)) {
    uint32_t held = (*old - p->share) | PKD__RW_HELD;

    /* (R1) acquire, pairs with (R2): on behalf of whom we hand it to. */
    if (pkd__cas_acquire(&p->l->word, old, held)) {
      p->share = PKD__RW_HELD;
      return true;
    }
  }
  return false;
}

static bool is_due(const pkd_waiter_t* waiter) {
  return waiter->due != 0 && pkd__due_by(waiter->due, pkd_lot_due(pkd_now()));
}

static void begin(struct pass* p, const pkd_waiter_t* oldest) {
  uint32_t old;

  p->turn = NOBODY;
  if (p->share == 0 && !p->gave_up &&
      !pkd__rw_is_ours(oldest->token, oldest->state))
    return; /* a stranger, where our lock once was */
  p->begun = true;
  old = pkd__load_relaxed(&p->l->word); /* relaxed: exchanges decide */
  if (p->share == PKD__RW_HELD)
    p->turn = first_turn(p, oldest, true);
  else if (take(p, &old))
    p->turn = first_turn(p, oldest, false);
  else if (p->share != 0 || pkd__rw_is(old, PKD__RW_HELD))
    p->turn = NOBODY;
  else if (p->gave_up)
    p->turn = LOOK;
  else if (pkd__rw_is(old, PKD__RW_UPGRADABLE))
    p->turn = UPGRADER;
  else if (!pkd__rw_is(old, PKD__RW_PENDING))
    p->turn = p->fair || is_due(oldest) ? JOINERS : COMPETERS;
}

static enum turn first_turn(const struct pass* p, const pkd_waiter_t* oldest,
                            bool after_writer) {
  if (p->keep != 0 || p->l->policy == PKD_RWLOCK_PREFER_READERS)
    return SHARERS;
  if (p->l->policy == PKD_RWLOCK_PREFER_WRITERS)
    return WRITER;
  if (!p->fair && !is_due(oldest))
    return FRONT;
  return after_writer ? SHARERS : WRITER;
}

/* --- choosing -------------------------------------------------------------- */

static bool is_writer(enum pkd__rw_mode mode) {
  return mode == PKD__RW_WRITE || mode == PKD__RW_UPGRADE;
}

/* With the readers gone, the one who has U gets H for it. */
static bool upgrade(struct pass* p) {
  uint32_t old = pkd__load_relaxed(&p->l->word); /* relaxed: exchange decides */

  while (pkd__rw_is(old, PKD__RW_UPGRADABLE) &&
         pkd__rw_may(old, PKD__RW_UPGRADE)) {
    /* (R1) */
    if (pkd__cas_acquire(&p->l->word, &old,
                         pkd__rw_entered(old, PKD__RW_UPGRADE, false)))
      return true;
  }
  return false;
}

/* For one who sleeps, beside those who have the lock. */
static bool join(struct pass* p, enum pkd__rw_mode mode) {
  uint32_t old = pkd__load_relaxed(&p->l->word); /* relaxed: exchange decides */

  while (pkd__rw_may(old, mode)) {
    /* (R1) */
    if (pkd__cas_acquire(&p->l->word, &old, pkd__rw_entered(old, mode, false)))
      return true;
  }
  return false;
}

static pkd_unpark_op_t take_sharer(struct pass* p, enum pkd__rw_mode mode) {
  bool up = mode == PKD__RW_UP;

  if (is_writer(mode)) {
    p->pending |=
        pkd__rw_pends(mode, p->l->policy == PKD_RWLOCK_PREFER_READERS);
    p->writer |= mode == PKD__RW_WRITE;
    return PKD_UNPARK_SKIP;
  }
  if (up && (p->up || p->keep == PKD__RW_UPGRADABLE))
    return PKD_UNPARK_SKIP;
  if (p->turn == JOINERS && (p->pending || !join(p, mode)))
    return PKD_UNPARK_SKIP;
  p->up |= up;
  p->readers += !up;
  return PKD_UNPARK_WAKE;
}

static pkd_unpark_op_t choose(void* arg, pkd_waiter_t* waiter) {
  struct pass* p = arg;
  enum pkd__rw_mode mode = pkd__rw_mode_of(waiter->token);
  bool stop = p->writer || p->up || p->upgraded;

  if (!p->begun)
    begin(p, waiter);
  switch (p->turn) {
  case FRONT:
    if (p->writer)
      return PKD_UNPARK_STOP;
    if (p->up && mode == PKD__RW_UP)
      return PKD_UNPARK_SKIP;
    p->writer = mode == PKD__RW_WRITE;
    p->up |= mode == PKD__RW_UP;
    return PKD_UNPARK_WAKE;
  case SHARERS:
  case COMPETERS:
  case JOINERS:
    return take_sharer(p, mode);
  case WRITER:
    if (stop)
      return PKD_UNPARK_STOP;
    p->writer = mode == PKD__RW_WRITE;
    return p->writer ? PKD_UNPARK_WAKE : PKD_UNPARK_SKIP;
  case UPGRADER:
    if (stop)
      return PKD_UNPARK_STOP;
    p->upgraded = mode == PKD__RW_UPGRADE && upgrade(p);
    p->pending |= mode == PKD__RW_UPGRADE;
    return p->upgraded ? PKD_UNPARK_WAKE : PKD_UNPARK_SKIP;
  case LOOK:
    p->pending |=
        pkd__rw_pends(mode, p->l->policy == PKD_RWLOCK_PREFER_READERS);
    return PKD_UNPARK_SKIP;
  case NOBODY:
  default:
    return PKD_UNPARK_STOP;
  }
}

/* --- handing over ---------------------------------------------------------- */

/* H goes to those chosen, or is given up. (R2) release, pairs with (R1): what
 * the last writer did is visible to whoever enters. Not a store: readers are
 * finding out all the time. */
static void let_in(struct pass* p, uint32_t add, bool waking, bool more) {
  uint32_t old = pkd__load_relaxed(&p->l->word); /* relaxed: exchange decides */

  while (!pkd__cas_release(
      &p->l->word, &old,
      pkd__rw_passed(old, p->keep + add, p->pending, waking, more))) {
  }
}

/* relaxed, both: under the lot's lock, where alone Q changes; P may be cleared at
 * any time, and who sets it orders nothing by it */
static void set_bits(struct pass* p, uint32_t bits) {
  pkd__or_relaxed(&p->l->word, bits);
}

static void clear_bits(struct pass* p, uint32_t bits) {
  pkd__and_relaxed(&p->l->word, ~bits);
}

/* The share of a reader or of U, while others hold the lock too. */
static void give_up_share(struct pass* p) {
  /* (R2) */
  uint32_t left = pkd__sub_release(&p->l->word, p->share) - p->share;
  bool trust = !pkd__forked();

  p->again = p->share == PKD__RW_READER ? pkd__rw_reader_must_wake(left, trust)
                                        : pkd__rw_up_must_wake(left, trust);
  p->share = 0;
  p->begun = false;
}

static void find_nobody(struct pass* p) {
  uint32_t old;

  if (p->share == PKD__RW_HELD) {
    let_in(p, 0, false, false);
  } else if (p->share != 0) {
    old = pkd__load_relaxed(&p->l->word); /* relaxed: the exchange decides */
    /* (R2) */
    while (!pkd__cas_release(&p->l->word, &old,
                             (old - p->share) & ~(uint32_t)PKD__RW_QUEUED)) {
    }
  } else if (p->gave_up) {
    clear_bits(p, PKD__RW_PENDING | PKD__RW_QUEUED);
  }
}

static void change_turn(struct pass* p, enum turn turn) {
  p->turn = turn;
  p->again = true;
}

/* The lock stays with those who have it; P and Q are made right. */
static void settle(struct pass* p, bool more) {
  if (!more)
    clear_bits(p, PKD__RW_QUEUED);
  if (p->pending)
    set_bits(p, PKD__RW_PENDING);
  else if (p->turn != UPGRADER)
    clear_bits(p, PKD__RW_PENDING);
  if (p->turn == LOOK && more && !p->pending)
    change_turn(p, COMPETERS);
}

/* Under the lot's lock, with those chosen dequeued. */
static uint64_t hand_over(void* arg, const pkd_unpark_result_t* result) {
  struct pass* p = arg;
  bool more = result->have_more != 0;

  if (!p->begun) {
    find_nobody(p);
    return PKD__TOKEN_NONE;
  }
  switch (p->turn) {
  case FRONT:
    if (p->writer) /* relaxed: let_in() shows it, with K */
      pkd__store_relaxed(&p->l->woken, pkd__rw_stamp(pkd_now()));
    let_in(p, 0, p->writer, more);
    return PKD__TOKEN_WAKER;
  case SHARERS:
    if (result->unparked == 0 && p->writer && p->keep == 0)
      change_turn(p, WRITER);
    else
      let_in(p, p->readers * PKD__RW_READER + (p->up ? PKD__RW_UPGRADABLE : 0),
             false, more);
    return PKD__TOKEN_HANDOFF;
  case WRITER:
    if (p->writer)
      clear_bits(p, PKD__RW_PENDING | (more ? 0 : PKD__RW_QUEUED));
    else if (more)
      change_turn(p, SHARERS);
    else
      let_in(p, 0, false, false);
    return PKD__TOKEN_HANDOFF;
  case UPGRADER:
    p->pending &= !p->upgraded;
    settle(p, more);
    return PKD__TOKEN_HANDOFF;
  case JOINERS:
    settle(p, more);
    return PKD__TOKEN_HANDOFF;
  case LOOK:
  case COMPETERS:
    settle(p, more);
    return PKD__TOKEN_WAKER;
  case NOBODY:
  default:
    if (p->share != 0)
      give_up_share(p);
    else if (p->gave_up) /* whoever has H finds out who pends */
      clear_bits(p, PKD__RW_PENDING);
    return PKD__TOKEN_NONE;
  }
}

static void pass(struct pass* p) {
  do {
    p->again = false;
    p->readers = 0;
    p->up = p->writer = p->upgraded = p->pending = false;
    pkd_lot_unpark_filter(p->l, choose, hand_over, p);
  } while (p->again);
}

void pkd__rw_pass_share(pkd_rwlock_t* l, uint32_t share, uint32_t keep,
                        bool fair) {
  struct pass p = {.l = l, .share = share, .keep = keep, .fair = fair};

  pass(&p);
}

void pkd__rw_pass_left(pkd_rwlock_t* l) {
  struct pass p = {.l = l};

  pass(&p);
}

void pkd__rw_pass_gave_up(pkd_rwlock_t* l) {
  struct pass p = {.l = l, .gave_up = true};

  pass(&p);
}
