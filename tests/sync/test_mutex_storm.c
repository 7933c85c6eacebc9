/* SPDX-License-Identifier: MIT
 *
 * test_mutex_storm.c - pkd_mutex_t under many threads, random deadlines and
 * signals, and at the end of its memory's life.
 *
 * What is guarded is plain data, so ThreadSanitizer sees every missing order;
 * after each storm the byte must be zero and the lot empty, which no give-up
 * that forgot to undo something would leave. */
#include "kit.h"

#include <parkade/mutex.h>

enum { THREADS = 6 };

static uint64_t seed;
static pkd_mutex_t m;

static int start(void** state) {
  m.word = 0;
  (void)state;
  return 0;
}

static int finish_free(void** state) {
  (void)state;
  return m.word == 0 && pkd_lot_for_each(NULL, NULL, NULL) == 0 ? 0 : -1;
}

/* --- exact counts ---------------------------------------------------------- */

struct counts {
  unsigned total; /* under m */
  unsigned got[THREADS];
  unsigned early[THREADS]; /* -ETIMEDOUT before the deadline */
  unsigned rounds;
  unsigned done; /* atomic */
};

static void increment(void* arg, unsigned number) {
  struct counts* counts = arg;

  for (unsigned i = 0; i < counts->rounds; i++) {
    pkd_mutex_lock(&m);
    counts->total++;
    pkd_mutex_unlock(&m);
    counts->got[number]++;
  }
}

static void lots_and_lots_of_increments_are_all_there(void** state) {
  struct counts counts = {.rounds = ROUNDS(30000)};
  struct crew crew;

  (void)state;
  crew_start(&crew, THREADS, increment, &counts);
  crew_join(&crew);
  assert_int_equal(counts.total, THREADS * counts.rounds);
}

/* Takes the lock in one of the ways there are.
 * @return 0 if it has it */
static int lock_somehow(struct counts* counts, unsigned number, rng_t* rng) {
  pkd_deadline_t deadline = pkd_after(rng_below(rng, 60000));
  int rc;

  switch (rng_below(rng, 5)) {
  case 0:
    pkd_mutex_lock(&m);
    return 0;
  case 1:
    return pkd_mutex_trylock(&m);
  case 2:
    return pkd_mutex_lock_until(&m, 0);
  default:
    rc = pkd_mutex_lock_until(&m, deadline);
    if (rc == -ETIMEDOUT && pkd_now() < deadline)
      counts->early[number]++;
    return rc;
  }
}

static void unlock_somehow(rng_t* rng) {
  switch (rng_below(rng, 8)) {
  case 0:
    pkd_mutex_unlock_fair(&m);
    break;
  case 1:
    pkd_mutex_bump(&m);
    /* fall through */
  default:
    pkd_mutex_unlock(&m);
  }
}

static void storm(void* arg, unsigned number) {
  struct counts* counts = arg;
  rng_t rng = rng_stream(seed + counts->rounds, number);

  for (unsigned i = 0; i < counts->rounds; i++) {
    if (lock_somehow(counts, number, &rng) != 0)
      continue;
    counts->got[number]++;
    counts->total++;
    if (rng_below(&rng, 16) == 0)
      pause_us((unsigned)rng_below(&rng, 50)); /* so that others are late */
    unlock_somehow(&rng);
  }
  count_up(&counts->done);
}

static void check_counts(const struct counts* counts) {
  unsigned got = 0;

  for (unsigned i = 0; i < THREADS; i++) {
    got += counts->got[i];
    assert_int_equal(counts->early[i], 0);
  }
  assert_int_equal(counts->total, got);
  assert_true(got > 0);
}

static void a_storm_of_deadlines_leaves_the_byte_zero(void** state) {
  (void)state;
  for (unsigned round = 0; round < 20; round++) {
    struct counts counts = {.rounds = ROUNDS(200) + round};
    struct crew crew;

    crew_start(&crew, THREADS, storm, &counts);
    crew_join(&crew);
    check_counts(&counts);
    assert_int_equal(m.word, 0);
    assert_int_equal(waiting_at(&m), 0);
  }
}

static void on_signal(int number) {
  (void)number;
}

static void signals_neither_wake_nor_hasten_anybody(void** state) {
  struct counts counts = {.rounds = ROUNDS(1500)};
  struct sigaction action, old;
  struct crew crew;

  (void)state;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal; /* no SA_RESTART: each wait is broken */
  sigaction(SIGUSR1, &action, &old);
  crew_start(&crew, THREADS, storm, &counts);
  while (count_of(&counts.done) < THREADS) {
    for (unsigned i = 0; i < THREADS; i++)
      pthread_kill(crew.threads[i], SIGUSR1);
    pause_us(50);
  }
  crew_join(&crew);
  sigaction(SIGUSR1, &old, NULL);
  check_counts(&counts);
}

/* --- nobody starves -------------------------------------------------------- */

static void want_one_turn(void* arg, unsigned number) {
  unsigned* served = arg; /* under m */

  (void)number;
  pkd_mutex_lock(&m);
  ++*served;
  pkd_mutex_unlock(&m);
}

/* The hog lets go for no time at all, and mostly has the lock back before anybody
 * who was merely woken could. So each time that all who wait are past their
 * patience, and asleep, its unlock hands the lock over. (That it is always so,
 * unit/test_mutex_byte.c shows, where nobody runs between.) */
static void be_a_hog(void) {
  unsigned served = 0;
  struct crew crew;

  pkd_mutex_lock(&m);
  crew_start(&crew, THREADS, want_one_turn, &served);
  for (unsigned turns = 0; served < THREADS; turns++) {
    pkd_deadline_t patience;

    assert_true(served >= turns);
    WAIT_FOR(waiting_at(&m) == THREADS - served);
    patience = pkd_after(2 * MS);
    WAIT_FOR(pkd_now() > patience);
    pkd_mutex_unlock(&m);
    pkd_mutex_lock(&m);
  }
  pkd_mutex_unlock(&m);
  crew_join(&crew);
}

static void a_hog_cannot_keep_the_lock(void** state) {
  (void)state;
  for (int i = 0; i < 10; i++)
    be_a_hog();
}

/* --- the end of its memory's life ------------------------------------------ */

/* Who drops the last reference frees the object, while the unlock of the other
 * thread may still be on its way home. What was freed must stay as it was left;
 * under AddressSanitizer any touch of it is an error. */
enum { SLOTS = 64, OWNERS = 2 };

struct object {
  pkd_mutex_t m;
  unsigned references; /* under m */
  unsigned char rest[56];
};

struct nursery {
  struct object* current; /* atomic; NULL until the next one is born */
  struct object slots[SLOTS];
  unsigned rounds, touched;
  unsigned arrived; /* atomic */
};

#if defined(__SANITIZE_ADDRESS__)
#define REALLY_FREE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REALLY_FREE 1
#endif
#endif
#ifndef REALLY_FREE
#define REALLY_FREE 0
#endif

static struct object* give_birth(struct nursery* nursery, unsigned round) {
  struct object* object = &nursery->slots[round % SLOTS];

  if (REALLY_FREE) {
    object = malloc(sizeof *object);
  } else if (round >= SLOTS) {
    for (size_t i = 0; i < sizeof *object; i++)
      nursery->touched += ((unsigned char*)object)[i] != 0xa5;
  }
  memset(object, 0, sizeof *object);
  object->references = OWNERS;
  return object;
}

static void bury(struct object* object) {
  memset(object, 0xa5, sizeof *object);
  if (REALLY_FREE)
    free(object);
}

/* @return true if this was the last reference, and the object is buried */
static void drop_reference(struct object* object, bool linger) {
  bool last;

  pkd_mutex_lock(&object->m);
  /* the other finds it held and goes to sleep: then the unlock has to wake it */
  linger = linger && object->references == OWNERS;
  for (unsigned i = 0; linger && i < 20 && waiting_at(&object->m) == 0; i++)
    pause_us(10);
  last = --object->references == 0;
  pkd_mutex_unlock(&object->m);
  if (last)
    bury(object);
}

static void live_and_let_die(void* arg, unsigned number) {
  struct nursery* nursery = arg;
  struct object* object;

  for (unsigned round = 0; round < nursery->rounds; round++) {
    if (number == 0) {
      while (count_of(&nursery->arrived) < round * (OWNERS - 1))
        sched_yield();
      object = give_birth(nursery, round);
      __atomic_store_n(&nursery->current, object, __ATOMIC_RELEASE);
    } else {
      do {
        object = __atomic_exchange_n(&nursery->current, NULL, __ATOMIC_ACQUIRE);
        if (object == NULL)
          sched_yield();
      } while (object == NULL);
      count_up(&nursery->arrived);
    }
    drop_reference(object, round % 64 == 0);
  }
}

static void the_last_owner_may_free_it_after_its_unlock(void** state) {
  static struct nursery nursery;
  struct crew crew;

  (void)state;
  nursery.rounds = ROUNDS(100000);
  crew_start(&crew, OWNERS, live_and_let_die, &nursery);
  crew_join(&crew);
  assert_int_equal(nursery.touched, 0);
}

/* The same memory is a new mutex at once, again and again, with timed waiters:
 * a stale wake may reach a stranger, but nobody ever gets a lock by one. */
struct phoenix {
  pkd_mutex_t m;
  unsigned references, inside, wrong; /* under m */
  unsigned life;                      /* atomic: which one this is */
  unsigned lives;
};

static void live_again_and_again(void* arg, unsigned number) {
  struct phoenix* phoenix = arg;
  rng_t rng = rng_stream(seed, number);

  for (unsigned life = 0; life < phoenix->lives; life++) {
    bool last;

    while (count_of(&phoenix->life) != life)
      sched_yield();
    while (pkd_mutex_lock_for(&phoenix->m, rng_below(&rng, 30000)) != 0) {
    }
    phoenix->wrong += phoenix->inside++ != 0;
    if (rng_below(&rng, 8) == 0)
      pause_us(30);
    phoenix->inside--;
    last = --phoenix->references == 0;
    pkd_mutex_unlock(&phoenix->m);
    if (last) {
      memset(&phoenix->m, 0, sizeof phoenix->m);
      phoenix->references = THREADS;
      count_up(&phoenix->life);
    }
  }
}

static void a_new_mutex_in_the_same_place_is_new(void** state) {
  struct phoenix phoenix = {.references = THREADS, .lives = ROUNDS(3000)};
  struct crew crew;

  (void)state;
  crew_start(&crew, THREADS, live_again_and_again, &phoenix);
  crew_join(&crew);
  assert_int_equal(phoenix.wrong, 0);
  assert_int_equal(phoenix.m.word, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish_free)

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      TEST(lots_and_lots_of_increments_are_all_there),
      TEST(a_storm_of_deadlines_leaves_the_byte_zero),
      TEST(signals_neither_wake_nor_hasten_anybody),
      TEST(a_hog_cannot_keep_the_lock),
      TEST(the_last_owner_may_free_it_after_its_unlock),
      TEST(a_new_mutex_in_the_same_place_is_new),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("mutex in a storm", tests, NULL, NULL);
}
