/* SPDX-License-Identifier: MIT
 *
 * test_cond.c - what each call of pkd_cond_t promises. Storms, queues of
 * messages and lifetimes are in test_cond_storm.c. */
#include "kit.h"

#include <parkade/cond.h>

enum { CROWD = 32 };

static pkd_mutex_t m;
static pkd_cond_t c;

static int start(void** state) {
  (void)state;
  m.word = 0;
  c.lock = NULL;
  return 0;
}

static int finish_idle(void** state) {
  (void)state;
  return m.word == 0 && c.lock == NULL &&
                 pkd_lot_for_each(NULL, NULL, NULL) == 0
             ? 0
             : -1;
}

/* --- a crowd of waiters ---------------------------------------------------- */

struct crowd {
  uint64_t span[CROWD]; /* of each one's wait; 0: for ever */
  int rc[CROWD];
  unsigned order[CROWD]; /* who came back, in turn; under m */
  unsigned back;         /* how many came back holding m; atomic */
  unsigned gone;         /* how many came back without it; atomic */
  unsigned stay;         /* who is back keeps m while this is set; atomic */
};

static void wait_once(void* arg, unsigned number) {
  struct crowd* crowd = arg;
  uint64_t span = crowd->span[number];
  int rc;

  pkd_mutex_lock(&m);
  rc = span == 0 ? pkd_cond_wait(&c, &m) : pkd_cond_wait_for(&c, &m, span);
  crowd->rc[number] = rc;
  if (rc == PKD_ENOTHELD) {
    count_up(&crowd->gone);
    return;
  }
  crowd->order[crowd->back] = number;
  count_up(&crowd->back);
  WAIT_FOR(count_of(&crowd->stay) == 0);
  pkd_mutex_unlock_fair(&m);
}

/* The waiters queue in the order of their numbers. */
static void gather(struct crew* crew, unsigned size, struct crowd* crowd) {
  crew_start(crew, 0, wait_once, crowd);
  for (unsigned i = 0; i < size; i++) {
    crew_add(crew);
    WAIT_FOR(waiting_at(&c) == i + 1);
  }
}

/* --- one thread ------------------------------------------------------------ */

static void calling_when_nobody_waits_calls_nobody(void** state) {
  (void)state;
  assert_int_equal(pkd_cond_signal(&c), 0);
  assert_int_equal(pkd_cond_broadcast(&c), 0);
  pkd_mutex_lock(&m);
  assert_int_equal(pkd_cond_signal(&c), 0);
  assert_int_equal(pkd_cond_broadcast(&c), 0);
  /* nothing is remembered */
  assert_int_equal(pkd_cond_wait_for(&c, &m, 1000), -ETIMEDOUT);
  pkd_mutex_unlock(&m);
}

static void a_wait_that_is_late_holds_a_free_mutex(void** state) {
  pkd_deadline_t soon = pkd_after(2 * MS);
  const pkd_deadline_t deadlines[] = {0, 1, pkd_now() - SECOND, pkd_now(),
                                      soon};

  (void)state;
  for (size_t i = 0; i < LENGTH(deadlines); i++) {
    pkd_mutex_lock(&m);
    assert_int_equal(pkd_cond_wait_until(&c, &m, deadlines[i]), -ETIMEDOUT);
    assert_true(pkd_now() >= deadlines[i]);
    assert_int_equal(m.word, 1);
    assert_null(c.lock);
    pkd_mutex_unlock(&m);
  }
}

static void wait_with_a_free_mutex(void) {
  pkd_cond_wait(&c, &m);
}

static void waiting_without_the_mutex_stops_the_program(void** state) {
  char line[512];

  (void)state;
  SKIP_IF_TSAN_SPEAKS_FIRST();
  assert_int_equal(last_words(wait_with_a_free_mutex, line, sizeof line),
                   SIGABRT);
  assert_non_null(strstr(line, "is not locked"));
}

/* --- signal and broadcast -------------------------------------------------- */

static void signal_ends_the_wait_of_the_oldest(void** state) {
  struct crowd crowd = {0};
  struct crew crew;

  (void)state;
  gather(&crew, 5, &crowd);
  for (unsigned i = 0; i < 5; i++) {
    assert_int_equal(pkd_cond_signal(&c), 1);
    WAIT_FOR(count_of(&crowd.back) == i + 1);
    assert_int_equal(waiting_at(&c), 4 - i);
  }
  assert_int_equal(pkd_cond_signal(&c), 0);
  crew_join(&crew);
  for (unsigned i = 0; i < 5; i++) {
    assert_int_equal(crowd.rc[i], 0);
    assert_int_equal(crowd.order[i], i);
  }
}

static void broadcast_ends_every_wait_and_counts_them(void** state) {
  struct crowd crowd = {0};
  struct crew crew;

  (void)state;
  gather(&crew, CROWD, &crowd);
  assert_int_equal(pkd_cond_broadcast(&c), CROWD);
  assert_int_equal(pkd_cond_broadcast(&c), 0);
  crew_join(&crew);
  assert_int_equal(crowd.back, CROWD);
  for (unsigned i = 0; i < CROWD; i++)
    assert_int_equal(crowd.rc[i], 0);
}

static void a_signal_under_the_mutex_moves_the_waiter_to_it(void** state) {
  struct crowd crowd = {0};
  struct crew crew;

  (void)state;
  gather(&crew, 3, &crowd);
  pkd_mutex_lock(&m);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(pkd_cond_signal(&c), 1);
    assert_int_equal(waiting_at(&c), 2 - i);
    assert_int_equal(waiting_at(&m), i + 1);
  }
  assert_null(c.lock);
  assert_int_equal(pkd_cond_signal(&c), 0);
  pause_us(1000);
  assert_int_equal(waiting_at(&m), 3); /* and sleeps there, as the others */
  assert_int_equal(count_of(&crowd.back), 0);
  pkd_mutex_unlock_fair(&m);
  crew_join(&crew);
  for (unsigned i = 0; i < 3; i++) {
    assert_int_equal(crowd.rc[i], 0);
    assert_int_equal(crowd.order[i], i);
  }
}

static void a_broadcast_under_the_mutex_starts_no_stampede(void** state) {
  struct crowd crowd = {0};
  struct crew crew;

  (void)state;
  gather(&crew, CROWD, &crowd);
  pkd_mutex_lock(&m);
  assert_int_equal(pkd_cond_broadcast(&c), CROWD);
  assert_int_equal(waiting_at(&c), 0);
  assert_int_equal(moved_to(&m), CROWD); /* nobody was woken */
  pkd_mutex_unlock_fair(&m);
  crew_join(&crew);
  for (unsigned i = 0; i < CROWD; i++)
    assert_int_equal(crowd.order[i], i); /* one by one, in order */
}

static void a_broadcast_with_the_mutex_free_wakes_at_most_one(void** state) {
  struct crowd crowd = {0};
  struct crew crew;

  (void)state;
  for (unsigned round = 0; round < 50; round++) {
    memset(&crowd, 0, sizeof crowd);
    crowd.stay = 1;
    gather(&crew, 4, &crowd);
    assert_int_equal(pkd_cond_broadcast(&c), 4);
    WAIT_FOR(count_of(&crowd.back) == 1);
    assert_int_equal(moved_to(&m), 3);
    __atomic_store_n(&crowd.stay, 0, __ATOMIC_RELEASE);
    crew_join(&crew);
    assert_int_equal(crowd.back, 4);
    assert_int_equal(crowd.order[0], 0); /* the one that was woken */
    assert_int_equal(m.word, 0);
  }
}

static void a_span_beyond_the_clock_ends_with_the_signal(void** state) {
  struct crowd crowd = {.span = {UINT64_MAX, UINT64_MAX - 1, 1000 * SECOND}};
  struct crew crew;

  (void)state;
  gather(&crew, 3, &crowd);
  pause_us(1000);
  assert_int_equal(waiting_at(&c), 3);
  assert_int_equal(pkd_cond_broadcast(&c), 3);
  crew_join(&crew);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(crowd.rc[i], 0);
}

/* --- deadlines ------------------------------------------------------------- */

/* Waiter 0 has a deadline, others wait behind it for ever. We get the mutex
 * while waiter 0 waits, call `then`, and keep the mutex until it has come back.
 * On a busy machine it may be late before we are there: then again, with more
 * time. Returns with the mutex held. */
static void outstay_waiter_0(struct crew* crew, struct crowd* crowd,
                             unsigned size, int (*then)(pkd_cond_t*)) {
  for (uint64_t span = 5 * MS;; span *= 2) {
    memset(crowd, 0, sizeof *crowd);
    crowd->span[0] = span;
    crew_start(crew, 0, wait_once, crowd);
    crew_add(crew);
    WAIT_FOR(waiting_at(&c) == 1 || count_of(&crowd->back) == 1);
    while (crew->size < size)
      crew_add(crew);
    WAIT_FOR(waiting_at(&c) + count_of(&crowd->back) >= size);
    pkd_mutex_lock(&m);
    if (waiting_at(&c) == size && then(&c) == 1) {
      WAIT_FOR(count_of(&crowd->gone) == 1);
      return;
    }
    pkd_mutex_unlock(&m);
    do {
      pkd_cond_broadcast(&c);
      pause_us(50);
    } while (count_of(&crowd->back) + count_of(&crowd->gone) < size);
    crew_join(crew);
  }
}

static int call_nobody(pkd_cond_t* cond) {
  (void)cond;
  return 1;
}

static void a_kept_mutex_does_not_prolong_the_wait(void** state) {
  struct crowd crowd;
  struct crew crew;

  (void)state;
  outstay_waiter_0(&crew, &crowd, 1, call_nobody); /* though m is ours */
  assert_int_equal(crowd.rc[0], PKD_ENOTHELD);
  assert_int_equal(m.word, 1);
  assert_null(c.lock);
  pkd_mutex_unlock(&m);
  crew_join(&crew);
}

static void a_moved_waiter_keeps_its_deadline(void** state) {
  struct crowd crowd;
  struct crew crew;

  (void)state;
  outstay_waiter_0(&crew, &crowd, 1, pkd_cond_signal);
  assert_int_equal(crowd.rc[0], PKD_ENOTHELD);
  assert_int_equal(waiting_at(&m), 0);
  assert_int_equal(m.word, 1); /* P is cleared again */
  pkd_mutex_unlock(&m);
  crew_join(&crew);
}

/* Held and given up by hand, so that nobody is woken in its queue. */
static bool seize_m(void) {
  uint8_t free_word = 0;

  return __atomic_compare_exchange_n(&m.word, &free_word, 1, false,
                                     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void one_that_was_called_in_time_is_not_late(void** state) {
  struct crowd crowd;
  bool met = false;

  (void)state;
  for (uint64_t span = 5 * MS; !met; span *= 2) {
    struct crew crew;
    int called;

    memset(&crowd, 0, sizeof crowd);
    crowd.span[0] = span;
    crew_start(&crew, 1, wait_once, &crowd);
    WAIT_FOR(waiting_at(&c) == 1 || count_of(&crowd.back) == 1);
    WAIT_FOR(seize_m());
    called = pkd_cond_signal(&c); /* it is moved */
    __atomic_store_n(&m.word, 0, __ATOMIC_RELEASE);
    met = called == 1 && waiting_at(&m) == 1;
    crew_join(&crew); /* when it is late there, and finds m free */
  }
  assert_int_equal(crowd.rc[0], 0);
}

static void a_signal_to_one_that_is_late_goes_to_the_next(void** state) {
  struct crowd crowd;
  struct crew crew;

  (void)state;
  outstay_waiter_0(&crew, &crowd, 2, pkd_cond_signal);
  assert_int_equal(crowd.rc[0], PKD_ENOTHELD);
  WAIT_FOR(waiting_at(&c) == 0); /* so the other is moved in its place */
  assert_int_equal(waiting_at(&m), 1);
  pkd_mutex_unlock(&m);
  crew_join(&crew);
  assert_int_equal(crowd.rc[1], 0);
  assert_int_equal(crowd.back, 1);
}

static void a_late_waiter_takes_no_signal_with_it(void** state) {
  struct crowd crowd = {.span = {0, MS, 0}};
  struct crew crew;

  (void)state;
  gather(&crew, 1, &crowd);
  crew_add(&crew); /* from the middle of the queue */
  crew_add(&crew);
  WAIT_FOR(count_of(&crowd.back) + count_of(&crowd.gone) == 1);
  assert_int_not_equal(crowd.rc[1], 0);
  WAIT_FOR(waiting_at(&c) == 2);
  assert_ptr_equal(c.lock, &m); /* it was not the last */
  assert_int_equal(pkd_cond_signal(&c), 1);
  assert_int_equal(pkd_cond_signal(&c), 1);
  assert_int_equal(pkd_cond_signal(&c), 0);
  crew_join(&crew);
  assert_int_equal(crowd.rc[0], 0);
  assert_int_equal(crowd.rc[2], 0);
}

/* --- two mutexes ----------------------------------------------------------- */

static void a_second_mutex_is_refused_and_stays_held(void** state) {
  struct crowd crowd = {0};
  pkd_mutex_t other = PKD_MUTEX_INIT;
  struct crew crew;

  (void)state;
  gather(&crew, 1, &crowd);
  pkd_mutex_lock(&other);
  assert_int_equal(pkd_cond_wait(&c, &other), -EINVAL);
  assert_int_equal(pkd_cond_wait_until(&c, &other, 0), -EINVAL);
  assert_int_equal(pkd_cond_wait_for(&c, &other, SECOND), -EINVAL);
  assert_int_equal(other.word, 1);
  assert_int_equal(waiting_at(&c), 1);
  assert_int_equal(pkd_cond_signal(&c), 1);
  crew_join(&crew);
  assert_int_equal(crowd.rc[0], 0);
  /* nobody waits with the first any more: now it is welcome */
  assert_int_equal(pkd_cond_wait_for(&c, &other, 1000), -ETIMEDOUT);
  pkd_mutex_unlock(&other);
}

/* --- a cascade: parking_lot's issue 129 ------------------------------------ */

struct cascade {
  unsigned late, signalled; /* under m */
  unsigned done;            /* atomic */
};

/* Waits, waits again for a moment, then calls the next. */
static void pass_it_on(void* arg, unsigned number) {
  struct cascade* cascade = arg;
  int rc;

  (void)number;
  pkd_mutex_lock(&m);
  pkd_cond_wait(&c, &m);
  rc = pkd_cond_wait_for(&c, &m, MS);
  if (rc == PKD_ENOTHELD)
    pkd_mutex_lock(&m);
  cascade->late += rc != 0;
  cascade->signalled += rc == 0;
  pkd_cond_signal(&c);
  pkd_mutex_unlock(&m);
  count_up(&cascade->done);
}

static void one_signal_cascades_past_those_that_are_late(void** state) {
  (void)state;
  for (unsigned round = 0; round < 20; round++) {
    struct cascade cascade = {0};
    struct crew crew;

    crew_start(&crew, 4, pass_it_on, &cascade);
    WAIT_FOR(waiting_at(&c) == 4);
    assert_int_equal(pkd_cond_signal(&c), 1);
    WAIT_FOR(count_of(&cascade.done) == 4);
    crew_join(&crew);
    assert_int_equal(cascade.late + cascade.signalled, 4);
    assert_true(cascade.late >= 1); /* nobody was there to call the last */
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish_idle)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(calling_when_nobody_waits_calls_nobody),
      TEST(a_wait_that_is_late_holds_a_free_mutex),
      TEST(waiting_without_the_mutex_stops_the_program),
      TEST(signal_ends_the_wait_of_the_oldest),
      TEST(broadcast_ends_every_wait_and_counts_them),
      TEST(a_signal_under_the_mutex_moves_the_waiter_to_it),
      TEST(a_broadcast_under_the_mutex_starts_no_stampede),
      TEST(a_broadcast_with_the_mutex_free_wakes_at_most_one),
      TEST(a_span_beyond_the_clock_ends_with_the_signal),
      TEST(a_kept_mutex_does_not_prolong_the_wait),
      TEST(a_moved_waiter_keeps_its_deadline),
      TEST(one_that_was_called_in_time_is_not_late),
      TEST(a_signal_to_one_that_is_late_goes_to_the_next),
      TEST(a_late_waiter_takes_no_signal_with_it),
      TEST(a_second_mutex_is_refused_and_stays_held),
      TEST(one_signal_cascades_past_those_that_are_late),
  };
  return cmocka_run_group_tests_name("cond", tests, NULL, NULL);
}
