/* SPDX-License-Identifier: MIT
 *
 * remutex.c - pkd_remutex_t: a mutex that knows whose it is, and how often.
 *
 * Only the holder writes its own number into `owner`, and takes it out before it
 * lets go. So a thread that reads its own number there wrote it itself and holds
 * the mutex; whatever else it reads, it does not. `count` is the holder's alone.
 * The unlock of the mutex within is the last touch. */
#include <parkade/remutex.h>

#include "atomic.h"
#include "os/os.h"
#include "panic.h"

static bool is_mine(const pkd_remutex_t* m, uintptr_t self) {
  /* relaxed: our own number was written by this thread, or is not there */
  return pkd__load_relaxed(&m->owner) == self;
}

/* @return 0; -EAGAIN: the count is full */
static int once_more(pkd_remutex_t* m) {
  if (m->count == UINT32_MAX)
    return -EAGAIN;
  m->count++;
  return 0;
}

static void settle(pkd_remutex_t* m, uintptr_t self, uint32_t count) {
  pkd__store_relaxed(&m->owner, self); /* relaxed: see is_mine */
  m->count = count;
}

void pkd__remutex_lock(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  uintptr_t self = pkd__os_thread_id();

  if (!is_mine(m, self)) {
    pkd_mutex_lock(&m->mutex);
    settle(m, self, 1);
  } else if (once_more(m) != 0) {
    pkd__panic("pkd_remutex_lock", m, "is locked too often to be counted");
  }
}

int pkd__remutex_trylock(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  uintptr_t self = pkd__os_thread_id();

  if (is_mine(m, self))
    return once_more(m);
  if (pkd_mutex_trylock(&m->mutex) != 0)
    return -EBUSY;
  settle(m, self, 1);
  return 0;
}

int pkd__remutex_lock_cancellable(pkd_remutex_t* m, const pkd_cancel_t* cancel,
                                  pkd_deadline_t deadline) PKD_NO_ANALYSIS {
  uintptr_t self = pkd__os_thread_id();
  int rc;

  if (is_mine(m, self))
    return once_more(m);
  rc = pkd_mutex_lock_cancellable(&m->mutex, cancel, deadline);
  if (rc == 0)
    settle(m, self, 1);
  return rc;
}

static void check_mine(const char* call, const pkd_remutex_t* m) {
  if (!is_mine(m, pkd__os_thread_id()))
    pkd__panic(call, m,
               pkd_remutex_is_locked(m)
                   ? "is held by another thread; only its holder may do that"
                   : "is not locked; unlock only what you have locked");
}

/* @return true if that was the last one */
static bool once_less(const char* call, pkd_remutex_t* m) {
  check_mine(call, m);
  if (--m->count != 0)
    return false;
  pkd__store_relaxed(&m->owner, (uintptr_t)0); /* relaxed: see is_mine */
  return true;
}

void pkd__remutex_unlock(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  if (once_less("pkd_remutex_unlock", m))
    pkd_mutex_unlock(&m->mutex);
}

void pkd__remutex_unlock_fair(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  if (once_less("pkd_remutex_unlock_fair", m))
    pkd_mutex_unlock_fair(&m->mutex);
}

void pkd__remutex_bump(pkd_remutex_t* m) PKD_NO_ANALYSIS {
  uint32_t count;

  check_mine("pkd_remutex_bump", m);
  count = m->count;
  settle(m, 0, 0);
  pkd_mutex_bump(&m->mutex);
  settle(m, pkd__os_thread_id(), count);
}

uint32_t pkd_remutex_depth(const pkd_remutex_t* m) {
  return is_mine(m, pkd__os_thread_id()) ? m->count : 0;
}
