/* SPDX-License-Identifier: MIT
 *
 * test_closed.c - a thread that has used the library ends after the last plug-in that
 * needs it was closed.
 *
 *   test_closed LIBRARY */
#include <parkade/thread.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_barrier_t step;
static pkd_thread_t (*thread_self)(void);

static void* live_longer(void* arg) {
  (void)arg;
  thread_self(); /* from here on it has a place there */
  pthread_barrier_wait(&step);
  pthread_barrier_wait(&step); /* closed */
  return NULL;
}

int main(int argc, char** argv) {
  void* library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  void* function = library == NULL ? NULL : dlsym(library, "pkd_thread_self");
  pthread_t thread;

  if (function == NULL) {
    printf("cannot be opened: %s\n", argc > 1 ? dlerror() : "which?");
    return 1;
  }
  memcpy(&thread_self, &function, sizeof function);
  pthread_barrier_init(&step, NULL, 2);
  if (pthread_create(&thread, NULL, live_longer, NULL) != 0)
    return 1;
  pthread_barrier_wait(&step);
  dlclose(library);
  pthread_barrier_wait(&step);
  pthread_join(thread, NULL);
  return 0;
}
