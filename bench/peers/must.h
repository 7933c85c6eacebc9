/* SPDX-License-Identifier: MIT
 *
 * must.h - a call of the async library that cannot fail here. */
#ifndef BENCH_MUST_H
#define BENCH_MUST_H

#include <parkade/async.h>

#include <stdio.h>
#include <stdlib.h>

static inline void must(int rc, const char* what) {
  if (rc < 0) {
    fprintf(stderr, "parkade-bench: %s: %s\n", what, pkd_strerror(rc));
    exit(1);
  }
}

#endif
