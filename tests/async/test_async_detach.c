/* SPDX-License-Identifier: MIT
 *
 * test_async_detach.c - the end of a loop with locks: detach with requests in
 * every state, two loops in either order, those who forget to detach, fork, and
 * the end of the program. */
#include "actors.h"
#include "support/child.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;
static int nowhere; /* a status that nobody reads */

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

/* --- detach ---------------------------------------------------------------- */

static int detached_at; /* how many answers had come before */
static struct actor* watched[4];

static void on_detach(pkd_loop_t* loop) {
  (void)loop;
  detached_at = 0;
  for (int i = 0; i < 4; i++)
    detached_at += watched[i] != NULL && watched[i]->answers == 1;
  memset(watched, 0, sizeof watched); /* they live in the frame of one test */
}

static void detach_a(void) {
  detached_at = -1;
  assert_int_equal(pkd_loop_detach(&loop_a, on_detach), 0);
  assert_int_equal(detached_at, -1); /* not inside the call */
}

static void reattach_a(void) {
  assert_int_equal(pkd_loop_attach(&loop_a, &uv_a), 0);
}

static void detach_ends_every_request_before_it_calls_back(void** state) {
  pkd_async_mutex_t second = PKD_ASYNC_MUTEX_INIT;
  struct actor owner, granted, queued, other;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  own(&owner, 0);
  queue(&queued, 0);
  queue(&other, 1);
  actor_init(&granted, 0, mutex_target(&second));
  assert_int_equal(actor_start(&granted), 0);
  memset(watched, 0, sizeof watched);
  watched[0] = &owner;
  watched[1] = &granted;
  watched[2] = &queued;
  assert_int_equal(pkd_loop_held(&loop_a), 1);
  detach_a();
  assert_int_equal(pkd_loop_detach(&loop_a, NULL), UV_EALREADY);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &req, &second, recorded),
                   UV_ESHUTDOWN);
  assert_false(pkd_async_mutex_is_locked(&second)); /* revoked at once */
  assert_int_equal(queued.answers + granted.answers, 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(detached_at, 3);
  assert_int_equal(queued.status, UV_ECANCELED);
  assert_int_equal(granted.status, UV_ECANCELED);
  assert_int_equal(pkd_loop_detach(&loop_a, NULL), UV_EALREADY);
  assert_int_equal(pkd_async_mutex_lock(&loop_a, &req, &second, recorded),
                   UV_ESHUTDOWN);
  /* what it owns it still owns, and gives back when it likes */
  assert_int_equal(actor_release(&owner), 0);
  if (*(enum world*)*state == ONE_LOOP) {
    assert_int_equal(other.status, UV_ECANCELED);
    assert_false(pkd_async_mutex_is_locked(&mutex));
    reattach_a();
  } else {
    reattach_a();
    assert_int_equal(actor_wait(&other), 0);
    assert_int_equal(actor_release(&other), 0);
  }
}

static void detach_b(void* arg) {
  *(int*)arg = pkd_loop_detach(&loop_b, NULL);
}

static void attach_b(void* arg) {
  *(int*)arg = pkd_loop_attach(&loop_b, &uv_b);
}

static void loops_may_end_in_either_order(void** state) {
  struct actor owner, other;
  int err;

  (void)state;
  for (unsigned owner_at = 0; owner_at < 2; owner_at++) {
    fresh();
    own(&owner, owner_at);
    queue(&other, 1 - owner_at);
    if (owner_at == 0) { /* B, which waits, goes first; then it is A's turn */
      on_loop_b(detach_b, &err);
      assert_int_equal(actor_wait(&other), UV_ECANCELED);
      assert_int_equal(actor_release(&owner), 0);
      settle();
      on_loop_b(attach_b, &err);
    } else { /* A, which waits, goes first */
      detach_a();
      assert_int_equal(actor_wait(&other), UV_ECANCELED);
      uv_run(&uv_a, UV_RUN_DEFAULT);
      assert_int_equal(actor_release(&owner), 0);
      reattach_a();
      err = 0;
    }
    assert_int_equal(err, 0);
    assert_false(pkd_async_mutex_is_locked(&mutex));
  }
}

/* Under AddressSanitizer: the memory that a ticket points at outlives the loop. */
static void a_ticket_may_be_given_back_after_its_loop(void** state) {
  struct actor owners[2];

  (void)state;
  pkd_async_sem_init(&sem, 2, 0);
  for (unsigned i = 0; i < 2; i++) {
    actor_own(&owners[i], 0, sem_target(&sem, 1));
  }
  assert_int_equal(pkd_loop_held(&loop_a), 2);
  detach_a();
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(actor_release(&owners[0]), 0);
  assert_int_equal(actor_release(&owners[1]), 0);
  reattach_a();
}

static void detach_inside(struct actor* actor) {
  (void)actor;
  pkd_loop_detach(&loop_a, on_detach);
}

static void a_callback_may_detach_its_loop(void** state) {
  struct actor actors[3];

  (void)state;
  fresh();
  memset(watched, 0, sizeof watched);
  for (unsigned i = 0; i < 3; i++) {
    actor_init(&actors[i], 0, mutex_target(&mutex));
    assert_int_equal(actor_start(&actors[i]), 0);
    watched[i] = &actors[i];
  }
  actors[0].then = detach_inside;
  detached_at = -1;
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(detached_at, 3);
  assert_int_equal(actors[0].status, 0);
  assert_int_equal(actors[1].status, UV_ECANCELED);
  assert_int_equal(actors[2].status, UV_ECANCELED);
  assert_int_equal(actor_release(&actors[0]), 0);
  reattach_a();
}

static void close_open(uv_handle_t* handle, void* arg) {
  (void)arg;
  if (!uv_is_closing(handle))
    uv_close(handle, NULL);
}

static void a_walk_that_closes_may_follow_the_detach(void** state) {
  struct actor owner, waiter;

  (void)state;
  fresh();
  own(&owner, 0);
  queue(&waiter, 0);
  memset(watched, 0, sizeof watched);
  watched[0] = &waiter;
  detach_a();
  uv_walk(&uv_a, close_open, NULL);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(detached_at, 1);
  assert_int_equal(waiter.status, UV_ECANCELED);
  assert_int_equal(actor_release(&owner), 0);
  reattach_a();
}

/* --- misuse, in a child that dies of it ------------------------------------ */

/* @return what the child said before it aborted; "" if it did not abort */
static const char* death_of(void (*work)(void)) {
  static char said[512];
  ssize_t length;
  int status;
  int ends[2];
  pid_t child;

  assert_int_equal(pipe(ends), 0);
  child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    work();
    _exit(0);
  }
  close(ends[1]);
  length = read(ends[0], said, sizeof said - 1);
  said[length < 0 ? 0 : length] = '\0';
  close(ends[0]);
  waitpid(child, &status, 0);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
    said[0] = '\0';
  return said;
}

static pkd_loop_t forgetful;
static uv_loop_t forgetful_uv;
static pkd_req_t forgetful_req;

static void close_without_detach(void) {
  static int status;

  forgetful_req.data = &status;
  uv_loop_init(&forgetful_uv);
  pkd_loop_attach(&forgetful, &forgetful_uv);
  uv_walk(&forgetful_uv, close_open, NULL);
}

static void then_lock(void) {
  close_without_detach();
  pkd_async_mutex_lock(&forgetful, &forgetful_req, &mutex, recorded);
}

static void then_detach(void) {
  close_without_detach();
  uv_run(&forgetful_uv, UV_RUN_DEFAULT);
  pkd_loop_detach(&forgetful, NULL);
}

static void grant_it(void* arg) {
  (void)arg;
  pkd_async_sem_add(&sem, 1);
}

static void then_grant(void) {
  uv_thread_t thread;

  forgetful_req.data = &nowhere;
  uv_loop_init(&forgetful_uv);
  pkd_loop_attach(&forgetful, &forgetful_uv);
  pkd_async_sem_acquire(&forgetful, &forgetful_req, &sem, 1, recorded);
  uv_walk(&forgetful_uv, close_open, NULL);
  uv_run(&forgetful_uv, UV_RUN_DEFAULT);
  if (uv_loop_close(&forgetful_uv) != 0)
    _exit(1);
  uv_thread_create(&thread, grant_it, NULL);
  uv_thread_join(&thread);
}

static void closing_the_handles_without_detach_is_named(void** state) {
  (void)state;
  fresh();
  assert_non_null(strstr(death_of(then_lock), "pkd_loop_detach"));
  assert_non_null(strstr(death_of(then_detach), "pkd_loop_detach"));
  assert_non_null(strstr(death_of(then_grant), "pkd_loop_detach"));
}

/* --- fork ------------------------------------------------------------------ */

/* In the child: a lock that was held, with waiters that the child lacks. */
static int work_in_child(struct actor* owner, struct actor* waiter) {
  static int status;
  pkd_req_t req = {0};
  pkd_loop_t loop;
  uv_loop_t uv;

  req.data = &status;
  status = NOT_YET;
  if (pkd_async_mutex_trylock(&req, &mutex) != UV_EBUSY)
    return 1;
  if (pkd_req_cancel(&waiter->req) != UV_EINVAL) /* it does not wait here */
    return 13;
  if (pkd_async_mutex_unlock(&owner->req, &mutex) != 0)
    return 2;
  if (uv_loop_init(&uv) != 0 || pkd_loop_attach(&loop, &uv) != 0)
    return 3;
  if (pkd_async_mutex_lock(&loop, &req, &mutex, recorded) != 0)
    return 4;
  uv_run(&uv, UV_RUN_DEFAULT);
  if (status != 0 || pkd_async_mutex_unlock(&req, &mutex) != 0)
    return 5;
  /* permits that a waiter of the parent was too big for */
  if (pkd_async_sem_try_acquire(&req, &sem, 2) != 0 ||
      pkd_async_sem_release(&req, &sem, 2) != 0)
    return 12;
  status = NOT_YET;
  if (pkd_async_sem_acquire(&loop, &req, &sem, 1, recorded) != 0)
    return 6;
  uv_run(&uv, UV_RUN_DEFAULT);
  if (status != 0 || pkd_async_sem_release(&req, &sem, 1) != 0)
    return 7;
  pkd_loop_detach(&loop, NULL);
  uv_run(&uv, UV_RUN_DEFAULT);
  if (uv_loop_close(&uv) != 0)
    return 8;
  /* that this thread had a loop to run was in its parent */
  if (pkd_async_mutex_lock_blocking(&req, &mutex, PKD_FOREVER) != 0 ||
      pkd_async_mutex_unlock(&req, &mutex) != 0)
    return 9;
  /* nor is the memory of that loop in use */
  if (uv_loop_init(&uv_a) != 0 || pkd_loop_attach(&loop_a, &uv_a) != 0)
    return 10;
  pkd_loop_detach(&loop_a, NULL);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  return uv_loop_close(&uv_a) == 0 ? 0 : 11;
}

static void a_forked_child_has_the_locks_but_not_the_waiters(void** state) {
  struct actor owner, waiter, big;
  pid_t child;

  (void)state;
  fresh();
  assert_int_equal(pkd_async_sem_add(&sem, 2), 0);
  own(&owner, 0);
  queue(&waiter, 0);
  actor_init(&big, 0, sem_target(&sem, 3));
  assert_int_equal(actor_start(&big), 0);
  child = fork();
  if (child == 0)
    _exit(work_in_child(&owner, &waiter));
  assert_int_equal(child_ends(child), 0);
  assert_int_equal(waiting_at(&mutex), 1); /* here all is as it was */
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&waiter), 0);
  assert_int_equal(actor_release(&waiter), 0);
  assert_int_equal(pkd_async_sem_add(&sem, 1), 0);
  assert_int_equal(actor_wait(&big), 0);
  assert_int_equal(actor_release(&big), 0);
}

/* --- the end of the program ------------------------------------------------- */

/* In a program of its own, so that a leak checker looks at the end of it. */
static pkd_loop_t last_loop;
static uv_loop_t last_uv;
static pkd_req_t last_reqs[6];
static pkd_async_mutex_t held_by_task;
static pkd_async_cond_t last_cond;

static void* wait_for_ever(void* arg) {
  pkd_req_t req = {0};

  pkd_async_mutex_lock_blocking(&req, &held_by_task, PKD_FOREVER);
  return arg;
}

/* One owns, one was granted and does not know, one is queued behind a lock, one at
 * a condition, one has a timeout, and a thread blocks. */
static int end_with_waiters(void) {
  pthread_t thread;

  if (uv_loop_init(&last_uv) != 0 || pkd_loop_attach(&last_loop, &last_uv) != 0)
    return 1;
  for (int i = 0; i < 6; i++)
    last_reqs[i].data = &nowhere;
  if (pkd_async_mutex_lock(&last_loop, &last_reqs[0], &held_by_task,
                           recorded) != 0 ||
      pkd_async_mutex_lock(&last_loop, &last_reqs[1], &mutex, recorded) != 0)
    return 2;
  WAIT_FOR((uv_run(&last_uv, UV_RUN_NOWAIT),
            pkd_req_owned(&last_reqs[0]) && pkd_req_owned(&last_reqs[1])));
  if (pkd_async_cond_wait(&last_loop, &last_reqs[1], &last_cond, &mutex,
                          recorded) != 0 ||
      pkd_async_mutex_lock(&last_loop, &last_reqs[2], &mutex, recorded) != 0 ||
      pkd_async_mutex_lock(&last_loop, &last_reqs[3], &held_by_task,
                           recorded) != 0 ||
      pkd_req_set_timeout(&last_reqs[4], 100000) != 0 ||
      pkd_async_mutex_lock(&last_loop, &last_reqs[4], &mutex, recorded) != 0)
    return 3;
  if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0)
    return 4;
  WAIT_FOR(waiting_at(&held_by_task) == 2);
  return 0; /* from main: exit handlers and leak checkers run beside it */
}

static const char* program;

static void a_program_may_end_with_waiters_of_every_kind(void** state) {
  pid_t child;

  (void)state;
  if (WRAPPED)
    skip();
  child = fork();
  if (child == 0) {
    execl(program, program, "--end-with-waiters", (char*)NULL);
    _exit(99);
  }
  assert_int_equal(child_ends(child), 0);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      IN_EACH_WORLD(detach_ends_every_request_before_it_calls_back),
      IN_WORLD(loops_may_end_in_either_order, TWO_LOOPS),
      IN_ONE_WORLD(a_ticket_may_be_given_back_after_its_loop),
      IN_ONE_WORLD(a_callback_may_detach_its_loop),
      IN_ONE_WORLD(a_walk_that_closes_may_follow_the_detach),
      IN_ONE_WORLD(closing_the_handles_without_detach_is_named),
      IN_ONE_WORLD(a_forked_child_has_the_locks_but_not_the_waiters),
      cmocka_unit_test(a_program_may_end_with_waiters_of_every_kind),
  };

  program = argv[0];
  if (argc > 1 && strcmp(argv[1], "--end-with-waiters") == 0)
    return end_with_waiters();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
