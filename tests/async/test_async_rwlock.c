/* SPDX-License-Identifier: MIT
 *
 * test_async_rwlock.c - readers in runs, writers in turn, upgrades first. */
#include "actors.h"

enum {
  READ = PKD_ASYNC_RWLOCK_READ,
  WRITE = PKD_ASYNC_RWLOCK_WRITE,
  UP = PKD_ASYNC_RWLOCK_UP,
  UPGRADE = 4 /* what an actor that owns something may ask for */
};

static pkd_async_rwlock_t lock;

static void fresh(void) {
  lock = (pkd_async_rwlock_t)PKD_ASYNC_RWLOCK_INIT;
}

static void take(struct actor* actor, unsigned number, uint32_t mode) {
  actor_own(actor, number, rwlock_target(&lock, mode));
  assert_int_equal(pkd_async_rwlock_owned(&actor->req, &lock), mode);
}

static void queue(struct actor* actor, unsigned number, uint32_t mode) {
  actor_queue(actor, number, rwlock_target(&lock, mode));
}

/* Asks the owner to upgrade; it waits. */
static void climb(struct actor* actor) {
  size_t before = waiting_at(&lock);

  actor->target.n = UPGRADE;
  assert_int_equal(actor_start(actor), 0);
  assert_int_equal(waiting_at(&lock), before + 1);
}

static void all_is_free(void) {
  settle();
  assert_int_equal(pkd_async_rwlock_destroy(&lock), 0);
  assert_int_equal(pkd_loop_held(&loop_a), 0);
}

static void readers_share_and_a_writer_excludes(void** state) {
  struct actor a, b, writer;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  take(&a, 0, READ);
  take(&b, 1, READ);
  assert_int_equal(pkd_async_rwlock_trywrlock(&req, &lock), UV_EBUSY);
  queue(&writer, 0, WRITE);
  assert_int_equal(actor_release(&a), 0);
  settle();
  assert_int_equal(writer.answers, 0);
  assert_int_equal(actor_release(&b), 0);
  assert_int_equal(actor_wait(&writer), 0);
  assert_int_equal(pkd_async_rwlock_tryrdlock(&req, &lock), UV_EBUSY);
  assert_int_equal(pkd_async_rwlock_tryuplock(&req, &lock), UV_EBUSY);
  assert_int_equal(actor_release(&writer), 0);
  assert_int_equal(actor_release(&writer), UV_EPERM);
  all_is_free();
}

static void a_reader_behind_a_writer_waits_its_turn(void** state) {
  struct actor reader, writer, late[3], second;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  take(&reader, 0, READ);
  queue(&writer, 1, WRITE);
  for (unsigned i = 0; i < 3; i++)
    queue(&late[i], i, READ);
  queue(&second, 0, WRITE);
  assert_int_equal(pkd_async_rwlock_tryrdlock(&req, &lock), UV_EBUSY);
  assert_int_equal(actor_release(&reader), 0);
  assert_int_equal(actor_wait(&writer), 0);
  assert_int_equal(actor_release(&writer), 0);
  for (unsigned i = 0; i < 3; i++) /* in one run */
    assert_int_equal(actor_wait(&late[i]), 0);
  assert_int_equal(second.answers, 0);
  for (unsigned i = 0; i < 3; i++)
    assert_int_equal(actor_release(&late[i]), 0);
  assert_int_equal(actor_wait(&second), 0);
  assert_int_equal(actor_release(&second), 0);
  all_is_free();
}

static void a_cancelled_head_writer_lets_the_readers_in(void** state) {
  struct actor reader, writer, late;

  (void)state;
  for (int how = 0; how < 2; how++) {
    fresh();
    take(&reader, 0, READ);
    actor_init(&writer, 1, rwlock_target(&lock, WRITE));
    writer.timeout = how == 0 ? PKD_NO_TIMEOUT : 20;
    assert_int_equal(actor_start(&writer), 0);
    actor_init(&late, 0, rwlock_target(&lock, READ));
    assert_int_equal(actor_start(&late), 0);
    if (how == 0)
      assert_int_equal(pkd_req_cancel(&writer.req), 0);
    assert_int_equal(actor_wait(&late), 0); /* though `reader` still reads */
    assert_int_equal(actor_wait(&writer),
                     how == 0 ? UV_ECANCELED : UV_ETIMEDOUT);
    assert_int_equal(actor_release(&reader), 0);
    assert_int_equal(actor_release(&late), 0);
    all_is_free();
  }
}

static void cancel_of_a_granted_writer_passes_it_on(void** state) {
  struct actor owner, granted, reader;

  (void)state;
  fresh();
  take(&owner, 1, WRITE);
  queue(&granted, 0, WRITE); /* loop A turns only when told to */
  queue(&reader, 1, READ);
  assert_int_equal(actor_release(&owner), 0);
  assert_int_equal(pkd_req_cancel(&granted.req), 0);
  assert_int_equal(actor_wait(&reader), 0);
  assert_int_equal(actor_wait(&granted), UV_ECANCELED);
  assert_int_equal(actor_release(&reader), 0);
  all_is_free();
}

static void up_shares_with_readers_only(void** state) {
  struct actor up, reader, second;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  take(&up, 0, UP);
  take(&reader, 1, READ);
  assert_int_equal(pkd_async_rwlock_tryuplock(&req, &lock), UV_EBUSY);
  assert_int_equal(pkd_async_rwlock_trywrlock(&req, &lock), UV_EBUSY);
  queue(&second, 1, UP);
  assert_int_equal(actor_release(&up), 0);
  assert_int_equal(actor_wait(&second), 0);
  assert_int_equal(actor_release(&second), 0);
  assert_int_equal(actor_release(&reader), 0);
  all_is_free();
}

static void an_upgrade_waits_for_the_readers_and_goes_first(void** state) {
  static const uint32_t from[2] = {UP, READ};

  (void)state;
  for (int i = 0; i < 2; i++) {
    struct actor climber, reader, writer, late;

    fresh();
    take(&climber, 1, from[i]);
    take(&reader, 0, READ);
    queue(&writer, 0, WRITE);
    climb(&climber);
    queue(&late, 1, READ);
    settle();
    assert_int_equal(climber.answers, 1);
    assert_int_equal(actor_release(&climber), UV_EPERM); /* it is waiting */
    assert_int_equal(actor_release(&reader), 0);
    assert_int_equal(actor_wait(&climber), 0);
    assert_int_equal(pkd_async_rwlock_owned(&climber.req, &lock), WRITE);
    assert_int_equal(writer.answers, 0);
    assert_int_equal(actor_release(&climber), 0);
    assert_int_equal(actor_wait(&writer), 0);
    assert_int_equal(actor_release(&writer), 0);
    assert_int_equal(actor_wait(&late), 0);
    assert_int_equal(actor_release(&late), 0);
    all_is_free();
  }
}

static void the_only_reader_upgrades_at_once_past_those_who_wait(void** state) {
  struct actor climber, writer;

  (void)state;
  fresh();
  take(&climber, 0, READ);
  queue(&writer, 1, WRITE);
  assert_int_equal(pkd_async_rwlock_tryupgrade(&climber.req, &lock), 0);
  assert_int_equal(pkd_async_rwlock_owned(&climber.req, &lock), WRITE);
  assert_int_equal(pkd_async_rwlock_downgrade(&climber.req, &lock), 0);
  climber.target.n = UPGRADE;
  assert_int_equal(actor_start(&climber), 0);
  assert_int_equal(actor_wait(&climber), 0);
  assert_int_equal(writer.answers, 0);
  assert_int_equal(actor_release(&climber), 0);
  assert_int_equal(actor_wait(&writer), 0);
  assert_int_equal(actor_release(&writer), 0);
  all_is_free();
}

static void a_second_upgrade_is_refused_at_once(void** state) {
  struct actor first, second;

  (void)state;
  fresh();
  take(&first, 0, READ);
  take(&second, 0, READ);
  climb(&first);
  second.target.n = UPGRADE;
  assert_int_equal(actor_start(&second), PKD_EDEADLK);
  assert_int_equal(pkd_async_rwlock_tryupgrade(&second.req, &lock),
                   PKD_EDEADLK);
  assert_int_equal(pkd_async_rwlock_owned(&second.req, &lock), READ);
  assert_int_equal(pkd_loop_held(&loop_a), 1); /* the first is on its way */
  assert_int_equal(actor_release(&second), 0);
  assert_int_equal(actor_wait(&first), 0);
  assert_int_equal(actor_release(&first), 0);
  all_is_free();
}

static void an_upgrade_that_fails_keeps_what_it_had(void** state) {
  static const uint32_t from[2] = {UP, READ};

  (void)state;
  for (int how = 0; how < 4; how++) {
    struct actor climber, reader, late;
    uint32_t mode = from[how % 2];

    fresh();
    take(&reader, 0, READ);
    take(&climber, 1, mode);
    climber.timeout = how < 2 ? PKD_NO_TIMEOUT : 20;
    climber.target.n = UPGRADE;
    assert_int_equal(actor_start(&climber), 0);
    actor_init(&late, 0, rwlock_target(&lock, READ));
    assert_int_equal(actor_start(&late), 0);
    if (how < 2)
      assert_int_equal(pkd_req_cancel(&climber.req), 0);
    assert_int_equal(actor_wait(&climber),
                     how < 2 ? UV_ECANCELED : UV_ETIMEDOUT);
    assert_int_equal(pkd_async_rwlock_owned(&climber.req, &lock), mode);
    assert_int_equal(actor_wait(&late), 0);
    assert_int_equal(actor_release(&late), 0);
    assert_int_equal(actor_release(&reader), 0);
    assert_int_equal(pkd_async_rwlock_tryupgrade(&climber.req, &lock), 0);
    assert_int_equal(actor_release(&climber), 0);
    all_is_free();
  }
}

static void a_granted_upgrade_that_is_cancelled_falls_back(void** state) {
  static const uint32_t from[2] = {UP, READ};

  (void)state;
  for (int i = 0; i < 2; i++) {
    struct actor climber, reader, late;

    fresh();
    take(&climber, 0, from[i]);
    take(&reader, 1, READ);
    climb(&climber);
    queue(&late, 1, READ);
    actor_release(&reader); /* granted, and loop A does not turn */
    assert_int_equal(pkd_req_cancel(&climber.req), 0);
    assert_int_equal(actor_wait(&late), 0);
    assert_int_equal(actor_wait(&climber), UV_ECANCELED);
    assert_int_equal(pkd_async_rwlock_owned(&climber.req, &lock), from[i]);
    assert_int_equal(actor_release(&climber), 0);
    assert_int_equal(actor_release(&late), 0);
    all_is_free();
  }
}

static void a_downgrade_lets_others_in(void** state) {
  struct actor writer, reader, up;

  (void)state;
  fresh();
  take(&writer, 0, WRITE);
  queue(&reader, 1, READ);
  queue(&up, 0, UP);
  assert_int_equal(pkd_async_rwlock_downgrade_to_up(&writer.req, &lock), 0);
  assert_int_equal(actor_wait(&reader), 0);
  assert_int_equal(up.answers, 0);
  assert_int_equal(pkd_async_rwlock_downgrade_to_up(&writer.req, &lock),
                   UV_EPERM);
  assert_int_equal(pkd_async_rwlock_downgrade(&writer.req, &lock), 0);
  assert_int_equal(actor_wait(&up), 0);
  assert_int_equal(pkd_async_rwlock_downgrade(&writer.req, &lock), UV_EPERM);
  assert_int_equal(pkd_async_rwlock_owned(&writer.req, &lock), READ);
  assert_int_equal(actor_release(&writer), 0);
  assert_int_equal(actor_release(&reader), 0);
  assert_int_equal(actor_release(&up), 0);
  all_is_free();
}

static void close_ends_waits_and_leaves_owners(void** state) {
  struct actor reader, climber, writer;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  take(&reader, 1, READ);
  take(&climber, 0, UP);
  climb(&climber);
  queue(&writer, 1, WRITE);
  assert_int_equal(pkd_async_rwlock_close(&lock), 0);
  assert_int_equal(actor_wait(&writer), UV_ECANCELED);
  assert_int_equal(actor_wait(&climber), UV_ECANCELED);
  assert_int_equal(pkd_async_rwlock_owned(&climber.req, &lock), UP);
  assert_int_equal(pkd_async_rwlock_tryrdlock(&req, &lock), UV_ESHUTDOWN);
  assert_int_equal(pkd_async_rwlock_tryupgrade(&climber.req, &lock),
                   UV_ESHUTDOWN);
  assert_int_equal(pkd_async_rwlock_destroy(&lock), UV_EBUSY);
  assert_int_equal(pkd_async_rwlock_downgrade(&climber.req, &lock), 0);
  assert_int_equal(actor_release(&climber), 0);
  assert_int_equal(actor_release(&reader), 0);
  all_is_free();
}

static void what_cannot_upgrade_is_told_so(void** state) {
  pkd_async_rwlock_t other = PKD_ASYNC_RWLOCK_INIT;
  struct actor writer, reader;
  pkd_req_t req = {0};

  (void)state;
  fresh();
  assert_int_equal(pkd_async_rwlock_tryupgrade(&req, &lock), UV_EPERM);
  take(&writer, 0, WRITE);
  assert_int_equal(pkd_async_rwlock_tryupgrade(&writer.req, &lock), UV_EPERM);
  assert_int_equal(pkd_async_rwlock_unlock(&writer.req, &other), UV_EPERM);
  assert_int_equal(pkd_async_rwlock_downgrade(&req, &lock), UV_EPERM);
  assert_int_equal(pkd_async_rwlock_unlock(NULL, &lock), UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_unlock(&req, NULL), UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_upgrade(&loop_a, NULL, &lock, NULL),
                   UV_EINVAL);
  queue(&reader, 0, READ); /* undisturbed */
  assert_int_equal(pkd_async_rwlock_tryupgrade(&reader.req, &lock),
                   UV_EALREADY);
  assert_int_equal(pkd_async_rwlock_close(NULL), UV_EINVAL);
  assert_int_equal(pkd_async_rwlock_destroy(NULL), UV_EINVAL);
  assert_int_equal(actor_release(&writer), 0);
  assert_int_equal(actor_wait(&reader), 0);
  assert_int_equal(actor_release(&reader), 0);
  all_is_free();
}

static void detach_keeps_what_a_climber_owns(void** state) {
  struct actor climber, reader;

  (void)state;
  fresh();
  take(&climber, 0, READ);
  take(&reader, 0, READ);
  climb(&climber);
  assert_int_equal(pkd_loop_detach(&loop_a, NULL), 0);
  uv_run(&uv_a, UV_RUN_DEFAULT);
  assert_int_equal(climber.status, UV_ECANCELED);
  assert_int_equal(actor_release(&climber), 0);
  assert_int_equal(actor_release(&reader), 0);
  assert_int_equal(pkd_loop_attach(&loop_a, &uv_a), 0);
  all_is_free();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_EACH_WORLD(readers_share_and_a_writer_excludes),
      IN_EACH_WORLD(a_reader_behind_a_writer_waits_its_turn),
      IN_EACH_WORLD(a_cancelled_head_writer_lets_the_readers_in),
      IN_EACH_WORLD(cancel_of_a_granted_writer_passes_it_on),
      IN_EACH_WORLD(up_shares_with_readers_only),
      IN_EACH_WORLD(an_upgrade_waits_for_the_readers_and_goes_first),
      IN_EACH_WORLD(the_only_reader_upgrades_at_once_past_those_who_wait),
      IN_ONE_WORLD(a_second_upgrade_is_refused_at_once),
      IN_EACH_WORLD(an_upgrade_that_fails_keeps_what_it_had),
      IN_EACH_WORLD(a_granted_upgrade_that_is_cancelled_falls_back),
      IN_EACH_WORLD(a_downgrade_lets_others_in),
      IN_EACH_WORLD(close_ends_waits_and_leaves_owners),
      IN_ONE_WORLD(what_cannot_upgrade_is_told_so),
      IN_ONE_WORLD(detach_keeps_what_a_climber_owns),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
