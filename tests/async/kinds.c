/* SPDX-License-Identifier: MIT
 *
 * kinds.c - the table of all asynchronous objects and ways to wait for them. */
#include "kinds.h"

/* Who has the object first, and lets it go. */
static pkd_req_t holder;

static pkd_async_mutex_t mutex;
static pkd_async_sem_t sem;
static pkd_async_rwlock_t rwlock;
static pkd_async_cond_t cond;
static pkd_async_event_t event;
static pkd_async_barrier_t barrier;
static pkd_async_once_t once;
static pkd_async_gate_t gate;
static pkd_async_keyed_t keyed;

static void on_answer(pkd_req_t* req, int status) {
  asker_told((struct asker*)req, status);
}

static size_t at(const void* key) {
  return pkd_lot_for_each(key, NULL, NULL);
}

/* --- mutex ------------------------------------------------------------------ */

static void fresh_mutex(void) {
  memset(&holder, 0, sizeof holder);
  memset(&mutex, 0, sizeof mutex);
  assert_int_equal(pkd_async_mutex_trylock(&holder, &mutex), 0);
}

static int start_mutex(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_mutex_lock(loop, &a->req, &mutex, on_answer);
}

static int try_mutex(struct asker* a) {
  return pkd_async_mutex_trylock(&a->req, &mutex);
}

static int block_mutex(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_mutex_lock_blocking(&a->req, &mutex, deadline);
}

static int give_mutex(void) {
  return pkd_async_mutex_unlock(&holder, &mutex);
}

static int back_mutex(struct asker* a) {
  return pkd_async_mutex_unlock(&a->req, &mutex);
}

static size_t at_mutex(void) {
  return at(&mutex);
}

static int close_mutex(void) {
  return pkd_async_mutex_close(&mutex);
}

static int destroy_mutex(void) {
  return pkd_async_mutex_destroy(&mutex);
}

/* --- semaphore: two of three permits each ------------------------------------ */

static void fresh_sem(void) {
  memset(&holder, 0, sizeof holder);
  assert_int_equal(pkd_async_sem_init(&sem, 3, 3), 0);
  assert_int_equal(pkd_async_sem_try_acquire(&holder, &sem, 3), 0);
}

static int start_sem(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_sem_acquire(loop, &a->req, &sem, 2, on_answer);
}

static int try_sem(struct asker* a) {
  return pkd_async_sem_try_acquire(&a->req, &sem, 2);
}

static int block_sem(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_sem_acquire_blocking(&a->req, &sem, 2, deadline);
}

static int give_sem(void) {
  return pkd_async_sem_release(&holder, &sem, 3);
}

static int back_sem(struct asker* a) {
  return pkd_async_sem_release(&a->req, &sem, 2);
}

static size_t at_sem(void) {
  return at(&sem);
}

static int close_sem(void) {
  return pkd_async_sem_close(&sem);
}

static int destroy_sem(void) {
  return pkd_async_sem_destroy(&sem);
}

/* --- rwlock: to read, to write, upgradable ----------------------------------- */

static void fresh_written(void) {
  memset(&holder, 0, sizeof holder);
  memset(&rwlock, 0, sizeof rwlock);
  assert_int_equal(pkd_async_rwlock_trywrlock(&holder, &rwlock), 0);
}

static void fresh_read(void) {
  memset(&holder, 0, sizeof holder);
  memset(&rwlock, 0, sizeof rwlock);
  assert_int_equal(pkd_async_rwlock_tryrdlock(&holder, &rwlock), 0);
}

#define RWLOCK_WAITS(how)                                                      \
  static int start_##how(pkd_loop_t* loop, struct asker* a) {                  \
    return pkd_async_rwlock_##how(loop, &a->req, &rwlock, on_answer);          \
  }                                                                            \
  static int try_##how(struct asker* a) {                                      \
    return pkd_async_rwlock_try##how(&a->req, &rwlock);                        \
  }                                                                            \
  static int block_##how(struct asker* a, pkd_deadline_t deadline) {           \
    return pkd_async_rwlock_##how##_blocking(&a->req, &rwlock, deadline);      \
  }

RWLOCK_WAITS(rdlock)
RWLOCK_WAITS(wrlock)
RWLOCK_WAITS(uplock)

static int give_rwlock(void) {
  return pkd_async_rwlock_unlock(&holder, &rwlock);
}

static int back_rwlock(struct asker* a) {
  return pkd_async_rwlock_unlock(&a->req, &rwlock);
}

static size_t at_rwlock(void) {
  return at(&rwlock);
}

static int close_rwlock(void) {
  return pkd_async_rwlock_close(&rwlock);
}

static int destroy_rwlock(void) {
  return pkd_async_rwlock_destroy(&rwlock);
}

/* --- condition: whoever waits took the mutex before --------------------------- */

static void fresh_cond(void) {
  memset(&mutex, 0, sizeof mutex);
  memset(&cond, 0, sizeof cond);
}

static int start_cond(pkd_loop_t* loop, struct asker* a) {
  int err = pkd_async_mutex_trylock(&a->req, &mutex);

  if (err != 0)
    return err;
  if (a->timeout != PKD_NO_TIMEOUT) /* the trylock has used it up */
    pkd_req_set_timeout(&a->req, a->timeout);
  err = pkd_async_cond_wait(loop, &a->req, &cond, &mutex, on_answer);
  if (err != 0)
    pkd_async_mutex_unlock(&a->req, &mutex);
  return err;
}

static int block_cond(struct asker* a, pkd_deadline_t deadline) {
  int err = pkd_async_mutex_trylock(&a->req, &mutex);

  if (err != 0)
    return err;
  err = pkd_async_cond_wait_blocking(&a->req, &cond, &mutex, deadline);
  if (err == PKD_EDEADLK)
    pkd_async_mutex_unlock(&a->req, &mutex); /* it was not given up */
  return err;
}

static int give_cond(void) {
  return pkd_async_cond_signal(&cond) < 0;
}

static size_t at_cond(void) {
  return at(&cond);
}

static int destroy_cond(void) {
  return pkd_async_cond_destroy(&cond);
}

/* --- event: a state, and notifications ---------------------------------------- */

static void fresh_event(void) {
  memset(&event, 0, sizeof event);
}

static int start_event(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_event_wait(loop, &a->req, &event, on_answer);
}

static int try_event(struct asker* a) {
  return pkd_async_event_try_wait(&a->req, &event);
}

static int block_event(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_event_wait_blocking(&a->req, &event, deadline);
}

static int set_event(void) {
  return pkd_async_event_set(&event);
}

static int notify_event(void) {
  return pkd_async_event_notify_one(&event);
}

static size_t at_event(void) {
  return at(&event);
}

static int close_event(void) {
  return pkd_async_event_close(&event);
}

static int destroy_event(void) {
  return pkd_async_event_destroy(&event);
}

/* --- barrier: for one more than those of the test -------------------------------- */

unsigned kinds_crowd = 4;
static pkd_req_t others[128];

static void fresh_barrier(void) {
  memset(others, 0, sizeof others);
  assert_int_equal(pkd_async_barrier_init(&barrier, kinds_crowd), 0);
}

static int start_barrier(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_barrier_arrive(loop, &a->req, &barrier, on_answer);
}

static int block_barrier(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_barrier_arrive_blocking(&a->req, &barrier, deadline);
}

static void on_other(pkd_req_t* req, int status) {
  (void)req;
  (void)status;
}

/* As many arrive as are missing, on loop A. */
static int give_barrier(void) {
  int err = 0;

  for (uint32_t n = pkd_async_barrier_arrived(&barrier); n < kinds_crowd; n++)
    err |= pkd_async_barrier_arrive(&loop_a, &others[n], &barrier, on_other);
  return err;
}

static size_t at_barrier(void) {
  return at(&barrier);
}

static int close_barrier(void) {
  return pkd_async_barrier_abort(&barrier);
}

static int destroy_barrier(void) {
  return pkd_async_barrier_destroy(&barrier);
}

/* --- once: an initialiser that fails, and one that succeeds -------------------- */

static void fresh_once(void) {
  memset(&holder, 0, sizeof holder);
  memset(&once, 0, sizeof once);
  assert_int_equal(pkd_async_once_try(&holder, &once), 1);
}

static int start_once(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_once_call(loop, &a->req, &once, on_answer);
}

static int try_once(struct asker* a) {
  return pkd_async_once_try(&a->req, &once);
}

static int block_once(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_once_call_blocking(&a->req, &once, deadline);
}

static int fail_once(void) {
  return pkd_async_once_done(&holder, &once, UV_EIO);
}

static int end_once(void) {
  return pkd_async_once_done(&holder, &once, 0);
}

static int back_once(struct asker* a) {
  return pkd_async_once_done(&a->req, &once, UV_EIO);
}

static size_t at_once(void) {
  return at(&once);
}

static int destroy_once(void) {
  return pkd_async_once_destroy(&once);
}

/* --- gate ---------------------------------------------------------------------- */

static void fresh_gate(void) {
  memset(&gate, 0, sizeof gate);
  assert_int_equal(pkd_async_gate_enter(&gate), 0);
}

static int start_gate(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_gate_close(loop, &a->req, &gate, on_answer);
}

static int block_gate(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_gate_close_blocking(&a->req, &gate, deadline);
}

static int give_gate(void) {
  return pkd_async_gate_leave(&gate);
}

static size_t at_gate(void) {
  return at(&gate);
}

static int destroy_gate(void) {
  return pkd_async_gate_destroy(&gate);
}

/* --- keyed: a number, and a path that does not fit into the request ------------- */

static const char* key;
static size_t key_length;
static const void* name; /* the address in whose queue the key stands */

static void find_holder(void* arg, const void* address, pkd_waiter_t* waiter) {
  (void)arg;
  if (waiter == &holder.waiter)
    name = address;
}

static void fresh_key(const char* bytes, size_t length) {
  memset(&holder, 0, sizeof holder);
  memset(&keyed, 0, sizeof keyed);
  key = bytes;
  key_length = length;
  assert_int_equal(pkd_async_keyed_trylock(&holder, &keyed, key, key_length),
                   0);
  pkd_lot_for_each(NULL, find_holder, NULL);
}

static void fresh_short_key(void) {
  fresh_key("8 bytes", 8);
}

static void fresh_long_key(void) {
  static const char path[] = "/a/path/that/does/not/fit/into/the/request";

  fresh_key(path, sizeof path);
}

static int start_key(pkd_loop_t* loop, struct asker* a) {
  return pkd_async_keyed_lock(loop, &a->req, &keyed, key, key_length,
                              on_answer);
}

static int try_key(struct asker* a) {
  return pkd_async_keyed_trylock(&a->req, &keyed, key, key_length);
}

static int block_key(struct asker* a, pkd_deadline_t deadline) {
  return pkd_async_keyed_lock_blocking(&a->req, &keyed, key, key_length,
                                       deadline);
}

static int give_key(void) {
  return pkd_async_keyed_unlock(&holder, &keyed);
}

static int back_key(struct asker* a) {
  return pkd_async_keyed_unlock(&a->req, &keyed);
}

static int close_keys(void) {
  return pkd_async_keyed_close(&keyed);
}

/* Who holds the key stands there as well. */
static size_t at_key(void) {
  size_t all = at(name);

  return all == 0 ? 0 : all - 1;
}

/* --- several at once: the busy mutex, and a key that is free --------------------- */

static void fresh_many(void) {
  fresh_mutex();
  memset(&keyed, 0, sizeof keyed);
}

static void on_many(pkd_many_t* many, int status) {
  asker_told(many->data, status);
}

static struct asker* name_two(struct asker* a) {
  a->many.data = a;
  a->items[0].take = pkd_take_mutex(&mutex);
  a->items[1].take = pkd_take_key(&keyed, "b", 1);
  return a;
}

static int start_many(pkd_loop_t* loop, struct asker* a) {
  name_two(a);
  return pkd_many_lock(loop, &a->many, a->items, 2, a->timeout, on_many);
}

static int try_many(struct asker* a) {
  name_two(a);
  return pkd_many_trylock(&a->many, a->items, 2);
}

static int block_many(struct asker* a, pkd_deadline_t deadline) {
  name_two(a);
  return pkd_many_lock_blocking(&a->many, a->items, 2, deadline);
}

static int back_many(struct asker* a) {
  return pkd_many_unlock(&a->many);
}

static int cancel_many(struct asker* a) {
  return pkd_many_cancel(&a->many);
}

/* --- locked work; a thread takes the mutex itself --------------------------------- */

static void work_little(pkd_work_t* work) {
  struct asker* a = work->data;

  a->ran = true;
}

static void on_work(pkd_work_t* work, int status) {
  asker_told(work->data, status);
}

static int start_work(pkd_loop_t* loop, struct asker* a) {
  a->work.data = a;
  if (a->timeout != PKD_NO_TIMEOUT)
    pkd_work_set_timeout(&a->work, a->timeout);
  return pkd_queue_work(loop, &a->work, pkd_take_mutex(&mutex), work_little,
                        on_work);
}

static int block_work(struct asker* a, pkd_deadline_t deadline) {
  int err = block_mutex(a, deadline);

  return err == 0 ? back_mutex(a) : err;
}

static int cancel_work(struct asker* a) {
  return a->place == THREAD ? pkd_req_cancel(&a->req)
                            : pkd_work_cancel(&a->work);
}

/* --- the table --------------------------------------------------------------------- */

const struct kind kinds[] = {
    {"mutex", ONE_BY_ONE, false, false, 0, fresh_mutex, start_mutex, try_mutex,
     block_mutex, give_mutex, back_mutex, NULL, at_mutex, close_mutex,
     destroy_mutex},
    {"semaphore", ONE_BY_ONE, false, false, 0, fresh_sem, start_sem, try_sem,
     block_sem, give_sem, back_sem, NULL, at_sem, close_sem, destroy_sem},
    {"rwlock, read", ALL_AT_ONCE, false, false, 0, fresh_written, start_rdlock,
     try_rdlock, block_rdlock, give_rwlock, back_rwlock, NULL, at_rwlock,
     close_rwlock, destroy_rwlock},
    {"rwlock, write", ONE_BY_ONE, false, false, 0, fresh_read, start_wrlock,
     try_wrlock, block_wrlock, give_rwlock, back_rwlock, NULL, at_rwlock,
     close_rwlock, destroy_rwlock},
    {"rwlock, up", ONE_BY_ONE, false, false, 0, fresh_written, start_uplock,
     try_uplock, block_uplock, give_rwlock, back_rwlock, NULL, at_rwlock,
     close_rwlock, destroy_rwlock},
    {"condition", ONE_BY_ONE, false, true, 0, fresh_cond, start_cond, NULL,
     block_cond, give_cond, back_mutex, NULL, at_cond, NULL, destroy_cond},
    {"event, set", ALL_AT_ONCE, false, false, 0, fresh_event, start_event,
     try_event, block_event, set_event, NULL, NULL, at_event, close_event,
     destroy_event},
    {"event, notify", ONE_BY_ONE, false, true, 0, fresh_event, start_event,
     try_event, block_event, notify_event, NULL, NULL, at_event, close_event,
     destroy_event},
    {"barrier", ALL_AT_ONCE, true, false, 0, fresh_barrier, start_barrier, NULL,
     block_barrier, give_barrier, NULL, NULL, at_barrier, close_barrier,
     destroy_barrier},
    {"once, failing", ONE_BY_ONE, false, false, 1, fresh_once, start_once,
     try_once, block_once, fail_once, back_once, NULL, at_once, NULL,
     destroy_once},
    {"once, done", ALL_AT_ONCE, true, false, 0, fresh_once, start_once,
     try_once, block_once, end_once, NULL, NULL, at_once, NULL, destroy_once},
    {"gate", ALL_AT_ONCE, false, false, 0, fresh_gate, start_gate, NULL,
     block_gate, give_gate, NULL, NULL, at_gate, NULL, destroy_gate},
    {"key", ONE_BY_ONE, false, false, 0, fresh_short_key, start_key, try_key,
     block_key, give_key, back_key, NULL, at_key, close_keys, NULL},
    {"long key", ONE_BY_ONE, false, false, 0, fresh_long_key, start_key,
     try_key, block_key, give_key, back_key, NULL, at_key, close_keys, NULL},
    {"several at once", ONE_BY_ONE, false, false, 0, fresh_many, start_many,
     try_many, block_many, give_mutex, back_many, cancel_many, at_mutex,
     close_mutex, destroy_mutex},
    {"locked work", ONE_BY_ONE, false, false, 0, fresh_mutex, start_work, NULL,
     block_work, give_mutex, NULL, cancel_work, at_mutex, close_mutex,
     destroy_mutex},
};
const unsigned kind_count = LENGTH(kinds);
