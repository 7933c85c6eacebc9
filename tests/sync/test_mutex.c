/* SPDX-License-Identifier: MIT
 *
 * test_mutex.c - what each call of pkd_mutex_t promises, one promise at a time.
 *
 * The byte itself is looked at in unit/test_mutex_byte.c; storms and lifetimes
 * are in test_mutex_storm.c. */
#include "kit.h"

#include <parkade/mutex.h>

enum { L = 1 }; /* the byte of a mutex that is held and not waited for */

static pkd_mutex_t m;

static int start(void** state) {
  m.word = 0;
  (void)state;
  return 0;
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

/* --- with threads ---------------------------------------------------------- */

typedef void (*unlock_fn)(pkd_mutex_t*);

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

static void ignore(pkd_waiter_t* waiter) {
  (void)waiter;
}

/* A hog takes the lock back at once, again and again. Each time the thread it
 * woke loses, that one waits in front of the line; when its patience ends, one
 * unlock gives it the lock. Counted in looks at the queue, not in time. */
static void who_was_woken_and_lost_waits_in_front(void** state) {
  struct turns turns = {.unlock = pkd_mutex_unlock, .go = 1};
  pkd_waiter_t behind = {.wake = ignore};
  unsigned lost = 0;
  struct crew crew;

  (void)state;
  for (unsigned round = 0; round < 200 || lost == 0; round++) {
    turns.taken = 0;
    pkd_mutex_lock(&m);
    line_up(&crew, 1, &turns);
    pkd_lot_enqueue(&m, &behind, NULL, NULL);
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
    pkd_lot_remove(&behind, NULL, NULL);
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
  SKIP_IF_TSAN_SPEAKS_FIRST();
  snprintf(name, sizeof name, "%p", (void*)&m);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char line[512];

    assert_int_equal(last_words(rows[i].misuse, line, sizeof line), SIGABRT);
    assert_non_null(strstr(line, rows[i].call));
    assert_non_null(strstr(line, name));
    assert_non_null(strstr(line, "is not locked"));
    assert_non_null(strstr(line, rows[i].advice));
    if (!WRAPPED)
      assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish_free)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(zeroed_memory_is_a_free_mutex_of_one_byte),
      TEST(lock_and_unlock_leave_the_byte_zero),
      TEST(trylock_takes_a_free_mutex_only),
      TEST(a_deadline_does_not_matter_to_a_free_mutex),
      TEST(a_deadline_that_is_over_is_a_trylock),
      TEST(a_wait_that_is_late_was_not_early_and_burnt_nothing),
      TEST(a_scope_unlocks_however_it_is_left),
      TEST(scopes_nest_and_their_break_stays_inside_a_loop),
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
