/* SPDX-License-Identifier: MIT
 *
 * sem.c - sem_*: pkd_sem_t. Those of sem_open() and of several processes stay with
 * the C library, and so does memory that nobody ever initialised.
 *
 * A wait is a cancellation point; a signal handler does not end it. sem_post() may
 * be called by a signal handler: post.c. */
#include "layout.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cancel.h"
#include "clock.h"
#include "libc.h"
#include "post.h"

static int answer(int rc) {
  if (rc == 0)
    return 0;
  errno = -rc;
  return -1;
}

int sem_init(sem_t* object, int shared, unsigned value) {
  own_sem_t* s = own_sem(object);

  if (value > SEM_VALUE_MAX)
    return answer(-EINVAL);
  memset(object, 0, sizeof *object);
  if (shared != 0)
    return libc()->sem_init(object, shared, value);
  s->sem = (pkd_sem_t)PKD_SEM_INIT(value);
  s->mark = mark_for(object);
  return 0;
}

int sem_destroy(sem_t* object) {
  if (!is_own_sem(object))
    return libc()->sem_destroy(object);
  own_sem(object)->mark = 0;
  return 0;
}

static int wait(pkd_sem_t* s, const struct until* until) {
  int rc;

  if (!until_is_valid(until))
    return answer(-EINVAL);
  pthread_testcancel();
  for (;;) {
    rc = pkd_sem_acquire_cancellable(s, 1, cancel_token(),
                                     until_deadline(until));
    if (rc == -ECANCELED)
      cancel_act();
    else if (rc != -ETIMEDOUT || until_has_come(until, 0))
      return answer(rc);
  }
}

int sem_wait(sem_t* object) {
  if (!is_own_sem(object))
    return libc()->sem_wait(object);
  return wait(&own_sem(object)->sem, &FOREVER);
}

int sem_clockwait(sem_t* object, clockid_t clock, const struct timespec* when) {
  struct until until = {clock, when};

  if (!is_own_sem(object))
    return libc()->sem_clockwait(object, clock, when);
  return wait(&own_sem(object)->sem, &until);
}

int sem_timedwait(sem_t* object, const struct timespec* when) {
  return sem_clockwait(object, CLOCK_REALTIME, when);
}

int sem_trywait(sem_t* object) {
  int rc;

  if (!is_own_sem(object))
    return libc()->sem_trywait(object);
  rc = pkd_sem_tryacquire(&own_sem(object)->sem, 1);
  return answer(rc == -EBUSY ? -EAGAIN : rc);
}

int sem_post(sem_t* object) {
  if (!is_own_sem(object))
    return libc()->sem_post(object);
  return answer(post(&own_sem(object)->sem));
}

int sem_getvalue(sem_t* object, int* value) {
  if (!is_own_sem(object))
    return libc()->sem_getvalue(object, value);
  *value = (int)pkd_sem_value(&own_sem(object)->sem);
  return 0;
}
