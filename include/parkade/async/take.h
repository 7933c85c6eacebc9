/* SPDX-License-Identifier: MIT
 *
 * async/take.h - what to take: a mutex, permits or a key, as a value.
 *
 * For calls that do not care which it is: several at once (many.h), work that
 * runs under a lock (work.h). */
#ifndef PARKADE_ASYNC_TAKE_H
#define PARKADE_ASYNC_TAKE_H

#include <parkade/async/keyed.h>
#include <parkade/async/mutex.h>
#include <parkade/async/sem.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What to take. Made by the functions below. */
typedef struct pkd_take {
  int kind;     /* private */
  void* object; /* private */
  const void* key;
  size_t amount; /* private: permits, or the key's length */
} pkd_take_t;

enum { PKD__TAKE_MUTEX = 1, PKD__TAKE_PERMITS, PKD__TAKE_KEY };

/** Says: the mutex. Who takes it so is not told that it is poisoned (PKD_POISONED).
 *
 * Blocks:    no
 * Threads:   any */
static inline pkd_take_t pkd_take_mutex(pkd_async_mutex_t* mutex) {
  pkd_take_t take = {PKD__TAKE_MUTEX, mutex, NULL, 1};
  return take;
}

/** Says: `n` permits of the semaphore.
 *
 * Blocks:    no
 * Threads:   any */
static inline pkd_take_t pkd_take_permits(pkd_async_sem_t* sem, uint32_t n) {
  pkd_take_t take = {PKD__TAKE_PERMITS, sem, NULL, n};
  return take;
}

/** Says: the key. Its bytes stay in place until what is started with it is over,
 * those of a long one (PKD_ASYNC_KEY_INLINE) until it is given back.
 *
 * Blocks:    no
 * Threads:   any */
static inline pkd_take_t pkd_take_key(pkd_async_keyed_t* keyed, const void* key,
                                      size_t length) {
  pkd_take_t take = {PKD__TAKE_KEY, keyed, key, length};
  return take;
}

#ifdef __cplusplus
}
#endif

#endif
