/* SPDX-License-Identifier: MIT
 *
 * test_async_yield.c - a task that lets the others of its loop go first. */
#include "actors.h"

enum { MANY = 300 };

static pkd_async_mutex_t mutex;
static pkd_req_t reqs[MANY];
static int statuses[MANY], arrived[MANY], arrivals, calls_under_way;
static atomic_int wrong; /* what another thread found */

static void fresh(void) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
  memset(reqs, 0, sizeof reqs);
  arrivals = 0;
  wrong = 0;
  for (int i = 0; i < MANY; i++) {
    reqs[i].data = (void*)(intptr_t)i;
    statuses[i] = NOT_YET;
  }
}

static void arrive(pkd_req_t* req, int status) {
  int i = (int)(intptr_t)req->data;

  assert_int_equal(calls_under_way, 0); /* never inside a call */
  assert_int_equal(statuses[i], NOT_YET);
  statuses[i] = status;
  arrived[arrivals++] = i;
}

static int yield_on_a(int i) {
  int err;

  calls_under_way++;
  err = pkd_loop_yield(&loop_a, &reqs[i], arrive);
  calls_under_way--;
  return err;
}

static void each_yield_has_its_callback_in_order(void** state) {
  (void)state;
  fresh();
  for (int i = 0; i < MANY; i++)
    assert_int_equal(yield_on_a(i), 0);
  assert_int_equal(arrivals, 0);
  assert_int_equal(pkd_loop_pending(&loop_a), MANY);
  uv_run(&uv_a, UV_RUN_DEFAULT); /* they keep it alive; it ends by itself */
  assert_int_equal(arrivals, MANY);
  for (int i = 0; i < MANY; i++) {
    assert_int_equal(arrived[i], i);
    assert_int_equal(statuses[i], 0);
    assert_null(pkd_req_owned(&reqs[i]));
  }
  assert_int_equal(pkd_loop_held(&loop_a), 0);
}

static void a_yield_comes_behind_the_grants_before_it(void** state) {
  pkd_async_mutex_t free_one = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t holder = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&holder, &mutex), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[0], &mutex, arrive), 0);
  assert_int_equal(pkd_async_mutex_unlock(&holder, &mutex), 0);
  assert_int_equal(yield_on_a(1), 0);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[2], &free_one, arrive),
                   0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(arrivals, 3);
  for (int i = 0; i < 3; i++)
    assert_int_equal(arrived[i], i);
  assert_int_equal(pkd_async_mutex_unlock(&reqs[0], &mutex), 0);
  assert_int_equal(pkd_async_mutex_unlock(&reqs[2], &free_one), 0);
}

static int links_left, turns;

static void go_on(pkd_req_t* req, int status) {
  assert_int_equal(status, 0);
  if (--links_left > 0)
    assert_int_equal(pkd_loop_yield(&loop_a, req, go_on), 0);
}

static void on_turn(uv_prepare_t* prepare) {
  (void)prepare;
  turns++;
}

static void a_task_that_yields_for_ever_lets_the_loop_poll(void** state) {
  uv_prepare_t prepare;

  (void)state;
  fresh();
  links_left = 6400;
  turns = 0;
  uv_prepare_init(&uv_a, &prepare);
  uv_prepare_start(&prepare, on_turn);
  assert_int_equal(pkd_loop_yield(&loop_a, &reqs[0], go_on), 0);
  WAIT_FOR((turn_a(), links_left == 0));
  assert_true(turns >= 100);
  uv_close((uv_handle_t*)&prepare, NULL);
  turn_a();
}

static void a_yield_can_be_cancelled_until_it_is_delivered(void** state) {
  (void)state;
  fresh();
  assert_int_equal(yield_on_a(0), 0);
  assert_int_equal(yield_on_a(1), 0);
  assert_int_equal(pkd_req_cancel(&reqs[0]), 0);
  assert_int_equal(pkd_req_cancel(&reqs[0]), 0); /* cancelled already */
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(statuses[0], UV_ECANCELED);
  assert_int_equal(statuses[1], 0);
  assert_int_equal(arrivals, 2);
  assert_int_equal(pkd_req_cancel(&reqs[0]), UV_EINVAL);
  assert_int_equal(pkd_req_cancel(&reqs[1]), UV_EINVAL);
  fresh(); /* and started anew */
  assert_int_equal(yield_on_a(0), 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(statuses[0], 0);
}

static void cancel_every_other(void* arg) {
  (void)arg;
  for (int i = 0; i < MANY; i += 2)
    wrong += pkd_req_cancel(&reqs[i]) != 0;
}

static void another_thread_may_cancel(void** state) {
  uv_thread_t thread;

  (void)state;
  fresh();
  for (int i = 0; i < MANY; i++)
    assert_int_equal(yield_on_a(i), 0);
  if (*(enum world*)*state == TWO_LOOPS) {
    on_loop_b(cancel_every_other, NULL);
  } else {
    uv_thread_create(&thread, cancel_every_other, NULL);
    uv_thread_join(&thread);
  }
  assert_int_equal(wrong, 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(arrivals, MANY);
  for (int i = 0; i < MANY; i++)
    assert_int_equal(statuses[i], i % 2 == 0 ? UV_ECANCELED : 0);
}

static void what_cannot_yield_is_refused(void** state) {
  pkd_loop_t never = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_loop_yield(NULL, &reqs[0], arrive), UV_EINVAL);
  assert_int_equal(pkd_loop_yield(&loop_a, NULL, arrive), UV_EINVAL);
  assert_int_equal(pkd_loop_yield(&loop_a, &reqs[0], NULL), UV_EINVAL);
  assert_int_equal(pkd_loop_yield(&never, &reqs[0], arrive), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_trylock(&reqs[1], &mutex), 0);
  assert_int_equal(yield_on_a(1), UV_EBUSY);
  assert_ptr_equal(pkd_req_owned(&reqs[1]), &mutex);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[2], &mutex, arrive), 0);
  assert_int_equal(yield_on_a(2), UV_EALREADY);
  assert_int_equal(yield_on_a(3), 0);
  assert_int_equal(yield_on_a(3), UV_EALREADY);
  assert_int_equal(pkd_async_mutex_unlock(&reqs[3], &mutex), UV_EPERM);
  assert_int_equal(pkd_async_mutex_unlock(&reqs[1], &mutex), 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(statuses[2], 0);
  assert_int_equal(statuses[3], 0);
  assert_int_equal(pkd_async_mutex_unlock(&reqs[2], &mutex), 0);
}

static void a_timeout_is_used_up_by_a_yield(void** state) {
  pkd_req_t holder = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_trylock(&holder, &mutex), 0);
  assert_int_equal(pkd_req_set_timeout(&reqs[0], 0), 0);
  assert_int_equal(yield_on_a(0), 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(statuses[0], 0);
  statuses[0] = NOT_YET; /* with the timeout 0 this were UV_EBUSY */
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[0], &mutex, arrive), 0);
  assert_int_equal(pkd_async_mutex_unlock(&holder, &mutex), 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(statuses[0], 0);
  assert_int_equal(pkd_async_mutex_unlock(&reqs[0], &mutex), 0);
}

static int detached;

static void note_detached(pkd_loop_t* loop) {
  (void)loop;
  detached++;
}

static void a_detach_cancels_yields(void** state) {
  pkd_loop_t loop = {0};
  uv_loop_t uv;

  (void)state;
  fresh();
  detached = 0;
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  assert_int_equal(pkd_loop_yield(&loop, &reqs[0], arrive), 0);
  assert_int_equal(pkd_loop_detach(&loop, note_detached), 0);
  assert_int_equal(arrivals, 0);
  assert_int_equal(pkd_loop_yield(&loop, &reqs[1], arrive), UV_ESHUTDOWN);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(statuses[0], UV_ECANCELED);
  assert_int_equal(detached, 1);
  assert_int_equal(pkd_loop_yield(&loop, &reqs[1], arrive), UV_ESHUTDOWN);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* --- a lock held over it --------------------------------------------------- */

static int inside, sections; /* under the mutex */

static void over(pkd_req_t* req, int status) {
  struct actor* actor = req->data;

  wrong += status != 0;
  wrong += --inside != 0;
  sections++;
  wrong += pkd_async_mutex_unlock(&actor->req, &mutex) != 0;
}

static void hold(struct actor* actor) {
  pkd_loop_t* loop = actor->place == LOOP_A ? &loop_a : &loop_b;
  pkd_req_t* pause = actor->arg;

  wrong += inside++ != 0;
  if (actor->place == THREAD) {
    over(pause, 0);
    return;
  }
  wrong += pkd_loop_yield(loop, pause, over) != 0;
}

static void a_lock_held_over_a_yield_is_one_task_s(void** state) {
  struct actor actors[8];
  pkd_req_t holder = {0};

  (void)state;
  fresh();
  inside = sections = 0;
  assert_int_equal(pkd_async_mutex_trylock(&holder, &mutex), 0);
  for (unsigned i = 0; i < 8; i++) {
    actor_init(&actors[i], i, mutex_target(&mutex));
    actors[i].then = hold;
    actors[i].arg = &reqs[i];
    reqs[i].data = &actors[i];
    assert_int_equal(actor_start(&actors[i]), 0);
  }
  assert_int_equal(pkd_async_mutex_unlock(&holder, &mutex), 0);
  for (unsigned i = 0; i < 8; i++)
    assert_int_equal(actor_wait(&actors[i]), 0);
  WAIT_FOR((turn_a(), !pkd_async_mutex_is_locked(&mutex)));
  for (unsigned i = 0; i < 8; i++)
    actor_end(&actors[i]);
  assert_int_equal(sections, 8);
  assert_int_equal(wrong, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_ONE_WORLD(each_yield_has_its_callback_in_order),
      IN_ONE_WORLD(a_yield_comes_behind_the_grants_before_it),
      IN_ONE_WORLD(a_task_that_yields_for_ever_lets_the_loop_poll),
      IN_ONE_WORLD(a_yield_can_be_cancelled_until_it_is_delivered),
      IN_EACH_WORLD(another_thread_may_cancel),
      IN_ONE_WORLD(what_cannot_yield_is_refused),
      IN_ONE_WORLD(a_timeout_is_used_up_by_a_yield),
      IN_ONE_WORLD(a_detach_cancels_yields),
      IN_EACH_WORLD(a_lock_held_over_a_yield_is_one_task_s),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
