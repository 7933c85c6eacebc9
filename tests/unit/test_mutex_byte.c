/* SPDX-License-Identifier: MIT
 *
 * test_mutex_byte.c - what each call does to the byte of a mutex and to its
 * queue, row by row of the picture in src/word/mutex.h.
 *
 * Continuations stand in the queue in place of threads: they stay where they
 * are put, so nothing is left to chance. */

/* It writes the byte itself: ThreadSanitizer must not be told who holds it. */
#define PKD_TSAN_ANNOTATE 0

#include "support/test.h"

#include <parkade/lot.h>
#include <parkade/mutex.h>

#include "../../sync/mutex_tokens.h"
#include "queue.h"
#include "word/mutex.h"

#define SECOND UINT64_C(1000000000)

enum { L = PKD__MUTEX_LOCKED, P = PKD__MUTEX_PARKED, W = PKD__MUTEX_WAKING };

static pkd_mutex_t m;

struct cont {
  pkd_waiter_t waiter; /* first: wake() gets its address */
  unsigned woken;
  uint64_t token;
};

static void note_wake(pkd_waiter_t* waiter) {
  struct cont* cont = (struct cont*)waiter;

  cont->woken++;
  cont->token = waiter->token;
}

static struct cont conts[3];

static void stand_in_queue(unsigned count, uint32_t due) {
  memset(conts, 0, sizeof conts);
  for (unsigned i = 0; i < count; i++) {
    conts[i].waiter.wake = note_wake;
    conts[i].waiter.due = due;
    assert_int_equal(pkd_lot_enqueue(&m, &conts[i].waiter, NULL, NULL), 0);
  }
}

static void leave_the_queue(unsigned woken) {
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(conts[i].woken, i < woken);
    pkd_lot_remove(&conts[i].waiter, NULL, NULL);
  }
  m.word = 0;
}

typedef void (*unlock_fn)(pkd_mutex_t*);

struct unlock_row {
  unlock_fn unlock;
  unsigned queued;
  bool overdue;
  uint8_t before, after;
  unsigned woken;
  enum pkd__mutex_token token;
};

static const struct unlock_row unlock_rows[] = {
    {pkd_mutex_unlock, 0, false, L, 0, 0, 0},
    {pkd_mutex_unlock, 0, false, W | L, W, 0, 0},
    {pkd_mutex_unlock, 0, false, P | L, 0, 0, 0}, /* P set too long */
    {pkd_mutex_unlock, 1, false, P | L, W, 1, PKD__TOKEN_WAKER},
    {pkd_mutex_unlock, 2, false, P | L, W | P, 1, PKD__TOKEN_WAKER},
    {pkd_mutex_unlock, 1, true, P | L, L, 1, PKD__TOKEN_HANDOFF},
    {pkd_mutex_unlock, 2, true, P | L, P | L, 1, PKD__TOKEN_HANDOFF},
    /* one is on its way: nobody else is woken, however late */
    {pkd_mutex_unlock, 2, false, W | P | L, W | P, 0, 0},
    {pkd_mutex_unlock, 2, true, W | P | L, W | P, 0, 0},
    {pkd_mutex_unlock_fair, 0, false, L, 0, 0, 0},
    {pkd_mutex_unlock_fair, 0, false, P | L, 0, 0, 0},
    {pkd_mutex_unlock_fair, 0, false, W | P | L, W, 0, 0},
    {pkd_mutex_unlock_fair, 1, false, P | L, L, 1, PKD__TOKEN_HANDOFF},
    {pkd_mutex_unlock_fair, 2, false, P | L, P | L, 1, PKD__TOKEN_HANDOFF},
    {pkd_mutex_unlock_fair, 1, false, W | P | L, W | L, 1, PKD__TOKEN_HANDOFF},
    {pkd_mutex_unlock_fair, 2, false, W | P | L, W | P | L, 1,
     PKD__TOKEN_HANDOFF},
};

static void each_unlock_leaves_the_byte_the_picture_says(void** state) {
  (void)state;
  for (size_t i = 0; i < sizeof unlock_rows / sizeof unlock_rows[0]; i++) {
    const struct unlock_row* row = &unlock_rows[i];

    stand_in_queue(row->queued,
                   pkd_lot_due(row->overdue ? pkd_now() : pkd_after(SECOND)));
    m.word = row->before;
    row->unlock(&m);
    if (m.word != row->after)
      print_error("row %zu\n", i);
    assert_int_equal(m.word, row->after);
    if (row->woken != 0)
      assert_int_equal(conts[0].token, row->token);
    leave_the_queue(row->woken);
  }
}

/* Every 256th unlock of a thread looks for itself although one is on its way: it
 * hands over to a waiter past its due, or hides the queue and wakes nobody. */
static void now_and_then_an_unlock_does_not_rely_on_the_waker(void** state) {
  unsigned hidden = 0, handed = 0;

  (void)state;
  for (unsigned i = 0; i < 1024; i++) {
    stand_in_queue(2, pkd_lot_due(i < 512 ? pkd_after(SECOND) : pkd_now()));
    m.word = W | P | L;
    pkd_mutex_unlock(&m);
    if (m.word == (W | P)) {
      leave_the_queue(0);
      continue;
    }
    hidden += i < 512 && m.word == 0;
    handed += i >= 512 && m.word == (W | P | L) &&
              conts[0].token == PKD__TOKEN_HANDOFF;
    leave_the_queue(i < 512 ? 0 : 1);
  }
  assert_int_equal(hidden, 2);
  assert_int_equal(handed, 2);
}

static void a_late_waiter_clears_parked_only_if_it_was_the_last(void** state) {
  (void)state;
  stand_in_queue(1, 0);
  m.word = L | P;
  assert_int_equal(pkd_mutex_lock_for(&m, 100000), -ETIMEDOUT);
  assert_int_equal(m.word, L | P);
  leave_the_queue(0);
  m.word = L | P | W;
  assert_int_equal(pkd_mutex_lock_for(&m, 100000), -ETIMEDOUT);
  assert_int_equal(m.word, L | W);
  m.word = 0;
}

static uint64_t bucket_of(const pkd_mutex_t* mutex) {
  return pkd__hash(mutex) >> (64 - PKD_BUCKET_BITS);
}

/* Each waiter has a clock of its own: a hand-over of one mutex puts off none of
 * another, though they share a bucket. */
static void a_hand_over_puts_off_none_of_another_mutex(void** state) {
  static pkd_mutex_t many[1 << 20];
  pkd_mutex_t* both[] = {&many[0], &many[1]};

  (void)state;
  while (bucket_of(both[1]) != bucket_of(both[0]))
    assert_true(++both[1] < many + LENGTH(many));
  memset(conts, 0, sizeof conts);
  for (int i = 0; i < 2; i++) {
    conts[i].waiter.wake = note_wake;
    conts[i].waiter.due = pkd_lot_due(pkd_now());
    assert_int_equal(pkd_lot_enqueue(both[i], &conts[i].waiter, NULL, NULL), 0);
    both[i]->word = P | L;
  }
  for (int i = 0; i < 2; i++) {
    pkd_mutex_unlock(both[i]);
    assert_int_equal(both[i]->word, L);
    assert_int_equal(conts[i].woken, 1);
    assert_int_equal(conts[i].token, PKD__TOKEN_HANDOFF);
  }
}

/* parking_lot's rwlock failed here: free, but with a bit left over. */
static void trylock_takes_a_free_mutex_whatever_else_the_byte_says(void** s) {
  (void)s;
  for (unsigned bits = 0; bits < 8; bits += 2) {
    m.word = (uint8_t)bits;
    assert_int_equal(pkd_mutex_trylock(&m), 0);
    assert_int_equal(m.word, bits | L);
    assert_int_equal(pkd_mutex_trylock(&m), -EBUSY);
    assert_int_equal(m.word, bits | L);
  }
  m.word = 0;
}

static void bump_without_a_queue_keeps_the_lock(void** state) {
  (void)state;
  pkd_mutex_lock(&m);
  pkd_mutex_bump(&m);
  assert_int_equal(m.word, L);
  m.word = L | P; /* a vain look */
  pkd_mutex_bump(&m);
  assert_int_equal(m.word, L);
  pkd_mutex_unlock(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_hand_over_puts_off_none_of_another_mutex),
      cmocka_unit_test(each_unlock_leaves_the_byte_the_picture_says),
      cmocka_unit_test(now_and_then_an_unlock_does_not_rely_on_the_waker),
      cmocka_unit_test(a_late_waiter_clears_parked_only_if_it_was_the_last),
      cmocka_unit_test(trylock_takes_a_free_mutex_whatever_else_the_byte_says),
      cmocka_unit_test(bump_without_a_queue_keeps_the_lock),
  };
  return cmocka_run_group_tests_name("mutex byte", tests, NULL, NULL);
}
