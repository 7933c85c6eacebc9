/* SPDX-License-Identifier: MIT
 *
 * locks.c - the locks that block a thread: one random thing after another.
 *
 * A wait without an end is only made where whoever is in the way will go by
 * itself; all others have a deadline or a token. Two mutexes at once are taken
 * in the order of their numbers. */
#include "soak.h"

#include <errno.h>
#include <string.h>

enum { MUTEXES = 3, FAIRS = 2, RWLOCKS = 3, CONDS = 4, PERMITS = 4 };

struct pair {
  uint64_t value, twice, thrice; /* a cell is never half of one */
};
typedef PKD_CELL(struct pair) pair_cell_t;

static pkd_mutex_t mutexes[MUTEXES];
static pkd_fair_mutex_t fairs[FAIRS];
static pkd_remutex_t remutex;
static pkd_rwlock_t rwlocks[RWLOCKS];
/* One each with a mutex, a fair mutex, a writer and a reader. */
static pkd_cond_t conds[CONDS];
static pkd_sem_t sem;
static pkd_barrier_t barrier;
static pkd_latch_t latch;
static pkd_event_t events[2]; /* the second is automatic */
static pkd_once_t once;
static pair_cell_t cell;
static pkd_thread_t threads[WORKERS];
static uint32_t sem_taken;    /* atomic */
static uint32_t initializing; /* atomic */
static uint32_t initialized;  /* by the initializer */

/* --- one way to take each kind of lock ------------------------------------- */

struct face {
  enum kind kind;
  void (*lock)(void* object);
  int (*trylock)(void* object);
  int (*until)(void* object, const pkd_cancel_t* cancel, pkd_deadline_t end);
  void (*unlock)(void* object);
  void (*unlock_fair)(void* object);
};

#define FACE(name, k, type, lock_, try_, until_, unlock_, fair_)               \
  static void name##_lock(void* l) {                                           \
    lock_((type*)l);                                                           \
  }                                                                            \
  static int name##_try(void* l) {                                             \
    return try_((type*)l);                                                     \
  }                                                                            \
  static int name##_until(void* l, const pkd_cancel_t* c, pkd_deadline_t d) {  \
    return until_((type*)l, c, d);                                             \
  }                                                                            \
  static void name##_unlock(void* l) {                                         \
    unlock_((type*)l);                                                         \
  }                                                                            \
  static void name##_fair(void* l) {                                           \
    fair_((type*)l);                                                           \
  }                                                                            \
  static const struct face name = {                                            \
      k, name##_lock, name##_try, name##_until, name##_unlock, name##_fair};

FACE(a_mutex, MUTEX, pkd_mutex_t, pkd_mutex_lock, pkd_mutex_trylock,
     pkd_mutex_lock_cancellable, pkd_mutex_unlock, pkd_mutex_unlock_fair)
FACE(a_fair, FAIR, pkd_fair_mutex_t, pkd_fair_mutex_lock,
     pkd_fair_mutex_trylock, pkd_fair_mutex_lock_cancellable,
     pkd_fair_mutex_unlock, pkd_fair_mutex_unlock_fair)
FACE(a_remutex, REMUTEX, pkd_remutex_t, pkd_remutex_lock, pkd_remutex_trylock,
     pkd_remutex_lock_cancellable, pkd_remutex_unlock, pkd_remutex_unlock_fair)
FACE(a_reader, READ, pkd_rwlock_t, pkd_rwlock_rdlock, pkd_rwlock_tryrdlock,
     pkd_rwlock_rdlock_cancellable, pkd_rwlock_rdunlock,
     pkd_rwlock_rdunlock_fair)
FACE(a_writer, WRITE, pkd_rwlock_t, pkd_rwlock_wrlock, pkd_rwlock_trywrlock,
     pkd_rwlock_wrlock_cancellable, pkd_rwlock_wrunlock,
     pkd_rwlock_wrunlock_fair)
FACE(an_up, UP, pkd_rwlock_t, pkd_rwlock_uplock, pkd_rwlock_tryuplock,
     pkd_rwlock_uplock_cancellable, pkd_rwlock_upunlock,
     pkd_rwlock_upunlock_fair)

static bool take(struct self* self, const struct face* face, void* object) {
  pkd_deadline_t end = soon(self);
  int rc = 0;

  wait_begins(self, face->kind, object);
  switch (chance(self, 6)) {
  case 0:
    rc = face->trylock(object);
    EXPECT(self, rc == 0 || rc == -EBUSY);
    break;
  case 1:
    rc = face->until(object, NULL, end);
    EXPECT(self, rc == 0 || (rc == -ETIMEDOUT && pkd_now() >= end));
    break;
  case 2:
    rc = face->until(object, token_of(self),
                     chance(self, 2) == 0 ? end : PKD_FOREVER);
    EXPECT(self, rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
    break;
  default:
    face->lock(object);
  }
  wait_ends(self, rc);
  return rc == 0;
}

static void give(struct self* self, const struct face* face, void* object) {
  (chance(self, 4) == 0 ? face->unlock_fair : face->unlock)(object);
}

/* --- mutexes --------------------------------------------------------------- */

static void use_mutexes(struct self* self) {
  unsigned i = (unsigned)chance(self, MUTEXES);
  unsigned k = (unsigned)chance(self, MUTEXES);

  if (!take(self, &a_mutex, &mutexes[i]))
    return;
  write_guarded(self, AT_MUTEX + i);
  linger(self);
  if (k > i && take(self, &a_mutex, &mutexes[k])) {
    write_guarded(self, AT_MUTEX + k);
    give(self, &a_mutex, &mutexes[k]);
  }
  if (chance(self, 8) == 0) {
    pkd_mutex_bump(&mutexes[i]);
    write_guarded(self, AT_MUTEX + i);
  }
  give(self, &a_mutex, &mutexes[i]);
}

static void use_fair_mutex(struct self* self) {
  unsigned i = (unsigned)chance(self, FAIRS);

  if (!take(self, &a_fair, &fairs[i]))
    return;
  write_guarded(self, AT_FAIR + i);
  linger(self);
  give(self, &a_fair, &fairs[i]);
}

static void use_remutex(struct self* self) {
  unsigned depth = 1;

  if (!take(self, &a_remutex, &remutex))
    return;
  while (chance(self, 2) == 0 && take(self, &a_remutex, &remutex))
    depth++;
  EXPECT(self, pkd_remutex_depth(&remutex) == depth);
  write_guarded(self, AT_REMUTEX);
  while (depth-- > 0)
    give(self, &a_remutex, &remutex);
}

/* --- rwlocks --------------------------------------------------------------- */

/* @return whether the writer's part was done */
static bool upgrade(struct self* self, unsigned i, bool from_up) {
  pkd_rwlock_t* lock = &rwlocks[i];
  pkd_deadline_t end = soon(self);
  int rc;

  wait_begins(self, UPGRADE, lock);
  if (!from_up)
    rc = pkd_rwlock_rdupgrade_until(lock, end);
  else if (chance(self, 2) == 0)
    rc = pkd_rwlock_upgrade_cancellable(lock, token_of(self), end);
  else
    rc = pkd_rwlock_tryupgrade(lock);
  wait_ends(self, rc);
  EXPECT(self, rc == 0 || rc == -ETIMEDOUT || rc == -EBUSY ||
                   (from_up && rc == -ECANCELED) ||
                   (!from_up && rc == -EDEADLK));
  if (rc == 0)
    write_guarded(self, AT_RWLOCK + i);
  return rc == 0;
}

/* A writer leaves as a writer, or as something less. */
static void leave_written(struct self* self, pkd_rwlock_t* lock) {
  switch (chance(self, 3)) {
  case 0:
    pkd_rwlock_downgrade(lock);
    give(self, &a_reader, lock);
    break;
  case 1:
    pkd_rwlock_downgrade_to_up(lock);
    give(self, &an_up, lock);
    break;
  default:
    give(self, &a_writer, lock);
  }
}

static void use_rwlock(struct self* self) {
  unsigned i = (unsigned)chance(self, RWLOCKS);
  pkd_rwlock_t* lock = &rwlocks[i];
  uint64_t mode = chance(self, 6);

  if (mode == 0) {
    if (!take(self, &a_writer, lock))
      return;
    write_guarded(self, AT_RWLOCK + i);
    linger(self);
    leave_written(self, lock);
  } else if (mode == 1) {
    if (!take(self, &an_up, lock))
      return;
    read_guarded(self, AT_RWLOCK + i);
    if (upgrade(self, i, true))
      leave_written(self, lock);
    else
      give(self, &an_up, lock);
  } else {
    if (!take(self, &a_reader, lock))
      return;
    read_guarded(self, AT_RWLOCK + i);
    linger(self);
    if (chance(self, 8) == 0 && upgrade(self, i, false))
      leave_written(self, lock);
    else
      give(self, &a_reader, lock);
  }
}

/* --- conditions ------------------------------------------------------------ */

static const struct face* cond_lock(unsigned i, void** lock) {
  static const struct face* const faces[CONDS] = {&a_mutex, &a_fair, &a_writer,
                                                  &a_reader};
  void* const locks[CONDS] = {&mutexes[0], &fairs[0], &rwlocks[0], &rwlocks[1]};

  *lock = locks[i];
  return faces[i];
}

static int cond_wait(unsigned i, const pkd_cancel_t* cancel,
                     pkd_deadline_t end) {
  switch (i) {
  case 0:
    return pkd_cond_wait_cancellable(&conds[0], &mutexes[0], cancel, end);
  case 1:
    return pkd_cond_wait_fair_cancellable(&conds[1], &fairs[0], cancel, end);
  case 2:
    return pkd_cond_wait_wrlock_cancellable(&conds[2], &rwlocks[0], cancel,
                                            end);
  default:
    return pkd_cond_wait_rdlock_cancellable(&conds[3], &rwlocks[1], cancel,
                                            end);
  }
}

static void wait_for_call(struct self* self) {
  unsigned i = (unsigned)chance(self, CONDS);
  const pkd_cancel_t* cancel = chance(self, 2) == 0 ? token_of(self) : NULL;
  void* lock;
  const struct face* face = cond_lock(i, &lock);
  int rc;

  if (!take(self, face, lock))
    return;
  wait_begins(self, COND, &conds[i]);
  rc = cond_wait(i, cancel, soon(self));
  wait_ends(self, rc);
  EXPECT(self, rc == 0 || rc == -ETIMEDOUT || rc == PKD_ENOTHELD ||
                   (cancel != NULL && rc == -ECANCELED));
  if (rc != PKD_ENOTHELD)
    give(self, face, lock);
}

static void call_waiters(struct self* self) {
  unsigned i = (unsigned)chance(self, CONDS);
  void* lock;
  const struct face* face = cond_lock(i, &lock);
  bool under = chance(self, 2) == 0 && take(self, face, lock);

  self->called += chance(self, 4) == 0 ? pkd_cond_broadcast(&conds[i])
                                       : (unsigned)pkd_cond_signal(&conds[i]);
  if (under)
    give(self, face, lock);
}

/* --- the others ------------------------------------------------------------ */

static void use_sem(struct self* self) {
  uint32_t n = (uint32_t)chance(self, PERMITS) + 1;
  int rc;

  wait_begins(self, SEM, &sem);
  switch (chance(self, 4)) {
  case 0:
    rc = pkd_sem_tryacquire(&sem, n);
    break;
  case 1:
    rc = pkd_sem_acquire_until(&sem, n, soon(self));
    break;
  case 2:
    rc = pkd_sem_acquire_cancellable(&sem, n, token_of(self), PKD_FOREVER);
    break;
  default:
    rc = pkd_sem_acquire(&sem, n);
  }
  wait_ends(self, rc);
  if (rc != 0)
    return;
  EXPECT(self, __atomic_add_fetch(&sem_taken, n, __ATOMIC_RELAXED) <= PERMITS);
  linger(self);
  __atomic_sub_fetch(&sem_taken, n, __ATOMIC_RELAXED);
  EXPECT(self, pkd_sem_release(&sem, n) == 0);
}

static void use_barrier(struct self* self) {
  int rc;

  wait_begins(self, BARRIER, &barrier);
  rc = chance(self, 2) == 0
           ? pkd_barrier_wait_until(&barrier, soon(self))
           : pkd_barrier_wait_cancellable(&barrier, token_of(self), soon(self));
  self->leads += rc == 1;
  EXPECT(self, rc >= 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
  wait_ends(self, rc);
}

static void use_event(struct self* self) {
  pkd_event_t* event = &events[chance(self, 2)];
  int rc;

  switch (chance(self, 4)) {
  case 0:
    pkd_event_set(event);
    break;
  case 1:
    pkd_event_reset(event);
    break;
  default:
    wait_begins(self, EVENT, event);
    rc = pkd_event_wait_cancellable(
        event, chance(self, 2) == 0 ? token_of(self) : NULL, soon(self));
    EXPECT(self, rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
    wait_ends(self, rc);
  }
}

static int initialize(void* arg) {
  struct self* self = arg;

  EXPECT(self, __atomic_add_fetch(&initializing, 1, __ATOMIC_RELAXED) == 1);
  linger(self);
  __atomic_sub_fetch(&initializing, 1, __ATOMIC_RELAXED);
  if (chance(self, 1000) != 0)
    return 7; /* the next tries */
  initialized = 1;
  return 0;
}

static void use_once(struct self* self) {
  int rc;

  wait_begins(self, ONCE, &once);
  rc = pkd_once_try_cancellable(&once, initialize, self, token_of(self),
                                soon(self));
  wait_ends(self, rc == 7 ? 0 : rc);
  EXPECT(self, rc == 0 || rc == 7 || rc == -ETIMEDOUT || rc == -ECANCELED);
  EXPECT(self, rc != 0 || initialized == 1);
}

static void use_cell(struct self* self) {
  uint64_t value = rng_next(&self->rng);
  struct pair next = {value, 2 * value, 3 * value};
  struct pair seen;

  wait_begins(self, CELL, &cell);
  if (chance(self, 4) == 0)
    pkd_cell_swap(&cell, &next, &seen);
  else
    pkd_cell_load(&cell, &seen);
  if (chance(self, 4) == 0)
    (void)pkd_cell_cas(&cell, &seen, &next);
  wait_ends(self, 0);
  EXPECT(self, seen.twice == 2 * seen.value && seen.thrice == 3 * seen.value);
}

static void park_or_unpark(struct self* self) {
  int rc;

  if (chance(self, 2) == 0) {
    pkd_thread_unpark(threads[chance(self, WORKERS)]);
    return;
  }
  wait_begins(self, PARK, self);
  rc = chance(self, 2) == 0
           ? pkd_thread_park(soon(self))
           : pkd_thread_park_cancellable(token_of(self), soon(self));
  wait_ends(self, rc);
  EXPECT(self, rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED);
}

void locks_do(struct self* self) {
  static void (*const things[])(struct self*) = {
      use_mutexes,    use_mutexes,  use_fair_mutex, use_remutex,  use_rwlock,
      use_rwlock,     use_rwlock,   wait_for_call,  call_waiters, call_waiters,
      use_sem,        use_barrier,  use_event,      use_once,     use_cell,
      park_or_unpark, fire_somebody};

  things[chance(self, sizeof things / sizeof things[0])](self);
}

/* --- legs ------------------------------------------------------------------ */

void locks_open(void) {
  static const pkd_sem_t all_permits = PKD_SEM_INIT(PERMITS);
  static const pkd_latch_t shut = PKD_LATCH_INIT(WORKERS);
  static const pkd_event_t automatic = PKD_EVENT_AUTO_INIT;

  for (unsigned i = 0; i < RWLOCKS; i++)
    pkd_rwlock_init(&rwlocks[i], (pkd_rwlock_policy_t)i);
  sem = all_permits;
  latch = shut;
  memset(&events[0], 0, sizeof events[0]);
  events[1] = automatic;
  memset(&once, 0, sizeof once);
  initialized = 0;
  pkd_barrier_init(&barrier, 2);
}

/* Nobody acts before all workers are here: by the latch. */
void locks_begin_leg(struct self* self) {
  threads[self->number] = pkd_thread_self();
  wait_begins(self, LATCH, &latch);
  pkd_latch_arrive_and_wait(&latch);
  wait_ends(self, 0);
}

void locks_end_leg(struct self* self) {
  token_close(self);
}

void locks_check(void) {
  uint64_t passed = 0, leads = 0, ended = 0, called = 0;

  for (unsigned i = 0; i < MUTEXES; i++)
    MUST(mutexes[i].word == 0);
  for (unsigned i = 0; i < FAIRS; i++)
    MUST(fairs[i].word == 0);
  MUST(remutex.owner == 0 && remutex.again == 0 && remutex.mutex.word == 0);
  for (unsigned i = 0; i < RWLOCKS; i++)
    MUST(rwlocks[i].word == 0);
  for (unsigned i = 0; i < CONDS; i++)
    MUST(conds[i].lock == NULL);
  MUST(sem.word == 2 * PERMITS && sem_taken == 0);
  MUST(barrier.arrived == 0);
  MUST(initializing == 0);
  for (unsigned i = 0; i < WORKERS; i++) {
    passed += actors[i].counts[BARRIER].granted;
    leads += actors[i].leads;
    ended += actors[i].counts[COND].granted;
    called += actors[i].called;
  }
  MUST(passed == 2 * leads);
  MUST(ended <= called);
}
