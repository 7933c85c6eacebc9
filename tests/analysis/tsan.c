/* SPDX-License-Identifier: MIT
 *
 * tsan.c - an instrumented program with a library that is not.
 *
 *   tsan guarded     every lock and object orders plain data, contended so that
 *                    the library's own slow paths run; no race may be reported
 *   tsan unguarded   one thread forgets the lock: a race must be reported
 *   tsan list        the two
 *
 * Each call by itself, in order and forgotten: tsan_pairs.c. */
#include <parkade/barrier.h>
#include <parkade/cell.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 400 };

static pkd_mutex_t mutex;
static pkd_fair_mutex_t fair;
static pkd_rwlock_t rwlock;
static pkd_sem_t sem = PKD_SEM_INIT(1);
static pkd_event_t turn = PKD_EVENT_AUTO_INIT;
static pkd_barrier_t barrier = PKD_BARRIER_INIT(THREADS);
static pkd_latch_t latch = PKD_LATCH_INIT(THREADS);
static pkd_cond_t cond, cond_fair, cond_rwlock;
static pkd_remutex_t re;
static pkd_once_t once;
struct big {
  int* shown; /* what the store before made visible */
  long rest[4];
};
static PKD_CELL(struct big) cell;
static pkd_thread_t partner;
static int has_partner; /* both under mutex */

static int by_mutex, by_fair, by_rwlock, by_sem, by_event, by_re, by_once;
static int by_cell, by_token;
static int fair_arrived, rwlock_arrived; /* under their locks */
static int by_barrier[THREADS], by_latch[THREADS];
static int arrived; /* under mutex */
static int apart[THREADS];

static void read_and_write(int round) {
  int seen = 0;

  PKD_WITH_RDLOCK(&rwlock) {
    seen = by_rwlock;
  }
  if (round % 3 == 0) {
    pkd_rwlock_wrlock(&rwlock);
    by_rwlock++;
    pkd_rwlock_downgrade(&rwlock);
    seen = by_rwlock;
    pkd_rwlock_rdunlock(&rwlock);
  } else if (round % 3 == 1) {
    pkd_rwlock_uplock(&rwlock);
    seen = by_rwlock;
    pkd_rwlock_upgrade(&rwlock);
    by_rwlock = seen + 1;
    pkd_rwlock_wrunlock_fair(&rwlock);
  } else if (pkd_rwlock_wrlock_for(&rwlock, 100000) == 0) {
    by_rwlock++;
    pkd_rwlock_wrbump(&rwlock);
    by_rwlock--;
    pkd_rwlock_wrunlock(&rwlock);
  }
}

static void use_all(int number, int round) {
  PKD_WITH_MUTEX(&mutex) {
    by_mutex++;
    pkd_mutex_bump(&mutex);
    by_mutex++;
  }
  if (pkd_mutex_trylock(&mutex) == 0) {
    by_mutex++;
    pkd_mutex_unlock_fair(&mutex);
  }
  PKD_WITH_FAIR_MUTEX(&fair) {
    by_fair++;
    pkd_fair_mutex_bump(&fair);
    by_fair++;
  }
  PKD_WITH_REMUTEX(&re) {
    PKD_WITH_REMUTEX(&re) {
      by_re++;
    }
    pkd_remutex_bump(&re);
    by_re++;
  }
  read_and_write(round);
  pkd_sem_acquire(&sem, 1);
  by_sem++;
  pkd_sem_release(&sem, 1);
  pkd_event_wait(&turn);
  by_event++;
  pkd_event_set(&turn);
  by_barrier[number] = round;
  pkd_barrier_wait(&barrier);
  for (int i = 0; i < THREADS; i++)
    apart[number] += by_barrier[i] != round;
  pkd_barrier_wait(&barrier);
}

static void meet_at_condition(void) {
  pkd_mutex_lock(&mutex);
  if (++arrived == THREADS)
    pkd_cond_broadcast(&cond);
  while (arrived < THREADS)
    pkd_cond_wait(&cond, &mutex);
  by_mutex++;
  pkd_mutex_unlock(&mutex);
}

static void meet_at_the_others(void) {
  pkd_fair_mutex_lock(&fair);
  if (++fair_arrived == THREADS)
    pkd_cond_broadcast(&cond_fair);
  while (fair_arrived < THREADS)
    pkd_cond_wait_fair(&cond_fair, &fair);
  by_fair++;
  pkd_fair_mutex_unlock(&fair);
  pkd_rwlock_wrlock(&rwlock);
  if (++rwlock_arrived == THREADS)
    pkd_cond_broadcast(&cond_rwlock);
  while (rwlock_arrived < THREADS)
    pkd_cond_wait_wrlock(&cond_rwlock, &rwlock);
  by_rwlock++;
  pkd_rwlock_wrunlock(&rwlock);
}

static int initialise(void* arg) {
  by_once = *(int*)arg + 1;
  return 0;
}

/* The first writes and shows what it wrote by a cell and by a token. */
static void show_and_see(int number) {
  struct big big = {&by_cell, {0}};

  if (number == 0) {
    by_cell = 1;
    pkd_cell_store(&cell, &big);
    PKD_WITH_MUTEX(&mutex) {
      while (!has_partner)
        pkd_mutex_bump(&mutex);
    }
    by_token = 1;
    pkd_thread_unpark(partner);
  } else if (number == 1) {
    PKD_WITH_MUTEX(&mutex) {
      partner = pkd_thread_self();
      has_partner = 1;
    }
    pkd_thread_park(PKD_FOREVER);
    by_token++;
    do {
      pkd_cell_load(&cell, &big);
    } while (big.shown == NULL);
    ++*big.shown;
  }
}

static void* run(void* arg) {
  int number = *(int*)arg;
  int sum = 0;

  pkd_once_try(&once, initialise, &number);
  sum += by_once;
  show_and_see(number);

  for (int round = 1; round <= ROUNDS; round++)
    use_all(number, round);
  meet_at_condition();
  meet_at_the_others();
  by_latch[number] = 1;
  pkd_latch_arrive_and_wait(&latch);
  sum = 0;
  for (int i = 0; i < THREADS; i++)
    sum += by_latch[i];
  *(int*)arg = sum;
  return NULL;
}

static void* forget(void* arg) {
  if (*(int*)arg != 0)
    pkd_mutex_lock(&mutex);
  by_mutex++;
  if (*(int*)arg != 0)
    pkd_mutex_unlock(&mutex);
  return NULL;
}

int main(int argc, char** argv) {
  int unguarded = argc > 1 && strcmp(argv[1], "unguarded") == 0;
  pthread_t threads[THREADS];
  int numbers[THREADS] = {0, 1, 2, 3};
  int wrong = 0;

  if (argc > 1 && strcmp(argv[1], "list") == 0) {
    puts("guarded none\nunguarded race");
    return 0;
  }
  pkd_event_set(&turn);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, unguarded ? forget : run, &numbers[i]);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS && !unguarded; i++)
    wrong += numbers[i] != THREADS || apart[i] != 0;
  puts("done");
  return wrong;
}
