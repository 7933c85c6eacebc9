/* SPDX-License-Identifier: MIT
 *
 * test_rwlock.c - the reader-writer lock by its public interface: who excludes
 * whom, what misuse comes to, and odd moments. Whose turn it is, and upgrades:
 * test_rwlock_turns.c. */
#include "hands.h"

#include <parkade/cancel.h>

#include <errno.h>

#define READERS_MAX (UINT32_C(1) << 26)

/* --- who excludes whom ----------------------------------------------------- */

static void who_may_be_in_together(void** state) {
  static const bool together[WAYS][WAYS] = {
      /*           read   again  write  up */
      [READ] = {true, true, false, true},
      [AGAIN] = {true, true, false, true},
      [WRITE] = {false, false, false, false},
      [UP] = {true, true, false, false},
  };

  (void)state;
  for (int a = 0; a < WAYS; a++) {
    for (int b = 0; b < WAYS; b++) {
      pkd_rwlock_t l = PKD_RWLOCK_INIT;
      int rc;

      assert_int_equal(try_take(&l, (enum way)a), 0);
      assert_int_equal(pkd_rwlock_is_locked(&l), 1);
      assert_int_equal(pkd_rwlock_is_write_locked(&l), a == WRITE);
      rc = try_take(&l, (enum way)b);
      assert_int_equal(rc, together[a][b] ? 0 : -EBUSY);
      assert_int_equal(take(&l, WRITE, 0), -ETIMEDOUT);
      if (rc == 0)
        give(&l, (enum way)b);
      give(&l, (enum way)a);
      assert_int_equal(l.word, 0);
      assert_int_equal(pkd_rwlock_is_locked(&l), 0);
    }
  }
}

/* Somebody sleeps, pends, was woken: whoever tries first has it all the same. */
static void trywrlock_takes_a_free_lock_whatever_else_the_word_says(void** s) {
  (void)s;
  for (uint32_t bits = 0; bits < 32; bits += 4) {
    pkd_rwlock_t l = PKD_RWLOCK_INIT;

    l.word = bits;
    assert_int_equal(pkd_rwlock_trywrlock(&l), 0);
    assert_int_equal(pkd_rwlock_is_write_locked(&l), 1);
    assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
    l.word = PKD__RWLOCK_HELD; /* nobody sleeps, so that it can be given back */
    pkd_rwlock_wrunlock(&l);
  }
}

static void zeroed_memory_is_a_free_lock(void** state) {
  pkd_rwlock_t l;

  (void)state;
  memset(&l, 0, sizeof l);
  assert_int_equal(l.policy, PKD_RWLOCK_PHASES);
  pkd_rwlock_wrlock(&l);
  pkd_rwlock_wrunlock(&l);
  assert_int_equal(pkd_rwlock_init(&l, PKD_RWLOCK_PREFER_WRITERS), 0);
  assert_int_equal(l.policy, PKD_RWLOCK_PREFER_WRITERS);
  assert_int_equal(pkd_rwlock_init(&l, (pkd_rwlock_policy_t)3), -EINVAL);
  assert_int_equal(l.policy, PKD_RWLOCK_PREFER_WRITERS);
}

static void a_deadline_past_now_or_to_come_ends_any_wait(void** state) {
  (void)state;
  for (int way = 0; way < WAYS; way++) {
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    pkd_deadline_t soon = pkd_after(2 * MS);

    assert_int_equal(take(&l, (enum way)way, 0), 0);
    give(&l, (enum way)way);
    pkd_rwlock_wrlock(&l);
    assert_int_equal(take(&l, (enum way)way, 0), -ETIMEDOUT);
    assert_int_equal(take(&l, (enum way)way, pkd_now()), -ETIMEDOUT);
    assert_int_equal(take(&l, (enum way)way, soon), -ETIMEDOUT);
    assert_true(pkd_now() >= soon);
    assert_int_equal(l.word, 1);
    pkd_rwlock_wrunlock(&l);
  }
}

static void a_token_ends_any_wait(void** state) {
  pkd_cancel_t fired = PKD_CANCEL_INIT;
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_cancel_fire(&fired);
  /* what is free is taken */
  assert_int_equal(pkd_rwlock_wrlock_cancellable(&l, &fired, PKD_FOREVER), 0);
  assert_int_equal(pkd_rwlock_wrlock_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  assert_int_equal(pkd_rwlock_rdlock_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  assert_int_equal(
      pkd_rwlock_rdlock_recursive_cancellable(&l, &fired, PKD_FOREVER),
      -ECANCELED);
  assert_int_equal(pkd_rwlock_uplock_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  pkd_rwlock_downgrade_to_up(&l);
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_upgrade_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  pkd_rwlock_upunlock(&l);
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_rdupgrade_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  assert_int_equal(l.word, 64);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(l.word, 0);
}

/* --- limits and misuse ----------------------------------------------------- */

static void more_readers_than_can_be_counted_are_refused(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  l.word = (READERS_MAX - 1) * 32;
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EAGAIN);
  assert_int_equal(pkd_rwlock_rdlock_for(&l, MS), -EAGAIN);
  assert_int_equal(pkd_rwlock_rdlock_recursive_for(&l, MS), -EAGAIN);
  assert_int_equal(l.word, READERS_MAX * 32);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
}

/* Who is upgradable is not counted among the readers. */
static void as_many_readers_as_can_be_leave_an_upgradable_its_place(void** s) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)s;
  l.word = READERS_MAX * 32;
  pkd_rwlock_uplock(&l);
  assert_int_equal(l.word, READERS_MAX * 32 + PKD__RWLOCK_UP);
  assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_uplock_for(&l, MS), -ETIMEDOUT);
  pkd_rwlock_upunlock(&l);
  assert_int_equal(pkd_rwlock_tryuplock(&l), 0);
  assert_int_equal(pkd_rwlock_upgrade_for(&l, MS), -ETIMEDOUT);
  pkd_rwlock_upunlock_fair(&l);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_uplock(&l);
  pkd_rwlock_updowngrade(&l);
  assert_int_equal(l.word, READERS_MAX * 32);
}

static int which;

static void misuse(void) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  switch (which) {
  case 0:
    pkd_rwlock_rdunlock(&l);
    break;
  case 1:
    pkd_rwlock_rdunlock_fair(&l);
    break;
  case 2:
    pkd_rwlock_wrunlock(&l);
    break;
  case 3:
    pkd_rwlock_wrunlock_fair(&l);
    break;
  case 4:
    pkd_rwlock_upunlock(&l);
    break;
  case 5:
    pkd_rwlock_upunlock_fair(&l);
    break;
  case 6:
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_wrunlock(&l);
    break;
  case 7:
    pkd_rwlock_wrlock(&l);
    pkd_rwlock_rdunlock(&l);
    break;
  case 8:
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_upgrade(&l);
    break;
  case 9:
    pkd_rwlock_uplock(&l);
    pkd_rwlock_downgrade(&l);
    break;
  case 10:
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_updowngrade(&l);
    break;
  case 11:
    pkd_rwlock_wrbump(&l);
    break;
  case 12:
    l.word = READERS_MAX * 32;
    pkd_rwlock_rdlock(&l);
    break;
  case 13:
    pkd_rwlock_rdupgrade(&l);
    break;
  case 14:
    l.word = READERS_MAX * 32 + PKD__RWLOCK_UP;
    pkd_rwlock_updowngrade(&l);
    break;
  default:
    break;
  }
}

static void misuse_stops_the_program_with_one_line(void** state) {
  static const char* const calls[] = {
      "rdunlock", "rdunlock_fair", "wrunlock",    "wrunlock_fair",
      "upunlock", "upunlock_fair", "wrunlock",    "rdunlock",
      "upgrade",  "downgrade",     "updowngrade", "wrbump",
      "rdlock",   "rdupgrade",     "updowngrade"};

  (void)state;
  SKIP_IF_TSAN_SPEAKS_FIRST();
  for (which = 0; which < (int)LENGTH(calls); which++) {
    char begin[64];
    char line[512];

    snprintf(begin, sizeof begin, "parkade: pkd_rwlock_%s: ", calls[which]);
    assert_int_equal(last_words(misuse, line, sizeof line), SIGABRT);
    assert_non_null(strstr(line, begin));
    if (!WRAPPED)
      assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
  }
}

/* --- odd moments ----------------------------------------------------------- */

static void a_child_of_fork_has_the_lock_and_nobody_waiting(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  struct hand reader = {0};
  pid_t child;

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  reach_and_wait(&reader, &l, READ);
  child = fork();
  if (child == 0) {
    /* a writer pends who is not here: it must not keep readers out */
    if (pkd_rwlock_rdlock_for(&l, 5000 * MS) != 0)
      _exit(1);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
    if (pkd_rwlock_wrlock_for(&l, 5000 * MS) != 0)
      _exit(2);
    pkd_rwlock_wrunlock(&l);
    if (pkd_rwlock_rdlock_for(&l, 5000 * MS) != 0)
      _exit(3);
    pkd_rwlock_rdunlock(&l);
    _exit(l.word == 0 ? 0 : 4);
  }
  assert_int_equal(child_ends(child), 0);
  pkd_rwlock_rdunlock(&l);
  let_go(&writer);
  let_go(&reader);
  drop(&writer);
  drop(&reader);
  assert_int_equal(l.word, 0);
}

/* A try in the child is not refused for the sake of who is not here. */
static void a_child_of_fork_can_try_at_once(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  pid_t child;

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  child = fork();
  if (child == 0) {
    if (pkd_rwlock_tryrdlock(&l) != 0)
      _exit(1);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
    if (pkd_rwlock_tryuplock(&l) != 0)
      _exit(2);
    pkd_rwlock_upunlock(&l);
    _exit(pkd_rwlock_trywrlock(&l) == 0 ? 0 : 3);
  }
  assert_int_equal(child_ends(child), 0);
  pkd_rwlock_rdunlock(&l);
  let_go(&writer);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

static pkd_rwlock_t late_lock = PKD_RWLOCK_INIT;
static pthread_key_t late_key;
static int late_writes;

static void write_late(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&late_lock);
  late_writes++;
  pkd_rwlock_wrunlock(&late_lock);
}

static void leave_a_destructor(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pthread_setspecific(late_key, &late_lock);
}

static void destructors_of_a_thread_may_write(void** state) {
  (void)state;
  assert_int_equal(pthread_key_create(&late_key, write_late), 0);
  team_run(16, leave_a_destructor, NULL);
  assert_int_equal(late_writes, 16);
  assert_int_equal(late_lock.word, 0);
  pthread_key_delete(late_key);
}

static void must_not_wake(pkd_waiter_t* waiter) {
  waiter->state = 99;
}

/* A reader whose unlock was the last looks into the queue by address alone: the
 * lock may be gone, and somebody else's object, with waiters, in its place. This
 * is the second half of such an unlock. */
static void a_reader_that_has_left_lets_strangers_alone(void** state) {
  static const uint64_t tokens[] = {
      0,
      1,
      3,
      UINT64_MAX,
      UINT64_C(0x7f0012345678),
      UINT64_C(0x636f6e64) << 32, /* at a condition, with a rwlock */
      (UINT64_C(0x636f6e64) << 32) | 3};

  (void)state;
  for (size_t i = 0; i < LENGTH(tokens); i++) {
    pkd_rwlock_t not_ours = {8, 0, 0}; /* looks free, with a queue */
    pkd_waiter_t waiter = {.wake = must_not_wake, .token = tokens[i]};

    assert_int_equal(pkd_lot_enqueue(&not_ours, &waiter, NULL, NULL), 0);
    pkd__rwlock_rdunlock_slow(&not_ours, 32 + 8);
    assert_int_equal(not_ours.word, 8);
    assert_int_equal(waiter.state, 0);
    assert_int_equal(pkd_lot_remove(&waiter, NULL, NULL), 0);
  }
}

/* --- sections -------------------------------------------------------------- */

static int leave_by_return(pkd_rwlock_t* l) {
  PKD_WITH_WRLOCK(l) {
    return pkd_rwlock_is_write_locked(l);
  }
  return -1;
}

static int leave_by_goto(pkd_rwlock_t* l) {
  PKD_WITH_RDLOCK(l) {
    goto out;
  }
  return -1;
out:
  return pkd_rwlock_is_locked(l);
}

static void a_section_is_unlocked_however_it_is_left(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  int runs = 0;

  (void)state;
  assert_int_equal(leave_by_return(&l), 1);
  assert_int_equal(leave_by_goto(&l), 0);
  for (int i = 0; i < 3; i++) {
    PKD_WITH_WRLOCK(&l) {
      if (i == 1)
        continue; /* leaves the section, not the loop */
      if (i == 2)
        break;
      runs++;
    }
    assert_int_equal(l.word, 0);
    runs += 10;
  }
  assert_int_equal(runs, 31);
  PKD_WITH_UPLOCK(&l) {
    assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
    PKD_WITH_RDLOCK(&l) {
      assert_int_equal(l.word, 32 + 2);
    }
  }
  assert_int_equal(l.word, 0);
  PKD_WITH_UPLOCK(&l) {
    pkd_rwlock_upgrade(&l);
    assert_int_equal(pkd_rwlock_is_write_locked(&l), 1);
  }
  assert_int_equal(l.word, 0);
}

/* As it is between the wake of a writer and its coming. */
static void readers_let_a_woken_writer_pass_that_does_not_come(void** state) {
  const uint32_t waking = 16;
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  l.word = waking;
  l.woken = (uint16_t)((pkd_now() - 1000000) >> 14);
  assert_int_equal(pkd_rwlock_rdlock_for(&l, 0), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_rdlock_recursive_for(&l, 0), 0); /* never waits */
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(l.word, waking);
  assert_int_equal(pkd_rwlock_init(&l, PKD_RWLOCK_PREFER_READERS), 0);
  l.word = waking;
  l.woken = (uint16_t)((pkd_now() - 1000000) >> 14);
  assert_int_equal(pkd_rwlock_rdlock_for(&l, 0), 0);
  pkd_rwlock_rdunlock(&l);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_may_be_in_together),
      cmocka_unit_test(trywrlock_takes_a_free_lock_whatever_else_the_word_says),
      cmocka_unit_test(zeroed_memory_is_a_free_lock),
      cmocka_unit_test(a_deadline_past_now_or_to_come_ends_any_wait),
      cmocka_unit_test(a_token_ends_any_wait),
      cmocka_unit_test(more_readers_than_can_be_counted_are_refused),
      cmocka_unit_test(as_many_readers_as_can_be_leave_an_upgradable_its_place),
      cmocka_unit_test(misuse_stops_the_program_with_one_line),
      cmocka_unit_test(a_child_of_fork_has_the_lock_and_nobody_waiting),
      cmocka_unit_test(a_child_of_fork_can_try_at_once),
      cmocka_unit_test(destructors_of_a_thread_may_write),
      cmocka_unit_test(a_reader_that_has_left_lets_strangers_alone),
      cmocka_unit_test(a_section_is_unlocked_however_it_is_left),
      cmocka_unit_test(readers_let_a_woken_writer_pass_that_does_not_come),
  };
  return cmocka_run_group_tests_name("rwlock", tests, NULL, NULL);
}
