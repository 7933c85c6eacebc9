/* SPDX-License-Identifier: MIT
 *
 * test_deadlock_told.c - what the watch is told in odd moments, and what it says:
 * from within a report, while it is off, by calls it has not seen the whole of;
 * and the words of a report that goes to stderr. */
#include "watched.h"

#include <errno.h>

static pkd_mutex_t a, b, c, d;
static pkd_rwlock_t l;

static void nest(pkd_mutex_t* outer, pkd_mutex_t* inner) {
  pkd_mutex_lock(outer);
  pkd_mutex_lock(inner);
  pkd_mutex_unlock(inner);
  pkd_mutex_unlock(outer);
}

/* --- from within a report ------------------------------------------------------ */

static void init_nothing(void) {}

/* Every kind of call, and two orders that contradict. */
static void use_locks(void* data, const pkd_deadlock_report_t* report) {
  pkd_once_t once = PKD_ONCE_INIT;
  pkd_cond_t cond = PKD_COND_INIT;
  unsigned* rounds = data;

  (void)report;
  nest(&c, &d);
  nest(&d, &c);
  pkd_rwlock_uplock(&l);
  pkd_rwlock_upgrade(&l);
  pkd_rwlock_downgrade(&l);
  pkd_rwlock_rdunlock(&l);
  pkd_mutex_lock(&c);
  pkd_cond_wait_for(&cond, &c, 0);
  pkd_mutex_unlock(&c);
  pkd_once_call(&once, init_nothing);
  count_up(rounds);
}

static void what_a_report_locks_is_not_watched(void** state) {
  unsigned rounds = 0;

  (void)state;
  pkd_deadlock_on_report(use_locks, &rounds);
  nest(&a, &b);
  nest(&b, &a);
  assert_int_equal(rounds, 1); /* none of its own */
  pkd_deadlock_on_report(on_report, NULL);
  nest(&d, &c); /* nor is an order of it remembered */
  PKD_WITH_WRLOCK(&l) {
    nest(&c, &a);
  }
  assert_verdict(0, 0);
}

/* As a callback that writes, or the report on stderr. */
static void be_a_point_of_cancellation(void* data,
                                       const pkd_deadlock_report_t* report) {
  (void)report;
  count_up(data);
  pthread_testcancel();
}

static void* wait_for_myself_cancelled(void* arg) {
  (void)arg;
  pkd_mutex_lock(&a);
  pthread_cancel(pthread_self());
  pkd_mutex_lock_for(&a, 10 * MS);
  pkd_mutex_unlock(&a);
  pthread_testcancel();
  return NULL;
}

/* A thread that is cancelled in a report would leave its place in the queue to
 * whatever comes to lie where its stack was. */
static void who_is_cancelled_is_not_so_in_a_report(void** state) {
  unsigned reports = 0;
  void* result = NULL;
  pthread_t thread;

  (void)state;
  pkd_deadlock_on_report(be_a_point_of_cancellation, &reports);
  assert_int_equal(
      pthread_create(&thread, NULL, wait_for_myself_cancelled, NULL), 0);
  pthread_join(thread, &result);
  assert_ptr_equal(result, PTHREAD_CANCELED);
  assert_int_equal(reports, 1);
  assert_int_equal(waiting_at(&a), 0);
  assert_false(pkd_mutex_is_locked(&a));
}

static void what_is_said_while_it_is_off_is_not_kept(void** state) {
  (void)state;
  nest(&a, &b);
  pkd_deadlock_watch(0);
  pkd_deadlock_joining(pkd_thread_id());
  pkd_deadlock_forget(&a, sizeof a);
  pkd_deadlock_joined();
  pkd_deadlock_watch(1);
  nest(&b, &a); /* the switch has forgotten the first order */
  assert_verdict(0, 0);
  nest(&a, &b);
  assert_verdict(0, 1);
}

/* --- by halves ------------------------------------------------------------------- */

static pkd_once_t once;
static int rc_in_init;

static void need_a(void) {
  rc_in_init = take((union lock*)&a, MUTEX);
}

static void need_the_once(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  PKD_WITH_MUTEX(&a) {
    WAIT_FOR(waiting_at(&a) == 1);
    pkd_once_call(&once, need_a);
  }
}

/* The call is not watched, what its initializer does is: that holds the once all
 * the same, though nobody knows from which line on. */
static void an_initializer_is_known_without_its_call(void** state) {
  struct crew crew;

  (void)state;
  crew_start(&crew, 1, need_the_once, NULL);
  WAIT_FOR(pkd_mutex_is_locked(&a));
  (pkd_once_call)(&once, need_a);
  crew_join(&crew);
  assert_int_equal(rc_in_init, -ECANCELED);
  assert_verdict(1, 0);
  assert_int_equal(last_count, 2);
  for (size_t i = 0; i < 2; i++)
    assert_int_equal(last[i].held_file == NULL, last[i].holds == &once);
  assert_true(last[0].holds == &once || last[1].holds == &once);
}

/* Given up or turned where it was not seen taken. */
static void what_it_has_not_seen_taken_it_lets_be(void** state) {
  pkd_cond_t cond = PKD_COND_INIT;

  (void)state;
  (pkd_mutex_lock)(&a);
  assert_int_equal(pkd_cond_wait_for(&cond, &a, 0), -ETIMEDOUT);
  pkd_mutex_unlock(&a);
  (pkd_rwlock_wrlock)(&l);
  pkd_rwlock_downgrade(&l);
  pkd_rwlock_rdunlock(&l);
  (pkd_rwlock_uplock)(&l);
  pkd_rwlock_upgrade(&l);
  pkd_rwlock_wrunlock(&l);
  nest(&a, &b);
  nest(&b, &a);
  assert_verdict(0, 1);
}

static unsigned locked, go_on;

static void lock_and_nest(void* arg, unsigned number) {
  (void)arg;
  (void)number;
  pkd_mutex_lock(&a);
  count_up(&locked);
  nest(&b, &c);
  pkd_mutex_unlock(&a);
}

/* It wanted the lock before, so nobody knows that it has it. */
static void who_waits_when_it_is_switched_on_is_not_known(void** state) {
  struct crew crew;

  (void)state;
  pkd_deadlock_watch(0);
  pkd_mutex_lock(&a);
  crew_start(&crew, 1, lock_and_nest, NULL);
  WAIT_FOR(waiting_at(&a) == 1);
  pkd_deadlock_watch(1);
  pkd_mutex_unlock(&a);
  crew_join(&crew);
  nest(&b, &a); /* no contradiction: b was not seen wanted under a */
  assert_verdict(0, 0);
  nest(&c, &b); /* what came after was seen */
  assert_verdict(0, 1);
}

/* A condition before and behind its mutex, in memory. */
static void a_wait_beside_its_mutex_is_none_for_it(void** state) {
  struct {
    pkd_cond_t before;
    pkd_mutex_t m;
    pkd_cond_t behind;
  } row = {PKD_COND_INIT, PKD_MUTEX_INIT, PKD_COND_INIT};

  (void)state;
  PKD_WITH_MUTEX(&row.m) {
    assert_int_equal(pkd_cond_wait_for(&row.before, &row.m, MS), -ETIMEDOUT);
    assert_int_equal(pkd_cond_wait_for(&row.behind, &row.m, MS), -ETIMEDOUT);
  }
  assert_verdict(0, 0);
}

/* --- rings beside rings -------------------------------------------------------------- */

static pkd_cancel_t quit;

static void want(pkd_mutex_t* m) {
  if (pkd_mutex_lock_cancellable(m, &quit, PKD_FOREVER) == 0)
    pkd_mutex_unlock(m);
}

/* Two wait for each other, one of them reads; a third reads and wants d. */
static void read_and_wait(void* arg, unsigned number) {
  pkd_mutex_t* mine = number == 0 ? &a : &b;

  (void)arg;
  if (number != 1)
    pkd_rwlock_rdlock(&l);
  if (number < 2) {
    pkd_mutex_lock(mine);
    count_up(&locked);
    WAIT_FOR(count_of(&locked) == 2);
    want(number == 0 ? &b : &a);
    pkd_mutex_unlock(mine);
  } else {
    want(&d);
  }
  if (number != 1)
    pkd_rwlock_rdunlock(&l);
}

/* From the writer two ways lead into the stuck, and one of them comes back. */
static void a_way_into_another_ring_is_not_ours(void** state) {
  struct crew crew;

  (void)state;
  locked = 0;
  quit = (pkd_cancel_t)PKD_CANCEL_INIT;
  crew_start(&crew, 2, read_and_wait, NULL);
  WAIT_FOR(count_of(&reports_over) == 1); /* with `stop` as well */
  stop = (pkd_cancel_t)PKD_CANCEL_INIT;
  pkd_mutex_lock(&d);
  crew_add(&crew);
  WAIT_FOR(waiting_at(&d) == 1);
  assert_int_equal(
      pkd_rwlock_wrlock_cancellable(&l, &stop, pkd_after(60 * SECOND)),
      -ECANCELED);
  assert_int_equal(count_of(&certain), 2);
  assert_int_equal(last_count, 2);
  for (size_t i = 0; i < 2; i++)
    assert_true(last[i].wants == &d || last[i].wants == &l);
  pkd_mutex_unlock(&d);
  pkd_cancel_fire(&quit);
  crew_join(&crew);
}

static pkd_sem_t sem;

/* The first waits for a, a second for nobody. */
static void acquire_and_lock(void* arg, unsigned number) {
  (void)arg;
  pkd_sem_acquire(&sem, 1);
  count_up(&locked);
  if (number == 0)
    want(&a);
  WAIT_FOR(count_of(&go_on) == 1);
}

/* Unless only those release it who have acquired it, anybody may. */
static void cross_a_semaphore(bool by_stranger, bool by_holder) {
  struct crew crew;

  sem = (pkd_sem_t)PKD_SEM_INIT(1);
  quit = (pkd_cancel_t)PKD_CANCEL_INIT;
  locked = go_on = 0;
  if (by_stranger) {
    sem = (pkd_sem_t)PKD_SEM_INIT(0);
    pkd_sem_release(&sem, 1);
  }
  if (by_holder) {
    pkd_sem_acquire(&sem, 1);
    pkd_sem_release(&sem, 1);
  }
  pkd_mutex_lock(&a);
  crew_start(&crew, 1, acquire_and_lock, NULL);
  WAIT_FOR(count_of(&locked) == 1 && waiting_at(&a) == 1);
  assert_int_equal(pkd_sem_acquire_for(&sem, 1, 10 * MS), -ETIMEDOUT);
  assert_verdict(0, 0);
  pkd_mutex_unlock(&a);
  count_up(&go_on);
  crew_join(&crew);
}

static void a_semaphore_that_is_no_lock_is_in_no_ring(void** state) {
  (void)state;
  cross_a_semaphore(false, false);
  watch(NULL);
  cross_a_semaphore(true, false);
  watch(NULL);
  cross_a_semaphore(true, true);
}

static void report_and_exit(void* data, const pkd_deadlock_report_t* report) {
  (void)data;
  _exit(report->verdict == PKD_DEADLOCK_CERTAIN && report->count == 1 ? 7 : 8);
}

static void lock_twice(void) {
  pkd_deadlock_on_report(report_and_exit, NULL);
  pkd_mutex_lock(&a);
  pkd_mutex_lock(&a);
}

static void one_holder_who_can_go_on_is_enough(void** state) {
  struct crew crew;

  (void)state;
  sem = (pkd_sem_t)PKD_SEM_INIT(2);
  pkd_sem_acquire(&sem, 1); /* seen used as a lock */
  pkd_sem_release(&sem, 1);
  quit = (pkd_cancel_t)PKD_CANCEL_INIT;
  locked = go_on = 0;
  pkd_mutex_lock(&a);
  crew_start(&crew, 2, acquire_and_lock, NULL);
  WAIT_FOR(count_of(&locked) == 2 && waiting_at(&a) == 1);
  assert_int_equal(pkd_sem_acquire_for(&sem, 1, 10 * MS), -ETIMEDOUT);
  assert_verdict(0, 0);
  pkd_mutex_unlock(&a);
  count_up(&go_on);
  crew_join(&crew);
}

static void a_wait_for_oneself_without_end_is_certain(void** state) {
  (void)state;
  if (PKD_TSAN_ANNOTATE)
    skip(); /* ThreadSanitizer has no process end within a call that locks */
  assert_int_equal(run_in_child(lock_twice), 7);
}

/* --- a thread that has ended --------------------------------------------------- */

/* The memory of one thread after another: they have the same number. */
static _Alignas(4096) unsigned char room[1 << 21];

struct tenant {
  uintptr_t number;
  unsigned moved_in, may_go; /* atomic */
};

static void* be_watched(void* arg) {
  struct tenant* tenant = arg;

  tenant->number = pkd_thread_id();
  PKD_WITH_MUTEX(&b) {}
  count_up(&tenant->moved_in);
  WAIT_FOR(count_of(&tenant->may_go) == 1);
  return NULL;
}

static void* want_a(void* number) {
  *(uintptr_t*)number = pkd_thread_id();
  if (pkd_mutex_lock_cancellable(&a, &stop, PKD_FOREVER) == 0)
    pkd_mutex_unlock(&a);
  return NULL;
}

static pthread_t move_in(void* (*work)(void*), void* arg) {
  pthread_attr_t attr;
  pthread_t thread;

  pthread_attr_init(&attr);
  assert_int_equal(pthread_attr_setstack(&attr, room, sizeof room), 0);
  assert_int_equal(pthread_create(&thread, &attr, work, arg), 0);
  pthread_attr_destroy(&attr);
  return thread;
}

/* Whoever joined one that ended has not come to say that it is joined, when another
 * has its number and wants what the joiner holds. */
static void who_has_ended_is_not_waited_for(void** state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct tenant old = {.moved_in = 0};
    pthread_t thread = move_in(be_watched, &old);
    uintptr_t number;

    WAIT_FOR(count_of(&old.moved_in) == 1);
    pkd_deadlock_joining(old.number);
    count_up(&old.may_go);
    pthread_join(thread, NULL);
    PKD_WITH_MUTEX(&a) {
      thread = move_in(want_a, &number);
      WAIT_FOR(waiting_at(&a) == 1 || count_of(&certain) != 0);
    }
    pthread_join(thread, NULL);
    pkd_deadlock_joined();
  }
  assert_verdict(0, 0);
}

/* --- in words ---------------------------------------------------------------------- */

static pkd_mutex_t ring[2];
static unsigned here;

static void join_until_it_is_told(void* arg, unsigned number) {
  const uintptr_t* threads = arg;

  (void)number;
  pkd_mutex_lock(&ring[1]);
  count_up(&here);
  WAIT_FOR(count_of(&here) == 2);
  pkd_deadlock_joining(threads[0]);
  WAIT_FOR(something_was_said()); /* stands for the join */
  pkd_deadlock_joined();
  pkd_mutex_unlock(&ring[1]);
}

/* The name of this file, should it be a long one. */
#define LONG_NAME                                                              \
  "0123456789012345678901234567890123456789012345678901234567890123456789"     \
  "0123456789012345678901234567890123456789012345678901234567890123456789"     \
  "0123456789012345678901234567890123456789012345678901234567890123456789"

static void nest_in_a_long_file(pkd_mutex_t* outer, pkd_mutex_t* inner) {
  pkd__watch_want(outer, PKD__WATCH_MUTEX, PKD__WATCH_EXCLUSIVE, LONG_NAME, 1);
  pkd__watch_got(0);
  pkd__watch_want(inner, PKD__WATCH_MUTEX, PKD__WATCH_EXCLUSIVE, LONG_NAME, 2);
  pkd__watch_got(0);
  pkd__watch_drop(inner, PKD__WATCH_EXCLUSIVE);
  pkd__watch_drop(outer, PKD__WATCH_EXCLUSIVE);
}

static void on_stderr(void) {
  pkd_deadlock_watch(0);
  pkd_deadlock_on_report(NULL, NULL);
  pkd_deadlock_watch(1);
}

static void join_one_who_wants_mine(void) {
  uintptr_t self = pkd_thread_id();
  struct crew crew;

  on_stderr();
  pkd_mutex_lock(&ring[0]);
  crew_start(&crew, 1, join_until_it_is_told, &self);
  WAIT_FOR(count_of(&here) == 1);
  count_up(&here);
  /* The one that completes the ring tells, whichever that is. */
  pkd_mutex_lock(&ring[1]);
  pkd_mutex_unlock(&ring[1]);
  crew_join(&crew);
  abort(); /* the program went on as far as here */
}

static void a_ring_with_a_join_is_told_in_words(void** state) {
  char words[8192];

  (void)state;
  assert_int_equal(last_words(join_one_who_wants_mine, words, sizeof words),
                   SIGABRT);
  assert_non_null(
      strstr(words, "parkade: deadlock: 2 threads wait for each other"));
  assert_non_null(strstr(words, "wants mutex"));
  assert_non_null(strstr(words, "waits for a thread to end"));
}

/* The call in which the report came is one of a lock, which says what it has to say
 * by its result. */
static void a_report_that_cannot_be_written_leaves_errno(void** state) {
  int out = dup(STDERR_FILENO);
  int after;

  (void)state;
  on_stderr();
  nest(&a, &b);
  close(STDERR_FILENO);
  errno = 4711;
  nest(&b, &a);
  after = errno;
  dup2(out, STDERR_FILENO);
  close(out);
  assert_int_equal(after, 4711);
}

static void contradict_in_long_files(void) {
  static pkd_mutex_t many[14];

  on_stderr();
  for (size_t i = 0; i < LENGTH(many); i++)
    nest_in_a_long_file(&many[i], &many[(i + 1) % LENGTH(many)]);
  fprintf(stderr, "the end\n");
  abort();
}

static void a_report_too_long_for_a_line_is_cut(void** state) {
  char words[8192];

  (void)state;
  assert_int_equal(last_words(contradict_in_long_files, words, sizeof words),
                   SIGABRT);
  assert_non_null(strstr(words, "these orders contradict each other"));
  assert_non_null(strstr(words, LONG_NAME ":1)"));
  assert_non_null(strstr(words, "the end"));
  assert_true(strlen(words) < 8000);
}

/* --- the environment ------------------------------------------------------------------ */

static const char* told;

static void start_anew(void) {
  setenv("PARKADE_DEADLOCK", told, 1);
  execl("/proc/self/exe", "test_deadlock_told", "is it on", (char*)NULL);
  _exit(9);
}

static void an_empty_variable_or_zero_leaves_it_off(void** state) {
  (void)state;
  if (WRAPPED || access("/proc/self/exe", X_OK) != 0)
    skip();
  told = "";
  assert_int_equal(run_in_child(start_anew), 0);
  told = "0";
  assert_int_equal(run_in_child(start_anew), 0);
  told = "1";
  assert_int_equal(run_in_child(start_anew), 1);
  told = "00";
  assert_int_equal(run_in_child(start_anew), 1);
}

int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
      TEST(what_a_report_locks_is_not_watched),
      TEST(who_is_cancelled_is_not_so_in_a_report),
      TEST(what_is_said_while_it_is_off_is_not_kept),
      TEST(an_initializer_is_known_without_its_call),
      TEST(what_it_has_not_seen_taken_it_lets_be),
      TEST(who_waits_when_it_is_switched_on_is_not_known),
      TEST(a_wait_beside_its_mutex_is_none_for_it),
      TEST(a_way_into_another_ring_is_not_ours),
      TEST(a_semaphore_that_is_no_lock_is_in_no_ring),
      TEST(one_holder_who_can_go_on_is_enough),
      TEST(a_wait_for_oneself_without_end_is_certain),
      TEST(a_ring_with_a_join_is_told_in_words),
      TEST(who_has_ended_is_not_waited_for),
      TEST(a_report_that_cannot_be_written_leaves_errno),
      TEST(a_report_too_long_for_a_line_is_cut),
      TEST(an_empty_variable_or_zero_leaves_it_off),
  };

  if (argc > 1 && strcmp(argv[1], "is it on") == 0)
    return pkd_deadlock_watch(0);
  return cmocka_run_group_tests_name("deadlock_told", tests, NULL, NULL);
}
