/* SPDX-License-Identifier: MIT
 *
 * test_lot_threads.c - the lot with threads: parking, deadlines, the races
 * between them, and the odd moments of a thread's and a process's life. */
#include "kit.h"

#include <parkade/mutex.h>

static char here, there; /* two addresses */

static int say(void* answer) {
  return *(int*)answer;
}

static int yes_always(void* arg) {
  (void)arg;
  return 1;
}

/* --- parking alone --------------------------------------------------------- */

struct note {
  unsigned slept, late;
  const void* key;
  int was_last;
  size_t queued;
  int answer;
};

static void note_sleep(void* arg) {
  struct note* note = arg;

  note->slept++;
  note->queued = waiting_at(&here);
}

static void note_late(void* arg, const void* key, int was_last) {
  struct note* note = arg;

  note->late++;
  note->key = key;
  note->was_last = was_last;
}

static int note_validate(void* arg) {
  return ((struct note*)arg)->answer;
}

static void park_gives_up_at_once_when_validate_says_no(void** state) {
  struct note note = {.answer = 0};
  pkd_park_t how = {note_validate, note_sleep, note_late, &note, 1, 0, 0};
  pkd_parked_t parked = {99, 99};

  (void)state;
  assert_int_equal(pkd_lot_park(&here, &how, PKD_FOREVER, &parked), -EAGAIN);
  assert_int_equal(note.slept, 0);
  assert_int_equal(note.late, 0);
  assert_true(parked.token == 99 && parked.state == 99);
  assert_int_equal(waiting_at(&here), 0);
}

static void park_ends_at_a_deadline_past_now_or_to_come(void** state) {
  pkd_deadline_t soon = pkd_after(2 * MS);
  const pkd_deadline_t deadlines[] = {0, 1, pkd_now() - SECOND, pkd_now(),
                                      soon};

  (void)state;
  for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
    struct note note = {.answer = 1};
    pkd_park_t how = {note_validate, note_sleep, note_late, &note, 31, 0, 0};
    pkd_parked_t parked = {0, 9};

    assert_int_equal(pkd_lot_park(&here, &how, deadlines[i], &parked),
                     -ETIMEDOUT);
    assert_true(pkd_now() >= deadlines[i]);
    assert_int_equal(note.slept, 1);
    assert_int_equal(note.queued, 1); /* queued before before_sleep runs */
    assert_int_equal(note.late, 1);
    assert_ptr_equal(note.key, &here);
    assert_true(note.was_last);
    assert_true(parked.token == 31); /* the park token */
    assert_true(parked.state == 0);
  }
}

static void park_without_callbacks_or_result_is_fine(void** state) {
  int yes = 1;
  pkd_park_t how = {.validate = say, .arg = &yes};

  (void)state;
  assert_int_equal(pkd_lot_park(&here, &how, 0, NULL), -ETIMEDOUT);
}

static uint64_t answer_55(void* arg, const pkd_unpark_result_t* result) {
  (void)arg;
  (void)result;
  return 55;
}

static void unpark_here(void* arg) {
  (void)arg;
  pkd_lot_unpark_one(&here, answer_55, NULL);
}

static void an_unpark_before_the_sleep_is_not_lost(void** state) {
  pkd_park_t how = {yes_always, unpark_here, NULL, NULL, 1, 0, 0};
  pkd_parked_t parked;

  (void)state;
  assert_int_equal(pkd_lot_park(&here, &how, PKD_FOREVER, &parked), 0);
  assert_true(parked.token == 55);
  /* chosen in time: a deadline that is over changes nothing */
  assert_int_equal(pkd_lot_park(&here, &how, 0, &parked), 0);
  assert_true(parked.token == 55);
}

static pkd_requeue_op_t move_all(void* arg, pkd_waiter_t* oldest) {
  (void)arg;
  (void)oldest;
  return PKD_REQUEUE_MOVE_ALL;
}

static void requeue_myself(void* arg) {
  note_sleep(arg);
  pkd_lot_unpark_requeue(&here, &there, move_all, NULL, 7, NULL);
}

static void a_late_waiter_is_told_where_it_was_moved(void** state) {
  struct note note = {.answer = 1};
  pkd_park_t how = {note_validate, requeue_myself, note_late, &note, 3, 0, 0};
  pkd_parked_t parked;

  (void)state;
  assert_int_equal(pkd_lot_park(&here, &how, pkd_after(MS), &parked),
                   -ETIMEDOUT);
  assert_int_equal(note.late, 1);
  assert_ptr_equal(note.key, &there);
  assert_true(note.was_last);
  assert_true(parked.token == 3 && parked.state == 7);
  assert_int_equal(waiting_at(&there), 0);
}

static void a_thread_may_wait_in_front(void** state) {
  pkd_waiter_t other = {0};
  struct note note = {.answer = 1};
  pkd_park_t how = {.validate = note_validate,
                    .before_sleep = unpark_here,
                    .arg = &note,
                    .front = 1};

  (void)state;
  pkd_lot_enqueue(&here, &other, NULL, NULL);
  assert_int_equal(pkd_lot_park(&here, &how, PKD_FOREVER, NULL), 0);
  assert_int_equal(pkd_lot_remove(&other, NULL, NULL), 0);
}

/* --- parkers --------------------------------------------------------------- */

static void a_wake_before_the_sleep_ends_it(void** state) {
  pkd_parker_t parker = {0};

  (void)state;
  pkd_parker_wake(&parker);
  assert_int_equal(pkd_parker_sleep(&parker, PKD_FOREVER), 0);
  assert_int_equal(pkd_parker_sleep(&parker, 0), 0); /* woken beats late */
}

static void a_parker_nobody_wakes_is_late(void** state) {
  pkd_parker_t parker = {0};
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_parker_sleep(&parker, 0), -ETIMEDOUT);
  assert_int_equal(pkd_parker_sleep(&parker, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  pkd_parker_wake(&parker);
  assert_int_equal(pkd_parker_sleep(&parker, 0), 0);
}

struct ping_pong {
  pkd_parker_t ping[1000], pong[1000];
  unsigned plain; /* ordered by the parkers alone */
};

static void answer_pings(void* arg, unsigned number) {
  struct ping_pong* game = arg;

  (void)number;
  for (unsigned i = 0; i < 1000; i++) {
    pkd_parker_sleep(&game->ping[i], PKD_FOREVER);
    game->plain++;
    pkd_parker_wake(&game->pong[i]);
  }
}

static void a_wake_publishes_what_came_before(void** state) {
  static struct ping_pong game;
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, answer_pings, &game);
  for (unsigned i = 0; i < 1000; i++) {
    game.plain++;
    pkd_parker_wake(&game.ping[i]);
    pkd_parker_sleep(&game.pong[i], PKD_FOREVER);
  }
  crew_join(&crew);
  assert_int_equal(game.plain, 2000);
}

/* --- chosen at the deadline ------------------------------------------------ */

struct taken {
  pkd_waiter_t* waiter; /* atomic */
  unsigned round;
};

static pkd_unpark_op_t take(void* arg, pkd_waiter_t* waiter) {
  ((struct taken*)arg)->waiter = waiter;
  return PKD_UNPARK_TAKE;
}

static void* wake_the_taken(void* arg) {
  struct taken* taken = arg;

  if (taken->round % 3 != 0)
    pause_us(taken->round % 3 * 100);
  taken->waiter->token = 8;
  taken->waiter->wake(taken->waiter);
  return NULL;
}

static pthread_t late_waker;

/* The deadline is over when we fall asleep, and the waker still on its way. */
static void take_myself(void* arg) {
  pkd_lot_unpark_filter(&here, take, NULL, arg);
  if (pthread_create(&late_waker, NULL, wake_the_taken, arg) != 0)
    abort();
}

static void a_waiter_chosen_at_its_deadline_returns_zero(void** state) {
  (void)state;
  for (unsigned round = 0; round < 100; round++) {
    struct taken taken = {NULL, round};
    pkd_park_t how = {yes_always, take_myself, note_late, &taken, 1, 0, 0};
    pkd_parked_t parked;

    assert_int_equal(pkd_lot_park(&here, &how, 0, &parked), 0);
    assert_true(parked.token == 8);
    pthread_join(late_waker, NULL);
  }
}

/* Deadlines that fall together with unparks: each unpark that found somebody is
 * one park that returned 0, no more and no less. */
enum { RACERS = 4 };

struct race {
  unsigned woken[RACERS], late[RACERS], told[RACERS];
  unsigned done; /* atomic */
  unsigned rounds;
};

static void count_late(void* arg, const void* key, int was_last) {
  (void)key;
  (void)was_last;
  ++*(unsigned*)arg;
}

static void race_to_the_deadline(void* arg, unsigned number) {
  struct race* race = arg;
  uint64_t rng = rng_seed(7, number);

  for (unsigned i = 0; i < race->rounds; i++) {
    pkd_park_t how = {.validate = yes_always,
                      .timed_out = count_late,
                      .arg = &race->told[number]};

    if (pkd_lot_park(&here, &how, pkd_after(rng_below(&rng, 40000)), NULL) == 0)
      race->woken[number]++;
    else
      race->late[number]++;
  }
  count_up(&race->done);
}

static void an_unpark_and_a_deadline_never_both_count(void** state) {
  struct race race = {.rounds = ROUNDS(5000)};
  size_t unparked = 0;
  unsigned woken = 0, late = 0, told = 0;
  struct crew crew;

  (void)state;
  crew_start(&crew, RACERS, race_to_the_deadline, &race);
  while (count_of(&race.done) < RACERS)
    unparked += pkd_lot_unpark_one(&here, NULL, NULL).unparked;
  crew_join(&crew);
  for (unsigned i = 0; i < RACERS; i++) {
    woken += race.woken[i];
    late += race.late[i];
    told += race.told[i];
  }
  assert_int_equal(woken, unparked);
  assert_int_equal(late, told);
  assert_int_equal(woken + late, RACERS * race.rounds);
  assert_int_equal(waiting_at(&here), 0);
}

/* --- a queue of threads ---------------------------------------------------- */

enum { LINE = 20 };

struct line {
  unsigned next; /* turn of the next to leave; under no lock: one at a time */
  unsigned turn[LINE];
  unsigned left; /* atomic */
};

static void stand_in_line(void* arg, unsigned number) {
  struct line* line = arg;
  pkd_park_t how = {.validate = yes_always};

  pkd_lot_park(&here, &how, PKD_FOREVER, NULL);
  line->turn[number] = line->next++;
  count_up(&line->left);
}

static void threads_leave_in_the_order_they_came(void** state) {
  struct line line = {0};
  struct crew crew;

  (void)state;
  crew_start(&crew, 0, stand_in_line, &line);
  for (unsigned i = 0; i < LINE; i++) {
    crew_add(&crew);
    WAIT_FOR(waiting_at(&here) == i + 1);
  }
  for (unsigned i = 0; i < LINE; i++) {
    assert_int_equal(pkd_lot_unpark_one(&here, NULL, NULL).unparked, 1);
    WAIT_FOR(count_of(&line.left) == i + 1);
  }
  crew_join(&crew);
  for (unsigned i = 0; i < LINE; i++)
    assert_int_equal(line.turn[i], i);
}

/* Waiters are moved to and fro while they come, go late and are woken; in the
 * end each is accounted for. */
struct shuttle {
  unsigned rounds, done; /* done: atomic */
  unsigned woken[RACERS], wrong[RACERS];
};

static void note_where(void* arg, const void* key, int was_last) {
  (void)was_last;
  *(const void**)arg = key;
}

static void ride(void* arg, unsigned number) {
  struct shuttle* shuttle = arg;
  uint64_t rng = rng_seed(11, number);

  for (unsigned i = 0; i < shuttle->rounds; i++) {
    const void* where = NULL;
    pkd_park_t how = {
        .validate = yes_always, .timed_out = note_where, .arg = &where};
    int rc =
        pkd_lot_park(&here, &how, pkd_after(rng_below(&rng, 100000)), NULL);

    shuttle->woken[number] += rc == 0;
    if ((rc == 0) != (where == NULL) ||
        (where != NULL && where != &here && where != &there))
      shuttle->wrong[number]++;
  }
  count_up(&shuttle->done);
}

static void nobody_is_lost_between_two_addresses(void** state) {
  struct shuttle shuttle = {.rounds = ROUNDS(3000)};
  size_t unparked = 0;
  unsigned woken = 0;
  uint64_t rng = rng_seed(1, 1);
  struct crew crew;

  (void)state;
  crew_start(&crew, RACERS, ride, &shuttle);
  while (count_of(&shuttle.done) < RACERS) {
    switch (rng_below(&rng, 6)) {
    case 0:
      unparked += pkd_lot_unpark_one(&there, NULL, NULL).unparked;
      break;
    case 1:
      unparked += pkd_lot_unpark_all(&here, 0);
      break;
    case 2:
    case 3:
      pkd_lot_unpark_requeue(&there, &here, move_all, NULL, 0, NULL);
      break;
    default:
      pkd_lot_unpark_requeue(&here, &there, move_all, NULL, 0, NULL);
    }
  }
  crew_join(&crew);
  for (unsigned i = 0; i < RACERS; i++) {
    woken += shuttle.woken[i];
    assert_int_equal(shuttle.wrong[i], 0);
  }
  assert_int_equal(woken, unparked);
  assert_int_equal(waiting_at(&here) + waiting_at(&there), 0);
}

/* --- odd moments ----------------------------------------------------------- */

struct exits {
  pkd_mutex_t m;
  unsigned count;  /* under m */
  unsigned parked; /* atomic */
};

static pthread_key_t exit_key;
static struct exits exits;

/* Runs when the thread's own variables are going; in three rounds. */
static void lock_wait_unlock(void* round) {
  pkd_park_t how = {.validate = yes_always};

  PKD_WITH_MUTEX(&exits.m) {
    exits.count++;
  }
  if (pkd_lot_park(&exits.parked, &how, pkd_after(20000), NULL) == 0)
    count_up(&exits.parked);
  if ((uintptr_t)round < 3)
    pthread_setspecific(exit_key, (void*)((uintptr_t)round + 1));
}

static void exit_with_a_destructor(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pthread_setspecific(exit_key, (void*)(uintptr_t)1);
}

static void destructors_of_a_thread_may_lock_and_park(void** state) {
  const unsigned threads = ROUNDS(1000);
  unsigned unparked = 0;

  (void)state;
  assert_int_equal(pthread_key_create(&exit_key, lock_wait_unlock), 0);
  for (unsigned started = 0; started < threads; started += 20) {
    struct crew crew;

    crew_start(&crew, 20, exit_with_a_destructor, NULL);
    for (unsigned i = 0; i < 20; i++)
      unparked +=
          (unsigned)pkd_lot_unpark_one(&exits.parked, NULL, NULL).unparked;
    crew_join(&crew);
  }
  pthread_key_delete(exit_key);
  assert_int_equal(exits.count, 3 * ((threads + 19) / 20 * 20));
  assert_int_equal(exits.parked, unparked);
  assert_int_equal(exits.m.word, 0);
  assert_int_equal(waiting_at(&exits.parked), 0);
}

struct cancelled {
  int rc; /* of the park */
  unsigned returned;
};

/* Apart from its caller, whose frame AddressSanitizer must find clean when the
 * cancellation unwinds it. */
static __attribute__((noinline)) void park_once(struct cancelled* c) {
  pkd_park_t how = {.validate = yes_always};

  c->rc = pkd_lot_park(&here, &how, PKD_FOREVER, NULL);
  c->returned = 1;
}

static void* park_and_be_cancelled(void* arg) {
  park_once(arg);
  for (;;)
    pthread_testcancel();
  return NULL;
}

static void a_cancelled_thread_leaves_the_queue_whole(void** state) {
  (void)state;
  for (unsigned round = 0; round < 50; round++) {
    struct cancelled c = {-1, 0};
    pthread_t thread;
    void* end;

    assert_int_equal(pthread_create(&thread, NULL, park_and_be_cancelled, &c),
                     0);
    WAIT_FOR(waiting_at(&here) == 1);
    pthread_cancel(thread);
    pause_us(200); /* if it could vanish, it would */
    assert_int_equal(pkd_lot_unpark_one(&here, NULL, NULL).unparked, 1);
    pthread_join(thread, &end);
    assert_ptr_equal(end, PTHREAD_CANCELED);
    assert_int_equal(c.returned, 1);
    assert_int_equal(c.rc, 0);
  }
}

/* Before main: recorded here, looked at by a test; after main: exit code 9. */
static int early_park = 1, early_lock = 1;
static pkd_mutex_t early_mutex;

__attribute__((constructor(101))) static void before_main(void) {
  pkd_park_t how = {.validate = yes_always};

  early_park = pkd_lot_park(&here, &how, pkd_after(1000), NULL);
  early_lock = pkd_mutex_trylock(&early_mutex);
  if (early_lock == 0)
    pkd_mutex_unlock(&early_mutex);
}

static void after_main(void) {
  pkd_park_t how = {.validate = yes_always};
  pkd_waiter_t waiter = {0};

  pkd_mutex_lock(&early_mutex);
  if (pkd_mutex_lock_for(&early_mutex, 1000) != -ETIMEDOUT ||
      pkd_lot_park(&here, &how, 0, NULL) != -ETIMEDOUT ||
      pkd_lot_enqueue(&here, &waiter, NULL, NULL) != 0 ||
      pkd_lot_remove(&waiter, NULL, NULL) != 0)
    _exit(9);
  pkd_mutex_unlock(&early_mutex);
}

__attribute__((destructor(101))) static void long_after_main(void) {
  after_main();
}

static void the_lot_works_before_main(void** state) {
  (void)state;
  assert_int_equal(early_park, -ETIMEDOUT);
  assert_int_equal(early_lock, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, with_a_deadline)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(park_gives_up_at_once_when_validate_says_no),
      TEST(park_ends_at_a_deadline_past_now_or_to_come),
      TEST(park_without_callbacks_or_result_is_fine),
      TEST(an_unpark_before_the_sleep_is_not_lost),
      TEST(a_late_waiter_is_told_where_it_was_moved),
      TEST(a_thread_may_wait_in_front),
      TEST(a_wake_before_the_sleep_ends_it),
      TEST(a_parker_nobody_wakes_is_late),
      TEST(a_wake_publishes_what_came_before),
      TEST(a_waiter_chosen_at_its_deadline_returns_zero),
      TEST(an_unpark_and_a_deadline_never_both_count),
      TEST(threads_leave_in_the_order_they_came),
      TEST(nobody_is_lost_between_two_addresses),
      TEST(destructors_of_a_thread_may_lock_and_park),
      TEST(a_cancelled_thread_leaves_the_queue_whole),
      TEST(the_lot_works_before_main),
  };

  atexit(after_main);
  return cmocka_run_group_tests_name("lot with threads", tests, NULL, NULL);
}
