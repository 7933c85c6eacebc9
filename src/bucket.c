/* SPDX-License-Identifier: MIT
 *
 * bucket.c - the table of buckets, and the lock of each.
 *
 * The lock is the textbook three-valued one: an unlocker that finds 2 wakes one
 * sleeper, and who has slept takes the lock as 2, since others may sleep still.
 * Held for a few dozen instructions, hence the short spin.
 *
 *    value  means                       leaves by
 *    0      free                        lock -> 1
 *    1      held                        unlock -> 0 ; who wants it -> 2
 *    2      held, perhaps a sleeper     unlock -> 0 and wake ; taken by one who
 *                                       slept -> stays 2
 *
 * A child of fork() starts with a lot in which nobody waits: the sleepers were other
 * threads, which it does not have, and a lock held by one of them is held by nobody. The
 * waiters it inherits as memory are told that they are not queued; those of a
 * bucket that was being changed at that moment cannot be trusted to be whole. */
#include "bucket.h"

#include "check.h"
#include "hook.h"
#include "os/os.h"
#include "panic.h"
#include "spin.h"

static struct pkd__bucket buckets[PKD_BUCKETS];
static uint32_t forks; /* atomic: how many there were on the way to here */
static void (*in_child)(void); /* or NULL; set as the library is loaded */

static void check(const struct pkd__bucket* bucket);

static struct pkd__bucket* bucket_of(const void* key) {
  return &buckets[pkd__hash(key) >> (64 - PKD_BUCKET_BITS)];
}

static void lock_slow(struct pkd__bucket* bucket) {
  pkd__spin_t spin = PKD__SPIN_INIT;
  uint32_t old;

  while (pkd__spin(&spin)) {
    old = 0;
    /* (B1) */
    if (pkd__load_relaxed(&bucket->lock) == 0 && /* relaxed: a hint */
        pkd__cas_acquire(&bucket->lock, &old, 1))
      return;
  }
  /* (B1) */
  while (pkd__exchange_acquire(&bucket->lock, 2) != 0)
    pkd__os_wait(&bucket->lock, 2, PKD_FOREVER);
}

static void lock(struct pkd__bucket* bucket) {
  uint32_t old = 0;

  /* (B1) acquire, pairs with (B2): the queues as the last holder left them. */
  if (!pkd__cas_acquire(&bucket->lock, &old, 1))
    lock_slow(bucket);
}

void pkd__bucket_unlock(struct pkd__bucket* bucket) {
  check(bucket);
  /* (B2) release, pairs with (B1). Everything in the bucket is plain data that
   * only this lock orders; relaxed would hand over torn queues. */
  if (pkd__exchange_release(&bucket->lock, 0) == 2)
    pkd__os_wake(&bucket->lock);
}

/* With -Dchecks=true, whoever leaves broken queues behind goes no further. */
static void check(const struct pkd__bucket* bucket) {
#ifdef PKD_CHECKS
  const char* fault =
      pkd__queues_fault(bucket->root, (unsigned)(bucket - buckets));

  if (fault != NULL)
    pkd__panic("the lot's bucket", bucket, fault);
#else
  (void)bucket;
#endif
}

struct pkd__bucket* pkd__bucket_lock(const void* key) {
  struct pkd__bucket* bucket = bucket_of(key);

  lock(bucket);
  return bucket;
}

struct pkd__bucket* pkd__bucket_lock_nth(unsigned n) {
  lock(&buckets[n]);
  return &buckets[n];
}

void pkd__bucket_lock_two(const void* a, const void* b,
                          struct pkd__bucket** bucket_a,
                          struct pkd__bucket** bucket_b) {
  *bucket_a = bucket_of(a);
  *bucket_b = bucket_of(b);
  if (*bucket_a <= *bucket_b)
    lock(*bucket_a);
  if (*bucket_a != *bucket_b)
    lock(*bucket_b);
  if (*bucket_a > *bucket_b)
    lock(*bucket_a);
}

void pkd__bucket_unlock_two(struct pkd__bucket* a, struct pkd__bucket* b) {
  pkd__bucket_unlock(a);
  if (a != b)
    pkd__bucket_unlock(b);
}

struct pkd__bucket* pkd__bucket_lock_of(const pkd_waiter_t* waiter) {
  for (;;) {
    const void* key = pkd__key_of(waiter);
    struct pkd__bucket* bucket = pkd__bucket_lock(key);

    if (pkd__key_of(waiter) == key)
      return bucket;
    pkd__bucket_unlock(bucket); /* requeued meanwhile */
  }
}

uint32_t pkd__forks(void) {
  /* relaxed: set before the child has threads */
  return pkd__load_relaxed(&forks);
}

bool pkd__forked(void) {
  return pkd__forks() != 0;
}

/* What a locked bucket held is in no order: it is not touched, and says still that
 * it stands there. */
static void start_empty(void) {
  const struct pkd__hooks* hooks = pkd__hooked();

  for (unsigned i = 0; i < PKD_BUCKETS; i++) {
    if (buckets[i].lock != 0 || buckets[i].root != NULL) {
      if (buckets[i].lock == 0)
        pkd__queue_abandon(buckets[i].root);
      else
        buckets[i].torn = true;
      buckets[i].root = NULL;
      pkd__store_relaxed(&buckets[i].lock, 0); /* relaxed: the only thread */
    }
  }
  pkd__store_relaxed(&forks, pkd__forks() + 1); /* relaxed: the only thread */
  if (hooks != NULL)
    hooks->forked();
  if (in_child != NULL)
    in_child();
}

void pkd__note_again_at_fork(void (*again)(void)) {
  in_child = again;
}

/* Before the constructors of a program that is linked with the static library: what
 * those ask to be called for in a child comes after, and may use any lock. */
__attribute__((constructor(101))) static void watch_forks(void) {
  pkd__os_at_fork(start_empty);
}
