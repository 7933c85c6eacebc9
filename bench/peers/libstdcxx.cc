/* SPDX-License-Identifier: MIT
 *
 * libstdcxx.cc - std::mutex and std::condition_variable. */
#include <condition_variable>
#include <mutex>
#include <new>
#include <shared_mutex>

#define PEER peer_libstdcxx
#define PEER_NAME "libstdc++"

typedef std::shared_mutex peer_rwlock;
typedef std::mutex peer_mutex;
typedef std::condition_variable peer_cond;

static inline void peer_mutex_make(peer_mutex* m) {
  new (m) peer_mutex;
}
static inline void peer_lock(peer_mutex* m) {
  m->lock();
}
static inline void peer_unlock(peer_mutex* m) {
  m->unlock();
}
static inline void peer_cond_make(peer_cond* c) {
  new (c) peer_cond;
}
static inline void peer_wait(peer_cond* c, peer_mutex* m) {
  std::unique_lock<std::mutex> lock(*m, std::adopt_lock);
  c->wait(lock);
  lock.release();
}
static inline void peer_signal(peer_cond* c) {
  c->notify_one();
}
static inline void peer_broadcast(peer_cond* c) {
  c->notify_all();
}

static inline void peer_rwlock_make(peer_rwlock* l) {
  new (l) peer_rwlock;
}
static inline void peer_rdlock(peer_rwlock* l) {
  l->lock_shared();
}
static inline void peer_rdunlock(peer_rwlock* l) {
  l->unlock_shared();
}
static inline void peer_wrlock(peer_rwlock* l) {
  l->lock();
}
static inline void peer_wrunlock(peer_rwlock* l) {
  l->unlock();
}

#include "body.h"
