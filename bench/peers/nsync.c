/* SPDX-License-Identifier: MIT
 *
 * nsync.c - nsync_mu and nsync_cv. */
#include <nsync.h>

#include <string.h>

#define PEER peer_nsync
#define PEER_NAME "nsync"

typedef nsync_mu peer_rwlock;
typedef nsync_mu peer_mutex;
typedef nsync_cv peer_cond;

static inline void peer_mutex_make(peer_mutex* m) {
  nsync_mu_init(m);
}
static inline void peer_lock(peer_mutex* m) {
  nsync_mu_lock(m);
}
static inline void peer_unlock(peer_mutex* m) {
  nsync_mu_unlock(m);
}
static inline void peer_cond_make(peer_cond* c) {
  nsync_cv_init(c);
}
static inline void peer_wait(peer_cond* c, peer_mutex* m) {
  nsync_cv_wait(c, m);
}
static inline void peer_signal(peer_cond* c) {
  nsync_cv_signal(c);
}
static inline void peer_broadcast(peer_cond* c) {
  nsync_cv_broadcast(c);
}

static inline void peer_rwlock_make(peer_rwlock* l) {
  nsync_mu_init(l);
}
static inline void peer_rdlock(peer_rwlock* l) {
  nsync_mu_rlock(l);
}
static inline void peer_rdunlock(peer_rwlock* l) {
  nsync_mu_runlock(l);
}
static inline void peer_wrlock(peer_rwlock* l) {
  nsync_mu_lock(l);
}
static inline void peer_wrunlock(peer_rwlock* l) {
  nsync_mu_unlock(l);
}

#include "body.h"
