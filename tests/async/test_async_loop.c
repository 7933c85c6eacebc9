/* SPDX-License-Identifier: MIT
 *
 * test_async_loop.c - a loop with locks: attach, modes of uv_run, what keeps it
 * alive and what it delivers in a turn. Its end: test_async_detach.c. */
#include "actors.h"
#include "support/child.h"

#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;

static void fresh(void) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
  pkd_async_sem_init(&sem, 0, 0);
}

static void own(struct actor* actor, unsigned number) {
  actor_own(actor, number, mutex_target(&mutex));
}

static void queue(struct actor* actor, unsigned number) {
  actor_queue(actor, number, mutex_target(&mutex));
}

static void recorded(pkd_req_t* req, int status) {
  *(int*)req->data = status;
}

/* --- attach ---------------------------------------------------------------- */

static void a_loop_is_attached_once(void** state) {
  pkd_loop_t again;
  uv_loop_t other;

  (void)state;
  uv_loop_init(&other);
  assert_int_equal(pkd_loop_attach(&again, &uv_a), UV_EALREADY);
  assert_int_equal(pkd_loop_attach(&loop_a, &other), UV_EALREADY);
  assert_int_equal(pkd_loop_attach(NULL, &other), UV_EINVAL);
  assert_int_equal(pkd_loop_attach(&again, NULL), UV_EINVAL);
  assert_int_equal(uv_loop_close(&other), 0); /* nothing was left in it */
}

/* In a child: takes what memory there is, then attaches. An allocator may have
 * places of each size, so each is asked for. */
static int attach_without_memory(void) {
  struct rlimit old, none;
  pkd_loop_t loop = {0};
  void* kept = NULL;
  uv_loop_t other;
  int err;

  if (uv_loop_init(&other) != 0 || getrlimit(RLIMIT_AS, &old) != 0)
    return 1;
  none = old;
  none.rlim_cur = 0;
  if (setrlimit(RLIMIT_AS, &none) != 0)
    return 1;
  for (size_t size = 1 << 20; size >= sizeof kept; size -= size / 16 + 1) {
    void** more;

    while ((more = malloc(size)) != NULL) {
      *more = kept; /* a list, to be given back */
      kept = more;
    }
  }
  err = pkd_loop_attach(&loop, &other);
  setrlimit(RLIMIT_AS, &old);
  while (kept != NULL) {
    void* next = *(void**)kept;

    free(kept);
    kept = next;
  }
  if (err != UV_ENOMEM)
    return 2;
  if (pkd_loop_attach(&loop, &other) != 0) /* nothing was left behind */
    return 3;
  if (pkd_loop_detach(&loop, NULL) != 0)
    return 4;
  uv_run(&other, UV_RUN_DEFAULT);
  return uv_loop_close(&other) == 0 ? 0 : 5;
}

static void attach_without_memory_leaves_nothing_behind(void** state) {
  pid_t child;

  (void)state;
  if (PKD_TEST_SLOW || SANITIZED || WRAPPED)
    skip(); /* neither a sanitizer nor qemu lives within a limit */
  child = fork();
  if (child == 0)
    _exit(attach_without_memory());
  assert_int_equal(child_ends(child), 0);
}

static void a_loop_that_was_never_attached_is_refused(void** state) {
  pkd_loop_t loop = {0};
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, recorded),
                   UV_EINVAL);
  assert_int_equal(pkd_loop_detach(&loop, NULL), UV_EINVAL);
  assert_int_equal(pkd_loop_adopt(&loop), UV_EINVAL);
  assert_int_equal(pkd_loop_held(&loop), 0);
  assert_int_equal(pkd_loop_pending(&loop), 0);
  assert_int_equal(pkd_loop_held(NULL), 0);
}

/* --- alive, and awake ------------------------------------------------------ */

static void count_handle(uv_handle_t* handle, void* arg) {
  (void)handle;
  ++*(int*)arg;
}

static void locks_add_no_handles(void** state) {
  struct actor actors[50];
  int before = 0;
  int after = 0;

  (void)state;
  fresh();
  uv_walk(&uv_a, count_handle, &before);
  for (unsigned i = 0; i < 50; i++) {
    actor_init(&actors[i], 0, mutex_target(&mutex));
    actors[i].timeout = 1000;
    assert_int_equal(actor_start(&actors[i]), 0);
  }
  uv_walk(&uv_a, count_handle, &after);
  assert_int_equal(before, after);
  for (unsigned i = 0; i < 50; i++) {
    assert_int_equal(actor_wait(&actors[i]), 0);
    assert_int_equal(actor_release(&actors[i]), 0);
  }
}

static void the_loop_is_alive_while_requests_are_pending(void** state) {
  struct actor owner, waiter;

  (void)state;
  fresh();
  assert_false(uv_loop_alive(&uv_a));
  own(&owner, 0);
  assert_false(uv_loop_alive(&uv_a)); /* a ticket is no request */
  actor_init(&waiter, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  assert_true(uv_loop_alive(&uv_a));
  assert_int_equal(pkd_loop_pending(&loop_a), 1);
  assert_int_equal(actor_release(&owner), 0);
  assert_true(uv_loop_alive(&uv_a)); /* granted, not delivered */
  uv_run(&uv_a, UV_RUN_DEFAULT);     /* ends by itself */
  assert_int_equal(waiter.status, 0);
  assert_false(uv_loop_alive(&uv_a));
  assert_int_equal(pkd_loop_pending(&loop_a), 0);
  assert_int_equal(actor_release(&waiter), 0);
}

static void a_grant_outside_of_run_shows_in_the_backend_timeout(void** state) {
  struct actor first, second;

  (void)state;
  fresh();
  assert_int_equal(uv_backend_timeout(&uv_a), 0); /* nothing to wait for */
  actor_init(&first, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&first), 0);
  assert_int_equal(uv_backend_timeout(&uv_a), 0);
  assert_int_equal(actor_wait(&first), 0);
  queue(&second, 0);
  assert_int_equal(uv_backend_timeout(&uv_a), -1);
  assert_int_equal(actor_release(&first), 0);
  assert_int_equal(uv_backend_timeout(&uv_a), 0);
  assert_int_equal(actor_wait(&second), 0);
  assert_int_equal(actor_release(&second), 0);
}

static void each_mode_of_run_delivers(void** state) {
  static const uv_run_mode modes[3] = {UV_RUN_DEFAULT, UV_RUN_ONCE,
                                       UV_RUN_NOWAIT};

  (void)state;
  fresh();
  for (int i = 0; i < 3; i++) {
    struct actor owner, waiter;

    own(&owner, 0);
    queue(&waiter, 0);
    assert_int_equal(actor_release(&owner), 0);
    uv_run(&uv_a, modes[i]);
    assert_int_equal(waiter.status, 0);
    assert_int_equal(actor_release(&waiter), 0);
  }
}

static void stop_it(struct actor* actor) {
  (void)actor;
  uv_stop(&uv_a);
}

static void a_stopped_loop_delivers_when_it_runs_again(void** state) {
  struct actor owner, first, second;

  (void)state;
  fresh();
  own(&owner, 1);
  queue(&first, 0);
  first.then = stop_it;
  queue(&second, 0);
  assert_int_equal(actor_release(&owner), 0);
  uv_stop(&uv_a); /* between the grant and the delivery */
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(actor_wait(&first), 0);
  assert_int_equal(actor_release(&first), 0);
  assert_int_equal(second.answers, 0);
  assert_int_equal(actor_wait(&second), 0);
  assert_int_equal(actor_release(&second), 0);
}

/* --- batches --------------------------------------------------------------- */

enum { MANY = 300 };
static int arrived[MANY], arrivals, turns, most_in_a_turn, in_this_turn;

static void arrive(pkd_req_t* req, int status) {
  (void)status;
  arrived[arrivals++] = (int)(intptr_t)req->data;
  in_this_turn++;
}

static void on_turn(uv_prepare_t* prepare) {
  (void)prepare;
  turns++;
  if (in_this_turn > most_in_a_turn)
    most_in_a_turn = in_this_turn;
  in_this_turn = 0;
}

static void add_permits(void* arg) {
  (void)arg;
  pkd_async_sem_add(&sem, MANY);
}

/* More than the engine grants in one round and more than a turn delivers. */
static void order_is_kept_across_batches_and_turns(void** state) {
  pkd_req_t reqs[MANY];
  uv_prepare_t prepare;
  uv_thread_t thread;

  (void)state;
  for (int foreign = 0; foreign < 2; foreign++) {
    fresh();
    arrivals = turns = most_in_a_turn = in_this_turn = 0;
    uv_prepare_init(&uv_a, &prepare);
    uv_prepare_start(&prepare, on_turn);
    memset(reqs, 0, sizeof reqs);
    for (int i = 0; i < MANY; i++) {
      reqs[i].data = (void*)(intptr_t)i;
      assert_int_equal(
          pkd_async_sem_acquire(&loop_a, &reqs[i], &sem, 1, arrive), 0);
    }
    if (foreign) {
      uv_thread_create(&thread, add_permits, NULL);
      uv_thread_join(&thread);
    } else {
      add_permits(NULL);
    }
    assert_int_equal(arrivals, 0);
    WAIT_FOR((turn_a(), arrivals == MANY));
    turn_a();
    for (int i = 0; i < MANY; i++)
      assert_int_equal(arrived[i], i);
    assert_true(most_in_a_turn <= 64);
    assert_true(turns >= MANY / 64);
    for (int i = 0; i < MANY; i++)
      assert_int_equal(pkd_async_sem_release(&reqs[i], &sem, 1), 0);
    uv_close((uv_handle_t*)&prepare, NULL);
    turn_a();
  }
}

static int links_left;
static uintptr_t lowest, highest;

static void relock(pkd_req_t* req, int status) {
  /* The frame, not a local: a sanitizer may keep locals elsewhere. */
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);

  if (here < lowest)
    lowest = here;
  if (here > highest)
    highest = here;
  in_this_turn++;
  if (status == 0)
    pkd_async_mutex_unlock(req, &mutex);
  if (--links_left > 0)
    pkd_async_mutex_lock(&loop_a, req, &mutex, relock);
}

static void a_chain_of_grants_lets_the_loop_poll(void** state) {
  uv_prepare_t prepare;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  turns = most_in_a_turn = in_this_turn = 0;
  links_left = 6400;
  lowest = UINTPTR_MAX;
  highest = 0;
  uv_prepare_init(&uv_a, &prepare);
  uv_prepare_start(&prepare, on_turn);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &req, &mutex, relock), 0);
  WAIT_FOR((turn_a(), links_left == 0));
  assert_true(turns >= 100);
  assert_true(most_in_a_turn <= 64);
  uv_close((uv_handle_t*)&prepare, NULL);
  turn_a();
}

static void pass_on(pkd_req_t* req, int status) {
  /* The frame, not a local: a sanitizer may keep locals elsewhere. */
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);

  if (here < lowest)
    lowest = here;
  if (here > highest)
    highest = here;
  arrivals += status == 0;
  pkd_async_mutex_unlock(req, &mutex);
}

static void ticks(uv_timer_t* timer) {
  ++*(int*)timer->data;
}

static void a_million_waiters_need_no_stack_and_no_patience(void** state) {
  const int count = ROUNDS(1000000);
  pkd_req_t* reqs = malloc((size_t)count * sizeof *reqs);
  uv_timer_t timer;
  int ticked = 0;
  struct actor owner;

  (void)state;
  fresh();
  arrivals = 0;
  lowest = UINTPTR_MAX;
  highest = 0;
  memset(reqs, 0, (size_t)count * sizeof *reqs);
  own(&owner, 1);
  for (int i = 0; i < count; i++)
    assert_int_equal(pkd_async_mutex_lock(&loop_a, &reqs[i], &mutex, pass_on),
                     0);
  uv_timer_init(&uv_a, &timer);
  timer.data = &ticked;
  uv_timer_start(&timer, ticks, 1, 1);
  assert_int_equal(actor_release(&owner), 0);
  WAIT_FOR((turn_a(), arrivals == count));
  uv_close((uv_handle_t*)&timer, NULL);
  turn_a();
  free(reqs);
  assert_true(highest - lowest < 1024); /* no callback within another */
  assert_true(ticked >= 2);             /* the loop did other things as well */
}

static void codes_that_libuv_lacks_have_names(void** state) {
  (void)state;
  assert_string_equal(pkd_err_name(PKD_EDEADLK), "EDEADLK");
  assert_string_equal(pkd_err_name(UV_EBUSY), "EBUSY");
  assert_string_equal(pkd_strerror(UV_EBUSY), uv_strerror(UV_EBUSY));
  assert_null(strstr(pkd_strerror(PKD_EDEADLK), "Unknown"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_ONE_WORLD(a_loop_is_attached_once),
      IN_ONE_WORLD(attach_without_memory_leaves_nothing_behind),
      IN_ONE_WORLD(a_loop_that_was_never_attached_is_refused),
      IN_ONE_WORLD(locks_add_no_handles),
      IN_ONE_WORLD(the_loop_is_alive_while_requests_are_pending),
      IN_ONE_WORLD(a_grant_outside_of_run_shows_in_the_backend_timeout),
      IN_ONE_WORLD(each_mode_of_run_delivers),
      IN_EACH_WORLD(a_stopped_loop_delivers_when_it_runs_again),
      IN_ONE_WORLD(order_is_kept_across_batches_and_turns),
      IN_ONE_WORLD(a_chain_of_grants_lets_the_loop_poll),
      IN_EACH_WORLD(a_million_waiters_need_no_stack_and_no_patience),
      IN_ONE_WORLD(codes_that_libuv_lacks_have_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
