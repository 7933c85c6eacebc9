/* SPDX-License-Identifier: MIT
 *
 * test_deadlock_orders.c - orders of locking that contradict each other, and those
 * that do not; no false alarms; where reports go. */
#include "watched.h"

/* --- orders ------------------------------------------------------------------------ */

static pkd_mutex_t a, b, c, gate;

static void nest(pkd_mutex_t* outer, pkd_mutex_t* inner) {
  pkd_mutex_lock(outer);
  pkd_mutex_lock(inner);
  pkd_mutex_unlock(inner);
  pkd_mutex_unlock(outer);
}

static void two_orders_that_contradict_are_told_once(void** state) {
  (void)state;
  nest(&a, &b);
  nest(&a, &b);
  assert_verdict(0, 0);
  nest(&b, &a);
  assert_verdict(0, 1);
  assert_int_equal(last_count, 2);
  assert_ptr_equal(last[0].holds, &b);
  assert_ptr_equal(last[0].wants, &a);
  assert_ptr_equal(last[1].holds, &a);
  assert_ptr_equal(last[1].wants, &b);
  assert_non_null(strstr(last[0].want_file, "test_deadlock_orders.c"));
  nest(&b, &a);
  nest(&a, &b);
  assert_verdict(0, 1);
}

static void three_orders_contradict_in_a_ring(void** state) {
  (void)state;
  nest(&a, &b);
  nest(&b, &c);
  assert_verdict(0, 0);
  PKD_WITH_MUTEX(&c) {
    PKD_WITH_MUTEX(&a) {
      assert_int_equal(pkd_mutex_is_locked(&a), 1);
    }
  }
  assert_verdict(0, 1);
  assert_int_equal(last_count, 3);
}

static void a_try_contradicts_nothing(void** state) {
  (void)state;
  nest(&a, &b);
  pkd_mutex_lock(&b);
  assert_int_equal(pkd_mutex_trylock(&a), 0);
  pkd_mutex_unlock(&a);
  assert_int_equal(pkd_mutex_lock_for(&a, SECOND), 0); /* can back off */
  pkd_mutex_unlock(&a);
  pkd_mutex_unlock(&b);
  assert_verdict(0, 0);
  /* but what is wanted under a lock got by try is */
  assert_int_equal(pkd_mutex_trylock(&b), 0);
  pkd_mutex_lock(&a);
  pkd_mutex_unlock(&a);
  pkd_mutex_unlock(&b);
  assert_verdict(0, 1);
}

static void orders_under_one_gate_do_not_contradict(void** state) {
  (void)state;
  PKD_WITH_MUTEX(&gate) {
    nest(&a, &b);
  }
  PKD_WITH_MUTEX(&gate) {
    nest(&b, &a);
  }
  assert_verdict(0, 0);
  nest(&b, &a); /* the other order is still gated, this one is not any more */
  assert_verdict(0, 1);
}

static void a_gate_of_one_order_alone_is_none(void** state) {
  (void)state;
  nest(&a, &b);
  PKD_WITH_MUTEX(&gate) {
    nest(&b, &a);
  }
  assert_verdict(0, 1);
}

/* It may count: then it keeps nobody out. */
static void a_semaphore_is_in_no_order_and_no_gate(void** state) {
  pkd_sem_t sem = PKD_SEM_INIT(1);

  (void)state;
  pkd_sem_acquire(&sem, 1);
  nest(&a, &b);
  pkd_sem_release(&sem, 1);
  PKD_WITH_MUTEX(&a) {
    pkd_sem_acquire(&sem, 1);
    pkd_sem_release(&sem, 1);
  }
  assert_verdict(0, 0);
  pkd_sem_acquire(&sem, 1);
  nest(&b, &a);
  pkd_sem_release(&sem, 1);
  assert_verdict(0, 1);
}

static void a_lock_that_contradicts_twice_is_told_once(void** state) {
  (void)state;
  nest(&c, &a);
  nest(&c, &b);
  PKD_WITH_MUTEX(&a) {
    nest(&b, &c);
  }
  assert_verdict(0, 1);
  assert_ptr_equal(last[0].wants, &c);
}

static void an_old_ring_on_the_way_does_not_hide_a_new_one(void** state) {
  (void)state;
  nest(&b, &gate);
  nest(&a, &b);
  nest(&b, &a);
  assert_verdict(0, 1);
  nest(&gate, &a); /* a, b, gate; and a, b, a is met before that */
  assert_verdict(0, 2);
  assert_int_equal(last_count, 3);
  assert_ptr_equal(last[0].holds, &gate);
}

/* The last hold of an object that is of this mode, whatever came later. */
static void what_is_held_in_two_modes_is_given_up_by_mode(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_uplock(&l);
  pkd_rwlock_rdlock_recursive(&l);
  pkd_rwlock_upunlock(&l);
  PKD_WITH_MUTEX(&a) {} /* under the read */
  pkd_rwlock_rdunlock(&l);
  PKD_WITH_MUTEX(&b) {} /* under nothing */
  PKD_WITH_MUTEX(&b) {
    PKD_WITH_WRLOCK(&l) {}
  }
  assert_verdict(0, 0);
  PKD_WITH_MUTEX(&a) {
    PKD_WITH_WRLOCK(&l) {}
  }
  assert_verdict(0, 1);
}

static void read_both(pkd_rwlock_t* outer, pkd_rwlock_t* inner, bool again) {
  if (again) {
    pkd_rwlock_rdlock_recursive(outer);
    pkd_rwlock_rdlock_recursive(inner);
  } else {
    pkd_rwlock_rdlock(outer);
    pkd_rwlock_rdlock(inner);
  }
  pkd_rwlock_rdunlock(inner);
  pkd_rwlock_rdunlock(outer);
}

static void reads_contradict_only_where_somebody_writes(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT, k = PKD_RWLOCK_INIT;

  (void)state;
  read_both(&l, &k, false);
  read_both(&k, &l, false);
  assert_verdict(0, 0);
  watch(NULL);
  PKD_WITH_WRLOCK(&l) {}
  PKD_WITH_WRLOCK(&k) {}
  read_both(&l, &k, true);
  read_both(&k, &l, true);
  assert_verdict(0, 0);
  read_both(&l, &k, false);
  read_both(&k, &l, false);
  assert_verdict(0, 1);
}

static void a_read_and_a_write_order_contradict(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_rdlock(&l);
  pkd_mutex_lock(&a);
  pkd_mutex_unlock(&a);
  pkd_rwlock_rdunlock(&l);
  pkd_mutex_lock(&a);
  PKD_WITH_RDLOCK(&l) {} /* reader and reader */
  pkd_mutex_unlock(&a);
  assert_verdict(0, 0);
  pkd_mutex_lock(&a);
  PKD_WITH_WRLOCK(&l) {}
  pkd_mutex_unlock(&a);
  assert_verdict(0, 1);
}

static void memory_that_is_forgotten_holds_new_locks(void** state) {
  (void)state;
  nest(&a, &b);
  pkd_deadlock_forget(&a, sizeof a);
  nest(&b, &a);
  assert_verdict(0, 0);
  nest(&a, &b);
  assert_verdict(0, 1);
}

static void what_lies_beside_forgotten_memory_is_known(void** state) {
  static pkd_mutex_t m[6];

  (void)state;
  nest(&m[0], &m[1]);
  nest(&m[2], &m[3]);
  nest(&m[4], &m[5]);
  pkd_deadlock_forget(&m[2], 2 * sizeof m[0]);
  pkd_deadlock_forget(&m[2], 2 * sizeof m[0]);
  nest(&m[3], &m[2]);
  assert_verdict(0, 0);
  nest(&m[1], &m[0]);
  assert_verdict(0, 1);
  nest(&m[5], &m[4]);
  assert_verdict(0, 2);
}

static void nothing_is_seen_while_it_is_off(void** state) {
  (void)state;
  nest(&a, &b);
  assert_int_equal(pkd_deadlock_watch(0), 1);
  assert_int_equal(pkd_deadlock_watch(0), 0);
  nest(&b, &a);
  pkd_mutex_lock(&c);
  assert_int_equal(pkd_deadlock_watch(1), 0);
  nest(&b, &a);
  pkd_mutex_unlock(&c); /* not known as held: nothing to strike out */
  assert_verdict(0, 0);
}

/* --- zero false alarms --------------------------------------------------------------- */

enum { LOCKS = 12, WORKERS = 6 };

struct market {
  pkd_mutex_t mutexes[LOCKS];
  pkd_rwlock_t rwlocks[LOCKS];
  pkd_cond_t cond;
  pkd_fair_mutex_t fair;
};

static void trade(struct market* m, rng_t* rng) {
  unsigned low = (unsigned)rng_below(rng, LOCKS - 1);
  unsigned high = low + 1 + (unsigned)rng_below(rng, LOCKS - 1 - low);

  switch (rng_below(rng, 8)) {
  case 0: /* in order */
    nest(&m->mutexes[low], &m->mutexes[high]);
    break;
  case 1: /* against it, by try */
    PKD_WITH_MUTEX(&m->mutexes[high]) {
      if (pkd_mutex_trylock(&m->mutexes[low]) == 0)
        pkd_mutex_unlock(&m->mutexes[low]);
    }
    break;
  case 2: /* against it, with a deadline */
    PKD_WITH_MUTEX(&m->mutexes[high]) {
      if (pkd_mutex_lock_for(&m->mutexes[low], 0) == 0)
        pkd_mutex_unlock(&m->mutexes[low]);
    }
    break;
  case 3: /* rwlocks in order, after no mutex */
    PKD_WITH_RDLOCK(&m->rwlocks[low]) {
      PKD_WITH_WRLOCK(&m->rwlocks[high]) {
        nest(&m->mutexes[low], &m->mutexes[high]);
      }
    }
    break;
  case 6: /* turns given and taken */
    PKD_WITH_MUTEX(&m->mutexes[low]) {
      pkd_mutex_bump(&m->mutexes[low]);
    }
    PKD_WITH_FAIR_MUTEX(&m->fair) {
      pkd_fair_mutex_bump(&m->fair);
    }
    break;
  case 7: /* up and down */
    PKD_WITH_UPLOCK(&m->rwlocks[low]) {
      pkd_rwlock_upgrade(&m->rwlocks[low]);
      nest(&m->mutexes[low], &m->mutexes[high]);
      pkd_rwlock_downgrade_to_up(&m->rwlocks[low]);
    }
    break;
  case 4: /* recursive reads in any order */
    read_both(&m->rwlocks[high], &m->rwlocks[high], true);
    break;
  default:
    pkd_mutex_lock(&m->mutexes[LOCKS - 1]);
    pkd_cond_broadcast(&m->cond);
    if (pkd_cond_wait_for(&m->cond, &m->mutexes[LOCKS - 1], 20000) !=
        PKD_ENOTHELD)
      pkd_mutex_unlock(&m->mutexes[LOCKS - 1]);
    break;
  }
}

static uint64_t seed;

static void trade_for_a_while(void* arg, unsigned number) {
  rng_t rng = rng_stream(seed, number);

  for (int i = 0; i < ROUNDS(3000); i++)
    trade(arg, &rng);
}

static void a_market_in_good_order_raises_no_alarm(void** state) {
  static struct market m;

  (void)state;
  team_run(WORKERS, trade_for_a_while, &m);
  assert_verdict(0, 0);
}

static void come_and_go(void* arg, unsigned number) {
  (void)number;
  PKD_WITH_MUTEX((pkd_mutex_t*)arg) {}
}

static void threads_that_end_make_room_for_others(void** state) {
  (void)state;
  for (int i = 0; i < 40; i++)
    team_run(32, come_and_go, &a); /* more than there are records */
  assert_verdict(0, 0);
}

/* --- in the child of a fork --------------------------------------------------------- */

static unsigned stop_nesting;

static void nest_for_ever(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  while (count_of(&stop_nesting) == 0)
    nest(&a, &b);
}

static void contradict_in_the_child(void) {
  pkd_mutex_t x = PKD_MUTEX_INIT, y = PKD_MUTEX_INIT;

  potential = 0;
  nest(&x, &y);
  nest(&y, &x);
  if (count_of(&potential) != 1)
    _exit(1);
}

static void a_forked_child_is_watched_anew(void** state) {
  struct crew crew;

  (void)state;
  stop_nesting = 0;
  crew_start(&crew, 3, nest_for_ever, NULL);
  for (int i = 0; i < 20; i++)
    assert_int_equal(run_in_child(contradict_in_the_child), 0);
  count_up(&stop_nesting);
  crew_join(&crew);
  assert_verdict(0, 0);
}

/* Its threads work at the watch too while it has children of its own. */
static void have_watched_children(void) {
  struct crew crew;

  crew_start(&crew, 3, nest_for_ever, NULL);
  for (int i = 0; i < 20; i++)
    if (run_in_child(contradict_in_the_child) != 0)
      _exit(1);
  count_up(&stop_nesting);
  crew_join(&crew);
}

static void a_childs_child_is_watched_anew(void** state) {
  (void)state;
  if (PKD_TEST_SLOW)
    skip();
  stop_nesting = 0;
  assert_int_equal(run_in_child(have_watched_children), 0);
}

static void switch_it_off_and_on(void) {
  pkd_deadlock_watch(0);
  pkd_deadlock_on_report(on_report, NULL);
  pkd_deadlock_watch(1);
  contradict_in_the_child();
}

static void a_forked_child_can_switch_it(void** state) {
  struct crew crew;

  (void)state;
  stop_nesting = 0;
  crew_start(&crew, 3, nest_for_ever, NULL);
  for (int i = 0; i < 20; i++)
    assert_int_equal(run_in_child(switch_it_off_and_on), 0);
  count_up(&stop_nesting);
  crew_join(&crew);
}

/* --- without a callback, without a call ------------------------------------------------ */

static void stop_once_it_is_told(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  WAIT_FOR(something_was_said());
  pkd_cancel_fire(&stop);
}

static void wait_for_myself_and_contradict(void) {
  struct crew crew;

  pkd_deadlock_watch(0);
  pkd_deadlock_on_report(NULL, NULL);
  pkd_deadlock_watch(1);
  pkd_mutex_lock(&a);
  crew_start(&crew, 1, stop_once_it_is_told, NULL);
  if (pkd_mutex_lock_cancellable(&a, &stop, PKD_FOREVER) != -ECANCELED)
    _exit(1);
  crew_join(&crew);
  pkd_mutex_unlock(&a);
  nest(&b, &c);
  nest(&c, &b);
  abort(); /* the program went on as far as here */
}

static void reports_go_to_stderr(void** state) {
  char words[8192];

  (void)state;
  assert_int_equal(
      last_words(wait_for_myself_and_contradict, words, sizeof words), SIGABRT);
  assert_non_null(
      strstr(words, "parkade: deadlock: a thread waits for itself"));
  assert_non_null(strstr(words, "wants mutex"));
  assert_non_null(strstr(words, "test_deadlock_orders.c:"));
  assert_non_null(strstr(words, "parkade: potential deadlock"));
}

static void start_anew_with_the_variable(void) {
  setenv("PARKADE_DEADLOCK", "1", 1);
  execl("/proc/self/exe", "test_deadlock", "contradict", (char*)NULL);
  _exit(1);
}

static void the_environment_switches_it_on(void** state) {
  char words[8192];

  (void)state;
  if (WRAPPED || access("/proc/self/exe", X_OK) != 0)
    skip();
  assert_int_equal(
      last_words(start_anew_with_the_variable, words, sizeof words), SIGABRT);
  assert_non_null(strstr(words, "parkade: potential deadlock"));
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      TEST(two_orders_that_contradict_are_told_once),
      TEST(three_orders_contradict_in_a_ring),
      TEST(a_try_contradicts_nothing),
      TEST(orders_under_one_gate_do_not_contradict),
      TEST(a_gate_of_one_order_alone_is_none),
      TEST(a_semaphore_is_in_no_order_and_no_gate),
      TEST(a_lock_that_contradicts_twice_is_told_once),
      TEST(an_old_ring_on_the_way_does_not_hide_a_new_one),
      TEST(what_is_held_in_two_modes_is_given_up_by_mode),
      TEST(reads_contradict_only_where_somebody_writes),
      TEST(a_read_and_a_write_order_contradict),
      TEST(memory_that_is_forgotten_holds_new_locks),
      TEST(what_lies_beside_forgotten_memory_is_known),
      TEST(nothing_is_seen_while_it_is_off),
      TEST(a_market_in_good_order_raises_no_alarm),
      TEST(threads_that_end_make_room_for_others),
      TEST(a_forked_child_is_watched_anew),
      TEST(a_childs_child_is_watched_anew),
      TEST(a_forked_child_can_switch_it),
      TEST(reports_go_to_stderr),
      TEST(the_environment_switches_it_on),
  };

  if (argc > 1 && strcmp(argv[1], "contradict") == 0) {
    nest(&a, &b);
    nest(&b, &a);
    abort();
  }

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("deadlock orders", tests, NULL, NULL);
}
