/* SPDX-License-Identifier: MIT
 *
 * floor.c - what the processor and the kernel cost: no lock can be faster.
 *
 * Two atomic exchanges on a byte, inline: a test-and-set lock with a pause, for
 * the uncontended rows. */
#include <stddef.h>
#include <stdint.h>

#define PEER peer_two_rmw
#define PEER_NAME "two RMWs (floor)"
#define PEER_NO_COND
#define PEER_NO_RWLOCK

typedef uint8_t peer_mutex;

static inline void peer_mutex_make(peer_mutex* m) {
  *m = 0;
}
static inline void peer_lock(peer_mutex* m) {
  while (__atomic_exchange_n(m, 1, __ATOMIC_ACQUIRE) != 0) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }
}
static inline void peer_unlock(peer_mutex* m) {
  (void)__atomic_exchange_n(m, 0, __ATOMIC_RELEASE);
}

#include "body.h"
