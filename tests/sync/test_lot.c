/* SPDX-License-Identifier: MIT
 *
 * test_lot.c - the lot with continuations: one thread, nothing left to chance.
 *
 * A continuation's wake only writes down that it came, when and with what. Those
 * unparks that choose have a file of their own, test_lot_choose.c, and so have
 * threads, test_lot_threads.c. */
#include "conts.h"

static int say(void* answer) {
  return *(int*)answer;
}

/* --- enqueue and remove ---------------------------------------------------- */

static void a_continuation_is_woken_once_with_the_token(void** state) {
  struct note note = {.token = 77};

  (void)state;
  conts[0].waiter.token = 5;
  queue(&here, 0, 1);
  assert_int_equal(waiting_at(&here), 1);
  assert_int_equal(conts[0].woken, 0);
  assert_int_equal(pkd_lot_unpark_one(&here, note_finish, &note).unparked, 1);
  assert_int_equal(conts[0].woken, 1);
  assert_true(conts[0].token == 77);
  assert_int_equal(waiting_at(&here), 0);
}

static void validate_decides_whether_it_is_queued(void** state) {
  int yes = 1, no = 0;

  (void)state;
  assert_int_equal(pkd_lot_enqueue(&here, &conts[0].waiter, say, &no), -EAGAIN);
  assert_int_equal(pkd_lot_enqueue_front(&here, &conts[0].waiter, say, &no),
                   -EAGAIN);
  assert_int_equal(waiting_at(&here), 0);
  assert_int_equal(pkd_lot_enqueue(&here, &conts[0].waiter, say, &yes), 0);
  assert_int_equal(waiting_at(&here), 1);
  assert_int_equal(pkd_lot_unpark_all(&here, 0), 1);
  assert_int_equal(conts[0].woken, 1);
}

static void who_is_enqueued_in_front_is_served_first(void** state) {
  (void)state;
  assert_int_equal(pkd_lot_enqueue_front(&here, &conts[9].waiter, NULL, NULL),
                   0);
  queue(&here, 0, 2);
  assert_int_equal(pkd_lot_enqueue_front(&here, &conts[8].waiter, NULL, NULL),
                   0);
  assert_waiting(&here, "8 9 0 1 ");
  pkd_lot_unpark_one(&here, NULL, NULL);
  assert_int_equal(conts[8].woken, 1);
  assert_waiting(&here, "9 0 1 ");
  pkd_lot_unpark_all(&here, 0);
}

static int join_behind(void* arg, pkd_waiter_t* oldest) {
  *(pkd_waiter_t**)arg = oldest;
  return oldest != NULL;
}

static void enqueue_behind_sees_the_oldest_and_may_decline(void** state) {
  pkd_waiter_t* seen = &conts[9].waiter;

  (void)state;
  assert_int_equal(
      pkd_lot_enqueue_behind(&here, &conts[0].waiter, join_behind, &seen),
      -EAGAIN);
  assert_null(seen);
  queue(&here, 1, 2);
  assert_int_equal(
      pkd_lot_enqueue_behind(&here, &conts[0].waiter, join_behind, &seen), 0);
  assert_ptr_equal(seen, &conts[1].waiter);
  assert_waiting(&here, "1 2 0 ");
  pkd_lot_unpark_all(&here, 0);
}

static void remove_at_any_place_keeps_the_order(void** state) {
  static const char* const left[] = {"1 2 3 ", "0 2 3 ", "0 1 3 ", "0 1 2 "};

  (void)state;
  for (unsigned at = 0; at < 4; at++) {
    struct note note = {0};

    queue(&here, 0, 4);
    queue(&there, 4, 1);
    assert_int_equal(pkd_lot_remove(&conts[at].waiter, note_removed, &note), 0);
    assert_int_equal(note.calls, 1);
    assert_ptr_equal(note.key, &here);
    assert_false(note.was_last);
    assert_waiting(&here, left[at]);
    assert_waiting(&there, "4 ");
    assert_int_equal(pkd_lot_unpark_all(&here, 0), 3);
    assert_int_equal(conts[at].woken, at); /* for the earlier rounds */
    assert_int_equal(pkd_lot_remove(&conts[4].waiter, NULL, NULL), 0);
  }
  assert_int_equal(conts[4].woken, 0);
}

static void remove_of_the_only_one_says_it_was_the_last(void** state) {
  struct note note = {0};

  (void)state;
  queue(&here, 0, 1);
  assert_int_equal(pkd_lot_remove(&conts[0].waiter, note_removed, &note), 0);
  assert_int_equal(note.calls, 1);
  assert_true(note.was_last);
  assert_int_equal(waiting_at(&here), 0);
  assert_int_equal(conts[0].woken, 0);
}

static void remove_if_asks_only_about_one_that_is_queued(void** state) {
  struct note note = {0};
  int yes = 1, no = 0;

  (void)state;
  assert_int_equal(
      pkd_lot_remove_if(&conts[0].waiter, say, NULL, note_removed, &note),
      -ENOENT); /* say(NULL) would crash */
  queue(&here, 0, 2);
  assert_int_equal(
      pkd_lot_remove_if(&conts[0].waiter, say, &no, note_removed, &note),
      -EAGAIN);
  assert_int_equal(note.calls, 0);
  assert_waiting(&here, "0 1 ");
  assert_int_equal(
      pkd_lot_remove_if(&conts[0].waiter, say, &yes, note_removed, &note), 0);
  assert_int_equal(note.calls, 1);
  assert_waiting(&here, "1 ");
  pkd_lot_unpark_all(&here, 0);
}

static void remove_of_one_that_is_not_queued_is_enoent(void** state) {
  struct note note = {0};
  pkd_waiter_t* never = &conts[1].waiter;

  (void)state;
  assert_int_equal(pkd_lot_remove(never, note_removed, &note), -ENOENT);
  queue(&here, 0, 1);
  pkd_lot_unpark_one(&here, NULL, NULL);
  assert_int_equal(pkd_lot_remove(&conts[0].waiter, note_removed, &note),
                   -ENOENT);
  queue(&here, 0, 1);
  assert_int_equal(pkd_lot_remove(&conts[0].waiter, NULL, NULL), 0);
  assert_int_equal(pkd_lot_remove(&conts[0].waiter, note_removed, &note),
                   -ENOENT);
  assert_int_equal(note.calls, 0);
}

static const char* program;

/* In a process that is no child of fork: there, what a parent queued is not in
 * the way of what the child queues. */
static void queue_one_twice(void) {
  execl(program, program, "--queue-one-twice", (char*)NULL);
}

static void one_waiter_in_two_queues_stops_the_program(void** state) {
  char words[512];

  (void)state;
  if (WRAPPED)
    skip();
  assert_int_equal(last_words(queue_one_twice, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "pkd_lot_enqueue: "));
  assert_non_null(strstr(words, "is queued already"));
}

/* --- unpark_one and unpark_all --------------------------------------------- */

static void finish_is_called_once_also_when_nobody_waits(void** state) {
  struct note note = {0};
  pkd_unpark_result_t result;

  (void)state;
  queue(&there, 0, 1);
  result = pkd_lot_unpark_one(&here, note_finish, &note);
  assert_int_equal(note.calls, 1);
  assert_int_equal(result.unparked, 0);
  assert_int_equal(result.have_more, 0);
  assert_int_equal(result.be_fair, 0);
  assert_memory_equal(&result, &note.result, sizeof result);
  assert_int_equal(pkd_lot_unpark_all(&there, 0), 1);
}

static void unpark_one_takes_the_oldest_and_says_if_more_wait(void** state) {
  (void)state;
  queue(&here, 0, 3);
  for (unsigned i = 0; i < 3; i++) {
    struct note note = {.token = 100 + i};
    pkd_unpark_result_t result = pkd_lot_unpark_one(&here, note_finish, &note);

    assert_int_equal(result.unparked, 1);
    assert_int_equal(result.requeued, 0);
    assert_int_equal(result.have_more, i < 2);
    assert_int_equal(conts[i].turn, i);
    assert_true(conts[i].token == 100 + i);
  }
}

static void without_finish_the_token_is_zero(void** state) {
  (void)state;
  conts[0].waiter.token = 9;
  conts[0].token = 9;
  queue(&here, 0, 1);
  pkd_lot_unpark_one(&here, NULL, NULL);
  assert_true(conts[0].token == 0);
}

static void unpark_all_wakes_more_than_a_batch_in_order(void** state) {
  (void)state;
  queue(&here, 0, MANY);
  assert_int_equal(pkd_lot_unpark_all(&here, 6), MANY);
  for (unsigned i = 0; i < MANY; i++) {
    assert_int_equal(conts[i].woken, 1);
    assert_int_equal(conts[i].turn, i);
    assert_true(conts[i].token == 6);
  }
  assert_int_equal(pkd_lot_unpark_all(&here, 0), 0);
}

/* A wake under the bucket's lock would wait for itself here. */
static void wake_and_queue_again(pkd_waiter_t* waiter) {
  note_wake(waiter);
  pkd_lot_enqueue(&here, waiter, NULL, NULL);
}

static void unpark_all_ends_although_the_woken_queue_again(void** state) {
  (void)state;
  for (unsigned i = 0; i < MANY; i++)
    conts[i].waiter.wake = wake_and_queue_again;
  queue(&here, 0, MANY);
  assert_int_equal(pkd_lot_unpark_all(&here, 0), MANY);
  for (unsigned i = 0; i < MANY; i++) {
    assert_int_equal(conts[i].woken, 1);
    assert_int_equal(pkd_lot_remove(&conts[i].waiter, NULL, NULL), 0);
  }
}

/* The youngest leaves while the first are woken: then nobody is left to say where
 * the queue ended, and each who is woken queues again. */
static void wake_queue_again_and_take_the_last_away(pkd_waiter_t* waiter) {
  wake_and_queue_again(waiter);
  pkd_lot_remove(&conts[MANY - 1].waiter, NULL, NULL);
}

static void unpark_all_wakes_no_more_than_there_were(void** state) {
  unsigned twice = 0;

  (void)state;
  for (unsigned i = 0; i < MANY; i++)
    conts[i].waiter.wake = wake_queue_again_and_take_the_last_away;
  queue(&here, 0, MANY);
  assert_int_equal(pkd_lot_unpark_all(&here, 0), MANY);
  assert_int_equal(conts[MANY - 1].woken, 0);
  for (unsigned i = 0; i < MANY - 1; i++) {
    twice += conts[i].woken == 2;
    assert_true(conts[i].woken >= 1);
    assert_int_equal(pkd_lot_remove(&conts[i].waiter, NULL, NULL), 0);
  }
  assert_int_equal(twice, 1); /* one has left, so one more was woken */
}

/* All who were there when it began are woken, unless others come to the head. */
static pkd_waiter_t pusher;

static void wake_and_let_one_come_to_the_head(pkd_waiter_t* waiter) {
  note_wake(waiter);
  if (waiter == &conts[0].waiter)
    pkd_lot_enqueue_front(&here, &pusher, NULL, NULL);
}

static void wake_nothing(pkd_waiter_t* waiter) {
  (void)waiter;
}

static void who_comes_to_the_head_takes_the_turn_of_the_youngest(void** state) {
  (void)state;
  pusher = (pkd_waiter_t){.wake = wake_nothing};
  for (unsigned i = 0; i < MANY; i++)
    conts[i].waiter.wake = wake_and_let_one_come_to_the_head;
  queue(&here, 0, MANY);
  assert_int_equal(pkd_lot_unpark_all(&here, 0), MANY);
  assert_int_equal(pkd_lot_remove(&pusher, NULL, NULL), -ENOENT);
  for (unsigned i = 0; i < MANY - 1; i++)
    assert_int_equal(conts[i].woken, 1);
  assert_int_equal(conts[MANY - 1].woken, 0);
  assert_int_equal(pkd_lot_remove(&conts[MANY - 1].waiter, NULL, NULL), 0);
}

static size_t seen_in_wake;

static void wake_and_call_the_lot(pkd_waiter_t* waiter) {
  note_wake(waiter);
  seen_in_wake += waiting_at(&here);
  seen_in_wake += pkd_lot_unpark_one(&here, NULL, NULL).unparked;
}

static void wake_runs_without_the_bucket_lock(void** state) {
  struct note note = {.ops = "w."};

  (void)state;
  seen_in_wake = 0;
  conts[0].waiter.wake = wake_and_call_the_lot;
  queue(&here, 0, 2);
  pkd_lot_unpark_one(&here, NULL, NULL);
  assert_int_equal(seen_in_wake, 2);
  queue(&here, 0, 2);
  pkd_lot_unpark_filter(&here, note_decide, NULL, &note);
  assert_int_equal(seen_in_wake, 4);
  queue(&here, 0, 2);
  note.requeue_op = PKD_REQUEUE_WAKE_ONE;
  pkd_lot_unpark_requeue(&here, &there, note_choose, NULL, 0, &note);
  assert_int_equal(seen_in_wake, 6);
  assert_int_equal(conts[1].woken, 3);
}

/* A waiter's memory may go as soon as it is woken: nothing may be read after. */
static void wake_and_scribble(pkd_waiter_t* waiter) {
  note_wake(waiter);
  memset(waiter, 0xa5, sizeof *waiter);
}

static void a_woken_waiter_is_not_touched_again(void** state) {
  struct note note = {.ops = "www."};

  (void)state;
  for (unsigned i = 0; i < 3; i++)
    conts[i].waiter.wake = wake_and_scribble;
  queue(&here, 0, 3);
  assert_int_equal(pkd_lot_unpark_all(&here, 0), 3);
  start(NULL);
  for (unsigned i = 0; i < 3; i++)
    conts[i].waiter.wake = wake_and_scribble;
  queue(&here, 0, 3);
  pkd_lot_unpark_filter(&here, note_decide, NULL, &note);
  for (unsigned i = 0; i < 3; i++) {
    const unsigned char* bytes = (const unsigned char*)&conts[i].waiter;

    assert_int_equal(conts[i].woken, 1);
    for (size_t at = 0; at < sizeof(pkd_waiter_t); at++)
      assert_int_equal(bytes[at], 0xa5);
  }
}

/* --- looking, and strangers ------------------------------------------------ */

static void for_each_shows_everybody_or_one_address(void** state) {
  struct roll roll = {&there, ""};

  (void)state;
  queue(&here, 0, 2);
  queue(&there, 2, 3);
  assert_int_equal(pkd_lot_for_each(NULL, add_to_roll, &roll), 5);
  assert_string_equal(roll.text, "2 3 4 ");
  assert_int_equal(pkd_lot_for_each(&here, NULL, NULL), 2);
  assert_int_equal(pkd_lot_for_each(&roll, NULL, NULL), 0);
  pkd_lot_unpark_all(&here, 0);
  pkd_lot_unpark_all(&there, 0);
}

static void a_hundred_thousand_strangers_are_no_hindrance(void** state) {
  enum { STRANGERS = 100000 };
  pkd_waiter_t* strangers = calloc(STRANGERS, sizeof *strangers);

  (void)state;
  assert_non_null(strangers);
  for (unsigned i = 0; i < STRANGERS; i++) /* each at its own address */
    assert_int_equal(pkd_lot_enqueue(&strangers[i], &strangers[i], NULL, NULL),
                     0);
  for (unsigned i = 0; i < 1000; i++) {
    queue(&here, 0, 2);
    assert_int_equal(pkd_lot_unpark_one(&here, NULL, NULL).have_more, 1);
    assert_int_equal(pkd_lot_remove(&conts[1].waiter, NULL, NULL), 0);
  }
  assert_int_equal(pkd_lot_for_each(NULL, NULL, NULL), STRANGERS);
  for (unsigned i = 0; i < STRANGERS; i++)
    assert_int_equal(
        pkd_lot_remove(&strangers[i * 7919u % STRANGERS], NULL, NULL), 0);
  free(strangers);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish_empty)

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      TEST(a_continuation_is_woken_once_with_the_token),
      TEST(validate_decides_whether_it_is_queued),
      TEST(who_is_enqueued_in_front_is_served_first),
      TEST(enqueue_behind_sees_the_oldest_and_may_decline),
      TEST(remove_at_any_place_keeps_the_order),
      TEST(remove_of_the_only_one_says_it_was_the_last),
      TEST(remove_if_asks_only_about_one_that_is_queued),
      TEST(remove_of_one_that_is_not_queued_is_enoent),
      TEST(one_waiter_in_two_queues_stops_the_program),
      TEST(finish_is_called_once_also_when_nobody_waits),
      TEST(unpark_one_takes_the_oldest_and_says_if_more_wait),
      TEST(without_finish_the_token_is_zero),
      TEST(unpark_all_wakes_more_than_a_batch_in_order),
      TEST(unpark_all_ends_although_the_woken_queue_again),
      TEST(unpark_all_wakes_no_more_than_there_were),
      TEST(who_comes_to_the_head_takes_the_turn_of_the_youngest),
      TEST(wake_runs_without_the_bucket_lock),
      TEST(a_woken_waiter_is_not_touched_again),
      TEST(for_each_shows_everybody_or_one_address),
      TEST(a_hundred_thousand_strangers_are_no_hindrance),
  };

  program = argv[0];
  if (argc == 2 && strcmp(argv[1], "--queue-one-twice") == 0) {
    pkd_lot_enqueue(&here, &conts[0].waiter, NULL, NULL);
    pkd_lot_enqueue(&there, &conts[0].waiter, NULL, NULL);
    return 0;
  }
  return cmocka_run_group_tests_name("lot", tests, NULL, NULL);
}
