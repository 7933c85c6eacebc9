/* SPDX-License-Identifier: MIT
 *
 * test_sem.c - the semaphore by its public interface. */
#include <support/child.h>
#include <support/test.h>

#include <parkade/lot.h>
#include <parkade/sem.h>

#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static size_t waiting_at(const void* key) {
  return pkd_lot_for_each(key, NULL, NULL);
}

/* --- one thread ------------------------------------------------------------ */

static void permits_are_taken_and_given_by_number(void** state) {
  pkd_sem_t s = PKD_SEM_INIT(5);

  (void)state;
  assert_int_equal(pkd_sem_acquire(&s, 2), 0);
  assert_int_equal(pkd_sem_value(&s), 3);
  assert_int_equal(pkd_sem_tryacquire(&s, 4), -EBUSY);
  assert_int_equal(pkd_sem_value(&s), 3);
  assert_int_equal(pkd_sem_tryacquire(&s, 3), 0);
  assert_int_equal(pkd_sem_release(&s, 4), 0);
  assert_int_equal(pkd_sem_value(&s), 4);
}

static void zeroed_memory_is_a_semaphore_without_permits(void** state) {
  pkd_sem_t s;

  (void)state;
  memset(&s, 0, sizeof s);
  assert_int_equal(pkd_sem_tryacquire(&s, 1), -EBUSY);
  assert_int_equal(pkd_sem_release(&s, 1), 0);
  assert_int_equal(pkd_sem_acquire(&s, 1), 0);
}

static void numbers_out_of_range_are_refused_and_change_nothing(void** state) {
  pkd_sem_t s = PKD_SEM_INIT(7);
  const uint32_t bad[] = {0, PKD_SEM_MAX + 1, UINT32_MAX};

  (void)state;
  for (size_t i = 0; i < LENGTH(bad); i++) {
    assert_int_equal(pkd_sem_acquire(&s, bad[i]), -EINVAL);
    assert_int_equal(pkd_sem_tryacquire(&s, bad[i]), -EINVAL);
    assert_int_equal(pkd_sem_acquire_for(&s, bad[i], 1), -EINVAL);
    assert_int_equal(pkd_sem_release(&s, bad[i]), -EINVAL);
  }
  assert_int_equal(pkd_sem_value(&s), 7);
  assert_int_equal(pkd_sem_init(&s, PKD_SEM_MAX + 1), -EINVAL);
  assert_int_equal(pkd_sem_value(&s), 7);
  assert_int_equal(pkd_sem_init(&s, PKD_SEM_MAX), 0);
  assert_int_equal(pkd_sem_value(&s), PKD_SEM_MAX);
  assert_int_equal(pkd_sem_init(&s, 0), 0);
  assert_int_equal(pkd_sem_value(&s), 0);
}

static void more_permits_than_can_be_counted_are_refused(void** state) {
  pkd_sem_t s = PKD_SEM_INIT(PKD_SEM_MAX - 1);

  (void)state;
  assert_int_equal(pkd_sem_release(&s, 2), -EOVERFLOW);
  assert_int_equal(pkd_sem_release(&s, 1), 0);
  assert_int_equal(pkd_sem_release(&s, 1), -EOVERFLOW);
  assert_int_equal(pkd_sem_value(&s), PKD_SEM_MAX);
  assert_int_equal(pkd_sem_acquire(&s, PKD_SEM_MAX), 0);
  assert_int_equal(pkd_sem_value(&s), 0);
}

static void a_deadline_past_now_or_to_come_ends_the_wait(void** state) {
  pkd_sem_t s = PKD_SEM_INIT(1);
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_sem_acquire_until(&s, 2, 0), -ETIMEDOUT);
  assert_int_equal(pkd_sem_acquire_until(&s, 2, pkd_now()), -ETIMEDOUT);
  assert_int_equal(pkd_sem_acquire_for(&s, 2, 0), -ETIMEDOUT);
  assert_int_equal(pkd_sem_acquire_until(&s, 2, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(s.word, 2);
  assert_int_equal(pkd_sem_acquire_until(&s, 1, 0), 0);
}

/* --- several --------------------------------------------------------------- */

struct line {
  pkd_sem_t s;
  uint32_t wants[4];
  pkd_deadline_t deadline[4];
  int rc[4];
  unsigned order[4]; /* 1, 2, .. as they were served */
  unsigned served;   /* atomic */
};

static void stand_in_line(void* arg, unsigned number) {
  struct line* line = arg;

  /* one after the other, in the order of their numbers; the first may have
   * given up before the next comes */
  while (waiting_at(&line->s) < number && pkd_now() < line->deadline[0])
    sched_yield();
  line->rc[number] = pkd_sem_acquire_until(&line->s, line->wants[number],
                                           line->deadline[number]);
  if (line->rc[number] == 0)
    line->order[number] =
        __atomic_add_fetch(&line->served, 1, __ATOMIC_RELAXED);
}

#define SERVED(line) (__atomic_load_n(&(line).served, __ATOMIC_RELAXED))

static void a_small_request_does_not_pass_a_large_one(void** state) {
  struct line line = {PKD_SEM_INIT(2), {3, 1, 1}, {0}, {0}, {0}, 0};
  struct team team;

  (void)state;
  for (int i = 0; i < 4; i++)
    line.deadline[i] = PKD_FOREVER;
  team_start(&team, 3, stand_in_line, &line);
  WAIT_FOR(waiting_at(&line.s) == 3);
  /* two permits lie there, and neither who waits nor who comes may have them */
  assert_int_equal(pkd_sem_value(&line.s), 2);
  assert_int_equal(pkd_sem_tryacquire(&line.s, 1), -EBUSY);
  assert_int_equal(pkd_sem_release(&line.s, 1), 0);
  WAIT_FOR(SERVED(line) == 1);
  assert_int_equal(waiting_at(&line.s), 2);
  pkd_sem_release(&line.s, 1);
  WAIT_FOR(SERVED(line) == 2);
  pkd_sem_release(&line.s, 1);
  team_join(&team);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(line.order[i], i + 1);
  assert_int_equal(line.s.word, 0);
}

static void one_release_serves_as_many_as_it_can(void** state) {
  struct line line = {PKD_SEM_INIT(0), {2, 3, 1, 4}, {0}, {0}, {0}, 0};
  struct team team;

  (void)state;
  for (int i = 0; i < 4; i++)
    line.deadline[i] = PKD_FOREVER;
  team_start(&team, 4, stand_in_line, &line);
  WAIT_FOR(waiting_at(&line.s) == 4);
  pkd_sem_release(&line.s, 8); /* 2 + 3 + 1, and 2 left for who wants 4 */
  WAIT_FOR(SERVED(line) == 3);
  assert_int_equal(waiting_at(&line.s), 1);
  assert_int_equal(pkd_sem_value(&line.s), 2);
  pkd_sem_release(&line.s, 2);
  team_join(&team);
  assert_int_equal(line.s.word, 0);
}

static void who_gives_up_in_front_lets_those_behind_be_served(void** state) {
  struct line line = {PKD_SEM_INIT(2), {3, 1, 1}, {0}, {0}, {0}, 0};
  struct team team;

  (void)state;
  line.deadline[0] = pkd_after(30 * MS);
  line.deadline[1] = line.deadline[2] = PKD_FOREVER;
  team_start(&team, 3, stand_in_line, &line);
  team_join(&team); /* hangs if the first one's leaving serves nobody */
  assert_int_equal(line.rc[0], -ETIMEDOUT);
  assert_int_equal(line.rc[1], 0);
  assert_int_equal(line.rc[2], 0);
  assert_int_equal(line.s.word, 0);
}

static void an_overflow_with_waiters_changes_nothing(void** state) {
  struct line line = {
      PKD_SEM_INIT(PKD_SEM_MAX - 1), {PKD_SEM_MAX}, {PKD_FOREVER}, {0}, {0}, 0};
  struct team team;

  (void)state;
  team_start(&team, 1, stand_in_line, &line);
  WAIT_FOR(waiting_at(&line.s) == 1);
  assert_int_equal(pkd_sem_release(&line.s, 2), -EOVERFLOW);
  assert_int_equal(waiting_at(&line.s), 1);
  assert_int_equal(pkd_sem_value(&line.s), PKD_SEM_MAX - 1);
  assert_int_equal(pkd_sem_release(&line.s, 1), 0);
  team_join(&team);
  assert_int_equal(line.s.word, 0);
}

/* --- under load ------------------------------------------------------------ */

enum { PERMITS = 5, THREADS = 6 };

struct load {
  pkd_sem_t s;
  int inside; /* atomic: permits in use */
  int most;   /* atomic */
  uint64_t seed;
  unsigned late; /* atomic */
};

static void use_permits(void* arg, unsigned number) {
  struct load* load = arg;
  rng_t rng = rng_stream(load->seed, number);

  for (int i = 0; i < ROUNDS(3000); i++) {
    uint32_t n = 1 + (uint32_t)rng_below(&rng, PERMITS);
    uint64_t kind = rng_below(&rng, 4);
    int rc = kind == 0 ? pkd_sem_tryacquire(&load->s, n)
             : kind == 1
                 ? pkd_sem_acquire_for(&load->s, n, rng_below(&rng, 50000))
                 : pkd_sem_acquire(&load->s, n);

    if (rc != 0) {
      __atomic_add_fetch(&load->late, 1, __ATOMIC_RELAXED);
      continue;
    }
    if (__atomic_add_fetch(&load->inside, (int)n, __ATOMIC_RELAXED) > PERMITS)
      __atomic_store_n(&load->most, 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&load->inside, (int)n, __ATOMIC_RELAXED);
    pkd_sem_release(&load->s, n);
  }
}

static uint64_t seed;

static void permits_are_never_lost_nor_made(void** state) {
  struct load load = {PKD_SEM_INIT(PERMITS), 0, 0, seed, 0};

  (void)state;
  team_run(THREADS, use_permits, &load);
  assert_int_equal(load.most, 0);
  assert_int_equal(load.s.word, PERMITS * 2);
  assert_int_equal(waiting_at(&load.s), 0);
}

static void
a_child_of_fork_is_not_stopped_by_waiters_it_does_not_have(void** state) {
  struct line line = {PKD_SEM_INIT(2), {3}, {PKD_FOREVER}, {0}, {0}, 0};
  struct team team;
  pid_t child;

  (void)state;
  team_start(&team, 1, stand_in_line, &line);
  WAIT_FOR(waiting_at(&line.s) == 1);
  child = fork();
  if (child == 0) {
    if (pkd_sem_tryacquire(&line.s, 1) != 0)
      _exit(1);
    if (pkd_sem_acquire_for(&line.s, 1, 1000 * MS) != 0)
      _exit(2);
    if (pkd_sem_release(&line.s, 2) != 0 || line.s.word != 4)
      _exit(3);
    _exit(0);
  }
  assert_int_equal(child_ends(child), 0);
  pkd_sem_release(&line.s, 1);
  team_join(&team);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(permits_are_taken_and_given_by_number),
      cmocka_unit_test(zeroed_memory_is_a_semaphore_without_permits),
      cmocka_unit_test(numbers_out_of_range_are_refused_and_change_nothing),
      cmocka_unit_test(more_permits_than_can_be_counted_are_refused),
      cmocka_unit_test(a_deadline_past_now_or_to_come_ends_the_wait),
      cmocka_unit_test(a_small_request_does_not_pass_a_large_one),
      cmocka_unit_test(one_release_serves_as_many_as_it_can),
      cmocka_unit_test(who_gives_up_in_front_lets_those_behind_be_served),
      cmocka_unit_test(an_overflow_with_waiters_changes_nothing),
      cmocka_unit_test(permits_are_never_lost_nor_made),
      cmocka_unit_test(
          a_child_of_fork_is_not_stopped_by_waiters_it_does_not_have),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("sem", tests, NULL, NULL);
}
