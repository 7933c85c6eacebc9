/* SPDX-License-Identifier: MIT
 *
 * test_async_cycle.c - tasks that wait for each other are found. */
#include "actors.h"
#include "stuck.h"
#include "support/child.h"

#include <pthread.h>
#include <unistd.h>

static pkd_async_mutex_t x, y, z;
static const char task_a[] = "A", task_b[] = "B", task_c[] = "C";

/* What was told of the last ring. */
static struct {
  size_t rings;
  size_t count;
  pkd_req_wait_t waits[16];
} told;

static void note_ring(void* arg, const pkd_req_wait_t* waits, size_t count) {
  (void)arg;
  told.rings++;
  told.count = count;
  memcpy(told.waits, waits, count * sizeof *waits);
}

static size_t look(void) {
  memset(&told, 0, sizeof told);
  return pkd_req_cycles(note_ring, NULL);
}

static int open_fresh(void** state) {
  memset(&x, 0, sizeof x);
  memset(&y, 0, sizeof y);
  memset(&z, 0, sizeof z);
  return world_open(state);
}

#define WITH_TWO_LOOPS(test)                                                   \
  { #test, test, open_fresh, world_close, &worlds[TWO_LOOPS] }

/* A request of a task: watched, started, and waited for if it is to get it. */
struct step {
  struct actor actor;
  pkd_req_watch_t watch;
};

static void begin(struct step* step, const char* task, const char* name,
                  enum place place, struct target target) {
  memset(step, 0, sizeof *step);
  actor_init(&step->actor, 0, target);
  step->actor.place = place;
  assert_int_equal(pkd_req_watch(&step->watch, &step->actor.req, task, name),
                   0);
  assert_int_equal(actor_start(&step->actor), 0);
}

static void own(struct step* step, const char* task, const char* name,
                enum place place, struct target target) {
  begin(step, task, name, place, target);
  assert_int_equal(actor_wait(&step->actor), 0);
}

static void give_back(struct step* step) {
  assert_int_equal(actor_release(&step->actor), 0);
  assert_int_equal(pkd_req_unwatch(&step->watch), 0);
}

static void give_up(struct step* step) {
  assert_int_equal(pkd_req_cancel(&step->actor.req), 0);
  assert_int_equal(actor_wait(&step->actor), UV_ECANCELED);
  assert_int_equal(pkd_req_unwatch(&step->watch), 0);
}

static void get(struct step* step) {
  assert_int_equal(actor_wait(&step->actor), 0);
  give_back(step);
}

/* --- rings ----------------------------------------------------------------- */

static void a_ring_over_two_loops_is_told_of(void** state) {
  struct step ax, by, ay, bx;

  (void)state;
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  own(&by, task_b, "B's y", LOOP_B, mutex_target(&y));
  begin(&ay, task_a, "A wants y", LOOP_A, mutex_target(&y));
  assert_int_equal(look(), 0); /* one waits, the other goes on */
  begin(&bx, task_b, "B wants x", LOOP_B, mutex_target(&x));
  assert_int_equal(look(), 1);
  assert_int_equal(told.rings, 1);
  assert_int_equal(told.count, 2);
  assert_ptr_equal(told.waits[0].task, task_a);
  assert_string_equal(told.waits[0].name, "A wants y");
  assert_ptr_equal(told.waits[0].req, &ay.actor.req);
  assert_ptr_equal(told.waits[0].object, &y);
  assert_string_equal(told.waits[0].owner, "B's y");
  assert_ptr_equal(told.waits[1].task, task_b);
  assert_string_equal(told.waits[1].name, "B wants x");
  assert_ptr_equal(told.waits[1].object, &x);
  assert_string_equal(told.waits[1].owner, "A's x");
  assert_int_equal(pkd_req_cycles(NULL, NULL), 1); /* nothing was changed */
  give_up(&ay);
  assert_int_equal(look(), 0);
  give_back(&ax);
  get(&bx);
  give_back(&by);
}

static void a_ring_of_loops_and_a_thread_is_told_of(void** state) {
  struct step ax, by, cz, ay, bz, cx;

  (void)state;
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  own(&by, task_b, "B's y", LOOP_B, mutex_target(&y));
  own(&cz, task_c, "C's z", THREAD, mutex_target(&z));
  begin(&ay, task_a, "A wants y", LOOP_A, mutex_target(&y));
  begin(&bz, task_b, "B wants z", LOOP_B, mutex_target(&z));
  assert_int_equal(look(), 0);
  begin(&cx, task_c, "C wants x", THREAD, mutex_target(&x));
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, 3);
  assert_string_equal(told.waits[0].name, "A wants y");
  assert_string_equal(told.waits[1].name, "B wants z");
  assert_string_equal(told.waits[2].name, "C wants x");
  assert_string_equal(told.waits[2].owner, "A's x");
  give_up(&cx);
  assert_int_equal(look(), 0);
  give_back(&cz);
  get(&bz);
  give_back(&by);
  get(&ay);
  give_back(&ax);
}

static void a_task_that_waits_for_itself_is_told_of(void** state) {
  struct step first, again;

  (void)state;
  own(&first, task_a, "has it", LOOP_A, mutex_target(&x));
  begin(&again, task_a, "wants it again", LOOP_A, mutex_target(&x));
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, 1);
  assert_string_equal(told.waits[0].name, "wants it again");
  assert_string_equal(told.waits[0].owner, "has it");
  give_back(&first);
  get(&again);
}

static void two_rings_are_two(void** state) {
  struct step ax, by, ay, bx, cz, cz2;

  (void)state;
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  own(&by, task_b, "B's y", LOOP_B, mutex_target(&y));
  own(&cz, task_c, "C's z", LOOP_A, mutex_target(&z));
  begin(&ay, task_a, "A wants y", LOOP_A, mutex_target(&y));
  begin(&bx, task_b, "B wants x", LOOP_B, mutex_target(&x));
  begin(&cz2, task_c, "C wants z", LOOP_A, mutex_target(&z));
  assert_int_equal(look(), 2);
  give_up(&ay);
  assert_int_equal(look(), 1);
  give_up(&cz2);
  assert_int_equal(look(), 0);
  give_back(&cz);
  give_back(&ax);
  get(&bx);
  give_back(&by);
}

/* A reader wants to write, and another reader waits for what it holds. */
static void an_upgrade_is_part_of_a_ring(void** state) {
  pkd_async_rwlock_t lock = {0};
  struct step ax, a_reads, b_reads, bx;

  (void)state;
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  own(&a_reads, task_a, "A reads", LOOP_A,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  own(&b_reads, task_b, "B reads", LOOP_B,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  begin(&bx, task_b, "B wants x", LOOP_B, mutex_target(&x));
  assert_int_equal(look(), 0);
  a_reads.actor.target = rwlock_target(&lock, 0); /* upgrade */
  assert_int_equal(actor_start(&a_reads.actor), 0);
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, 2);
  assert_int_equal(pkd_req_cancel(&a_reads.actor.req), 0);
  assert_int_equal(actor_wait(&a_reads.actor), UV_ECANCELED);
  assert_int_equal(look(), 0);
  give_back(&a_reads); /* which it read still */
  give_back(&ax);
  get(&bx);
  give_back(&b_reads);
}

/* --- no rings --------------------------------------------------------------- */

static void a_chain_is_no_ring(void** state) {
  struct step ax, by, bx, cy;

  (void)state;
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  own(&by, task_b, "B's y", LOOP_B, mutex_target(&y));
  begin(&bx, task_b, "B wants x", LOOP_B, mutex_target(&x));
  begin(&cy, task_c, "C wants y", LOOP_A, mutex_target(&y));
  assert_int_equal(look(), 0);
  give_back(&ax);
  get(&bx);
  give_back(&by);
  get(&cy);
}

static void permits_are_not_followed(void** state) {
  pkd_async_sem_t sem;
  struct step has, wants;

  (void)state;
  pkd_async_sem_init(&sem, 1, 1);
  own(&has, task_a, "has it", LOOP_A, sem_target(&sem, 1));
  begin(&wants, task_a, "wants it", LOOP_A, sem_target(&sem, 1));
  assert_int_equal(look(), 0);
  give_back(&has);
  get(&wants);
}

/* A awaits two things, and both ways lead by the same request of E. */
static void a_task_that_is_met_on_two_ways_is_in_the_ring_once(void** state) {
  static const char task_d[] = "D", task_e[] = "E";
  pkd_async_mutex_t u = PKD_ASYNC_MUTEX_INIT, v = PKD_ASYNC_MUTEX_INIT;
  struct step dv, ax, by, cz, eu, dx, ay, az, bu, cu, ev;

  (void)state;
  own(&dv, task_d, "D's v", LOOP_A, mutex_target(&v));
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  own(&by, task_b, "B's y", LOOP_B, mutex_target(&y));
  own(&cz, task_c, "C's z", LOOP_A, mutex_target(&z));
  own(&eu, task_e, "E's u", LOOP_A, mutex_target(&u));
  begin(&dx, task_d, "D wants x", LOOP_A, mutex_target(&x));
  begin(&ay, task_a, "A wants y", LOOP_A, mutex_target(&y));
  begin(&az, task_a, "A wants z", LOOP_A, mutex_target(&z));
  begin(&bu, task_b, "B wants u", LOOP_B, mutex_target(&u));
  begin(&cu, task_c, "C wants u", LOOP_A, mutex_target(&u));
  assert_int_equal(look(), 0);
  begin(&ev, task_e, "E wants v", LOOP_A, mutex_target(&v));
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, 4);
  assert_string_equal(told.waits[0].name, "D wants x");
  assert_ptr_equal(told.waits[1].task, task_a);
  assert_string_equal(told.waits[1].owner,
                      told.waits[2].task == task_b ? "B's y" : "C's z");
  assert_ptr_equal(told.waits[2].object, &u);
  assert_string_equal(told.waits[3].name, "E wants v");
  assert_string_equal(told.waits[3].owner, "D's v");
  give_up(&ev);
  assert_int_equal(look(), 0);
  give_back(&eu);
  get(&bu);
  get(&cu);
  give_back(&by);
  get(&ay);
  give_back(&cz);
  get(&az);
  give_back(&ax);
  get(&dx);
  give_back(&dv);
}

enum { LONG = 20, SHOWN = 16 };

static void of_a_ring_of_many_tasks_the_first_are_shown(void** state) {
  static pkd_async_mutex_t mutexes[LONG];
  static struct step has[LONG], wants[LONG];
  static char tasks[LONG];

  (void)state;
  for (int i = 0; i < LONG; i++)
    own(&has[i], &tasks[i], "has", i % 2 == 0 ? LOOP_A : LOOP_B,
        mutex_target(&mutexes[i]));
  for (int i = 0; i < LONG; i++) {
    assert_int_equal(look(), 0);
    begin(&wants[i], &tasks[i], "wants", i % 2 == 0 ? LOOP_A : LOOP_B,
          mutex_target(&mutexes[(i + 1) % LONG]));
  }
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, SHOWN);
  for (int i = 0; i < SHOWN; i++) {
    assert_ptr_equal(told.waits[i].task, &tasks[i]);
    assert_ptr_equal(told.waits[i].object, &mutexes[i + 1]);
  }
  give_up(&wants[LONG - 1]);
  assert_int_equal(look(), 0);
  for (int i = LONG - 1; i > 0; i--) {
    give_back(&has[i]);
    get(&wants[i - 1]);
  }
  give_back(&has[0]);
}

/* Who wants to be the one who may upgrade waits for the one there is, and for none
 * of those who read beside it. */
static void who_may_read_beside_it_holds_nobody_up(void** state) {
  pkd_async_rwlock_t lock = {0};
  struct step c_up, b_reads, ax, bx, a_up, a_reads;

  (void)state;
  own(&c_up, task_c, "C may upgrade", LOOP_A,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_UP));
  own(&b_reads, task_b, "B reads", LOOP_B,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  begin(&bx, task_b, "B wants x", LOOP_B, mutex_target(&x));
  begin(&a_up, task_a, "A wants to be it", LOOP_A,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_UP));
  begin(&a_reads, task_a, "A wants to read", LOOP_A,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ)); /* behind it */
  assert_int_equal(look(), 0);
  give_back(&c_up);
  get(&a_up);
  get(&a_reads);
  give_back(&ax);
  get(&bx);
  give_back(&b_reads);
}

/* But a reader who waits behind a writer waits for those for whom that one does. */
static void who_reads_behind_a_writer_waits_for_readers(void** state) {
  pkd_async_rwlock_t lock = {0};
  struct step b_reads, ax, bx, c_writes, a_reads;

  (void)state;
  own(&b_reads, task_b, "B reads", LOOP_B,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  begin(&bx, task_b, "B wants x", LOOP_B, mutex_target(&x));
  begin(&c_writes, task_c, "C wants to write", LOOP_A,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  begin(&a_reads, task_a, "A wants to read", LOOP_A,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, 2);
  give_up(&c_writes);
  assert_int_equal(look(), 0);
  get(&a_reads);
  give_back(&ax);
  get(&bx);
  give_back(&b_reads);
}

static void a_reader_waits_for_the_writer(void** state) {
  pkd_async_rwlock_t lock = {0};
  struct step writes, reads;

  (void)state;
  own(&writes, task_a, "A writes", LOOP_A,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  begin(&reads, task_a, "A wants to read", LOOP_B,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  assert_int_equal(look(), 1);
  give_back(&writes);
  get(&reads);
}

/* The writer is of a loop that is stuck, and is passed by. */
static void who_is_passed_by_holds_nobody_up(void** state) {
  pkd_async_rwlock_t lock = {0};
  struct step first, d_writes, c_up, b_reads, ax, bx, a_up;

  (void)state;
  be_patient(SHORT);
  own(&first, task_c, "C writes", LOOP_A,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  begin(&d_writes, "D", "D wants to write", LOOP_B,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_WRITE));
  stall_b();
  give_back(&first);
  await_revoked(1);
  own(&c_up, task_c, "C may upgrade", LOOP_A,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_UP));
  own(&b_reads, task_b, "B reads", LOOP_A,
      rwlock_target(&lock, PKD_ASYNC_RWLOCK_READ));
  own(&ax, task_a, "A's x", LOOP_A, mutex_target(&x));
  begin(&bx, task_b, "B wants x", LOOP_A, mutex_target(&x));
  begin(&a_up, task_a, "A wants to be it", LOOP_A,
        rwlock_target(&lock, PKD_ASYNC_RWLOCK_UP));
  assert_int_equal(look(), 0);
  give_back(&c_up);
  get(&a_up);
  give_back(&ax);
  get(&bx);
  give_back(&b_reads);
  wake_b();
  get(&d_writes);
}

static pkd_async_keyed_t accounts;
static pkd_req_t keys[4];

static void nothing(pkd_req_t* req, int status) {
  (void)req;
  (void)status;
}

static void lock_key(int i, const char* key) {
  assert_int_equal(pkd_async_keyed_lock(&loop_a, &keys[i], &accounts, key,
                                        strlen(key), nothing),
                   0);
}

static void keys_of_a_keyed_mutex_form_rings(void** state) {
  static const char* const names[4] = {"A's", "B's", "A wants", "B wants"};
  pkd_req_watch_t watch[4] = {{0}};

  (void)state;
  for (int i = 0; i < 4; i++)
    assert_int_equal(pkd_req_watch(&watch[i], &keys[i],
                                   i % 2 == 0 ? task_a : task_b, names[i]),
                     0);
  lock_key(0, "ann");
  lock_key(1, "bob");
  WAIT_FOR((turn_a(), pkd_req_owned(&keys[1]) != NULL));
  lock_key(2, "bob");
  lock_key(3, "cid");
  turn_a();
  assert_int_equal(look(), 0);
  WAIT_FOR((turn_a(), pkd_req_owned(&keys[3]) != NULL));
  assert_int_equal(pkd_async_keyed_unlock(&keys[3], &accounts), 0);
  lock_key(3, "ann");
  assert_int_equal(look(), 1);
  assert_int_equal(told.count, 2);
  assert_int_equal(pkd_async_keyed_unlock(&keys[0], &accounts), 0);
  WAIT_FOR((turn_a(), pkd_req_owned(&keys[3]) != NULL));
  assert_int_equal(look(), 0);
  assert_int_equal(pkd_async_keyed_unlock(&keys[1], &accounts), 0);
  WAIT_FOR((turn_a(), pkd_req_owned(&keys[2]) != NULL));
  assert_int_equal(pkd_async_keyed_unlock(&keys[2], &accounts), 0);
  assert_int_equal(pkd_async_keyed_unlock(&keys[3], &accounts), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pkd_req_unwatch(&watch[i]), 0);
}

static const void* place_of_key(uint64_t key) {
  pkd_req_t req = {0};

  assert_int_equal(pkd_async_keyed_trylock_u64(&req, &accounts, key), 0);
  assert_int_equal(pkd_async_keyed_unlock(&req, &accounts), 0);
  return req.waiter.key;
}

/* One that stands at the place of key 0, where places are few; or any other. */
static uint64_t neighbour_of_0(void) {
  for (uint64_t key = 1; key < 100; key++)
    if (place_of_key(key) == place_of_key(0))
      return key;
  return 1;
}

/* A has 0 and waits for another, which B has: B goes on. */
static void keys_of_one_place_are_not_one(void** state) {
  static const char* const tasks[3] = {task_a, task_b, task_a};
  uint64_t other = neighbour_of_0();
  pkd_req_watch_t watch[3] = {{0}};

  (void)state;
  for (int i = 0; i < 3; i++)
    assert_int_equal(pkd_req_watch(&watch[i], &keys[i], tasks[i], "key"), 0);
  assert_int_equal(pkd_async_keyed_trylock_u64(&keys[0], &accounts, 0), 0);
  assert_int_equal(pkd_async_keyed_trylock_u64(&keys[1], &accounts, other), 0);
  assert_int_equal(
      pkd_async_keyed_lock_u64(&loop_a, &keys[2], &accounts, other, nothing),
      0);
  assert_int_equal(look(), 0);
  assert_int_equal(pkd_async_keyed_unlock(&keys[1], &accounts), 0);
  WAIT_FOR((turn_a(), pkd_req_owned(&keys[2]) != NULL));
  assert_int_equal(pkd_async_keyed_unlock(&keys[0], &accounts), 0);
  assert_int_equal(pkd_async_keyed_unlock(&keys[2], &accounts), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(pkd_req_unwatch(&watch[i]), 0);
}

static void a_watch_serves_one_request_at_a_time(void** state) {
  pkd_req_watch_t watch = {0};
  pkd_req_t req = {0};

  (void)state;
  assert_int_equal(pkd_req_watch(NULL, &req, task_a, NULL), UV_EINVAL);
  assert_int_equal(pkd_req_watch(&watch, NULL, task_a, NULL), UV_EINVAL);
  assert_int_equal(pkd_req_watch(&watch, &req, NULL, NULL), UV_EINVAL);
  assert_int_equal(pkd_req_unwatch(NULL), UV_EINVAL);
  assert_int_equal(pkd_req_unwatch(&watch), UV_EINVAL);
  assert_int_equal(pkd_req_watch(&watch, &req, task_a, NULL), 0);
  assert_int_equal(pkd_req_watch(&watch, &req, task_a, NULL), UV_EALREADY);
  assert_int_equal(look(), 0);
  assert_int_equal(pkd_req_unwatch(&watch), 0);
  assert_int_equal(pkd_req_unwatch(&watch), UV_EINVAL);
}

/* --- fork -------------------------------------------------------------------- */

static atomic_bool enough;

static void watch_and_unwatch(void* arg, unsigned number) {
  static pkd_req_watch_t watches[4];
  static pkd_req_t req;

  (void)arg;
  (void)number;
  while (!atomic_load(&enough)) {
    for (size_t i = 0; i < LENGTH(watches); i++)
      pkd_req_watch(&watches[i], &req, task_b, NULL);
    for (size_t i = 0; i < LENGTH(watches); i++)
      pkd_req_unwatch(&watches[i]);
  }
}

static int watch_in_child(pkd_req_watch_t* first) {
  static pkd_req_watch_t own;
  static pkd_req_t req;

  alarm(20); /* or it waits for a thread that it does not have */
  if (pkd_req_watch(&own, &req, task_c, NULL) != 0)
    return 1;
  if (pkd_req_cycles(NULL, NULL) != 0)
    return 2;
  if (pkd_req_unwatch(first) != 0)
    return 3;
  return pkd_req_unwatch(&own) == 0 ? 0 : 4;
}

/* Whatever another thread was at in the parent. */
static void a_forked_child_watches_too(void** state) {
  struct team team;
  pkd_req_watch_t first = {0};
  pkd_req_t req = {0};

  (void)state;
  assert_int_equal(pkd_req_watch(&first, &req, task_a, NULL), 0);
  atomic_store(&enough, false);
  team_start(&team, 1, watch_and_unwatch, NULL);
  for (int i = 0; i < ROUNDS(50); i++) {
    pid_t child = fork();

    if (child == 0)
      _exit(watch_in_child(&first));
    assert_int_equal(child_ends(child), 0);
  }
  atomic_store(&enough, true);
  team_join(&team);
  assert_int_equal(pkd_req_unwatch(&first), 0);
}

/* In a report as well. */
static void fork_in_report(void* arg, const pkd_req_wait_t* waits,
                           size_t count) {
  (void)waits;
  (void)count;
  *(pid_t*)arg = fork();
}

static void who_forks_in_a_report_goes_on_with_it(void** state) {
  struct step has, wants;
  pid_t child = -1;
  size_t rings;

  (void)state;
  own(&has, task_a, "x", LOOP_A, mutex_target(&x));
  begin(&wants, task_a, "x again", LOOP_A, mutex_target(&x));
  rings = pkd_req_cycles(fork_in_report, &child);
  if (child == 0)
    _exit(rings == 1 && pkd_req_unwatch(&has.watch) == 0 ? 0 : 1);
  assert_int_equal(rings, 1);
  assert_int_equal(child_ends(child), 0);
  give_back(&has);
  get(&wants);
}

/* --- cancelled --------------------------------------------------------------- */

/* As one that writes. */
static void be_cancelled_in_report(void* arg, const pkd_req_wait_t* waits,
                                   size_t count) {
  (void)arg;
  (void)waits;
  (void)count;
  pthread_testcancel();
}

static void* look_when_cancelled(void* rings) {
  pthread_cancel(pthread_self());
  *(size_t*)rings = pkd_req_cycles(be_cancelled_in_report, NULL);
  pthread_testcancel();
  return NULL;
}

static void who_is_cancelled_is_not_so_in_a_report(void** state) {
  struct step has, wants;
  pthread_t thread;
  size_t rings = 0;
  void* end;

  (void)state;
  own(&has, task_a, "x", LOOP_A, mutex_target(&x));
  begin(&wants, task_a, "x again", LOOP_A, mutex_target(&x));
  assert_int_equal(pthread_create(&thread, NULL, look_when_cancelled, &rings),
                   0);
  pthread_join(thread, &end);
  assert_ptr_equal(end, PTHREAD_CANCELED);
  assert_int_equal(rings, 1);
  give_back(&has); /* for ever, if that thread has the list still */
  get(&wants);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_TWO_LOOPS(a_ring_over_two_loops_is_told_of),
      WITH_TWO_LOOPS(a_ring_of_loops_and_a_thread_is_told_of),
      WITH_TWO_LOOPS(a_task_that_waits_for_itself_is_told_of),
      WITH_TWO_LOOPS(two_rings_are_two),
      WITH_TWO_LOOPS(an_upgrade_is_part_of_a_ring),
      WITH_TWO_LOOPS(a_task_that_is_met_on_two_ways_is_in_the_ring_once),
      WITH_TWO_LOOPS(of_a_ring_of_many_tasks_the_first_are_shown),
      WITH_TWO_LOOPS(a_chain_is_no_ring),
      WITH_TWO_LOOPS(permits_are_not_followed),
      WITH_TWO_LOOPS(who_may_read_beside_it_holds_nobody_up),
      WITH_TWO_LOOPS(who_reads_behind_a_writer_waits_for_readers),
      WITH_TWO_LOOPS(a_reader_waits_for_the_writer),
      WITH_TWO_LOOPS(who_is_passed_by_holds_nobody_up),
      WITH_TWO_LOOPS(keys_of_a_keyed_mutex_form_rings),
      WITH_TWO_LOOPS(keys_of_one_place_are_not_one),
      WITH_TWO_LOOPS(a_watch_serves_one_request_at_a_time),
      WITH_TWO_LOOPS(a_forked_child_watches_too),
      WITH_TWO_LOOPS(who_forks_in_a_report_goes_on_with_it),
      WITH_TWO_LOOPS(who_is_cancelled_is_not_so_in_a_report),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
