/* SPDX-License-Identifier: MIT
 *
 * deadlock.c - the watch: what it is told, what it keeps, when it looks.
 *
 * Each watched thread has a record: what it holds, what it is about to take, and
 * the waiter it sleeps as. Holds are noted after the lock was got and struck out
 * before it is given up, so what is noted as held is held. A thread counts as
 * waiting only while its waiter is in a queue of the lot: whoever was woken, even
 * if it has not run yet, waits for nobody.
 *
 * A thread that is about to want a lock has its order looked at
 * (deadlock_order.c), one that is about to sleep the ring it might close
 * (deadlock_ring.c), under one lock, the guard. What is found is sent when that is
 * given up (deadlock_report.c).
 *
 * Nothing here waits for anything but the guard, and no code of the program runs
 * under it. The guard's own waits are not watched (`inside`). */
#include "deadlock.h"

#include <parkade/mutex.h>
#include <parkade/rwlock.h>

#include "atomic.h"
#include "hook.h"
#include "os/os.h"

#include <stdlib.h>

#define TRY ((unsigned)PKD__WATCH_TRY)

uint8_t pkd__watching;

static pkd_mutex_t guard;
/* under the guard */
static uint64_t wishes; /* so far */
static size_t missed;   /* atomic */
static pkd_deadlock_cb report_cb;
static void* report_data;

static _Thread_local bool inside; /* this thread is at work here */
static _Thread_local struct pkd__record* mine;
static _Thread_local bool gone; /* past its exit note */
static _Thread_local struct pkd__exit_note at_exit;

/* --- in and out ---------------------------------------------------------------- */

/* Who waits for the end of this one waits for nobody any more, whatever other thread
 * has its number before the joiner says so. */
static void be_joined(uintptr_t thread) {
  for (size_t i = 0; i < pkd__records_used; i++)
    if (pkd__records[i].joins == thread)
      pkd__records[i].joins = 0;
}

static void leave_thread(struct pkd__exit_note* note) {
  (void)note;
  if (mine != NULL && !inside) {
    inside = true;
    pkd_mutex_lock(&guard);
    be_joined(mine->thread);
    *mine = (struct pkd__record){0};
    pkd_mutex_unlock(&guard);
    inside = false;
  }
  mine = NULL;
  gone = true;
}

/* In the child of a fork the other threads are gone, and so may be the one that
 * held the guard: what it was changing is in no order then. */
static void start_over_in_child(void) {
  if (pkd_mutex_is_locked(&guard)) {
    pkd__order_clear();
    pkd__ring_clear();
  }
  guard = (pkd_mutex_t)PKD_MUTEX_INIT;
  for (size_t i = 0; i < pkd__records_used; i++)
    if (&pkd__records[i] != mine)
      pkd__records[i] = (struct pkd__record){0};
}

/* Before the guard: the system may allocate for it, and an allocator may be watched.
 * @return false: the end of this thread would not be seen */
static bool note_end(void) {
  if (at_exit.leave != NULL)
    return true;
  at_exit.leave = leave_thread;
  if (pkd__os_at_thread_exit(&at_exit) == 0)
    return true;
  at_exit.leave = NULL;
  return false;
}

static void take_record(void) {
  size_t i = 0;

  while (i < pkd__records_used && pkd__records[i].thread != 0)
    i++;
  if (i == PKD__RECORDS) {
    pkd__watch_missed();
    return;
  }
  if (i == pkd__records_used)
    pkd__records_used++;
  mine = &pkd__records[i];
  mine->thread = pkd_thread_id();
}

/* @return false: not watched, or in here already; nothing is locked then */
static bool enter(void) PKD__ANALYSIS(try_acquire_capability(true, guard)) {
  /* relaxed: what is noted is under the guard */
  if (inside || gone || pkd__load_relaxed(&pkd__watching) == 0)
    return false;
  inside = true;
  if (!note_end()) {
    pkd__watch_missed();
    inside = false;
    return false;
  }
  pkd_mutex_lock(&guard);
  if (mine == NULL)
    take_record();
  /* relaxed: under the guard; it may just have been switched off */
  if (mine != NULL && pkd__load_relaxed(&pkd__watching) != 0)
    return true;
  pkd_mutex_unlock(&guard);
  inside = false;
  return false;
}

/* Sends what was found with nothing locked; `inside` keeps the callback's own
 * locks out. */
static void leave(const struct pkd__finding* finding) PKD_RELEASE(guard) {
  pkd_deadlock_cb cb = report_cb;
  void* data = report_data;

  pkd_mutex_unlock(&guard);
  if (finding != NULL && finding->count != 0)
    pkd__report(finding, cb, data);
  inside = false;
}

void pkd__watch_missed(void) {
  pkd__add_relaxed(&missed, 1); /* relaxed: a count */
}

/* --- the hooks -------------------------------------------------------------------- */

static void on_sleep(const pkd_waiter_t* waiter, pkd_deadline_t deadline) {
  struct pkd__finding finding = {.count = 0};

  /* With its deadline past it does not wait: it tries. */
  if ((deadline != PKD_FOREVER && deadline <= pkd__os_now()) || !enter())
    return;
  mine->waiter = waiter;
  pkd__ring_look(mine, &finding);
  leave(&finding);
}

static void on_awake(void) {
  if (enter()) {
    mine->waiter = NULL;
    leave(NULL);
  }
}

static void on_once_runs(const void* once) {
  struct pkd__hold hold = {
      once, PKD__WATCH_ONCE, PKD__WATCH_EXCLUSIVE, 1, {NULL, 0}};

  if (!enter())
    return;
  if (mine->wanted.object == once)
    hold.site = mine->wanted.site;
  mine->wanted.object = NULL;
  pkd__add_hold(mine, &hold);
  leave(NULL);
}

static void on_once_ends(const void* once) {
  pkd__watch_drop(once, PKD__WATCH_EXCLUSIVE);
}

static const struct pkd__hooks hooks = {
    on_sleep, on_awake, on_once_runs, on_once_ends, start_over_in_child,
};

/* --- what the headers say ----------------------------------------------------------- */

/* A thread that wants once more what it holds: a ring of one, or, for a plain read
 * under a plain read, a ring as soon as a writer comes between. */
static void look_at_self(const struct pkd__hold* wanted,
                         struct pkd__finding* finding) {
  const struct pkd__hold* held = NULL;

  if (wanted->kind == PKD__WATCH_REMUTEX || wanted->kind > PKD__WATCH_RWLOCK ||
      wanted->mode == PKD__WATCH_UPGRADE)
    return;
  for (uint32_t i = 0; i < mine->count; i++)
    if (mine->held[i].object == wanted->object &&
        pkd__watch_conflict(wanted->mode, mine->held[i].mode, true))
      held = &mine->held[i];
  /* If it is certain the sleep that follows says so. */
  if (held == NULL || pkd__watch_conflict(wanted->mode, held->mode, false))
    return;
  finding->verdict = PKD_DEADLOCK_POTENTIAL;
  finding->count = 1;
  finding->steps[0] =
      (pkd_deadlock_step_t){mine->thread,      pkd__watch_name(wanted->kind),
                            held->object,      held->site.file,
                            held->site.line,   wanted->object,
                            wanted->site.file, wanted->site.line};
}

static void want(const struct pkd__hold* wanted, bool tries,
                 struct pkd__finding* finding) {
  mine->wanted = *wanted;
  mine->since = ++wishes;
  if (tries)
    return;
  look_at_self(wanted, finding);
  if (wanted->kind <= PKD__WATCH_RWLOCK && finding->count == 0 &&
      pkd__find_hold(mine, wanted->object, 0) == NULL)
    pkd__order_note(mine->held, mine->count, wanted, finding);
}

/* No writer who waits keeps a reader out where readers are preferred: there every
 * read is as a recursive one. */
static uint8_t mode_wanted(const void* object, unsigned kind, unsigned mode) {
  mode &= ~(unsigned)TRY;
  if (kind == PKD__WATCH_RWLOCK && mode == PKD__WATCH_SHARED &&
      ((const pkd_rwlock_t*)object)->policy == PKD_RWLOCK_PREFER_READERS)
    mode = PKD__WATCH_SHARED_AGAIN;
  return (uint8_t)mode;
}

void pkd__watch_want(const void* object, unsigned kind, unsigned mode,
                     const char* file, int line) {
  struct pkd__hold wanted = {
      object, (uint8_t)kind, mode_wanted(object, kind, mode), 1, {file, line}};
  struct pkd__finding finding = {.count = 0};

  if (!enter())
    return;
  want(&wanted, (mode & TRY) != 0, &finding);
  leave(&finding);
}

/* Gives up, however often it is held, and wants it back as it was. */
void pkd__watch_lend(const void* object, unsigned kind, unsigned mode,
                     const char* file, int line) {
  struct pkd__hold wanted = {
      object, (uint8_t)kind, mode_wanted(object, kind, mode), 1, {file, line}};
  struct pkd__finding finding = {.count = 0};
  struct pkd__hold* hold;

  if (!enter())
    return;
  hold = pkd__find_hold(mine, object, mode & ~TRY);
  if (hold != NULL) {
    wanted.count = hold->count;
    hold->count = 1;
    pkd__remove_hold(mine, hold);
  }
  want(&wanted, (mode & TRY) != 0, &finding);
  leave(&finding);
}

void pkd__watch_got(int rc) {
  if (!enter())
    return;
  if (rc == 0 && mine->wanted.object != NULL) {
    if (mine->wanted.mode == PKD__WATCH_SHARED_AGAIN)
      mine->wanted.mode = PKD__WATCH_SHARED;
    pkd__add_hold(mine, &mine->wanted);
  }
  mine->wanted.object = NULL;
  leave(NULL);
}

void pkd__watch_drop(const void* object, unsigned mode) {
  struct pkd__record* r = mine;
  struct pkd__hold* hold;

  if (!enter())
    return;
  r = mine;
  hold = pkd__find_hold(r, object, mode & ~TRY);
  if ((mode & TRY) != 0) /* a semaphore's release */
    pkd__note_release(object, hold != NULL);
  /* Given up by another than who took it, which a lock without an owner allows. */
  for (size_t i = 0; hold == NULL && i < pkd__records_used; i++) {
    r = &pkd__records[i];
    hold = pkd__find_hold(r, object, mode & ~TRY);
  }
  if (hold != NULL)
    pkd__remove_hold(r, hold);
  leave(NULL);
}

/* An upgrade has ended: with success, what was held is held exclusively. */
void pkd__watch_upgraded(int rc) {
  struct pkd__hold* hold;

  if (!enter())
    return;
  hold = pkd__find_hold(mine, mine->wanted.object, 0);
  if (rc == 0 && hold != NULL)
    hold->mode = PKD__WATCH_EXCLUSIVE;
  mine->wanted.object = NULL;
  leave(NULL);
}

void pkd__watch_turn(const void* object, unsigned from, unsigned to) {
  struct pkd__hold* hold;

  if (!enter())
    return;
  hold = pkd__find_hold(mine, object, from);
  if (hold != NULL)
    hold->mode = (uint8_t)to;
  leave(NULL);
}

/* For a switch. The hooks are in from the first on, lest a child finds the guard
 * held, and stay in when the watch is off, which they look at themselves: a sleeper
 * may be between the two. */
static void lock_guard(void) PKD_ACQUIRE(guard) {
  /* (H2) release, pairs with (H1). */
  pkd__store_release(&pkd__hooks, &hooks);
  pkd_mutex_lock(&guard);
}

/* --- the public switches ------------------------------------------------------------- */

int pkd_deadlock_watch(int on) {
  int was;

  inside = true;
  pkd__report_prepare();
  lock_guard();
  was = pkd__load_relaxed(&pkd__watching); /* relaxed: under the guard */
  if (was != (on != 0)) {
    for (size_t i = 0; i < pkd__records_used; i++) {
      pkd__records[i].count = 0;
      pkd__records[i].wanted.object = NULL;
      pkd__records[i].joins = 0;
      pkd__records[i].waiter = NULL;
    }
    pkd__order_clear();
    pkd__ring_clear();
    pkd__store_relaxed(&pkd__watching,
                       (uint8_t)(on != 0)); /* relaxed: a hint */
  }
  pkd_mutex_unlock(&guard);
  inside = false;
  return was;
}

void pkd_deadlock_on_report(pkd_deadlock_cb cb, void* data) {
  inside = true;
  lock_guard();
  report_cb = cb;
  report_data = data;
  pkd_mutex_unlock(&guard);
  inside = false;
}

void pkd_deadlock_forget(const void* memory, size_t size) {
  if (enter()) {
    pkd__order_forget(memory, size);
    leave(NULL);
  }
}

size_t pkd_deadlock_missed(void) {
  return pkd__load_relaxed(&missed); /* relaxed: a count */
}

void pkd_deadlock_joining(uintptr_t thread) {
  struct pkd__finding finding = {.count = 0};

  if (!enter())
    return;
  mine->joins = thread;
  pkd__ring_look(mine, &finding);
  leave(&finding);
}

void pkd_deadlock_joined(void) {
  if (enter()) {
    mine->joins = 0;
    leave(NULL);
  }
}

__attribute__((constructor)) static void watch_if_told(void) {
  const char* told = getenv("PARKADE_DEADLOCK");

  if (told != NULL && told[0] != '\0' && !(told[0] == '0' && told[1] == '\0'))
    pkd_deadlock_watch(1);
}
