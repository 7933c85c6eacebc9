/* SPDX-License-Identifier: MIT
 *
 * test_deadlock.c - rings of waiting, cell by cell: which are deadlocks, and which
 * are none. Rings are real: threads do wait for each other. */
#include "watched.h"

/* --- rings of several ----------------------------------------------------------- */

struct ring {
  union lock locks[4];
  enum kind kinds[4];
  unsigned size;
  unsigned holding; /* atomic */
  int rc[4];
};

static void join_ring(void* arg, unsigned number) {
  struct ring* r = arg;
  unsigned next = (number + 1) % r->size;

  take(&r->locks[number], r->kinds[number]);
  count_up(&r->holding);
  WAIT_FOR(count_of(&r->holding) == r->size);
  r->rc[number] = take(&r->locks[next], r->kinds[next]);
  if (r->rc[number] == 0)
    give(&r->locks[next], r->kinds[next]);
  give(&r->locks[number], r->kinds[number]);
}

static void prepare_semaphores(struct ring* r) {
  for (unsigned i = 0; i < r->size; i++) {
    if (r->kinds[i] != SEM)
      continue;
    r->locks[i].sem = (pkd_sem_t)PKD_SEM_INIT(1);
    take(&r->locks[i], SEM); /* seen used as a lock */
    give(&r->locks[i], SEM);
  }
}

static void check_ring(unsigned size, enum kind a, enum kind b, enum kind c) {
  struct ring r = {.kinds = {a, b, c}, .size = size};
  bool gave_up = false;

  watch(NULL);
  prepare_semaphores(&r);
  team_run(size, join_ring, &r);
  assert_verdict(1, 0);
  assert_int_equal(last_count, size);
  for (unsigned i = 0; i < size; i++) {
    assert_true(r.rc[i] == 0 || r.rc[i] == -ECANCELED);
    gave_up = gave_up || r.rc[i] != 0;
    assert_non_null(last[i].holds);
    assert_non_null(last[i].wants);
    assert_ptr_equal(last[i].wants, last[(i + 1) % size].holds);
    assert_true(last[i].thread != last[(i + 1) % size].thread);
    assert_non_null(strstr(last[i].held_file, "watched.h"));
    assert_true(last[i].held_line > 0 && last[i].want_line > 0);
  }
  assert_true(gave_up);
  for (unsigned i = 0; i < size; i++) { /* the program went on */
    stop = (pkd_cancel_t)PKD_CANCEL_INIT;
    assert_int_equal(take(&r.locks[i], r.kinds[i]), 0);
    give(&r.locks[i], r.kinds[i]);
  }
}

static void two_threads_and_two_locks_of_every_kind(void** state) {
  static const enum kind kinds[] = {MUTEX, FAIR, RE, WRITE, UP, SEM};

  (void)state;
  for (size_t i = 0; i < LENGTH(kinds); i++)
    for (size_t j = 0; j < LENGTH(kinds); j++)
      check_ring(2, kinds[i], kinds[j], MUTEX);
}

static void three_threads_and_three_locks(void** state) {
  (void)state;
  check_ring(3, MUTEX, MUTEX, MUTEX);
  check_ring(3, FAIR, RE, WRITE);
  check_ring(3, SEM, MUTEX, UP);
}

struct odd {
  pkd_once_t once;
  union lock m, other;
  pkd_cond_t cond;
  pkd_sem_t sem;
  uintptr_t thread;
  unsigned ready;
  int rc;
};

/* --- rings of one ---------------------------------------------------------------- */

static void a_thread_that_waits_for_itself(void** state) {
  static const enum kind kinds[] = {MUTEX, FAIR, WRITE, SEM};

  (void)state;
  for (size_t i = 0; i < LENGTH(kinds); i++) {
    struct ring r = {.kinds = {kinds[i]}, .size = 1};

    watch(NULL);
    prepare_semaphores(&r);
    assert_int_equal(take(&r.locks[0], kinds[i]), 0);
    assert_int_equal(take(&r.locks[0], kinds[i]), -ECANCELED);
    assert_verdict(1, 0);
    assert_int_equal(last_count, 1);
    assert_ptr_equal(last[0].holds, &r.locks[0]);
    assert_ptr_equal(last[0].wants, &r.locks[0]);
    give(&r.locks[0], kinds[i]);
  }
}

static void re_entry_is_what_a_re_entrant_mutex_is_for(void** state) {
  union lock l;

  (void)state;
  memset(&l, 0, sizeof l);
  for (int i = 0; i < 3; i++)
    assert_int_equal(take(&l, RE), 0);
  for (int i = 0; i < 3; i++)
    give(&l, RE);
  assert_verdict(0, 0);
}

static void bump_re(void* arg, unsigned number) {
  struct odd* o = arg;

  pkd_remutex_lock(&o->m.re);
  pkd_remutex_lock(&o->m.re);
  count_up(&o->ready);
  if (number == 0)
    WAIT_FOR(waiting_at(&o->m.re.mutex) == 1);
  pkd_remutex_bump(&o->m.re);
  pkd_remutex_unlock(&o->m.re);
  pkd_remutex_unlock(&o->m.re);
}

/* Between the two halves of a bump the lock is another's. */
static void a_bump_waits_for_others_not_for_itself(void** state) {
  struct odd o = {.rc = 9};
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, bump_re, &o);
  WAIT_FOR(count_of(&o.ready) == 1);
  crew_add(&crew);
  crew_join(&crew);
  assert_verdict(0, 0);
}

/* One thread takes a rwlock in one way and then in another. */
static void check_twice(enum kind first, enum kind then, int rc, unsigned rings,
                        unsigned warnings) {
  union lock l;

  memset(&l, 0, sizeof l);
  watch(NULL);
  assert_int_equal(take(&l, first), 0);
  assert_int_equal(take(&l, then), rc);
  assert_verdict(rings, warnings);
  if (rc == 0)
    give(&l, then);
  give(&l, first);
  assert_int_equal(pkd_rwlock_is_locked(&l.rw), 0);
}

static void plain_read_twice(pkd_rwlock_t* l) {
  pkd_rwlock_rdlock(l);
  pkd_rwlock_rdlock(l);
  pkd_rwlock_rdunlock(l);
  pkd_rwlock_rdunlock(l);
}

static void the_table_of_recursion_holds(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  check_twice(READ, WRITE, -ECANCELED, 1, 0);
  check_twice(WRITE, READ, -ECANCELED, 1, 0);
  check_twice(WRITE, WRITE, -ECANCELED, 1, 0);
  check_twice(UP, WRITE, -ECANCELED, 1, 0);
  check_twice(UP, UP, -ECANCELED, 1, 0);
  check_twice(READ, AGAIN, 0, 0, 0);
  check_twice(READ, UP, 0, 0, 0);
  check_twice(UP, READ, 0, 0, 0);
  watch(NULL);
  plain_read_twice(&l);
  assert_verdict(0, 1);
  watch(NULL);
  pkd_rwlock_uplock(&l);
  pkd_rwlock_upgrade(&l);
  pkd_rwlock_downgrade_to_up(&l);
  pkd_rwlock_updowngrade(&l);
  assert_int_equal(pkd_rwlock_rdupgrade(&l), 0);
  pkd_rwlock_downgrade(&l);
  pkd_rwlock_rdunlock(&l);
  assert_verdict(0, 0);
}

/* Whether a read within a read can hang depends on whether writers who wait keep
 * readers out. */
static void the_policy_says_whether_reads_may_nest(void** state) {
  static const struct {
    pkd_rwlock_policy_t policy;
    unsigned warnings;
  } rows[] = {{PKD_RWLOCK_PHASES, 1},
              {PKD_RWLOCK_PREFER_WRITERS, 1},
              {PKD_RWLOCK_PREFER_READERS, 0}};

  (void)state;
  for (size_t i = 0; i < LENGTH(rows); i++) {
    pkd_rwlock_t l = PKD_RWLOCK_POLICY_INIT(rows[i].policy);
    pkd_rwlock_t other = PKD_RWLOCK_POLICY_INIT(rows[i].policy);

    watch(NULL);
    plain_read_twice(&l);
    assert_verdict(0, rows[i].warnings);
    watch(NULL);
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_rdlock(&other);
    pkd_rwlock_rdunlock(&other);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_wrlock(&l);
    pkd_rwlock_wrunlock(&l);
    pkd_rwlock_wrlock(&other);
    pkd_rwlock_wrunlock(&other);
    pkd_rwlock_rdlock(&other);
    pkd_rwlock_rdlock(&l);
    pkd_rwlock_rdunlock(&l);
    pkd_rwlock_rdunlock(&other);
    assert_verdict(0, rows[i].warnings);
  }
}

static void write_it(void* arg, unsigned number) {
  union lock* l = arg;

  (void)number;
  if (take(l, WRITE) == 0)
    give(l, WRITE);
}

static void a_second_read_behind_a_writer_is_certain(void** state) {
  struct crew writer;
  union lock l;
  int rc;

  (void)state;
  memset(&l, 0, sizeof l);
  assert_int_equal(take(&l, READ), 0);
  crew_start(&writer, 1, write_it, &l);
  WAIT_FOR(waiting_at(&stop) == 1);
  rc = take(&l, READ); /* 0 if the writer gives up first and lets it in */
  assert_true(rc == 0 || rc == -ECANCELED);
  assert_verdict(1, 0);
  assert_int_equal(last_count, 2);
  if (rc == 0)
    give(&l, READ);
  give(&l, READ);
  crew_join(&writer);
}

static void a_recursive_read_passes_a_writer_without_blame(void** state) {
  struct crew writer;
  union lock l;

  (void)state;
  memset(&l, 0, sizeof l);
  assert_int_equal(take(&l, READ), 0);
  crew_start(&writer, 1, write_it, &l);
  WAIT_FOR(waiting_at(&stop) == 1);
  assert_int_equal(take(&l, AGAIN), 0);
  give(&l, AGAIN);
  give(&l, READ);
  crew_join(&writer);
  assert_verdict(0, 0);
}

static void two_upgrades_are_refused_not_reported(void** state) {
  pkd_rwlock_t l = PKD_RWLOCK_INIT;

  (void)state;
  pkd_rwlock_uplock(&l);
  assert_int_equal(pkd_rwlock_tryuplock(&l), -EBUSY);
  pkd_rwlock_rdlock_recursive(&l);
  assert_int_equal(pkd_rwlock_rdupgrade(&l), -EDEADLK);
  pkd_rwlock_rdunlock(&l);
  pkd_rwlock_upunlock(&l);
  assert_verdict(0, 0);
}

/* --- once, join, condition -------------------------------------------------------- */

static int want_the_mutex(void* arg) {
  struct odd* o = arg;

  count_up(&o->ready);
  WAIT_FOR(count_of(&o->ready) >= 2);
  if (count_of(&o->ready) > 2 || take(&o->m, MUTEX) != 0)
    return 1;
  give(&o->m, MUTEX);
  return 0;
}

static void run_once(void* arg, unsigned number) {
  struct odd* o = arg;

  (void)number;
  o->rc = pkd_once_try(&o->once, want_the_mutex, o);
}

static void an_initializer_that_needs_what_its_caller_holds(void** state) {
  struct odd o = {.rc = 9};
  struct crew crew;
  int rc;

  (void)state;
  assert_int_equal(take(&o.m, MUTEX), 0);
  crew_start(&crew, 1, run_once, &o);
  WAIT_FOR(count_of(&o.ready) == 1);
  count_up(&o.ready);
  /* 1: the other was cancelled first and has left it to this thread */
  rc =
      pkd_once_try_cancellable(&o.once, want_the_mutex, &o, &stop, PKD_FOREVER);
  assert_true(rc == -ECANCELED || rc == 1);
  assert_verdict(1, 0);
  assert_int_equal(last_count, 2);
  give(&o.m, MUTEX);
  crew_join(&crew);
}

static void take_and_end(void* arg, unsigned number) {
  struct odd* o = arg;

  (void)number;
  o->thread = pkd_thread_id();
  count_up(&o->ready);
  o->rc = take(&o->m, MUTEX);
  if (o->rc == 0)
    give(&o->m, MUTEX);
}

static void joining_a_thread_that_needs_what_the_joiner_holds(void** state) {
  struct odd o = {.rc = 9};
  struct crew crew;

  (void)state;
  assert_int_equal(take(&o.m, MUTEX), 0);
  crew_start(&crew, 1, take_and_end, &o);
  WAIT_FOR(count_of(&o.ready) == 1);
  pkd_deadlock_joining(o.thread);
  crew_join(&crew); /* ends because the report has ended its wait */
  pkd_deadlock_joined();
  assert_verdict(1, 0);
  assert_int_equal(o.rc, -ECANCELED);
  give(&o.m, MUTEX);
}

static void wait_for_signal(void* arg, unsigned number) {
  struct odd* o = arg;

  (void)number;
  take(&o->m, MUTEX);
  count_up(&o->ready);
  o->rc = pkd_cond_wait(&o->cond, &o->m.mutex);
  give(&o->m, MUTEX);
}

static void a_wait_for_a_signal_is_nobodys_fault(void** state) {
  struct odd o = {.rc = 9};
  struct crew crew;

  (void)state;
  crew_start(&crew, 3, wait_for_signal, &o);
  WAIT_FOR(waiting_at(&o.cond) == 3);
  for (int i = 0; i < 3; i++) {
    take(&o.m, MUTEX); /* given up by who waits */
    pkd_cond_signal(&o.cond);
    give(&o.m, MUTEX);
  }
  crew_join(&crew);
  assert_int_equal(o.rc, 0);
  assert_verdict(0, 0);
}

static void wait_with_another_held(void* arg, unsigned number) {
  struct odd* o = arg;
  int rc;

  (void)number;
  take(&o->other, FAIR);
  take(&o->m, MUTEX);
  rc = pkd_cond_wait_cancellable(&o->cond, &o->m.mutex, &stop, PKD_FOREVER);
  if (rc != PKD_ENOTHELD)
    give(&o->m, MUTEX);
  give(&o->other, FAIR);
}

static void a_wait_that_was_moved_to_its_mutex_is_one_for_it(void** state) {
  struct odd o = {.rc = 9};
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, wait_with_another_held, &o);
  WAIT_FOR(waiting_at(&o.cond) == 1 && waiting_at(&stop) == 1);
  take(&o.m, MUTEX);
  assert_int_equal(pkd_cond_signal(&o.cond), 1); /* moved: the mutex is held */
  if (take(&o.other, FAIR) == 0)
    give(&o.other, FAIR);
  assert_verdict(1, 0);
  assert_int_equal(last_count, 2);
  give(&o.m, MUTEX);
  crew_join(&crew);
}

/* The bounded buffer: who takes a slot never gives it back, another does. */
static void give_slots(void* arg, unsigned number) {
  struct odd* o = arg;

  (void)number;
  WAIT_FOR(waiting_at(&o->sem) == 1);
  for (int i = 0; i < 4; i++)
    pkd_sem_release(&o->sem, 1);
}

static void a_semaphore_that_counts_is_never_blamed(void** state) {
  struct odd o = {.sem = PKD_SEM_INIT(3)};
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, give_slots, &o);
  for (int i = 0; i < 7; i++)
    pkd_sem_acquire(&o.sem, 1);
  crew_join(&crew);
  assert_verdict(0, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(two_threads_and_two_locks_of_every_kind),
      TEST(three_threads_and_three_locks),
      TEST(a_thread_that_waits_for_itself),
      TEST(re_entry_is_what_a_re_entrant_mutex_is_for),
      TEST(a_bump_waits_for_others_not_for_itself),
      TEST(the_table_of_recursion_holds),
      TEST(the_policy_says_whether_reads_may_nest),
      TEST(a_second_read_behind_a_writer_is_certain),
      TEST(a_recursive_read_passes_a_writer_without_blame),
      TEST(two_upgrades_are_refused_not_reported),
      TEST(an_initializer_that_needs_what_its_caller_holds),
      TEST(joining_a_thread_that_needs_what_the_joiner_holds),
      TEST(a_wait_for_a_signal_is_nobodys_fault),
      TEST(a_wait_that_was_moved_to_its_mutex_is_one_for_it),
      TEST(a_semaphore_that_counts_is_never_blamed),
  };
  return cmocka_run_group_tests_name("deadlock", tests, NULL, NULL);
}
