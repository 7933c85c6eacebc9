/* SPDX-License-Identifier: MIT
 *
 * test_lot_threads.c - the lot with threads: parking, deadlines, and
 * the races between them. */
#include "kit.h"

static uint64_t seed;
static char here, there; /* two addresses */

static int say(void* answer) {
  return *(int*)answer;
}

static int yes_always(void* arg) {
  (void)arg;
  return 1;
}

/* Where the locks tell ThreadSanitizer what they order: the lot does not. */
#define SKIP_IF_TSAN_IS_NOT_TOLD()                                             \
  do {                                                                         \
    if (PKD_TSAN_ANNOTATE)                                                     \
      skip();                                                                  \
  } while (0)

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
  pkd_park_t how = {note_validate, note_sleep, note_late, &note, 1, 0, 0, NULL};
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
    pkd_park_t how = {note_validate, note_sleep, note_late, &note, 31, 0, 0,
                      NULL};
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
  pkd_park_t how = {yes_always, unpark_here, NULL, NULL, 1, 0, 0, NULL};
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
  pkd_park_t how = {note_validate, requeue_myself, note_late, &note, 3, 0, 0,
                    NULL};
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
  SKIP_IF_TSAN_IS_NOT_TOLD();
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
    pkd_park_t how = {yes_always, take_myself, note_late, &taken,
                      1,          0,           0,         NULL};
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
  rng_t rng = rng_stream(seed, number);

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
  SKIP_IF_TSAN_IS_NOT_TOLD();
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
  rng_t rng = rng_stream(seed, number);

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
  rng_t rng = rng_stream(seed, 1);
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

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(park_gives_up_at_once_when_validate_says_no),
      cmocka_unit_test(park_ends_at_a_deadline_past_now_or_to_come),
      cmocka_unit_test(park_without_callbacks_or_result_is_fine),
      cmocka_unit_test(an_unpark_before_the_sleep_is_not_lost),
      cmocka_unit_test(a_late_waiter_is_told_where_it_was_moved),
      cmocka_unit_test(a_thread_may_wait_in_front),
      cmocka_unit_test(a_wake_before_the_sleep_ends_it),
      cmocka_unit_test(a_parker_nobody_wakes_is_late),
      cmocka_unit_test(a_wake_publishes_what_came_before),
      cmocka_unit_test(a_waiter_chosen_at_its_deadline_returns_zero),
      cmocka_unit_test(an_unpark_and_a_deadline_never_both_count),
      cmocka_unit_test(threads_leave_in_the_order_they_came),
      cmocka_unit_test(nobody_is_lost_between_two_addresses),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("lot with threads", tests, NULL, NULL);
}
