/* SPDX-License-Identifier: MIT
 *
 * test_rwlock.c - the reader-writer lock by its public interface: who excludes
 * whom, who is let in when, and what each give-up and misuse comes to. */
#include <support/test.h>

#include <parkade/cancel.h>
#include <parkade/lot.h>
#include <parkade/rwlock.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define READERS_MAX (UINT32_C(1) << 26)

static size_t waiting_at(const void* key) {
  return pkd_lot_for_each(key, NULL, NULL);
}

/* --- a thread that holds the lock until told otherwise ---------------------- */

/* How a hand takes the lock; it gives it up the plain way. */
enum way { READ, AGAIN, WRITE, UP, WAYS };

struct hand {
  pkd_rwlock_t* l;
  enum way way;
  pkd_deadline_t deadline;
  pthread_t thread;
  int rc;
  unsigned in;     /* atomic: 1 has the lock, 2 tried in vain */
  unsigned let_go; /* atomic */
  unsigned* order; /* atomic, shared: who got in when */
  unsigned place;
};

static int take(pkd_rwlock_t* l, enum way way, pkd_deadline_t deadline) {
  switch (way) {
  case READ:
    return pkd_rwlock_rdlock_until(l, deadline);
  case AGAIN:
    return pkd_rwlock_rdlock_recursive_until(l, deadline);
  case WRITE:
    return pkd_rwlock_wrlock_until(l, deadline);
  case UP:
  default:
    return pkd_rwlock_uplock_until(l, deadline);
  }
}

static int try_take(pkd_rwlock_t* l, enum way way) {
  switch (way) {
  case READ:
    return pkd_rwlock_tryrdlock(l);
  case AGAIN:
    return pkd_rwlock_tryrdlock_recursive(l);
  case WRITE:
    return pkd_rwlock_trywrlock(l);
  case UP:
  default:
    return pkd_rwlock_tryuplock(l);
  }
}

static void give(pkd_rwlock_t* l, enum way way) {
  switch (way) {
  case READ:
  case AGAIN:
    pkd_rwlock_rdunlock(l);
    break;
  case WRITE:
    pkd_rwlock_wrunlock(l);
    break;
  case UP:
  default:
    pkd_rwlock_upunlock(l);
  }
}

static void* hold(void* arg) {
  struct hand* h = arg;

  h->rc = take(h->l, h->way, h->deadline);
  if (h->rc == 0 && h->order != NULL)
    h->place = __atomic_add_fetch(h->order, 1, __ATOMIC_RELAXED);
  __atomic_store_n(&h->in, h->rc == 0 ? 1 : 2, __ATOMIC_RELEASE);
  if (h->rc != 0)
    return NULL;
  while (!__atomic_load_n(&h->let_go, __ATOMIC_ACQUIRE))
    sched_yield();
  give(h->l, h->way);
  return NULL;
}

static void reach(struct hand* h, pkd_rwlock_t* l, enum way way) {
  h->l = l;
  h->way = way;
  if (h->deadline == 0)
    h->deadline = PKD_FOREVER;
  assert_int_equal(pthread_create(&h->thread, NULL, hold, h), 0);
}

#define IS_IN(h) (__atomic_load_n(&(h)->in, __ATOMIC_ACQUIRE) == 1)

static void reach_and_wait(struct hand* h, pkd_rwlock_t* l, enum way way) {
  size_t before = waiting_at(l);

  reach(h, l, way);
  WAIT_FOR(waiting_at(l) == before + 1);
}

static void let_go(struct hand* h) {
  __atomic_store_n(&h->let_go, 1, __ATOMIC_RELEASE);
}

static void drop(struct hand* h) {
  let_go(h);
  pthread_join(h->thread, NULL);
}

/* Until everybody who waits now has waited its half millisecond. */
static void let_patience_end(void) {
  pkd_deadline_t end = pkd_after(2 * MS);

  WAIT_FOR(pkd_now() > end);
}

/* --- who excludes whom ----------------------------------------------------- */

static void who_may_be_in_together(void** state) {
  static const bool together[WAYS][WAYS] = {
      /*           read   again  write  up */
      [READ] = {true, true, false, true},
      [AGAIN] = {true, true, false, true},
      [WRITE] = {false, false, false, false},
      [UP] = {true, true, false, false},
  };

  (void)state;
  for (int a = 0; a < WAYS; a++) {
    for (int b = 0; b < WAYS; b++) {
      pkd_rwlock_t l = PKD_RWLOCK_INIT;
      int rc;

      assert_int_equal(try_take(&l, (enum way)a), 0);
      assert_int_equal(pkd_rwlock_is_locked(&l), 1);
      assert_int_equal(pkd_rwlock_is_write_locked(&l), a == WRITE);
      rc = try_take(&l, (enum way)b);
      assert_int_equal(rc, together[a][b] ? 0 : -EBUSY);
      assert_int_equal(take(&l, WRITE, 0), -ETIMEDOUT);
      if (rc == 0)
        give(&l, (enum way)b);
      give(&l, (enum way)a);
      assert_int_equal(l.word, 0);
      assert_int_equal(pkd_rwlock_is_locked(&l), 0);
    }
  }
}

static void zeroed_memory_is_a_free_lock(void** state) {
  pkd_rwlock_t l;

  (void)state;
  memset(&l, 0, sizeof l);
  assert_int_equal(l.policy, PKD_RWLOCK_PHASES);
  pkd_rwlock_wrlock(&l);
  pkd_rwlock_wrunlock(&l);
  assert_int_equal(pkd_rwlock_init(&l, PKD_RWLOCK_PREFER_WRITERS), 0);
  assert_int_equal(l.policy, PKD_RWLOCK_PREFER_WRITERS);
  assert_int_equal(pkd_rwlock_init(&l, (pkd_rwlock_policy_t)3), -EINVAL);
  assert_int_equal(l.policy, PKD_RWLOCK_PREFER_WRITERS);
}

static void a_deadline_past_now_or_to_come_ends_any_wait(void** state) {
  (void)state;
  for (int way = 0; way < WAYS; way++) {
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    pkd_deadline_t soon = pkd_after(2 * MS);

    assert_int_equal(take(&l, (enum way)way, 0), 0);
    give(&l, (enum way)way);
    pkd_rwlock_wrlock(&l);
    assert_int_equal(take(&l, (enum way)way, 0), -ETIMEDOUT);
    assert_int_equal(take(&l, (enum way)way, pkd_now()), -ETIMEDOUT);
    assert_int_equal(take(&l, (enum way)way, soon), -ETIMEDOUT);
    assert_true(pkd_now() >= soon);
    assert_int_equal(l.word, 1);
    pkd_rwlock_wrunlock(&l);
  }
}

static void a_token_ends_any_wait(void** state) {
  pkd_cancel_t fired = PKD_CANCEL_INIT;
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_cancel_fire(&fired);
  /* what is free is taken */
  assert_int_equal(pkd_rwlock_wrlock_cancellable(&l, &fired, PKD_FOREVER), 0);
  assert_int_equal(pkd_rwlock_wrlock_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  assert_int_equal(pkd_rwlock_rdlock_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  assert_int_equal(
      pkd_rwlock_rdlock_recursive_cancellable(&l, &fired, PKD_FOREVER),
      -ECANCELED);
  assert_int_equal(pkd_rwlock_uplock_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  pkd_rwlock_downgrade_to_up(&l);
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_upgrade_cancellable(&l, &fired, PKD_FOREVER),
                   -ECANCELED);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_upunlock(&l);
  assert_int_equal(l.word, 0);
}

/* --- writers and readers --------------------------------------------------- */

static void a_waiting_writer_keeps_new_readers_out(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
  pkd_rwlock_rdunlock(&l);
  WAIT_FOR(IS_IN(&writer));
  drop(&writer);
  assert_int_equal(l.word, 0);
}

/* Another's recursive read passes the writer as well: somebody reads. */
static void a_recursive_read_passes_a_waiting_writer(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  for (int i = 0; i < 100; i++) {
    pkd_rwlock_rdlock_recursive(&l);
    assert_int_equal(pkd_rwlock_tryrdlock_recursive(&l), 0);
    assert_int_equal(pkd_rwlock_rdlock_recursive_for(&l, 0), 0);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
  }
  assert_false(IS_IN(&writer));
  pkd_rwlock_rdunlock(&l);
  drop(&writer);
  /* and beside an upgradable holder who reads again */
  memset(&writer, 0, sizeof writer);
  pkd_rwlock_uplock(&l);
  reach_and_wait(&writer, &l, WRITE);
  pkd_rwlock_rdlock_recursive(&l);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_upunlock(&l);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

/* In the queue: writer, two readers, writer. After the first writer both readers
 * are in together, before the second writer, however early that came. */
static void phases_follow_one_another(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer[2] = {{0}, {0}};
  struct hand reader[2] = {{0}, {0}};

  (void)state;
  pkd_rwlock_wrlock(&l);
  reach_and_wait(&writer[0], &l, WRITE);
  reach_and_wait(&reader[0], &l, READ);
  reach_and_wait(&writer[1], &l, WRITE);
  reach_and_wait(&reader[1], &l, READ);
  let_patience_end();
  pkd_rwlock_wrunlock(
      &l); /* a writer leaves: readers, past the writer before */
  WAIT_FOR(IS_IN(&reader[0]) && IS_IN(&reader[1]));
  assert_false(IS_IN(&writer[0]));
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
  drop(&reader[0]);
  drop(&reader[1]);
  WAIT_FOR(IS_IN(&writer[0]));
  drop(&writer[0]);
  WAIT_FOR(IS_IN(&writer[1]));
  drop(&writer[1]);
  assert_int_equal(l.word, 0);
}

static void after_readers_a_writer_comes_before_readers_who_wait(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  struct hand reader = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  reach_and_wait(&reader, &l, READ);
  let_patience_end();
  pkd_rwlock_rdunlock(&l);
  WAIT_FOR(IS_IN(&writer));
  assert_false(IS_IN(&reader));
  drop(&writer);
  drop(&reader);
  assert_int_equal(l.word, 0);
}

static void preferred_readers_pass_a_waiting_writer(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_POLICY_INIT(PKD_RWLOCK_PREFER_READERS);
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  pkd_rwlock_rdunlock(&l);
  assert_false(IS_IN(&writer));
  pkd_rwlock_rdunlock(&l);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

static void preferred_writers_pass_waiting_readers(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_POLICY_INIT(PKD_RWLOCK_PREFER_WRITERS);
  struct hand reader = {0};
  struct hand writer[2] = {{0}, {0}};
  unsigned order = 0;

  (void)state;
  reader.order = writer[0].order = writer[1].order = &order;
  pkd_rwlock_wrlock(&l);
  reach_and_wait(&reader, &l, READ);
  reach_and_wait(&writer[0], &l, WRITE);
  reach_and_wait(&writer[1], &l, WRITE);
  let_go(&reader);
  let_go(&writer[0]);
  let_go(&writer[1]);
  pkd_rwlock_wrunlock(&l);
  drop(&writer[0]);
  drop(&writer[1]);
  drop(&reader);
  assert_int_equal(writer[0].place, 1);
  assert_int_equal(writer[1].place, 2);
  assert_int_equal(reader.place, 3);
  assert_int_equal(l.word, 0);
}

/* Readers who overlap without end. */
struct crowd {
  pkd_rwlock_t l;
  unsigned stop; /* atomic */
  unsigned inside;
  int writes;
};

static void read_for_ever(void* arg, unsigned number) {
  struct crowd* crowd = arg;

  if (number == 0) {
    for (crowd->writes = 0; crowd->writes < ROUNDS(60); crowd->writes++) {
      while (__atomic_load_n(&crowd->inside, __ATOMIC_RELAXED) == 0)
        sched_yield();
      pkd_rwlock_wrlock(&crowd->l);
      pkd_rwlock_wrunlock(&crowd->l);
    }
    __atomic_store_n(&crowd->stop, 1, __ATOMIC_RELAXED);
    return;
  }
  while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
    pkd_rwlock_rdlock(&crowd->l);
    __atomic_add_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 200; i++)
      __atomic_load_n(&crowd->stop, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&crowd->inside, 1, __ATOMIC_RELAXED);
    pkd_rwlock_rdunlock(&crowd->l);
  }
}

static void a_writer_is_not_starved_by_endless_readers(void** state) {
  struct crowd crowd = {PKD_RWLOCK_INIT, 0, 0, 0};

  (void)state;
  team_run(4, read_for_ever, &crowd);
  assert_int_equal(crowd.writes, ROUNDS(60));
  assert_int_equal(crowd.l.word, 0);
}

/* --- giving up ------------------------------------------------------------- */

static void a_writer_that_gives_up_lets_new_readers_in(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_wrlock_for(&l, MS), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(l.word, 0);
}

static void a_writer_that_gives_up_wakes_readers_it_kept_out(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  struct hand reader = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  writer.deadline = pkd_after(50 * MS);
  reach(&writer, &l, WRITE);
  /* if the writer is late before we look, the reader enters at once: fine */
  WAIT_FOR(waiting_at(&l) == 1 || pkd_now() > writer.deadline);
  reach(&reader, &l, READ);
  WAIT_FOR(IS_IN(&reader)); /* hangs if nobody wakes it: we still read */
  pthread_join(writer.thread, NULL);
  assert_int_equal(writer.rc, -ETIMEDOUT);
  drop(&reader);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(l.word, 0);
}

static void
a_second_writer_still_keeps_readers_out_when_one_gives_up(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  assert_int_equal(pkd_rwlock_wrlock_for(&l, MS), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
  pkd_rwlock_rdunlock(&l);
  drop(&writer);
  assert_int_equal(l.word, 0);
}

static void an_upgrade_that_gives_up_lets_new_readers_in(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  pkd_rwlock_rdlock(&l);
  pkd_rwlock_uplock(&l);
  assert_int_equal(pkd_rwlock_tryupgrade(&l), -EBUSY);
  assert_int_equal(pkd_rwlock_upgrade_for(&l, 0), -ETIMEDOUT);
  assert_int_equal(pkd_rwlock_upgrade_until(&l, soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(pkd_rwlock_tryupgrade(&l), 0);
  pkd_rwlock_wrunlock(&l);
  assert_int_equal(l.word, 0);
}

/* --- up and down ----------------------------------------------------------- */

struct upgrade {
  pkd_rwlock_t l;
  unsigned done; /* atomic */
};

static void* upgrade(void* arg) {
  struct upgrade* u = arg;

  pkd_rwlock_uplock(&u->l);
  pkd_rwlock_upgrade(&u->l);
  __atomic_store_n(&u->done, 1, __ATOMIC_RELEASE);
  pkd_rwlock_wrunlock(&u->l);
  return NULL;
}

static void an_upgrade_waits_for_readers_and_goes_before_writers(void** state) {
  struct upgrade u = {PKD_RWLOCK_INIT, 0};
  struct hand writer = {0};
  pthread_t thread;

  (void)state;
  pkd_rwlock_rdlock(&u.l);
  assert_int_equal(pthread_create(&thread, NULL, upgrade, &u), 0);
  WAIT_FOR(waiting_at(&u.l) == 1);
  assert_int_equal(pkd_rwlock_tryrdlock(&u.l), -EBUSY);
  reach_and_wait(&writer, &u.l, WRITE);
  assert_int_equal(u.done, 0);
  pkd_rwlock_rdunlock(&u.l);
  WAIT_FOR(IS_IN(&writer));
  assert_int_equal(__atomic_load_n(&u.done, __ATOMIC_ACQUIRE), 1);
  drop(&writer);
  pthread_join(thread, NULL);
  assert_int_equal(u.l.word, 0);
}

static void two_never_wait_for_each_other_to_upgrade(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_rdlock(&l);
  pkd_rwlock_uplock(&l);
  assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
  /* the reader may not become a writer while another may */
  assert_int_equal(pkd_rwlock_rdupgrade(&l), -EDEADLK);
  assert_int_equal(l.word, 32 + 2);
  pkd_rwlock_upunlock(&l);
  assert_int_equal(pkd_rwlock_rdupgrade(&l), 0);
  assert_int_equal(pkd_rwlock_is_write_locked(&l), 1);
  pkd_rwlock_downgrade(&l);
  pkd_rwlock_rdlock(&l);
  assert_int_equal(pkd_rwlock_rdupgrade_until(&l, 0), -ETIMEDOUT);
  assert_int_equal(l.word, 64);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_rdunlock(&l);
}

static void a_downgrade_lets_readers_in_and_keeps_writers_out(void** state) {
  (void)state;
  for (int to_up = 0; to_up < 2; to_up++) {
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand reader[2] = {{0}, {0}};
    struct hand writer = {0};

    pkd_rwlock_wrlock(&l);
    reach_and_wait(&reader[0], &l, READ);
    reach_and_wait(&writer, &l, WRITE);
    reach_and_wait(&reader[1], &l, READ);
    if (to_up)
      pkd_rwlock_downgrade_to_up(&l);
    else
      pkd_rwlock_downgrade(&l);
    WAIT_FOR(IS_IN(&reader[0]) && IS_IN(&reader[1]));
    assert_false(IS_IN(&writer));
    drop(&reader[0]);
    drop(&reader[1]);
    assert_false(IS_IN(&writer));
    if (to_up)
      pkd_rwlock_upunlock(&l);
    else
      pkd_rwlock_rdunlock(&l);
    drop(&writer);
    assert_int_equal(l.word, 0);
  }
}

static void a_downgrade_from_upgradable_lets_the_next_one_in(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand up = {0};

  (void)state;
  pkd_rwlock_uplock(&l);
  reach_and_wait(&up, &l, UP);
  pkd_rwlock_updowngrade(&l);
  WAIT_FOR(IS_IN(&up));
  assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
  pkd_rwlock_rdunlock(&l);
  drop(&up);
  assert_int_equal(l.word, 0);
}

/* --- fair unlocks ---------------------------------------------------------- */

/* Right after a fair unlock the lock is the waiter's: a try of ours fails, each
 * single time, whatever we held. */
static void each_fair_unlock_hands_over(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(300); i++) {
    enum way way = (enum way[]){READ, WRITE, UP}[i % 3];
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand writer = {0};

    assert_int_equal(try_take(&l, way), 0);
    reach_and_wait(&writer, &l, WRITE);
    if (way == READ)
      pkd_rwlock_rdunlock_fair(&l);
    else if (way == WRITE)
      pkd_rwlock_wrunlock_fair(&l);
    else
      pkd_rwlock_upunlock_fair(&l);
    assert_int_equal(pkd_rwlock_trywrlock(&l), -EBUSY);
    assert_int_equal(pkd_rwlock_tryrdlock(&l), -EBUSY);
    drop(&writer);
    assert_int_equal(l.word, 0);
  }
}

static void a_bump_lets_the_other_have_its_turn(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(60); i++) {
    enum way way = (enum way[]){READ, WRITE, UP}[i % 3];
    pkd_rwlock_t l = PKD_RWLOCK_INIT;
    struct hand writer = {0};

    assert_int_equal(try_take(&l, way), 0);
    reach_and_wait(&writer, &l, WRITE);
    let_go(&writer);
    if (way == READ)
      pkd_rwlock_rdbump(&l);
    else if (way == WRITE)
      pkd_rwlock_wrbump(&l);
    else
      pkd_rwlock_upbump(&l);
    assert_int_equal(__atomic_load_n(&writer.in, __ATOMIC_ACQUIRE), 1);
    give(&l, way);
    pthread_join(writer.thread, NULL);
    assert_int_equal(l.word, 0);
  }
}

/* --- limits and misuse ----------------------------------------------------- */

static void more_readers_than_can_be_counted_are_refused(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  l.word = (READERS_MAX - 1) * 32;
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), -EAGAIN);
  assert_int_equal(pkd_rwlock_rdlock_for(&l, MS), -EAGAIN);
  assert_int_equal(pkd_rwlock_rdlock_recursive_for(&l, MS), -EAGAIN);
  assert_int_equal(l.word, READERS_MAX * 32);
  pkd_rwlock_rdunlock(&l);
  assert_int_equal(pkd_rwlock_tryrdlock(&l), 0);
}

static void misuse(int which) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  switch (which) {
  case 0:
    pkd_rwlock_rdunlock(&l);
    break;
  case 1:
    pkd_rwlock_rdunlock_fair(&l);
    break;
  case 2:
    pkd_rwlock_wrunlock(&l);
    break;
  case 3:
    pkd_rwlock_wrunlock_fair(&l);
    break;
  case 4:
    pkd_rwlock_upunlock(&l);
    break;
  case 5:
    pkd_rwlock_upunlock_fair(&l);
    break;
  case 6:
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_wrunlock(&l);
    break;
  case 7:
    pkd_rwlock_wrlock(&l);
    pkd_rwlock_rdunlock(&l);
    break;
  case 8:
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_upgrade(&l);
    break;
  case 9:
    pkd_rwlock_uplock(&l);
    pkd_rwlock_downgrade(&l);
    break;
  case 10:
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_updowngrade(&l);
    break;
  case 11:
    pkd_rwlock_wrbump(&l);
    break;
  case 12:
    l.word = READERS_MAX * 32;
    pkd_rwlock_rdlock(&l);
    break;
  default:
    break;
  }
}

static void misuse_stops_the_program_with_one_line(void** state) {
  (void)state;
  for (int which = 0; which < 13; which++) {
    char line[256] = "";
    int status = 0;
    int tube[2];
    pid_t child;

    assert_int_equal(pipe(tube), 0);
    child = fork();
    if (child == 0) {
      signal(SIGABRT, SIG_DFL);
      dup2(tube[1], STDERR_FILENO);
      misuse(which);
      _exit(0);
    }
    close(tube[1]);
    assert_true(read(tube[0], line, sizeof line - 1) > 0);
    close(tube[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(line, "parkade: pkd_rwlock_"));
  }
}

/* --- odd moments ----------------------------------------------------------- */

static void a_child_of_fork_has_the_lock_and_nobody_waiting(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  struct hand writer = {0};
  struct hand reader = {0};
  int status = -1;
  pid_t child;

  (void)state;
  pkd_rwlock_rdlock(&l);
  reach_and_wait(&writer, &l, WRITE);
  reach_and_wait(&reader, &l, READ);
  child = fork();
  if (child == 0) {
    /* a writer pends who is not here: it must not keep readers out */
    if (pkd_rwlock_rdlock_for(&l, 5000 * MS) != 0)
      _exit(1);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&l);
    if (pkd_rwlock_wrlock_for(&l, 5000 * MS) != 0)
      _exit(2);
    pkd_rwlock_wrunlock(&l);
    if (pkd_rwlock_rdlock_for(&l, 5000 * MS) != 0)
      _exit(3);
    pkd_rwlock_rdunlock(&l);
    _exit(l.word == 0 ? 0 : 4);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  pkd_rwlock_rdunlock(&l);
  let_go(&writer);
  let_go(&reader);
  drop(&writer);
  drop(&reader);
  assert_int_equal(l.word, 0);
}

static pkd_rwlock_t late_lock = PKD_RWLOCK_INIT;
static pthread_key_t late_key;
static int late_writes;

static void write_late(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&late_lock);
  late_writes++;
  pkd_rwlock_wrunlock(&late_lock);
}

static void leave_a_destructor(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pthread_setspecific(late_key, &late_lock);
}

static void destructors_of_a_thread_may_write(void** state) {
  (void)state;
  assert_int_equal(pthread_key_create(&late_key, write_late), 0);
  team_run(16, leave_a_destructor, NULL);
  assert_int_equal(late_writes, 16);
  assert_int_equal(late_lock.word, 0);
  pthread_key_delete(late_key);
}

static void must_not_wake(pkd_waiter_t* waiter) {
  waiter->state = 99;
}

/* A reader whose unlock was the last looks into the queue by address alone: the
 * lock may be gone, and somebody else's object, with waiters, in its place. This
 * is the second half of such an unlock. */
static void a_reader_that_has_left_lets_strangers_alone(void** state) {
  static const uint64_t tokens[] = {
      0,
      1,
      3,
      UINT64_MAX,
      UINT64_C(0x7f0012345678),
      UINT64_C(0x636f6e64) << 32, /* at a condition, with a rwlock */
      (UINT64_C(0x636f6e64) << 32) | 3};

  (void)state;
  for (size_t i = 0; i < LENGTH(tokens); i++) {
    pkd_rwlock_t not_ours = {8, 0}; /* looks free, with a queue */
    pkd_waiter_t waiter = {.wake = must_not_wake, .token = tokens[i]};

    assert_int_equal(pkd_lot_enqueue(&not_ours, &waiter, NULL, NULL), 0);
    pkd__rwlock_rdunlock_slow(&not_ours, 32 + 8);
    assert_int_equal(not_ours.word, 8);
    assert_int_equal(waiter.state, 0);
    assert_int_equal(pkd_lot_remove(&waiter, NULL, NULL), 0);
  }
}

/* --- sections -------------------------------------------------------------- */

static int leave_by_return(pkd_rwlock_t* l) {
  PKD_WITH_WRLOCK(l) {
    return pkd_rwlock_is_write_locked(l);
  }
  return -1;
}

static int leave_by_goto(pkd_rwlock_t* l) {
  PKD_WITH_RDLOCK(l) {
    goto out;
  }
  return -1;
out:
  return pkd_rwlock_is_locked(l);
}

static void a_section_is_unlocked_however_it_is_left(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;
  int runs = 0;

  (void)state;
  assert_int_equal(leave_by_return(&l), 1);
  assert_int_equal(leave_by_goto(&l), 0);
  for (int i = 0; i < 3; i++) {
    PKD_WITH_WRLOCK(&l) {
      if (i == 1)
        continue; /* leaves the section, not the loop */
      if (i == 2)
        break;
      runs++;
    }
    assert_int_equal(l.word, 0);
    runs += 10;
  }
  assert_int_equal(runs, 31);
  PKD_WITH_UPLOCK(&l) {
    assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
    PKD_WITH_RDLOCK(&l) {
      assert_int_equal(l.word, 32 + 2);
    }
  }
  assert_int_equal(l.word, 0);
  PKD_WITH_UPLOCK(&l) {
    pkd_rwlock_upgrade(&l);
    assert_int_equal(pkd_rwlock_is_write_locked(&l), 1);
  }
  assert_int_equal(l.word, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_may_be_in_together),
      cmocka_unit_test(zeroed_memory_is_a_free_lock),
      cmocka_unit_test(a_deadline_past_now_or_to_come_ends_any_wait),
      cmocka_unit_test(a_token_ends_any_wait),
      cmocka_unit_test(a_waiting_writer_keeps_new_readers_out),
      cmocka_unit_test(a_recursive_read_passes_a_waiting_writer),
      cmocka_unit_test(phases_follow_one_another),
      cmocka_unit_test(after_readers_a_writer_comes_before_readers_who_wait),
      cmocka_unit_test(preferred_readers_pass_a_waiting_writer),
      cmocka_unit_test(preferred_writers_pass_waiting_readers),
      cmocka_unit_test(a_writer_is_not_starved_by_endless_readers),
      cmocka_unit_test(a_writer_that_gives_up_lets_new_readers_in),
      cmocka_unit_test(a_writer_that_gives_up_wakes_readers_it_kept_out),
      cmocka_unit_test(
          a_second_writer_still_keeps_readers_out_when_one_gives_up),
      cmocka_unit_test(an_upgrade_that_gives_up_lets_new_readers_in),
      cmocka_unit_test(an_upgrade_waits_for_readers_and_goes_before_writers),
      cmocka_unit_test(two_never_wait_for_each_other_to_upgrade),
      cmocka_unit_test(a_downgrade_lets_readers_in_and_keeps_writers_out),
      cmocka_unit_test(a_downgrade_from_upgradable_lets_the_next_one_in),
      cmocka_unit_test(each_fair_unlock_hands_over),
      cmocka_unit_test(a_bump_lets_the_other_have_its_turn),
      cmocka_unit_test(more_readers_than_can_be_counted_are_refused),
      cmocka_unit_test(misuse_stops_the_program_with_one_line),
      cmocka_unit_test(a_child_of_fork_has_the_lock_and_nobody_waiting),
      cmocka_unit_test(destructors_of_a_thread_may_write),
      cmocka_unit_test(a_reader_that_has_left_lets_strangers_alone),
      cmocka_unit_test(a_section_is_unlocked_however_it_is_left),
  };
  return cmocka_run_group_tests_name("rwlock", tests, NULL, NULL);
}
