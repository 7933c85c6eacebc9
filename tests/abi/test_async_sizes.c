/* SPDX-License-Identifier: MIT
 *
 * test_async_sizes.c - the same promises as test_sizes.c, for libparkade-uv.
 *
 * A request is part of every task of a user's program, so its size counts. */
#include "support/test.h"

#include <parkade/async.h>

#define ROW(type, bytes)                                                       \
  { #type, sizeof(type), bytes }

static const struct row {
  const char* type;
  size_t size;
  size_t promised;
} rows[] = {
    ROW(pkd_async_mutex_t, 4),    ROW(pkd_async_sem_t, 16),
    ROW(pkd_async_event_t, 8),    ROW(pkd_async_once_t, 4),
    ROW(pkd_async_barrier_t, 16), ROW(pkd_async_gate_t, 8),
    ROW(pkd_async_keyed_t, 4),    ROW(pkd_async_rwlock_t, 8),
    ROW(pkd_async_cond_t, 8),     ROW(pkd_loop_t, 16),
    ROW(pkd_req_t, 128),          ROW(pkd_many_t, 64),
    ROW(pkd_many_item_t, 168),    ROW(pkd_take_t, 32),
    ROW(pkd_req_tie_t, 96),       ROW(pkd_req_watch_t, 104),
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

/* As in libuv: a pointer to a handle is a pointer to its data. */
static void data_comes_first(void** state) {
  (void)state;
  assert_int_equal(offsetof(pkd_req_t, data), 0);
  assert_int_equal(offsetof(pkd_loop_t, data), 0);
  assert_int_equal(offsetof(pkd_work_t, data), 0);
  assert_int_equal(offsetof(pkd_many_t, data), 0);
}

#define SAME_AS_ZEROED(type, ...)                                              \
  do {                                                                         \
    static const type initialised = __VA_ARGS__;                               \
    static const type zeroed;                                                  \
    assert_memory_equal(&initialised, &zeroed, sizeof zeroed);                 \
  } while (0)

static void the_initialisers_make_zeroed_memory(void** state) {
  (void)state;
  SAME_AS_ZEROED(pkd_async_mutex_t, PKD_ASYNC_MUTEX_INIT);
  SAME_AS_ZEROED(pkd_async_rwlock_t, PKD_ASYNC_RWLOCK_INIT);
  SAME_AS_ZEROED(pkd_async_cond_t, PKD_ASYNC_COND_INIT);
  SAME_AS_ZEROED(pkd_async_sem_t, PKD_ASYNC_SEM_INIT(0, 0));
  SAME_AS_ZEROED(pkd_async_event_t, PKD_ASYNC_EVENT_INIT);
  SAME_AS_ZEROED(pkd_async_once_t, PKD_ASYNC_ONCE_INIT);
  SAME_AS_ZEROED(pkd_async_barrier_t, PKD_ASYNC_BARRIER_INIT(0));
  SAME_AS_ZEROED(pkd_async_gate_t, PKD_ASYNC_GATE_INIT);
  SAME_AS_ZEROED(pkd_async_keyed_t, PKD_ASYNC_KEYED_INIT);
}

/* As in test_sizes.c. */
static void the_inline_bits_are_where_users_have_them(void** state) {
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_async_once_t once = PKD_ASYNC_ONCE_INIT;
  pkd_req_t req = {0};

  (void)state;
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(mutex.word & 31, 1);
  assert_int_equal(req.waiter.state, 0x106);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  assert_int_equal(mutex.word, 0);
  assert_int_equal(req.waiter.state, 0);
  assert_int_equal(pkd_async_once_try(&req, &once), 1);
  assert_int_equal(once.word & 4, 0);
  assert_int_equal(pkd_async_once_done(&req, &once, 0), 0);
  assert_int_equal(once.word & 4, 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_type_has_the_promised_size),
      cmocka_unit_test(data_comes_first),
      cmocka_unit_test(the_initialisers_make_zeroed_memory),
      cmocka_unit_test(the_inline_bits_are_where_users_have_them),
  };
  return cmocka_run_group_tests_name("async_sizes", tests, NULL, NULL);
}
