/* SPDX-License-Identifier: MIT
 *
 * rwlock.c - pkd_rwlock_t: entering, waiting and leaving. The word is drawn in
 * word/rwlock.h; who of the queue is let in is decided in rwlock_pass.c.
 *
 * Waiting is one loop for all five ways to want the lock. Under the lot's lock a
 * waiter either enters or sets its bits, in one exchange, and is queued in the
 * same step: it sleeps exactly if it may not enter, and whoever leaves then sees
 * Q. A reader's fast path adds itself first and looks afterwards; one who may
 * not read takes itself off again, and has then the duties of one who leaves.
 *
 * The subtraction of a reader, and each exchange that gives up U or H, is the
 * last touch of the lock by who leaves, but see rwlock_pass.c. */
#include <parkade/rwlock.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "bucket.h"
#include "mutex_tokens.h"
#include "os/os.h"
#include "panic.h"
#include "rwlock_pass.h"
#include "spin.h"

/* After this long in the queue the lock is handed over; as sync/mutex.c. */
#define PATIENCE_NS 500000u

/* One thread's attempt to get the lock. */
struct attempt {
  pkd_rwlock_t* l;
  enum pkd__rw_mode mode;
  const pkd_cancel_t* cancel; /* or NULL */
  pkd_deadline_t deadline;
  uint32_t due; /* end of patience; 0 until the first sleep */
  bool waker;   /* bit K is ours */
  int entered;  /* what enter() said last under the lot's lock */
};

/* Must who leaves look into the queue? If only K speaks against it, or readers that
 * are left, it relies on them for a quarter of a millisecond: the woken writer may
 * have no processor for a time slice, and the oldest waiter may be past its due
 * meanwhile. (Counting the times instead, one in 256, let dozens of writers pass a
 * reader past its due; not looking while others read let readers pass a writer for
 * milliseconds.) In the child of a fork nobody is on the way. */
static bool must_look(bool (*must_wake)(uint32_t word, bool trust_waking),
                      uint32_t word) {
  return must_wake(word, true) ||
         (must_wake(word, false) && (pkd__forked() || pkd__os_at_times()));
}

/* --- entering -------------------------------------------------------------- */

/* @return 0 entered; -EBUSY; -EAGAIN more readers than can be counted */
static int enter(struct attempt* a) {
  uint32_t old = pkd__load_relaxed(&a->l->word); /* relaxed: a first look */

  while (pkd__rw_may(old, a->mode)) {
    if (pkd__rw_is_counted(a->mode) &&
        pkd__rw_readers(old) >= PKD__RW_READERS_MAX)
      return -EAGAIN;
    /* (R1) acquire, pairs with (R2): what those did who left is visible. */
    if (pkd__cas_acquire(&a->l->word, &old,
                         pkd__rw_entered(old, a->mode, a->waker)))
      return 0;
  }
  return -EBUSY;
}

static bool pends(const struct attempt* a) {
  return pkd__rw_pends(a->mode, a->l->policy == PKD_RWLOCK_PREFER_READERS);
}

/* Keeps new readers out while we are awake. */
static void announce(struct attempt* a) {
  uint32_t old = pkd__load_relaxed(&a->l->word); /* relaxed: a hint */

  /* relaxed: it publishes nothing. With H set there is nobody to keep out. */
  if (pends(a) && !pkd__rw_is(old, PKD__RW_HELD | PKD__RW_PENDING))
    pkd__or_relaxed(&a->l->word, PKD__RW_PENDING);
}

/* Under the lot's lock: enters, or is queued. @return nonzero to wait */
static int enter_or_queue(void* arg) {
  struct attempt* a = arg;

  for (;;) {
    uint32_t old;

    a->entered = enter(a);
    if (a->entered != -EBUSY)
      return 0;
    old = pkd__load_relaxed(&a->l->word); /* relaxed: the exchange decides */
    /* relaxed: the lot's lock orders the queue; the bits only lead there */
    if (!pkd__rw_may(old, a->mode) &&
        pkd__cas_relaxed(&a->l->word, &old,
                         pkd__rw_queued(old, pends(a), a->waker)))
      break;
  }
  a->waker = false;
  return 1;
}

void pkd__rwlock_gave_up(void* l, const void* key, int was_last) {
  (void)key;
  /* relaxed: under the lot's lock, where alone Q changes */
  if (was_last)
    pkd__and_relaxed(&((pkd_rwlock_t*)l)->word, ~(uint32_t)PKD__RW_QUEUED);
}

static void gave_up(void* arg, const void* key, int was_last) {
  pkd__rwlock_gave_up(((struct attempt*)arg)->l, key, was_last);
}

/* @return 0 entered; 1 woken to compete; -ETIMEDOUT, -ECANCELED, -EAGAIN */
static int sleep_in_queue(struct attempt* a) {
  pkd_park_t how = {0};
  pkd_parked_t parked = {PKD__TOKEN_NONE, 0};
  int rc;

  how.front = a->due != 0 || a->mode == PKD__RW_UPGRADE;
  if (a->due == 0)
    a->due = pkd_lot_due(pkd_after(PATIENCE_NS));
  how.validate = enter_or_queue;
  how.timed_out = gave_up;
  how.arg = a;
  how.token = pkd__rw_token(a->mode);
  how.due = a->due;
  how.cancel = a->cancel;
  rc = pkd_lot_park(a->l, &how, a->deadline, &parked);
  if (rc == -EAGAIN)
    return a->entered;
  if (rc != 0) {
    pkd__rw_pass_gave_up(a->l);
    return rc;
  }
  a->waker = a->mode == PKD__RW_WRITE && parked.token == PKD__TOKEN_WAKER;
  return parked.token != PKD__TOKEN_HANDOFF;
}

static int compete(struct attempt* a) {
  int rc;

  if (pkd__forked()) /* P and K may be left over from the parent */
    pkd__rw_pass_gave_up(a->l);
  do {
    pkd__spin_t spin = PKD__SPIN_INIT;

    do {
      rc = enter(a);
      if (rc != -EBUSY)
        return rc;
      announce(a);
    } while (pkd__spin(&spin));
    rc = sleep_in_queue(a);
  } while (rc == 1);
  return rc;
}

int pkd__rwlock_try(pkd_rwlock_t* l, int mode) {
  struct attempt a = {.l = l, .mode = (enum pkd__rw_mode)mode};
  int rc = enter(&a);

  if (rc == -EBUSY && pkd__forked()) { /* P may be left over from the parent */
    pkd__rw_pass_gave_up(l);
    rc = enter(&a);
  }
  return rc;
}

int pkd__rwlock_lock(pkd_rwlock_t* l, int mode, const pkd_cancel_t* cancel,
                     pkd_deadline_t deadline) {
  struct attempt a = {.l = l,
                      .mode = (enum pkd__rw_mode)mode,
                      .cancel = cancel,
                      .deadline = deadline};

  return compete(&a);
}

int pkd__rwlock_lock_woken(pkd_rwlock_t* l, enum pkd__rw_mode mode,
                           const pkd_cancel_t* cancel, pkd_deadline_t deadline,
                           bool waker) {
  struct attempt a = {.l = l,
                      .mode = mode,
                      .cancel = cancel,
                      .deadline = deadline,
                      .waker = waker && mode == PKD__RW_WRITE};

  return compete(&a);
}

/* --- readers --------------------------------------------------------------- */

/* The caller may read, but a writer that was woken has not come yet: are readers
 * what keeps it from a processor? Then P is set for it, as it would itself if it
 * ran (announce), and readers fall asleep one after the other. In the child of a
 * fork nobody is on the way. */
static bool makes_way(const pkd_rwlock_t* l, uint32_t word,
                      enum pkd__rw_mode mode) {
  /* relaxed: written before K was shown by (R2), or later */
  return pkd__rw_is(word, PKD__RW_WAKING) && mode == PKD__RW_READ &&
         l->policy != PKD_RWLOCK_PREFER_READERS && !pkd__forked() &&
         pkd__rw_is_late(pkd__load_relaxed(&l->woken), pkd_now());
}

/* The caller has added itself, and may not read, or one too many does, or a woken
 * writer is to pass: unless that has changed meanwhile, it takes itself off again.
 * @return 0 it may stay; -EBUSY it is out */
static int step_back(pkd_rwlock_t* l, enum pkd__rw_mode mode) {
  uint32_t old;
  uint32_t left;

  do {
    /* (R1) acquire: if the writer is gone, this sees what it did */
    old = pkd__load_acquire(&l->word);
    left = old - PKD__RW_READER;
    if (pkd__rw_readers(old) <= PKD__RW_READERS_MAX &&
        pkd__rw_may(left, mode)) {
      if (!makes_way(l, left, mode))
        return 0;
      left |= PKD__RW_PENDING;
    }
    /* relaxed: nothing was read under the lock */
  } while (!pkd__cas_relaxed(&l->word, &old, left));
  if (must_look(pkd__rw_reader_must_wake, left))
    pkd__rw_pass_left(l);
  return -EBUSY;
}

int pkd__rwlock_rdlock_slow(pkd_rwlock_t* l, int recursive,
                            const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline) {
  enum pkd__rw_mode mode = recursive ? PKD__RW_RECURSIVE : PKD__RW_READ;

  return step_back(l, mode) == 0 ? 0
                                 : pkd__rwlock_lock(l, mode, cancel, deadline);
}

void pkd__rwlock_rdlock_must(pkd_rwlock_t* l, int recursive) {
  if (pkd__rwlock_rdlock_slow(l, recursive, NULL, PKD_FOREVER) != 0)
    pkd__panic("pkd_rwlock_rdlock", l,
               "has more readers than it can count; is one never unlocked?");
}

void pkd__rwlock_rdunlock_slow(pkd_rwlock_t* l, uint32_t old) {
  if (pkd__rw_readers(old) == 0)
    pkd__panic("pkd_rwlock_rdunlock", l,
               "is not held for reading; unlock only what you have locked");
  if (must_look(pkd__rw_reader_must_wake, old - PKD__RW_READER))
    pkd__rw_pass_left(l);
}

void pkd__rwlock_rdunlock_fair(pkd_rwlock_t* l) {
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: ours is among them */

  if (pkd__rw_readers(old) == 0)
    pkd__panic("pkd_rwlock_rdunlock_fair", l,
               "is not held for reading; unlock only what you have locked");
  pkd__rw_pass_share(l, PKD__RW_READER, 0, true);
}

void pkd__rwlock_rdbump(pkd_rwlock_t* l) {
  /* relaxed: a hint */
  if (!pkd__rw_is(pkd__load_relaxed(&l->word), PKD__RW_QUEUED))
    return;
  pkd__rwlock_rdunlock_fair(l);
  if (pkd__rwlock_lock(l, PKD__RW_READ, NULL, PKD_FOREVER) != 0)
    pkd__panic("pkd_rwlock_rdbump", l, "has more readers than it can count");
}

/* --- the writer ------------------------------------------------------------ */

/* Gives H up for `keep`. */
static void leave_written(const char* call, pkd_rwlock_t* l, uint32_t keep,
                          bool fair) {
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: exchanges decide */
  bool prefer_writers = l->policy == PKD_RWLOCK_PREFER_WRITERS;
  bool anyway = fair || keep != 0;

  do {
    if (!pkd__rw_is(old, PKD__RW_HELD))
      pkd__panic(call, l, "is not held for writing");
    if (anyway ? pkd__rw_is(old, PKD__RW_QUEUED)
               : must_look(pkd__rw_writer_must_wake, old)) {
      pkd__rw_pass_share(l, PKD__RW_HELD, keep, fair);
      return;
    }
    /* (R2) release, pairs with (R1) */
  } while (!pkd__cas_release(&l->word, &old,
                             pkd__rw_released(old, keep, prefer_writers)));
}

void pkd__rwlock_wrunlock_slow(pkd_rwlock_t* l) {
  leave_written("pkd_rwlock_wrunlock", l, 0, false);
}

void pkd__rwlock_wrunlock_fair(pkd_rwlock_t* l) {
  leave_written("pkd_rwlock_wrunlock_fair", l, 0, true);
}

void pkd__rwlock_downgrade(pkd_rwlock_t* l) {
  leave_written("pkd_rwlock_downgrade", l, PKD__RW_READER, false);
}

void pkd__rwlock_downgrade_to_up(pkd_rwlock_t* l) {
  leave_written("pkd_rwlock_downgrade_to_up", l, PKD__RW_UPGRADABLE, false);
}

void pkd__rwlock_wrbump(pkd_rwlock_t* l) {
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: a hint */

  if (!pkd__rw_is(old, PKD__RW_HELD))
    pkd__panic("pkd_rwlock_wrbump", l, "is not held for writing");
  if (pkd__rw_is(old, PKD__RW_QUEUED)) {
    leave_written("pkd_rwlock_wrbump", l, 0, true);
    pkd__rwlock_lock(l, PKD__RW_WRITE, NULL, PKD_FOREVER);
  }
}

/* --- the upgradable reader ------------------------------------------------- */

static void check_up(const char* call, pkd_rwlock_t* l) {
  /* relaxed: U is ours, if it is there */
  if (!pkd__rw_is(pkd__load_relaxed(&l->word), PKD__RW_UPGRADABLE))
    pkd__panic(call, l, "is not held as upgradable");
}

void pkd__rwlock_upunlock(pkd_rwlock_t* l) {
  uint32_t left;

  check_up("pkd_rwlock_upunlock", l);
  /* (R2) release, pairs with (R1) */
  left = pkd__and_release(&l->word, ~(uint32_t)PKD__RW_UPGRADABLE) &
         ~(uint32_t)PKD__RW_UPGRADABLE;
  if (must_look(pkd__rw_up_must_wake, left))
    pkd__rw_pass_left(l);
}

void pkd__rwlock_upunlock_fair(pkd_rwlock_t* l) {
  check_up("pkd_rwlock_upunlock_fair", l);
  pkd__rw_pass_share(l, PKD__RW_UPGRADABLE, 0, true);
}

/* @return the word with one reader more, and no upgradable */
static uint32_t become_reader(pkd_rwlock_t* l) {
  /* (R2) release, pairs with (R1): what was done under U, for who has it next,
   * perhaps before we give up the share that we keep */
  uint32_t left =
      pkd__add_release(&l->word, PKD__RW_READER - PKD__RW_UPGRADABLE) +
      PKD__RW_READER - PKD__RW_UPGRADABLE;

  if (must_look(pkd__rw_up_must_wake, left))
    pkd__rw_pass_left(l);
  return left;
}

void pkd__rwlock_updowngrade(pkd_rwlock_t* l) {
  check_up("pkd_rwlock_updowngrade", l);
  if (pkd__rw_readers(become_reader(l)) > PKD__RW_READERS_MAX)
    pkd__panic("pkd_rwlock_updowngrade", l,
               "has more readers than it can count; is one never unlocked?");
}

int pkd__rwlock_upgrade(pkd_rwlock_t* l, const pkd_cancel_t* cancel,
                        pkd_deadline_t deadline) {
  check_up("pkd_rwlock_upgrade", l);
  return pkd__rwlock_lock(l, PKD__RW_UPGRADE, cancel, deadline);
}

int pkd__rwlock_tryupgrade(pkd_rwlock_t* l) {
  check_up("pkd_rwlock_tryupgrade", l);
  return pkd__rwlock_try(l, PKD__RW_UPGRADE);
}

int pkd__rwlock_rdupgrade(pkd_rwlock_t* l, const pkd_cancel_t* cancel,
                          pkd_deadline_t deadline) {
  uint32_t old = pkd__load_relaxed(&l->word); /* relaxed: exchange decides */
  int rc;

  do {
    if (pkd__rw_readers(old) == 0)
      pkd__panic("pkd_rwlock_rdupgrade", l, "is not held for reading");
    if (pkd__rw_is(old, PKD__RW_UPGRADABLE))
      return -EDEADLK;
    /* (R1) acquire: what the last upgradable holder did */
  } while (!pkd__cas_acq_rel(&l->word, &old,
                             old - PKD__RW_READER + PKD__RW_UPGRADABLE));
  rc = pkd__rwlock_lock(l, PKD__RW_UPGRADE, cancel, deadline);
  if (rc != 0)
    become_reader(l); /* again; if another has come meanwhile, one too many */
  return rc;
}

void pkd__rwlock_upbump(pkd_rwlock_t* l) {
  check_up("pkd_rwlock_upbump", l);
  /* relaxed: a hint */
  if (pkd__rw_is(pkd__load_relaxed(&l->word), PKD__RW_QUEUED)) {
    pkd__rw_pass_share(l, PKD__RW_UPGRADABLE, 0, true);
    pkd__rwlock_lock(l, PKD__RW_UP, NULL, PKD_FOREVER);
  }
}
