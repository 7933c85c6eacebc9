/* SPDX-License-Identifier: MIT
 *
 * test_sizes.c - what a compiled user has burnt in: sizes, alignments, and
 * that zeroed memory is what the initialiser makes.
 *
 * A number that changes here changes the soname. The bytes of a lock are its
 * users' to count: they are written in the README as well. */
#include "support/test.h"

#include <parkade/barrier.h>
#include <parkade/cancel.h>
#include <parkade/cell.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/lot.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

struct three {
  uint64_t a, b, c;
};
struct odd {
  char bytes[13];
};
typedef PKD_CELL(uint32_t) word_cell_t;
typedef PKD_CELL(struct three) three_cell_t;
typedef PKD_CELL(struct odd) odd_cell_t;

#define ROW(type, bytes)                                                       \
  { #type, sizeof(type), bytes }

/* Sizes on a machine whose pointers have 64 bits, the only kind tested. */
static const struct row {
  const char* type;
  size_t size;
  size_t promised;
} rows[] = {
    ROW(pkd_mutex_t, 1),    ROW(pkd_once_t, 1),    ROW(pkd_fair_mutex_t, 1),
    ROW(pkd_remutex_t, 16), ROW(pkd_cond_t, 8),    ROW(pkd_sem_t, 4),
    ROW(pkd_latch_t, 4),    ROW(pkd_barrier_t, 8), ROW(pkd_event_t, 4),
    ROW(pkd_rwlock_t, 8),   ROW(pkd_parker_t, 4),  ROW(pkd_waiter_t, 64),
    ROW(pkd_cancel_t, 104), ROW(pkd_thread_t, 16), ROW(word_cell_t, 8),
    ROW(three_cell_t, 28),  ROW(odd_cell_t, 20),
};

static void every_type_has_the_promised_size(void** state) {
  size_t wrong = 0;

  (void)state;
  if (sizeof(void*) != 8)
    skip();
  for (size_t i = 0; i < LENGTH(rows); i++) {
    if (rows[i].size == rows[i].promised)
      continue;
    print_error("%s has %zu bytes, promised are %zu\n", rows[i].type,
                rows[i].size, rows[i].promised);
    wrong++;
  }
  assert_int_equal(wrong, 0);
}

#define SAME_AS_ZEROED(type, ...)                                              \
  do {                                                                         \
    static const type initialised = __VA_ARGS__;                               \
    static const type zeroed;                                                  \
    assert_memory_equal(&initialised, &zeroed, sizeof zeroed);                 \
  } while (0)

static void the_initialisers_make_zeroed_memory(void** state) {
  (void)state;
  SAME_AS_ZEROED(pkd_mutex_t, PKD_MUTEX_INIT);
  SAME_AS_ZEROED(pkd_fair_mutex_t, PKD_FAIR_MUTEX_INIT);
  SAME_AS_ZEROED(pkd_remutex_t, PKD_REMUTEX_INIT);
  SAME_AS_ZEROED(pkd_rwlock_t, PKD_RWLOCK_INIT);
  SAME_AS_ZEROED(pkd_cond_t, PKD_COND_INIT);
  SAME_AS_ZEROED(pkd_once_t, PKD_ONCE_INIT);
  SAME_AS_ZEROED(pkd_sem_t, PKD_SEM_INIT(0));
  SAME_AS_ZEROED(pkd_latch_t, PKD_LATCH_INIT(0));
  SAME_AS_ZEROED(pkd_barrier_t, PKD_BARRIER_INIT(0));
  SAME_AS_ZEROED(pkd_event_t, PKD_EVENT_INIT);
  SAME_AS_ZEROED(pkd_cancel_t, PKD_CANCEL_INIT);
}

static void nothing(void) {}

/* What the inline functions of the headers know of a word is compiled into users. */
static void the_inline_bits_are_where_users_have_them(void** state) {
  pkd_mutex_t m = PKD_MUTEX_INIT;
  pkd_fair_mutex_t fair = PKD_FAIR_MUTEX_INIT;
  pkd_rwlock_t rw = PKD_RWLOCK_INIT;
  pkd_once_t once = PKD_ONCE_INIT;
  pkd_sem_t sem = PKD_SEM_INIT(3);
  pkd_latch_t latch = PKD_LATCH_INIT(3);
  pkd_event_t event = PKD_EVENT_INIT;

  (void)state;
  pkd_mutex_lock(&m);
  assert_int_equal(m.word, 1);
  pkd_mutex_unlock(&m);
  assert_int_equal(m.word, 0);
  pkd_fair_mutex_lock(&fair);
  assert_int_equal(fair.word, 1);
  pkd_fair_mutex_unlock(&fair);
  assert_int_equal(fair.word, 0);
  pkd_rwlock_rdlock(&rw);
  assert_int_equal(rw.word, 32);
  pkd_rwlock_rdunlock(&rw);
  pkd_rwlock_wrlock(&rw);
  assert_int_equal(rw.word, 1);
  pkd_rwlock_wrunlock(&rw);
  pkd_rwlock_uplock(&rw);
  assert_int_equal(rw.word, 2);
  pkd_rwlock_upunlock(&rw);
  assert_int_equal(rw.word, 0);
  pkd_once_call(&once, nothing);
  assert_int_equal(once.word, 4);
  assert_int_equal(pkd_sem_acquire(&sem, 1), 0);
  assert_int_equal(sem.word, 2 * 2);
  pkd_latch_count_down(&latch, 1);
  assert_int_equal(latch.word, 2 * 2);
  pkd_event_set(&event);
  assert_int_equal(event.word & 1, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_type_has_the_promised_size),
      cmocka_unit_test(the_initialisers_make_zeroed_memory),
      cmocka_unit_test(the_inline_bits_are_where_users_have_them),
  };
  return cmocka_run_group_tests_name("sizes", tests, NULL, NULL);
}
