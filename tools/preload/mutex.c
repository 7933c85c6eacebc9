/* SPDX-License-Identifier: MIT
 *
 * mutex.c - pthread_mutex_*: pkd_mutex_t and pkd_remutex_t.
 *
 * A normal mutex is one byte of the forty; who locks it twice waits for himself,
 * as he always did. Unlocking one that is free is an error of the program that
 * the C library lets pass, and so do we: it has no owner to ask. */
#include "mutex.h"

#include <errno.h>
#include <string.h>

#include "atomic.h"
#include "clock.h"
#include "libc.h"

/* What glibc leaves in the kind of one that was destroyed: every call refuses it. */
enum { DESTROYED = -1 };

static bool wants_libc(const pthread_mutexattr_t* attr) {
  int shared = PTHREAD_PROCESS_PRIVATE;
  int protocol = PTHREAD_PRIO_NONE;
  int robust = PTHREAD_MUTEX_STALLED;

  if (attr == NULL)
    return false;
  pthread_mutexattr_getpshared(attr, &shared);
  pthread_mutexattr_getprotocol(attr, &protocol);
  pthread_mutexattr_getrobust(attr, &robust);
  return shared != PTHREAD_PROCESS_PRIVATE || protocol != PTHREAD_PRIO_NONE ||
         robust != PTHREAD_MUTEX_STALLED;
}

int pthread_mutex_init(pthread_mutex_t* object,
                       const pthread_mutexattr_t* attr) {
  int kind = PTHREAD_MUTEX_DEFAULT;

  if (wants_libc(attr))
    return libc()->pthread_mutex_init(object, attr);
  if (attr != NULL)
    pthread_mutexattr_gettype(attr, &kind);
  memset(object, 0, sizeof *object);
  object->__data.__kind = kind;
  return 0;
}

int pthread_mutex_destroy(pthread_mutex_t* object) {
  if (!is_own_mutex(object))
    return libc()->pthread_mutex_destroy(object);
  if (pkd_remutex_is_locked(own_mutex(object)))
    return EBUSY;
  object->__data.__kind = DESTROYED;
  return 0;
}

/* --- with an owner --------------------------------------------------------- */

static int lock_owned(pthread_mutex_t* object, const struct until* until) {
  own_mutex_t* m = own_mutex(object);
  int rc;

  if (checks_errors(object) && pkd_remutex_depth(m) != 0)
    return EDEADLK;
  rc = pkd_remutex_trylock(m);
  if (rc != -EBUSY)
    return -rc;
  if (!until_is_valid(until))
    return EINVAL;
  do {
    rc = pkd_remutex_lock_until(m, until_deadline(until));
  } while (rc == -ETIMEDOUT && !until_has_come(until, 0));
  return -rc;
}

static int trylock_owned(pthread_mutex_t* object) {
  own_mutex_t* m = own_mutex(object);

  if (checks_errors(object) && pkd_remutex_depth(m) != 0)
    return EBUSY;
  return -pkd_remutex_trylock(m);
}

static int unlock_owned(pthread_mutex_t* object) {
  own_mutex_t* m = own_mutex(object);

  if (pkd_remutex_depth(m) == 0)
    return EPERM;
  pkd_remutex_unlock(m);
  return 0;
}

/* --- lock and unlock ------------------------------------------------------- */

int pthread_mutex_lock(pthread_mutex_t* object) {
  if (is_plain(object)) {
    pkd_mutex_lock(&own_mutex(object)->mutex);
    return 0;
  }
  if (is_owned(object))
    return lock_owned(object, &FOREVER);
  return libc()->pthread_mutex_lock(object);
}

int pthread_mutex_trylock(pthread_mutex_t* object) {
  if (is_plain(object))
    return -pkd_mutex_trylock(&own_mutex(object)->mutex);
  if (is_owned(object))
    return trylock_owned(object);
  return libc()->pthread_mutex_trylock(object);
}

int pthread_mutex_clocklock(pthread_mutex_t* object, clockid_t clock,
                            const struct timespec* when) {
  struct until until = {clock, when};
  pkd_mutex_t* m = &own_mutex(object)->mutex;
  int rc;

  if (!is_own_mutex(object))
    return libc()->pthread_mutex_clocklock(object, clock, when);
  if (is_owned(object))
    return lock_owned(object, &until);
  if (pkd_mutex_trylock(m) == 0)
    return 0;
  if (!until_is_valid(&until))
    return EINVAL;
  do {
    rc = pkd_mutex_lock_until(m, until_deadline(&until));
  } while (rc == -ETIMEDOUT && !until_has_come(&until, 0));
  return -rc;
}

int pthread_mutex_timedlock(pthread_mutex_t* object,
                            const struct timespec* when) {
  if (!is_own_mutex(object))
    return libc()->pthread_mutex_timedlock(object, when);
  return pthread_mutex_clocklock(object, CLOCK_REALTIME, when);
}

int pthread_mutex_unlock(pthread_mutex_t* object) {
  if (is_plain(object)) {
    pkd_mutex_t* m = &own_mutex(object)->mutex;

    if (pkd_mutex_is_locked(m))
      pkd_mutex_unlock(m);
    return 0;
  }
  if (is_owned(object))
    return unlock_owned(object);
  return libc()->pthread_mutex_unlock(object);
}

/* --- for a condition ------------------------------------------------------- */

uint32_t mutex_disown(pthread_mutex_t* object) {
  own_mutex_t* m = own_mutex(object);
  uint32_t count;

  if (is_plain(object))
    return (uint32_t)pkd_mutex_is_locked(&m->mutex);
  count = pkd_remutex_depth(m);
  if (count != 0) {
    m->again = 0;
    pkd__store_relaxed(&m->owner, (uintptr_t)0); /* relaxed: see remutex.c */
  }
  return count;
}

void mutex_own_again(pthread_mutex_t* object, uint32_t count) {
  own_mutex_t* m = own_mutex(object);

  if (is_plain(object))
    return;
  pkd__store_relaxed(&m->owner, PKD__SELF); /* relaxed: see remutex.c */
  m->again = count - 1;
}
