/* SPDX-License-Identifier: MIT
 *
 * threads.c - a user of the installed libparkade, in words both C and C++ know.
 */
#include <parkade/mutex.h>

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 10000 };

static pkd_mutex_t mutex;
static long total;

static void* work(void* arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++) {
    PKD_WITH_MUTEX(&mutex) {
      total++;
    }
  }
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];

  for (int i = 0; i < THREADS; i++) {
    if (pthread_create(&threads[i], NULL, work, NULL) != 0)
      return 2;
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  printf("total %ld, version %d.%d.%d\n", total, PKD_VERSION_MAJOR,
         PKD_VERSION_MINOR, PKD_VERSION_PATCH);
  return total == (long)THREADS * ROUNDS ? 0 : 1;
}
