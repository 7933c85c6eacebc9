/* SPDX-License-Identifier: MIT
 *
 * coverage.c - in a build with coverage only: what a child process and a process
 * that aborts have covered counts as well.
 *
 * Counters are written when a process exits. Children of a test leave by _exit(),
 * and misuse of a lock is tested in a child that dies of abort(): both leave
 * without that. So _exit() is defined here, and SIGABRT caught, to write first.
 * meson.build links everything statically for this: each shared object would
 * have counters of its own. */
#define _GNU_SOURCE

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void __gcov_dump(void);

void _exit(int status) {
  __gcov_dump();
  for (;;)
    syscall(SYS_exit_group, status);
}

static void dump_and_die(int number) {
  __gcov_dump();
  signal(number, SIG_DFL);
  raise(number);
}

static void __attribute__((constructor)) watch(void) {
  struct sigaction action;

  memset(&action, 0, sizeof action);
  action.sa_handler = dump_and_die;
  action.sa_flags = (int)SA_RESETHAND;
  sigaction(SIGABRT, &action, NULL);
}
