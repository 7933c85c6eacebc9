/* SPDX-License-Identifier: MIT
 *
 * test_barrier.c - the barrier by its public interface. */
#include <support/test.h>

#include <parkade/barrier.h>
#include <parkade/lot.h>

#include <errno.h>
#include <sched.h>

#define MS UINT64_C(1000000)

static void a_single_party_never_waits(void** state) {
  pkd_barrier_t b;

  (void)state;
  memset(&b, 0, sizeof b);
  assert_int_equal(pkd_barrier_wait(&b), 1);
  pkd_barrier_init(&b, 1);
  assert_int_equal(pkd_barrier_wait(&b), 1);
  assert_int_equal(pkd_barrier_wait_until(&b, 0), 1);
}

static void who_gives_up_has_not_arrived(void** state) {
  pkd_barrier_t b = PKD_BARRIER_INIT(2);
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_barrier_wait_until(&b, 0), -ETIMEDOUT);
  assert_int_equal(pkd_barrier_wait_for(&b, 0), -ETIMEDOUT);
  assert_int_equal(pkd_barrier_wait_until(&b, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(b.arrived, 0);
}

enum { PARTIES = 4 };

struct march {
  pkd_barrier_t b;
  int steps;
  int at[PARTIES]; /* each its own; the barrier orders them */
  unsigned last;   /* atomic: how often one was told it was the last */
  unsigned apart;  /* atomic */
};

static void march(void* arg, unsigned number) {
  struct march* m = arg;

  for (int step = 1; step <= m->steps; step++) {
    int rc;

    m->at[number] = step;
    rc = pkd_barrier_wait(&m->b);
    __atomic_add_fetch(&m->last, (unsigned)rc, __ATOMIC_RELAXED);
    for (int i = 0; i < PARTIES; i++) {
      if (m->at[i] != step)
        __atomic_add_fetch(&m->apart, 1, __ATOMIC_RELAXED);
    }
    pkd_barrier_wait(&m->b);
  }
}

static void nobody_goes_on_before_all_have_come(void** state) {
  struct march m = {PKD_BARRIER_INIT(PARTIES), ROUNDS(2000), {0}, 0, 0};

  (void)state;
  team_run(PARTIES, march, &m);
  assert_int_equal(m.apart, 0);
  assert_int_equal(m.last, m.steps);
  assert_int_equal(m.b.arrived, 0);
}

/* More threads than parties: every round takes as many as it needs. */
struct crowd {
  pkd_barrier_t b;
  unsigned tickets; /* atomic: how many have gone in */
  unsigned last;    /* atomic */
  unsigned limit;   /* even: the last to go in finds a partner */
};

static void push_through(void* arg, unsigned number) {
  struct crowd* crowd = arg;

  (void)number;
  while (__atomic_fetch_add(&crowd->tickets, 1, __ATOMIC_RELAXED) <
         crowd->limit) {
    int rc = pkd_barrier_wait(&crowd->b);

    __atomic_add_fetch(&crowd->last, (unsigned)rc, __ATOMIC_RELAXED);
  }
}

static void a_crowd_goes_through_in_groups(void** state) {
  struct crowd crowd = {PKD_BARRIER_INIT(2), 0, 0, 2 * ROUNDS(5000)};

  (void)state;
  team_run(6, push_through, &crowd);
  assert_int_equal(crowd.last, crowd.limit / 2);
  assert_int_equal(crowd.b.arrived, 0);
}

/* Deadlines race the opening: all parties of a round agree that it opened. */
struct doubt {
  pkd_barrier_t b;
  unsigned opened; /* atomic: waits that returned 0 or 1 */
  unsigned last;   /* atomic */
};

static void come_late(void* arg, unsigned number) {
  struct doubt* doubt = arg;

  for (int i = 0; i < ROUNDS(3000); i++) {
    int rc = pkd_barrier_wait_for(&doubt->b, (number + 1) * 7000);

    if (rc >= 0)
      __atomic_add_fetch(&doubt->opened, 1, __ATOMIC_RELAXED);
    if (rc == 1)
      __atomic_add_fetch(&doubt->last, 1, __ATOMIC_RELAXED);
  }
}

static void an_opening_and_a_deadline_never_both_count(void** state) {
  struct doubt doubt = {PKD_BARRIER_INIT(3), 0, 0};

  (void)state;
  team_run(4, come_late, &doubt);
  assert_int_equal(doubt.opened, 3 * doubt.last);
  assert_int_equal(doubt.b.arrived, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_single_party_never_waits),
      cmocka_unit_test(who_gives_up_has_not_arrived),
      cmocka_unit_test(nobody_goes_on_before_all_have_come),
      cmocka_unit_test(a_crowd_goes_through_in_groups),
      cmocka_unit_test(an_opening_and_a_deadline_never_both_count),
  };
  return cmocka_run_group_tests_name("barrier", tests, NULL, NULL);
}
