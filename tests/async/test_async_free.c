/* SPDX-License-Identifier: MIT
 *
 * test_async_free.c - whoever gets an asynchronous lock may free it, whatever
 * release let it in.
 *
 * As sync/test_free.c, with tickets. Who waits is a thread, since that is quicker
 * than a loop; the engine ends the wait of both in the same step. That a task's
 * callback may free the lock at once is in the tests of each object. */
#include <support/graves.h>
#include <support/test.h>

#include <parkade/async.h>

#include <inttypes.h>
#include <sched.h>

static const uint64_t ms = 1000000;

struct object {
  union {
    pkd_async_mutex_t mutex;
    pkd_async_keyed_t keyed;
    pkd_async_sem_t sem;
    pkd_async_rwlock_t rw;
    pkd_async_cond_t cond;
    pkd_async_event_t event;
    pkd_async_barrier_t barrier;
    pkd_async_once_t once;
    pkd_async_gate_t gate;
  } is;
  unsigned users;
};

static unsigned wrong[2]; /* each thread's own */

static void may_be_freed_after(const struct mortal* mortals, size_t count) {
  unsigned rounds = ROUNDS(graves_rounds());

  for (size_t i = 0; i < count; i++) {
    pkd_deadline_t begun = pkd_now();

    wrong[0] = wrong[1] = graves_met = 0;
    assert_int_equal(graves_fill(&mortals[i], sizeof(struct object), rounds),
                     0);
    assert_int_equal(wrong[0] + wrong[1], 0);
    print_message("%-24s %7u objects, %6u met, %6" PRIu64 " ms\n",
                  mortals[i].name, rounds, graves_met,
                  (pkd_now() - begun) / ms);
  }
}

#define MAY_BE_FREED_AFTER(mortals) may_be_freed_after(mortals, LENGTH(mortals))

/* --- locks: the second of two owners is the last ----------------------------- */

/* Both take it and give it back. */
#define TAKEN_TWICE(name, field, lock, unlock)                                 \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
    pkd_req_t req = {0};                                                       \
    unsigned users;                                                            \
                                                                               \
    wrong[number] += (lock) < 0;                                               \
    users = ++o->users;                                                        \
    if (linger && users == 1)                                                  \
      graves_linger(&o->is.field);                                             \
    wrong[number] += (unlock) != 0;                                            \
    return users == 2;                                                         \
  }

TAKEN_TWICE(mutex, mutex,
            pkd_async_mutex_lock_blocking(&req, &o->is.mutex, PKD_FOREVER),
            pkd_async_mutex_unlock(&req, &o->is.mutex))
TAKEN_TWICE(poisoned, mutex,
            pkd_async_mutex_lock_blocking(&req, &o->is.mutex, PKD_FOREVER),
            pkd_async_mutex_unlock_poisoned(&req, &o->is.mutex))
TAKEN_TWICE(writer, rw,
            pkd_async_rwlock_wrlock_blocking(&req, &o->is.rw, PKD_FOREVER),
            pkd_async_rwlock_unlock(&req, &o->is.rw))
TAKEN_TWICE(up, rw,
            pkd_async_rwlock_uplock_blocking(&req, &o->is.rw, PKD_FOREVER),
            pkd_async_rwlock_unlock(&req, &o->is.rw))
TAKEN_TWICE(permit, sem,
            pkd_async_sem_acquire_blocking(&req, &o->is.sem, 2, PKD_FOREVER),
            pkd_async_sem_release(&req, &o->is.sem, 2))
TAKEN_TWICE(keyed, keyed,
            pkd_async_keyed_lock_blocking_u64(&req, &o->is.keyed, 7,
                                              PKD_FOREVER),
            pkd_async_keyed_unlock(&req, &o->is.keyed))

/* One reads, by whatever way it came to that; then the other writes. */
#define READ_THEN_WRITTEN(name, take, then)                                    \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
    pkd_async_rwlock_t* rw = &o->is.rw;                                        \
    pkd_req_t req = {0};                                                       \
                                                                               \
    if (number == 0) {                                                         \
      wrong[0] += (take) != 0 || (then) != 0;                                  \
      __atomic_store_n(&o->users, 1, __ATOMIC_RELEASE);                        \
      if (linger)                                                              \
        graves_linger(rw);                                                     \
      wrong[0] += pkd_async_rwlock_unlock(&req, rw) != 0;                      \
      return false;                                                            \
    }                                                                          \
    while (__atomic_load_n(&o->users, __ATOMIC_ACQUIRE) == 0)                  \
      sched_yield();                                                           \
    wrong[1] += pkd_async_rwlock_wrlock_blocking(&req, rw, PKD_FOREVER) != 0;  \
    wrong[1] += pkd_async_rwlock_unlock(&req, rw) != 0;                        \
    return true;                                                               \
  }

READ_THEN_WRITTEN(read_, pkd_async_rwlock_tryrdlock(&req, rw), 0)
READ_THEN_WRITTEN(downgraded, pkd_async_rwlock_trywrlock(&req, rw),
                  pkd_async_rwlock_downgrade(&req, rw))
READ_THEN_WRITTEN(upgraded, pkd_async_rwlock_tryuplock(&req, rw),
                  pkd_async_rwlock_tryupgrade(&req, rw))

static void two_permits(void* memory) {
  pkd_async_sem_init(&((struct object*)memory)->is.sem, 2, 0);
}

static void each_release_of_a_lock_is_its_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"mutex unlock", NULL, mutex},
      {"mutex unlock_poisoned", NULL, poisoned},
      {"keyed unlock", NULL, keyed},
      {"sem release", two_permits, permit},
      {"rwlock unlock, writers", NULL, writer},
      {"rwlock unlock, upgrad.", NULL, up},
      {"rwlock unlock, reader", NULL, read_},
      {"rwlock unlock, downgr.", NULL, downgraded},
      {"rwlock unlock, upgraded", NULL, upgraded},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- calls that let another go on: that one is the last ---------------------- */

#define GIVER(name, field, wait, give)                                         \
  static bool name(void* memory, unsigned number, bool linger) {               \
    struct object* o = memory;                                                 \
    pkd_req_t req = {0};                                                       \
                                                                               \
    if (number == 0) {                                                         \
      if (linger)                                                              \
        graves_linger(&o->is.field);                                           \
      wrong[0] += (give) != 0;                                                 \
      return false;                                                            \
    }                                                                          \
    wrong[1] += (wait) != 0;                                                   \
    return true;                                                               \
  }

GIVER(add, sem,
      pkd_async_sem_acquire_blocking(&req, &o->is.sem, 1, PKD_FOREVER),
      pkd_async_sem_add(&o->is.sem, 1))
GIVER(set, event,
      pkd_async_event_wait_blocking(&req, &o->is.event, PKD_FOREVER),
      pkd_async_event_set(&o->is.event))
GIVER(notify, event,
      pkd_async_event_wait_blocking(&req, &o->is.event, PKD_FOREVER),
      pkd_async_event_notify_one(&o->is.event))
GIVER(gate, gate, pkd_async_gate_close_blocking(&req, &o->is.gate, PKD_FOREVER),
      pkd_async_gate_leave(&o->is.gate))

static void one_inside(void* memory) {
  pkd_async_gate_enter(&((struct object*)memory)->is.gate);
}

static void for_two(void* memory) {
  pkd_async_barrier_init(&((struct object*)memory)->is.barrier, 2);
}

/* Whoever comes out first, with status `which`, frees it. */
static bool barrier_of(void* memory, unsigned number, bool linger, int which) {
  struct object* o = memory;
  pkd_req_t req = {0};
  int status;

  if (linger && number == 0)
    graves_linger(&o->is.barrier);
  status = pkd_async_barrier_arrive_blocking(&req, &o->is.barrier, PKD_FOREVER);
  wrong[number] += status < 0;
  return status == which;
}

static bool barrier_last(void* memory, unsigned number, bool linger) {
  return barrier_of(memory, number, linger, 1);
}

static bool barrier_first(void* memory, unsigned number, bool linger) {
  return barrier_of(memory, number, linger, 0);
}

/* Who did not initialise frees it. */
static bool once(void* memory, unsigned number, bool linger) {
  struct object* o = memory;
  pkd_req_t req = {0};
  int status = pkd_async_once_call_blocking(&req, &o->is.once, PKD_FOREVER);

  wrong[number] += status < 0;
  if (status != 1)
    return true;
  if (linger)
    graves_linger(&o->is.once);
  wrong[number] += pkd_async_once_done(&req, &o->is.once, 0) != 0;
  return false;
}

static void what_lets_another_go_on_is_the_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"sem add", NULL, add},
      {"event set", NULL, set},
      {"event notify_one", NULL, notify},
      {"gate leave", one_inside, gate},
      {"barrier, by the last", for_two, barrier_last},
      {"barrier, by the first", for_two, barrier_first},
      {"once done", NULL, once},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

/* --- the condition, with a mutex that outlives it ---------------------------- */

static pkd_async_mutex_t room;

static bool called(void* memory, unsigned number,
                   int (*call)(pkd_async_cond_t*), bool under) {
  struct object* o = memory;
  pkd_req_t req = {0};

  for (unsigned users = 0; users == 0;) {
    wrong[number] +=
        pkd_async_mutex_lock_blocking(&req, &room, PKD_FOREVER) != 0;
    users = number == 0 ? o->users : 1;
    if (number == 1) {
      o->users = 1;
      wrong[1] += pkd_async_cond_wait_blocking(&req, &o->is.cond, &room,
                                               PKD_FOREVER) != 0;
    } else if (users != 0 && under) {
      wrong[0] += call(&o->is.cond) != 1;
    }
    wrong[number] += pkd_async_mutex_unlock(&req, &room) != 0;
    if (number == 0 && users != 0 && !under)
      wrong[0] += call(&o->is.cond) != 1;
  }
  return number == 1;
}

static bool signal_free(void* memory, unsigned number, bool linger) {
  (void)linger;
  return called(memory, number, pkd_async_cond_signal, false);
}

static bool signal_held(void* memory, unsigned number, bool linger) {
  (void)linger;
  return called(memory, number, pkd_async_cond_signal, true);
}

static bool broadcast_free(void* memory, unsigned number, bool linger) {
  (void)linger;
  return called(memory, number, pkd_async_cond_broadcast, false);
}

static void signal_and_broadcast_are_the_last_touch(void** state) {
  static const struct mortal mortals[] = {
      {"signal, mutex free", NULL, signal_free},
      {"signal, mutex held", NULL, signal_held},
      {"broadcast, mutex free", NULL, broadcast_free},
  };

  (void)state;
  MAY_BE_FREED_AFTER(mortals);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_release_of_a_lock_is_its_last_touch),
      cmocka_unit_test(what_lets_another_go_on_is_the_last_touch),
      cmocka_unit_test(signal_and_broadcast_are_the_last_touch),
  };
  return cmocka_run_group_tests_name("async free", tests, NULL, NULL);
}
