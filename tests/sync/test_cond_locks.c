/* SPDX-License-Identifier: MIT
 *
 * test_cond_locks.c - the condition with each lock it works with: the mutex, the
 * fair mutex, and the reader-writer lock held for writing or for reading. */
#include "kit.h"

#include <parkade/cond.h>

/* --- any of the locks ------------------------------------------------------ */

enum kind { MUTEX, FAIR, WRITE, READ, KINDS };

struct any {
  enum kind kind;
  pkd_mutex_t mutex;
  pkd_fair_mutex_t fair;
  pkd_rwlock_t rw;
};

static const void* address_of(const struct any* a) {
  return a->kind == MUTEX  ? (const void*)&a->mutex
         : a->kind == FAIR ? (const void*)&a->fair
                           : (const void*)&a->rw;
}

static void lock(struct any* a) {
  switch (a->kind) {
  case MUTEX:
    pkd_mutex_lock(&a->mutex);
    break;
  case FAIR:
    pkd_fair_mutex_lock(&a->fair);
    break;
  case WRITE:
    pkd_rwlock_wrlock(&a->rw);
    break;
  default:
    pkd_rwlock_rdlock(&a->rw);
  }
}

static void unlock(struct any* a) {
  switch (a->kind) {
  case MUTEX:
    pkd_mutex_unlock(&a->mutex);
    break;
  case FAIR:
    pkd_fair_mutex_unlock(&a->fair);
    break;
  case WRITE:
    pkd_rwlock_wrunlock(&a->rw);
    break;
  default:
    pkd_rwlock_rdunlock(&a->rw);
  }
}

static int wait_until(pkd_cond_t* c, struct any* a, pkd_deadline_t deadline) {
  switch (a->kind) {
  case MUTEX:
    return pkd_cond_wait_until(c, &a->mutex, deadline);
  case FAIR:
    return pkd_cond_wait_fair_until(c, &a->fair, deadline);
  case WRITE:
    return pkd_cond_wait_wrlock_until(c, &a->rw, deadline);
  default:
    return pkd_cond_wait_rdlock_until(c, &a->rw, deadline);
  }
}

static bool is_free(const struct any* a) {
  return a->mutex.word == 0 && a->fair.word == 0 && a->rw.word == 0;
}

/* --- one thread ------------------------------------------------------------ */

static void a_wait_that_is_late_holds_a_lock_that_was_free(void** state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct any a = {.kind = (enum kind)kind};
    pkd_cond_t c = PKD_COND_INIT;

    lock(&a);
    assert_int_equal(wait_until(&c, &a, 0), -ETIMEDOUT);
    assert_int_equal(wait_until(&c, &a, pkd_after(MS)), -ETIMEDOUT);
    assert_null(c.lock);
    assert_int_equal(pkd_cond_signal(&c), 0);
    assert_int_equal(pkd_cond_broadcast(&c), 0);
    unlock(&a);
    assert_true(is_free(&a));
  }
}

/* --- several --------------------------------------------------------------- */

struct room {
  struct any a;
  pkd_cond_t c;
  pkd_deadline_t deadline;
  int called; /* under the lock */
  int rc[8];
  unsigned out; /* atomic */
};

static void wait_in_room(void* arg, unsigned number) {
  struct room* room = arg;
  int rc = 0;

  lock(&room->a);
  while (!room->called && rc == 0)
    rc = wait_until(&room->c, &room->a, room->deadline);
  room->rc[number] = rc;
  if (rc != PKD_ENOTHELD)
    unlock(&room->a);
  __atomic_add_fetch(&room->out, 1, __ATOMIC_RELAXED);
}

/* Writing what readers look at takes the lock for writing. */
static void call(struct room* room) {
  if (room->a.kind == READ)
    pkd_rwlock_wrlock(&room->a.rw);
  else
    lock(&room->a);
  room->called = 1;
}

static void end_call(struct room* room) {
  if (room->a.kind == READ)
    pkd_rwlock_wrunlock(&room->a.rw);
  else
    unlock(&room->a);
}

static void a_broadcast_under_the_lock_moves_all_and_wakes_none(void** state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct room room = {.a.kind = (enum kind)kind, .deadline = PKD_FOREVER};
    struct team team;

    team_start(&team, 5, wait_in_room, &room);
    WAIT_FOR(waiting_at(&room.c) == 5);
    call(&room);
    assert_int_equal(pkd_cond_broadcast(&room.c), 5);
    assert_int_equal(waiting_at(&room.c), 0);
    assert_int_equal(moved_to(address_of(&room.a)), 5);
    assert_int_equal(__atomic_load_n(&room.out, __ATOMIC_RELAXED), 0);
    end_call(&room);
    team_join(&team);
    for (int i = 0; i < 5; i++)
      assert_int_equal(room.rc[i], 0);
    assert_null(room.c.lock);
    assert_true(is_free(&room.a));
  }
}

static void a_broadcast_of_a_free_lock_ends_every_wait(void** state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct room room = {.a.kind = (enum kind)kind, .deadline = PKD_FOREVER};
    struct team team;

    team_start(&team, 5, wait_in_room, &room);
    WAIT_FOR(waiting_at(&room.c) == 5);
    call(&room);
    end_call(&room);
    assert_int_equal(pkd_cond_broadcast(&room.c), 5);
    team_join(&team);
    assert_true(is_free(&room.a));
  }
}

static void a_signal_ends_exactly_one_wait(void** state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct room room = {.a.kind = (enum kind)kind, .deadline = PKD_FOREVER};
    struct team team;

    team_start(&team, 3, wait_in_room, &room);
    WAIT_FOR(waiting_at(&room.c) == 3);
    call(&room);
    assert_int_equal(pkd_cond_signal(&room.c), 1);
    end_call(&room);
    WAIT_FOR(__atomic_load_n(&room.out, __ATOMIC_RELAXED) == 1);
    assert_int_equal(waiting_at(&room.c), 2);
    assert_int_equal(pkd_cond_signal(&room.c), 1);
    WAIT_FOR(__atomic_load_n(&room.out, __ATOMIC_RELAXED) == 2);
    assert_int_equal(pkd_cond_signal(&room.c), 1);
    team_join(&team);
    assert_int_equal(pkd_cond_signal(&room.c), 0);
    assert_true(is_free(&room.a));
  }
}

/* Waits on its own lock, then again with a short deadline while another keeps
 * the lock: it returns without. */
struct short_wait {
  struct any a;
  pkd_cond_t c;
  unsigned waits; /* atomic: about to wait, with the lock held */
  int rc;
};

static void* wait_shortly(void* arg) {
  struct short_wait* w = arg;

  lock(&w->a);
  __atomic_store_n(&w->waits, 1, __ATOMIC_RELEASE);
  w->rc = wait_until(&w->c, &w->a, pkd_after(20 * MS));
  if (w->rc != PKD_ENOTHELD)
    unlock(&w->a);
  return NULL;
}

static void a_late_waiter_does_not_wait_for_the_lock(void** state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++) {
    struct short_wait w = {.a.kind = (enum kind)kind};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, wait_shortly, &w), 0);
    WAIT_FOR(__atomic_load_n(&w.waits, __ATOMIC_ACQUIRE));
    /* got when it waits, or, on a slow machine, when it has been late already */
    if (w.a.kind == READ)
      pkd_rwlock_wrlock(&w.a.rw);
    else
      lock(&w.a);
    if (kind % 2 == 0)
      pkd_cond_signal(&w.c);    /* moves it to the lock's queue */
    pthread_join(thread, NULL); /* hangs if it waits for the lock */
    assert_true(w.rc == PKD_ENOTHELD || w.rc == -ETIMEDOUT);
    assert_null(w.c.lock);
    assert_int_equal(waiting_at(address_of(&w.a)), 0);
    if (w.a.kind == READ)
      pkd_rwlock_wrunlock(&w.a.rw);
    else
      unlock(&w.a);
    assert_true(is_free(&w.a));
  }
}

/* Readers and writers wait at one condition with one lock. */
struct mixed {
  pkd_rwlock_t l;
  pkd_cond_t c;
  int stage;  /* under l */
  int wrote;  /* under l, for writing */
  int ok[16]; /* each its own */
};

static void wait_mixed(void* arg, unsigned number) {
  struct mixed* m = arg;
  bool reader = number % 2 == 0;

  if (reader)
    pkd_rwlock_rdlock(&m->l);
  else
    pkd_rwlock_wrlock(&m->l);
  while (m->stage == 0) {
    if (reader)
      pkd_cond_wait_rdlock(&m->c, &m->l);
    else
      pkd_cond_wait_wrlock(&m->c, &m->l);
  }
  m->ok[number] = m->stage;
  if (reader) {
    pkd_rwlock_rdunlock(&m->l);
  } else {
    m->wrote++;
    pkd_rwlock_wrunlock(&m->l);
  }
}

static void readers_and_writers_may_wait_together(void** state) {
  (void)state;
  for (int round = 0; round < ROUNDS(60); round++) {
    struct mixed m = {.l.policy = (uint32_t)round % 3};
    struct team team;

    team_start(&team, 8, wait_mixed, &m);
    WAIT_FOR(waiting_at(&m.c) == 8);
    pkd_rwlock_wrlock(&m.l);
    m.stage = 1;
    if (round % 2 != 0)
      pkd_rwlock_downgrade(&m.l); /* readers are not moved: they may enter */
    assert_int_equal(pkd_cond_broadcast(&m.c), 8);
    if (round % 2 != 0)
      pkd_rwlock_rdunlock(&m.l);
    else
      pkd_rwlock_wrunlock(&m.l);
    team_join(&team);
    for (int i = 0; i < 8; i++)
      assert_int_equal(m.ok[i], 1);
    assert_int_equal(m.wrote, 4);
    assert_int_equal(m.l.word, 0);
  }
}

static void two_locks_at_one_condition_are_refused(void** state) {
  struct room room = {.a.kind = WRITE, .deadline = PKD_FOREVER};
  pkd_rwlock_t other = PKD_RWLOCK_INIT;
  struct team team;

  (void)state;
  team_start(&team, 1, wait_in_room, &room);
  WAIT_FOR(waiting_at(&room.c) == 1);
  pkd_rwlock_wrlock(&other);
  assert_int_equal(pkd_cond_wait_wrlock_for(&room.c, &other, MS), -EINVAL);
  assert_int_equal(pkd_rwlock_is_write_locked(&other), 1);
  pkd_rwlock_wrunlock(&other);
  call(&room);
  pkd_cond_signal(&room.c);
  end_call(&room);
  team_join(&team);
}

/* --- under load ------------------------------------------------------------ */

enum { SLOTS = 2, MAKERS = 3, TAKERS = 3 };

struct belt {
  struct any a;
  pkd_cond_t not_empty, not_full;
  int on;   /* items on the belt */
  int made; /* under the lock */
  int taken;
  int limit;
};

static void make_or_take(void* arg, unsigned number) {
  struct belt* b = arg;
  bool maker = number < MAKERS;

  for (;;) {
    bool done;

    lock(&b->a);
    while (maker ? b->on == SLOTS && b->made < b->limit
                 : b->on == 0 && b->taken < b->limit)
      if (wait_until(maker ? &b->not_full : &b->not_empty, &b->a,
                     number % 2 ? PKD_FOREVER : pkd_after(200000)) ==
          PKD_ENOTHELD)
        lock(&b->a);
    done = maker ? b->made == b->limit : b->taken == b->limit;
    if (!done && maker) {
      b->on++;
      b->made++;
    } else if (!done) {
      b->on--;
      b->taken++;
    }
    if (done || (maker ? b->made : b->taken) == b->limit) {
      pkd_cond_broadcast(&b->not_full);
      pkd_cond_broadcast(&b->not_empty);
    } else {
      pkd_cond_signal(maker ? &b->not_empty : &b->not_full);
    }
    unlock(&b->a);
    if (done)
      return;
  }
}

static void nothing_is_lost_on_a_belt(void** state) {
  (void)state;
  for (int kind = 0; kind < READ; kind++) {
    struct belt b = {.a.kind = (enum kind)kind, .limit = ROUNDS(3000)};

    team_run(MAKERS + TAKERS, make_or_take, &b);
    assert_int_equal(b.made, b.limit);
    assert_int_equal(b.taken, b.limit);
    assert_int_equal(b.on, 0);
    assert_true(is_free(&b.a));
    assert_null(b.not_empty.lock);
    assert_null(b.not_full.lock);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_wait_that_is_late_holds_a_lock_that_was_free),
      cmocka_unit_test(a_broadcast_under_the_lock_moves_all_and_wakes_none),
      cmocka_unit_test(a_broadcast_of_a_free_lock_ends_every_wait),
      cmocka_unit_test(a_signal_ends_exactly_one_wait),
      cmocka_unit_test(a_late_waiter_does_not_wait_for_the_lock),
      cmocka_unit_test(readers_and_writers_may_wait_together),
      cmocka_unit_test(two_locks_at_one_condition_are_refused),
      cmocka_unit_test(nothing_is_lost_on_a_belt),
  };
  return cmocka_run_group_tests_name("condition with locks", tests, NULL, NULL);
}
