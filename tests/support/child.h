/* SPDX-License-Identifier: MIT
 *
 * child.h - how a child process ended. */
#ifndef PKD_TEST_CHILD_H
#define PKD_TEST_CHILD_H

#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>

/** Waits for `child`, what fork() returned.
 * @return its exit code, or the number of the signal that ended it, negative */
static inline int child_ends(pid_t child) {
  int status = 0;

  if (child < 0 || waitpid(child, &status, 0) != child)
    abort();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
