/* SPDX-License-Identifier: MIT
 *
 * test_async_grant.c - a loop that is stuck does not keep the others waiting: what
 * is so of one kind of lock only, and how the time is set.
 *
 * What is so of all, in each state of the picture in async/grant.h, is in
 * test_async_grant_every.c. */
#include "stuck.h"
#include "support/child.h"

#include <unistd.h>

static pkd_async_mutex_t mutex;

static int open_impatient(void** state) {
  int rc = world_open(state);

  memset(&mutex, 0, sizeof mutex);
  if (rc == 0)
    be_patient(SHORT);
  return rc;
}

#define WITH_STUCK_LOOP(test)                                                  \
  { #test, test, open_impatient, world_close, &worlds[TWO_LOOPS] }

/* --- the mutex ------------------------------------------------------------- */

/* `owner`, on loop A, gives the mutex up while loop B is stalled, and `stuck`, on
 * loop B, is next. */
static struct actor owner, stuck, next, later;

static void grant_to_stuck_loop(void) {
  actor_start_at(&owner, LOOP_A, mutex_target(&mutex));
  assert_int_equal(actor_wait(&owner), 0);
  actor_start_at(&stuck, LOOP_B, mutex_target(&mutex));
  stall_b();
  assert_int_equal(actor_release(&owner), 0);
}

static void a_try_does_not_overtake_who_is_not_away(void** state) {
  pkd_req_t req = {0};

  (void)state;
  grant_to_stuck_loop();
  actor_start_at(&next, LOOP_A, mutex_target(&mutex));
  await_revoked(1);
  WAIT_FOR(pkd_async_mutex_is_locked(&mutex)); /* granted to `next` */
  assert_int_equal(pkd_async_mutex_trylock(&req, &mutex), UV_EBUSY);
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(actor_release(&next), 0);
  wake_b();
  assert_int_equal(actor_release(&stuck), 0);
}

static void destroy_is_refused_while_somebody_is_away(void** state) {
  (void)state;
  grant_to_stuck_loop();
  await_revoked(1);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), UV_EBUSY);
  wake_b();
  assert_int_equal(actor_release(&stuck), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
}

/* Cancelled, it is none of the mutex's any more; its callback is still to come. */
static void destroy_is_allowed_when_the_away_are_cancelled(void** state) {
  (void)state;
  grant_to_stuck_loop();
  await_revoked(1);
  assert_int_equal(pkd_req_cancel(&stuck.req), 0);
  assert_int_equal(pkd_async_mutex_destroy(&mutex), 0);
  assert_int_equal(stuck.status, NOT_YET);
  wake_b();
  assert_int_equal(stuck.status, UV_ECANCELED);
}

static void free_by_the_last_after_one_was_away(void** state) {
  pkd_async_mutex_t* m = calloc(1, sizeof *m);

  (void)state;
  actor_start_at(&owner, LOOP_A, mutex_target(m));
  assert_int_equal(actor_wait(&owner), 0);
  actor_start_at(&stuck, LOOP_B, mutex_target(m));
  stall_b();
  assert_int_equal(actor_release(&owner), 0);
  await_revoked(1);
  wake_b();
  assert_int_equal(actor_release(&stuck), 0);
  free(m);
}

/* --- a loop that never wakes, but to be detached --------------------------- */

static struct {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req[2];
  int status[2];
  uv_sem_t begun, go;
} third;

static void note_third(pkd_req_t* req, int status) {
  third.status[req - third.req] = status;
}

/* It is granted the mutex at its start, and asks for another; then it does not
 * come to either. */
static void* run_third(void* other) {
  pkd_loop_attach(&third.loop, &third.uv);
  pkd_loop_set_grant_timeout(&third.loop, SHORT);
  pkd_async_mutex_lock(&third.loop, &third.req[0], &mutex, note_third);
  pkd_async_mutex_lock(&third.loop, &third.req[1], other, note_third);
  uv_sem_post(&third.begun);
  uv_sem_wait(&third.go);
  pkd_loop_detach(&third.loop, NULL);
  uv_run(&third.uv, UV_RUN_DEFAULT);
  return NULL;
}

static void detach_ends_those_who_are_away_and_those_who_wait(void** state) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t ticket = {0};
  pthread_t thread;

  (void)state;
  memset(&third, 0, sizeof third);
  uv_loop_init(&third.uv);
  uv_sem_init(&third.begun, 0);
  uv_sem_init(&third.go, 0);
  third.status[0] = third.status[1] = NOT_YET;
  assert_int_equal(pkd_async_mutex_trylock(&ticket, &other), 0);
  pthread_create(&thread, NULL, run_third, &other);
  uv_sem_wait(&third.begun);
  actor_start_at(&next, LOOP_A, mutex_target(&mutex));
  assert_int_equal(actor_wait(&next),
                   0); /* what was granted at the start, too */
  uv_sem_post(&third.go);
  pthread_join(thread, NULL);
  assert_int_equal(third.status[0], UV_ECANCELED);
  assert_int_equal(third.status[1], UV_ECANCELED);
  assert_int_equal(uv_loop_close(&third.uv), 0);
  assert_int_equal(waiting_at(&mutex), 0);
  assert_int_equal(actor_release(&next), 0);
  assert_int_equal(pkd_async_mutex_unlock(&ticket, &other), 0);
  uv_sem_destroy(&third.begun);
  uv_sem_destroy(&third.go);
}

/* --- what is ready on the loop itself -------------------------------------- */

static uv_sem_t blocked, unblock;

static void block_here(struct actor* actor) {
  (void)actor;
  uv_sem_post(&blocked);
  uv_sem_wait(&unblock);
}

static void release_both(void* tickets) {
  pkd_req_t* ticket = tickets;

  pkd_async_mutex_unlock(&ticket[0],
                         (void*)(uintptr_t)pkd_req_owned(&ticket[0]));
  pkd_async_mutex_unlock(&ticket[1],
                         (void*)(uintptr_t)pkd_req_owned(&ticket[1]));
}

/* Both grants are made on loop B; the first callback does not return. */
static void
a_callback_that_blocks_does_not_keep_the_grants_behind_it(void** state) {
  static struct actor first;
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  pkd_req_t ticket[2] = {{0}};

  (void)state;
  uv_sem_init(&blocked, 0);
  uv_sem_init(&unblock, 0);
  assert_int_equal(pkd_async_mutex_trylock(&ticket[0], &other), 0);
  assert_int_equal(pkd_async_mutex_trylock(&ticket[1], &mutex), 0);
  actor_init(&first, 1, mutex_target(&other));
  first.then = block_here;
  assert_int_equal(actor_start(&first), 0);
  actor_start_at(&stuck, LOOP_B, mutex_target(&mutex));
  actor_start_at(&next, LOOP_A, mutex_target(&mutex));
  on_loop_b(release_both, ticket);
  uv_sem_wait(&blocked);
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(first.status, 0); /* delivered: it keeps what it has */
  assert_int_equal(pkd_async_mutex_is_locked(&other), 1);
  assert_int_equal(actor_release(&next), 0);
  uv_sem_post(&unblock);
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
  assert_int_equal(actor_release(&first), 0);
  uv_sem_destroy(&blocked);
  uv_sem_destroy(&unblock);
}

/* --- other objects --------------------------------------------------------- */

static void permits_of_a_stuck_loop_go_to_smaller_requests(void** state) {
  pkd_async_sem_t sem;

  (void)state;
  pkd_async_sem_init(&sem, 4, 4);
  actor_start_at(&owner, LOOP_A, sem_target(&sem, 4));
  assert_int_equal(actor_wait(&owner), 0);
  actor_start_at(&stuck, LOOP_B, sem_target(&sem, 3));
  stall_b();
  assert_int_equal(actor_release(&owner), 0);
  actor_start_at(&next, LOOP_A, sem_target(&sem, 2));
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 2);
  actor_start_at(&later, THREAD, sem_target(&sem, 2));
  assert_int_equal(actor_wait(&later), 0);
  wake_b();
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(actor_release(&later), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 2); /* 3 wait for one more */
  assert_int_equal(actor_release(&next), 0);
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(pkd_async_sem_available(&sem), 1);
  assert_int_equal(actor_release(&stuck), 0);
  assert_int_equal(pkd_async_sem_destroy(&sem), 0);
}

static void what_is_taken_back_keeps_its_order(void** state) {
  static struct actor three[3];
  pkd_async_sem_t sem;

  (void)state;
  pkd_async_sem_init(&sem, 3, 3);
  actor_start_at(&owner, LOOP_A, sem_target(&sem, 3));
  assert_int_equal(actor_wait(&owner), 0);
  for (int i = 0; i < 3; i++)
    actor_start_at(&three[i], LOOP_B, sem_target(&sem, 1));
  stall_b();
  assert_int_equal(actor_release(&owner), 0);
  actor_start_at(&next, LOOP_A, sem_target(&sem, 3));
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(grants_of_b().revoked, 3);
  wake_b();
  assert_int_equal(actor_release(&next), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(actor_wait(&three[i]), 0);
  assert_true(three[0].order < three[1].order);
  assert_true(three[1].order < three[2].order);
  for (int i = 0; i < 3; i++)
    assert_int_equal(actor_release(&three[i]), 0);
}

static void readers_go_on_while_a_writers_loop_is_stuck(void** state) {
  pkd_async_rwlock_t lock = {0};

  (void)state;
  actor_start_at(&owner, LOOP_A, rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  assert_int_equal(actor_wait(&owner), 0);
  actor_start_at(&stuck, LOOP_B, rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  actor_start_at(&next, LOOP_A, rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  actor_start_at(&later, THREAD, rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  stall_b();
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(actor_wait(&later), 0);
  wake_b();
  assert_int_equal(actor_release(&next), 0);
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(actor_release(&later), 0);
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
  assert_int_equal(pkd_async_rwlock_destroy(&lock), 0);
}

static int upgraded;

static void note_upgrade(pkd_req_t* req, int status) {
  (void)req;
  upgraded = status;
}

static struct {
  pkd_async_rwlock_t lock;
  pkd_req_t req;
  atomic_int status;
  int rc;
} climber;

static void note_climb(pkd_req_t* req, int status) {
  (void)req;
  climber.status = status;
}

/* Owns the lock with the right to upgrade before, as it does after a failure. */
static void climb(void* arg) {
  (void)arg;
  climber.rc = pkd_async_rwlock_upgrade(&loop_b, &climber.req, &climber.lock,
                                        note_climb);
}

static void readers_go_on_while_the_loop_of_an_upgrade_is_stuck(void** state) {
  (void)state;
  memset(&climber, 0, sizeof climber);
  climber.status = NOT_YET;
  be_patient(60000);
  assert_int_equal(pkd_async_rwlock_tryuplock(&climber.req, &climber.lock), 0);
  actor_start_at(&owner, LOOP_A,
                 rwlock_target(&climber.lock, PKD_ASYNC_RWLOCK_READ));
  assert_int_equal(actor_wait(&owner), 0);
  on_loop_b(climb, NULL);
  assert_int_equal(climber.rc, 0);
  actor_start_at(&next, LOOP_A,
                 rwlock_target(&climber.lock, PKD_ASYNC_RWLOCK_READ));
  be_patient(SHORT);
  stall_b();
  assert_int_equal(actor_release(&owner), 0); /* grants the upgrade */
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(climber.status, NOT_YET);
  WAIT_FOR(grants_of_b().revoked == 1);
  wake_b();
  assert_int_equal(climber.status, UV_ECANCELED);
  assert_int_equal(pkd_async_rwlock_owned(&climber.req, &climber.lock),
                   PKD_ASYNC_RWLOCK_UP);
  assert_int_equal(pkd_async_rwlock_tryupgrade(&climber.req, &climber.lock),
                   UV_EBUSY);
  assert_int_equal(actor_release(&next), 0);
  climber.status = NOT_YET;
  on_loop_b(climb, NULL);
  settle();
  assert_int_equal(climber.status, 0);
  assert_int_equal(pkd_async_rwlock_unlock(&climber.req, &climber.lock), 0);
  assert_int_equal(pkd_async_rwlock_destroy(&climber.lock), 0);
}

/* Two read; one of them wants to write, and a third, away, stands before it. */
static void an_upgrade_is_served_before_one_that_came_back(void** state) {
  pkd_async_rwlock_t lock = {0};

  (void)state;
  upgraded = NOT_YET;
  actor_start_at(&owner, LOOP_A, rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  assert_int_equal(actor_wait(&owner), 0);
  actor_start_at(&stuck, LOOP_B, rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  actor_start_at(&next, LOOP_A, rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  actor_start_at(&later, LOOP_A, rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  stall_b();
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(actor_wait(&next), 0);
  assert_int_equal(actor_wait(&later), 0);
  assert_int_equal(
      pkd_async_rwlock_upgrade(&loop_a, &next.req, &lock, note_upgrade), 0);
  await_revoked(1); /* it stands before the upgrade */
  wake_b();
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(upgraded, NOT_YET);
  assert_int_equal(actor_release(&later), 0);
  WAIT_FOR((turn_a(), upgraded != NOT_YET));
  assert_int_equal(upgraded, 0);
  assert_int_equal(stuck.status, NOT_YET);
  assert_int_equal(pkd_async_rwlock_unlock(&next.req, &lock), 0);
  assert_int_equal(actor_wait(&stuck), 0);
  assert_int_equal(actor_release(&stuck), 0);
}

static pkd_async_once_t once;
static pkd_req_t calls[2];
static atomic_int called[2]; /* status + 1 */

static void note_call(pkd_req_t* req, int status) {
  called[req - calls] = status + 1;
}

static void call_once_on_b(void* arg) {
  (void)arg;
  pkd_async_once_call(&loop_b, &calls[1], &once, note_call);
}

static void another_initializes_while_the_leaders_loop_is_stuck(void** state) {
  pkd_req_t first = {0};

  (void)state;
  assert_int_equal(pkd_async_once_try(&first, &once), 1);
  on_loop_b(call_once_on_b, NULL);
  stall_b();
  assert_int_equal(pkd_async_once_done(&first, &once, UV_EIO), 0);
  assert_int_equal(pkd_async_once_call(&loop_a, &calls[0], &once, note_call),
                   0);
  WAIT_FOR((turn_a(), called[0] != 0));
  assert_int_equal(called[0], 1 + 1); /* it leads */
  assert_int_equal(called[1], 0);
  assert_int_equal(pkd_async_once_done(&calls[0], &once, 0), 0);
  wake_b();
  assert_int_equal(called[1], 0 + 1); /* it is done */
}

static pkd_async_cond_t cond;

/* Who was signalled and is away passes the signal on when it is cancelled. */
static void a_signal_is_not_lost_with_one_that_is_away(void** state) {
  static struct actor other;
  struct target wait = {.mutex = &mutex, .cond = &cond};

  (void)state;
  actor_start_at(&stuck, LOOP_B, mutex_target(&mutex));
  assert_int_equal(actor_wait(&stuck), 0);
  stuck.target = wait;
  assert_int_equal(actor_start(&stuck), 0);
  actor_start_at(&other, LOOP_A, mutex_target(&mutex));
  assert_int_equal(actor_wait(&other), 0);
  other.target = wait;
  assert_int_equal(actor_start(&other), 0);
  stall_b();
  assert_int_equal(pkd_async_cond_signal(&cond), 1);
  await_revoked(1);
  assert_int_equal(other.status, NOT_YET);
  assert_int_equal(pkd_req_cancel(&stuck.req), 0);
  assert_int_equal(actor_wait(&other), 0);
  assert_int_equal(actor_release(&other), 0);
  wake_b();
  assert_int_equal(stuck.status, UV_ECANCELED);
}

/* --- the setting ----------------------------------------------------------- */

static void grants_are_told_of_a_loop_and_to_somebody(void** state) {
  pkd_loop_grants_t grants;

  (void)state;
  assert_int_equal(pkd_loop_get_grants(NULL, &grants), UV_EINVAL);
  assert_int_equal(pkd_loop_get_grants(&loop_a, NULL), UV_EINVAL);
  assert_int_equal(pkd_loop_get_grants(&loop_a, &grants), 0);
  assert_int_equal(grants.undelivered, 0);
  assert_int_equal(grants.oldest, 0);
  assert_int_equal(grants.revoked, 0);
}

/* It is told that the mutex is closed, which nobody else waits for. */
static void what_is_closed_is_not_granted(void** state) {
  pkd_async_mutex_t other = PKD_ASYNC_MUTEX_INIT;
  struct target target = mutex_target(&other);
  struct actor holder, waiter;
  pkd_loop_grants_t grants;

  (void)state;
  assert_int_equal(pkd_loop_set_grant_timeout(&loop_a, 60000), 0);
  actor_own(&holder, 0, target);
  actor_start_at(&waiter, LOOP_A, target);
  assert_int_equal(pkd_async_mutex_close(&other), 0);
  assert_int_equal(pkd_loop_get_grants(&loop_a, &grants), 0);
  assert_int_equal(grants.undelivered, 0);
  assert_int_equal(actor_wait(&waiter), UV_ECANCELED);
  assert_int_equal(actor_release(&holder), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop_a, 0), 0);
}

static void a_grant_timeout_can_be_set_until_the_detach(void** state) {
  const uint64_t half_an_hour = 30 * 60 * 1000;
  pkd_loop_t loop = {0};
  uv_loop_t uv;

  (void)state;
  assert_int_equal(pkd_loop_set_grant_timeout(NULL, 5), UV_EINVAL);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 5), UV_EINVAL);
  uv_loop_init(&uv);
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, half_an_hour + 1),
                   UV_EINVAL);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, half_an_hour), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 0), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 0), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), 0);
  assert_int_equal(pkd_loop_detach(&loop, NULL), 0);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), UV_ESHUTDOWN);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(pkd_loop_set_grant_timeout(&loop, 1), UV_ESHUTDOWN);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* The watchdog of the parent is not in the child. */
static int in_child(void) {
  pkd_req_t ticket = {0};

  memset(&third, 0, sizeof third);
  memset(&mutex, 0, sizeof mutex);
  uv_loop_init(&third.uv);
  if (pkd_loop_attach(&third.loop, &third.uv) != 0 ||
      pkd_loop_set_grant_timeout(&third.loop, SHORT) != 0 ||
      pkd_async_mutex_lock(&third.loop, &third.req[0], &mutex, note_third) != 0)
    return 1;
  while (pkd_async_mutex_trylock(&ticket, &mutex) != 0) {
  } /* until it is taken back */
  pkd_async_mutex_unlock(&ticket, &mutex);
  uv_run(&third.uv, UV_RUN_DEFAULT);
  if (third.status[0] != 0 ||
      pkd_async_mutex_unlock(&third.req[0], &mutex) != 0)
    return 2;
  pkd_loop_detach(&third.loop, NULL);
  uv_run(&third.uv, UV_RUN_DEFAULT);
  return uv_loop_close(&third.uv) == 0 ? 0 : 3;
}

static void the_child_of_a_fork_has_a_watchdog_of_its_own(void** state) {
  pid_t child;

  (void)state;
  if (PKD_TEST_SLOW || WRAPPED)
    skip(); /* ThreadSanitizer and qemu let a forked child start no thread */
  /* The threads of the parent have begun, and rest: AddressSanitizer's allocator is
   * locked for ever in the child if one of them is inside at the fork. */
  grant_to_stuck_loop();
  await_revoked(1);
  wake_b();
  assert_int_equal(actor_release(&stuck), 0);
  child = fork();
  if (child == 0)
    _exit(in_child());
  assert_int_equal(child_ends(child), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_STUCK_LOOP(a_try_does_not_overtake_who_is_not_away),
      WITH_STUCK_LOOP(destroy_is_refused_while_somebody_is_away),
      WITH_STUCK_LOOP(destroy_is_allowed_when_the_away_are_cancelled),
      WITH_STUCK_LOOP(free_by_the_last_after_one_was_away),
      WITH_STUCK_LOOP(detach_ends_those_who_are_away_and_those_who_wait),
      WITH_STUCK_LOOP(
          a_callback_that_blocks_does_not_keep_the_grants_behind_it),
      WITH_STUCK_LOOP(permits_of_a_stuck_loop_go_to_smaller_requests),
      WITH_STUCK_LOOP(what_is_taken_back_keeps_its_order),
      WITH_STUCK_LOOP(readers_go_on_while_a_writers_loop_is_stuck),
      WITH_STUCK_LOOP(readers_go_on_while_the_loop_of_an_upgrade_is_stuck),
      WITH_STUCK_LOOP(an_upgrade_is_served_before_one_that_came_back),
      WITH_STUCK_LOOP(another_initializes_while_the_leaders_loop_is_stuck),
      WITH_STUCK_LOOP(a_signal_is_not_lost_with_one_that_is_away),
      IN_ONE_WORLD(grants_are_told_of_a_loop_and_to_somebody),
      IN_ONE_WORLD(what_is_closed_is_not_granted),
      IN_ONE_WORLD(a_grant_timeout_can_be_set_until_the_detach),
      WITH_STUCK_LOOP(the_child_of_a_fork_has_a_watchdog_of_its_own),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
