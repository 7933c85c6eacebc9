/* SPDX-License-Identifier: MIT
 *
 * glibc.c - pthread_mutex_t and pthread_cond_t as they come. */
#include <pthread.h>
#include <stddef.h>

#define PEER peer_glibc
#define PEER_NAME "glibc"

typedef pthread_rwlock_t peer_rwlock;
typedef pthread_mutex_t peer_mutex;
typedef pthread_cond_t peer_cond;

static inline void peer_mutex_make(peer_mutex* m) {
  pthread_mutex_init(m, NULL);
}
static inline void peer_lock(peer_mutex* m) {
  pthread_mutex_lock(m);
}
static inline void peer_unlock(peer_mutex* m) {
  pthread_mutex_unlock(m);
}
static inline void peer_cond_make(peer_cond* c) {
  pthread_cond_init(c, NULL);
}
static inline void peer_wait(peer_cond* c, peer_mutex* m) {
  pthread_cond_wait(c, m);
}
static inline void peer_signal(peer_cond* c) {
  pthread_cond_signal(c);
}
static inline void peer_broadcast(peer_cond* c) {
  pthread_cond_broadcast(c);
}

static inline void peer_rwlock_make(peer_rwlock* l) {
  pthread_rwlock_init(l, NULL);
}
static inline void peer_rdlock(peer_rwlock* l) {
  pthread_rwlock_rdlock(l);
}
static inline void peer_rdunlock(peer_rwlock* l) {
  pthread_rwlock_unlock(l);
}
static inline void peer_wrlock(peer_rwlock* l) {
  pthread_rwlock_wrlock(l);
}
static inline void peer_wrunlock(peer_rwlock* l) {
  pthread_rwlock_unlock(l);
}

#include "body.h"
