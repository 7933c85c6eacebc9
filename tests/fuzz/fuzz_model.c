/* SPDX-License-Identifier: MIT
 *
 * fuzz_model.c - the asynchronous locks against a model that says exactly what must
 * come of each call.
 *
 * One thread runs two loops of libuv's by hand, so nothing is left to chance: the
 * model, an array for each queue, foretells every return value, every answer, and
 * the order of the answers of each loop. Two mutexes, a semaphore, a rwlock and two
 * keys; six requests, three of each loop. */
#include "input.h"

#include <parkade/async.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOPS = 2, SLOTS = 6, PERMITS = 2, STEPS = 200 };
enum object { MUTEX_A, MUTEX_B, SEM, RWLOCK, KEY_A, KEY_B, OBJECTS };
enum stage { IDLE, QUEUED, GRANTED, CANCELED, OWNED };

/* --- the model --------------------------------------------------------------- */

struct model {
  struct {
    int queue[SLOTS];
    int queued;
    int taken; /* of 1, of the permits; readers, or -1 for a writer */
    bool closed;
  } object[OBJECTS];
  struct {
    enum stage stage;
    enum object object;
    int want; /* permits; for the rwlock 1 to read, -1 to write */
  } slot[SLOTS];
  int posted[LOOPS][SLOTS]; /* answers under way, oldest first */
  int count[LOOPS];
};

static struct model m;

static bool fits(enum object object, int want) {
  int taken = m.object[object].taken;

  if (object == RWLOCK)
    return want < 0 ? taken == 0 : taken >= 0;
  return taken + want <= (object == SEM ? PERMITS : 1);
}

static void model_take(enum object object, int want) {
  m.object[object].taken += want;
}

static void model_post(int slot, enum stage stage) {
  int loop = slot % LOOPS;

  m.slot[slot].stage = stage;
  m.posted[loop][m.count[loop]++] = slot;
}

/* Strictly first in, first out: the heads, until one does not fit. */
static void model_dispatch(enum object object) {
  while (m.object[object].queued > 0) {
    int slot = m.object[object].queue[0];

    if (!fits(object, m.slot[slot].want))
      return;
    memmove(m.object[object].queue, m.object[object].queue + 1,
            sizeof(int) * (size_t)--m.object[object].queued);
    model_take(object, m.slot[slot].want);
    model_post(slot, GRANTED);
  }
}

static void model_leave(enum object object, int want) {
  m.object[object].taken -= want;
  model_dispatch(object);
}

static void model_unqueue(int slot) {
  enum object object = m.slot[slot].object;
  int i = 0;

  while (m.object[object].queue[i] != slot)
    i++;
  m.object[object].queued--;
  memmove(m.object[object].queue + i, m.object[object].queue + i + 1,
          sizeof(int) * (size_t)(m.object[object].queued - i));
}

static int model_startable(int slot) {
  if (m.slot[slot].stage == IDLE)
    return 0;
  return m.slot[slot].stage == OWNED ? UV_EBUSY : UV_EALREADY;
}

/* @return what the start returns; `waits`: may it queue? `task`: will it be
 * called back? */
static int model_start(int slot, enum object object, int want, bool waits,
                       bool task) {
  int err = model_startable(slot);

  if (err != 0)
    return err;
  if (m.object[object].closed)
    return UV_ESHUTDOWN;
  if (m.object[object].queued > 0 || !fits(object, want)) {
    if (!waits)
      return UV_EBUSY;
    m.object[object].queue[m.object[object].queued++] = slot;
    m.slot[slot].stage = QUEUED;
  } else {
    model_take(object, want);
    m.slot[slot].stage = OWNED;
    if (task)
      model_post(slot, GRANTED);
  }
  m.slot[slot].object = object;
  m.slot[slot].want = want;
  return 0;
}

static int model_cancel(int slot) {
  enum stage stage = m.slot[slot].stage;

  if (stage == IDLE)
    return UV_EINVAL;
  if (stage == OWNED)
    return UV_EBUSY;
  if (stage == QUEUED) {
    model_unqueue(slot);
    model_post(slot, CANCELED);
    model_dispatch(m.slot[slot].object);
  } else if (stage == GRANTED) {
    m.slot[slot].stage = CANCELED; /* its answer is under way already */
    model_leave(m.slot[slot].object, m.slot[slot].want);
  }
  return 0;
}

/* An unlock names the keyed mutex, not the key. */
static int model_release(int slot, enum object object) {
  if (object >= KEY_A && m.slot[slot].object >= KEY_A)
    object = m.slot[slot].object;
  if (m.slot[slot].stage != OWNED || m.slot[slot].object != object)
    return UV_EPERM;
  m.slot[slot].stage = IDLE;
  model_leave(object, m.slot[slot].want);
  return 0;
}

static int model_transfer(int from, int to) {
  int err;

  if (from == to)
    return UV_EINVAL;
  if ((err = model_startable(to)) != 0)
    return err;
  if (m.slot[from].stage != OWNED)
    return UV_EPERM;
  m.slot[to] = m.slot[from];
  m.slot[from].stage = IDLE;
  return 0;
}

static int model_downgrade(int slot) {
  if (m.slot[slot].stage != OWNED || m.slot[slot].object != RWLOCK ||
      m.slot[slot].want != -1)
    return UV_EPERM;
  m.slot[slot].want = 1;
  model_leave(RWLOCK, -2); /* one writer becomes one reader */
  return 0;
}

/* Those who wait are sent away, newcomers are refused. */
static void model_close(enum object object) {
  m.object[object].closed = true;
  while (m.object[object].queued > 0) {
    int slot = m.object[object].queue[0];

    model_unqueue(slot);
    model_post(slot, CANCELED);
  }
}

/* --- the library ------------------------------------------------------------- */

static uv_loop_t uv[LOOPS];
static pkd_loop_t loop[LOOPS];
static pkd_req_t req[SLOTS];
static pkd_async_mutex_t mutex[2];
static pkd_async_sem_t sem;
static pkd_async_rwlock_t rwlock;
static pkd_async_keyed_t keyed;
static int answered[SLOTS]; /* the slots answered in this turn, in order */
static int status_of[SLOTS];
static int answers;

static void fail(const char* what, long expected, long got) {
  printf("%s: %ld instead of %ld\n", what, got, expected);
  fflush(stdout);
  abort();
}

static void expect(const char* what, long expected, long got) {
  if (expected != got)
    fail(what, expected, got);
}

static void note(pkd_req_t* r, int status) {
  if (answers == SLOTS)
    fail("answers in a turn", SLOTS, answers + 1);
  answered[answers] = (int)(r - req);
  status_of[answers++] = status;
}

static int start(int slot, enum object object, int want) {
  pkd_loop_t* l = &loop[slot % LOOPS];
  pkd_req_t* r = &req[slot];

  switch (object) {
  case MUTEX_A:
  case MUTEX_B:
    return pkd_async_mutex_lock(l, r, &mutex[object], note);
  case SEM:
    return pkd_async_sem_acquire(l, r, &sem, (uint32_t)want, note);
  case RWLOCK:
    return want < 0 ? pkd_async_rwlock_wrlock(l, r, &rwlock, note)
                    : pkd_async_rwlock_rdlock(l, r, &rwlock, note);
  default:
    return pkd_async_keyed_lock_u64(l, r, &keyed, object, note);
  }
}

static int try(int slot, enum object object, int want) {
  pkd_req_t* r = &req[slot];

  switch (object) {
  case MUTEX_A:
  case MUTEX_B:
    return pkd_async_mutex_trylock(r, &mutex[object]);
  case SEM:
    return pkd_async_sem_try_acquire(r, &sem, (uint32_t)want);
  case RWLOCK:
    return want < 0 ? pkd_async_rwlock_trywrlock(r, &rwlock)
                    : pkd_async_rwlock_tryrdlock(r, &rwlock);
  default:
    return pkd_async_keyed_trylock_u64(r, &keyed, object);
  }
}

static int release(int slot, enum object object) {
  pkd_req_t* r = &req[slot];

  switch (object) {
  case MUTEX_A:
  case MUTEX_B:
    return pkd_async_mutex_unlock(r, &mutex[object]);
  case SEM:
    return pkd_async_sem_release(r, &sem, (uint32_t)m.slot[slot].want);
  case RWLOCK:
    return pkd_async_rwlock_unlock(r, &rwlock);
  default:
    return pkd_async_keyed_unlock(r, &keyed);
  }
}

/* --- both, step by step ------------------------------------------------------- */

/* More than one turn if the machine is busy: a turn has a budget of time. */
static void turn(int l) {
  answers = 0;
  for (int i = 0; i < 1000; i++) {
    uv_run(&uv[l], UV_RUN_NOWAIT);
    if (answers >= m.count[l])
      break;
  }
  expect("answers", m.count[l], answers);
  for (int i = 0; i < answers; i++) {
    int slot = m.posted[l][i];
    bool granted = m.slot[slot].stage == GRANTED;

    expect("whose answer", slot, answered[i]);
    expect("status", granted ? 0 : UV_ECANCELED, status_of[i]);
    m.slot[slot].stage = granted ? OWNED : IDLE;
  }
  m.count[l] = 0;
}

static int want_of(enum object object, struct input* in) {
  if (object == SEM)
    return 1 + (int)input_below(in, PERMITS);
  if (object == RWLOCK)
    return input_below(in, 2) == 0 ? 1 : -1;
  return 1;
}

static void step(struct input* in) {
  unsigned what = input_below(in, 10);
  int slot = (int)input_below(in, SLOTS);
  enum object object = (enum object)input_below(in, OBJECTS);
  int want = want_of(object, in);

  switch (what) {
  case 0:
    turn(slot % LOOPS);
    break;
  case 1:
  case 2:
    expect("start", model_start(slot, object, want, true, true),
           start(slot, object, want));
    break;
  case 3:
    if (m.slot[slot].stage == IDLE)
      pkd_req_set_timeout(&req[slot], 0);
    expect("start without waiting",
           model_start(slot, object, want, m.slot[slot].stage != IDLE, true),
           start(slot, object, want));
    if (m.slot[slot].stage == IDLE) /* whether it was used up or not */
      pkd_req_set_timeout(&req[slot], PKD_NO_TIMEOUT);
    break;
  case 4:
    expect("try", model_start(slot, object, want, false, false),
           try(slot, object, want));
    break;
  case 5:
    expect("cancel", model_cancel(slot), pkd_req_cancel(&req[slot]));
    break;
  case 6:
  case 7:
    if (what == 6) /* what it owns, more often than not */
      object = m.slot[slot].object;
    if (object != SEM || m.slot[slot].stage == OWNED) {
      int rc = release(slot, object);

      expect("release", model_release(slot, object), rc);
    }
    break;
  case 8: {
    int to = (int)input_below(in, SLOTS);

    expect("transfer", model_transfer(slot, to),
           pkd_req_transfer(&req[slot], &req[to]));
    break;
  }
  default:
    if (object == MUTEX_B && want_of(RWLOCK, in) < 0) {
      model_close(MUTEX_B);
      expect("close", 0, pkd_async_mutex_close(&mutex[MUTEX_B]));
    } else {
      int rc = pkd_async_rwlock_downgrade(&req[slot], &rwlock);

      expect("downgrade", model_downgrade(slot), rc);
    }
  }
}

/* After each step the words say what the model says. */
static void compare(void) {
  expect("mutex A is locked", m.object[MUTEX_A].taken,
         pkd_async_mutex_is_locked(&mutex[MUTEX_A]));
  expect("mutex B is locked", m.object[MUTEX_B].taken,
         pkd_async_mutex_is_locked(&mutex[MUTEX_B]));
  expect("permits there", PERMITS - m.object[SEM].taken,
         pkd_async_sem_available(&sem));
  for (int slot = 0; slot < SLOTS; slot++)
    expect("owns", m.slot[slot].stage == OWNED,
           pkd_req_owned(&req[slot]) != NULL);
  for (int l = 0; l < LOOPS; l++) {
    long pending = 0;

    for (int slot = l; slot < SLOTS; slot += LOOPS)
      pending += m.slot[slot].stage != IDLE && m.slot[slot].stage != OWNED;
    expect("pending", pending, (long)pkd_loop_pending(&loop[l]));
  }
}

static void open_loops(void) {
  static bool open;

  if (open)
    return;
  open = true;
  for (int l = 0; l < LOOPS; l++)
    if (uv_loop_init(&uv[l]) != 0 || pkd_loop_attach(&loop[l], &uv[l]) != 0)
      abort();
}

static void end_everything(void) {
  for (int slot = 0; slot < SLOTS; slot++)
    expect("last cancel", model_cancel(slot), pkd_req_cancel(&req[slot]));
  for (int l = 0; l < LOOPS; l++)
    turn(l);
  for (int slot = 0; slot < SLOTS; slot++)
    if (m.slot[slot].stage == OWNED) {
      int rc = release(slot, m.slot[slot].object);

      expect("last release", model_release(slot, m.slot[slot].object), rc);
    }
  compare();
  expect("still queued somewhere", 0, (long)pkd_lot_for_each(NULL, NULL, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length) {
  struct input in = {bytes, length};

  open_loops();
  memset(&m, 0, sizeof m);
  memset(req, 0, sizeof req);
  memset(mutex, 0, sizeof mutex);
  memset(&rwlock, 0, sizeof rwlock);
  memset(&keyed, 0, sizeof keyed);
  memset(&sem, 0, sizeof sem);
  pkd_async_sem_init(&sem, PERMITS, 0);
  for (int i = 0; i < STEPS && in.left > 0; i++) {
    step(&in);
    compare();
  }
  end_everything();
  return 0;
}
