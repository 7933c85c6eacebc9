/* SPDX-License-Identifier: MIT
 *
 * test_fair_mutex.c - pkd_fair_mutex_t: strictly in turn, whatever happens.
 *
 * A waiter's park token is its thread's number, so the holder can read in the
 * queue who must be next, and who comes next can be checked against it. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/fair_mutex.h>

/* --- order ----------------------------------------------------------------- */

enum { RUNNERS = 16, HANDOFFS = 10000 };

struct relay {
  pkd_fair_mutex_t m;
  /* under m */
  uint64_t expected; /* who the last holder saw at the head; 0: nobody */
  unsigned handoffs;
  unsigned inversions;
  unsigned turns[RUNNERS];
};

static void note_head(void* arg, const void* key, pkd_waiter_t* waiter) {
  uint64_t* head = arg;

  (void)key;
  if (*head == 0)
    *head = waiter->token;
}

static void run_relay(void* arg, unsigned number) {
  struct relay* r = arg;
  bool done = false;

  while (!done) {
    pkd_fair_mutex_lock(&r->m);
    if (r->expected != 0) {
      r->handoffs++;
      r->inversions += r->expected != pkd_thread_id();
    }
    r->turns[number]++;
    r->expected = 0;
    pkd_lot_for_each(&r->m, note_head, &r->expected);
    done = r->handoffs >= HANDOFFS;
    pkd_fair_mutex_unlock(&r->m);
  }
}

static void ten_thousand_handoffs_follow_the_queue(void** state) {
  struct relay r = {.expected = 0};
  unsigned least = HANDOFFS, most = 0;

  (void)state;
  team_run(RUNNERS, run_relay, &r);
  assert_true(r.handoffs >= HANDOFFS);
  assert_int_equal(r.inversions, 0);
  assert_int_equal(r.m.word, 0);
  for (unsigned i = 0; i < RUNNERS; i++) {
    least = r.turns[i] < least ? r.turns[i] : least;
    most = r.turns[i] > most ? r.turns[i] : most;
  }
  print_message("%u hand-offs, 0 inversions, turns per thread %u to %u\n",
                r.handoffs, least, most);
}

struct arrivals {
  pkd_fair_mutex_t m;
  unsigned order[32]; /* under m */
  unsigned served;
};

static void arrive(void* arg, unsigned number) {
  struct arrivals* a = arg;

  pkd_fair_mutex_lock(&a->m);
  a->order[a->served++] = number;
  pkd_fair_mutex_unlock(&a->m);
}

static void waiters_are_served_as_they_came(void** state) {
  struct arrivals a = {.served = 0};
  struct crew crew;

  (void)state;
  pkd_fair_mutex_lock(&a.m);
  crew_start(&crew, 0, arrive, &a);
  for (unsigned i = 0; i < 32; i++) {
    crew_add(&crew);
    WAIT_FOR(waiting_at(&a.m) == i + 1);
  }
  pkd_fair_mutex_unlock(&a.m);
  crew_join(&crew);
  for (unsigned i = 0; i < 32; i++)
    assert_int_equal(a.order[i], i);
}

/* --- nobody comes between -------------------------------------------------- */

struct stage {
  pkd_fair_mutex_t m;
  pkd_cancel_t cancel;
  pkd_deadline_t deadline;
  unsigned entered, leave;
  int rc[CREW_MAX];
  int guarded; /* under m */
};

static void enter_and_stay(void* arg, unsigned number) {
  struct stage* s = arg;

  s->rc[number] =
      pkd_fair_mutex_lock_cancellable(&s->m, &s->cancel, s->deadline);
  if (s->rc[number] != 0)
    return;
  s->guarded++;
  count_up(&s->entered);
  WAIT_FOR(count_of(&s->leave) != 0);
  pkd_fair_mutex_unlock(&s->m);
}

static void a_try_never_comes_between_unlock_and_waiter(void** state) {
  struct stage s = {.deadline = PKD_FOREVER};
  struct crew crew;

  (void)state;
  pkd_fair_mutex_lock(&s.m);
  crew_start(&crew, 1, enter_and_stay, &s);
  WAIT_FOR(waiting_at(&s.m) == 1);
  pkd_fair_mutex_unlock(&s.m);
  assert_int_equal(pkd_fair_mutex_trylock(&s.m), -EBUSY);
  assert_int_equal(pkd_fair_mutex_is_locked(&s.m), 1);
  assert_int_equal(pkd_fair_mutex_lock_until(&s.m, 0), -ETIMEDOUT);
  count_up(&s.leave);
  crew_join(&crew);
  assert_int_equal(pkd_fair_mutex_trylock(&s.m), 0);
  pkd_fair_mutex_unlock(&s.m);
}

static void bump_gives_everyone_who_waits_a_turn(void** state) {
  struct arrivals a = {.served = 0};
  struct crew crew;

  (void)state;
  pkd_fair_mutex_lock(&a.m);
  pkd_fair_mutex_bump(&a.m); /* nobody waits: nothing happens */
  assert_int_equal(a.m.word, 1);
  crew_start(&crew, 5, arrive, &a);
  WAIT_FOR(waiting_at(&a.m) == 5);
  pkd_fair_mutex_bump(&a.m);
  assert_int_equal(a.served, 5);
  pkd_fair_mutex_unlock(&a.m);
  crew_join(&crew);
}

/* --- giving up ------------------------------------------------------------- */

static void deadlines_past_and_to_come_leave_it_as_it_was(void** state) {
  pkd_fair_mutex_t m = PKD_FAIR_MUTEX_INIT;
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_fair_mutex_lock_until(&m, 0), 0); /* free: taken */
  assert_int_equal(pkd_fair_mutex_lock_until(&m, 0), -ETIMEDOUT);
  assert_int_equal(pkd_fair_mutex_lock_until(&m, pkd_now()), -ETIMEDOUT);
  assert_int_equal(pkd_fair_mutex_lock_until(&m, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(pkd_fair_mutex_lock_for(&m, 0), -ETIMEDOUT);
  assert_int_equal(pkd_fair_mutex_lock_for(&m, MS), -ETIMEDOUT);
  assert_int_equal(m.word, 1);
  pkd_fair_mutex_unlock(&m);
  assert_int_equal(pkd_fair_mutex_lock_for(&m, UINT64_MAX), 0);
  pkd_fair_mutex_unlock_fair(&m);
  assert_int_equal(m.word, 0);
}

static void the_last_cancelled_waiter_takes_the_mark_away(void** state) {
  struct stage s = {.deadline = PKD_FOREVER};
  struct crew crew;

  (void)state;
  pkd_fair_mutex_lock(&s.m);
  crew_start(&crew, 8, enter_and_stay, &s);
  WAIT_FOR(waiting_at(&s.cancel) == 8);
  assert_int_equal(s.m.word, 3);
  pkd_cancel_fire(&s.cancel);
  crew_join(&crew);
  for (int i = 0; i < 8; i++)
    assert_int_equal(s.rc[i], -ECANCELED);
  assert_int_equal(s.m.word, 1);
  pkd_fair_mutex_unlock(&s.m);
  assert_int_equal(s.m.word, 0);
}

static uint64_t seed;

static void race_the_deadline(void* arg, unsigned number) {
  struct stage* s = arg;
  rng_t rng = rng_stream(seed, number);

  for (int i = 0; i < ROUNDS(4000); i++) {
    uint64_t span = rng_below(&rng, 40000);

    if (pkd_fair_mutex_lock_for(&s->m, span) == 0) {
      s->guarded++;
      count_up(&s->entered);
      pkd_fair_mutex_unlock(&s->m);
    }
  }
}

static void deadlines_racing_handoffs_lose_nothing(void** state) {
  struct stage s = {.deadline = 0};

  (void)state;
  team_run(6, race_the_deadline, &s);
  assert_int_equal(s.guarded, count_of(&s.entered));
  assert_int_equal(s.m.word, 0);
  assert_int_equal(waiting_at(&s.m), 0);
}

/* --- ends of threads, signals, memory, processes ---------------------------- */

static __attribute__((noinline)) void take_a_turn(struct stage* s) {
  pkd_fair_mutex_lock(&s->m);
  pkd_fair_mutex_unlock(&s->m);
  count_up(&s->entered);
}

/* No locals to speak of: AddressSanitizer does not follow a cancellation. */
static void* lock_and_reach_a_cancellation_point(void* arg) {
  struct stage* s = arg;

  take_a_turn(s);
  pthread_testcancel();
  count_up(&s->leave); /* not reached */
  return NULL;
}

static void a_cancelled_thread_leaves_the_queue_whole(void** state) {
  struct stage s = {.deadline = 0};
  pthread_t victim;
  void* end;

  (void)state;
  pkd_fair_mutex_lock(&s.m);
  pthread_create(&victim, NULL, lock_and_reach_a_cancellation_point, &s);
  WAIT_FOR(waiting_at(&s.m) == 1);
  pthread_cancel(victim);
  assert_int_equal(waiting_at(&s.m), 1); /* it waits on, to have its turn */
  pkd_fair_mutex_unlock(&s.m);
  pthread_join(victim, &end);
  assert_ptr_equal(end, PTHREAD_CANCELED);
  assert_int_equal(count_of(&s.entered), 1);
  assert_int_equal(count_of(&s.leave), 0);
  assert_int_equal(s.m.word, 0);
}

static void on_alarm(int signal) {
  (void)signal;
}

static void signals_do_not_end_a_wait(void** state) {
  struct sigaction act, old;
  struct stage s = {.deadline = PKD_FOREVER};
  struct crew crew;

  (void)state;
  memset(&act, 0, sizeof act);
  act.sa_handler = on_alarm;
  sigaction(SIGUSR1, &act, &old);
  count_up(&s.leave);
  pkd_fair_mutex_lock(&s.m);
  crew_start(&crew, 4, enter_and_stay, &s);
  WAIT_FOR(waiting_at(&s.m) == 4);
  for (int i = 0; i < 400; i++)
    pthread_kill(crew.threads[i % 4], SIGUSR1);
  assert_int_equal(waiting_at(&s.m), 4);
  assert_int_equal(s.guarded, 0);
  pkd_fair_mutex_unlock(&s.m);
  crew_join(&crew);
  assert_int_equal(s.guarded, 4);
  sigaction(SIGUSR1, &old, NULL);
}

static pkd_fair_mutex_t shared;

static void unlock_and_lock_in_the_child(void) {
  pkd_fair_mutex_unlock(&shared); /* the waiters are not in this process */
  if (shared.word != 0 || pkd_fair_mutex_trylock(&shared) != 0)
    _exit(1);
  pkd_fair_mutex_unlock(&shared);
}

static void lock_shared(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_fair_mutex_lock(&shared);
  pkd_fair_mutex_unlock(&shared);
}

static void a_forked_child_is_not_held_up_by_waiters_it_lacks(void** state) {
  struct crew crew;

  (void)state;
  pkd_fair_mutex_lock(&shared);
  crew_start(&crew, 3, lock_shared, NULL);
  WAIT_FOR(waiting_at(&shared) == 3);
  assert_int_equal(run_in_child(unlock_and_lock_in_the_child), 0);
  assert_int_equal(waiting_at(&shared), 3);
  pkd_fair_mutex_unlock(&shared);
  crew_join(&crew);
}

/* --- scopes and misuse ----------------------------------------------------- */

static int leave_by_return(pkd_fair_mutex_t* m) {
  PKD_WITH_FAIR_MUTEX(m) {
    return pkd_fair_mutex_is_locked(m);
  }
  return -1;
}

static void a_scope_unlocks_however_it_is_left(void** state) {
  pkd_fair_mutex_t m = PKD_FAIR_MUTEX_INIT, other = PKD_FAIR_MUTEX_INIT;

  (void)state;
  PKD_WITH_FAIR_MUTEX(&m) {
    PKD_WITH_FAIR_MUTEX(&other) {
      assert_int_equal(pkd_fair_mutex_is_locked(&m), 1);
      break;
    }
    assert_int_equal(other.word, 0);
  }
  assert_int_equal(m.word, 0);
  assert_int_equal(leave_by_return(&m), 1);
  assert_int_equal(m.word, 0);
  PKD_WITH_FAIR_MUTEX(&m) {
    goto out;
  }
out:
  assert_int_equal(m.word, 0);
}

static void unlock_a_free_one(void) {
  pkd_fair_mutex_t m = PKD_FAIR_MUTEX_INIT;

  pkd_fair_mutex_unlock(&m);
}

static void bump_a_free_one(void) {
  pkd_fair_mutex_t m = PKD_FAIR_MUTEX_INIT;

  pkd_fair_mutex_bump(&m);
}

static void misuse_stops_the_program_by_name(void** state) {
  char words[256];

  (void)state;
  SKIP_IF_TSAN_SPEAKS_FIRST();
  assert_int_equal(last_words(unlock_a_free_one, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "pkd_fair_mutex_unlock"));
  assert_non_null(strstr(words, "is not locked"));
  assert_int_equal(last_words(bump_a_free_one, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "pkd_fair_mutex_bump"));
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ten_thousand_handoffs_follow_the_queue),
      cmocka_unit_test(waiters_are_served_as_they_came),
      cmocka_unit_test(a_try_never_comes_between_unlock_and_waiter),
      cmocka_unit_test(bump_gives_everyone_who_waits_a_turn),
      cmocka_unit_test(deadlines_past_and_to_come_leave_it_as_it_was),
      cmocka_unit_test(the_last_cancelled_waiter_takes_the_mark_away),
      cmocka_unit_test(deadlines_racing_handoffs_lose_nothing),
      cmocka_unit_test(a_cancelled_thread_leaves_the_queue_whole),
      cmocka_unit_test(signals_do_not_end_a_wait),
      cmocka_unit_test(a_forked_child_is_not_held_up_by_waiters_it_lacks),
      cmocka_unit_test(a_scope_unlocks_however_it_is_left),
      cmocka_unit_test(misuse_stops_the_program_by_name),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("fair mutex", tests, NULL, NULL);
}
