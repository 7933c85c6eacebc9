/* SPDX-License-Identifier: MIT
 *
 * 01_state_manager.c - a map shared by threads, under a mutex of one byte.
 *
 * Data-critical sections: find a key, copy a value in or out. They are short
 * and wait for nothing, so a mutex that blocks the thread is right. A function
 * that needs the map twice locks it once: read, decide and write belong
 * together. Four threads visit pages and count; no visit may get lost. */
#include <parkade/mutex.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PAGES = 3, THREADS = 4, VISITS = 20000 };

static const char* const pages[PAGES] = {"home", "prices", "contact"};

/* All-zero is empty and unlocked. */
static struct state {
  pkd_mutex_t mutex;
  size_t count; /* this and the rest: under mutex */
  struct {
    char key[16];
    long value;
  } entries[16];
} state;

/* Callers hold the mutex. */
static long* find(struct state* s, const char* key) {
  for (size_t i = 0; i < s->count; i++)
    if (strcmp(s->entries[i].key, key) == 0)
      return &s->entries[i].value;
  strcpy(s->entries[s->count].key, key);
  return &s->entries[s->count++].value;
}

/* The copy leaves the section, a pointer into the map must not. */
static long state_get(struct state* s, const char* key) {
  long value = 0;
  PKD_WITH_MUTEX(&s->mutex) {
    value = *find(s, key);
  }
  return value;
}

/* Not get and then set: another thread would come in between. */
static void state_add(struct state* s, const char* key, long change) {
  PKD_WITH_MUTEX(&s->mutex) {
    *find(s, key) += change;
  }
}

static void* visit(void* arg) {
  (void)arg;
  for (int i = 0; i < VISITS; i++)
    state_add(&state, pages[i % PAGES], 1);
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  long all = 0;

  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, visit, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < PAGES; i++) {
    long visits = state_get(&state, pages[i]);
    printf("%-8s %ld\n", pages[i], visits);
    all += visits;
  }
  printf("%-8s %ld\n", "all", all);
  return all == (long)THREADS * VISITS ? 0 : 1;
}
