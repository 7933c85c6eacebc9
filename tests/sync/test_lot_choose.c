/* SPDX-License-Identifier: MIT
 *
 * test_lot_choose.c - the unparks that choose: filter, requeue, and when to be
 * fair; with continuations and one thread. */
#include "conts.h"

/* --- unpark_filter --------------------------------------------------------- */

static void filter_does_to_each_what_decide_says(void** state) {
  struct note note = {.ops = "swtsw.", .token = 3};
  pkd_unpark_result_t result;

  (void)state;
  queue(&here, 0, 8);
  result = pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 6);
  for (unsigned i = 0; i < 6; i++)
    assert_ptr_equal(note.shown[i], &conts[i].waiter);
  assert_int_equal(note.calls, 1);
  assert_int_equal(result.unparked, 3); /* one of them taken */
  assert_int_equal(result.have_more, 1);
  assert_waiting(&here, "0 3 5 6 7 ");
  assert_int_equal(conts[1].turn, 0);
  assert_int_equal(conts[4].turn, 1);
  assert_int_equal(turns, 2);
  assert_true(conts[1].token == 3);
  assert_int_equal(conts[2].woken, 0); /* taken: the caller's */
  assert_int_equal(pkd_lot_remove(&conts[2].waiter, NULL, NULL), -ENOENT);
  assert_int_equal(pkd_lot_unpark_all(&here, 0), 5);
}

static void filter_puts_first_whom_decide_says(void** state) {
  struct note note = {.ops = "ffsf."};
  pkd_unpark_result_t result;

  (void)state;
  queue(&here, 0, 5);
  result = pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 5);
  for (unsigned i = 0; i < 5; i++)
    assert_ptr_equal(note.shown[i], &conts[i].waiter);
  assert_int_equal(result.unparked, 0);
  assert_int_equal(result.have_more, 1);
  assert_waiting(&here, "3 1 0 2 4 ");
  note = (struct note){
      .ops = "sssft"}; /* the youngest but one, and the youngest */
  result = pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 5);
  assert_waiting(&here, "2 3 1 0 ");
  note = (struct note){.ops = "sssf"};
  pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 4);
  assert_waiting(&here, "0 2 3 1 ");
  assert_int_equal(pkd_lot_unpark_all(&here, 0), 4);
}

static void a_lone_waiter_is_first_already(void** state) {
  struct note note = {.ops = "f"};

  (void)state;
  queue(&here, 0, 1);
  pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_waiting(&here, "0 ");
  assert_int_equal(pkd_lot_unpark_all(&here, 0), 1);
}

static void filter_of_nobody_only_finishes(void** state) {
  struct note note = {.ops = "w"};

  (void)state;
  pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 0);
  assert_int_equal(note.calls, 1);
  assert_int_equal(note.result.have_more, 0);
}

static void filter_that_stops_at_once_changes_nothing(void** state) {
  struct note note = {.ops = "."};
  pkd_unpark_result_t result;

  (void)state;
  queue(&here, 0, 2);
  result = pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 1);
  assert_int_equal(result.unparked, 0);
  assert_int_equal(result.have_more, 1);
  assert_waiting(&here, "0 1 ");
  pkd_lot_unpark_all(&here, 0);
}

static void filter_that_skips_all_shows_each_once(void** state) {
  struct note note = {.ops = "sss!"};

  (void)state;
  queue(&here, 0, 3);
  pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
  assert_int_equal(note.shown_count, 3);
  assert_int_equal(note.result.have_more, 1);
  assert_waiting(&here, "0 1 2 ");
  pkd_lot_unpark_all(&here, 0);
}

static void filter_that_leaves_nobody_has_no_more(void** state) {
  static const char* const all[] = {"www!", "ttt!", "wtw!"};

  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    struct note note = {.ops = all[i]};

    queue(&here, 0, 3);
    queue(&there, 3, 1); /* a stranger is not counted */
    pkd_lot_unpark_filter(&here, note_decide, note_finish, &note);
    assert_int_equal(note.result.unparked, 3);
    assert_int_equal(note.result.have_more, 0);
    assert_int_equal(waiting_at(&here), 0);
    assert_int_equal(pkd_lot_unpark_all(&there, 0), 1);
  }
}

/* In finish() the taken are out of the queue and their memory is the caller's:
 * it may even queue one elsewhere later, here it reuses the links. */
static uint64_t use_the_taken(void* arg, const pkd_unpark_result_t* result) {
  struct note* note = arg;

  note->result = *result;
  for (unsigned i = 0; i < note->shown_count; i++)
    memset(note->shown[i], 0x5a, sizeof *note->shown[i]);
  return 0;
}

static void in_finish_the_taken_are_the_callers(void** state) {
  struct note note = {.ops = "ttt!"};

  (void)state;
  queue(&here, 0, 3);
  pkd_lot_unpark_filter(&here, note_decide, use_the_taken, &note);
  assert_int_equal(note.result.unparked, 3);
  assert_int_equal(waiting_at(&here), 0);
}

/* --- unpark_requeue -------------------------------------------------------- */

/* Waiters 0 1 2 at `from`, 8 9 at `to`; what the operation leaves. */
struct requeue_row {
  pkd_requeue_op_t op;
  size_t unparked, requeued;
  const char* from;
  const char* to;
};

static const struct requeue_row requeue_rows[] = {
    {PKD_REQUEUE_ABORT, 0, 0, "0 1 2 ", "8 9 "},
    {PKD_REQUEUE_WAKE_ONE, 1, 0, "1 2 ", "8 9 "},
    {PKD_REQUEUE_MOVE_ONE, 0, 1, "1 2 ", "8 9 0 "},
    {PKD_REQUEUE_WAKE_MOVE_ALL, 1, 2, "", "8 9 1 2 "},
    {PKD_REQUEUE_MOVE_ALL, 0, 3, "", "8 9 0 1 2 "},
};

static void check_requeue(const struct requeue_row* row, bool one_bucket,
                          bool to_empty, bool swapped) {
  struct note note = {.requeue_op = row->op, .token = 4};
  const void *from, *to;
  pkd_unpark_result_t result;

  if (swapped)
    two_addresses(one_bucket, &to, &from);
  else
    two_addresses(one_bucket, &from, &to);
  start(NULL);
  queue(from, 0, 3);
  if (!to_empty)
    queue(to, 8, 2);
  result = pkd_lot_unpark_requeue(from, to, note_choose, note_finish, 7, &note);
  assert_int_equal(note.shown_count, 1);
  assert_ptr_equal(note.shown[0], &conts[0].waiter);
  assert_int_equal(note.calls, 1);
  assert_memory_equal(&result, &note.result, sizeof result);
  assert_int_equal(result.unparked, row->unparked);
  assert_int_equal(result.requeued, row->requeued);
  assert_int_equal(result.have_more, row->from[0] != '\0');
  assert_waiting(from, row->from);
  assert_waiting(to, row->to + (to_empty ? 4 : 0));
  assert_int_equal(conts[0].woken, row->unparked);
  assert_int_equal(turns, row->unparked);
  if (row->unparked != 0)
    assert_true(conts[0].token == 4);
  for (unsigned i = 0; i < 10; i++) {
    bool moved = i < 3 &&
                 pkd_lot_remove(&conts[i].waiter, note_removed, &note) == 0 &&
                 note.key == to;

    assert_int_equal(conts[i].waiter.state, moved ? 7 : 0);
  }
  pkd_lot_unpark_all(to, 0);
}

static void requeue_does_each_operation_in_order(void** state) {
  (void)state;
  for (unsigned i = 0; i < sizeof requeue_rows / sizeof requeue_rows[0]; i++) {
    for (unsigned how = 0; how < 8; how++)
      check_requeue(&requeue_rows[i], how & 1, (how & 2) != 0, (how & 4) != 0);
  }
}

static void requeue_from_nobody_only_finishes(void** state) {
  struct note note = {.requeue_op = PKD_REQUEUE_MOVE_ALL};

  (void)state;
  queue(&there, 0, 1);
  pkd_lot_unpark_requeue(&here, &there, note_choose, note_finish, 0, &note);
  assert_int_equal(note.shown_count, 0);
  assert_int_equal(note.calls, 1);
  assert_int_equal(note.result.have_more, 0);
  assert_waiting(&there, "0 ");
  pkd_lot_unpark_all(&there, 0);
}

static void requeue_to_the_same_address_keeps_everybody(void** state) {
  struct note note = {.requeue_op = PKD_REQUEUE_MOVE_ALL};

  (void)state;
  queue(&here, 0, 3);
  pkd_lot_unpark_requeue(&here, &here, note_choose, note_finish, 0, &note);
  assert_waiting(&here, "0 1 2 ");
  note.requeue_op = PKD_REQUEUE_MOVE_ONE;
  pkd_lot_unpark_requeue(&here, &here, note_choose, note_finish, 0, &note);
  assert_waiting(&here, "1 2 0 ");
  assert_int_equal(note.result.have_more, 1);
  pkd_lot_unpark_all(&here, 0);
}

static void remove_after_a_requeue_names_the_new_address(void** state) {
  struct note note = {.requeue_op = PKD_REQUEUE_MOVE_ALL};

  (void)state;
  queue(&here, 0, 1);
  conts[0].waiter.state = 9;
  pkd_lot_unpark_requeue(&here, &there, note_choose, NULL, 0, &note);
  assert_int_equal(conts[0].waiter.state, 9); /* 0 gives no state */
  assert_int_equal(pkd_lot_remove(&conts[0].waiter, note_removed, &note), 0);
  assert_ptr_equal(note.key, &there);
  assert_true(note.was_last);
}

/* --- fairness -------------------------------------------------------------- */

static int fair_after(uint32_t due) {
  struct note note = {.ops = "w!", .requeue_op = PKD_REQUEUE_WAKE_ONE};
  int fair;

  conts[0].waiter.due = due;
  queue(&here, 0, 1);
  fair = pkd_lot_unpark_one(&here, NULL, NULL).be_fair;
  queue(&here, 0, 1);
  assert_int_equal(
      pkd_lot_unpark_filter(&here, note_decide, NULL, &note).be_fair, fair);
  queue(&here, 0, 1);
  assert_int_equal(
      pkd_lot_unpark_requeue(&here, &there, note_choose, NULL, 0, &note)
          .be_fair,
      fair);
  return fair;
}

static void an_unpark_is_fair_to_who_is_past_its_due(void** state) {
  (void)state;
  assert_true(fair_after(pkd_lot_due(pkd_now())));
  assert_true(fair_after(pkd_lot_due(pkd_now() - 10 * MS)));
  assert_true(fair_after(pkd_lot_due(pkd_now() - 37 * 60 * SECOND)));
  assert_true(fair_after(pkd_lot_due(pkd_now() - 4 * 3600 * SECOND)));
  assert_false(fair_after(pkd_lot_due(pkd_after(600 * SECOND))));
  assert_false(fair_after(0)); /* never */
}

static void the_first_dequeued_decides_not_the_first_shown(void** state) {
  struct note note = {.ops = "sw."};
  struct note again = {.ops = "sw."};

  (void)state;
  conts[0].waiter.due = pkd_lot_due(pkd_now());
  queue(&here, 0, 3);
  assert_false(pkd_lot_unpark_filter(&here, note_decide, NULL, &note).be_fair);
  pkd_lot_unpark_all(&here, 0);
  conts[0].waiter.due = 0;
  conts[1].waiter.due = pkd_lot_due(pkd_now());
  queue(&here, 0, 3);
  assert_true(pkd_lot_unpark_filter(&here, note_decide, NULL, &again).be_fair);
  pkd_lot_unpark_all(&here, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish_empty)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(filter_does_to_each_what_decide_says),
      TEST(filter_puts_first_whom_decide_says),
      TEST(a_lone_waiter_is_first_already),
      TEST(filter_of_nobody_only_finishes),
      TEST(filter_that_stops_at_once_changes_nothing),
      TEST(filter_that_skips_all_shows_each_once),
      TEST(filter_that_leaves_nobody_has_no_more),
      TEST(in_finish_the_taken_are_the_callers),
      TEST(requeue_does_each_operation_in_order),
      TEST(requeue_from_nobody_only_finishes),
      TEST(requeue_to_the_same_address_keeps_everybody),
      TEST(remove_after_a_requeue_names_the_new_address),
      TEST(an_unpark_is_fair_to_who_is_past_its_due),
      TEST(the_first_dequeued_decides_not_the_first_shown),
  };
  return cmocka_run_group_tests_name("lot, choosing", tests, NULL, NULL);
}
