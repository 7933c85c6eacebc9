/* SPDX-License-Identifier: MIT
 *
 * rwlock_pass.h - passing a pkd_rwlock_t on to those who are queued. */
#ifndef PKD_RWLOCK_PASS_H
#define PKD_RWLOCK_PASS_H

#include <parkade/rwlock.h>

#include <stdbool.h>

#include "word/rwlock.h"

/* The park token of a thread that waits for a rwlock: how it wants it, under a
 * mark that no other primitive's token has. (A reader that has left looks into
 * the queue by address alone; it may find a stranger there.) */
#define PKD__RW_TAG (UINT64_C(0x72776c6b) << 32)

/* The same for a thread that waits at a condition with a rwlock; below it the
 * mode. While it is still at the condition its state is 0; in the queue of the
 * lock, where a signal has moved it, it is not. */
#define PKD__COND_TAG (UINT64_C(0x636f6e64) << 32)

static inline uint64_t pkd__rw_token(enum pkd__rw_mode mode) {
  return PKD__RW_TAG | (uint64_t)mode;
}

/** Does a waiter with this token and state wait for a rwlock, and no condition? */
static inline bool pkd__rw_is_ours(uint64_t token, uint32_t state) {
  uint64_t tag = token & ~UINT64_C(0xffffffff);

  return tag == PKD__RW_TAG ||
         (tag == PKD__COND_TAG && state != 0 && (token & 7) <= PKD__RW_UPGRADE);
}

static inline enum pkd__rw_mode pkd__rw_mode_of(uint64_t token) {
  return (enum pkd__rw_mode)(token & 7);
}

/** Gives up a share and passes the lock on, fairly if asked to.
 *
 * @param share  what the caller has: PKD__RW_HELD, _UPGRADABLE, _READER
 * @param keep   what it has instead afterwards, of HELD only: _UPGRADABLE,
 *               _READER, or 0
 * @param fair   to those who wait, at once; nobody comes between */
void pkd__rw_pass_share(pkd_rwlock_t* l, uint32_t share, uint32_t keep,
                        bool fair);

/** The caller has left already and perhaps let somebody in: looks. `l` may be
 * gone; it is touched only if somebody waits for it. */
void pkd__rw_pass_left(pkd_rwlock_t* l);

/** The caller, who still uses `l`, has stopped waiting: makes P and Q right
 * again, and wakes whom it kept out. */
void pkd__rw_pass_gave_up(pkd_rwlock_t* l);

/** Locks after a sleep; `waker`: as the writer marked by K. */
int pkd__rwlock_lock_woken(pkd_rwlock_t* l, enum pkd__rw_mode mode,
                           const pkd_cancel_t* cancel, pkd_deadline_t deadline,
                           bool waker);

/** Told that a waiter left the lock's queue by itself. A pkd_removed_cb;
 * pkd__rw_pass_gave_up() is owed afterwards. */
void pkd__rwlock_gave_up(void* l, const void* key, int was_last);

#endif
