/* SPDX-License-Identifier: MIT
 *
 * watchdog.c - no test process hangs for ever.
 *
 * An alarm whose handler has every thread print its own stack and then aborts.
 * The handler does more than a handler may (it reads a directory, it unwinds):
 * the process is lost anyway, and a second alarm, left to its default, ends it
 * if the handler itself hangs. */
#define _GNU_SOURCE

#include "watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <dirent.h>
#include <execinfo.h>
#include <sys/syscall.h>
#include <time.h>
#define HAVE_STACKS 1
#endif

#define DEFAULT_SECONDS 60u

static void bark(int number);
static void print_all_stacks(void);
static void say(const char* text);

static unsigned deadline; /* seconds from the start, or from a fork */

void watchdog_set(unsigned seconds) {
  deadline = seconds;
  alarm(seconds);
}

/* An alarm is not inherited, and a child that hangs outlives its parent. */
static void watch_child(void) {
  alarm(deadline);
}

static void __attribute__((constructor)) watch(void) {
  const char* text = getenv("PKD_TEST_DEADLINE");
  struct sigaction action;

  /* A line that sits in a buffer when the process aborts is a line lost. */
  setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
  memset(&action, 0, sizeof action);
  action.sa_handler = bark;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, NULL);
  pthread_atfork(NULL, NULL, watch_child);
  watchdog_set(text != NULL ? (unsigned)atoi(text) : DEFAULT_SECONDS);
}

static void bark(int number) {
  signal(number, SIG_DFL);
  alarm(5);
  say("watchdog: the deadline of this test process has passed; "
      "the last RUN line names the test\n");
  print_all_stacks();
  abort();
}

static void say(const char* text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0)
    _exit(3);
}

#if defined(HAVE_STACKS)

static volatile sig_atomic_t printed;

static void print_stack(int number) {
  void* frames[64];

  (void)number;
  say("watchdog: a thread's stack\n");
  backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
  printed = 1;
}

/* One after the other, so that the lines of two stacks do not mix. */
static void print_all_stacks(void) {
  const struct timespec moment = {0, 1000000};
  DIR* tasks = opendir("/proc/self/task");
  struct dirent* task;

  signal(SIGUSR2, print_stack);
  while (tasks != NULL && (task = readdir(tasks)) != NULL) {
    int tid = atoi(task->d_name);

    printed = 0;
    if (tid == 0 || syscall(SYS_tgkill, getpid(), tid, SIGUSR2) != 0)
      continue;
    for (int i = 0; i < 200 && !printed; i++)
      nanosleep(&moment, NULL);
  }
}

#else

static void print_all_stacks(void) {}

#endif
