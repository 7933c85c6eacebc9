/* SPDX-License-Identifier: MIT
 *
 * test_deadlock_matrix.c - the cells of the matrix that two or three plain locks do
 * not fill: deadlines, readers and writers mixed, once, joins, and what is never
 * anybody's fault. */
#include "watched.h"

#include <parkade/barrier.h>
#include <parkade/event.h>
#include <parkade/latch.h>

/* --- what threads do: hold one thing, all of them, then want another ------------- */

struct play {
  union lock locks[3];
  pkd_once_t onces[3];
  pkd_mutex_t never;
  uintptr_t threads[3];
  unsigned size;
  unsigned holding; /* atomic */
  enum kind held, wanted;
  int rc[3];
};

static void wait_for_all(struct play* p) {
  count_up(&p->holding);
  WAIT_FOR(count_of(&p->holding) >= p->size);
}

static void play(struct play* p, unsigned size, crew_fn act) {
  struct crew crew;

  watch(NULL);
  p->size = size;
  crew_start(&crew, size, act, p);
  crew_join(&crew);
}

/* --- deadlines --------------------------------------------------------------------- */

/* As take(), with a deadline that does not come before the report. */
static int take_in_time(union lock* l, enum kind kind) {
  pkd_deadline_t late = pkd_after(60 * SECOND);

  switch (kind) {
  case MUTEX:
    return pkd_mutex_lock_cancellable(&l->mutex, &stop, late);
  case FAIR:
    return pkd_fair_mutex_lock_cancellable(&l->fair, &stop, late);
  case RE:
    return pkd_remutex_lock_cancellable(&l->re, &stop, late);
  case UP:
    return pkd_rwlock_uplock_cancellable(&l->rw, &stop, late);
  case READ:
    return pkd_rwlock_rdlock_cancellable(&l->rw, &stop, late);
  case AGAIN:
    return pkd_rwlock_rdlock_recursive_cancellable(&l->rw, &stop, late);
  case SEM:
    return pkd_sem_acquire_cancellable(&l->sem, 1, &stop, late);
  default:
    return pkd_rwlock_wrlock_cancellable(&l->rw, &stop, late);
  }
}

static void cross(void* arg, unsigned number) {
  struct play* p = arg;
  unsigned next = (number + 1) % p->size;

  take(&p->locks[number], p->held);
  wait_for_all(p);
  p->rc[number] = number == 0 ? take_in_time(&p->locks[next], p->wanted)
                              : take(&p->locks[next], p->wanted);
  if (p->rc[number] == 0)
    give(&p->locks[next], p->wanted);
  give(&p->locks[number], p->held);
}

static void check_cross(unsigned size, enum kind held, enum kind wanted,
                        unsigned rings) {
  struct play p;

  memset(&p, 0, sizeof p);
  p.held = held;
  p.wanted = wanted;
  play(&p, size, cross);
  assert_int_equal(count_of(&certain), rings);
  if (rings != 0)
    assert_int_equal(last_count, size);
}

static void a_deadline_in_the_ring_hides_nothing(void** state) {
  static const enum kind kinds[] = {MUTEX, FAIR, RE, WRITE, UP};

  (void)state;
  for (size_t i = 0; i < LENGTH(kinds); i++) {
    check_cross(2, kinds[i], kinds[i], 1);
    check_cross(3, kinds[i], kinds[i], 1);
  }
}

/* --- readers and writers mixed ------------------------------------------------------ */

static void
readers_that_want_to_write_each_others_wait_in_a_ring(void** state) {
  (void)state;
  check_cross(2, READ, WRITE, 1);
  check_cross(3, READ, WRITE, 1);
  check_cross(2, WRITE, READ, 1);
  check_cross(2, WRITE, AGAIN, 1);
  check_cross(2, UP, WRITE, 1);
  check_cross(2, READ, READ, 0);
  check_cross(2, READ, AGAIN, 0);
  check_cross(2, READ, UP, 0);
  check_cross(2, UP, READ, 0);
}

/* The reader wants what the one who upgrades holds. */
static void upgrade_or_read(void* arg, unsigned number) {
  struct play* p = arg;

  if (number == 0) {
    take(&p->locks[0], UP);
    take(&p->locks[1], MUTEX);
    wait_for_all(p);
    p->rc[0] =
        pkd_rwlock_upgrade_cancellable(&p->locks[0].rw, &stop, PKD_FOREVER);
    give(&p->locks[1], MUTEX);
    if (p->rc[0] == 0)
      pkd_rwlock_wrunlock(&p->locks[0].rw);
    else
      pkd_rwlock_upunlock(&p->locks[0].rw);
    return;
  }
  take(&p->locks[0], READ);
  wait_for_all(p);
  p->rc[1] = take(&p->locks[1], MUTEX);
  if (p->rc[1] == 0)
    give(&p->locks[1], MUTEX);
  give(&p->locks[0], READ);
}

static void an_upgrade_waits_for_a_reader_that_waits_for_it(void** state) {
  struct play p;

  (void)state;
  memset(&p, 0, sizeof p);
  play(&p, 2, upgrade_or_read);
  assert_int_equal(count_of(&certain), 1);
  assert_int_equal(last_count, 2);
}

/* --- once ---------------------------------------------------------------------------- */

struct step {
  struct play* p;
  unsigned number;
};

static int done(void* arg) {
  (void)arg;
  return 0;
}

static int need_the_next(void* arg) {
  struct step* step = arg;
  struct play* p = step->p;
  unsigned next = (step->number + 1) % p->size;

  wait_for_all(p);
  p->rc[step->number] =
      pkd_once_try_cancellable(&p->onces[next], done, NULL, &stop, PKD_FOREVER);
  return 0;
}

static void run_once_of_its_own(void* arg, unsigned number) {
  struct step step = {arg, number};

  pkd_once_try(&step.p->onces[number], need_the_next, &step);
}

static void initializers_that_need_each_other_wait_in_a_ring(void** state) {
  (void)state;
  for (unsigned size = 2; size <= 3; size++) {
    struct play p;

    memset(&p, 0, sizeof p);
    play(&p, size, run_once_of_its_own);
    assert_verdict(1, 0);
    assert_int_equal(last_count, size);
    for (unsigned i = 0; i < size; i++) {
      assert_string_equal(last[i].kind, "once");
      assert_int_equal(pkd_once_is_done(&p.onces[i]), 1); /* it went on */
    }
  }
}

/* One that needs itself is told so by the call, and is no report. */
static void an_initializer_that_needs_itself_is_told(void** state) {
  struct play p;
  struct step step = {&p, 0};

  (void)state;
  memset(&p, 0, sizeof p);
  p.size = 1;
  assert_int_equal(pkd_once_try(&p.onces[0], need_the_next, &step), 0);
  assert_int_equal(p.rc[0], -EDEADLK);
  assert_verdict(0, 0);
}

/* --- joins ---------------------------------------------------------------------------- */

static void join_the_next(void* arg, unsigned number) {
  struct play* p = arg;

  p->threads[number] = pkd_thread_id();
  wait_for_all(p);
  pkd_deadlock_joining(p->threads[(number + 1) % p->size]);
  pkd_cancel_wait(&stop, PKD_FOREVER); /* stands for the join */
  pkd_deadlock_joined();
}

static void threads_that_join_each_other_wait_in_a_ring(void** state) {
  (void)state;
  for (unsigned size = 1; size <= 3; size++) {
    struct play p;

    memset(&p, 0, sizeof p);
    play(&p, size, join_the_next);
    assert_verdict(1, 0);
    assert_int_equal(last_count, size);
    assert_string_equal(last[0].kind, "thread");
  }
}

/* --- never anybody's fault -------------------------------------------------------------- */

struct meeting {
  pkd_mutex_t m, other;
  pkd_barrier_t barrier;
  pkd_latch_t latch;
  pkd_event_t event;
};

/* Whoever would end such a wait cannot be known: it may be somebody who holds
 * nothing. Each holds a lock that the other has wanted before. */
static void meet_with_a_lock_held(void* arg, unsigned number) {
  struct meeting* m = arg;
  pkd_mutex_t* mine = number == 0 ? &m->m : &m->other;

  PKD_WITH_MUTEX(mine) {
    pkd_barrier_wait(&m->barrier);
    pkd_latch_arrive_and_wait(&m->latch);
    if (number == 0)
      pkd_event_set(&m->event);
    pkd_event_wait(&m->event);
  }
}

static void meetings_are_never_blamed(void** state) {
  struct meeting m = {.barrier = PKD_BARRIER_INIT(2),
                      .latch = PKD_LATCH_INIT(2)};
  struct crew crew;

  (void)state;
  crew_start(&crew, 2, meet_with_a_lock_held, &m);
  crew_join(&crew);
  assert_verdict(0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_deadline_in_the_ring_hides_nothing),
      TEST(readers_that_want_to_write_each_others_wait_in_a_ring),
      TEST(an_upgrade_waits_for_a_reader_that_waits_for_it),
      TEST(initializers_that_need_each_other_wait_in_a_ring),
      TEST(an_initializer_that_needs_itself_is_told),
      TEST(threads_that_join_each_other_wait_in_a_ring),
      TEST(meetings_are_never_blamed),
  };
  return cmocka_run_group_tests_name("deadlock matrix", tests, NULL, NULL);
}
