/* SPDX-License-Identifier: MIT
 *
 * museum/wake.c - waking the wrong one, or one too few, or touching what the
 * woken one has thrown away. */
#include "museum.h"

static bool cured;
static uint32_t word;
static int counter;

/* The unlock reads the lock's kind after it has let go; the next owner has
 * freed it by then.
 * glibc BZ 13690: pthread_mutex_unlock. */
typedef struct object {
  uint32_t word;
  int kind;
  int users; /* under word */
} object_t;

static object_t* object;

static void unlocks_then_looks(void* arg) {
  int left;
  int kind;
  uint32_t old;

  (void)arg;
  museum_lock(&object->word);
  left = --object->users;
  kind = object->kind;
  old = pkd__exchange_release(&object->word, 0);
  if (!cured && left != 0)
    kind = object->kind;
  if (old == 2 && kind == 0)
    pkd__os_wake(&object->word);
  if (left == 0)
    explore_free(object);
}

static void kind_after_unlock(int how) {
  cured = how;
  object = explore_need(sizeof *object);
  object->users = 2;
  explore_spawn(unlocks_then_looks, NULL);
  explore_spawn(unlocks_then_looks, NULL);
  explore_join();
}

/* A post that looks for waiters after it has counted: who took the count may
 * have destroyed the semaphore.
 * glibc BZ 12674: sem_post. */
typedef struct sem {
  uint32_t value;
  uint32_t waiters;
} sem_t_;

static sem_t_* sem;

static void posts(void* arg) {
  uint32_t* value = &sem->value;
  uint32_t waiters = 1;

  (void)arg;
  if (cured)
    waiters = pkd__load_seq_cst(&sem->waiters);
  pkd__add_acq_rel(value, 1);
  if (!cured)
    waiters = pkd__load_seq_cst(&sem->waiters);
  if (waiters != 0 || cured)
    pkd__os_wake(value);
}

static void takes_and_destroys(void* arg) {
  (void)arg;
  pkd__add_acq_rel(&sem->waiters, 1);
  while (pkd__load_acquire(&sem->value) == 0)
    pkd__os_wait(&sem->value, 0, UINT64_MAX);
  pkd__sub_acq_rel(&sem->waiters, 1);
  explore_free(sem);
}

static void post_looks_late(int how) {
  cured = how;
  sem = explore_need(sizeof *sem);
  explore_spawn(posts, NULL);
  explore_spawn(takes_and_destroys, NULL);
  explore_join();
}

/* The first to leave a barrier destroys it while the other is still inside.
 * glibc BZ 13065: pthread_barrier_wait. */
typedef struct barrier {
  uint32_t arrived;
  uint32_t round;
  uint32_t left;
} barrier_t;

static barrier_t* barrier;

static void meets(void* arg) {
  uint32_t* round = &barrier->round;

  (void)arg;
  if (pkd__add_acq_rel(&barrier->arrived, 1) == 1) {
    pkd__store_release(round, 1);
    pkd__os_wake(round);
  }
  while (pkd__load_acquire(round) == 0)
    pkd__os_wait(round, 0, UINT64_MAX);
  if (cured) {
    if (pkd__add_acq_rel(&barrier->left, 1) == 1)
      explore_free(barrier); /* the last one out */
  } else if (explore_self() == 1) {
    explore_free(barrier);
  }
}

static void barrier_destroyed_early(int how) {
  cured = how;
  barrier = explore_need(sizeof *barrier);
  explore_spawn(meets, NULL);
  explore_spawn(meets, NULL);
  explore_join();
}

/* A signal is a count that anyone may take: a waiter that came after the signal
 * takes what was meant for the one who was there.
 * glibc BZ 25847: pthread_cond_wait steals; the stress test took hours. */
static uint32_t lock_word;
static uint32_t signals;
static int waiting; /* under lock_word */
static int owed;    /* under lock_word */
static uint32_t first_is_in;

static void waits_first(void* arg) {
  (void)arg;
  museum_lock(&lock_word);
  waiting++;
  museum_unlock(&lock_word);
  museum_set(&first_is_in);
  for (;;) {
    uint32_t seen = pkd__load_seq_cst(&signals);
    if (seen != 0 && pkd__cas_acq_rel(&signals, &seen, seen - 1))
      return;
    if (seen == 0)
      pkd__os_wait(&signals, 0, UINT64_MAX);
  }
}

static void signals_first(void* arg) {
  (void)arg;
  museum_await(&first_is_in);
  museum_lock(&lock_word);
  if (waiting > 0) {
    waiting--;
    owed++;
  }
  museum_unlock(&lock_word);
  pkd__add_acq_rel(&signals, 1);
  pkd__os_wake(&signals);
}

static void comes_late(void* arg) {
  uint32_t seen;

  (void)arg;
  if (pkd__load_acquire(&first_is_in) == 0)
    return;
  /* waits only as long as it likes; takes a signal if it sees one */
  seen = pkd__load_seq_cst(&signals);
  if (!cured && seen != 0)
    pkd__cas_acq_rel(&signals, &seen, seen - 1);
}

static void stolen_signal(int how) {
  cured = how;
  explore_spawn(waits_first, NULL);
  explore_spawn(signals_first, NULL);
  explore_spawn(comes_late, NULL);
  explore_join();
}

/* Takes the lock with 1 after a sleep, though others sleep on: the first mutex
 * of Drepper's "Futexes Are Tricky" is the textbook case. */
static void locks_forgetfully(void* arg) {
  uint32_t seen = 0;

  (void)arg;
  if (!pkd__cas_acquire(&word, &seen, 1)) {
    do {
      seen = 1;
      if (pkd__cas_relaxed(&word, &seen, 2) || seen == 2)
        pkd__os_wait(&word, 2, UINT64_MAX);
      seen = 0;
    } while (!pkd__cas_acquire(&word, &seen, cured ? 2 : 1));
  }
  counter++;
  museum_unlock(&word);
}

static void forgets_sleepers(int how) {
  cured = how;
  for (int i = 0; i < 3; i++)
    explore_spawn(locks_forgetfully, NULL);
  explore_join();
  explore_assert(counter == 3);
}

/* The wake takes all sleepers out of the queue and wakes some: the others are
 * nowhere.
 * tc39/proposal-ecmascript-sharedmem #41: futexWake as first specified. */
static uint32_t* sleepers[3]; /* under lock_word */
static int sleeping;          /* under lock_word */

static void sleeps(void* arg) {
  uint32_t mine = 0;

  (void)arg;
  museum_lock(&lock_word);
  sleepers[sleeping++] = &mine;
  museum_unlock(&lock_word);
  museum_await(&mine);
}

static void wakes_one(void) {
  uint32_t* oldest = NULL;

  while (oldest == NULL) {
    museum_lock(&lock_word);
    if (sleeping > 0) {
      oldest = sleepers[0];
      sleepers[0] = sleepers[1];
      sleeping = cured ? sleeping - 1 : 0;
    }
    museum_unlock(&lock_word);
    if (oldest == NULL)
      explore_yield();
  }
  museum_set(oldest);
}

static void wakes_two(void* arg) {
  bool both = false;

  (void)arg;
  while (!both) {
    museum_lock(&lock_word);
    both = sleeping == 2;
    museum_unlock(&lock_word);
    if (!both)
      explore_yield();
  }
  wakes_one();
  wakes_one();
}

static void takes_all(int how) {
  cured = how;
  explore_spawn(sleeps, NULL);
  explore_spawn(sleeps, NULL);
  explore_spawn(wakes_two, NULL);
  explore_join();
}

/* The release wakes only when it finds zero: of two releases in a row the
 * second wakes nobody, and two had been asleep.
 * llvm/llvm-project #77659: counting_semaphore of libc++. */
static void acquires(void* arg) {
  uint32_t seen = pkd__load_acquire(&word);

  (void)arg;
  while (seen == 0 || !pkd__cas_acquire(&word, &seen, seen - 1)) {
    if (seen == 0) {
      pkd__os_wait(&word, 0, UINT64_MAX);
      seen = pkd__load_acquire(&word);
    }
  }
}

static void releases_two(void* arg) {
  (void)arg;
  for (int i = 0; i < 2; i++)
    if (pkd__add_release(&word, 1) == 0 || cured)
      pkd__os_wake(&word);
}

static void wakes_from_zero(int how) {
  cured = how;
  explore_spawn(acquires, NULL);
  explore_spawn(acquires, NULL);
  explore_spawn(releases_two, NULL);
  explore_join();
}

/* The fast unlock is relaxed: on strong machines nobody notices.
 * WebKit's WTF::LockAlgorithm::unlockFast, in some versions. */
static void locks_relaxed(void* arg) {
  (void)arg;
  museum_lock(&word);
  counter++;
  if (cured) {
    museum_unlock(&word);
  } else if (pkd__exchange_relaxed(&word, 0) == 2) {
    pkd__os_wake(&word);
  }
}

static void relaxed_unlock(int how) {
  cured = how;
  explore_spawn(locks_relaxed, NULL);
  explore_spawn(locks_relaxed, NULL);
  explore_join();
  explore_assert(counter == 2);
}

/* A once whose fast path looks without acquiring: done, but not visible.
 * Double-checked locking, as it was written for twenty years. */
static uint32_t done;

static void uses_once(void* arg) {
  (void)arg;
  if ((cured ? pkd__load_acquire(&done) : pkd__load_relaxed(&done)) == 0) {
    museum_lock(&word);
    if (pkd__load_relaxed(&done) == 0) {
      counter = 42;
      pkd__store_release(&done, 1);
    }
    museum_unlock(&word);
  }
  explore_assert(counter == 42);
}

static void once_unacquired(int how) {
  cured = how;
  explore_spawn(uses_once, NULL);
  explore_spawn(uses_once, NULL);
  explore_join();
}

/* The last reader looks for a waiting writer before it leaves, not after: the
 * slip of every first rwlock on a futex. */
enum { WRITER_WAITS = 1u << 16 };

static void reads(void* arg) {
  uint32_t seen;

  (void)arg;
  pkd__add_acquire(&word, 1);
  if (cured) {
    seen = pkd__add_acq_rel(&word, UINT32_MAX) - 1;
  } else {
    seen = pkd__load_acquire(&word) - 1;
    pkd__add_acq_rel(&word, UINT32_MAX);
  }
  if (seen == WRITER_WAITS)
    pkd__os_wake(&word);
}

static void writes(void* arg) {
  uint32_t seen = pkd__or_release(&word, WRITER_WAITS) | WRITER_WAITS;

  (void)arg;
  while (seen != WRITER_WAITS) {
    pkd__os_wait(&word, seen, UINT64_MAX);
    seen = pkd__load_acquire(&word);
  }
}

static void reader_looks_early(int how) {
  cured = how;
  explore_spawn(reads, NULL);
  explore_spawn(writes, NULL);
  explore_join();
}

/* The unparker touches the node after it let its owner go: the node lay on a
 * stack that is gone. The slip of every first parking lot. */
typedef struct node {
  uint32_t woken;
  int queued;
} node_t;

static node_t* node;

static void parks(void* arg) {
  node_t mine = {0, 1};

  (void)arg;
  __atomic_store_n(&node, &mine, __ATOMIC_RELEASE);
  museum_await(&mine.woken);
}

static void unparks(void* arg) {
  node_t* theirs = __atomic_load_n(&node, __ATOMIC_ACQUIRE);

  (void)arg;
  while (theirs == NULL) {
    explore_yield();
    theirs = __atomic_load_n(&node, __ATOMIC_ACQUIRE);
  }
  if (cured)
    theirs->queued = 0;
  museum_set(&theirs->woken);
  if (!cured)
    theirs->queued = 0;
}

static void node_after_wake(int how) {
  cured = how;
  explore_spawn(parks, NULL);
  explore_spawn(unparks, NULL);
  explore_join();
}

#define FEW BOUNDS(.preemptions = 3, .stale = 1)
#define TWO BOUNDS(.preemptions = 2)

const explore_scenario_t explore_museum_wake[] = {
    EXHIBIT("kind-after-unlock", kind_after_unlock, RACE, FEW),
    EXHIBIT("post-looks-late", post_looks_late, RACE, FEW),
    EXHIBIT("barrier-destroyed-early", barrier_destroyed_early, RACE, FEW),
    EXHIBIT("stolen-signal", stolen_signal, DEADLOCK, TWO),
    EXHIBIT("forgets-sleepers", forgets_sleepers, LOST_WAKEUP, TWO),
    EXHIBIT("relaxed-unlock", relaxed_unlock, RACE, FEW),
    EXHIBIT("once-unacquired", once_unacquired, RACE, FEW),
    EXHIBIT("reader-looks-early", reader_looks_early, LOST_WAKEUP, FEW),
    EXHIBIT("node-after-wake", node_after_wake, DEAD_MEMORY, FEW),
    EXHIBIT("takes-all", takes_all, LIVELOCK, TWO),
    EXHIBIT("wakes-from-zero", wakes_from_zero, LOST_WAKEUP, TWO),
    {.name = NULL},
};
