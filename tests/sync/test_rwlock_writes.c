/* SPDX-License-Identifier: MIT
 *
 * test_rwlock_writes.c - what reading costs the line that all readers share: one
 * write on the way in, one on the way out.
 *
 * The header's atomic operations are counted here, and its slow paths are this
 * file's own: they count how often they are called. */
#include "kit.h"

static unsigned writes, slow;

/* A macro is not expanded again within itself. */
#define __atomic_fetch_add(p, n, order)                                        \
  (writes++, __atomic_fetch_add(p, n, order))
#define __atomic_fetch_sub(p, n, order)                                        \
  (writes++, __atomic_fetch_sub(p, n, order))
#define __atomic_compare_exchange_n(p, old, next, weak, order, failed)         \
  (writes++, __atomic_compare_exchange_n(p, old, next, weak, order, failed))
#define __atomic_exchange_n(p, next, order)                                    \
  (writes++, __atomic_exchange_n(p, next, order))
#define __atomic_store_n(p, next, order)                                       \
  (writes++, __atomic_store_n(p, next, order))

#include <parkade/rwlock.h>

int pkd__rwlock_rdlock_slow(pkd_rwlock_t* l, int recursive,
                            const pkd_cancel_t* cancel,
                            pkd_deadline_t deadline) {
  (void)l;
  (void)recursive;
  (void)cancel;
  (void)deadline;
  slow++;
  return 0;
}

void pkd__rwlock_rdlock_must(pkd_rwlock_t* l, int recursive) {
  (void)l;
  (void)recursive;
  slow++;
}

void pkd__rwlock_rdunlock_slow(pkd_rwlock_t* l, uint32_t old) {
  (void)l;
  (void)old;
  slow++;
}

static void lock(pkd_rwlock_t* l, int way) {
  switch (way) {
  case 0:
    pkd_rwlock_rdlock(l);
    break;
  case 1:
    pkd_rwlock_rdlock_recursive(l);
    break;
  case 2:
    assert_int_equal(pkd_rwlock_rdlock_until(l, 0), 0);
    break;
  default:
    assert_int_equal(pkd_rwlock_rdlock_recursive_until(l, 0), 0);
    break;
  }
}

/* Beside no reader, one, a million; never beside a writer. */
static void reading_writes_the_word_once_in_and_once_out(void** state) {
  const uint32_t readers[] = {0, 1, 1000000};

  (void)state;
  for (size_t i = 0; i < LENGTH(readers); i++)
    for (int way = 0; way < 4; way++) {
      pkd_rwlock_t l = {.word = readers[i] * 32};

      writes = slow = 0;
      lock(&l, way);
      assert_int_equal(writes, 1);
      assert_int_equal(l.word, (readers[i] + 1) * 32);
      pkd_rwlock_rdunlock(&l);
      assert_int_equal(writes, 2);
      assert_int_equal(l.word, readers[i] * 32);
      assert_int_equal(slow, 0);
    }
}

static void asking_writes_nothing(void** state) {
  pkd_rwlock_t l = {.word = 32};

  (void)state;
  writes = 0;
  assert_int_equal(pkd_rwlock_is_locked(&l), 1);
  assert_int_equal(pkd_rwlock_is_write_locked(&l), 0);
  assert_int_equal(writes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reading_writes_the_word_once_in_and_once_out),
      cmocka_unit_test(asking_writes_nothing),
  };
  return cmocka_run_group_tests_name("rwlock writes", tests, NULL, NULL);
}
