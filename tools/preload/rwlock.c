/* SPDX-License-Identifier: MIT
 *
 * rwlock.c - pthread_rwlock_*: pkd_rwlock_t.
 *
 * POSIX lets a thread read that reads already, and glibc keeps that promise also
 * while a writer waits, for all kinds of locks but one. So a reader passes a
 * waiting writer while others read; it does not pass it at any other time, which
 * is more than glibc's default does for the writer.
 *
 * One unlock for both: where a writer is in, nobody else is, so it is the
 * writer's. Whose it is says `writer`, for the errors that POSIX names. */
#include "layout.h"

#include <errno.h>
#include <string.h>

#include "atomic.h"
#include "clock.h"
#include "libc.h"

int pthread_rwlock_init(pthread_rwlock_t* object,
                        const pthread_rwlockattr_t* attr) {
  int shared = PTHREAD_PROCESS_PRIVATE;
  int kind = PTHREAD_RWLOCK_DEFAULT_NP;

  if (attr != NULL) {
    pthread_rwlockattr_getpshared(attr, &shared);
    pthread_rwlockattr_getkind_np(attr, &kind);
  }
  if (shared != PTHREAD_PROCESS_PRIVATE)
    return libc()->pthread_rwlock_init(object, attr);
  memset(object, 0, sizeof *object);
  object->__data.__flags = (unsigned char)kind;
  return 0;
}

int pthread_rwlock_destroy(pthread_rwlock_t* object) {
  return is_own_rwlock(object) ? 0 : libc()->pthread_rwlock_destroy(object);
}

static bool writes_already(const own_rwlock_t* l) {
  /* relaxed: our own number was written by this thread, or is not there */
  return pkd__load_relaxed(&l->writer) == pkd_thread_id();
}

/* --- reading --------------------------------------------------------------- */

static int read_until(pthread_rwlock_t* object, const struct until* until) {
  own_rwlock_t* l = own_rwlock(object);
  int rc;

  if (!until_is_valid(until))
    return EINVAL;
  if (writes_already(l))
    return EDEADLK;
  do {
    pkd_deadline_t deadline = until_deadline(until);

    rc = reads_again(object)
             ? pkd_rwlock_rdlock_recursive_until(&l->lock, deadline)
             : pkd_rwlock_rdlock_until(&l->lock, deadline);
  } while (rc == -ETIMEDOUT && !until_has_come(until, 0));
  return -rc;
}

int pthread_rwlock_rdlock(pthread_rwlock_t* object) {
  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_rdlock(object);
  return read_until(object, &FOREVER);
}

int pthread_rwlock_tryrdlock(pthread_rwlock_t* object) {
  pkd_rwlock_t* l = &own_rwlock(object)->lock;

  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_tryrdlock(object);
  return reads_again(object) ? -pkd_rwlock_tryrdlock_recursive(l)
                             : -pkd_rwlock_tryrdlock(l);
}

int pthread_rwlock_clockrdlock(pthread_rwlock_t* object, clockid_t clock,
                               const struct timespec* when) {
  struct until until = {clock, when};

  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_clockrdlock(object, clock, when);
  return read_until(object, &until);
}

int pthread_rwlock_timedrdlock(pthread_rwlock_t* object,
                               const struct timespec* when) {
  return pthread_rwlock_clockrdlock(object, CLOCK_REALTIME, when);
}

/* --- writing --------------------------------------------------------------- */

static int settle(own_rwlock_t* l, int rc) {
  if (rc == 0)
    pkd__store_relaxed(&l->writer, pkd_thread_id()); /* relaxed: see above */
  return -rc;
}

static int write_until(pthread_rwlock_t* object, const struct until* until) {
  own_rwlock_t* l = own_rwlock(object);
  int rc;

  if (!until_is_valid(until))
    return EINVAL;
  if (writes_already(l))
    return EDEADLK;
  do {
    rc = pkd_rwlock_wrlock_until(&l->lock, until_deadline(until));
  } while (rc == -ETIMEDOUT && !until_has_come(until, 0));
  return settle(l, rc);
}

int pthread_rwlock_wrlock(pthread_rwlock_t* object) {
  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_wrlock(object);
  return write_until(object, &FOREVER);
}

int pthread_rwlock_trywrlock(pthread_rwlock_t* object) {
  own_rwlock_t* l = own_rwlock(object);

  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_trywrlock(object);
  return settle(l, pkd_rwlock_trywrlock(&l->lock));
}

int pthread_rwlock_clockwrlock(pthread_rwlock_t* object, clockid_t clock,
                               const struct timespec* when) {
  struct until until = {clock, when};

  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_clockwrlock(object, clock, when);
  return write_until(object, &until);
}

int pthread_rwlock_timedwrlock(pthread_rwlock_t* object,
                               const struct timespec* when) {
  return pthread_rwlock_clockwrlock(object, CLOCK_REALTIME, when);
}

int pthread_rwlock_unlock(pthread_rwlock_t* object) {
  own_rwlock_t* l = own_rwlock(object);

  if (!is_own_rwlock(object))
    return libc()->pthread_rwlock_unlock(object);
  if (!pkd_rwlock_is_locked(&l->lock))
    return EPERM;
  if (pkd_rwlock_is_write_locked(&l->lock)) {
    pkd__store_relaxed(&l->writer, (uintptr_t)0); /* relaxed: see above */
    pkd_rwlock_wrunlock(&l->lock);
  } else {
    pkd_rwlock_rdunlock(&l->lock);
  }
  return 0;
}
