/* SPDX-License-Identifier: MIT
 *
 * kit.h - for tests of what pthread promises, whoever keeps the promise.
 *
 * Each test program here runs twice: on the C library alone, and with
 * libparkade-preload.so in front of it. What it expects stands in POSIX or in
 * glibc's manual; nothing here knows Parkade. */
#ifndef PKD_TEST_PRELOAD_KIT_H
#define PKD_TEST_PRELOAD_KIT_H

#include "support/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/** The time of `clock`, `ms` milliseconds from now. */
static inline struct timespec in_ms(clockid_t clock, long ms) {
  struct timespec when;

  clock_gettime(clock, &when);
  when.tv_sec += ms / 1000;
  when.tv_nsec += ms % 1000 * 1000000;
  if (when.tv_nsec >= 1000000000) {
    when.tv_sec++;
    when.tv_nsec -= 1000000000;
  }
  return when;
}

static inline bool has_come(clockid_t clock, const struct timespec* when) {
  struct timespec now;

  clock_gettime(clock, &now);
  return now.tv_sec != when->tv_sec ? now.tv_sec > when->tv_sec
                                    : now.tv_nsec >= when->tv_nsec;
}

/** A thread whose number is known, so that one can see it sleep. */
struct one {
  pthread_t thread;
  void* (*work)(struct one* self);
  void* arg;
  pid_t tid; /* atomic */
  int rc;    /* what `work` found */
};

static inline void* one_begin(void* arg) {
  struct one* self = arg;

  __atomic_store_n(&self->tid, gettid(), __ATOMIC_RELEASE);
  return self->work(self);
}

static inline void one_start(struct one* self, void* (*work)(struct one*),
                             void* arg) {
  *self = (struct one){.work = work, .arg = arg};
  assert_int_equal(pthread_create(&self->thread, NULL, one_begin, self), 0);
}

static inline int one_join(struct one* self) {
  assert_int_equal(pthread_join(self->thread, NULL), 0);
  return self->rc;
}

/** Has the thread begun, and does it sleep in the kernel now? */
static inline bool one_sleeps(struct one* self) {
  pid_t tid = __atomic_load_n(&self->tid, __ATOMIC_ACQUIRE);
  char path[64], line[256];
  const char* state = NULL;
  FILE* file;

  if (tid == 0)
    return false;
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
  file = fopen(path, "r");
  if (file != NULL) {
    if (fgets(line, sizeof line, file) != NULL)
      state = strrchr(line, ')');
    fclose(file);
  }
  return state != NULL && state[2] == 'S';
}

/** Memory that a child shares. */
static inline void* shared_memory(size_t size) {
  void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  assert_true(memory != MAP_FAILED);
  return memory;
}

/** Waits for a child; @return what it exited with, or -1. */
static inline int exit_of(pid_t child) {
  int status;

  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/** Is it the C library that answers, or what the environment wants before it? */
static inline void the_right_library_answers(void** state) {
  static const char* names[] = {
      "pthread_mutex_lock", "pthread_cond_wait",    "pthread_rwlock_rdlock",
      "pthread_once",       "pthread_barrier_wait", "sem_wait",
  };
  const char* wanted = getenv("PKD_TEST_IN_FRONT");

  (void)state;
  for (size_t i = 0; i < LENGTH(names); i++) {
    Dl_info info;

    assert_int_not_equal(dladdr(dlsym(RTLD_DEFAULT, names[i]), &info), 0);
    assert_non_null(
        strstr(info.dli_fname, wanted != NULL ? wanted : "libc.so"));
  }
}

#endif
