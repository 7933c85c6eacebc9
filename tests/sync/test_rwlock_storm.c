/* SPDX-License-Identifier: MIT
 *
 * test_rwlock_storm.c - the reader-writer lock under load: every call at once,
 * deadlines and cancels among them, and freeing it while unlocks still return. */
#include <support/test.h>

#include <parkade/cancel.h>
#include <parkade/lot.h>
#include <parkade/rwlock.h>

#include <errno.h>
#include <sched.h>

enum { THREADS = 6 };

static uint64_t seed;

/* Writers change the two together; readers must never see them apart. */
struct storm {
  pkd_rwlock_t l;
  int a, b;
  unsigned torn; /* atomic */
  int writes[THREADS];
  unsigned given_up; /* atomic */
};

static void look(struct storm* s) {
  if (s->a != s->b)
    __atomic_add_fetch(&s->torn, 1, __ATOMIC_RELAXED);
}

static void change(struct storm* s, unsigned number) {
  look(s);
  s->a++;
  s->writes[number]++;
  s->b++;
}

static void read_some(struct storm* s, rng_t* rng) {
  uint64_t kind = rng_below(rng, 6);
  int rc = 0;

  switch (kind) {
  case 0:
    rc = pkd_rwlock_tryrdlock(&s->l);
    break;
  case 1:
    rc = pkd_rwlock_rdlock_for(&s->l, rng_below(rng, 40000));
    break;
  case 2:
    rc = pkd_rwlock_rdlock_recursive_for(&s->l, rng_below(rng, 40000));
    break;
  default:
    pkd_rwlock_rdlock(&s->l);
  }
  if (rc != 0)
    return;
  look(s);
  if (kind == 3) {
    pkd_rwlock_rdlock_recursive(&s->l);
    look(s);
    pkd_rwlock_rdunlock(&s->l);
  }
  if (kind == 4)
    pkd_rwlock_rdbump(&s->l);
  if (kind == 5)
    pkd_rwlock_rdunlock_fair(&s->l);
  else
    pkd_rwlock_rdunlock(&s->l);
}

static void write_some(struct storm* s, rng_t* rng, unsigned number) {
  uint64_t kind = rng_below(rng, 7);
  int rc = 0;

  if (kind == 0)
    rc = pkd_rwlock_trywrlock(&s->l);
  else if (kind == 1)
    rc = pkd_rwlock_wrlock_for(&s->l, rng_below(rng, 40000));
  else
    pkd_rwlock_wrlock(&s->l);
  if (rc != 0)
    return;
  change(s, number);
  if (kind == 2) {
    pkd_rwlock_downgrade(&s->l);
    look(s);
    pkd_rwlock_rdunlock(&s->l);
  } else if (kind == 3) {
    pkd_rwlock_downgrade_to_up(&s->l);
    look(s);
    pkd_rwlock_upunlock(&s->l);
  } else if (kind == 4) {
    pkd_rwlock_wrbump(&s->l);
    change(s, number);
    pkd_rwlock_wrunlock(&s->l);
  } else if (kind == 5) {
    pkd_rwlock_wrunlock_fair(&s->l);
  } else {
    pkd_rwlock_wrunlock(&s->l);
  }
}

static void upgrade_some(struct storm* s, rng_t* rng, unsigned number) {
  uint64_t kind = rng_below(rng, 7);
  int rc = 0;

  if (kind == 0)
    rc = pkd_rwlock_uplock_for(&s->l, rng_below(rng, 40000));
  else if (kind == 1)
    rc = pkd_rwlock_tryuplock(&s->l);
  else
    pkd_rwlock_uplock(&s->l);
  if (rc != 0)
    return;
  look(s);
  if (kind == 2)
    rc = pkd_rwlock_tryupgrade(&s->l);
  else if (kind == 3)
    rc = pkd_rwlock_upgrade_for(&s->l, rng_below(rng, 40000));
  else if (kind == 4)
    pkd_rwlock_upgrade(&s->l);
  else
    rc = -EBUSY;
  if (rc == 0) {
    change(s, number);
    pkd_rwlock_wrunlock(&s->l);
  } else if (kind == 5) {
    pkd_rwlock_updowngrade(&s->l);
    look(s);
    pkd_rwlock_rdunlock(&s->l);
  } else if (kind == 6) {
    pkd_rwlock_upbump(&s->l);
    pkd_rwlock_upunlock_fair(&s->l);
  } else {
    pkd_rwlock_upunlock(&s->l);
  }
}

static void reader_to_writer(struct storm* s, rng_t* rng, unsigned number) {
  int rc;

  pkd_rwlock_rdlock(&s->l);
  look(s);
  rc = pkd_rwlock_rdupgrade_until(&s->l, pkd_after(rng_below(rng, 40000)));
  if (rc != 0) {
    look(s);
    pkd_rwlock_rdunlock(&s->l);
    return;
  }
  change(s, number);
  pkd_rwlock_wrunlock(&s->l);
}

static void rage(void* arg, unsigned number) {
  struct storm* s = arg;
  rng_t rng = rng_stream(seed, number);

  for (int i = 0; i < ROUNDS(6000); i++) {
    uint64_t kind = rng_below(&rng, 10);

    if (kind < 5)
      read_some(s, &rng);
    else if (kind < 7)
      write_some(s, &rng, number);
    else if (kind < 9)
      upgrade_some(s, &rng, number);
    else
      reader_to_writer(s, &rng, number);
  }
}

static void storm_with(pkd_rwlock_policy_t policy) {
  struct storm s = {PKD_RWLOCK_POLICY_INIT(policy), 0, 0, 0, {0}, 0};
  int writes = 0;

  team_run(THREADS, rage, &s);
  for (int i = 0; i < THREADS; i++)
    writes += s.writes[i];
  assert_int_equal(s.torn, 0);
  assert_int_equal(s.a, writes);
  assert_int_equal(s.l.word, 0);
  assert_int_equal(pkd_lot_for_each(&s.l, NULL, NULL), 0);
}

static void every_call_at_once_leaves_a_free_lock(void** state) {
  (void)state;
  storm_with(PKD_RWLOCK_PHASES);
}

static void the_same_when_readers_are_preferred(void** state) {
  (void)state;
  storm_with(PKD_RWLOCK_PREFER_READERS);
}

static void the_same_when_writers_are_preferred(void** state) {
  (void)state;
  storm_with(PKD_RWLOCK_PREFER_WRITERS);
}

/* --- give-ups -------------------------------------------------------------- */

static int noted(struct storm* s, int rc) {
  if (rc == -ETIMEDOUT)
    __atomic_add_fetch(&s->given_up, 1, __ATOMIC_RELAXED);
  return rc;
}

/* Long holds, short deadlines: many give up, in every state. */
static void give_up_often(void* arg, unsigned number) {
  struct storm* s = arg;
  rng_t rng = rng_stream(seed, number + 100);

  for (int i = 0; i < ROUNDS(2000); i++) {
    uint64_t ns = rng_below(&rng, 30000);
    uint64_t kind = rng_below(&rng, 4);
    pkd_deadline_t until = pkd_after(rng_below(&rng, 30000));

    if (kind == 0 && noted(s, pkd_rwlock_wrlock_for(&s->l, ns)) == 0) {
      change(s, number);
      while (pkd_now() < until)
        sched_yield();
      pkd_rwlock_wrunlock(&s->l);
    } else if (kind == 1 && noted(s, pkd_rwlock_uplock_for(&s->l, ns)) == 0) {
      look(s);
      if (noted(s, pkd_rwlock_upgrade_for(&s->l, ns)) == 0) {
        change(s, number);
        pkd_rwlock_wrunlock(&s->l);
      } else {
        pkd_rwlock_upunlock(&s->l);
      }
    } else if (kind > 1 && noted(s, pkd_rwlock_rdlock_for(&s->l, ns)) == 0) {
      look(s);
      while (pkd_now() < until)
        sched_yield();
      pkd_rwlock_rdunlock(&s->l);
    }
  }
}

static void giving_up_in_any_state_leaves_a_free_lock(void** state) {
  struct storm s = {PKD_RWLOCK_INIT, 0, 0, 0, {0}, 0};
  int writes = 0;

  (void)state;
  team_run(THREADS, give_up_often, &s);
  for (int i = 0; i < THREADS; i++)
    writes += s.writes[i];
  assert_int_not_equal(s.given_up, 0); /* or nothing was tried */
  assert_int_equal(s.torn, 0);
  assert_int_equal(s.a, writes);
  assert_int_equal(s.l.word, 0);
  assert_int_equal(pkd_rwlock_trywrlock(&s.l), 0);
}

/* --- freeing --------------------------------------------------------------- */

/* The lock guards the count of its users; who takes it to none frees it, while
 * the others may still be on their way out of their unlocks. */
struct shared {
  pkd_rwlock_t l;
  int users;    /* changed under the write lock */
  unsigned way; /* which unlocks are used this round */
};

struct handout {
  struct shared* s; /* atomic */
  unsigned taken;   /* atomic */
  unsigned rounds;
};

/* Reads a little, by the way of the round, before it signs off. */
static void use(struct shared* s, unsigned number) {
  switch ((s->way + number) % 4) {
  case 0:
    pkd_rwlock_rdlock(&s->l);
    pkd_rwlock_rdunlock(&s->l);
    break;
  case 1:
    pkd_rwlock_rdlock(&s->l);
    pkd_rwlock_rdunlock_fair(&s->l);
    break;
  case 2:
    pkd_rwlock_uplock(&s->l);
    pkd_rwlock_upunlock(&s->l);
    break;
  default:
    pkd_rwlock_uplock(&s->l);
    pkd_rwlock_upunlock_fair(&s->l);
  }
}

/* Everybody's last call is an unlock; whoever finds itself the last of all frees
 * the lock, which the others' unlocks may still be returning from. */
static bool sign_off(struct shared* s, unsigned number) {
  int left;

  switch ((s->way / 4 + number) % 3) {
  case 0:
    pkd_rwlock_wrlock(&s->l);
    left = --s->users;
    pkd_rwlock_wrunlock(&s->l);
    break;
  case 1:
    pkd_rwlock_wrlock(&s->l);
    left = --s->users;
    pkd_rwlock_wrunlock_fair(&s->l);
    break;
  default:
    pkd_rwlock_rdlock(&s->l);
    left = __atomic_sub_fetch(&s->users, 1, __ATOMIC_RELAXED);
    pkd_rwlock_rdunlock(&s->l);
    if (left == 0) { /* others may be about to unlock: wait until they have */
      pkd_rwlock_wrlock(&s->l);
      pkd_rwlock_wrunlock(&s->l);
    }
  }
  return left == 0;
}

static void use_and_free(void* arg, unsigned number) {
  struct handout* h = arg;

  for (unsigned i = 0; i < h->rounds; i++) {
    struct shared* s;

    if (number == 0) {
      s = calloc(1, sizeof *s);
      s->users = 3;
      s->way = i;
      __atomic_store_n(&h->taken, 0, __ATOMIC_RELAXED);
      __atomic_store_n(&h->s, s, __ATOMIC_RELEASE);
    } else {
      while ((s = __atomic_load_n(&h->s, __ATOMIC_ACQUIRE)) == NULL ||
             s->way != i)
        sched_yield();
    }
    if (__atomic_add_fetch(&h->taken, 1, __ATOMIC_ACQ_REL) == 3)
      __atomic_store_n(&h->s, NULL, __ATOMIC_RELEASE);
    while (__atomic_load_n(&h->s, __ATOMIC_ACQUIRE) == s)
      sched_yield(); /* nobody frees it before all have seen it */
    use(s, number);
    if (sign_off(s, number))
      free(s);
  }
}

static void whoever_unlocks_last_may_free_the_lock(void** state) {
  struct handout h = {NULL, 0, ROUNDS(20000)};

  (void)state;
  team_run(3, use_and_free, &h);
  assert_null(h.s);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_call_at_once_leaves_a_free_lock),
      cmocka_unit_test(the_same_when_readers_are_preferred),
      cmocka_unit_test(the_same_when_writers_are_preferred),
      cmocka_unit_test(giving_up_in_any_state_leaves_a_free_lock),
      cmocka_unit_test(whoever_unlocks_last_may_free_the_lock),
  };

  seed = rng_seed_of(argc, argv);
  return cmocka_run_group_tests_name("rwlock storm", tests, NULL, NULL);
}
