/* SPDX-License-Identifier: MIT
 *
 * glibc_adaptive.c - glibc's PTHREAD_MUTEX_ADAPTIVE_NP, which spins. */
#define _GNU_SOURCE

#include <pthread.h>
#include <stddef.h>

#define PEER peer_glibc_adaptive
#define PEER_NAME "glibc adaptive"
#define PEER_NO_COND
#define PEER_NO_RWLOCK

typedef pthread_mutex_t peer_mutex;

static inline void peer_mutex_make(peer_mutex* m) {
  pthread_mutexattr_t attr;

  pthread_mutexattr_init(&attr);
  pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
  pthread_mutex_init(m, &attr);
  pthread_mutexattr_destroy(&attr);
}
static inline void peer_lock(peer_mutex* m) {
  pthread_mutex_lock(m);
}
static inline void peer_unlock(peer_mutex* m) {
  pthread_mutex_unlock(m);
}

#include "body.h"
