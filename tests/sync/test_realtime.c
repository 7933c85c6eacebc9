/* SPDX-License-Identifier: MIT
 *
 * test_realtime.c - a thread of high priority waits for one of low priority on
 * the same processor; and no wait yields.
 *
 * Whoever spun, or yielded instead of sleeping, would keep the processor from the
 * one it waits for, for ever: the other has the lower priority. There is no
 * priority inheritance; this is about not standing in one's own way. Needs the
 * right to set such priorities, and is skipped without it.
 *
 * Who yields a few times before it sleeps would get through this, and yet give
 * its processor to whoever has nothing to do with the lock, or, by priority, to
 * nobody: so calls of sched_yield() are counted. */
#define _GNU_SOURCE

#include "kit.h"

#include <parkade/cond.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#ifdef __linux__

#include <sys/syscall.h>

enum { LOW = 10, HIGH = 90 };

static pkd_mutex_t mutex;
static pkd_fair_mutex_t fair;
static pkd_rwlock_t rwlock;
static pkd_sem_t sem;
static unsigned held, refused; /* atomic */
static unsigned yields;        /* atomic */

/* In place of libc's. */
int sched_yield(void) {
  count_up(&yields);
  return (int)syscall(SYS_sched_yield);
}

/* The calling thread, to the first processor it may have, at this priority. */
static bool become_realtime(int priority) {
  struct sched_param param = {.sched_priority = priority};
  cpu_set_t may, one;

  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof may, &may) != 0)
    return false;
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
    if (CPU_ISSET(cpu, &may))
      CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof one, &one) == 0 &&
         pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) == 0;
}

/* Has everything, gives it up only when the other waits for it, and works a
 * little in between: it needs the processor for that. */
static void hold_and_give(void) {
  pkd_mutex_lock(&mutex);
  pkd_fair_mutex_lock(&fair);
  pkd_rwlock_wrlock(&rwlock);
  __atomic_store_n(&held, 1, __ATOMIC_RELEASE);
  WAIT_FOR(waiting_at(&mutex) == 1);
  pkd_mutex_unlock(&mutex);
  WAIT_FOR(waiting_at(&fair) == 1);
  pkd_fair_mutex_unlock(&fair);
  WAIT_FOR(waiting_at(&rwlock) == 1);
  pkd_rwlock_wrunlock(&rwlock);
  WAIT_FOR(waiting_at(&sem) == 1);
  pkd_sem_release(&sem, 1);
}

static void take_in_turn(void) {
  WAIT_FOR(count_of(&held) == 1); /* sleeps in between */
  pkd_mutex_lock(&mutex);
  pkd_mutex_unlock(&mutex);
  pkd_fair_mutex_lock(&fair);
  pkd_fair_mutex_unlock(&fair);
  pkd_rwlock_rdlock(&rwlock);
  pkd_rwlock_rdunlock(&rwlock);
  pkd_sem_acquire(&sem, 1);
}

static void act(void* arg, unsigned number) {
  (void)arg;
  if (!become_realtime(number == 0 ? LOW : HIGH))
    count_up(&refused);
  else if (number == 0)
    hold_and_give();
  else
    take_in_turn();
}

static void act_as_others(void* arg, unsigned number) {
  (void)arg;
  if (number == 0)
    hold_and_give();
  else
    take_in_turn();
}

static void no_wait_yields_the_processor(void** state) {
  (void)state;
  sched_yield();
  assert_int_equal(count_of(&yields), 1); /* they are counted */
  for (int i = 0; i < ROUNDS(20); i++) {
    held = 0;
    team_run(2, act_as_others, NULL);
  }
  assert_int_equal(count_of(&yields), 1);
}

static bool may_be_realtime(void) {
  struct sched_param old, param = {.sched_priority = HIGH};
  int policy;

  if (pthread_getschedparam(pthread_self(), &policy, &old) != 0 ||
      pthread_setschedparam(pthread_self(), SCHED_FIFO, &param) != 0)
    return false;
  pthread_setschedparam(pthread_self(), policy, &old);
  return true;
}

/* It ends, or the watchdog ends it. */
static void a_waiter_of_high_priority_lets_the_holder_run(void** state) {
  (void)state;
  if (!may_be_realtime())
    skip();
  held = 0;
  team_run(2, act, NULL);
  assert_int_equal(count_of(&refused), 0);
  assert_int_equal(mutex.word, 0);
  assert_int_equal(rwlock.word, 0);
}

#else

static void no_wait_yields_the_processor(void** state) {
  (void)state;
  skip();
}

static void a_waiter_of_high_priority_lets_the_holder_run(void** state) {
  (void)state;
  skip();
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_wait_yields_the_processor),
      cmocka_unit_test(a_waiter_of_high_priority_lets_the_holder_run),
  };
  return cmocka_run_group_tests_name("realtime", tests, NULL, NULL);
}
