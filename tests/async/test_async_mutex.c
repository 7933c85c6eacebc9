/* SPDX-License-Identifier: MIT
 *
 * test_async_mutex.c - who gets the asynchronous mutex, when, and who may give
 * it back. */
#include "actors.h"

static pkd_async_mutex_t mutex;

static void fresh(void) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
}

static void take(struct actor* actor, unsigned number) {
  actor_own(actor, number, mutex_target(&mutex));
}

static void zeroed_memory_is_a_free_mutex(void** state) {
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(sizeof mutex, 4);
  assert_true(sizeof(pkd_req_t) <= 128);
  assert_false(pkd_async_mutex_is_locked(&mutex));
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_true(pkd_async_mutex_is_locked(&mutex));
  assert_ptr_equal(pkd_req_owned(&req), &mutex);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
  assert_false(pkd_async_mutex_is_locked(&mutex));
  assert_null(pkd_req_owned(&req));
}

static void no_callback_runs_inside_the_call(void** state) {
  struct actor actor;

  (void)state;
  fresh();
  actor_init(&actor, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&actor), 0);
  assert_int_equal(actor.answers, 0);
  assert_true(pkd_async_mutex_is_locked(&mutex)); /* but it is granted */
  assert_int_equal(actor_wait(&actor), 0);
  assert_int_equal(actor_release(&actor), 0);
}

static void the_mutex_is_granted_in_the_order_of_asking(void** state) {
  struct actor owner, actors[8];

  (void)state;
  fresh();
  take(&owner, 0);
  for (unsigned i = 0; i < 8; i++) {
    actor_init(&actors[i], i, mutex_target(&mutex));
    assert_int_equal(actor_start(&actors[i]), 0);
  }
  assert_int_equal(waiting_at(&mutex), 8);
  assert_int_equal(actor_release(&owner), 0);
  for (unsigned i = 0; i < 8; i++) {
    assert_int_equal(actor_wait(&actors[i]), 0);
    for (unsigned j = i + 1; j < 8; j++)
      assert_int_equal(actors[j].answers, 0);
    assert_int_equal(actor_release(&actors[i]), 0);
  }
  assert_false(pkd_async_mutex_is_locked(&mutex));
}

static void try_takes_a_free_mutex_and_never_overtakes(void** state) {
  struct actor owner, waiter;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  take(&owner, 0);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), UV_EBUSY);
  actor_init(&waiter, 1, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  actor_release(&owner); /* handed over: free at no moment */
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), UV_EBUSY);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), 0);
}

static void a_second_release_is_refused(void** state) {
  struct actor owner, other;

  (void)state;
  fresh();
  take(&owner, 0);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_release(&owner), UV_EPERM);
  take(&other, 1);
  assert_int_equal(actor_release(&owner), UV_EPERM); /* a stale ticket */
  assert_true(pkd_async_mutex_is_locked(&mutex));
  assert_int_equal(actor_release(&other), 0);
}

static void a_ticket_of_another_lock_is_refused(void** state) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  pkd_async_sem_t sem = PKD_ASYNC_SEM_INIT(1, 0);
  pkd_req_t req = {0};
  struct actor owner;

  (void)state;
  fresh();
  take(&owner, 1);
  assert_int_equal(pkd_async_mutex_trylock(&req, &other), 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &mutex), UV_EPERM);
  assert_int_equal(pkd_async_mutex_unlock(&owner.req, &other), UV_EPERM);
  assert_int_equal(pkd_async_sem_release(&req, &sem, 1), UV_EPERM);
  assert_int_equal(pkd_async_mutex_unlock(&req, &other), 0);
  assert_int_equal(actor_release(&owner), 0);
}

static void a_waiting_ticket_does_not_unlock(void** state) {
  struct actor owner, waiter;

  (void)state;
  fresh();
  take(&owner, 0);
  actor_init(&waiter, 1, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(actor_release(&waiter), UV_EPERM);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
}

static void release_here(void* arg) {
  struct actor* actor = arg;

  actor->started = actor_release(actor);
}

static void any_thread_may_release(void** state) {
  struct actor owner, waiter;
  uv_thread_t thread;

  (void)state;
  fresh();
  take(&owner, 0); /* loop A's; released by a thread without a loop */
  actor_init(&waiter, 1, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  uv_thread_create(&thread, release_here, &owner);
  uv_thread_join(&thread);
  assert_int_equal(owner.started, 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(pkd_loop_held(&loop_a), *(enum world*)*state == ONE_LOOP);
  assert_int_equal(actor_release(&waiter), 0); /* perhaps of loop B */
  assert_int_equal(pkd_loop_held(&loop_a), 0);
}

static void a_request_in_use_is_not_started_again(void** state) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  struct actor owner, waiter;

  (void)state;
  fresh();
  take(&owner, 0);
  assert_int_equal(actor_start(&owner), UV_EBUSY);
  assert_int_equal(pkd_async_mutex_trylock(&owner.req, &other), UV_EBUSY);
  actor_init(&waiter, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(actor_start(&waiter), UV_EALREADY);
  assert_int_equal(pkd_async_mutex_trylock(&waiter.req, &other), UV_EALREADY);
  assert_int_equal(pkd_async_mutex_lock_blocking(&waiter.req, &other, 0),
                   UV_EALREADY);
  assert_false(pkd_async_mutex_is_locked(&other));
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_start(&waiter), UV_EALREADY); /* granted by now */
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(waiter.answers, 1);
  assert_int_equal(actor_release(&waiter), 0);
}

static void a_request_can_be_used_again_and_for_other_locks(void** state) {
  struct actor actor;

  (void)state;
  fresh();
  actor_init(&actor, 1, mutex_target(&mutex));
  for (int i = 0; i < 100; i++) {
    assert_int_equal(actor_start(&actor), 0);
    assert_int_equal(actor_wait(&actor), 0);
    assert_int_equal(actor_release(&actor), 0);
  }
  assert_int_equal(actor.answers, 100);
}

/* --- close, destroy -------------------------------------------------------- */

static void close_sends_the_waiters_away_and_leaves_the_owner(void** state) {
  struct actor owner, actors[100];
  pkd_req_t req = {0};

  (void)state;
  fresh();
  take(&owner, 0);
  for (unsigned i = 0; i < 100; i++) { /* several rounds of the engine */
    actor_init(&actors[i], i % 8 == 1, mutex_target(&mutex));
    assert_int_equal(actor_start(&actors[i]), 0);
  }
  assert_int_equal(pkd_async_mutex_close(&mutex), 0);
  assert_int_equal(pkd_async_mutex_close(&mutex), 0);
  assert_int_equal(waiting_at(&mutex), 0);
  for (unsigned i = 0; i < 100; i++) {
    assert_int_equal(actor_wait(&actors[i]), UV_ECANCELED);
    assert_int_equal(actors[i].answers, 1);
  }
  assert_int_equal(actor_start(&actors[0]), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), UV_ESHUTDOWN);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
}

static void close_lets_a_granted_one_have_it(void** state) {
  struct actor owner, granted, waiter;

  (void)state;
  fresh();
  take(&owner, 1);
  actor_init(&granted, 0, mutex_target(&mutex));
  actor_init(&waiter, 1, mutex_target(&mutex));
  assert_int_equal(actor_start(&granted), 0);
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_async_mutex_close(&mutex), 0);
  assert_int_equal(actor_wait(&granted), 0);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  assert_int_equal(actor_release(&granted), 0);
}

static void destroy_of_a_busy_mutex_is_refused(void** state) {
  struct actor owner, waiter;

  (void)state;
  fresh();
  actor_init(&owner, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&owner), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), UV_EBUSY); /* granted */
  assert_int_equal(actor_wait(&owner), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), UV_EBUSY); /* owned */
  actor_init(&waiter, 1, mutex_target(&mutex));
  assert_int_equal(actor_start(&waiter), 0);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), UV_EBUSY); /* passed on */
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
  assert_int_equal(actor_start(&owner), UV_ESHUTDOWN);
}

/* --- memory ---------------------------------------------------------------- */

static void unlock_and_free(struct actor* actor) {
  pkd_async_mutex_t* own = actor->target.mutex;
  bool last = actor->arg != NULL;

  pkd_async_mutex_unlock(&actor->req, own);
  if (last)
    free(own);
}

/* The last owner frees the lock right after its unlock, while the one before may
 * still be inside of its own. AddressSanitizer looks on. */
static void the_last_owner_may_free_the_mutex_after_unlock(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(200); i++) {
    pkd_async_mutex_t* own = calloc(1, sizeof *own);
    struct actor actors[3];

    for (unsigned j = 0; j < 3; j++) {
      actor_init(&actors[j], j, mutex_target(own));
      actors[j].then = j == 0 ? NULL : unlock_and_free;
    }
    assert_int_equal(actor_start(&actors[0]), 0);
    assert_int_equal(actor_wait(&actors[0]), 0);
    actors[2].arg = own;
    assert_int_equal(actor_start(&actors[1]), 0);
    assert_int_equal(actor_start(&actors[2]), 0);
    assert_int_equal(actor_release(&actors[0]), 0);
    for (unsigned j = 1; j < 3; j++)
      assert_int_equal(actor_wait(&actors[j]), 0);
  }
}

static int freed; /* callbacks of requests that freed themselves */

static void free_itself(struct actor* actor) {
  pkd_async_mutex_t* own = actor->target.mutex;

  pkd_async_mutex_unlock(&actor->req, own);
  if (actor->arg != NULL && pkd_async_mutex_destroy(own) == 0)
    free(own);
  free(actor);
  freed++;
}

static void a_callback_may_free_its_request_and_the_lock(void** state) {
  pkd_async_mutex_t* own = calloc(1, sizeof *own);

  (void)state;
  freed = 0;
  for (unsigned i = 0; i < 3; i++) {
    struct actor* actor = malloc(sizeof *actor);

    actor_init(actor, 0, mutex_target(own));
    actor->then = free_itself;
    actor->arg = i == 2 ? own : NULL;
    assert_int_equal(actor_start(actor), 0);
  }
  WAIT_FOR((turn_a(), freed == 3));
}

static void abort_here(pkd_req_t* req, int status) {
  (void)req;
  (void)status;
  abort();
}

static void null_arguments_are_refused(void** state) {
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &req, &mutex, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock(NULL, &req, &mutex, abort_here),
                   UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, NULL, &mutex, abort_here),
                   UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &req, NULL, abort_here),
                   UV_EINVAL);
  assert_int_equal(pkd_async_mutex_trylock(NULL, &mutex), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_trylock(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock_blocking(NULL, &mutex, 0), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_lock_blocking(&req, NULL, 0), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_unlock(NULL, &mutex), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_unlock(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_close(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_mutex_destroy(NULL), UV_EINVAL);
  assert_int_equal(pkd_req_set_timeout(NULL, 1), UV_EINVAL);
  assert_null(pkd_req_owned(NULL));
  assert_false(pkd_async_mutex_is_locked(&mutex));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_ONE_WORLD(zeroed_memory_is_a_free_mutex),
      IN_ONE_WORLD(no_callback_runs_inside_the_call),
      IN_EACH_WORLD(the_mutex_is_granted_in_the_order_of_asking),
      IN_EACH_WORLD(try_takes_a_free_mutex_and_never_overtakes),
      IN_EACH_WORLD(a_second_release_is_refused),
      IN_EACH_WORLD(a_ticket_of_another_lock_is_refused),
      IN_EACH_WORLD(a_waiting_ticket_does_not_unlock),
      IN_EACH_WORLD(any_thread_may_release),
      IN_ONE_WORLD(a_request_in_use_is_not_started_again),
      IN_EACH_WORLD(a_request_can_be_used_again_and_for_other_locks),
      IN_EACH_WORLD(close_sends_the_waiters_away_and_leaves_the_owner),
      IN_EACH_WORLD(close_lets_a_granted_one_have_it),
      IN_EACH_WORLD(destroy_of_a_busy_mutex_is_refused),
      IN_EACH_WORLD(the_last_owner_may_free_the_mutex_after_unlock),
      IN_ONE_WORLD(a_callback_may_free_its_request_and_the_lock),
      IN_ONE_WORLD(null_arguments_are_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
