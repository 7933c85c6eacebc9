/* SPDX-License-Identifier: MIT
 *
 * test_lot_life.c - the lot at the odd moments of a thread's and a process's
 * life: thread exit, cancellation, before main and after it. */
#include "kit.h"

#include <parkade/mutex.h>

static char here; /* an address */

static int yes_always(void* arg) {
  (void)arg;
  return 1;
}

struct exits {
  pkd_mutex_t m;
  unsigned count;  /* under m */
  unsigned parked; /* atomic */
};

static pthread_key_t exit_key;
static struct exits exits;

/* Runs when the thread's own variables are going; in three rounds. */
static void lock_wait_unlock(void* round) {
  pkd_park_t how = {.validate = yes_always};

  PKD_WITH_MUTEX(&exits.m) {
    exits.count++;
  }
  if (pkd_lot_park(&exits.parked, &how, pkd_after(20000), NULL) == 0)
    count_up(&exits.parked);
  if ((uintptr_t)round < 3)
    pthread_setspecific(exit_key, (void*)((uintptr_t)round + 1));
}

static void exit_with_a_destructor(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pthread_setspecific(exit_key, (void*)(uintptr_t)1);
}

static void destructors_of_a_thread_may_lock_and_park(void** state) {
  const unsigned threads = ROUNDS(1000);
  unsigned unparked = 0;

  (void)state;
  assert_int_equal(pthread_key_create(&exit_key, lock_wait_unlock), 0);
  for (unsigned started = 0; started < threads; started += 20) {
    struct crew crew;

    crew_start(&crew, 20, exit_with_a_destructor, NULL);
    for (unsigned i = 0; i < 20; i++)
      unparked +=
          (unsigned)pkd_lot_unpark_one(&exits.parked, NULL, NULL).unparked;
    crew_join(&crew);
  }
  pthread_key_delete(exit_key);
  assert_int_equal(exits.count, 3 * ((threads + 19) / 20 * 20));
  assert_int_equal(exits.parked, unparked);
  assert_int_equal(exits.m.word, 0);
  assert_int_equal(waiting_at(&exits.parked), 0);
}

struct cancelled {
  int rc; /* of the park */
  unsigned returned;
};

/* Apart from its caller, whose frame AddressSanitizer must find clean when the
 * cancellation unwinds it. */
static __attribute__((noinline)) void park_once(struct cancelled* c) {
  pkd_park_t how = {.validate = yes_always};

  c->rc = pkd_lot_park(&here, &how, PKD_FOREVER, NULL);
  c->returned = 1;
}

static void* park_and_be_cancelled(void* arg) {
  park_once(arg);
  for (;;)
    pthread_testcancel();
  return NULL;
}

static void a_cancelled_thread_leaves_the_queue_whole(void** state) {
  (void)state;
  for (unsigned round = 0; round < 50; round++) {
    struct cancelled c = {-1, 0};
    pthread_t thread;
    void* end;

    assert_int_equal(pthread_create(&thread, NULL, park_and_be_cancelled, &c),
                     0);
    WAIT_FOR(waiting_at(&here) == 1);
    pthread_cancel(thread);
    pause_us(200); /* if it could vanish, it would */
    assert_int_equal(pkd_lot_unpark_one(&here, NULL, NULL).unparked, 1);
    pthread_join(thread, &end);
    assert_ptr_equal(end, PTHREAD_CANCELED);
    assert_int_equal(c.returned, 1);
    assert_int_equal(c.rc, 0);
  }
}

/* Before main: recorded here, looked at by a test; after main: exit code 9. */
static int early_park = 1, early_lock = 1;
static pkd_mutex_t early_mutex;

__attribute__((constructor(101))) static void before_main(void) {
  pkd_park_t how = {.validate = yes_always};

  early_park = pkd_lot_park(&here, &how, pkd_after(1000), NULL);
  early_lock = pkd_mutex_trylock(&early_mutex);
  if (early_lock == 0)
    pkd_mutex_unlock(&early_mutex);
}

static void after_main(void) {
  pkd_park_t how = {.validate = yes_always};
  pkd_waiter_t waiter = {0};

  pkd_mutex_lock(&early_mutex);
  if (pkd_mutex_lock_for(&early_mutex, 1000) != -ETIMEDOUT ||
      pkd_lot_park(&here, &how, 0, NULL) != -ETIMEDOUT ||
      pkd_lot_enqueue(&here, &waiter, NULL, NULL) != 0 ||
      pkd_lot_remove(&waiter, NULL, NULL) != 0)
    _exit(9);
  pkd_mutex_unlock(&early_mutex);
}

__attribute__((destructor(101))) static void long_after_main(void) {
  after_main();
}

static void the_lot_works_before_main(void** state) {
  (void)state;
  assert_int_equal(early_park, -ETIMEDOUT);
  assert_int_equal(early_lock, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(destructors_of_a_thread_may_lock_and_park),
      cmocka_unit_test(a_cancelled_thread_leaves_the_queue_whole),
      cmocka_unit_test(the_lot_works_before_main),
  };

  atexit(after_main);
  return cmocka_run_group_tests_name("lot, a life", tests, NULL, NULL);
}
