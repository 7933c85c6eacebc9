/* SPDX-License-Identifier: MIT
 *
 * conformance_uv.c - the suite of conformance.c on libuv itself. */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static uv_thread_t threads[2];
static int count;
static bool failed;

void conformance_spawn(void (*entry)(void* arg), void* arg) {
  if (count == 2 || uv_thread_create(&threads[count++], entry, arg) != 0)
    abort();
}

void conformance_join(void) {
  while (count > 0)
    uv_thread_join(&threads[--count]);
}

void conformance_fail(const char* what, int line) {
  printf("  '%s' is false at conformance.c:%d\n", what, line);
  failed = true;
}

int main(void) {
  int bad = 0;

  setenv("UV_THREADPOOL_SIZE", "1", 1); /* as the shim's */
  printf("libuv %s\n", uv_version_string());
  for (const conformance_t* c = conformance; c->name != NULL; c++) {
    failed = false;
    c->test();
    bad += failed;
    printf("%s %s\n", failed ? "FAILED" : "ok    ", c->name);
  }
  return bad > 0;
}
