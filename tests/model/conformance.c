/* SPDX-License-Identifier: MIT
 *
 * conformance.c - what libuv promises and the library builds on.
 *
 * Where libuv leaves something open, so does the test: sends may coalesce or not,
 * a cancel may come too late. What is asked for here must hold on libuv, from 1.44
 * on, and on the shim, in every schedule. */
#include "conformance.h"

#include <string.h>
#include <uv.h>

#define NOTES 32

static struct {
  uv_loop_t loop;
  uv_async_t async;
  uv_timer_t timer[3];
  uv_idle_t idle;
  uv_prepare_t prepare;
  uv_check_t check[2];
  uv_work_t work[2];
  char notes[NOTES]; /* one letter for each callback, in order */
  int noted;
  int value; /* plain, what another thread leaves */
  bool ran[2];
  int status[2];
  uint64_t now;
} t;

static void begin(void) {
  memset(&t, 0, sizeof t);
  expect(uv_loop_init(&t.loop) == 0);
}

static void end(void) {
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(uv_loop_close(&t.loop) == 0);
}

static void note(char what) {
  if (t.noted < NOTES - 1)
    t.notes[t.noted++] = what;
}

static int count(char what) {
  int n = 0;

  for (int i = 0; i < t.noted; i++)
    n += t.notes[i] == what;
  return n;
}

static bool is(const char* notes) {
  return strcmp(t.notes, notes) == 0;
}

static void on_close(uv_handle_t* handle) {
  (void)handle;
  note('x');
}

static void close_it(void* handle) {
  uv_close(handle, on_close);
}

/* --- a turn ---------------------------------------------------------------- */

static void on_timer(uv_timer_t* timer) {
  note((char)('1' + (timer - t.timer)));
}
static void on_idle(uv_idle_t* idle) {
  (void)idle;
  note('i');
}
static void on_prepare(uv_prepare_t* prepare) {
  (void)prepare;
  note('p');
}
static void on_check(uv_check_t* check) {
  note('c');
  close_it(check);
}

static void a_turn_is_timers_idle_prepare_check_close(void) {
  begin();
  uv_check_init(&t.loop, &t.check[0]);
  uv_check_start(&t.check[0], on_check);
  uv_prepare_init(&t.loop, &t.prepare);
  uv_prepare_start(&t.prepare, on_prepare);
  uv_idle_init(&t.loop, &t.idle);
  uv_idle_start(&t.idle, on_idle);
  uv_timer_init(&t.loop, &t.timer[0]);
  uv_timer_start(&t.timer[0], on_timer, 0, 0);
  uv_run(&t.loop, UV_RUN_NOWAIT);
  /* libuv 1.45 runs what is due after the poll unless it runs by default */
  expect(is("1ipcx") || is("ip1cx"));
  close_it(&t.prepare);
  close_it(&t.idle);
  close_it(&t.timer[0]);
  end();
}

static void an_idle_keeps_the_poll_from_sleeping(void) {
  begin();
  uv_timer_init(&t.loop, &t.timer[0]);
  uv_timer_start(&t.timer[0], on_timer, 3600000, 0);
  uv_idle_init(&t.loop, &t.idle);
  uv_idle_start(&t.idle, on_idle);
  expect(uv_run(&t.loop, UV_RUN_ONCE) != 0);
  expect(is("i"));
  close_it(&t.timer[0]);
  close_it(&t.idle);
  end();
}

static void start_check(uv_prepare_t* prepare) {
  (void)prepare;
  uv_check_start(&t.check[0], on_check);
}

static void a_check_started_before_the_poll_runs_after_it(void) {
  begin();
  uv_check_init(&t.loop, &t.check[0]);
  uv_prepare_init(&t.loop, &t.prepare);
  uv_prepare_start(&t.prepare, start_check);
  uv_idle_init(&t.loop, &t.idle);
  uv_idle_start(&t.idle, on_idle);
  uv_run(&t.loop, UV_RUN_NOWAIT);
  expect(is("icx"));
  close_it(&t.prepare);
  close_it(&t.idle);
  end();
}

static void start_second_check(uv_check_t* check) {
  note('a');
  uv_check_start(&t.check[1], on_check);
  uv_close((uv_handle_t*)check, on_close);
}

static void a_check_started_by_a_check_waits_for_the_next_turn(void) {
  begin();
  uv_check_init(&t.loop, &t.check[0]);
  uv_check_init(&t.loop, &t.check[1]);
  uv_check_start(&t.check[0], start_second_check);
  uv_run(&t.loop, UV_RUN_NOWAIT);
  expect(is("ax"));
  uv_run(&t.loop, UV_RUN_NOWAIT);
  expect(is("axcx"));
  end();
}

static void stop_check(uv_prepare_t* prepare) {
  note('p');
  uv_check_stop(&t.check[0]);
  uv_close((uv_handle_t*)prepare, on_close);
}

static void what_is_stopped_before_its_phase_does_not_run(void) {
  begin();
  uv_check_init(&t.loop, &t.check[0]);
  uv_check_start(&t.check[0], on_check);
  uv_prepare_init(&t.loop, &t.prepare);
  uv_prepare_start(&t.prepare, stop_check);
  uv_run(&t.loop, UV_RUN_NOWAIT);
  expect(is("px"));
  close_it(&t.check[0]);
  end();
}

static void stop_loop(uv_idle_t* idle) {
  (void)idle;
  note('i');
  uv_stop(&t.loop);
}

static void stop_ends_the_run_after_this_turn_and_not_the_next_run(void) {
  begin();
  uv_idle_init(&t.loop, &t.idle);
  uv_idle_start(&t.idle, stop_loop);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) != 0);
  expect(is("i"));
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) != 0);
  expect(is("ii"));
  close_it(&t.idle);
  end();
}

/* --- timers ---------------------------------------------------------------- */

static void timers_run_by_time_then_in_the_order_of_their_start(void) {
  begin();
  for (int i = 0; i < 3; i++)
    uv_timer_init(&t.loop, &t.timer[i]);
  uv_timer_start(&t.timer[2], on_timer, 7, 0);
  uv_timer_start(&t.timer[1], on_timer, 2, 0);
  uv_timer_start(&t.timer[0], on_timer, 7, 0);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("231"));
  for (int i = 0; i < 3; i++)
    close_it(&t.timer[i]);
  end();
}

static void look_at_time(uv_timer_t* timer) {
  note('1');
  expect(uv_now(&t.loop) >= t.now + 5);
  close_it(timer);
}

static void a_timer_is_not_early_and_a_stopped_one_never_comes(void) {
  begin();
  t.now = uv_now(&t.loop);
  uv_timer_init(&t.loop, &t.timer[0]);
  uv_timer_start(&t.timer[0], look_at_time, 5, 0);
  uv_timer_init(&t.loop, &t.timer[1]);
  uv_timer_start(&t.timer[1], on_timer, 1, 0);
  uv_timer_stop(&t.timer[1]);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("1x"));
  close_it(&t.timer[1]);
  end();
}

/* --- async ----------------------------------------------------------------- */

static void on_async(uv_async_t* async) {
  (void)async;
  note('a');
}

static void close_async(uv_async_t* async) {
  note('a');
  close_it(async);
}

static void sends_before_the_run_are_one_callback_at_least(void) {
  begin();
  uv_async_init(&t.loop, &t.async, on_async);
  for (int i = 0; i < 3; i++)
    expect(uv_async_send(&t.async) == 0);
  expect(is(""));
  uv_run(&t.loop, UV_RUN_ONCE);
  expect(count('a') >= 1 && count('a') <= 3);
  close_it(&t.async);
  end();
}

static void send_again(uv_async_t* async) {
  note('a');
  if (count('a') == 1)
    uv_async_send(async);
  else
    close_it(async);
}

static void a_send_in_the_callback_is_not_swallowed(void) {
  begin();
  uv_async_init(&t.loop, &t.async, send_again);
  uv_async_send(&t.async);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("aax"));
  end();
}

static void ring(void* arg) {
  uv_async_send(arg);
}

static void a_send_from_elsewhere_wakes_the_loop(void) {
  begin();
  uv_async_init(&t.loop, &t.async, close_async);
  conformance_spawn(ring, &t.async);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("ax"));
  conformance_join();
  end();
}

static void close_at_two(uv_async_t* async) {
  note('a');
  if (__atomic_load_n(&t.value, __ATOMIC_ACQUIRE) == 2 &&
      !uv_is_closing((uv_handle_t*)async))
    close_it(async);
}

/* What was stored before a send is seen by a callback that comes after it, if the
 * store is ordered by the program: a send that was swallowed has its callback
 * still to come. */
static void count_and_send(void* arg) {
  __atomic_fetch_add(&t.value, 1, __ATOMIC_ACQ_REL);
  uv_async_send(arg);
}

static void the_last_of_two_sends_has_a_callback_after_it(void) {
  begin();
  uv_async_init(&t.loop, &t.async, close_at_two);
  conformance_spawn(count_and_send, &t.async);
  conformance_spawn(count_and_send, &t.async);
  conformance_join(); /* no send to what may be closing */
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(count('a') >= 1 && count('x') == 1);
  end();
}

static void a_send_to_what_closes_has_no_callback(void) {
  begin();
  uv_async_init(&t.loop, &t.async, on_async);
  uv_async_send(&t.async);
  close_it(&t.async);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("x"));
  end();
}

/* --- life ------------------------------------------------------------------ */

static void only_what_is_active_and_referenced_keeps_the_loop_alive(void) {
  begin();
  expect(!uv_loop_alive(&t.loop));
  uv_async_init(&t.loop, &t.async, on_async);
  expect(uv_loop_alive(&t.loop));
  uv_unref((uv_handle_t*)&t.async);
  uv_unref((uv_handle_t*)&t.async);
  expect(!uv_loop_alive(&t.loop));
  uv_timer_init(&t.loop, &t.timer[0]);
  expect(!uv_loop_alive(&t.loop));
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  uv_ref((uv_handle_t*)&t.async);
  expect(uv_loop_alive(&t.loop));
  close_it(&t.async);
  close_it(&t.timer[0]);
  end();
}

static void close_calls_back_later_and_keeps_the_loop_alive_until_then(void) {
  begin();
  uv_idle_init(&t.loop, &t.idle);
  uv_idle_start(&t.idle, on_idle);
  close_it(&t.idle);
  expect(is(""));
  expect(uv_is_closing((uv_handle_t*)&t.idle));
  expect(!uv_is_active((uv_handle_t*)&t.idle));
  expect(uv_loop_alive(&t.loop));
  expect(uv_loop_close(&t.loop) == UV_EBUSY);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  expect(is("x"));
  end();
}

static void an_unreferenced_handle_still_has_its_close_callback(void) {
  begin();
  uv_async_init(&t.loop, &t.async, on_async);
  uv_unref((uv_handle_t*)&t.async);
  close_it(&t.async);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  expect(is("x"));
  end();
}

static void an_unreferenced_async_is_served_while_others_keep_the_loop(void) {
  begin();
  uv_async_init(&t.loop, &t.async, on_async);
  uv_unref((uv_handle_t*)&t.async);
  uv_async_send(&t.async);
  uv_timer_init(&t.loop, &t.timer[0]);
  uv_timer_start(&t.timer[0], on_timer, 2, 0);
  uv_run(&t.loop, UV_RUN_DEFAULT);
  expect(count('a') == 1 && count('1') == 1);
  close_it(&t.async);
  close_it(&t.timer[0]);
  end();
}

static void see(uv_handle_t* handle, void* arg) {
  (void)handle;
  note(*(char*)arg);
}

static void a_walk_sees_every_handle_once(void) {
  char letter = 'w';

  begin();
  uv_async_init(&t.loop, &t.async, on_async);
  uv_idle_init(&t.loop, &t.idle);
  uv_walk(&t.loop, see, &letter);
  expect(is("ww"));
  close_it(&t.async);
  close_it(&t.idle);
  end();
}

/* --- work ------------------------------------------------------------------ */

static void run_work(uv_work_t* work) {
  t.ran[work - t.work] = true;
  t.value++; /* plain: the pool here is one thread */
}

static void after_work(uv_work_t* work, int status) {
  note('w');
  t.status[work - t.work] = status;
}

static void work_runs_elsewhere_and_its_end_on_the_loop(void) {
  begin();
  expect(uv_queue_work(&t.loop, &t.work[0], run_work, after_work) == 0);
  expect(uv_loop_alive(&t.loop) && is(""));
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("w") && t.ran[0] && t.value == 1 && t.status[0] == 0);
  conformance_join();
  end();
}

static void cancel_says_whether_the_work_will_run(void) {
  int rc;

  begin();
  uv_queue_work(&t.loop, &t.work[0], run_work, after_work);
  uv_queue_work(&t.loop, &t.work[1], run_work, after_work);
  rc = uv_cancel((uv_req_t*)&t.work[1]);
  expect(rc == 0 || rc == UV_EBUSY);
  expect(uv_run(&t.loop, UV_RUN_DEFAULT) == 0);
  expect(is("ww") && t.ran[0]);
  expect(t.status[1] == (rc == 0 ? UV_ECANCELED : 0));
  expect(t.ran[1] == (rc != 0));
  conformance_join();
  end();
}

#define TEST(name)                                                             \
  { #name, name, false }

const conformance_t conformance[] = {
    TEST(a_turn_is_timers_idle_prepare_check_close),
    TEST(an_idle_keeps_the_poll_from_sleeping),
    TEST(a_check_started_before_the_poll_runs_after_it),
    TEST(a_check_started_by_a_check_waits_for_the_next_turn),
    TEST(what_is_stopped_before_its_phase_does_not_run),
    TEST(stop_ends_the_run_after_this_turn_and_not_the_next_run),
    TEST(timers_run_by_time_then_in_the_order_of_their_start),
    TEST(a_timer_is_not_early_and_a_stopped_one_never_comes),
    TEST(sends_before_the_run_are_one_callback_at_least),
    TEST(a_send_in_the_callback_is_not_swallowed),
    TEST(a_send_from_elsewhere_wakes_the_loop),
    TEST(the_last_of_two_sends_has_a_callback_after_it),
    TEST(a_send_to_what_closes_has_no_callback),
    TEST(only_what_is_active_and_referenced_keeps_the_loop_alive),
    TEST(close_calls_back_later_and_keeps_the_loop_alive_until_then),
    TEST(an_unreferenced_handle_still_has_its_close_callback),
    TEST(an_unreferenced_async_is_served_while_others_keep_the_loop),
    TEST(a_walk_sees_every_handle_once),
    {"work_runs_elsewhere_and_its_end_on_the_loop",
     work_runs_elsewhere_and_its_end_on_the_loop, true},
    {"cancel_says_whether_the_work_will_run",
     cancel_says_whether_the_work_will_run, true},
    {NULL, NULL, false},
};
