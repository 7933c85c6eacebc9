/* SPDX-License-Identifier: MIT
 *
 * parkade.c - the library itself, through its installed headers only. */
#include <parkade/cond.h>
#include <parkade/mutex.h>
#include <parkade/rwlock.h>

#define PEER peer_parkade
#define PEER_NAME "parkade"

typedef pkd_rwlock_t peer_rwlock;
typedef pkd_mutex_t peer_mutex;
typedef pkd_cond_t peer_cond;

static inline void peer_mutex_make(peer_mutex* m) {
  m->word = 0;
}
static inline void peer_lock(peer_mutex* m) {
  pkd_mutex_lock(m);
}
static inline void peer_unlock(peer_mutex* m) {
  pkd_mutex_unlock(m);
}
static inline void peer_cond_make(peer_cond* c) {
  c->lock = NULL;
}
static inline void peer_wait(peer_cond* c, peer_mutex* m) {
  pkd_cond_wait(c, m);
}
static inline void peer_signal(peer_cond* c) {
  pkd_cond_signal(c);
}
static inline void peer_broadcast(peer_cond* c) {
  pkd_cond_broadcast(c);
}

static inline void peer_rwlock_make(peer_rwlock* l) {
  *l = (peer_rwlock)PKD_RWLOCK_INIT;
}
static inline void peer_rdlock(peer_rwlock* l) {
  pkd_rwlock_rdlock(l);
}
static inline void peer_rdunlock(peer_rwlock* l) {
  pkd_rwlock_rdunlock(l);
}
static inline void peer_wrlock(peer_rwlock* l) {
  pkd_rwlock_wrlock(l);
}
static inline void peer_wrunlock(peer_rwlock* l) {
  pkd_rwlock_wrunlock(l);
}

#include "body.h"
