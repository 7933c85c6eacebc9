/* SPDX-License-Identifier: MIT
 *
 * test_mutex.c - what each call of pkd_mutex_t promises, one promise at a time.
 *
 * Where a promise is about who is woken, continuations stand in the mutex's
 * queue in place of threads: they stay where they are put, so that the byte and
 * the queue can be compared with the picture in src/word/mutex.h after each
 * call. Storms and lifetimes are in test_mutex_storm.c. */
#include "kit.h"

#include <parkade/mutex.h>

#include "mutex_tokens.h"
#include "word/mutex.h"

enum { L = PKD__MUTEX_LOCKED, P = PKD__MUTEX_PARKED, W = PKD__MUTEX_WAKING };

static pkd_mutex_t m;

static int start(void** state) {
  m.word = 0;
  return with_a_deadline(state);
}

static int finish_free(void** state) {
  (void)state;
  return m.word == 0 && waiting_at(&m) == 0 ? 0 : -1;
}

/* --- one thread ------------------------------------------------------------ */

static void zeroed_memory_is_a_free_mutex_of_one_byte(void** state) {
  pkd_mutex_t init = PKD_MUTEX_INIT;

  (void)state;
  assert_int_equal(sizeof(pkd_mutex_t), 1);
  assert_int_equal(init.word, 0);
  assert_false(pkd_mutex_is_locked(&init));
}

static void lock_and_unlock_leave_the_byte_zero(void** state) {
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    pkd_mutex_lock(&m);
    assert_true(pkd_mutex_is_locked(&m));
    assert_int_equal(m.word, L);
    pkd_mutex_unlock(&m);
    assert_false(pkd_mutex_is_locked(&m));
    assert_int_equal(m.word, 0);
  }
}

static void trylock_takes_a_free_mutex_only(void** state) {
  (void)state;
  assert_int_equal(pkd_mutex_trylock(&m), 0);
  assert_int_equal(pkd_mutex_trylock(&m), -EBUSY);
  pkd_mutex_unlock(&m);
  assert_int_equal(pkd_mutex_trylock(&m), 0);
  pkd_mutex_unlock(&m);
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

static void a_deadline_does_not_matter_to_a_free_mutex(void** state) {
  const pkd_deadline_t deadlines[] = {0, 1, pkd_now(), UINT64_MAX - 1,
                                      PKD_FOREVER};

  (void)state;
  for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
    assert_int_equal(pkd_mutex_lock_until(&m, deadlines[i]), 0);
    pkd_mutex_unlock(&m);
    assert_int_equal(pkd_mutex_lock_for(&m, deadlines[i]), 0);
    pkd_mutex_unlock(&m);
  }
}

static void a_deadline_that_is_over_is_a_trylock(void** state) {
  const pkd_deadline_t deadlines[] = {0, 1, pkd_now() - SECOND, pkd_now()};

  (void)state;
  pkd_mutex_lock(&m);
  for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
    assert_int_equal(pkd_mutex_lock_until(&m, deadlines[i]), -ETIMEDOUT);
    assert_int_equal(m.word, L); /* nothing changed */
  }
  assert_int_equal(pkd_mutex_lock_for(&m, 0), -ETIMEDOUT);
  assert_int_equal(m.word, L);
  pkd_mutex_unlock(&m);
}

static uint64_t cpu_time(void) {
  struct timespec used;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return (uint64_t)used.tv_sec * SECOND + (uint64_t)used.tv_nsec;
}

static void a_wait_that_is_late_was_not_early_and_burnt_nothing(void** state) {
  pkd_deadline_t deadline = pkd_after(50 * MS);
  uint64_t used = cpu_time();

  (void)state;
  pkd_mutex_lock(&m);
  assert_int_equal(pkd_mutex_lock_until(&m, deadline), -ETIMEDOUT);
  assert_true(pkd_now() >= deadline);
  assert_true(cpu_time() - used < 20 * MS);
  assert_int_equal(m.word, L);
  pkd_mutex_unlock(&m);
}

/* --- scopes ---------------------------------------------------------------- */

static int leave_by_return(int what) {
  PKD_WITH_MUTEX(&m) {
    return what + pkd_mutex_is_locked(&m);
  }
  return 0;
}

static int leave_by_goto(void) {
  PKD_WITH_MUTEX(&m) {
    goto out;
  }
  return 0;
out:
  return 1;
}

static void a_scope_unlocks_however_it_is_left(void** state) {
  int turns = 0;

  (void)state;
  PKD_WITH_MUTEX(&m) {
    turns += pkd_mutex_is_locked(&m);
  }
  assert_int_equal(turns, 1);
  assert_int_equal(m.word, 0);
  PKD_WITH_MUTEX(&m) {
    if (turns == 1)
      break;
    turns = 100;
  }
  assert_int_equal(m.word, 0);
  PKD_WITH_MUTEX(&m) {
    turns++;
    if (turns == 2)
      continue;
    turns = 100;
  }
  assert_int_equal(turns, 2);
  assert_int_equal(m.word, 0);
  assert_int_equal(leave_by_return(4), 5);
  assert_int_equal(m.word, 0);
  assert_int_equal(leave_by_goto(), 1);
  assert_int_equal(m.word, 0);
}

static void scopes_nest_and_their_break_stays_inside_a_loop(void** state) {
  pkd_mutex_t inner = PKD_MUTEX_INIT;
  int both = 0;

  (void)state;
  for (int i = 0; i < 3; i++) {
    PKD_WITH_MUTEX(&m) {
      PKD_WITH_MUTEX(&inner) {
        both += pkd_mutex_is_locked(&m) && pkd_mutex_is_locked(&inner);
        break;
      }
      assert_false(pkd_mutex_is_locked(&inner));
      assert_true(pkd_mutex_is_locked(&m));
    }
  }
  assert_int_equal(both, 3);
}

/* --- the byte and the queue, with continuations in it ---------------------- */

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

/* --- with threads ---------------------------------------------------------- */

struct turns {
  unsigned order[8]; /* who, in turn; under m */
  unsigned taken;    /* atomic */
  unsigned go;       /* atomic: may unlock */
  unlock_fn unlock;
};

static void take_a_turn(void* arg, unsigned number) {
  struct turns* turns = arg;

  pkd_mutex_lock(&m);
  turns->order[turns->taken] = number;
  count_up(&turns->taken);
  WAIT_FOR(count_of(&turns->go) != 0);
  turns->unlock(&m);
}

static void line_up(struct crew* crew, unsigned size, struct turns* turns) {
  crew_start(crew, 0, take_a_turn, turns);
  for (unsigned i = 0; i < size; i++) {
    crew_add(crew);
    WAIT_FOR(waiting_at(&m) == i + 1);
  }
}

static void unlock_fair_lets_nobody_come_between(void** state) {
  struct turns turns = {.unlock = pkd_mutex_unlock_fair};
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&m);
  line_up(&crew, 8, &turns);
  pkd_mutex_unlock_fair(&m);
  assert_int_equal(pkd_mutex_trylock(&m), -EBUSY); /* it has an owner already */
  count_up(&turns.go);
  while (pkd_mutex_trylock(&m) != 0) {
  }
  assert_int_equal(turns.taken, 8); /* all of them first */
  for (unsigned i = 0; i < 8; i++)
    assert_int_equal(turns.order[i], i);
  pkd_mutex_unlock(&m);
  crew_join(&crew);
}

static void unlock_wakes_one_and_leaves_the_others_asleep(void** state) {
  struct turns turns = {.unlock = pkd_mutex_unlock};
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&m);
  line_up(&crew, 5, &turns);
  pkd_mutex_unlock(&m);
  WAIT_FOR(count_of(&turns.taken) == 1);
  assert_int_equal(turns.order[0], 0);
  assert_int_equal(waiting_at(&m), 4);
  count_up(&turns.go);
  crew_join(&crew);
  assert_int_equal(turns.taken, 5);
}

static void bump_gives_the_waiter_its_turn(void** state) {
  struct turns turns = {.unlock = pkd_mutex_unlock, .go = 1};
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&m);
  line_up(&crew, 1, &turns);
  pkd_mutex_bump(&m);
  assert_int_equal(turns.taken, 1);
  assert_true(pkd_mutex_is_locked(&m));
  pkd_mutex_unlock(&m);
  crew_join(&crew);
}

static void a_waiter_past_its_patience_is_handed_the_lock(void** state) {
  struct turns turns = {.unlock = pkd_mutex_unlock};
  pkd_deadline_t patience;
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&m);
  line_up(&crew, 1, &turns);
  patience = pkd_after(MS); /* twice what it has */
  while (pkd_now() < patience) {
  }
  pkd_mutex_unlock(&m);
  assert_int_equal(pkd_mutex_trylock(&m), -EBUSY);
  WAIT_FOR(count_of(&turns.taken) == 1);
  count_up(&turns.go);
  crew_join(&crew);
}

/* A hog takes the lock back at once, again and again. Each time the thread it
 * woke loses, that one waits in front of the line; when its patience ends, one
 * unlock gives it the lock. Counted in looks at the queue, not in time. */
static void who_was_woken_and_lost_waits_in_front(void** state) {
  struct turns turns = {.unlock = pkd_mutex_unlock, .go = 1};
  unsigned lost = 0;
  struct crew crew;

  (void)state;
  for (unsigned round = 0; round < 200 || lost == 0; round++) {
    turns.taken = 0;
    pkd_mutex_lock(&m);
    line_up(&crew, 1, &turns);
    memset(conts, 0, sizeof conts);
    conts[0].waiter.wake = note_wake;
    pkd_lot_enqueue(&m, &conts[0].waiter, NULL, NULL);
    pkd_mutex_unlock(&m);
    if (pkd_mutex_trylock(&m) == 0) {
      WAIT_FOR(waiting_at(&m) == 2 || count_of(&turns.taken) == 1);
      if (count_of(&turns.taken) == 0) {
        lost++;
        pkd_mutex_unlock_fair(&m); /* to the head of the queue */
      } else {
        pkd_mutex_unlock(&m);
      }
    }
    WAIT_FOR(count_of(&turns.taken) == 1);
    crew_join(&crew);
    pkd_lot_remove(&conts[0].waiter, NULL, NULL);
    WAIT_FOR(!pkd_mutex_is_locked(&m));
    m.word = 0; /* bits that were about the continuation */
  }
  assert_true(lost > 0);
}

static void lock_with(void* arg, unsigned number) {
  int* results = arg;
  uint64_t spans[] = {UINT64_MAX, UINT64_MAX - 1, 1000 * SECOND};

  if (number < 3)
    results[number] = pkd_mutex_lock_for(&m, spans[number]);
  else
    results[number] = pkd_mutex_lock_until(&m, UINT64_MAX - (number - 3));
  if (results[number] == 0)
    pkd_mutex_unlock(&m);
}

static void spans_and_deadlines_beyond_the_clock_never_end(void** state) {
  int results[6] = {1, 1, 1, 1, 1, 1};
  struct crew crew;

  (void)state;
  pkd_mutex_lock(&m);
  crew_start(&crew, 6, lock_with, results);
  WAIT_FOR(waiting_at(&m) == 6);
  pause_us(2000);
  assert_int_equal(waiting_at(&m), 6);
  pkd_mutex_unlock(&m);
  crew_join(&crew);
  for (unsigned i = 0; i < 6; i++)
    assert_int_equal(results[i], 0);
}

/* --- misuse ---------------------------------------------------------------- */

static void unlock_free(void) {
  pkd_mutex_unlock(&m);
}

static void unlock_fair_free(void) {
  pkd_mutex_unlock_fair(&m);
}

static void bump_free(void) {
  pkd_mutex_bump(&m);
}

static void misuse_stops_the_program_with_one_clear_line(void** state) {
  static const struct {
    void (*misuse)(void);
    const char* call;
    const char* advice;
  } rows[] = {
      {unlock_free, "parkade: pkd_mutex_unlock: ", "unlock only what"},
      {unlock_fair_free, "parkade: pkd_mutex_unlock_fair: ", "unlock only"},
      {bump_free, "parkade: pkd_mutex_bump: ", "bump only what you hold"},
  };
  char name[32];

  (void)state;
  snprintf(name, sizeof name, "%p", (void*)&m);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char line[512];

    assert_int_equal(last_words(rows[i].misuse, line, sizeof line), SIGABRT);
    assert_non_null(strstr(line, rows[i].call));
    assert_non_null(strstr(line, name));
    assert_non_null(strstr(line, "is not locked"));
    assert_non_null(strstr(line, rows[i].advice));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish_free)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(zeroed_memory_is_a_free_mutex_of_one_byte),
      TEST(lock_and_unlock_leave_the_byte_zero),
      TEST(trylock_takes_a_free_mutex_only),
      TEST(trylock_takes_a_free_mutex_whatever_else_the_byte_says),
      TEST(a_deadline_does_not_matter_to_a_free_mutex),
      TEST(a_deadline_that_is_over_is_a_trylock),
      TEST(a_wait_that_is_late_was_not_early_and_burnt_nothing),
      TEST(a_scope_unlocks_however_it_is_left),
      TEST(scopes_nest_and_their_break_stays_inside_a_loop),
      TEST(each_unlock_leaves_the_byte_the_picture_says),
      TEST(a_late_waiter_clears_parked_only_if_it_was_the_last),
      TEST(bump_without_a_queue_keeps_the_lock),
      TEST(unlock_fair_lets_nobody_come_between),
      TEST(unlock_wakes_one_and_leaves_the_others_asleep),
      TEST(bump_gives_the_waiter_its_turn),
      TEST(a_waiter_past_its_patience_is_handed_the_lock),
      TEST(who_was_woken_and_lost_waits_in_front),
      TEST(spans_and_deadlines_beyond_the_clock_never_end),
      TEST(misuse_stops_the_program_with_one_clear_line),
  };
  return cmocka_run_group_tests_name("mutex", tests, NULL, NULL);
}
