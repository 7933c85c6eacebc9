/* SPDX-License-Identifier: MIT
 *
 * ways.c - how a wait for each kind of lock is made, in a loop or by a worker
 * that blocks, and what only an owner may do. When that happens is in tasks.c
 * and loops.c.
 *
 * Owners count themselves in and out with atomics and write plain counters, so
 * that both a second owner and a lost write show. */
#include "tasks.h"

#include <string.h>

struct objects all;
struct inside inside;

static const char* const keys[KEYS] = {
    "alice", "bob", "a key that is too long to be copied into a request", ""};

static uint32_t mode_of(const struct task* task) {
  return (uint32_t)pkd_async_rwlock_owned(&task->req,
                                          &all.rwlocks[task->which]);
}

static void on_answer(pkd_req_t* req, int status) {
  task_answered(req->data, status);
}

static void on_several(pkd_many_t* many, int status) {
  task_answered(many->data, status);
}

static void on_work(pkd_work_t* work, int status) {
  task_answered(work->data, status);
}

/* --- mutexes --------------------------------------------------------------- */

static int mutex_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_mutex_lock(loop, &task->req, &all.mutexes[task->which],
                              on_answer);
}

static int mutex_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_mutex_lock_blocking(&task->req, &all.mutexes[task->which],
                                       end);
}

static void mutex_enter(struct self* self, struct task* task) {
  EXPECT(self, atomic_fetch_add(&inside.mutexes[task->which], 1) == 0);
  write_guarded(self, AT_A_MUTEX + task->which);
}

static int mutex_leave(struct self* self, struct task* task) {
  pkd_async_mutex_t* mutex = &all.mutexes[task->which];
  pkd_req_t other;

  write_guarded(self, AT_A_MUTEX + task->which);
  atomic_fetch_sub(&inside.mutexes[task->which], 1);
  if (chance(self, 8) != 0)
    return pkd_async_mutex_unlock(&task->req, mutex);
  memset(&other, 0, sizeof other);
  EXPECT(self, pkd_req_transfer(&task->req, &other) == 0);
  return pkd_async_mutex_unlock(&other, mutex);
}

/* --- conditions: begun by one who owns the mutex, which it owns again -------- */

static int cond_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_cond_wait(loop, &task->req, &all.conds[task->which],
                             &all.mutexes[task->which], on_answer);
}

static int cond_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_cond_wait_blocking(&task->req, &all.conds[task->which],
                                      &all.mutexes[task->which], end);
}

/* --- semaphores ------------------------------------------------------------ */

static int sem_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_sem_acquire(loop, &task->req, &all.sems[task->which],
                               task->amount, on_answer);
}

static int sem_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_sem_acquire_blocking(&task->req, &all.sems[task->which],
                                        task->amount, end);
}

static void sem_enter(struct self* self, struct task* task) {
  int n = (int)task->amount;

  EXPECT(self, atomic_fetch_add(&inside.sems[task->which], n) + n <= PERMITS);
}

/* At once, in two pieces, by way of another request, or out of the world and
 * back; that not where others resize, who would make up for what has gone. */
static int sem_leave(struct self* self, struct task* task) {
  pkd_async_sem_t* sem = &all.sems[task->which];
  uint32_t n = task->amount;
  pkd_req_t other;

  atomic_fetch_sub(&inside.sems[task->which], (int)n);
  switch (n < 2 ? 9 : chance(self, 8)) {
  case 0:
    EXPECT(self, pkd_async_sem_release(&task->req, sem, 1) == 0);
    return pkd_async_sem_release(&task->req, sem, n - 1);
  case 1:
    memset(&other, 0, sizeof other);
    EXPECT(self, pkd_async_sem_split(&task->req, &other, sem, 1) == 0);
    EXPECT(self, pkd_async_sem_merge(&other, &task->req, sem) == 0);
    return pkd_async_sem_release(&other, sem, n);
  case 2:
    if (task->which == 0)
      return pkd_async_sem_release(&task->req, sem, n);
    EXPECT(self, pkd_async_sem_forget(&task->req, sem, n) == 0);
    return pkd_async_sem_add(sem, n);
  default:
    return pkd_async_sem_release(&task->req, sem, n);
  }
}

/* --- rwlocks --------------------------------------------------------------- */

static int rwlock_begin(pkd_loop_t* loop, struct task* task) {
  pkd_async_rwlock_t* lock = &all.rwlocks[task->which];

  switch (task->amount) {
  case PKD_ASYNC_RWLOCK_READ:
    return pkd_async_rwlock_rdlock(loop, &task->req, lock, on_answer);
  case PKD_ASYNC_RWLOCK_WRITE:
    return pkd_async_rwlock_wrlock(loop, &task->req, lock, on_answer);
  default:
    return pkd_async_rwlock_uplock(loop, &task->req, lock, on_answer);
  }
}

static int rwlock_block(struct task* task, pkd_deadline_t end) {
  pkd_async_rwlock_t* lock = &all.rwlocks[task->which];

  switch (task->amount) {
  case PKD_ASYNC_RWLOCK_READ:
    return pkd_async_rwlock_rdlock_blocking(&task->req, lock, end);
  case PKD_ASYNC_RWLOCK_WRITE:
    return pkd_async_rwlock_wrlock_blocking(&task->req, lock, end);
  default:
    return pkd_async_rwlock_uplock_blocking(&task->req, lock, end);
  }
}

static void rwlock_enter(struct self* self, struct task* task) {
  unsigned i = task->which;

  if (mode_of(task) == PKD_ASYNC_RWLOCK_WRITE) {
    EXPECT(self, atomic_fetch_add(&inside.writers[i], 1) == 0);
    EXPECT(self, atomic_load(&inside.readers[i]) == 0);
    write_guarded(self, AT_A_RWLOCK + i);
  } else {
    atomic_fetch_add(&inside.readers[i], 1);
    EXPECT(self, atomic_load(&inside.writers[i]) == 0);
    read_guarded(self, AT_A_RWLOCK + i);
  }
}

/* Forgets what it was counted as; also before it becomes another. */
static void rwlock_count_out(struct task* task) {
  atomic_fetch_sub(mode_of(task) == PKD_ASYNC_RWLOCK_WRITE
                       ? &inside.writers[task->which]
                       : &inside.readers[task->which],
                   1);
}

static int rwlock_leave(struct self* self, struct task* task) {
  pkd_async_rwlock_t* lock = &all.rwlocks[task->which];
  bool writes = mode_of(task) == PKD_ASYNC_RWLOCK_WRITE;

  if (writes && chance(self, 2) == 0) {
    rwlock_count_out(task);
    EXPECT(self,
           (chance(self, 2) == 0
                ? pkd_async_rwlock_downgrade(&task->req, lock)
                : pkd_async_rwlock_downgrade_to_up(&task->req, lock)) == 0);
    rwlock_enter(self, task);
  }
  rwlock_count_out(task);
  return pkd_async_rwlock_unlock(&task->req, lock);
}

/* Begun by a reader; what it was counted as it stays while it waits. */
static int upgrade_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_rwlock_upgrade(loop, &task->req, &all.rwlocks[task->which],
                                  on_answer);
}

static int upgrade_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_rwlock_upgrade_blocking(&task->req,
                                           &all.rwlocks[task->which], end);
}

static void upgrade_enter(struct self* self, struct task* task) {
  atomic_fetch_sub(&inside.readers[task->which], 1);
  rwlock_enter(self, task);
}

/* --- events, barriers: nothing is owned -------------------------------------- */

static int event_begin(pkd_loop_t* loop, struct task* task) {
  pkd_async_event_t* event = &all.events[task->which];

  if (task->amount == 0)
    return pkd_async_event_wait(loop, &task->req, event, on_answer);
  return pkd_async_event_wait_since(loop, &task->req, event,
                                    pkd_async_event_arm(event), on_answer);
}

static int event_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_event_wait_blocking(&task->req, &all.events[task->which],
                                       end);
}

static int barrier_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_barrier_arrive(loop, &task->req, &all.barrier, on_answer);
}

static int barrier_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_barrier_arrive_blocking(&task->req, &all.barrier, end);
}

static void barrier_enter(struct self* self, struct task* task) {
  self->a_leads += task->led;
}

static int nothing_to_leave(struct self* self, struct task* task) {
  (void)self;
  return pkd_req_owned(&task->req) == NULL ? 0 : UV_EPERM;
}

static void nothing_to_enter(struct self* self, struct task* task) {
  (void)self;
  (void)task;
}

/* --- once ------------------------------------------------------------------ */

static int once_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_once_call(loop, &task->req, &all.once, on_answer);
}

static int once_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_once_call_blocking(&task->req, &all.once, end);
}

static void once_enter(struct self* self, struct task* task) {
  if (task->led)
    EXPECT(self, atomic_fetch_add(&inside.once, 1) == 0);
  else
    EXPECT(self, pkd_async_once_is_done(&all.once));
}

static int once_leave(struct self* self, struct task* task) {
  if (!task->led)
    return 0;
  atomic_fetch_sub(&inside.once, 1);
  return pkd_async_once_done(&task->req, &all.once,
                             chance(self, 200) == 0 ? 0 : UV_EIO);
}

/* --- keys ------------------------------------------------------------------ */

static int keyed_begin(pkd_loop_t* loop, struct task* task) {
  return pkd_async_keyed_lock(loop, &task->req, &all.keyed, keys[task->which],
                              strlen(keys[task->which]), on_answer);
}

static int keyed_block(struct task* task, pkd_deadline_t end) {
  return pkd_async_keyed_lock_blocking(&task->req, &all.keyed,
                                       keys[task->which],
                                       strlen(keys[task->which]), end);
}

static void key_enter(struct self* self, unsigned key) {
  EXPECT(self, atomic_fetch_add(&inside.keys[key], 1) == 0);
  write_guarded(self, AT_KEY + key);
}

static void keyed_enter(struct self* self, struct task* task) {
  key_enter(self, task->which);
}

static int keyed_leave(struct self* self, struct task* task) {
  (void)self;
  atomic_fetch_sub(&inside.keys[task->which], 1);
  return pkd_async_keyed_unlock(&task->req, &all.keyed);
}

/* --- several at once: keys, then a mutex -------------------------------------- */

static unsigned several_key(const struct task* task, uint32_t i) {
  return (task->first + i) % KEYS;
}

static pkd_many_item_t* several_items(struct task* task) {
  pkd_many_item_t* items = task->more.several.items;

  memset(&task->more.several, 0, sizeof task->more.several);
  task->more.several.many.data = task;
  for (uint32_t i = 0; i + 1 < task->amount; i++) {
    const char* key = keys[several_key(task, i)];

    items[i].take = pkd_take_key(&all.keyed, key, strlen(key));
  }
  items[task->amount - 1].take = pkd_take_mutex(&all.mutexes[task->which]);
  return items;
}

static int several_begin(pkd_loop_t* loop, struct task* task) {
  pkd_many_item_t* items = several_items(task);

  return pkd_many_lock(loop, &task->more.several.many, items, task->amount,
                       task->ticks % 2 == 0 ? PKD_NO_TIMEOUT : task->ticks,
                       on_several);
}

static int several_block(struct task* task, pkd_deadline_t end) {
  pkd_many_item_t* items = several_items(task);

  return pkd_many_lock_blocking(&task->more.several.many, items, task->amount,
                                end);
}

static void several_enter(struct self* self, struct task* task) {
  for (uint32_t i = 0; i + 1 < task->amount; i++)
    key_enter(self, several_key(task, i));
  mutex_enter(self, task);
}

static int several_leave(struct self* self, struct task* task) {
  (void)self;
  for (uint32_t i = 0; i + 1 < task->amount; i++)
    atomic_fetch_sub(&inside.keys[several_key(task, i)], 1);
  atomic_fetch_sub(&inside.mutexes[task->which], 1);
  return pkd_many_unlock(&task->more.several.many);
}

/* --- work in the pool, under a mutex ------------------------------------------ */

/* The pool's thread is nobody's: what it writes is counted by who asked, in
 * its answer. */
static void work_run(pkd_work_t* work) {
  struct task* task = work->data;

  guarded[AT_A_MUTEX + task->which]++;
}

static int work_begin(pkd_loop_t* loop, struct task* task) {
  memset(&task->more.work, 0, sizeof task->more.work);
  task->more.work.data = task;
  if (task->ticks % 2 == 1)
    pkd_work_set_timeout(&task->more.work, task->ticks);
  return pkd_queue_work(loop, &task->more.work,
                        pkd_take_mutex(&all.mutexes[task->which]), work_run,
                        on_work);
}

static void work_enter(struct self* self, struct task* task) {
  self->entered[AT_A_MUTEX + task->which]++;
}

/* --- all of them ----------------------------------------------------------- */

const struct way ways[WAYS] = {
    {A_MUTEX, mutex_begin, mutex_block, mutex_enter, mutex_leave, true},
    {A_SEM, sem_begin, sem_block, sem_enter, sem_leave, true},
    {A_RWLOCK, rwlock_begin, rwlock_block, rwlock_enter, rwlock_leave, true},
    {A_EVENT, event_begin, event_block, nothing_to_enter, nothing_to_leave,
     false},
    {A_BARRIER, barrier_begin, barrier_block, barrier_enter, nothing_to_leave,
     false},
    {A_ONCE, once_begin, once_block, once_enter, once_leave, true},
    {A_KEYED, keyed_begin, keyed_block, keyed_enter, keyed_leave, true},
    {A_MANY, several_begin, several_block, several_enter, several_leave, true},
    {A_WORK, work_begin, NULL, work_enter, nothing_to_leave, true},
};

const struct way way_of_cond = {A_COND,      cond_begin,  cond_block,
                                mutex_enter, mutex_leave, false};
const struct way way_of_upgrade = {A_UPGRADE,     upgrade_begin, upgrade_block,
                                   upgrade_enter, rwlock_leave,  true};
