/* SPDX-License-Identifier: MIT
 *
 * layout.h - how the memory of a pthread object is divided, and whose it is.
 *
 * A program gives us its own pthread_mutex_t, zeroed or made by one of the C
 * library's static initializers, without a call. So what we keep lies where such
 * an initializer leaves zeros, and what it says (the kind of a mutex, the flags
 * of a rwlock) is read where it stands. Objects with attributes we do not offer
 * (robust, of several processes, with a priority protocol) were made by the C
 * library's own init, which marks them in those same fields: one look tells.
 *
 * Semaphores and barriers have no static initializer; ours bear a mark, in bytes
 * that the C library does not use. It depends on the address, so that a copy of
 * the bytes elsewhere is not taken for an object. */
#ifndef PKD_PRELOAD_LAYOUT_H
#define PKD_PRELOAD_LAYOUT_H

#include <parkade/barrier.h>
#include <parkade/cond.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

/** As it lies in a pthread_mutex_t. Of a normal or adaptive one only the mutex
 * within the re-entrant one is used. */
typedef pkd_remutex_t own_mutex_t;

/** As it lies in a pthread_cond_t. */
typedef struct own_cond {
  pkd_cond_t cond;  /* who waits with a mutex of ours */
  uint32_t visited; /* atomic; does anybody wait with another? */
} own_cond_t;

/** As it lies in a pthread_rwlock_t. */
typedef struct own_rwlock {
  pkd_rwlock_t lock;
  uintptr_t writer; /* atomic; pkd_thread_id() of who writes, 0: nobody */
} own_rwlock_t;

/** As it lies in a sem_t. */
typedef struct own_sem {
  pkd_sem_t sem;
  uint32_t unused[5];
  uintptr_t mark;
} own_sem_t;

/** As it lies in a pthread_barrier_t. */
typedef struct own_barrier {
  pkd_barrier_t barrier;
  uint32_t unused[4];
  uintptr_t mark;
} own_barrier_t;

_Static_assert(sizeof(own_mutex_t) <= offsetof(pthread_mutex_t, __data.__kind),
               "the kind is not overwritten");
_Static_assert(sizeof(own_cond_t) <= offsetof(pthread_cond_t, __data.__wrefs),
               "the flags are not overwritten");
_Static_assert(sizeof(own_rwlock_t) <=
                       offsetof(pthread_rwlock_t, __data.__shared) &&
                   sizeof(own_rwlock_t) <=
                       offsetof(pthread_rwlock_t, __data.__flags),
               "the flags are not overwritten");
_Static_assert(sizeof(own_sem_t) <= sizeof(sem_t), "it fits");
_Static_assert(sizeof(own_barrier_t) <= sizeof(pthread_barrier_t), "it fits");
_Static_assert(sizeof(pkd_once_t) == 1 && sizeof(pthread_once_t) == 4,
               "there is room for a number beside it");

/* --- mutexes --- */

static inline own_mutex_t* own_mutex(pthread_mutex_t* object) {
  return (own_mutex_t*)(void*)object;
}

/** Normal or adaptive: no owner, no count. */
static inline bool is_plain(const pthread_mutex_t* object) {
  int kind = object->__data.__kind;

  return kind == PTHREAD_MUTEX_TIMED_NP || kind == PTHREAD_MUTEX_ADAPTIVE_NP;
}

/** Recursive or error-checking. */
static inline bool is_owned(const pthread_mutex_t* object) {
  int kind = object->__data.__kind;

  return kind == PTHREAD_MUTEX_RECURSIVE_NP ||
         kind == PTHREAD_MUTEX_ERRORCHECK_NP;
}

/** Error-checking, if it is an owned one. */
static inline bool checks_errors(const pthread_mutex_t* object) {
  return object->__data.__kind == PTHREAD_MUTEX_ERRORCHECK_NP;
}

static inline bool is_own_mutex(const pthread_mutex_t* object) {
  return is_plain(object) || is_owned(object);
}

/* --- conditions --- */

enum { COND_SHARED = 1, COND_MONOTONIC = 2 }; /* glibc's bits of __wrefs */

static inline own_cond_t* own_cond(pthread_cond_t* object) {
  return (own_cond_t*)(void*)object;
}

static inline bool is_own_cond(const pthread_cond_t* object) {
  return (object->__data.__wrefs & COND_SHARED) == 0;
}

static inline clockid_t clock_of_cond(const pthread_cond_t* object) {
  return (object->__data.__wrefs & COND_MONOTONIC) != 0 ? CLOCK_MONOTONIC
                                                        : CLOCK_REALTIME;
}

/* --- reader-writer locks --- */

static inline own_rwlock_t* own_rwlock(pthread_rwlock_t* object) {
  return (own_rwlock_t*)(void*)object;
}

static inline bool is_own_rwlock(const pthread_rwlock_t* object) {
  return object->__data.__shared == 0;
}

/** May a thread read that reads already? All kinds but one promise it. */
static inline bool reads_again(const pthread_rwlock_t* object) {
  return object->__data.__flags != PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP;
}

/* --- what is marked --- */

static inline uintptr_t mark_for(const void* object) {
  return (uintptr_t)object ^ (uintptr_t)0x7061726b61646521u;
}

static inline own_sem_t* own_sem(sem_t* object) {
  return (own_sem_t*)(void*)object;
}

static inline bool is_own_sem(const sem_t* object) {
  return ((const own_sem_t*)(const void*)object)->mark == mark_for(object);
}

static inline own_barrier_t* own_barrier(pthread_barrier_t* object) {
  return (own_barrier_t*)(void*)object;
}

static inline bool is_own_barrier(const pthread_barrier_t* object) {
  return ((const own_barrier_t*)(const void*)object)->mark == mark_for(object);
}

#endif
