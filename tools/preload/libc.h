/* SPDX-License-Identifier: MIT
 *
 * libc.h - the C library's own functions, for the objects that stay with it. */
#ifndef PKD_PRELOAD_LIBC_H
#define PKD_PRELOAD_LIBC_H

#include <pthread.h>
#include <semaphore.h>

#define LIBC_FUNCTIONS(X)                                                      \
  X(pthread_mutex_init)                                                        \
  X(pthread_mutex_destroy)                                                     \
  X(pthread_mutex_lock)                                                        \
  X(pthread_mutex_trylock)                                                     \
  X(pthread_mutex_timedlock)                                                   \
  X(pthread_mutex_clocklock)                                                   \
  X(pthread_mutex_unlock)                                                      \
  X(pthread_cond_init)                                                         \
  X(pthread_cond_destroy)                                                      \
  X(pthread_cond_wait)                                                         \
  X(pthread_cond_clockwait)                                                    \
  X(pthread_cond_signal)                                                       \
  X(pthread_cond_broadcast)                                                    \
  X(pthread_rwlock_init)                                                       \
  X(pthread_rwlock_destroy)                                                    \
  X(pthread_rwlock_rdlock)                                                     \
  X(pthread_rwlock_tryrdlock)                                                  \
  X(pthread_rwlock_clockrdlock)                                                \
  X(pthread_rwlock_wrlock)                                                     \
  X(pthread_rwlock_trywrlock)                                                  \
  X(pthread_rwlock_clockwrlock)                                                \
  X(pthread_rwlock_unlock)                                                     \
  X(pthread_barrier_init)                                                      \
  X(pthread_barrier_destroy)                                                   \
  X(pthread_barrier_wait)                                                      \
  X(pthread_cancel)                                                            \
  X(sem_init)                                                                  \
  X(sem_destroy)                                                               \
  X(sem_wait)                                                                  \
  X(sem_trywait)                                                               \
  X(sem_clockwait)                                                             \
  X(sem_post)                                                                  \
  X(sem_getvalue)

struct libc {
#define X(name) __typeof__(&name) name;
  LIBC_FUNCTIONS(X)
#undef X
};

/** The table; found at the first call, which allocates nothing. */
const struct libc* libc(void);

#endif
