/* SPDX-License-Identifier: MIT
 *
 * inject.c - sleeps that end for no reason, see inject.h.
 *
 * A futex wait comes to one of three ends by chance: EINTR at once, 0 at once, or
 * a real sleep of less than a millisecond that then claims to have been woken. A
 * wait on a condition lets go of the mutex and is back soon, always. */
#define _GNU_SOURCE

#include "inject.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128 };

#define EXPORTED __attribute__((visibility("default")))
#define MOMENT 300000 /* ns */

typedef long (*syscall_fn)(long number, ...);

static unsigned long count; /* atomic */

unsigned long injected(void) {
  return __atomic_load_n(&count, __ATOMIC_RELAXED);
}

static unsigned chance(void) {
  static _Thread_local unsigned state;

  if (state == 0)
    state = (unsigned)(uintptr_t)&state | 1;
  state = state * 1103515245 + 12345;
  return state >> 16;
}

static syscall_fn real_syscall(void) {
  static syscall_fn found; /* atomic: the same whoever finds it */
  syscall_fn real = __atomic_load_n(&found, __ATOMIC_RELAXED);

  if (real == NULL) {
    *(void**)&real = dlsym(RTLD_NEXT, "syscall");
    if (real == NULL)
      abort();
    __atomic_store_n(&found, real, __ATOMIC_RELAXED);
  }
  return real;
}

static int earlier(const struct timespec* a, const struct timespec* b) {
  return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec
                                : a->tv_nsec < b->tv_nsec;
}

static struct timespec soon(void) {
  struct timespec when;

  clock_gettime(CLOCK_MONOTONIC, &when);
  when.tv_nsec += MOMENT;
  if (when.tv_nsec >= 1000000000) {
    when.tv_sec++;
    when.tv_nsec -= 1000000000;
  }
  return when;
}

static long short_sleep(void* word, long op, long value,
                        const struct timespec* until, long mask) {
  struct timespec end = soon();
  long rc;

  if (until != NULL && earlier(until, &end))
    return real_syscall()(SYS_futex, word, op, value, until, NULL, mask);
  rc = real_syscall()(SYS_futex, word, op, value, &end, NULL, mask);
  if (rc != -1 || errno != ETIMEDOUT)
    return rc;
  __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
  return 0;
}

EXPORTED long syscall(long number, ...) {
  long a[6];
  va_list args;

  va_start(args, number);
  for (int i = 0; i < 6; i++)
    a[i] = va_arg(args, long);
  va_end(args);
  if (number != SYS_futex || (a[1] & ~FUTEX_PRIVATE_FLAG) != FUTEX_WAIT_BITSET)
    return real_syscall()(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  switch (chance() % 4) {
  case 0:
    __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
    errno = EINTR;
    return -1;
  case 1:
    __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
    return 0;
  default:
    return short_sleep((void*)a[0], a[1], a[2], (const struct timespec*)a[3],
                       a[5]);
  }
}

/* --- conditions ------------------------------------------------------------ */

static void nap(pthread_mutex_t* mutex) {
  const struct timespec moment = {0, chance() % 2 == 0 ? 0 : MOMENT};

  __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
  pthread_mutex_unlock(mutex);
  nanosleep(&moment, NULL);
  pthread_mutex_lock(mutex);
}

EXPORTED int pthread_cond_wait(pthread_cond_t* cond, pthread_mutex_t* mutex) {
  (void)cond;
  nap(mutex);
  return 0;
}

/* Of conditions on the monotonic clock, as are the library's and libuv's. */
EXPORTED int pthread_cond_timedwait(pthread_cond_t* cond,
                                    pthread_mutex_t* mutex,
                                    const struct timespec* until) {
  struct timespec now;

  (void)cond;
  nap(mutex);
  clock_gettime(CLOCK_MONOTONIC, &now);
  return earlier(&now, until) ? 0 : ETIMEDOUT;
}
