/* SPDX-License-Identifier: MIT
 *
 * test_stress_sync.c - the lot, mutexes and conditions, all at once, by chance.
 *
 *   test_stress_sync [--seconds N] [--seed N]      3 seconds if not told
 *
 * Threads do one random thing after another on a few shared objects: locks that
 * lie byte by byte in one word, conditions, bare addresses of the lot where
 * threads and continuations queue together. Every wait has a short deadline or a
 * holder who will let go. Every fifth of a second all stop, and then every word
 * must be zero, the lot empty, and the accounts must balance. A thread that
 * stands in one call for half a minute ends the process. */
#include "support/test.h"

#include <parkade/cond.h>
#include <parkade/lot.h>
#include <parkade/mutex.h>

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

enum { THREADS = 6, LOCKS = 8, CONDS = 2, KEYS = 3, CONTS = 4 };

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define LEG (200 * MS)
#define STUCK (30 * SECOND)

/* What one thread did since all last stood still; its own until then. */
struct tally {
  uint64_t locked[LOCKS];
  uint64_t parked;        /* parks that ended by an unpark, continuations too */
  uint64_t unparked;      /* waiters that its unparks woke */
  uint64_t ended, called; /* waits at a condition */
  uint64_t done;          /* operations */
  unsigned wrong;         /* answers that no call may give */
};

static struct {
  pkd_mutex_t locks[LOCKS];
  uint64_t guarded[LOCKS]; /* each under its lock */
  pkd_cond_t conds[CONDS]; /* with locks[0], locks[1] */
  char keys[KEYS];         /* addresses */
  struct tally tallies[THREADS];
  pkd_deadline_t since[THREADS]; /* atomic; when its call began; 0: in none */
  pkd_deadline_t leg_ends;       /* set while all stand still */
  pkd_deadline_t end;
  struct rendezvous still;
  uint64_t seed, legs;
  unsigned failed; /* set while all stand still */
  unsigned over;   /* atomic */
} all;

struct self {
  unsigned number;
  struct tally* tally;
  rng_t rng;
};

static uint64_t chance(struct self* self, uint64_t below) {
  return rng_below(&self->rng, below);
}

static pkd_deadline_t soon(struct self* self) {
  return chance(self, 8) == 0 ? 0 : pkd_after(chance(self, 100000));
}

static void expect(struct self* self, bool fact) {
  self->tally->wrong += !fact;
}

/* --- mutexes --------------------------------------------------------------- */

static bool lock_somehow(struct self* self, pkd_mutex_t* m) {
  pkd_deadline_t deadline = soon(self);
  int rc;

  switch (chance(self, 4)) {
  case 0:
    pkd_mutex_lock(m);
    return true;
  case 1:
    rc = pkd_mutex_trylock(m);
    expect(self, rc == 0 || rc == -EBUSY);
    return rc == 0;
  default:
    rc = pkd_mutex_lock_until(m, deadline);
    expect(self, rc == 0 || (rc == -ETIMEDOUT && pkd_now() >= deadline));
    return rc == 0;
  }
}

static void unlock_somehow(struct self* self, pkd_mutex_t* m) {
  if (chance(self, 8) == 0)
    pkd_mutex_bump(m);
  if (chance(self, 4) == 0)
    pkd_mutex_unlock_fair(m);
  else
    pkd_mutex_unlock(m);
}

static void count_locked(struct self* self, unsigned i) {
  all.guarded[i]++;
  self->tally->locked[i]++;
}

/* One lock, or two in the order of their numbers. */
static void use_locks(struct self* self) {
  unsigned i = (unsigned)chance(self, LOCKS);
  unsigned k = (unsigned)chance(self, LOCKS);

  if (!lock_somehow(self, &all.locks[i]))
    return;
  count_locked(self, i);
  if (k > i && lock_somehow(self, &all.locks[k])) {
    count_locked(self, k);
    unlock_somehow(self, &all.locks[k]);
  }
  unlock_somehow(self, &all.locks[i]);
}

/* --- conditions ------------------------------------------------------------ */

static void wait_for_call(struct self* self) {
  unsigned i = (unsigned)chance(self, CONDS);
  pkd_deadline_t deadline = soon(self);
  int rc;

  pkd_mutex_lock(&all.locks[i]);
  count_locked(self, i);
  rc = pkd_cond_wait_until(&all.conds[i], &all.locks[i], deadline);
  self->tally->ended += rc == 0;
  expect(self, rc == 0 || ((rc == -ETIMEDOUT || rc == PKD_ENOTHELD) &&
                           pkd_now() >= deadline));
  if (rc == PKD_ENOTHELD)
    return;
  count_locked(self, i);
  unlock_somehow(self, &all.locks[i]);
}

static void call_waiters(struct self* self) {
  unsigned i = (unsigned)chance(self, CONDS);
  bool under = chance(self, 2) == 0 && lock_somehow(self, &all.locks[i]);

  if (under)
    count_locked(self, i);
  if (chance(self, 4) == 0)
    self->tally->called += pkd_cond_broadcast(&all.conds[i]);
  else
    self->tally->called += (unsigned)pkd_cond_signal(&all.conds[i]);
  if (under)
    unlock_somehow(self, &all.locks[i]);
}

/* --- bare addresses -------------------------------------------------------- */

static int yes_always(void* arg) {
  (void)arg;
  return 1;
}

static void note_late(void* arg, const void* key, int was_last) {
  (void)was_last;
  *(const void**)arg = key;
}

static void park_somewhere(struct self* self) {
  const void* late_at = NULL;
  pkd_park_t how = {.validate = yes_always,
                    .timed_out = note_late,
                    .arg = &late_at,
                    .due = pkd_lot_due(pkd_now()),
                    .front = chance(self, 4) == 0};
  int rc = pkd_lot_park(&all.keys[chance(self, KEYS)], &how, soon(self), NULL);

  self->tally->parked += rc == 0;
  expect(self, rc == 0 ? late_at == NULL : rc == -ETIMEDOUT && late_at != NULL);
}

/* A continuation; whoever made it waits until it is through with it. */
struct cont {
  pkd_waiter_t waiter; /* first: wake() gets its address */
  unsigned woken;      /* atomic */
};

static void wake_cont(pkd_waiter_t* waiter) {
  __atomic_store_n(&((struct cont*)waiter)->woken, 1, __ATOMIC_RELEASE);
}

static void queue_continuations(struct self* self) {
  struct cont conts[CONTS];

  if (PKD_TSAN_ANNOTATE)
    return; /* the locks tell ThreadSanitizer what they order; the lot does not */
  memset(conts, 0, sizeof conts);
  for (unsigned i = 0; i < CONTS; i++) {
    const void* key = &all.keys[chance(self, KEYS)];

    conts[i].waiter.wake = wake_cont;
    if (chance(self, 4) == 0)
      pkd_lot_enqueue_front(key, &conts[i].waiter, NULL, NULL);
    else
      pkd_lot_enqueue(key, &conts[i].waiter, NULL, NULL);
  }
  for (unsigned i = 0; i < CONTS; i++) {
    if (pkd_lot_remove(&conts[i].waiter, NULL, NULL) == 0)
      continue;
    self->tally->parked++;
    while (__atomic_load_n(&conts[i].woken, __ATOMIC_ACQUIRE) == 0)
      sched_yield();
  }
}

static pkd_requeue_op_t choose_any(void* arg, pkd_waiter_t* oldest) {
  (void)oldest;
  return (pkd_requeue_op_t)chance(arg, 5);
}

static pkd_unpark_op_t decide_any(void* arg, pkd_waiter_t* waiter) {
  (void)waiter;
  switch (chance(arg, 4)) {
  case 0:
    return PKD_UNPARK_SKIP;
  case 1:
    return PKD_UNPARK_STOP;
  default:
    return PKD_UNPARK_WAKE;
  }
}

static void unpark_somebody(struct self* self) {
  const void* key = &all.keys[chance(self, KEYS)];
  const void* to = &all.keys[chance(self, KEYS)];
  size_t woken;

  switch (chance(self, 5)) {
  case 0:
    woken = pkd_lot_unpark_all(key, 0);
    break;
  case 1:
    woken = pkd_lot_unpark_filter(key, decide_any, NULL, self).unparked;
    break;
  case 2:
    woken = pkd_lot_unpark_requeue(key, to, choose_any, NULL, 1, self).unparked;
    break;
  default:
    woken = pkd_lot_unpark_one(key, NULL, NULL).unparked;
  }
  self->tally->unparked += woken;
}

/* --- all stand still ------------------------------------------------------- */

static void report(const char* what, uint64_t found, uint64_t due) {
  fprintf(stderr, "leg %" PRIu64 ": %s: %" PRIu64 ", not %" PRIu64 "\n",
          all.legs, what, found, due);
  all.failed++;
}

static void must_equal(const char* what, uint64_t found, uint64_t due) {
  if (found != due)
    report(what, found, due);
}

static void check_standstill(void) {
  struct tally sum;

  memset(&sum, 0, sizeof sum);
  for (unsigned t = 0; t < THREADS; t++) {
    for (unsigned i = 0; i < LOCKS; i++)
      sum.locked[i] += all.tallies[t].locked[i];
    sum.parked += all.tallies[t].parked;
    sum.unparked += all.tallies[t].unparked;
    sum.ended += all.tallies[t].ended;
    sum.called += all.tallies[t].called;
    sum.wrong += all.tallies[t].wrong;
  }
  for (unsigned i = 0; i < LOCKS; i++) {
    must_equal("the byte of a mutex", all.locks[i].word, 0);
    must_equal("a guarded count", all.guarded[i], sum.locked[i]);
  }
  for (unsigned i = 0; i < CONDS; i++)
    must_equal("the word of a condition", all.conds[i].lock != NULL, 0);
  must_equal("waiters in the lot", pkd_lot_for_each(NULL, NULL, NULL), 0);
  must_equal("waits ended by an unpark", sum.parked, sum.unparked);
  must_equal("answers that no call may give", sum.wrong, 0);
  if (sum.ended > sum.called)
    report("waits ended uncalled", sum.ended, sum.called);
  all.legs++;
  all.leg_ends = pkd_after(LEG);
  if (all.failed != 0 || pkd_now() >= all.end)
    __atomic_store_n(&all.over, 1, __ATOMIC_RELEASE);
}

/* --- the threads ----------------------------------------------------------- */

static void run_leg(struct self* self) {
  static void (*const things[])(struct self*) = {
      use_locks,           use_locks,       wait_for_call,
      call_waiters,        call_waiters,    park_somewhere,
      queue_continuations, unpark_somebody, unpark_somebody};
  pkd_deadline_t* since = &all.since[self->number];

  for (;;) {
    pkd_deadline_t now = pkd_now();

    if (now >= all.leg_ends)
      break;
    __atomic_store_n(since, now, __ATOMIC_RELAXED);
    things[chance(self, LENGTH(things))](self);
    self->tally->done++;
  }
  __atomic_store_n(since, 0, __ATOMIC_RELAXED);
}

static void work(void* arg, unsigned number) {
  struct self self = {number, &all.tallies[number],
                      rng_stream(all.seed, number)};

  (void)arg;
  while (__atomic_load_n(&all.over, __ATOMIC_ACQUIRE) == 0) {
    run_leg(&self);
    if (rendezvous_meet(&all.still))
      check_standstill();
    rendezvous_meet(&all.still);
  }
}

static void watch_for_the_stuck(void) {
  const struct timespec moment = {0, 20000000};

  while (__atomic_load_n(&all.over, __ATOMIC_ACQUIRE) == 0) {
    for (unsigned i = 0; i < THREADS; i++) {
      pkd_deadline_t since = __atomic_load_n(&all.since[i], __ATOMIC_RELAXED);

      if (since != 0 && pkd_now() > since + STUCK) {
        fprintf(stderr, "thread %u stands in one call for %" PRIu64 " s\n", i,
                (uint64_t)(STUCK / SECOND));
        raise(SIGALRM); /* the watchdog prints all stacks */
      }
    }
    nanosleep(&moment, NULL);
  }
}

int main(int argc, char** argv) {
  uint64_t seconds = 3, done = 0;
  struct team team;

  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], "--seconds") == 0)
      seconds = strtoull(argv[i + 1], NULL, 10);
  }
  watchdog_set((unsigned)seconds + 120);
  all.seed = rng_seed_of(argc, argv);
  all.end = pkd_after(seconds * SECOND);
  all.leg_ends = pkd_after(LEG);
  rendezvous_init(&all.still, THREADS);
  team_start(&team, THREADS, work, NULL);
  watch_for_the_stuck();
  team_join(&team);
  for (unsigned i = 0; i < THREADS; i++)
    done += all.tallies[i].done;
  printf("%" PRIu64 " operations in %" PRIu64 " legs, %u failures\n", done,
         all.legs, all.failed);
  return all.failed != 0 || done == 0;
}
