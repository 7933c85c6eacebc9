/* SPDX-License-Identifier: MIT
 *
 * barrier.c - pthread_barrier_*: pkd_barrier_t. */
#include "layout.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "libc.h"

int pthread_barrier_init(pthread_barrier_t* object,
                         const pthread_barrierattr_t* attr, unsigned count) {
  own_barrier_t* b = own_barrier(object);
  int shared = PTHREAD_PROCESS_PRIVATE;

  if (attr != NULL)
    pthread_barrierattr_getpshared(attr, &shared);
  if (count == 0 || count > INT_MAX)
    return EINVAL;
  memset(object, 0, sizeof *object);
  if (shared != PTHREAD_PROCESS_PRIVATE)
    return libc()->pthread_barrier_init(object, attr, count);
  pkd_barrier_init(&b->barrier, count);
  b->mark = mark_for(object);
  return 0;
}

int pthread_barrier_destroy(pthread_barrier_t* object) {
  if (!is_own_barrier(object))
    return libc()->pthread_barrier_destroy(object);
  own_barrier(object)->mark = 0;
  return 0;
}

int pthread_barrier_wait(pthread_barrier_t* object) {
  if (!is_own_barrier(object))
    return libc()->pthread_barrier_wait(object);
  return pkd_barrier_wait(&own_barrier(object)->barrier) == 1
             ? PTHREAD_BARRIER_SERIAL_THREAD
             : 0;
}
