/* SPDX-License-Identifier: MIT
 *
 * tsan_pairs.c - an instrumented program with a library that is not: two threads,
 * one after the other, and what ThreadSanitizer must say of them.
 *
 *   tsan_pairs list    each pair's name, and "race" or "none"
 *   tsan_pairs NAME    runs it
 *
 * The second begins when the first has ended, as told by a relaxed flag, which
 * orders nothing. So it is for the calls of the two alone to order what they do
 * with `x`; where one of them forgets to, or is told that it got nothing, there is
 * a race. */
#include <parkade/barrier.h>
#include <parkade/cancel.h>
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
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int x; /* plain: what it is all about */

static pkd_mutex_t mutex, held;
static pkd_fair_mutex_t fair, fair_held;
static pkd_remutex_t re, re_held;
static pkd_rwlock_t rwlock, rwlock_held, rwlock_read;
static pkd_sem_t sem;
static pkd_event_t event = PKD_EVENT_AUTO_INIT;
static pkd_latch_t latch = PKD_LATCH_INIT(2);
static pkd_barrier_t barrier = PKD_BARRIER_INIT(2);
static pkd_cond_t cond;
static pkd_once_t once;
static pkd_cancel_t parent, child;
struct big {
  long parts[4];
};
static PKD_CELL(struct big) cell;
static PKD_CELL(char) small_cell;

static void must(int true_enough) {
  if (!true_enough)
    abort();
}

static void touch(void) {
  x++;
}

/* --- locks ------------------------------------------------------------------- */

static void in_mutex(void) {
  PKD_WITH_MUTEX(&mutex) {
    x++;
  }
}
static void in_mutex_by_try(void) {
  must(pkd_mutex_trylock(&mutex) == 0);
  x++;
  pkd_mutex_unlock_fair(&mutex);
}
static void in_mutex_for(void) {
  must(pkd_mutex_lock_for(&mutex, 1) == 0);
  x++;
  pkd_mutex_bump(&mutex);
  pkd_mutex_unlock(&mutex);
}
static void in_fair(void) {
  PKD_WITH_FAIR_MUTEX(&fair) {
    x++;
  }
}
static void in_fair_by_try(void) {
  must(pkd_fair_mutex_trylock(&fair) == 0);
  x++;
  pkd_fair_mutex_unlock(&fair);
}
static void in_re(void) {
  PKD_WITH_REMUTEX(&re) {
    x++;
  }
}
static void in_re_by_try(void) {
  must(pkd_remutex_trylock(&re) == 0 && pkd_remutex_lock_for(&re, 1) == 0);
  x++;
  pkd_remutex_unlock(&re);
  pkd_remutex_unlock_fair(&re);
}
static void writing(void) {
  PKD_WITH_WRLOCK(&rwlock) {
    x++;
  }
}
static void writing_by_upgrade(void) {
  pkd_rwlock_uplock(&rwlock);
  must(pkd_rwlock_tryupgrade(&rwlock) == 0);
  x++;
  pkd_rwlock_downgrade_to_up(&rwlock);
  must(x != 0 && pkd_rwlock_upgrade_for(&rwlock, 1) == 0);
  x++;
  pkd_rwlock_downgrade(&rwlock);
  must(x != 0 && pkd_rwlock_rdupgrade(&rwlock) == 0);
  x++;
  pkd_rwlock_wrunlock_fair(&rwlock);
}
static void looking(void) {
  PKD_WITH_RDLOCK(&rwlock) {
    must(x >= 0);
  }
}
static void looking_in_all_ways(void) {
  pkd_rwlock_uplock(&rwlock);
  must(pkd_rwlock_tryrdlock_recursive(&rwlock) == 0 && x >= 0);
  pkd_rwlock_updowngrade(&rwlock);
  must(x >= 0);
  pkd_rwlock_rdunlock(&rwlock);
  pkd_rwlock_rdunlock_fair(&rwlock);
}
static void upgradable(void) {
  PKD_WITH_UPLOCK(&rwlock) {
    x++;
    pkd_rwlock_upbump(&rwlock);
    x++;
  }
}
static void upgradable_by_try(void) {
  must(pkd_rwlock_tryuplock(&rwlock) == 0);
  x++;
  pkd_rwlock_updowngrade(&rwlock);
  must(pkd_rwlock_uplock_for(&rwlock, 1) == 0);
  x++;
  pkd_rwlock_upunlock_fair(&rwlock);
  pkd_rwlock_rdunlock(&rwlock);
}
static void writing_as_a_reader(void) {
  PKD_WITH_RDLOCK(&rwlock) {
    x++;
  }
}

/* --- what lets others go on ---------------------------------------------------- */

static void release_it(void) {
  x++;
  must(pkd_sem_release(&sem, 1) == 0);
}
static void acquire_it(void) {
  must(pkd_sem_acquire(&sem, 1) == 0);
  x++;
}
static void acquire_in_vain(void) {
  must(pkd_sem_tryacquire(&sem, 2) == -EBUSY);
  must(pkd_sem_acquire_for(&sem, 2, 1) == -ETIMEDOUT);
  x++;
}
static void set_it(void) {
  x++;
  pkd_event_set(&event);
}
static void set_and_use_it(void) {
  set_it();
  pkd_event_wait(&event);
}
static void wait_for_it(void) {
  pkd_event_wait(&event);
  x++;
}
static void wait_for_it_in_vain(void) {
  must(pkd_event_trywait(&event) == -EBUSY);
  must(pkd_event_wait_for(&event, 1) == -ETIMEDOUT);
  x++;
}
static void count_one(void) {
  x++;
  pkd_latch_count_down(&latch, 1);
}
static void count_both(void) {
  x++;
  pkd_latch_count_down(&latch, 2);
}
static void see_it_open(void) {
  must(pkd_latch_trywait(&latch) == 0);
  x++;
}
static void see_it_closed(void) {
  must(pkd_latch_wait_for(&latch, 1) == -ETIMEDOUT);
  x++;
}
static void be_alone_there(void) {
  x++;
  must(pkd_barrier_wait_for(&barrier, 1) == -ETIMEDOUT);
}
static void be_alone_there_too(void) {
  must(pkd_barrier_wait_for(&barrier, 1) == -ETIMEDOUT);
  x++;
}
static void call_nobody(void) {
  must(pkd_cond_signal(&cond) == 0 && pkd_cond_broadcast(&cond) == 0);
  x++;
}
static void leave_a_token_for_myself(void) {
  x++;
  must(pkd_thread_unpark(pkd_thread_self()) == 0);
}
static void park_in_vain(void) {
  must(pkd_thread_park(0) == -ETIMEDOUT);
  x++;
}

/* --- once, cells --------------------------------------------------------------- */

static int succeed(void* arg) {
  (void)arg;
  x++;
  return 0;
}
static int fail(void* arg) {
  (void)arg;
  x++;
  return 1;
}
static void initialise_it(void) {
  must(pkd_once_try(&once, succeed, NULL) == 0);
}
static void initialise_it_in_vain(void) {
  must(pkd_once_try(&once, fail, NULL) == 1);
}
static void find_it_initialised(void) {
  pkd_once_call(&once, abort);
  x++;
}
static void store_it(void) {
  struct big big = {{1}};
  char one = 1;

  x++;
  pkd_cell_store(&cell, &big);
  pkd_cell_store(&small_cell, &one);
}
static void swap_it(void) {
  struct big big = {{1}};

  x++;
  pkd_cell_swap(&cell, &big, &big);
}
static void load_it(void) {
  struct big big;

  pkd_cell_load(&cell, &big);
  must(big.parts[0] == 1);
  x++;
}
static void load_the_small_one(void) {
  char one;

  pkd_cell_load(&small_cell, &one);
  must(one == 1);
  x++;
}
static void exchange_it_in_vain(void) {
  struct big zero = {{0}}, big = {{2}};

  must(pkd_cell_cas(&cell, &zero, &big) == 0);
  x++; /* but it was told what was there */
}

/* --- who comes last may free the object -------------------------------------- */

/* As free() does it: written over by a call, whose size no compiler knows. */
static void end(void* object, volatile size_t size) {
  memset(object, 0, size);
}
static void free_mutex(void) {
  in_mutex_by_try();
  end(&mutex, sizeof mutex);
}
static void free_fair(void) {
  in_fair_by_try();
  end(&fair, sizeof fair);
}
static void free_re(void) {
  must(pkd_remutex_lock_for(&re, 1) == 0); /* a call, whatever it finds */
  x++;
  pkd_remutex_unlock(&re);
  end(&re, sizeof re);
}
static void free_rwlock(void) {
  writing();
  end(&rwlock, sizeof rwlock);
}
static void free_cell(void) {
  struct big big;

  pkd_cell_swap(&cell, &(struct big){{2}}, &big); /* a call, too */
  x++;
  end(&cell, sizeof cell);
}

static void free_up(void) {
  upgradable_by_try();
  end(&rwlock, sizeof rwlock);
}

/* --- tokens that end waits ------------------------------------------------------ */

static void fire(void) {
  x++;
  must(pkd_cancel_fire(&parent) == 1);
}
static void fire_the_child(void) {
  x++;
  must(pkd_cancel_fire(&child) == 1);
}
static void see_it_fired(void) {
  must(pkd_cancel_is_fired(&child) == 1);
  x++;
}
static void pause_in_vain(void) {
  must(pkd_cancel_wait(&child, PKD_FOREVER) == 0);
  x++;
}
static void see_the_parent(void) {
  must(pkd_cancel_is_fired(&parent) == 0);
  x++;
}

/* A wait that ends, because the token above its own was fired. */
#define CANCELLED(name, call)                                                  \
  static void name(void) {                                                     \
    must(call == -ECANCELED);                                                  \
    x++;                                                                       \
  }
CANCELLED(no_mutex, pkd_mutex_lock_cancellable(&held, &child, PKD_FOREVER))
CANCELLED(no_fair,
          pkd_fair_mutex_lock_cancellable(&fair_held, &child, PKD_FOREVER))
CANCELLED(no_re, pkd_remutex_lock_cancellable(&re_held, &child, PKD_FOREVER))
CANCELLED(no_read,
          pkd_rwlock_rdlock_cancellable(&rwlock_held, &child, PKD_FOREVER))
CANCELLED(no_read_again,
          pkd_rwlock_rdlock_recursive_cancellable(&rwlock_held, &child,
                                                  PKD_FOREVER))
CANCELLED(no_up,
          pkd_rwlock_uplock_cancellable(&rwlock_held, &child, PKD_FOREVER))
CANCELLED(no_write,
          pkd_rwlock_wrlock_cancellable(&rwlock_held, &child, PKD_FOREVER))
CANCELLED(no_permit, pkd_sem_acquire_cancellable(&sem, 9, &child, PKD_FOREVER))
CANCELLED(no_event, pkd_event_wait_cancellable(&event, &child, PKD_FOREVER))
CANCELLED(no_latch, pkd_latch_wait_cancellable(&latch, &child, PKD_FOREVER))
CANCELLED(no_barrier,
          pkd_barrier_wait_cancellable(&barrier, &child, PKD_FOREVER))
CANCELLED(no_token, pkd_thread_park_cancellable(&child, PKD_FOREVER))

static void no_signal(void) {
  pkd_mutex_lock(&mutex);
  must(pkd_cond_wait_cancellable(&cond, &mutex, &child, PKD_FOREVER) ==
       -ECANCELED);
  x++;
  pkd_mutex_unlock(&mutex);
}
static void no_upgrade(void) {
  pkd_rwlock_uplock(&rwlock_read);
  must(pkd_rwlock_upgrade_cancellable(&rwlock_read, &child, PKD_FOREVER) ==
       -ECANCELED);
  x++;
  pkd_rwlock_upunlock(&rwlock_read);
}

/* --- all of them ---------------------------------------------------------------- */

static const struct pair {
  const char* name;
  const char* verdict;
  void (*first)(void);
  void (*second)(void);
} pairs[] = {
    {"mutex", "none", in_mutex, in_mutex_by_try},
    {"mutex_for", "none", in_mutex_by_try, in_mutex_for},
    {"mutex_forgotten", "race", in_mutex, touch},
    {"fair", "none", in_fair, in_fair_by_try},
    {"fair_forgotten", "race", touch, in_fair},
    {"re", "none", in_re, in_re_by_try},
    {"re_forgotten", "race", in_re_by_try, touch},
    {"write_write", "none", writing, writing_by_upgrade},
    {"upgrade_read", "none", writing_by_upgrade, looking_in_all_ways},
    {"read_write", "none", looking_in_all_ways, writing},
    {"read_upgrade", "none", looking, writing_by_upgrade},
    {"up_up", "none", upgradable, upgradable_by_try},
    {"up_again", "none", upgradable_by_try, upgradable},
    {"up_upgrade", "none", upgradable, writing_by_upgrade},
    {"upgrade_up", "none", writing_by_upgrade, upgradable},
    {"up_read", "race", upgradable, looking},
    {"write_forgotten", "race", writing, touch},
    {"two_readers_write", "race", writing_as_a_reader, writing_as_a_reader},
    {"mutex_freed", "none", in_mutex, free_mutex},
    {"fair_freed", "none", in_fair, free_fair},
    {"re_freed", "none", in_re, free_re},
    {"rwlock_freed", "none", looking, free_rwlock},
    {"up_freed", "none", upgradable, free_up},
    {"cell_freed", "none", store_it, free_cell},
    {"sem", "none", release_it, acquire_it},
    {"sem_in_vain", "race", release_it, acquire_in_vain},
    {"event", "none", set_it, wait_for_it},
    {"event_in_vain", "race", set_and_use_it, wait_for_it_in_vain},
    {"latch", "none", count_both, see_it_open},
    {"latch_in_vain", "race", count_one, see_it_closed},
    {"barrier_in_vain", "race", be_alone_there, be_alone_there_too},
    {"cond_in_vain", "race", call_nobody, call_nobody},
    {"token_in_vain", "race", leave_a_token_for_myself, park_in_vain},
    {"once", "none", initialise_it, find_it_initialised},
    {"once_retried", "none", initialise_it_in_vain, initialise_it},
    {"once_forgotten", "race", initialise_it, touch},
    {"cell", "none", store_it, load_it},
    {"cell_swap", "none", swap_it, load_it},
    {"cell_cas", "none", store_it, exchange_it_in_vain},
    {"cell_small", "none", store_it, load_the_small_one},
    {"cell_forgotten", "race", store_it, touch},
    {"cancel", "none", fire, see_it_fired},
    {"cancel_pause", "none", fire, pause_in_vain},
    {"cancel_child", "none", fire_the_child, see_it_fired},
    {"cancel_forgotten", "race", fire, touch},
    {"cancel_not_fired", "race", fire_the_child, see_the_parent},
    {"cancel_mutex", "none", fire, no_mutex},
    {"cancel_fair", "none", fire, no_fair},
    {"cancel_re", "none", fire, no_re},
    {"cancel_read", "none", fire, no_read},
    {"cancel_read_again", "none", fire, no_read_again},
    {"cancel_up", "none", fire, no_up},
    {"cancel_write", "none", fire, no_write},
    {"cancel_upgrade", "none", fire, no_upgrade},
    {"cancel_sem", "none", fire, no_permit},
    {"cancel_event", "none", fire, no_event},
    {"cancel_latch", "none", fire, no_latch},
    {"cancel_barrier", "none", fire, no_barrier},
    {"cancel_park", "none", fire, no_token},
    {"cancel_cond", "none", fire, no_signal},
};

static int first_is_done; /* atomic, relaxed */

static void* run_first(void* pair) {
  ((const struct pair*)pair)->first();
  __atomic_store_n(&first_is_done, 1, __ATOMIC_RELAXED);
  return NULL;
}

static void* run_second(void* pair) {
  while (!__atomic_load_n(&first_is_done, __ATOMIC_RELAXED))
    sched_yield();
  ((const struct pair*)pair)->second();
  return NULL;
}

static void run(const struct pair* pair) {
  void* arg = (void*)(uintptr_t)pair;
  pthread_t threads[2];

  pkd_mutex_lock(&held);
  pkd_fair_mutex_lock(&fair_held);
  pkd_remutex_lock(&re_held);
  pkd_rwlock_wrlock(&rwlock_held);
  pkd_rwlock_rdlock(&rwlock_read);
  must(pkd_cancel_init(&child, &parent, PKD_FOREVER) == 0);
  /* What is done once, for both: where threads sleep by pthread, the first sleep
   * makes ready what the others use, and that would order them. */
  must(pkd_thread_self().number != 0);
  must(pkd_thread_park(pkd_after(1)) == -ETIMEDOUT);
  pthread_create(&threads[0], NULL, run_first, arg);
  pthread_create(&threads[1], NULL, run_second, arg);
  pthread_join(threads[0], NULL);
  pthread_join(threads[1], NULL);
  pkd_rwlock_rdunlock(&rwlock_read);
  pkd_rwlock_wrunlock(&rwlock_held);
  pkd_remutex_unlock(&re_held);
  pkd_fair_mutex_unlock(&fair_held);
  pkd_mutex_unlock(&held);
  pkd_cancel_close(&child);
  puts("done");
}

int main(int argc, char** argv) {
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    if (argc == 2 && strcmp(argv[1], "list") == 0) {
      printf("%s %s\n", pairs[i].name, pairs[i].verdict);
    } else if (argc == 2 && strcmp(argv[1], pairs[i].name) == 0) {
      run(&pairs[i]);
      return 0;
    }
  }
  return argc == 2 && strcmp(argv[1], "list") == 0 ? 0 : 2;
}
