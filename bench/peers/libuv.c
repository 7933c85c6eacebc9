/* SPDX-License-Identifier: MIT
 *
 * libuv.c - uv_mutex_t and uv_cond_t. */
#include <uv.h>

#define PEER peer_libuv
#define PEER_NAME "libuv"

typedef uv_rwlock_t peer_rwlock;
typedef uv_mutex_t peer_mutex;
typedef uv_cond_t peer_cond;

static inline void peer_mutex_make(peer_mutex* m) {
  uv_mutex_init(m);
}
static inline void peer_lock(peer_mutex* m) {
  uv_mutex_lock(m);
}
static inline void peer_unlock(peer_mutex* m) {
  uv_mutex_unlock(m);
}
static inline void peer_cond_make(peer_cond* c) {
  uv_cond_init(c);
}
static inline void peer_wait(peer_cond* c, peer_mutex* m) {
  uv_cond_wait(c, m);
}
static inline void peer_signal(peer_cond* c) {
  uv_cond_signal(c);
}
static inline void peer_broadcast(peer_cond* c) {
  uv_cond_broadcast(c);
}

static inline void peer_rwlock_make(peer_rwlock* l) {
  uv_rwlock_init(l);
}
static inline void peer_rdlock(peer_rwlock* l) {
  uv_rwlock_rdlock(l);
}
static inline void peer_rdunlock(peer_rwlock* l) {
  uv_rwlock_rdunlock(l);
}
static inline void peer_wrlock(peer_rwlock* l) {
  uv_rwlock_wrlock(l);
}
static inline void peer_wrunlock(peer_rwlock* l) {
  uv_rwlock_wrunlock(l);
}

#include "body.h"
