/* SPDX-License-Identifier: MIT
 *
 * test_allocator.c - the locks inside an allocator, and none of theirs.
 *
 * This program's malloc is guarded by locks of the library: a mutex, and a rwlock
 * with a condition now and then. If any lock, wait, wake or unlock allocated, it
 * would come back here, wait for itself, and be told on: each call of the library
 * is marked, and an allocation under the mark is counted. */
#include "kit.h"

#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#define OWN_MALLOC                                                             \
  (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define OWN_MALLOC 1
#endif

#if OWN_MALLOC && defined(__GLIBC__)

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void __libc_free(void* memory);

static pkd_mutex_t heap;
static pkd_rwlock_t arena;
static pkd_cond_t grown;
static unsigned calls;      /* under heap */
static unsigned told;       /* atomic: allocations inside the library */
static unsigned allocating; /* atomic */
/* Volatile: to the compiler malloc is one that does not look at this. */
static __thread volatile bool in_library;

#define IN_LIBRARY(call)                                                       \
  do {                                                                         \
    in_library = true;                                                         \
    call;                                                                      \
    in_library = false;                                                        \
  } while (0)

static void enter_heap(void) {
  if (in_library) {
    count_up(&told);
    return;
  }
  count_up(&allocating);
  IN_LIBRARY(pkd_mutex_lock(&heap));
  if (++calls % 64 == 0) {
    IN_LIBRARY(pkd_rwlock_wrlock(&arena));
    IN_LIBRARY(pkd_cond_wait_wrlock_until(&grown, &arena, pkd_after(1000)));
    IN_LIBRARY(pkd_rwlock_wrunlock(&arena));
  } else {
    IN_LIBRARY(pkd_rwlock_rdlock(&arena));
    IN_LIBRARY(pkd_cond_broadcast(&grown));
    IN_LIBRARY(pkd_rwlock_rdunlock(&arena));
  }
}

static void leave_heap(void) {
  if (!in_library)
    IN_LIBRARY(pkd_mutex_unlock(&heap));
}

void* malloc(size_t size) {
  void* memory;

  enter_heap();
  memory = __libc_malloc(size);
  leave_heap();
  return memory;
}

void* calloc(size_t count, size_t size) {
  void* memory;

  enter_heap();
  memory = __libc_calloc(count, size);
  leave_heap();
  return memory;
}

void* realloc(void* memory, size_t size) {
  enter_heap();
  memory = __libc_realloc(memory, size);
  leave_heap();
  return memory;
}

void free(void* memory) {
  enter_heap();
  __libc_free(memory);
  leave_heap();
}

struct site {
  pkd_mutex_t mutex;
  pkd_fair_mutex_t fair;
  pkd_rwlock_t rwlock;
  pkd_sem_t sem;
  pkd_event_t event;
  unsigned sums[3]; /* each under its lock */
};

static void use_all(void* arg, unsigned number) {
  struct site* s = arg;

  for (int i = 0; i < ROUNDS(3000); i++) {
    char* volatile memory = malloc(1 + (number * 31 + (unsigned)i) % 700);

    IN_LIBRARY(pkd_mutex_lock(&s->mutex));
    s->sums[0]++;
    memory[0] = 1;
    free(memory); /* one lock under another */
    IN_LIBRARY(pkd_mutex_unlock(&s->mutex));
    IN_LIBRARY(pkd_fair_mutex_lock(&s->fair));
    s->sums[1]++;
    IN_LIBRARY(pkd_fair_mutex_unlock(&s->fair));
    IN_LIBRARY(pkd_rwlock_wrlock(&s->rwlock));
    s->sums[2]++;
    IN_LIBRARY(pkd_rwlock_wrunlock_fair(&s->rwlock));
    IN_LIBRARY(pkd_sem_release(&s->sem, 1));
    IN_LIBRARY(pkd_sem_acquire_for(&s->sem, 2, 2000));
    IN_LIBRARY(pkd_event_set(&s->event));
    IN_LIBRARY(pkd_event_wait_for(&s->event, 1000));
  }
}

static void
an_allocator_may_use_the_locks_and_they_do_not_use_it(void** state) {
  struct site s;

  (void)state;
  memset(&s, 0, sizeof s);
  team_run(6, use_all, &s);
  for (int i = 0; i < 3; i++)
    assert_int_equal(s.sums[i], 6 * ROUNDS(3000));
  assert_int_equal(count_of(&told), 0);
  assert_true(count_of(&allocating) > 6 * ROUNDS(3000));
  assert_int_equal(heap.word, 0);
}

enum { MANY = 200 };

static pkd_waiter_t crowd[MANY];
static char here, there; /* two addresses */

static void ignore(pkd_waiter_t* waiter) {
  (void)waiter;
}

static void gather(void) {
  for (int i = 0; i < MANY; i++) {
    crowd[i].wake = ignore;
    pkd_lot_enqueue(&here, &crowd[i], NULL, NULL);
  }
}

static pkd_unpark_op_t wake(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_WAKE;
}

static pkd_requeue_op_t move(void* arg, pkd_waiter_t* oldest) {
  (void)arg;
  (void)oldest;
  return PKD_REQUEUE_MOVE_ALL;
}

/* Who is to be woken has to be noted somewhere while the lot's lock is held. */
static void a_crowd_is_woken_and_moved_without_an_allocation(void** state) {
  pkd_unpark_result_t result = {0, 0, 0, 0};
  size_t woken = 0;

  (void)state;
  __atomic_store_n(&told, 0, __ATOMIC_RELAXED);
  IN_LIBRARY(gather());
  IN_LIBRARY(woken = pkd_lot_unpark_all(&here, 0));
  assert_int_equal(woken, MANY);
  IN_LIBRARY(gather());
  IN_LIBRARY(result = pkd_lot_unpark_filter(&here, wake, NULL, NULL));
  assert_int_equal(result.unparked, MANY);
  IN_LIBRARY(gather());
  IN_LIBRARY(result =
                 pkd_lot_unpark_requeue(&here, &there, move, NULL, 0, NULL));
  assert_int_equal(result.requeued, MANY);
  IN_LIBRARY(woken = pkd_lot_unpark_all(&there, 0));
  assert_int_equal(woken, MANY);
  assert_int_equal(count_of(&told), 0);
}

#else

static void
an_allocator_may_use_the_locks_and_they_do_not_use_it(void** state) {
  (void)state;
  skip(); /* a sanitizer brings its own allocator; others have other names */
}

static void a_crowd_is_woken_and_moved_without_an_allocation(void** state) {
  (void)state;
  skip();
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_allocator_may_use_the_locks_and_they_do_not_use_it),
      cmocka_unit_test(a_crowd_is_woken_and_moved_without_an_allocation),
  };
  return cmocka_run_group_tests_name("allocator", tests, NULL, NULL);
}
