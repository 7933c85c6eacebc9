/* SPDX-License-Identifier: MIT
 *
 * test_async_cond.c - waiting for a condition: no signal is lost, none is made
 * up, and whoever gives up passes on what it was given. */
#include "actors.h"
#include "support/child.h"

#include <unistd.h>

static pkd_async_mutex_t mutex;
static pkd_async_cond_t cond;

static void fresh(void) {
  mutex = (pkd_async_mutex_t)PKD_ASYNC_MUTEX_INIT;
  cond = (pkd_async_cond_t)PKD_ASYNC_COND_INIT;
}

static void own(struct actor* actor, unsigned number) {
  actor_own(actor, number, mutex_target(&mutex));
}

/* Takes the mutex, and gives it up to wait. */
static void wait_for_it(struct actor* actor, unsigned number, uint64_t ms) {
  size_t before = waiting_at(&cond);

  own(actor, number);
  actor->target.cond = &cond;
  actor->timeout = ms;
  assert_int_equal(actor_start(actor), 0);
  if (ms == PKD_NO_TIMEOUT)
    assert_int_equal(waiting_at(&cond), before + 1);
  WAIT_FOR(!pkd_async_mutex_is_locked(&mutex)); /* a thread is about to */
  assert_int_equal(actor_release(actor), UV_EPERM);
}

static void release(struct actor* actor) {
  assert_ptr_equal(pkd_req_owned(&actor->req), &mutex);
  assert_int_equal(pkd_async_mutex_unlock(&actor->req, &mutex), 0);
}

static void all_is_free(void) {
  settle();
  assert_int_equal(pkd_async_cond_destroy(&cond), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
  assert_int_equal(waiting_at(&cond), 0);
  assert_int_equal(pkd_loop_held(&loop_a), 0);
}

static void a_signal_answers_the_oldest_with_the_mutex(void** state) {
  struct actor actors[3];

  (void)state;
  fresh();
  assert_int_equal(pkd_async_cond_signal(&cond), 0);
  for (unsigned i = 0; i < 3; i++)
    wait_for_it(&actors[i], i, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_cond_destroy(&cond), UV_EBUSY);
  for (unsigned i = 0; i < 3; i++) {
    settle();
    assert_int_equal(actors[i].answers, 1); /* of the lock, none of the wait */
    assert_int_equal(pkd_async_cond_signal(&cond), 1);
    assert_int_equal(actor_wait(&actors[i]), 0);
    release(&actors[i]);
  }
  assert_int_equal(pkd_async_cond_signal(&cond), 0); /* nothing is kept */
  all_is_free();
}

static void a_signal_moves_to_the_queue_of_the_mutex(void** state) {
  struct actor owner, waiter, other;

  (void)state;
  fresh();
  wait_for_it(&waiter, 1, PKD_NO_TIMEOUT);
  own(&owner, 0);
  actor_init(&other, 0, mutex_target(&mutex));
  assert_int_equal(actor_start(&other), 0);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_int_equal(waiting_at(&cond), 0);
  assert_int_equal(waiting_at(&mutex), 2);
  settle();
  assert_int_equal(waiter.answers, 1);
  release(&owner);
  assert_int_equal(actor_wait(&other), 0); /* it asked before the signal */
  release(&other);
  assert_int_equal(actor_wait(&waiter), 0);
  release(&waiter);
  all_is_free();
}

static void a_broadcast_answers_all_in_order(void** state) {
  struct actor actors[5];

  (void)state;
  fresh();
  for (unsigned i = 0; i < 5; i++)
    wait_for_it(&actors[i], i, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_cond_broadcast(&cond), 5);
  assert_int_equal(waiting_at(&cond), 0);
  for (unsigned i = 0; i < 5; i++) {
    assert_int_equal(actor_wait(&actors[i]), 0);
    if (i < 4)
      assert_int_equal(actors[i + 1].answers, 1); /* not the mutex yet */
    release(&actors[i]);
  }
  all_is_free();
}

static void who_gives_up_answers_in_time_without_the_mutex(void** state) {
  struct actor owner, waiter;

  (void)state;
  for (int how = 0; how < 2; how++) {
    fresh();
    wait_for_it(&waiter, 1, how == 0 ? PKD_NO_TIMEOUT : 10);
    own(&owner, 0); /* and keeps it */
    if (how == 0)
      assert_int_equal(pkd_req_cancel(&waiter.req), 0);
    assert_int_equal(actor_wait(&waiter),
                     how == 0 ? UV_ECANCELED : UV_ETIMEDOUT);
    assert_null(pkd_req_owned(&waiter.req));
    assert_int_equal(pkd_async_cond_signal(&cond),
                     0); /* not counted any more */
    release(&owner);
    all_is_free();
  }
}

/* The deadline covers the wait for the mutex too. */
static void
a_signalled_one_may_time_out_and_passes_the_signal_on(void** state) {
  struct actor owner, first, second;

  (void)state;
  for (int how = 0; how < 2; how++) {
    fresh();
    wait_for_it(&first, 1, how == 0 ? PKD_NO_TIMEOUT : 200);
    wait_for_it(&second, 1, PKD_NO_TIMEOUT);
    own(&owner, 0);
    assert_int_equal(pkd_async_cond_signal(&cond), 1);
    if (how == 0)
      assert_int_equal(pkd_req_cancel(&first.req), 0);
    assert_int_equal(actor_wait(&first),
                     how == 0 ? UV_ECANCELED : UV_ETIMEDOUT);
    WAIT_FOR(waiting_at(&cond) == 0); /* the signal is the second's now */
    release(&owner);
    assert_int_equal(actor_wait(&second), 0);
    release(&second);
    all_is_free();
  }
}

static void
a_signalled_and_granted_one_that_is_cancelled_passes_on(void** state) {
  struct actor first, second;

  (void)state;
  fresh();
  wait_for_it(&first, 0, PKD_NO_TIMEOUT); /* loop A: not delivered yet */
  wait_for_it(&second, 1, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_true(pkd_async_mutex_is_locked(&mutex)); /* granted */
  assert_int_equal(pkd_req_cancel(&first.req), 0);
  assert_int_equal(actor_wait(&second), 0);
  assert_int_equal(actor_wait(&first), UV_ECANCELED);
  release(&second);
  all_is_free();
}

static void a_broadcast_is_not_passed_on(void** state) {
  struct actor first, late;

  (void)state;
  fresh();
  wait_for_it(&first, 0, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_cond_broadcast(&cond), 1);
  assert_int_equal(actor_wait(&first), 0);
  release(&first);
  wait_for_it(&first, 0, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_cond_broadcast(&cond), 1);
  assert_int_equal(pkd_req_cancel(&first.req), 0);
  wait_for_it(&late, 1, PKD_NO_TIMEOUT);
  assert_int_equal(actor_wait(&first), UV_ECANCELED);
  settle();
  assert_int_equal(late.answers, 1);
  assert_int_equal(waiting_at(&cond), 1);
  assert_int_equal(pkd_req_cancel(&late.req), 0);
  assert_int_equal(actor_wait(&late), UV_ECANCELED);
  all_is_free();
}

static void a_cancelled_one_in_the_middle_is_not_missed(void** state) {
  struct actor actors[3];

  (void)state;
  fresh();
  for (unsigned i = 0; i < 3; i++)
    wait_for_it(&actors[i], i, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_req_cancel(&actors[0].req), 0);
  assert_int_equal(pkd_req_cancel(&actors[2].req), 0);
  assert_int_equal(actor_wait(&actors[0]), UV_ECANCELED);
  assert_int_equal(actor_wait(&actors[2]), UV_ECANCELED);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_int_equal(actor_wait(&actors[1]), 0);
  release(&actors[1]);
  all_is_free();
}

static void the_condition_may_be_freed_after_a_broadcast(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(50); i++) {
    pkd_async_cond_t* own_cond = calloc(1, sizeof *own_cond);
    struct actor waiter;

    fresh();
    own(&waiter, 1);
    waiter.target.cond = own_cond;
    assert_int_equal(actor_start(&waiter), 0);
    assert_int_equal(pkd_async_cond_broadcast(own_cond), 1);
    free(own_cond);
    waiter.target.cond = NULL;
    assert_int_equal(actor_wait(&waiter), 0);
    release(&waiter);
    all_is_free();
  }
}

static void a_closed_mutex_ends_the_wait(void** state) {
  struct actor waiter;

  (void)state;
  fresh();
  wait_for_it(&waiter, 1, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_mutex_close(&mutex), 0);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  all_is_free();
}

static void detach_ends_waits_at_both_queues(void** state) {
  struct actor owner, moved, waiting;
  pkd_req_t keeper = {0};

  (void)state;
  fresh();
  wait_for_it(&moved, 0, PKD_NO_TIMEOUT);
  wait_for_it(&waiting, 0, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_mutex_trylock(&keeper, &mutex), 0);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_int_equal(pkd_loop_detach(&loop_a, NULL), 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(moved.status, UV_ECANCELED);
  assert_int_equal(waiting.status, UV_ECANCELED);
  assert_int_equal(pkd_async_mutex_unlock(&keeper, &mutex), 0);
  assert_int_equal(pkd_loop_attach(&loop_a, &uv_a), 0);
  own(&owner, 0);
  release(&owner);
  all_is_free();
}

static struct actor lent; /* its ticket, to a thread */
static int lent_rc[2];

static void wait_with_a_loops_ticket(void* arg, unsigned number) {
  pkd_async_cond_t* other = arg;

  (void)number;
  lent_rc[0] =
      pkd_async_cond_wait_blocking(&lent.req, other, &mutex, PKD_FOREVER);
  lent_rc[1] =
      pkd_async_cond_wait_blocking(&lent.req, &cond, &mutex, PKD_FOREVER);
}

/* It is the loop's no more, once it was given up; but for a refusal. */
static void a_thread_may_wait_with_the_ticket_of_a_loop(void** state) {
  pkd_async_mutex_t others_mutex = PKD_ASYNC_MUTEX_INIT;
  pkd_async_cond_t others_cond = PKD_ASYNC_COND_INIT;
  struct actor other;
  struct team team;

  (void)state;
  fresh();
  actor_own(&other, 0, mutex_target(&others_mutex));
  other.target.cond = &others_cond;
  assert_int_equal(actor_start(&other), 0);
  own(&lent, 0);
  assert_int_equal(pkd_loop_held(&loop_a), 1);
  team_start(&team, 1, wait_with_a_loops_ticket, &others_cond);
  WAIT_FOR(waiting_at(&cond) == 1 && !pkd_async_mutex_is_locked(&mutex));
  assert_int_equal(pkd_loop_held(&loop_a), 0);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  team_join(&team);
  assert_int_equal(lent_rc[0], UV_EINVAL);
  assert_int_equal(lent_rc[1], 0);
  release(&lent);
  assert_int_equal(pkd_async_cond_signal(&others_cond), 1);
  assert_int_equal(actor_wait(&other), 0);
  assert_int_equal(pkd_async_mutex_unlock(&other.req, &others_mutex), 0);
  all_is_free();
}

static void misuse_is_told_and_changes_nothing(void** state) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  struct actor waiter, owner;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_cond_wait_blocking(&req, &cond, &mutex, 0),
                   UV_EPERM);
  wait_for_it(&waiter, 0, PKD_NO_TIMEOUT);
  assert_int_equal(actor_start(&waiter), UV_EALREADY);
  assert_int_equal(pkd_async_cond_wait_blocking(&waiter.req, &cond, &mutex, 0),
                   UV_EALREADY);
  actor_own(&owner, 0, mutex_target(&other));
  owner.target.cond = &cond; /* others wait with another mutex */
  assert_int_equal(actor_start(&owner), UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait_blocking(&owner.req, &cond, &other, 0),
                   PKD_EDEADLK); /* this thread has a loop */
  owner.timeout = 0;
  assert_int_equal(actor_start(&owner), UV_EBUSY);
  assert_ptr_equal(pkd_req_owned(&owner.req), &other);
  assert_int_equal(pkd_loop_held(&loop_a), 1);
  assert_int_equal(pkd_async_mutex_unlock(&owner.req, &other), 0);
  assert_int_equal(pkd_async_cond_signal(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_cond_broadcast(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_cond_destroy(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait(&loop_a, NULL, &cond, &mutex, NULL),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_wait_blocking(NULL, &cond, &mutex, 0),
                   UV_EINVAL);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_int_equal(actor_wait(&waiter), 0);
  release(&waiter);
  all_is_free();
}

static void note_answer(pkd_req_t* req, int status) {
  *(int*)req->data = status;
}

/* Others wait for the condition with another mutex. */
static void a_refused_wait_leaves_no_timeout_to_the_next(void** state) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  struct actor waiter, owner;
  int status = NOT_YET;
  pkd_req_t req = {.data = &status};

  (void)state;
  fresh();
  wait_for_it(&waiter, 0, PKD_NO_TIMEOUT);
  assert_int_equal(pkd_async_mutex_trylock(&req, &other), 0);
  assert_int_equal(pkd_req_set_timeout(&req, 1000), 0);
  assert_int_equal(
      pkd_async_cond_wait(&loop_a, &req, &cond, &other, note_answer),
      UV_EINVAL);
  assert_int_equal(pkd_async_mutex_unlock(&req, &other), 0);
  actor_own(&owner, 0, mutex_target(&other));
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &req, &other, note_answer), 0);
  assert_int_equal(uv_backend_timeout(&uv_a), -1);
  assert_int_equal(actor_release(&owner), 0);
  WAIT_FOR((turn_a(), status != NOT_YET));
  assert_int_equal(status, 0);
  assert_int_equal(pkd_async_mutex_unlock(&req, &other), 0);
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  assert_int_equal(actor_wait(&waiter), 0);
  release(&waiter);
  all_is_free();
}

/* --- fork ------------------------------------------------------------------ */

static int told; /* in the child */

static void note_told(pkd_req_t* req, int status) {
  (void)req;
  told = status;
}

/* Those of the parent wait with another mutex, and not here. */
static int wait_in_child(void) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t req = {0};
  pkd_loop_t loop;
  uv_loop_t uv;

  memset(&loop, 0, sizeof loop);
  told = NOT_YET;
  if (uv_loop_init(&uv) != 0 || pkd_loop_attach(&loop, &uv) != 0 ||
      pkd_async_mutex_trylock(&req, &other) != 0)
    return 1;
  if (pkd_async_cond_wait(&loop, &req, &cond, &other, note_told) != 0)
    return 2;
  if (pkd_async_cond_signal(&cond) != 1)
    return 3;
  uv_run(&uv, UV_RUN_DEFAULT);
  if (told != 0 || pkd_async_mutex_unlock(&req, &other) != 0)
    return 4;
  if (pkd_async_cond_destroy(&cond) != 0)
    return 5;
  pkd_loop_detach(&loop, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  return uv_loop_close(&uv) == 0 ? 0 : 6;
}

static void a_forked_child_may_wait_with_another_mutex(void** state) {
  struct actor waiter;
  pid_t child;

  (void)state;
  fresh();
  wait_for_it(&waiter, 0, PKD_NO_TIMEOUT);
  child = fork();
  if (child == 0)
    _exit(wait_in_child());
  assert_int_equal(child_ends(child), 0);
  assert_int_equal(pkd_async_cond_signal(&cond), 1); /* here all is as it was */
  assert_int_equal(actor_wait(&waiter), 0);
  release(&waiter);
  all_is_free();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_EACH_WORLD(a_signal_answers_the_oldest_with_the_mutex),
      IN_EACH_WORLD(a_signal_moves_to_the_queue_of_the_mutex),
      IN_EACH_WORLD(a_broadcast_answers_all_in_order),
      IN_EACH_WORLD(who_gives_up_answers_in_time_without_the_mutex),
      IN_EACH_WORLD(a_signalled_one_may_time_out_and_passes_the_signal_on),
      IN_EACH_WORLD(a_signalled_and_granted_one_that_is_cancelled_passes_on),
      IN_EACH_WORLD(a_broadcast_is_not_passed_on),
      IN_EACH_WORLD(a_cancelled_one_in_the_middle_is_not_missed),
      IN_EACH_WORLD(the_condition_may_be_freed_after_a_broadcast),
      IN_EACH_WORLD(a_closed_mutex_ends_the_wait),
      IN_ONE_WORLD(detach_ends_waits_at_both_queues),
      IN_ONE_WORLD(a_thread_may_wait_with_the_ticket_of_a_loop),
      IN_ONE_WORLD(misuse_is_told_and_changes_nothing),
      IN_ONE_WORLD(a_refused_wait_leaves_no_timeout_to_the_next),
      IN_ONE_WORLD(a_forked_child_may_wait_with_another_mutex),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
