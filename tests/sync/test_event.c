/* SPDX-License-Identifier: MIT
 *
 * test_event.c - the event by its public interface. */
#include <support/child.h>
#include <support/test.h>

#include <parkade/event.h>
#include <parkade/lot.h>

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static size_t waiting_at(const void* key) {
  return pkd_lot_for_each(key, NULL, NULL);
}

static void a_manual_event_lets_all_pass_until_reset(void** state) {
  pkd_event_t e = PKD_EVENT_INIT;

  (void)state;
  assert_int_equal(pkd_event_trywait(&e), -EBUSY);
  pkd_event_set(&e);
  pkd_event_set(&e);
  pkd_event_wait(&e);
  assert_int_equal(pkd_event_trywait(&e), 0);
  assert_int_equal(pkd_event_is_set(&e), 1);
  pkd_event_reset(&e);
  assert_int_equal(pkd_event_trywait(&e), -EBUSY);
  assert_int_equal(pkd_event_is_set(&e), 0);
}

static void an_automatic_event_lets_one_pass_for_each_set(void** state) {
  pkd_event_t e = PKD_EVENT_AUTO_INIT;

  (void)state;
  pkd_event_set(&e);
  pkd_event_set(&e); /* not used yet: counts once */
  pkd_event_wait(&e);
  assert_int_equal(pkd_event_trywait(&e), -EBUSY);
  pkd_event_set(&e);
  pkd_event_reset(&e);
  assert_int_equal(pkd_event_trywait(&e), -EBUSY);
}

static void a_deadline_past_now_or_to_come_ends_the_wait(void** state) {
  pkd_event_t e = PKD_EVENT_AUTO_INIT;
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_event_wait_until(&e, 0), -ETIMEDOUT);
  assert_int_equal(pkd_event_wait_for(&e, 0), -ETIMEDOUT);
  assert_int_equal(pkd_event_wait_until(&e, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(e.word, 4);
  pkd_event_set(&e);
  assert_int_equal(pkd_event_wait_until(&e, 0), 0);
}

struct hall {
  pkd_event_t e;
  unsigned passed; /* atomic */
  int data;        /* published by the set */
  int seen[4];
};

static void wait_outside(void* arg, unsigned number) {
  struct hall* hall = arg;

  pkd_event_wait(&hall->e);
  hall->seen[number] = hall->data;
  __atomic_add_fetch(&hall->passed, 1, __ATOMIC_RELAXED);
}

#define PASSED(hall) (__atomic_load_n(&(hall).passed, __ATOMIC_RELAXED))

static void
one_set_wakes_all_who_wait_and_shows_what_came_before(void** state) {
  struct hall hall = {PKD_EVENT_INIT, 0, 0, {0}};
  struct team team;

  (void)state;
  team_start(&team, 4, wait_outside, &hall);
  WAIT_FOR(waiting_at(&hall.e) == 4);
  hall.data = 42;
  pkd_event_set(&hall.e);
  team_join(&team);
  for (int i = 0; i < 4; i++)
    assert_int_equal(hall.seen[i], 42);
  assert_int_equal(hall.e.word, 1);
}

static void an_automatic_set_wakes_exactly_one(void** state) {
  struct hall hall = {PKD_EVENT_AUTO_INIT, 0, 7, {0}};
  struct team team;

  (void)state;
  team_start(&team, 3, wait_outside, &hall);
  WAIT_FOR(waiting_at(&hall.e) == 3);
  for (unsigned i = 1; i <= 3; i++) {
    pkd_event_set(&hall.e);
    WAIT_FOR(PASSED(hall) == i);
    assert_int_equal(waiting_at(&hall.e), 3 - i);
    assert_int_equal(pkd_event_is_set(&hall.e), 0);
  }
  team_join(&team);
  assert_int_equal(hall.e.word, 4);
}

/* Two events back and forth: a lost set hangs. */
struct court {
  pkd_event_t ping, pong;
  int ball; /* whose turn orders it */
  int faults;
};

static void play(void* arg, unsigned number) {
  struct court* court = arg;

  for (int i = 0; i < ROUNDS(20000); i++) {
    pkd_event_wait(number == 0 ? &court->ping : &court->pong);
    court->faults += court->ball != (int)number;
    court->ball = 1 - court->ball;
    pkd_event_set(number == 0 ? &court->pong : &court->ping);
  }
}

static void no_set_is_lost_between_two(void** state) {
  struct court court = {PKD_EVENT_AUTO_INIT, PKD_EVENT_AUTO_INIT, 0, 0};

  (void)state;
  pkd_event_set(&court.ping);
  team_run(2, play, &court);
  assert_int_equal(court.faults, 0);
  assert_int_equal(court.ping.word, 5);
  assert_int_equal(court.pong.word, 4);
}

/* Sets and deadlines race: each set is used by exactly one wait, or stays. */
struct race {
  pkd_event_t e;
  unsigned used; /* atomic */
  unsigned set;
  int stop; /* atomic */
};

static void set_or_take(void* arg, unsigned number) {
  struct race* race = arg;

  if (number == 0) {
    for (int i = 0; i < ROUNDS(5000); i++) {
      while (pkd_event_is_set(&race->e))
        sched_yield();
      pkd_event_set(&race->e);
      race->set++;
    }
    __atomic_store_n(&race->stop, 1, __ATOMIC_RELEASE);
    return;
  }
  while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
    if (pkd_event_wait_for(&race->e, 20000) == 0)
      __atomic_add_fetch(&race->used, 1, __ATOMIC_RELAXED);
  }
}

static void a_set_and_a_deadline_never_both_count(void** state) {
  struct race race = {PKD_EVENT_AUTO_INIT, 0, 0, 0};

  (void)state;
  team_run(3, set_or_take, &race);
  race.used += pkd_event_trywait(&race.e) == 0;
  assert_int_equal(race.used, race.set);
  assert_int_equal(race.e.word, 4);
}

static void a_child_of_fork_sets_and_waits_as_if_alone(void** state) {
  struct hall hall = {PKD_EVENT_AUTO_INIT, 0, 7, {0}};
  struct team team;
  pid_t child;

  (void)state;
  team_start(&team, 1, wait_outside, &hall);
  WAIT_FOR(waiting_at(&hall.e) == 1);
  child = fork();
  if (child == 0) {
    if (pkd_event_wait_for(&hall.e, MS) != -ETIMEDOUT)
      _exit(1);
    pkd_event_set(&hall.e);
    _exit(pkd_event_trywait(&hall.e) == 0 && hall.e.word == 4 ? 0 : 2);
  }
  assert_int_equal(child_ends(child), 0);
  pkd_event_set(&hall.e);
  team_join(&team);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_manual_event_lets_all_pass_until_reset),
      cmocka_unit_test(an_automatic_event_lets_one_pass_for_each_set),
      cmocka_unit_test(a_deadline_past_now_or_to_come_ends_the_wait),
      cmocka_unit_test(one_set_wakes_all_who_wait_and_shows_what_came_before),
      cmocka_unit_test(an_automatic_set_wakes_exactly_one),
      cmocka_unit_test(no_set_is_lost_between_two),
      cmocka_unit_test(a_set_and_a_deadline_never_both_count),
      cmocka_unit_test(a_child_of_fork_sets_and_waits_as_if_alone),
  };
  return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
