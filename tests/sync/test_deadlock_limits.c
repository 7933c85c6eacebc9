/* SPDX-License-Identifier: MIT
 *
 * test_deadlock_limits.c - more than the watch has room for: it counts what it
 * missed, reports nothing that is not so, and goes on with what fits. */
#include "watched.h"

#include <parkade/thread.h>

enum { MANY = 4200, HOLDS = 60, SEMS = 300, RING = 20 };

static pkd_mutex_t many[MANY];
static pkd_mutex_t a, b;

static void nest(pkd_mutex_t* outer, pkd_mutex_t* inner) {
  pkd_mutex_lock(outer);
  pkd_mutex_lock(inner);
  pkd_mutex_unlock(inner);
  pkd_mutex_unlock(outer);
}

/* The others miss nothing, see rest(). */
static int rest_all_the_same(void** state) {
  (void)state;
  pkd_deadlock_watch(0);
  return 0;
}

static void more_locks_than_it_remembers_are_counted(void** state) {
  size_t before = pkd_deadlock_missed();
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  for (int i = 0; i < MANY; i++)
    nest(&a, &many[i]);
  assert_true(pkd_deadlock_missed() > before);
  before = pkd_deadlock_missed();
  nest(&many[MANY - 1], &b); /* neither fits */
  PKD_WITH_MUTEX(&a) {
    PKD_WITH_WRLOCK(&l) {} /* nor does this */
  }
  assert_true(pkd_deadlock_missed() > before);
  assert_verdict(0, 0);
  pkd_deadlock_forget(many, sizeof many); /* makes room again */
  nest(&a, &b);
  nest(&b, &a);
  assert_verdict(0, 1);
}

static void more_locks_than_a_thread_may_hold_are_counted(void** state) {
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < HOLDS; i++)
    pkd_mutex_lock(&many[i]);
  for (int i = 0; i < HOLDS; i++)
    pkd_mutex_unlock(&many[i]);
  assert_true(pkd_deadlock_missed() > before);
  assert_verdict(0, 0);
}

/* Each of some under each of others. */
static void more_orders_than_it_remembers_are_counted(void** state) {
  enum { OUTER = 40, INNER = 210 };
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < OUTER; i++)
    pkd_mutex_lock(&many[i]);
  for (int i = 0; i < INNER; i++)
    PKD_WITH_MUTEX(&many[OUTER + i]) {}
  for (int i = 0; i < OUTER; i++)
    pkd_mutex_unlock(&many[i]);
  assert_true(pkd_deadlock_missed() > before);
  assert_verdict(0, 0);
  nest(&many[OUTER], &many[0]); /* against the first it has seen: no room */
  assert_verdict(0, 0);
  pkd_deadlock_forget(&many[OUTER + 1], sizeof many[0]);
  nest(&many[OUTER], &many[0]);
  assert_verdict(0, 1);
}

/* Ways from the outermost to the innermost: LAYER to the power of LAYERS. All are
 * under one gate, so none is a deadlock, and the search looks on. */
static void a_search_that_takes_too_long_is_counted(void** state) {
  enum { LAYERS = 4, LAYER = 24 };
  size_t before = pkd_deadlock_missed();
  pkd_mutex_t* last_layer = &many[(LAYERS - 1) * LAYER];

  (void)state;
  PKD_WITH_MUTEX(&a) {
    for (int n = 0; n < (LAYERS - 1) * LAYER; n++)
      for (int i = 0; i < LAYER; i++)
        nest(&many[n], &many[(n / LAYER + 1) * LAYER + i]);
    for (int i = 0; i < LAYER; i++)
      nest(&last_layer[i], &b);
    assert_int_equal(pkd_deadlock_missed(), before);
    nest(&b, &many[0]);
    for (int i = 1; i < LAYER; i++)
      nest(&b, &many[i]);
  }
  assert_verdict(0, 0);
  assert_true(pkd_deadlock_missed() > before);
}

static void more_semaphores_than_it_remembers_are_counted(void** state) {
  static pkd_sem_t sems[SEMS];
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < SEMS; i++)
    pkd_sem_release(&sems[i], 1);
  assert_true(pkd_deadlock_missed() > before);
  /* It waits for its own permit; but the last is not known to be used as a lock. */
  assert_int_equal(pkd_sem_acquire_for(&sems[SEMS - 1], 1, MS), 0);
  assert_int_equal(pkd_sem_acquire_for(&sems[SEMS - 1], 1, MS), -ETIMEDOUT);
  assert_verdict(0, 0);
}

/* --- more threads ---------------------------------------------------------------- */

enum { THREADS = 520, WATCHED = 512 };

static pthread_barrier_t all_have_locked;

static void* lock_among_many(void* own) {
  PKD_WITH_MUTEX((pkd_mutex_t*)own) {}
  pthread_barrier_wait(&all_have_locked);
  return NULL;
}

static void more_threads_than_it_watches_are_counted(void** state) {
  static pthread_t threads[THREADS];
  size_t before = pkd_deadlock_missed();
  pthread_attr_t small; /* so that all fit into 32 bits */

  (void)state;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 256 * 1024);
  pthread_barrier_init(&all_have_locked, NULL, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(
        pthread_create(&threads[i], &small, lock_among_many, &many[i]), 0);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&all_have_locked);
  pthread_attr_destroy(&small);
  assert_true(pkd_deadlock_missed() >= before + THREADS - WATCHED);
  assert_verdict(0, 0);
}

static void* lock_and_say_who(void* handle) {
  PKD_WITH_MUTEX(&a){} * (pkd_thread_t*)handle = pkd_thread_self();
  return NULL;
}

static void* say_who_and_lock(void* handle) {
  *(pkd_thread_t*)handle = pkd_thread_self();
  PKD_WITH_MUTEX(&a) {}
  return NULL;
}

/* A thread with a handle leaves the watch as well, whichever it had first. */
static void any_number_of_threads_is_watched_one_after_another(void** state) {
  size_t before = pkd_deadlock_missed();

  (void)state;
  for (int i = 0; i < THREADS; i++) {
    pkd_thread_t handle;
    pthread_t thread;

    pthread_create(&thread, NULL,
                   i % 2 == 0 ? lock_and_say_who : say_who_and_lock, &handle);
    pthread_join(thread, NULL);
    assert_int_equal(pkd_thread_unpark(handle), -ESRCH);
  }
  assert_int_equal(pkd_deadlock_missed(), before);
}

static void a_ring_longer_than_a_report_is_not_told(void** state) {
  (void)state;
  for (int i = 0; i < RING; i++)
    nest(&many[i], &many[(i + 1) % RING]);
  assert_verdict(0, 0);
  for (int i = 0; i < 10; i++) /* a shorter one is */
    nest(&many[RING + i], &many[RING + (i + 1) % 10]);
  assert_verdict(0, 1);
  assert_int_equal(last_count, 10);
}

/* --- rings of more threads than a report has steps ------------------------------ */

static pkd_mutex_t round_table[RING];
static unsigned seated;

static void reach_for_the_next(void* arg, unsigned number) {
  (void)arg;
  pkd_mutex_lock(&round_table[number]);
  count_up(&seated);
  WAIT_FOR(count_of(&seated) == RING);
  if (pkd_mutex_lock_cancellable(&round_table[(number + 1) % RING], &stop,
                                 PKD_FOREVER) == 0)
    pkd_mutex_unlock(&round_table[(number + 1) % RING]);
  pkd_mutex_unlock(&round_table[number]);
}

static void more_threads_than_a_report_has_steps_are_not_told(void** state) {
  struct crew crew;

  (void)state;
  crew_start(&crew, RING, reach_for_the_next, NULL);
  for (int i = 0; i < RING; i++)
    WAIT_FOR(waiting_at(&round_table[i]) == 1);
  pkd_cancel_fire(&stop);
  crew_join(&crew);
  assert_verdict(0, 0);
}

static void read_again(void) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  pkd_deadlock_watch(0);
  pkd_deadlock_on_report(NULL, NULL);
  pkd_deadlock_watch(1);
  PKD_WITH_RDLOCK(&l) {
    PKD_WITH_RDLOCK(&l) {}
  }
  abort(); /* the program went on as far as here */
}

static void a_read_within_a_read_is_told_in_words(void** state) {
  char words[8192];

  (void)state;
  assert_int_equal(last_words(read_again, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "a read within a read"));
}

#define LIMIT(test)                                                            \
  cmocka_unit_test_setup_teardown(test, watch, rest_all_the_same)

int main(void) {
  const struct CMUnitTest tests[] = {
      LIMIT(more_locks_than_it_remembers_are_counted),
      LIMIT(more_locks_than_a_thread_may_hold_are_counted),
      LIMIT(more_orders_than_it_remembers_are_counted),
      LIMIT(a_search_that_takes_too_long_is_counted),
      LIMIT(more_threads_than_a_report_has_steps_are_not_told),
      LIMIT(more_semaphores_than_it_remembers_are_counted),
      LIMIT(a_ring_longer_than_a_report_is_not_told),
      LIMIT(a_read_within_a_read_is_told_in_words),
      LIMIT(more_threads_than_it_watches_are_counted),
      LIMIT(any_number_of_threads_is_watched_one_after_another),
  };
  return cmocka_run_group_tests_name("deadlock_limits", tests, NULL, NULL);
}
