/* SPDX-License-Identifier: MIT
 *
 * remutex.c - pkd_remutex_t: a mutex that knows whose it is, and how often.
 *
 * Only the holder writes its own name into `owner`, and takes it out before it
 * lets go. So a thread that reads its own name there wrote it itself and holds
 * the mutex; whatever else it reads, it does not. `again` is the holder's alone,
 * and 0 in a mutex that nobody holds: neither the first lock nor the last unlock
 * writes it. The unlock of the mutex within is the last touch.
 *
 * What needs no wait is inline in the header; here is the rest. */
#include <parkade/remutex.h>

#include "atomic.h"
#include "panic.h"

__thread char pkd__self PKD__SELF_MODEL;

static void own(pkd_remutex_t* m, uintptr_t self, uint32_t again) {
  pkd__store_relaxed(&m->owner, self); /* relaxed: pkd__remutex_is_mine */
  m->again = again;
}

void pkd__remutex_lock_slow(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  if (pkd__remutex_is_mine(m))
    pkd__panic("pkd_remutex_lock", m, "is locked too often to be counted");
  pkd_mutex_lock(&m->mutex);
  own(m, PKD__SELF, 0);
}

int pkd__remutex_trylock_slow(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  if (pkd__remutex_is_mine(m))
    return -EAGAIN;
  if (pkd_mutex_trylock(&m->mutex) != 0)
    return -EBUSY;
  own(m, PKD__SELF, 0);
  return 0;
}

int pkd__remutex_lock_cancellable(pkd_remutex_t* m, const pkd_cancel_t* cancel,
                                  pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  int rc;

  if (pkd__remutex_lock_fast(m))
    return 0;
  if (pkd__remutex_is_mine(m))
    return -EAGAIN;
  rc = pkd_mutex_lock_cancellable(&m->mutex, cancel, deadline);
  if (rc == 0)
    own(m, PKD__SELF, 0);
  return rc;
}

void pkd__remutex_not_mine(const char* call, const pkd_remutex_t* m) {
  pkd__panic(call, m,
             pkd_remutex_is_locked(m)
                 ? "is held by another thread; only its holder may do that"
                 : "is not locked; unlock only what you have locked");
}

void pkd__remutex_bump(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  uint32_t again;

  if (!pkd__remutex_is_mine(m))
    pkd__remutex_not_mine("pkd_remutex_bump", m);
  again = m->again;
  own(m, 0, 0);
  pkd_mutex_bump(&m->mutex);
  own(m, PKD__SELF, again);
}

uint32_t pkd_remutex_depth(const pkd_remutex_t* m) {
  return pkd__remutex_is_mine(m) ? m->again + 1 : 0;
}
