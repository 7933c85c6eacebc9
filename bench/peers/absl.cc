/* SPDX-License-Identifier: MIT
 *
 * absl.cc - absl::Mutex and absl::CondVar; lock-order checking is switched off
 * in main, as its documentation advises for release builds. */
#include <absl/synchronization/mutex.h>

#include <new>

#define PEER peer_absl
#define PEER_NAME "absl"

typedef absl::Mutex peer_rwlock;
typedef absl::Mutex peer_mutex;
typedef absl::CondVar peer_cond;

static inline void peer_mutex_make(peer_mutex* m) {
  new (m) peer_mutex;
}
static inline void peer_lock(peer_mutex* m) {
  m->Lock();
}
static inline void peer_unlock(peer_mutex* m) {
  m->Unlock();
}
static inline void peer_cond_make(peer_cond* c) {
  new (c) peer_cond;
}
static inline void peer_wait(peer_cond* c, peer_mutex* m) {
  c->Wait(m);
}
static inline void peer_signal(peer_cond* c) {
  c->Signal();
}
static inline void peer_broadcast(peer_cond* c) {
  c->SignalAll();
}

static inline void peer_rwlock_make(peer_rwlock* l) {
  new (l) peer_rwlock;
}
static inline void peer_rdlock(peer_rwlock* l) {
  l->ReaderLock();
}
static inline void peer_rdunlock(peer_rwlock* l) {
  l->ReaderUnlock();
}
static inline void peer_wrlock(peer_rwlock* l) {
  l->Lock();
}
static inline void peer_wrunlock(peer_rwlock* l) {
  l->Unlock();
}

namespace {
/* Before main: no mutex of ours has been used yet. */
struct quiet {
  quiet() {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  }
} quiet_now;
} // namespace

#include "body.h"
