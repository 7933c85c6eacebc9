/* SPDX-License-Identifier: MIT
 *
 * posix.c - the contract of os.h on any POSIX system: mutexes and conditions.
 *
 * A small table of rooms, chosen by the address of the word. A sleeper compares
 * and falls asleep under the room's mutex, a waker passes through the same
 * mutex after it has changed the word: either the sleeper sees the change, or
 * the waker finds it asleep. Strangers share a room, so a wake calls everybody
 * in it; os.h lets a wait end for no reason. */
#define _GNU_SOURCE

#include "os/os.h"

#include "atomic.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000u
#define ROOMS 64u

static struct room {
  pthread_mutex_t mutex;
  pthread_cond_t cond;
} rooms[ROOMS];

static pthread_once_t rooms_ready = PTHREAD_ONCE_INIT;
static void (*fork_child)(void);

static void furnish(void) {
  pthread_condattr_t attr;

  pthread_condattr_init(&attr);
#if !defined(__APPLE__)
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
#endif
  for (unsigned i = 0; i < ROOMS; i++) {
    pthread_mutex_init(&rooms[i].mutex, NULL);
    pthread_cond_init(&rooms[i].cond, &attr);
  }
  pthread_condattr_destroy(&attr);
}

static struct room* room_of(const uint32_t* word) {
  uint64_t mixed = (uint64_t)(uintptr_t)word * 0x9e3779b97f4a7c15u;

  pthread_once(&rooms_ready, furnish);
  return &rooms[mixed >> 58];
}

static int sleep_until(struct room* room, uint64_t deadline) {
  struct timespec until = {(time_t)(deadline / NS), (long)(deadline % NS)};

#if defined(__APPLE__) /* no clock attribute there: a relative wait instead */
  uint64_t now = pkd__os_now();
  uint64_t left = deadline > now ? deadline - now : 0;
  until.tv_sec = (time_t)(left / NS);
  until.tv_nsec = (long)(left % NS);
  return pthread_cond_timedwait_relative_np(&room->cond, &room->mutex, &until);
#else
  return pthread_cond_timedwait(&room->cond, &room->mutex, &until);
#endif
}

int pkd__os_wait(uint32_t* word, uint32_t expected, uint64_t deadline) {
  struct room* room = room_of(word);
  int cancel;
  int rc = 0;

  /* A condition is a point of cancellation, and a sleeper must not vanish from
   * the queue it stands in: the thread ends at the next point after the wait. */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  pthread_mutex_lock(&room->mutex);
  /* relaxed: the room's mutex orders it; the caller looks again, with acquire */
  if (pkd__load_relaxed(word) == expected) {
    if (deadline / NS < (uint64_t)INT32_MAX)
      rc = sleep_until(room, deadline);
    else
      pthread_cond_wait(&room->cond, &room->mutex);
  }
  pthread_mutex_unlock(&room->mutex);
  pthread_setcancelstate(cancel, NULL);
  return rc == ETIMEDOUT ? -ETIMEDOUT : 0;
}

void pkd__os_wake(uint32_t* word) {
  struct room* room = room_of(word);

  pthread_mutex_lock(&room->mutex);
  pthread_cond_broadcast(&room->cond);
  pthread_mutex_unlock(&room->mutex);
}

uint64_t pkd__os_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

unsigned pkd__os_cpus(void) {
  int saved = errno; /* sysconf() may look into files that are not there */
  long n = sysconf(_SC_NPROCESSORS_ONLN);

  errno = saved;
  return n < 1 ? 1 : (unsigned)n;
}

/* The parent's sleepers are not in the child, nor is who held a room. */
static void refurnish(void) {
  furnish();
  fork_child();
}

void pkd__os_at_fork(void (*child)(void)) {
  fork_child = child;
  pthread_atfork(NULL, NULL, refurnish);
}
