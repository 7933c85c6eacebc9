/* SPDX-License-Identifier: MIT
 *
 * test_free.c - whoever gets a lock may free it, whatever unlock let it in.
 *
 * Each way to let go of each primitive, with two threads: the one who lets go may
 * be in its call still when the other knows that it is alone and frees the
 * object (support/graves.h). An unlock that looked at the object once more after
 * the step that gave it away would touch a grave. */
#include "kit.h"

#include <support/graves.h>

#include <parkade/barrier.h>
#include <parkade/cell.h>
#include <parkade/cond.h>
#include <parkade/event.h>
#include <parkade/fair_mutex.h>
#include <parkade/latch.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <inttypes.h>

struct big {
  unsigned users;
  unsigned char rest[36];
};

typedef PKD_CELL(struct big) cell_t;

struct object {
  union {
    pkd_mutex_t mutex;
    pkd_fair_mutex_t fair;
    pkd_remutex_t re;
    pkd_rwlock_t rw;
    pkd_sem_t sem;
    pkd_event_t event;
    pkd_latch_t latch;
    pkd_barrier_t barrier;
    pkd_cond_t cond;
    pkd_once_t once;
    cell_t cell;
  } is;
  unsigned users; /* who have been here; under the lock */
};

static void may_be_freed_after(const struct mortal* mortals, size_t count) {
  unsigned rounds = graves_rounds();

  for (size_t i = 0; i < count; i++) {
    pkd_deadline_t begun = pkd_now();

    graves_met = 0;
    assert_int_equal(
        graves_fill(&mortals[i], sizeof(struct object), ROUNDS(rounds)), 0);
    print_message("%-24s %7u objects, %6u met, %6" PRIu64 " ms\n",
                  mortals[i].name, ROUNDS(rounds), graves_met,
                  (pkd_now() - begun) / MS);
  }
}

#define MAY_BE_FREED_AFTER(mortals) may_be_freed_after(mortals, LENGTH(mortals))

/* --- locks that exclude: the second of two owners is the last ---------------- */

#define EXCLUSIVE(name, field, key, lock, unlock)                              \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
    unsigned users;                                                            \
                                                                               \
    (void)number;                                                              \
    lock(&o->is.field);                                                        \
    users = ++o->users;                                                        \
    if (linger && users == 1)                                                  \
      graves_linger(&o->is.key);                                               \
    unlock(&o->is.field);                                                      \
    return users == 2;                                                         \
  }

EXCLUSIVE(mutex, mutex, mutex, pkd_mutex_lock, pkd_mutex_unlock)
EXCLUSIVE(mutex_fair, mutex, mutex, pkd_mutex_lock, pkd_mutex_unlock_fair)
EXCLUSIVE(fair, fair, fair, pkd_fair_mutex_lock, pkd_fair_mutex_unlock)
EXCLUSIVE(fair_fair, fair, fair, pkd_fair_mutex_lock,
          pkd_fair_mutex_unlock_fair)
EXCLUSIVE(writer, rw, rw, pkd_rwlock_wrlock, pkd_rwlock_wrunlock)
EXCLUSIVE(write_fair, rw, rw, pkd_rwlock_wrlock, pkd_rwlock_wrunlock_fair)
EXCLUSIVE(up, rw, rw, pkd_rwlock_uplock, pkd_rwlock_upunlock)
EXCLUSIVE(up_fair, rw, rw, pkd_rwlock_uplock, pkd_rwlock_upunlock_fair)

static void lock_twice(pkd_remutex_t* m) {
  pkd_remutex_lock(m);
  pkd_remutex_lock(m);
}

static void unlock_twice(pkd_remutex_t* m) {
  pkd_remutex_unlock(m);
  pkd_remutex_unlock(m);
}

static void unlock_twice_fair(pkd_remutex_t* m) {
  pkd_remutex_unlock_fair(m);
  pkd_remutex_unlock_fair(m);
}

EXCLUSIVE(re, re, re.mutex, lock_twice, unlock_twice)
EXCLUSIVE(re_fair, re, re.mutex, lock_twice, unlock_twice_fair)

static void each_unlock_of_a_mutex_is_its_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"mutex unlock", NULL, mutex},
      {"mutex unlock_fair", NULL, mutex_fair},
      {"fair unlock", NULL, fair},
      {"fair unlock_fair", NULL, fair_fair},
      {"re-entrant unlock", NULL, re},
      {"re-entrant unlock_fair", NULL, re_fair},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- readers: who writes when the reader has left is the last ---------------- */

#define READER(name, take, unlock)                                             \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
                                                                               \
    if (number == 0) {                                                         \
      take(&o->is.rw);                                                         \
      count_up(&o->users);                                                     \
      if (linger)                                                              \
        graves_linger(&o->is.rw);                                              \
      unlock(&o->is.rw);                                                       \
      return false;                                                            \
    }                                                                          \
    while (count_of(&o->users) == 0)                                           \
      sched_yield();                                                           \
    pkd_rwlock_wrlock(&o->is.rw);                                              \
    pkd_rwlock_wrunlock(&o->is.rw);                                            \
    return true;                                                               \
  }

READER(read_, pkd_rwlock_rdlock, pkd_rwlock_rdunlock)
READER(read_fair, pkd_rwlock_rdlock, pkd_rwlock_rdunlock_fair)
READER(upgradable, pkd_rwlock_uplock, pkd_rwlock_upunlock)
READER(upgradable_fair, pkd_rwlock_uplock, pkd_rwlock_upunlock_fair)

static void read_what_was_written(pkd_rwlock_t* l) {
  pkd_rwlock_wrlock(l);
  pkd_rwlock_downgrade(l);
}

static void read_what_was_upgradable(pkd_rwlock_t* l) {
  pkd_rwlock_uplock(l);
  pkd_rwlock_updowngrade(l);
}

static void write_what_was_upgradable(pkd_rwlock_t* l) {
  pkd_rwlock_uplock(l);
  pkd_rwlock_upgrade(l);
}

READER(downgraded, read_what_was_written, pkd_rwlock_rdunlock)
READER(updowngraded, read_what_was_upgradable, pkd_rwlock_rdunlock)
READER(upgraded, write_what_was_upgradable, pkd_rwlock_wrunlock)

static void each_unlock_of_a_rwlock_is_its_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"wrunlock", NULL, writer},
      {"wrunlock_fair", NULL, write_fair},
      {"upunlock", NULL, up},
      {"upunlock_fair", NULL, up_fair},
      {"rdunlock, a writer", NULL, read_},
      {"rdunlock_fair, a writer", NULL, read_fair},
      {"upunlock, a writer", NULL, upgradable},
      {"upunlock_fair, a writer", NULL, upgradable_fair},
      {"rdunlock, downgraded", NULL, downgraded},
      {"rdunlock, updowngraded", NULL, updowngraded},
      {"wrunlock, upgraded", NULL, upgraded},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- calls that let another go on: that one is the last ---------------------- */

#define GIVER(name, field, wait, give)                                         \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
                                                                               \
    if (number == 0) {                                                         \
      if (linger)                                                              \
        graves_linger(&o->is.field);                                           \
      give(&o->is.field);                                                      \
      return false;                                                            \
    }                                                                          \
    wait(&o->is.field);                                                        \
    return true;                                                               \
  }

static void acquire(pkd_sem_t* s) {
  pkd_sem_acquire(s, 1);
}

static void release(pkd_sem_t* s) {
  pkd_sem_release(s, 1);
}

static void count_down(pkd_latch_t* l) {
  pkd_latch_count_down(l, 1);
}

static void for_one(void* memory) {
  ((struct object*)memory)->is.latch = (pkd_latch_t)PKD_LATCH_INIT(1);
}

static void automatic(void* memory) {
  ((struct object*)memory)->is.event = (pkd_event_t)PKD_EVENT_AUTO_INIT;
}

GIVER(sem, sem, acquire, release)
GIVER(event, event, pkd_event_wait, pkd_event_set)
GIVER(latch, latch, pkd_latch_wait, count_down)

/* Who closes the barrier's round frees it: the other is still on its way out. */
static void for_two(void* memory) {
  pkd_barrier_init(&((struct object*)memory)->is.barrier, 2);
}

static bool barrier_last(void* memory, unsigned number, bool linger) {
  struct object* o = memory;

  if (linger && number == 0)
    graves_linger(&o->is.barrier);
  return pkd_barrier_wait(&o->is.barrier) == 1;
}

static bool barrier_first(void* memory, unsigned number, bool linger) {
  struct object* o = memory;

  if (linger && number == 0)
    graves_linger(&o->is.barrier);
  return pkd_barrier_wait(&o->is.barrier) == 0;
}

static void what_lets_another_go_on_is_the_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"sem release", NULL, sem},
      {"event set", NULL, event},
      {"event set, automatic", automatic, event},
      {"latch count_down", for_one, latch},
      {"barrier, by the last", for_two, barrier_last},
      {"barrier, by the first", for_two, barrier_first},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- conditions: with a mutex that outlives them ----------------------------- */

static pkd_mutex_t room;
static pkd_fair_mutex_t fair_room;
static pkd_rwlock_t rw_room;

#define SIGNALLER(name, lock, unlock, wait, call, under)                       \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
                                                                               \
    (void)linger;                                                              \
    if (number == 1) {                                                         \
      lock;                                                                    \
      o->users = 1;                                                            \
      wait;                                                                    \
      unlock;                                                                  \
      return true;                                                             \
    }                                                                          \
    for (unsigned users = 0; users == 0;) {                                    \
      lock;                                                                    \
      users = o->users;                                                        \
      if (users != 0 && under)                                                 \
        call(&o->is.cond);                                                     \
      unlock;                                                                  \
      if (users != 0 && !under)                                                \
        call(&o->is.cond);                                                     \
    }                                                                          \
    return false;                                                              \
  }

SIGNALLER(signal_free, pkd_mutex_lock(&room), pkd_mutex_unlock(&room),
          pkd_cond_wait(&o->is.cond, &room), pkd_cond_signal, false)
SIGNALLER(signal_held, pkd_mutex_lock(&room), pkd_mutex_unlock(&room),
          pkd_cond_wait(&o->is.cond, &room), pkd_cond_signal, true)
SIGNALLER(broadcast_free, pkd_mutex_lock(&room), pkd_mutex_unlock(&room),
          pkd_cond_wait(&o->is.cond, &room), pkd_cond_broadcast, false)
SIGNALLER(broadcast_held, pkd_mutex_lock(&room), pkd_mutex_unlock(&room),
          pkd_cond_wait(&o->is.cond, &room), pkd_cond_broadcast, true)
SIGNALLER(fair_free, pkd_fair_mutex_lock(&fair_room),
          pkd_fair_mutex_unlock(&fair_room),
          pkd_cond_wait_fair(&o->is.cond, &fair_room), pkd_cond_signal, false)
SIGNALLER(rwlock_free, pkd_rwlock_wrlock(&rw_room),
          pkd_rwlock_wrunlock(&rw_room),
          pkd_cond_wait_wrlock(&o->is.cond, &rw_room), pkd_cond_broadcast,
          false)

static void signal_and_broadcast_are_the_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"signal, mutex free", NULL, signal_free},
      {"signal, mutex held", NULL, signal_held},
      {"broadcast, mutex free", NULL, broadcast_free},
      {"broadcast, mutex held", NULL, broadcast_held},
      {"signal, fair mutex", NULL, fair_free},
      {"broadcast, rwlock", NULL, rwlock_free},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- a once: whose call finds it done, while another still returns from it ---- */

struct first_run {
  struct object* o;
  bool linger;
  int rc;
};

static int run_first(void* arg) {
  struct first_run* run = arg;

  count_up(&run->o->users); /* the other may come, and finds it running */
  if (run->linger)
    graves_linger(&run->o->is.once);
  return run->rc;
}

static int run_second(void* arg) {
  (void)arg;
  return 0;
}

static bool once_after(struct object* o, unsigned number, bool linger, int rc) {
  struct first_run run = {o, linger, rc};

  if (number == 0) {
    pkd_once_try(&o->is.once, run_first, &run);
    return false;
  }
  while (count_of(&o->users) == 0)
    sched_yield();
  return pkd_once_try(&o->is.once, run_second, NULL) == 0;
}

static bool once_done(void* memory, unsigned number, bool linger) {
  return once_after(memory, number, linger, 0);
}

static bool once_failed(void* memory, unsigned number, bool linger) {
  return once_after(memory, number, linger, -EIO);
}

static void the_end_of_an_initializer_is_the_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"once, done", NULL, once_done},
      {"once, failed", NULL, once_failed},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- a cell, which has no unlock --------------------------------------------- */

static bool cell(void* memory, unsigned number, bool linger) {
  struct object* o = memory;
  struct big seen, next;

  (void)number;
  (void)linger;
  pkd_cell_load(&o->is.cell, &seen);
  do {
    next = seen;
    next.users++;
  } while (!pkd_cell_cas(&o->is.cell, &seen, &next));
  return next.users == 2;
}

static void take_from_cell(cell_t* c, struct big* seen) {
  do {
    pkd_cell_load(c, seen);
    sched_yield();
  } while (seen->users == 0);
}

static void put_into_cell(cell_t* c) {
  struct big one = {.users = 1};

  pkd_cell_store(c, &one);
}

static void swap_into_cell(cell_t* c) {
  struct big one = {.users = 1}, none;

  pkd_cell_swap(c, &one, &none);
}

/* Who sees the value knows that its writer is done. */
#define WRITER(name, put)                                                      \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
    struct big seen;                                                           \
                                                                               \
    (void)linger;                                                              \
    if (number == 0)                                                           \
      put(&o->is.cell);                                                        \
    else                                                                       \
      take_from_cell(&o->is.cell, &seen);                                      \
    return number == 1;                                                        \
  }

WRITER(cell_store, put_into_cell)
WRITER(cell_swap, swap_into_cell)

static void who_takes_the_last_user_off_a_cell_may_free_it(void** state) {
  static const struct mortal mortals[] = {
      {"cell cas", NULL, cell},
      {"cell store", NULL, cell_store},
      {"cell swap", NULL, cell_swap},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_unlock_of_a_mutex_is_its_last_touch),
      cmocka_unit_test(each_unlock_of_a_rwlock_is_its_last_touch),
      cmocka_unit_test(what_lets_another_go_on_is_the_last_touch),
      cmocka_unit_test(signal_and_broadcast_are_the_last_touch),
      cmocka_unit_test(the_end_of_an_initializer_is_the_last_touch),
      cmocka_unit_test(who_takes_the_last_user_off_a_cell_may_free_it),
  };
  return cmocka_run_group_tests_name("free", tests, NULL, NULL);
}
