/* SPDX-License-Identifier: MIT
 *
 * test_rwlock_turns.c - whose turn it is at a reader-writer lock: phases, policies,
 * those who give up, upgrades and downgrades, fair unlocks. */
#include "hands.h"

#include <errno.h>

/* --- writers and readers --------------------------------------------------- */

static void a_waiting_writer_keeps_new_readers_out(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
  pkd_rwlock_rdunlock(&l);
  WAIT_FOR(IS_IN(&writer));
  drop(&writer);
  assert_int_equal(l.word, 0);
}

/* Another's recursive read passes the writer as well: somebody reads. */
static void a_recursive_read_passes_a_waiting_writer(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  for (int i = 0; i < 100; i++) {
    pkd_rwlock_rdlock_recursive(&l);
    assert_int_equal(pkd_rwlock_tryrdlock_recursive(&l), 0);
    assert_int_equal(pkd_rwlock_rdlock_recursive_for(&l, 0), 0);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
  }
  assert_false(IS_IN(&writer));
  pkd_rwlock_rdunlock(&l);
  drop(&writer);
  /* and beside an upgradable holder who reads again */
  memset(&writer, 0, sizeof writer);
  pkd_rwlock_uplock(&l);
  reach_and_wait(&writer, &l, WRITE);
  pkd_rwlock_rdlock_recursive(&l);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_upunlock(&l);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

/* In the queue: writer, two readers, writer. After the first writer both readers
 * are in together, before the second writer, however early that came. */
static void phases_follow_one_another(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer[2] = {{0}, {0}};
  struct hand reader[2] = {{0}, {0}};

  (void)state;
  pkd_rwlock_wrlock(&l);
  reach_and_wait(&writer[0], &l, WRITE);
  reach_and_wait(&reader[0], &l, READ);
  reach_and_wait(&writer[1], &l, WRITE);
  reach_and_wait(&reader[1], &l, READ);
  let_patience_end();
  pkd_rwlock_wrunlock(
      &l); /* a writer leaves: readers, past the writer before */
  WAIT_FOR(IS_IN(&reader[0]) && IS_IN(&reader[1]));
  assert_false(IS_IN(&writer[0]));
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
  drop(&reader[0]);
  drop(&reader[1]);
  WAIT_FOR(IS_IN(&writer[0]));
  drop(&writer[0]);
  WAIT_FOR(IS_IN(&writer[1]));
  drop(&writer[1]);
  assert_int_equal(l.word, 0);
}

static void after_readers_a_writer_comes_before_readers_who_wait(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  struct hand reader = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  reach_and_wait(&reader, &l, READ);
  let_patience_end();
  pkd_rwlock_rdunlock(&l);
  WAIT_FOR(IS_IN(&writer));
  assert_false(IS_IN(&reader));
  drop(&writer);
  drop(&reader);
  assert_int_equal(l.word, 0);
}

static void preferred_readers_pass_a_waiting_writer(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_POLICY_INIT(PKD_RWLOCK_PREFER_READERS);
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  pkd_rwlock_rdunlock(&l);
  assert_false(IS_IN(&writer));
  pkd_rwlock_rdunlock(&l);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

static void preferred_writers_pass_waiting_readers(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_POLICY_INIT(PKD_RWLOCK_PREFER_WRITERS);
  struct hand reader = {0};
  struct hand writer[2] = {{0}, {0}};
  unsigned order = 0;

  (void)state;
  reader.order = writer[0].order = writer[1].order = &order;
  pkd_rwlock_wrlock(&l);
  reach_and_wait(&reader, &l, READ);
  reach_and_wait(&writer[0], &l, WRITE);
  reach_and_wait(&writer[1], &l, WRITE);
  let_go(&reader);
  let_go(&writer[0]);
  let_go(&writer[1]);
  pkd_rwlock_wrunlock(&l);
  drop(&writer[0]);
  drop(&writer[1]);
  drop(&reader);
  assert_int_equal(writer[0].place, 1);
  assert_int_equal(writer[1].place, 2);
  assert_int_equal(reader.place, 3);
  assert_int_equal(l.word, 0);
}

/* Readers who overlap without end. */
struct crowd {
  pkd_rwlock_t l;
  unsigned stop; /* atomic */
  unsigned inside;
  int writes;
};

static void read_for_ever(void* arg, unsigned number) {
  struct crowd* crowd = arg;

  if (number == 0) {
    for (crowd->writes = 0; crowd->writes < ROUNDS(60); crowd->writes++) {
      while (__atomic_load_n(&crowd->inside, __ATOMIC_RELAXED) == 0)
        sched_yield();
      pkd_rwlock_wrlock(&crowd->l);
      pkd_rwlock_wrunlock(&crowd->l);
    }
    __atomic_store_n(&crowd->stop, 1, __ATOMIC_RELAXED);
    return;
  }
  while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
    pkd_rwlock_rdlock(&crowd->l);
    __atomic_add_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 200; i++)
      __atomic_load_n(&crowd->stop, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
    pkd_rwlock_rdunlock(&crowd->l);
  }
}

static void a_writer_is_not_starved_by_endless_readers(void** state) {
  struct crowd crowd = {PKD_RWLOCK_INIT, 0, 0, 0};

  (void)state;
  team_run(4, read_for_ever, &crowd);
  assert_int_equal(crowd.writes, ROUNDS(60));
  assert_int_equal(crowd.l.word, 0);
}

/* --- giving up ------------------------------------------------------------- */

static void a_writer_that_gives_up_lets_new_readers_in(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_wrlock_for(&l, MS), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(l.word, 0);
}

static void a_writer_that_gives_up_wakes_readers_it_kept_out(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  struct hand reader = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  writer.deadline = pkd_after(50 * MS);
  reach(&writer, &l, WRITE);
  /* if the writer is late before we look, the reader enters at once: fine */
  WAIT_FOR(waiting_at(&l) == 1 || pkd_now() > writer.deadline);
  reach(&reader, &l, READ);
  WAIT_FOR(IS_IN(&reader)); /* hangs if nobody wakes it: we still read */
  pthread_join(writer.thread, NULL);
  assert_int_equal(writer.rc, -ETIMEDOUT);
  drop(&reader);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(l.word, 0);
}

static void
a_second_writer_still_keeps_readers_out_when_one_gives_up(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  assert_int_equal(pkd_rwlock_wrlock_for(&l, MS), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
  pkd_rwlock_rdunlock(&l);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

static void an_upgrade_that_gives_up_lets_new_readers_in(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  pkd_rwlock_rdlock(&l);
  pkd_rwlock_uplock(&l);
  assert_int_equal(pkd_rwlock_tryupgrade(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_upgrade_for(&l, 0), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_upgrade_until(&l, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(pkd_rwlock_tryupgrade(&l), 0);
  pkd_rwlock_wrunlock(&l);
  assert_int_equal(l.word, 0);
}

/* --- up and down ----------------------------------------------------------- */

struct upgrade {
  pkd_rwlock_t l;
  unsigned done; /* atomic */
};

static void* upgrade(void* arg) {
  struct upgrade* u = arg;

  pkd_rwlock_uplock(&u->l);
  pkd_rwlock_upgrade(&u->l);
  __atomic_store_n(&u->done, 1, __ATOMIC_RELEASE);
  pkd_rwlock_wrunlock(&u->l);
  return NULL;
}

static void an_upgrade_waits_for_readers_and_goes_before_writers(void** state) {
  struct upgrade u = {PKD_RWLOCK_INIT, 0};
  struct hand writer = {0};
  pthread_t thread;

  (void)state;
  pkd_rwlock_rdlock(&u.l);
  assert_int_equal(pthread_create(&thread, NULL, upgrade, &u), 0);
  WAIT_FOR(waiting_at(&u.l) == 1);
  assert_int_equal(pkd_rwlock_tryrdlock(&u.l), -EBUSY);
  reach_and_wait(&writer, &u.l, WRITE);
  assert_int_equal(u.done, 0);
  pkd_rwlock_rdunlock(&u.l);
  WAIT_FOR(IS_IN(&writer));
  assert_int_equal(__atomic_load_n(&u.done, __ATOMIC_ACQUIRE), 1);
  drop(&writer);
  pthread_join(thread, NULL);
  assert_int_equal(u.l.word, 0);
}

static void two_never_wait_for_each_other_to_upgrade(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_rdlock(&l);
  pkd_rwlock_uplock(&l);
  assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
  /* the reader may not become a writer while another may */
  assert_int_equal(pkd_rwlock_rdupgrade(&l), -EDEADLK);
  assert_int_equal(l.word, 32 + 2);
  pkd_rwlock_upunlock(&l);
  assert_int_equal(pkd_rwlock_rdupgrade(&l), 0);
  assert_int_equal(pkd_rwlock_is_write_locked(&l), 1);
  pkd_rwlock_downgrade(&l);
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_rdupgrade_until(&l, 0), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_rdupgrade_for(&l, MS), -ETIMEDOUT);
  assert_int_equal(l.word, 64);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
}

static void a_downgrade_lets_readers_in_and_keeps_writers_out(void** state) {
  (void)state;
  for (int to_up = 0; to_up < 2; to_up++) {
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand reader[2] = {{0}, {0}};
    struct hand writer = {0};

    pkd_rwlock_wrlock(&l);
    reach_and_wait(&reader[0], &l, READ);
    reach_and_wait(&writer, &l, WRITE);
    reach_and_wait(&reader[1], &l, READ);
    if (to_up)
      pkd_rwlock_downgrade_to_up(&l);
    else
      pkd_rwlock_downgrade(&l);
    WAIT_FOR(IS_IN(&reader[0]) && IS_IN(&reader[1]));
    assert_false(IS_IN(&writer));
    drop(&reader[0]);
    drop(&reader[1]);
    assert_false(IS_IN(&writer));
    if (to_up)
      pkd_rwlock_upunlock(&l);
    else
      pkd_rwlock_rdunlock(&l);
    drop(&writer);
    assert_int_equal(l.word, 0);
  }
}

static void a_downgrade_from_upgradable_lets_the_next_one_in(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand up = {0};

  (void)state;
  pkd_rwlock_uplock(&l);
  reach_and_wait(&up, &l, UP);
  pkd_rwlock_updowngrade(&l);
  WAIT_FOR(IS_IN(&up));
  assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
  pkd_rwlock_rdunlock(&l);
  drop(&up);
  assert_int_equal(l.word, 0);
}

/* --- fair unlocks ---------------------------------------------------------- */

/* Right after a fair unlock the lock is the waiter's: a try of ours fails, each
 * single time, whatever we held. */
static void each_fair_unlock_hands_over(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(300); i++) {
    enum way way = (enum way[]){READ, WRITE, UP}[i % 3];
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand writer = {0};

    assert_int_equal(try_take(&l, way), 0);
    reach_and_wait(&writer, &l, WRITE);
    if (way == READ)
      pkd_rwlock_rdunlock_fair(&l);
    else if (way == WRITE)
      pkd_rwlock_wrunlock_fair(&l);
    else
      pkd_rwlock_upunlock_fair(&l);
    assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
    assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
    drop(&writer);
    assert_int_equal(l.word, 0);
  }
}

/* Others read all the time, so the lock is never free: who waits to be upgradable
 * and has lost patience, or is let in by a fair unlock, is the next all the same. */
static void
what_an_upgradable_gives_up_is_handed_over_beside_readers(void** s) {
  (void)s;
  for (int i = 0; i < ROUNDS(60); i++) {
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand up = {0};

    pkd_rwlock_rdlock(&l);
    assert_int_equal(pkd_rwlock_tryuplock(&l), 0);
    reach_and_wait(&up, &l, UP);
    if (i % 3 == 0) {
      pkd_rwlock_upunlock_fair(&l);
    } else {
      let_patience_end();
      if (i % 3 == 1)
        pkd_rwlock_upunlock(&l);
      else
        pkd_rwlock_updowngrade(&l);
    }
    assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
    drop(&up);
    if (i % 3 == 2)
      pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
    assert_int_equal(l.word, 0);
  }
}

static void a_bump_lets_the_other_have_its_turn(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(60); i++) {
    enum way way = (enum way[]){READ, WRITE, UP}[i % 3];
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand writer = {0};

    assert_int_equal(try_take(&l, way), 0);
    reach_and_wait(&writer, &l, WRITE);
    let_go(&writer);
    if (way == READ)
      pkd_rwlock_rdbump(&l);
    else if (way == WRITE)
      pkd_rwlock_wrbump(&l);
    else
      pkd_rwlock_upbump(&l);
    assert_int_equal(__atomic_load_n(&writer.in, __ATOMIC_ACQUIRE), 1);
    give(&l, way);
    pthread_join(writer.thread, NULL);
    assert_int_equal(l.word, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_waiting_writer_keeps_new_readers_out),
      cmocka_unit_test(a_recursive_read_passes_a_waiting_writer),
      cmocka_unit_test(phases_follow_one_another),
      cmocka_unit_test(after_readers_a_writer_comes_before_readers_who_wait),
      cmocka_unit_test(preferred_readers_pass_a_waiting_writer),
      cmocka_unit_test(preferred_writers_pass_waiting_readers),
      cmocka_unit_test(a_writer_is_not_starved_by_endless_readers),
      cmocka_unit_test(a_writer_that_gives_up_lets_new_readers_in),
      cmocka_unit_test(a_writer_that_gives_up_wakes_readers_it_kept_out),
      cmocka_unit_test(
          a_second_writer_still_keeps_readers_out_when_one_gives_up),
      cmocka_unit_test(an_upgrade_that_gives_up_lets_new_readers_in),
      cmocka_unit_test(an_upgrade_waits_for_readers_and_goes_before_writers),
      cmocka_unit_test(two_never_wait_for_each_other_to_upgrade),
      cmocka_unit_test(a_downgrade_lets_readers_in_and_keeps_writers_out),
      cmocka_unit_test(a_downgrade_from_upgradable_lets_the_next_one_in),
      cmocka_unit_test(each_fair_unlock_hands_over),
      cmocka_unit_test(
          what_an_upgradable_gives_up_is_handed_over_beside_readers),
      cmocka_unit_test(a_bump_lets_the_other_have_its_turn),
  };
  return cmocka_run_group_tests_name("rwlock turns", tests, NULL, NULL);
}
