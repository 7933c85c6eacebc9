/* SPDX-License-Identifier: MIT
 *
 * test_thread.c - park and unpark by handle: one token, kept until it is taken,
 * and handles that outlive their threads. */
#include "kit.h"

#include <parkade/cancel.h>
#include <parkade/sem.h>
#include <parkade/thread.h>

static void a_token_left_before_is_taken_at_once(void** state) {
  pkd_thread_t self = pkd_thread_self();

  (void)state;
  assert_int_equal(pkd_thread_unpark(self), 0);
  assert_int_equal(pkd_thread_park(PKD_FOREVER), 0);
}

static void two_tokens_are_one(void** state) {
  pkd_thread_t self = pkd_thread_self();

  (void)state;
  assert_int_equal(pkd_thread_unpark(self), 0);
  assert_int_equal(pkd_thread_unpark(self), 0);
  assert_int_equal(pkd_thread_park(0), 0);
  assert_int_equal(pkd_thread_park(0), -ETIMEDOUT);
}

static void without_a_token_it_waits_until_the_deadline(void** state) {
  pkd_deadline_t soon = pkd_after(2 * MS);

  (void)state;
  assert_int_equal(pkd_thread_park(0), -ETIMEDOUT);
  assert_int_equal(pkd_thread_park(pkd_now()), -ETIMEDOUT);
  assert_int_equal(pkd_thread_park(soon), -ETIMEDOUT);
  assert_true(pkd_now() >= soon);
}

static void the_handle_is_always_the_same(void** state) {
  pkd_thread_t a = pkd_thread_self(), b = pkd_thread_self();

  (void)state;
  assert_ptr_equal(a.place, b.place);
  assert_true(a.number == b.number && a.number != 0);
}

static void no_handle_is_no_thread(void** state) {
  pkd_thread_t none = {NULL, 0};

  (void)state;
  assert_int_equal(pkd_thread_unpark(none), -ESRCH);
}

/* --- two threads ------------------------------------------------------------- */

struct court {
  int (*take)(void); /* a token, however long that takes */
  pkd_thread_t player[2];
  unsigned ready;
  unsigned hits;    /* plain: the tokens order it */
  unsigned foreign; /* tokens that came without a hit of the other */
  int rc[2];
};

static void play(void* arg, unsigned number) {
  struct court* c = arg;

  c->player[number] = pkd_thread_self();
  count_up(&c->ready);
  WAIT_FOR(count_of(&c->ready) == 2);
  for (unsigned i = 0; i < ROUNDS(20000); i++) {
    if (number == 1)
      c->rc[1] |= c->take();
    c->foreign += c->hits != 2 * i + number;
    c->hits++;
    c->rc[number] |= pkd_thread_unpark(c->player[!number]);
    if (number == 0)
      c->rc[0] |= c->take();
  }
  count_up(&c->ready); /* nobody leaves before the other's last unpark */
  WAIT_FOR(count_of(&c->ready) == 4);
}

static void play_a_match(int (*take)(void)) {
  struct court c = {.take = take};

  team_run(2, play, &c);
  assert_int_equal(c.hits, 2 * ROUNDS(20000));
  assert_int_equal(c.foreign, 0);
  assert_int_equal(c.rc[0], 0);
  assert_int_equal(c.rc[1], 0);
}

static int sleep_for_token(void) {
  return pkd_thread_park(PKD_FOREVER);
}

static void tokens_go_to_and_fro_and_order_what_is_plain(void** state) {
  (void)state;
  play_a_match(sleep_for_token);
}

/* Parks that are over as they begin: some find the token only when they look for
 * it a last time. */
static int poll_for_token(void) {
  for (unsigned i = 1; pkd_thread_park(0) != 0; i++)
    if (i % 64 == 0)
      sched_yield();
  return 0;
}

static void tokens_that_are_polled_for_order_what_is_plain(void** state) {
  (void)state;
  play_a_match(poll_for_token);
}

static void say_who(void* arg, unsigned number) {
  pkd_thread_t* handles = arg;

  handles[number] = pkd_thread_self();
}

static void a_handle_of_a_thread_that_ended_is_harmless(void** state) {
  pkd_thread_t old, now;

  (void)state;
  for (int i = 0; i < 200; i++) {
    struct crew crew;

    crew_start(&crew, 1, say_who, &old);
    crew_join(&crew);
    assert_true(old.number != 0);
    assert_int_equal(pkd_thread_unpark(old), -ESRCH);
    crew_start(&crew, 1, say_who, &now); /* often at the same place */
    crew_join(&crew);
    assert_true(now.number != old.number);
    assert_int_equal(pkd_thread_unpark(old), -ESRCH);
  }
}

struct tenant {
  pkd_thread_t self;
  unsigned moved_in, may_go;
  int rc; /* of a park that does not wait */
};

static void live_there(void* arg, unsigned number) {
  struct tenant* tenant = arg;

  (void)number;
  tenant->self = pkd_thread_self();
  count_up(&tenant->moved_in);
  WAIT_FOR(count_of(&tenant->may_go) == 1);
  tenant->rc = pkd_thread_park(0);
}

/* A thread that begins when another has ended mostly has its memory. */
static void a_handle_does_not_reach_who_lives_there_now(void** state) {
  (void)state;
  for (int i = 0; i < 20; i++) {
    struct tenant tenant = {.moved_in = 0};
    struct crew crew;
    pkd_thread_t old;

    crew_start(&crew, 1, say_who, &old);
    crew_join(&crew);
    crew_start(&crew, 1, live_there, &tenant);
    WAIT_FOR(count_of(&tenant.moved_in) == 1);
    assert_int_equal(pkd_thread_unpark(old), -ESRCH);
    count_up(&tenant.may_go);
    crew_join(&crew);
    assert_int_equal(tenant.rc, -ETIMEDOUT); /* no token was left for it */
  }
}

/* A thread whose memory is ours again once it has ended. */
static _Alignas(4096) unsigned char room[1 << 21];

static void* say_who_in_the_room(void* handle) {
  *(pkd_thread_t*)handle = pkd_thread_self();
  return NULL;
}

static bool live_in_the_room(pkd_thread_t* handle) {
  pthread_attr_t attr;
  pthread_t thread;
  uintptr_t place;

  pthread_attr_init(&attr);
  assert_int_equal(pthread_attr_setstack(&attr, room, sizeof room), 0);
  assert_int_equal(pthread_create(&thread, &attr, say_who_in_the_room, handle),
                   0);
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attr);
  place = (uintptr_t)handle->place;
  return place >= (uintptr_t)room && place - (uintptr_t)room < sizeof room;
}

struct newcomer {
  pkd_sem_t* s;
  uint32_t wanted;
  unsigned served;
};

static void wait_for_permits(void* arg, unsigned number) {
  struct newcomer* newcomer = arg;

  (void)number;
  pkd_sem_acquire(newcomer->s, newcomer->wanted);
  count_up(&newcomer->served);
}

/* A semaphore now lies where the thread was, and its waiter's token is a number
 * too: how many permits it wants. */
static void a_handle_does_not_reach_who_waits_there_now(void** state) {
  struct newcomer newcomer = {.served = 0};
  pkd_thread_t old;
  struct crew crew;

  (void)state;
  if (!live_in_the_room(&old))
    skip(); /* a thread's variables are kept elsewhere here */
  newcomer.s = (pkd_sem_t*)(uintptr_t)old.place;
  newcomer.wanted = (uint32_t)old.number;
  *newcomer.s = (pkd_sem_t)PKD_SEM_INIT(0);
  crew_start(&crew, 1, wait_for_permits, &newcomer);
  WAIT_FOR(waiting_at(newcomer.s) == 1);
  assert_int_equal(pkd_thread_unpark(old), -ESRCH);
  assert_int_equal(count_of(&newcomer.served), 0);
  assert_int_equal(pkd_sem_release(newcomer.s, newcomer.wanted), 0);
  crew_join(&crew);
  assert_int_equal(pkd_sem_value(newcomer.s), 0);
}

struct rush {
  pkd_thread_t target;
  unsigned ready, gone;
};

static void end_soon(void* arg, unsigned number) {
  struct rush* r = arg;

  (void)number;
  r->target = pkd_thread_self();
  count_up(&r->ready);
  pkd_thread_park(PKD_FOREVER);
}

static void unpark_until_gone(void* arg, unsigned number) {
  struct rush* r = arg;

  (void)number;
  WAIT_FOR(count_of(&r->ready) == 1);
  while (pkd_thread_unpark(r->target) == 0)
    sched_yield();
  count_up(&r->gone);
}

static void unparking_a_thread_as_it_ends_is_harmless(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(500); i++) {
    struct rush r = {.ready = 0};
    struct crew ender, unparkers;

    crew_start(&ender, 1, end_soon, &r);
    crew_start(&unparkers, 2, unpark_until_gone, &r);
    crew_join(&ender);
    crew_join(&unparkers);
    assert_int_equal(r.gone, 2);
  }
}

/* --- cancel ------------------------------------------------------------------ */

static void a_token_wins_over_a_cancel(void** state) {
  pkd_cancel_t c = PKD_CANCEL_INIT;

  (void)state;
  pkd_cancel_fire(&c);
  pkd_thread_unpark(pkd_thread_self());
  assert_int_equal(pkd_thread_park_cancellable(&c, PKD_FOREVER), 0);
  assert_int_equal(pkd_thread_park_cancellable(&c, PKD_FOREVER), -ECANCELED);
  assert_int_equal(pkd_thread_park(0), -ETIMEDOUT); /* no trace of it */
}

static void the_nearer_deadline_names_the_end(void** state) {
  pkd_cancel_t c;

  (void)state;
  pkd_cancel_init(&c, NULL, pkd_after(2 * MS));
  assert_int_equal(pkd_thread_park_cancellable(&c, PKD_FOREVER), -ECANCELED);
  pkd_cancel_init(&c, NULL, pkd_after(3600 * SECOND));
  assert_int_equal(pkd_thread_park_cancellable(&c, pkd_now()), -ETIMEDOUT);
}

struct stop {
  pkd_cancel_t c;
  int rc, after;
};

static void park_until_cancelled(void* arg, unsigned number) {
  struct stop* s = arg;

  (void)number;
  s->rc = pkd_thread_park_cancellable(&s->c, PKD_FOREVER);
  s->after = pkd_thread_park(0);
}

static void a_parked_thread_is_cancelled(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(300); i++) {
    struct stop s = {.rc = 1};
    struct crew crew;

    crew_start(&crew, 1, park_until_cancelled, &s);
    if (i % 2)
      WAIT_FOR(waiting_at(&s.c) == 1);
    pkd_cancel_fire(&s.c);
    crew_join(&crew);
    assert_int_equal(s.rc, -ECANCELED);
    assert_int_equal(s.after, -ETIMEDOUT);
  }
}

/* --- the ends of threads and processes ---------------------------------------- */

static pthread_key_t key;
static int in_destructor;

static void park_in_destructor(void* arg) {
  (void)arg;
  in_destructor = pkd_thread_unpark(pkd_thread_self());
  in_destructor |= pkd_thread_park(PKD_FOREVER);
}

static void* set_key(void* arg) {
  pkd_thread_self();
  pthread_setspecific(key, arg);
  return NULL;
}

static void destructors_of_a_thread_may_park(void** state) {
  pthread_t thread;

  (void)state;
  in_destructor = 1;
  pthread_key_create(&key, park_in_destructor);
  pthread_create(&thread, NULL, set_key, &key);
  pthread_join(thread, NULL);
  assert_int_equal(in_destructor, 0);
  pthread_key_delete(key);
}

/* Comes back in every round; in the last one the library has left, and
 * ThreadSanitizer too: to it an atomic store is no race with who has joined. */
static void park_in_the_last_round(void* arg) {
  pkd_thread_t self = pkd_thread_self();
  int rc = self.number == 0 ? pkd_thread_park(PKD_FOREVER) : 0;

  __atomic_store_n(&in_destructor, rc, __ATOMIC_RELAXED);
  pthread_setspecific(key, arg);
}

static void at_its_very_end_a_thread_has_no_handle(void** state) {
  pthread_t thread;

  (void)state;
  if (PKD_TEST_SLOW)
    skip(); /* ThreadSanitizer has left as well: no join orders what is done there */
  in_destructor = 1;
  pthread_key_create(&key, park_in_the_last_round);
  pthread_create(&thread, NULL, set_key, &key);
  pthread_join(thread, NULL);
  assert_int_equal(__atomic_load_n(&in_destructor, __ATOMIC_RELAXED), -ESRCH);
  pthread_key_delete(key);
}

static pkd_thread_t parents;

static void park_in_the_child(void) {
  pkd_thread_t self = pkd_thread_self();

  if (self.number != parents.number || pkd_thread_unpark(self) != 0 ||
      pkd_thread_park(0) != 0 || pkd_thread_park(0) != -ETIMEDOUT)
    _exit(1);
}

static void a_forked_child_may_park(void** state) {
  (void)state;
  parents = pkd_thread_self();
  assert_int_equal(run_in_child(park_in_the_child), 0);
  assert_int_equal(pkd_thread_unpark(parents), 0);
  assert_int_equal(pkd_thread_park(0), 0);
}

static void leave_a_token_first(void) {
  if (pkd_thread_unpark(parents) != 0 || pkd_thread_park(0) != 0)
    _exit(1);
}

/* Whoever has the handle of before, a thread that the child makes for one. */
static void a_handle_lives_on_in_the_child(void** state) {
  (void)state;
  parents = pkd_thread_self();
  assert_int_equal(run_in_child(leave_a_token_first), 0);
}

static void on_signal(int signal) {
  (void)signal;
}

static void park_once(void* arg, unsigned number) {
  struct court* c = arg;

  c->player[number] = pkd_thread_self();
  count_up(&c->ready);
  c->rc[number] = pkd_thread_park(PKD_FOREVER);
  count_up(&c->hits);
}

static void signals_do_not_end_a_park(void** state) {
  struct court c = {.rc = {1, 1}};
  struct sigaction act, old;
  struct crew crew;

  (void)state;
  memset(&act, 0, sizeof act);
  act.sa_handler = on_signal;
  sigaction(SIGUSR1, &act, &old);
  crew_start(&crew, 1, park_once, &c);
  WAIT_FOR(count_of(&c.ready) == 1);
  for (int i = 0; i < 300; i++) {
    pthread_kill(crew.threads[0], SIGUSR1);
    if (i % 50 == 0)
      pause_us(50);
  }
  assert_int_equal(count_of(&c.hits), 0);
  pkd_thread_unpark(c.player[0]);
  crew_join(&crew);
  assert_int_equal(c.rc[0], 0);
  sigaction(SIGUSR1, &old, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_token_left_before_is_taken_at_once),
      cmocka_unit_test(two_tokens_are_one),
      cmocka_unit_test(without_a_token_it_waits_until_the_deadline),
      cmocka_unit_test(the_handle_is_always_the_same),
      cmocka_unit_test(no_handle_is_no_thread),
      cmocka_unit_test(tokens_go_to_and_fro_and_order_what_is_plain),
      cmocka_unit_test(tokens_that_are_polled_for_order_what_is_plain),
      cmocka_unit_test(a_handle_of_a_thread_that_ended_is_harmless),
      cmocka_unit_test(a_handle_does_not_reach_who_lives_there_now),
      cmocka_unit_test(a_handle_does_not_reach_who_waits_there_now),
      cmocka_unit_test(unparking_a_thread_as_it_ends_is_harmless),
      cmocka_unit_test(a_token_wins_over_a_cancel),
      cmocka_unit_test(the_nearer_deadline_names_the_end),
      cmocka_unit_test(a_parked_thread_is_cancelled),
      cmocka_unit_test(destructors_of_a_thread_may_park),
      cmocka_unit_test(at_its_very_end_a_thread_has_no_handle),
      cmocka_unit_test(a_forked_child_may_park),
      cmocka_unit_test(a_handle_lives_on_in_the_child),
      cmocka_unit_test(signals_do_not_end_a_park),
  };
  return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
