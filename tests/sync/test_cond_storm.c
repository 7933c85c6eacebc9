/* SPDX-License-Identifier: MIT
 *
 * test_cond_storm.c - pkd_cond_t in use: bounded queues, an account of every
 * signal, and the end of its memory's life. */
#include "kit.h"

#include <parkade/cond.h>

static uint64_t seed;

/* --- bounded queues: parking_lot's matrix ---------------------------------- */

enum { SLOTS_MAX = 100 };

struct channel {
  pkd_mutex_t m;
  pkd_cond_t not_empty, not_full;
  bool broadcast, timed;
  unsigned slots, producers, messages; /* messages: of each producer */
  unsigned ring[SLOTS_MAX], head, count;
  unsigned left;    /* to be received, of all */
  unsigned* seen;   /* per message number, how often */
  unsigned refused; /* a wait that answered something else */
};

static void wait_on(struct channel* ch, pkd_cond_t* cond) {
  int rc = ch->timed ? pkd_cond_wait_for(cond, &ch->m, 50000)
                     : pkd_cond_wait(cond, &ch->m);

  if (rc == PKD_ENOTHELD)
    pkd_mutex_lock(&ch->m);
  else if (rc != 0 && !(ch->timed && rc == -ETIMEDOUT))
    ch->refused++;
}

static void call(const struct channel* ch, pkd_cond_t* cond) {
  if (ch->broadcast)
    pkd_cond_broadcast(cond);
  else
    pkd_cond_signal(cond);
}

static void produce(struct channel* ch) {
  for (unsigned i = 0; i < ch->messages; i++) {
    pkd_mutex_lock(&ch->m);
    while (ch->count == ch->slots)
      wait_on(ch, &ch->not_full);
    ch->ring[(ch->head + ch->count++) % ch->slots] = i;
    call(ch, &ch->not_empty);
    pkd_mutex_unlock(&ch->m);
  }
}

static void consume(struct channel* ch) {
  pkd_mutex_lock(&ch->m);
  while (ch->left > 0) {
    if (ch->count == 0) {
      wait_on(ch, &ch->not_empty);
      continue;
    }
    ch->seen[ch->ring[ch->head]]++;
    ch->head = (ch->head + 1) % ch->slots;
    ch->count--;
    if (--ch->left == 0)
      pkd_cond_broadcast(&ch->not_empty); /* the other consumers may go */
    call(ch, &ch->not_full);
  }
  pkd_mutex_unlock(&ch->m);
}

static void produce_or_consume(void* arg, unsigned number) {
  struct channel* ch = arg;

  if (number < ch->producers)
    produce(ch);
  else
    consume(ch);
}

static void run_channel(unsigned producers, unsigned consumers, unsigned slots,
                        unsigned messages, bool broadcast, bool timed) {
  struct channel ch = {.broadcast = broadcast,
                       .timed = timed,
                       .slots = slots,
                       .producers = producers,
                       .messages = messages,
                       .left = producers * messages};
  struct crew crew;

  ch.seen = calloc(messages, sizeof *ch.seen);
  assert_non_null(ch.seen);
  crew_start(&crew, producers + consumers, produce_or_consume, &ch);
  crew_join(&crew);
  for (unsigned i = 0; i < messages; i++)
    assert_int_equal(ch.seen[i], producers);
  assert_int_equal(ch.refused, 0);
  assert_int_equal(ch.m.word, 0);
  assert_null(ch.not_empty.lock);
  assert_null(ch.not_full.lock);
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), 0);
  free(ch.seen);
}

static void nothing_is_lost_from_one_to_one_through_one_slot(void** state) {
  (void)state;
  run_channel(1, 1, 1, ROUNDS(5000), false, false);
  run_channel(1, 1, 1, ROUNDS(5000), false, true);
}

static void nothing_is_lost_from_one_to_one_through_a_hundred(void** state) {
  (void)state;
  run_channel(1, 1, 100, ROUNDS(50000), false, false);
  run_channel(1, 1, 100, ROUNDS(50000), false, true);
}

static void nothing_is_lost_from_ten_to_one(void** state) {
  (void)state;
  run_channel(10, 1, 1, ROUNDS(500), true, false);
  run_channel(10, 1, 100, ROUNDS(2000), true, false);
  run_channel(10, 1, 100, ROUNDS(2000), false, false);
}

static void nothing_is_lost_from_one_to_ten(void** state) {
  (void)state;
  run_channel(1, 10, 1, ROUNDS(2000), false, false);
  run_channel(1, 10, 100, ROUNDS(5000), true, false);
  run_channel(1, 10, 100, ROUNDS(5000), false, false);
}

static void nothing_is_lost_from_ten_to_ten(void** state) {
  (void)state;
  run_channel(10, 10, 1, ROUNDS(500), true, false);
  run_channel(10, 10, 100, ROUNDS(2000), true, false);
  run_channel(10, 10, 100, ROUNDS(2000), false, false);
  run_channel(10, 10, 3, ROUNDS(500), false, true);
}

/* --- the account of signals ------------------------------------------------ */

enum { WAITERS = 4, CALLERS = 2 };

struct account {
  pkd_mutex_t m;
  pkd_cond_t c;
  uint64_t called[CALLERS]; /* waits that were said to end */
  unsigned ended[WAITERS];  /* waits that returned 0 */
  unsigned other[WAITERS];  /* waits that returned anything not allowed */
  bool timed, stop;         /* stop: under m */
  unsigned calls;           /* of each caller */
  unsigned back;            /* atomic */
};

static void keep_waiting(struct account* a, unsigned number) {
  rng_t rng = rng_stream(seed, number);

  pkd_mutex_lock(&a->m);
  while (!a->stop) {
    int rc = a->timed ? pkd_cond_wait_for(&a->c, &a->m, rng_below(&rng, 60000))
                      : pkd_cond_wait(&a->c, &a->m);

    a->ended[number] += rc == 0;
    a->other[number] +=
        rc != 0 && !(a->timed && (rc == -ETIMEDOUT || rc == PKD_ENOTHELD));
    if (rc == PKD_ENOTHELD)
      pkd_mutex_lock(&a->m);
  }
  pkd_mutex_unlock(&a->m);
  count_up(&a->back);
}

static void keep_calling(struct account* a, unsigned number) {
  rng_t rng = rng_stream(seed, 100 + number);

  for (unsigned i = 0; i < a->calls; i++) {
    bool under = rng_below(&rng, 2) == 0;
    size_t called;

    if (under)
      pkd_mutex_lock(&a->m);
    if (rng_below(&rng, 8) == 0)
      called = pkd_cond_broadcast(&a->c);
    else
      called = (size_t)pkd_cond_signal(&a->c);
    if (under)
      pkd_mutex_unlock(&a->m);
    a->called[number] += called;
    if (called == 0)
      sched_yield(); /* let them come back */
  }
}

static void wait_or_call(void* arg, unsigned number) {
  if (number < WAITERS)
    keep_waiting(arg, number);
  else
    keep_calling(arg, number - WAITERS);
}

/* @return waits said to have ended, less waits that ended */
static int64_t run_account(bool timed, unsigned calls) {
  struct account a = {.timed = timed, .calls = calls};
  int64_t balance = 0;
  struct crew crew;

  crew_start(&crew, WAITERS + CALLERS, wait_or_call, &a);
  for (unsigned i = WAITERS; i < WAITERS + CALLERS; i++)
    pthread_join(crew.threads[i], NULL);
  while (count_of(&a.back) < WAITERS) {
    pkd_mutex_lock(&a.m);
    a.stop = true;
    balance += (int64_t)pkd_cond_broadcast(&a.c);
    pkd_mutex_unlock(&a.m);
    pause_us(50);
  }
  crew.size = WAITERS;
  crew_join(&crew);
  for (unsigned i = 0; i < CALLERS; i++) {
    assert_true(a.called[i] > 0);
    balance += (int64_t)a.called[i];
  }
  for (unsigned i = 0; i < WAITERS; i++) {
    balance -= a.ended[i];
    assert_int_equal(a.other[i], 0);
  }
  assert_int_equal(a.m.word, 0);
  assert_null(a.c.lock);
  return balance;
}

static void each_wait_that_ends_was_called_and_each_call_ends_one(void** s) {
  (void)s;
  assert_int_equal(run_account(false, ROUNDS(50000)), 0);
}

/* One that was called and then could not have the mutex in time returns without
 * a 0, so there may be calls to spare, but never a wait that ended uncalled. */
static void with_deadlines_no_wait_ends_uncalled_either(void** state) {
  (void)state;
  assert_true(run_account(true, ROUNDS(30000)) >= 0);
}

static void on_signal(int number) {
  (void)number;
}

static void signals_end_no_wait(void** state) {
  struct account a = {0};
  struct sigaction action, old;
  struct crew crew;

  (void)state;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal; /* no SA_RESTART: each sleep is broken */
  sigaction(SIGUSR1, &action, &old);
  crew_start(&crew, WAITERS, wait_or_call, &a);
  WAIT_FOR(waiting_at(&a.c) == WAITERS);
  for (unsigned i = 0; i < ROUNDS(500); i++) {
    for (unsigned k = 0; k < WAITERS; k++)
      pthread_kill(crew.threads[k], SIGUSR1);
    pause_us(20);
  }
  assert_int_equal(waiting_at(&a.c), WAITERS);
  pkd_mutex_lock(&a.m);
  a.stop = true;
  assert_int_equal(pkd_cond_broadcast(&a.c), WAITERS);
  pkd_mutex_unlock(&a.m);
  crew_join(&crew);
  sigaction(SIGUSR1, &old, NULL);
  for (unsigned i = 0; i < WAITERS; i++)
    assert_int_equal(a.ended[i], 1);
}

/* --- the end of its memory's life ------------------------------------------ */

/* Mutex and condition of one object; whoever is last out frees it, while the
 * unlock or broadcast that let it out may still be on its way home. A touch after
 * that is an error under AddressSanitizer, and a scribbled mutex without it. */
struct object {
  pkd_mutex_t m;
  pkd_cond_t c;
  bool open;           /* under m */
  unsigned references; /* under m */
};

enum { GUESTS = 3 };

static void drop_reference(struct object* object) {
  bool last = --object->references == 0;

  pkd_mutex_unlock(&object->m);
  if (last) {
    memset(object, 0xa5, sizeof *object);
    free(object);
  }
}

static void wait_for_the_opening(void* arg, unsigned number) {
  struct object* object = arg;

  (void)number;
  pkd_mutex_lock(&object->m);
  while (!object->open)
    pkd_cond_wait(&object->c, &object->m);
  drop_reference(object);
}

static void it_may_be_freed_right_after_a_broadcast(void** state) {
  (void)state;
  for (unsigned round = 0; round < ROUNDS(2000); round++) {
    struct object* object = calloc(1, sizeof *object);
    struct crew crew;

    assert_non_null(object);
    object->references = GUESTS + (round % 2);
    crew_start(&crew, GUESTS, wait_for_the_opening, object);
    if (round % 4 < 2)
      WAIT_FOR(waiting_at(&object->c) == GUESTS);
    pkd_mutex_lock(&object->m);
    object->open = true;
    if (round % 2 == 0) {
      pkd_cond_broadcast(&object->c);
      pkd_mutex_unlock(&object->m);
    } else {
      pkd_mutex_unlock(&object->m);
      pkd_cond_broadcast(&object->c); /* our reference keeps it alive */
      pkd_mutex_lock(&object->m);
      drop_reference(object);
    }
    crew_join(&crew);
  }
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_lost_from_one_to_one_through_one_slot),
      cmocka_unit_test(nothing_is_lost_from_one_to_one_through_a_hundred),
      cmocka_unit_test(nothing_is_lost_from_ten_to_one),
      cmocka_unit_test(nothing_is_lost_from_one_to_ten),
      cmocka_unit_test(nothing_is_lost_from_ten_to_ten),
      cmocka_unit_test(each_wait_that_ends_was_called_and_each_call_ends_one),
      cmocka_unit_test(with_deadlines_no_wait_ends_uncalled_either),
      cmocka_unit_test(signals_end_no_wait),
      cmocka_unit_test(it_may_be_freed_right_after_a_broadcast),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("cond in a storm", tests, NULL, NULL);
}
