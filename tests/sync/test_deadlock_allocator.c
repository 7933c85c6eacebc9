/* SPDX-License-Identifier: MIT
 *
 * test_deadlock_allocator.c - an allocator whose locks are watched.
 *
 * The system may allocate where it notes a thread's end: glibc does beyond the
 * first 32 keys of a process. A thread that is watched for the first time has its
 * end noted, and the allocator may have to wait then for another watched thread. */
#include "watched.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_CALLOC 0
#elif defined(__has_feature)
#define OWN_CALLOC                                                             \
  (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define OWN_CALLOC 1
#endif

#if OWN_CALLOC && defined(__GLIBC__)

void* __libc_calloc(size_t count, size_t size);

static pkd_mutex_t heap, other;
static unsigned allocating, locked; /* atomic */
/* Volatile: to the compiler calloc is one that does not look at this. */
static __thread volatile bool in_first_call;

void* calloc(size_t count, size_t size) {
  if (in_first_call) {
    in_first_call = false;
    count_up(&allocating);
    WAIT_FOR(count_of(&locked) == 1);
  }
  return __libc_calloc(count, size);
}

static void lock_for_the_first_time(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  in_first_call = true;
  PKD_WITH_MUTEX(&heap) {}
  if (in_first_call) /* a tool's allocator is called in place of ours */
    count_up(&allocating);
}

/* Whoever is watched already is not kept waiting by one who allocates. */
static void no_allocation_keeps_the_watched_waiting(void** state) {
  struct crew crew;

  (void)state;
  PKD_WITH_MUTEX(&other) {}
  crew_start(&crew, 1, lock_for_the_first_time, NULL);
  WAIT_FOR(count_of(&allocating) == 1);
  PKD_WITH_MUTEX(&other) {}
  count_up(&locked);
  crew_join(&crew);
  assert_verdict(0, 0);
}

/* So that the library's own lies beyond them. */
static int use_up_the_first_keys(void** state) {
  pthread_key_t key;

  (void)state;
  for (int i = 0; i < 32; i++)
    if (pthread_key_create(&key, NULL) != 0)
      return -1;
  return 0;
}

#else

static void no_allocation_keeps_the_watched_waiting(void** state) {
  (void)state;
  skip(); /* a sanitizer brings its own allocator; others have other names */
}

static int use_up_the_first_keys(void** state) {
  (void)state;
  return 0;
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(no_allocation_keeps_the_watched_waiting,
                                      watch, rest),
  };
  return cmocka_run_group_tests_name("deadlock_allocator", tests,
                                     use_up_the_first_keys, NULL);
}
