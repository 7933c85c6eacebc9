/* SPDX-License-Identifier: MIT
 *
 * test_async_every_life.c - what loops, threads and memory mean to every object,
 * with one loop, with two, and with a loop and threads. */
#include "kinds.h"
#include "support/child.h"

#include <string.h>
#include <unistd.h>

static void call_and_pass(const struct kind* kind, struct asker* asker) {
  if (kind->calls)
    give(kind);
  assert_int_equal(asker_wait(asker), kind->good);
  assert_int_equal(asker_give_back(kind, asker), 0);
}

/* --- detach ------------------------------------------------------------------ */

static int detached;

static void on_detach(pkd_loop_t* loop) {
  (void)loop;
  detached++;
}

static void detach_a(void) {
  detached = 0;
  assert_int_equal(pkd_loop_detach(&loop_a, on_detach), 0);
  assert_int_equal(detached, 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(detached, 1);
}

static void attach_a(void) {
  assert_int_equal(pkd_loop_attach(&loop_a, &uv_a), 0);
}

/* One was granted and does not know, one waits, and one somewhere else. */
static void detach_ends_what_waits_and_what_was_granted(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker granted, queued, other;
  int expected = kind->final ? kind->good : UV_ECANCELED;

  kind->fresh();
  asker_queue(kind, &granted, 0);
  asker_queue(kind, &queued, 0);
  asker_queue(kind, &other, 1);
  give(kind);
  detach_a();
  assert_int_equal(granted.status, expected);
  assert_int_equal(queued.status, expected);
  assert_int_equal(granted.answers + queued.answers, 2);
  if (other.place == LOOP_A)
    assert_int_equal(other.status, expected);
  attach_a();
  if (other.place != LOOP_A) /* it has it, whoever was before it */
    call_and_pass(kind, &other);
  settle();
}

static void what_a_task_owns_outlives_its_loop(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker owner, next;

  kind->fresh();
  asker_queue(kind, &owner, 0);
  asker_queue(kind, &next, 1);
  give(kind);
  assert_int_equal(asker_wait(&owner), kind->good);
  if (next.place == LOOP_A) { /* it would be cancelled */
    asker_cancel(kind, &next);
    if (asker_wait(&next) == kind->good) /* beside the owner */
      assert_int_equal(asker_give_back(kind, &next), 0);
  }
  detach_a();
  assert_int_equal(pkd_loop_held(&loop_a), 0);
  assert_int_equal(asker_give_back(kind, &owner), 0);
  attach_a();
  if (next.place != LOOP_A)
    call_and_pass(kind, &next);
  settle();
}

static const struct kind* in_callback;

static void give_back_and_detach(struct asker* asker) {
  asker_give_back(in_callback, asker);
  pkd_loop_detach(&loop_a, on_detach);
}

static void a_callback_may_detach_its_loop(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker first, others[2];

  in_callback = kind;
  detached = 0;
  kind->fresh();
  asker_init(&first, 0);
  first.then = give_back_and_detach;
  assert_int_equal(asker_start(kind, &first), 0);
  asker_queue(kind, &others[0], 0);
  asker_queue(kind, &others[1], 0);
  give(kind);
  WAIT_FOR((turn_a(), detached == 1));
  assert_int_equal(first.status, kind->good);
  for (int i = 0; i < 2; i++) {
    /* what the pool has is libuv's to end, which may be after the detach */
    if (strcmp(kind->name, "locked work") == 0)
      WAIT_FOR((turn_a(), others[i].answers == 1));
    assert_int_equal(others[i].answers, 1);
    if (others[i].ran) /* work lets go in its thread, before the callback */
      assert_int_equal(others[i].status, kind->good);
    else if (!kind->final)
      assert_int_equal(others[i].status, UV_ECANCELED);
  }
  attach_a();
}

/* --- memory -------------------------------------------------------------------- */

static atomic_int freed;

static void give_back_and_free(struct asker* asker) {
  asker_give_back(in_callback, asker);
  if (in_callback->calls)
    in_callback->give();
  memset(asker, 0x5a, sizeof *asker);
  free(asker);
  freed++;
}

static void a_callback_may_free_its_request(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker* askers[3];

  in_callback = kind;
  freed = 0;
  kind->fresh();
  for (unsigned i = 0; i < 3; i++) {
    askers[i] = malloc(sizeof *askers[i]);
    asker_init(askers[i], i);
    if (askers[i]->place == THREAD)
      askers[i]->place = LOOP_A; /* a thread's request is its own anyway */
    askers[i]->then = give_back_and_free;
    assert_int_equal(asker_start(kind, askers[i]), 0);
  }
  give(kind);
  WAIT_FOR((turn_a(), freed == 3));
  settle();
}

static bool can_be_destroyed(const struct kind* kind) {
  return kind->destroy != NULL;
}

static void what_is_busy_is_not_destroyed(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker;

  for (unsigned number = 0; number < 2; number++) {
    kind->fresh();
    asker_queue(kind, &asker, number);
    assert_int_equal(kind->destroy(), UV_EBUSY);
    assert_int_equal(kind->waiting(), 1);
    give(kind);
    assert_int_equal(asker_wait(&asker), kind->good);
    if (kind->give_back != NULL && !kind->calls) /* a condition owns nothing */
      assert_int_equal(kind->destroy(), UV_EBUSY);
    assert_int_equal(asker_give_back(kind, &asker), 0);
    settle();
    assert_int_equal(kind->destroy(), 0);
  }
}

/* --- the loop -------------------------------------------------------------------- */

static void count_handle(uv_handle_t* handle, void* arg) {
  (void)handle;
  ++*(int*)arg;
}

static void a_wait_adds_no_handle_and_keeps_its_loop_alive(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker, late;
  int before = 0, after = 0;

  uv_walk(&uv_a, count_handle, &before);
  kind->fresh();
  assert_false(uv_loop_alive(&uv_a));
  asker_queue(kind, &asker, 0);
  asker_init(&late, 0);
  late.timeout = 1;
  assert_int_equal(asker_start(kind, &late), 0);
  uv_walk(&uv_a, count_handle, &after);
  assert_int_equal(before, after);
  assert_true(uv_loop_alive(&uv_a));
  assert_int_equal(asker_wait(&late), UV_ETIMEDOUT);
  assert_true(uv_loop_alive(&uv_a));
  /* Nothing to be done, but for a timer of one who has left with the late one: of
   * several at once the second may have been a little later. */
  WAIT_FOR((turn_a(), uv_backend_timeout(&uv_a) == -1));
  give(kind);
  assert_int_equal(uv_backend_timeout(&uv_a), 0); /* who polls, comes soon */
  uv_run(&uv_a, UV_RUN_DEFAULT);                  /* ends by itself */
  assert_int_equal(asker.status, kind->good);
  assert_false(uv_loop_alive(&uv_a));
  assert_int_equal(asker_give_back(kind, &asker), 0);
}

static void each_mode_of_run_delivers(void** state) {
  static const uv_run_mode modes[3] = {UV_RUN_DEFAULT, UV_RUN_ONCE,
                                       UV_RUN_NOWAIT};
  const struct kind* kind = kind_of(state);
  struct asker asker;

  for (int i = 0; i < 3; i++) {
    kind->fresh();
    asker_queue(kind, &asker, 0);
    give(kind);
    do {
      uv_run(&uv_a, modes[i]); /* work goes to the pool and comes back */
    } while (kind->cancel != NULL && asker.status == NOT_YET);
    assert_int_equal(asker.status, kind->good);
    assert_int_equal(asker_give_back(kind, &asker), 0);
    settle();
  }
}

static void give_elsewhere(void* arg) {
  if (((const struct kind*)arg)->give() != 0)
    abort();
}

/* Stopped between the grant and the delivery; the grant comes from elsewhere. */
static void a_stopped_loop_delivers_when_it_runs_again(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker;
  uv_thread_t thread;

  kind->fresh();
  asker_queue(kind, &asker, 0);
  if (kind->final && kind->give_back == NULL) {
    give(kind); /* a barrier is completed by this loop itself */
  } else {
    uv_thread_create(&thread, give_elsewhere, (void*)(uintptr_t)kind);
    uv_thread_join(&thread);
  }
  uv_stop(&uv_a);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(asker_wait(&asker), kind->good);
  assert_int_equal(asker_give_back(kind, &asker), 0);
  settle();
}

/* --- blocking ---------------------------------------------------------------------- */

struct refusal {
  const struct kind* kind;
  struct asker asker;
  int result;
};

static void block_here(void* arg) {
  struct refusal* refusal = arg;

  refusal->result = refusal->kind->block(&refusal->asker, PKD_FOREVER);
}

static void refused(const struct kind* kind) {
  struct refusal refusal = {.kind = kind};

  asker_init(&refusal.asker, 0);
  block_here(&refusal);
  assert_int_equal(refusal.result, PKD_EDEADLK);
}

static int in_run;

static void block_in_run(uv_timer_t* timer) {
  struct refusal refusal = {.kind = timer->data};

  block_here(&refusal);
  in_run = refusal.result;
  uv_close((uv_handle_t*)timer, NULL);
}

/* Whether the loop runs just then or not, whether the object is busy or not. */
static void blocking_where_a_loop_lives_is_refused(void** state) {
  const struct kind* kind = kind_of(state);
  struct refusal on_b = {.kind = kind};
  struct asker asker;
  uv_timer_t timer;

  kind->fresh();
  refused(kind); /* busy, and before the first run */
  asker_queue(kind, &asker, 1);
  refused(kind);
  uv_timer_init(&uv_a, &timer);
  timer.data = (void*)(uintptr_t)kind;
  uv_timer_start(&timer, block_in_run, 0, 0);
  in_run = 0;
  WAIT_FOR((turn_a(), in_run != 0)); /* in a callback */
  assert_int_equal(in_run, PKD_EDEADLK);
  if (asker.place == LOOP_B) {
    on_loop_b(block_here, &on_b);
    assert_int_equal(on_b.result, PKD_EDEADLK);
  }
  assert_int_equal(kind->waiting(), 1); /* nothing has changed */
  give(kind);
  assert_int_equal(asker_wait(&asker), kind->good);
  assert_int_equal(asker_give_back(kind, &asker), 0);
  settle();
  if (kind->calls && kind->give_back != NULL)
    return;      /* who waits at a condition owns the mutex: not free */
  refused(kind); /* free, between two runs */
}

/* --- fork ------------------------------------------------------------------------------ */

/* The child has the object as it was, none of those who waited, and a loop of its
 * own. */
static int live_in_child(const struct kind* kind) {
  static struct asker asker;
  static pkd_loop_t loop;
  uv_loop_t uv;

  if (uv_loop_init(&uv) != 0 || pkd_loop_attach(&loop, &uv) != 0)
    return 1;
  asker_init(&asker, 0);
  if (kind->waiting() != 0)
    return 2;
  if (kind->start(&loop, &asker) != 0)
    return 3;
  if (kind->give() != 0)
    return 4;
  for (int i = 0; i < 1000 && asker.status == NOT_YET; i++)
    uv_run(&uv, UV_RUN_NOWAIT);
  if (asker.status != kind->good || asker_give_back(kind, &asker) != 0)
    return 5;
  pkd_loop_detach(&loop, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  return uv_loop_close(&uv) == 0 ? 0 : 6;
}

static bool lives_on_in_a_child(const struct kind* kind) {
  /* The pool has no threads there; in a barrier the parent's still count, and
   * are sent away by an abort; nobody holds a key. */
  return kind->cancel == NULL && !(kind->final && kind->close != NULL) &&
         !(kind->destroy == NULL);
}

static void a_forked_child_has_the_object_but_not_the_waiters(void** state) {
  const struct kind* kind = kind_of(state);
  struct asker asker;
  pid_t child;

  kind->fresh();
  asker_queue(kind, &asker, 0);
  child = fork();
  if (child == 0)
    _exit(live_in_child(kind));
  assert_int_equal(child_ends(child), 0);
  assert_int_equal(kind->waiting(), 1); /* here all is as it was */
  give(kind);
  assert_int_equal(asker_wait(&asker), kind->good);
  assert_int_equal(asker_give_back(kind, &asker), 0);
  settle();
}

int main(void) {
  const struct every_test tests[] = {
      EVERY(detach_ends_what_waits_and_what_was_granted),
      EVERY(what_a_task_owns_outlives_its_loop),
      EVERY(a_callback_may_detach_its_loop),
      EVERY(a_callback_may_free_its_request),
      SOME(what_is_busy_is_not_destroyed, can_be_destroyed, IN_ALL_WORLDS),
      EVERY_ALONE(a_wait_adds_no_handle_and_keeps_its_loop_alive),
      EVERY_ALONE(each_mode_of_run_delivers),
      EVERY_ALONE(a_stopped_loop_delivers_when_it_runs_again),
      EVERY(blocking_where_a_loop_lives_is_refused),
      SOME(a_forked_child_has_the_object_but_not_the_waiters,
           lives_on_in_a_child, 1u << ONE_LOOP),
  };

  return run_for_every_kind("async_every_life", tests, LENGTH(tests));
}
