/* SPDX-License-Identifier: MIT
 *
 * test_latch.c - the latch by its public interface. */
#include <support/child.h>
#include <support/test.h>

#include <parkade/latch.h>
#include <parkade/lot.h>

#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static size_t waiting_at(const void* key) {
  return pkd_lot_for_each(key, NULL, NULL);
}

static void it_opens_when_all_is_counted_and_stays_open(void** state) {
  pkd_latch_t l = PKD_LATCH_INIT(3);

  (void)state;
  assert_int_equal(pkd_latch_trywait(&l), -EBUSY);
  pkd_latch_count_down(&l, 2);
  pkd_latch_count_down(&l, 0);
  assert_int_equal(pkd_latch_count(&l), 1);
  assert_int_equal(pkd_latch_trywait(&l), -EBUSY);
  pkd_latch_arrive_and_wait(&l);
  assert_int_equal(pkd_latch_trywait(&l), 0);
  pkd_latch_wait(&l);
}

static void zeroed_memory_is_an_open_latch(void** state) {
  pkd_latch_t l;

  (void)state;
  memset(&l, 0, sizeof l);
  pkd_latch_wait(&l);
  assert_int_equal(pkd_latch_wait_until(&l, 0), 0);
}

static void a_deadline_past_now_or_to_come_ends_the_wait(void** state) {
  pkd_latch_t l = PKD_LATCH_INIT(1);
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_latch_wait_until(&l, 0), -ETIMEDOUT);
  assert_int_equal(pkd_latch_wait_for(&l, 0), -ETIMEDOUT);
  assert_int_equal(pkd_latch_wait_until(&l, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(l.word, 2);
}

static void more_than_can_be_counted_is_refused(void** state) {
  pkd_latch_t l = PKD_LATCH_INIT(3);

  (void)state;
  assert_int_equal(pkd_latch_init(&l, PKD_LATCH_MAX + 1), -EINVAL);
  assert_int_equal(pkd_latch_count(&l), 3);
  assert_int_equal(pkd_latch_init(&l, PKD_LATCH_MAX), 0);
  assert_int_equal(pkd_latch_count(&l), PKD_LATCH_MAX);
  assert_int_equal(pkd_latch_trywait(&l), -EBUSY);
  assert_int_equal(pkd_latch_init(&l, 0), 0);
  assert_int_equal(pkd_latch_trywait(&l), 0);
}

static void counting_more_than_is_left_stops_the_program(void** state) {
  pid_t child = fork();

  (void)state;
  if (child == 0) {
    pkd_latch_t l = PKD_LATCH_INIT(1);

    fclose(stderr);
    pkd_latch_count_down(&l, 2);
    _exit(0);
  }
  assert_int_equal(child_ends(child), -SIGABRT);
}

enum { WORKERS = 3, WAITERS = 3 };

struct site {
  pkd_latch_t l;
  int done[WORKERS];
  int sums[WAITERS];
};

static void work_or_wait(void* arg, unsigned number) {
  struct site* site = arg;

  if (number < WAITERS) {
    pkd_latch_wait(&site->l);
    for (int i = 0; i < WORKERS; i++)
      site->sums[number] += site->done[i];
    return;
  }
  if (number == WAITERS) /* one worker comes when all waiters sleep */
    WAIT_FOR(waiting_at(&site->l) == WAITERS);
  site->done[number - WAITERS] = 1;
  pkd_latch_count_down(&site->l, 1);
}

static void all_who_wait_see_all_that_was_counted(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(50); i++) {
    struct site site = {PKD_LATCH_INIT(WORKERS), {0}, {0}};

    team_run(WORKERS + WAITERS, work_or_wait, &site);
    for (int n = 0; n < WAITERS; n++)
      assert_int_equal(site.sums[n], WORKERS);
    assert_int_equal(site.l.word, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_opens_when_all_is_counted_and_stays_open),
      cmocka_unit_test(zeroed_memory_is_an_open_latch),
      cmocka_unit_test(a_deadline_past_now_or_to_come_ends_the_wait),
      cmocka_unit_test(more_than_can_be_counted_is_refused),
      cmocka_unit_test(counting_more_than_is_left_stops_the_program),
      cmocka_unit_test(all_who_wait_see_all_that_was_counted),
  };
  return cmocka_run_group_tests_name("latch", tests, NULL, NULL);
}
