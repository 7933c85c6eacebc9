/* SPDX-License-Identifier: MIT
 *
 * linux.c - the contract of os.h on Linux: futexes.
 *
 * Deadlines are absolute on CLOCK_MONOTONIC, so a wait that a signal broke goes
 * on without arithmetic. The futex calls take addresses, never what lies there:
 * waking a word whose owner has gone is a stray wake-up at worst. */
#define _GNU_SOURCE

#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000u

/* From the kernel's linux/futex.h, which not every libc's compiler finds. */
enum { FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9, FUTEX_PRIVATE_FLAG = 128 };
#define FUTEX_BITSET_MATCH_ANY UINT32_MAX

/* A 32-bit system may have two futex calls; ours is the one whose timespec has
 * the same time_t as libc's. */
#if defined(SYS_futex_time64) && !defined(__LP64__)
#define PKD_FUTEX (sizeof(time_t) > 4 ? SYS_futex_time64 : SYS_futex)
#elif defined(SYS_futex)
#define PKD_FUTEX SYS_futex
#else
#define PKD_FUTEX SYS_futex_time64
#endif

/* libc's syscall() speaks through errno; ours must not be seen to change it. */
static long futex(uint32_t* word, int op, uint32_t value,
                  const struct timespec* until) {
  int saved = errno;
  long rc = syscall(PKD_FUTEX, word, op | FUTEX_PRIVATE_FLAG, value, until,
                    NULL, FUTEX_BITSET_MATCH_ANY);
  if (rc == -1)
    rc = -errno;
  errno = saved;
  return rc;
}

int pkd__os_wait(uint32_t* word, uint32_t expected, uint64_t deadline) {
  struct timespec until;
  struct timespec* end = NULL;
  long rc;

  /* A deadline that time_t cannot hold is beyond the age of the machine. */
  if (deadline / NS < (uint64_t)INT32_MAX) {
    until.tv_sec = (time_t)(deadline / NS);
    until.tv_nsec = (long)(deadline % NS);
    end = &until;
  }
  rc = futex(word, FUTEX_WAIT_BITSET, expected, end);
  /* Where the system refuses the call, the time passes all the same. */
  if (rc == -ETIMEDOUT ||
      (rc < 0 && rc != -EAGAIN && pkd__os_now() >= deadline))
    return -ETIMEDOUT;
  return 0;
}

void pkd__os_wake(uint32_t* word) {
  (void)futex(word, FUTEX_WAKE, 1, NULL);
}

uint64_t pkd__os_now(void) {
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

static unsigned cpus_of(pid_t thread) {
  cpu_set_t set;
  int saved = errno;

  if (sched_getaffinity(thread, sizeof set, &set) == 0)
    return (unsigned)CPU_COUNT(&set);
  errno = saved;
  return 2; /* more processors than the set holds */
}

/* A set belongs to a thread. The one that asks may be pinned, as workers are;
 * the first thread has what the process was started with, unless it is. */
unsigned pkd__os_cpus(void) {
  unsigned mine = cpus_of(0);
  unsigned first = cpus_of(getpid());

  return mine > first ? mine : first;
}

void pkd__os_at_fork(void (*child)(void)) {
  pthread_atfork(NULL, NULL, child);
}
