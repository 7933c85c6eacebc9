/* SPDX-License-Identifier: MIT
 *
 * scenario_locks.c - semaphores, the fair and the re-entrant mutex, and cells
 * under exploration; as in scenario_sync.c. */
#include "scenario.h"

#include <parkade/cell.h>
#include <parkade/fair_mutex.h>
#include <parkade/remutex.h>
#include <parkade/sem.h>

#include <errno.h>

typedef struct pair {
  uint64_t left;
  uint64_t right;
} pair_t;

typedef PKD_CELL(pair_t) cell_t;

typedef struct odd {
  uint16_t part[5]; /* more than a word, and no whole number of pieces */
} odd_t;

typedef PKD_CELL(odd_t) odd_cell_t;
typedef PKD_CELL(int*) word_cell_t;

typedef struct shared {
  pkd_sem_t sem;
  pkd_fair_mutex_t fair;
  pkd_remutex_t re;
  cell_t cell;
  odd_cell_t odd;
  word_cell_t word;
  int data;
  int entered;
  int found[3]; /* by each thread */
} shared_t;

static shared_t* s;

static void start(void) {
  s = explore_need(sizeof *s);
  explore_name(&s->sem, sizeof s->sem, "semaphore");
  explore_name(&s->fair, sizeof s->fair, "fair mutex");
  explore_name(&s->re, sizeof s->re, "remutex");
  explore_name(&s->cell, sizeof s->cell, "cell");
  explore_name(&s->data, sizeof s->data, "data");
}

static void spawn(void (*entry)(void* arg), int count) {
  for (int i = 0; i < count; i++)
    explore_spawn(entry, NULL);
}

/* --- semaphores ---------------------------------------------------------- */

/* With one permit a semaphore guards data like a mutex. */
static void uses_permit(void* arg) {
  (void)arg;
  explore_assert(pkd_sem_acquire(&s->sem, 1) == 0);
  s->data++;
  explore_assert(pkd_sem_release(&s->sem, 1) == 0);
}

static void uses_permit_timed(void* arg) {
  int rc = pkd_sem_acquire_until(&s->sem, 1, SOON);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  s->data++;
  pkd_sem_release(&s->sem, 1);
}

static void tries_permit(void* arg) {
  (void)arg;
  if (pkd_sem_tryacquire(&s->sem, 1) != 0)
    return;
  s->data++;
  pkd_sem_release(&s->sem, 1);
}

static void sem(int kind) {
  static void (*const third[])(void*) = {uses_permit, uses_permit_timed,
                                         tries_permit};

  start();
  s->sem = (pkd_sem_t)PKD_SEM_INIT(1);
  spawn(uses_permit, 2);
  spawn(third[kind], 1);
  explore_join();
  explore_assert(pkd_sem_value(&s->sem) == 1);
  scenario_nobody_at(&s->sem);
}

/* One wants both permits, others one each: nobody hoards, nobody starves. */
static void uses_two(void* arg) {
  (void)arg;
  pkd_sem_acquire(&s->sem, 2);
  s->data++;
  pkd_sem_release(&s->sem, 2);
}

static void uses_two_timed(void* arg) {
  int rc = pkd_sem_acquire_until(&s->sem, 2, SOON);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    pkd_sem_release(&s->sem, 2);
}

static void uses_one(void* arg) {
  (void)arg;
  pkd_sem_acquire(&s->sem, 1);
  pkd_sem_release(&s->sem, 1);
}

static void sem_weighted(int timed) {
  start();
  s->sem = (pkd_sem_t)PKD_SEM_INIT(2);
  spawn(uses_one, 2);
  spawn(timed ? uses_two_timed : uses_two, 1);
  explore_join();
  explore_assert(pkd_sem_value(&s->sem) == 2);
  scenario_nobody_at(&s->sem);
}

/* Who is given two permits sees what was done before either, though it was asleep
 * when the second came, and the first had come before it fell asleep. */
static void gives_one(void* arg) {
  int* done = arg;

  *done = 1;
  pkd_sem_release(&s->sem, 1);
}

static void takes_both(void* arg) {
  (void)arg;
  pkd_sem_acquire(&s->sem, 2);
  explore_assert(s->found[0] + s->found[1] == 2);
}

static void wants_more(void* arg) {
  int rc = pkd_sem_acquire_until(&s->sem, 3, SOON);

  (void)arg;
  explore_assert(rc == -ETIMEDOUT);
}

static void sem_of_two_givers(int with_one_who_leaves) {
  start();
  explore_spawn(gives_one, &s->found[0]);
  explore_spawn(gives_one, &s->found[1]);
  if (with_one_who_leaves)
    explore_spawn(wants_more, NULL);
  explore_spawn(takes_both, NULL);
  explore_join();
  explore_assert(pkd_sem_value(&s->sem) == 0);
  scenario_nobody_at(&s->sem);
}

static pkd_sem_t* short_sem;

static void acquires_and_frees(void* arg) {
  (void)arg;
  pkd_sem_acquire(short_sem, 1);
  explore_free(short_sem);
}

static void releases(void* arg) {
  (void)arg;
  pkd_sem_release(short_sem, 1);
}

static void sem_freed(int unused) {
  (void)unused;
  start();
  short_sem = explore_need(sizeof *short_sem);
  explore_name(short_sem, sizeof *short_sem, "semaphore");
  spawn(acquires_and_frees, 1);
  spawn(releases, 1);
  explore_join();
  scenario_nobody_at(short_sem);
}

/* --- the other mutexes --------------------------------------------------- */

static void uses_fair(void* arg) {
  (void)arg;
  pkd_fair_mutex_lock(&s->fair);
  s->data++;
  pkd_fair_mutex_unlock(&s->fair);
}

static void uses_fair_timed(void* arg) {
  int rc = pkd_fair_mutex_lock_until(&s->fair, SOON);

  (void)arg;
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  s->data++;
  pkd_fair_mutex_unlock(&s->fair);
}

static void tries_fair(void* arg) {
  (void)arg;
  if (pkd_fair_mutex_trylock(&s->fair) != 0)
    return;
  s->data++;
  pkd_fair_mutex_bump(&s->fair);
  s->data++;
  pkd_fair_mutex_unlock(&s->fair);
}

static void fair(int kind) {
  static void (*const third[])(void*) = {uses_fair, uses_fair_timed,
                                         tries_fair};

  start();
  spawn(uses_fair, 2);
  spawn(third[kind], 1);
  explore_join();
  explore_assert(s->fair.word == 0);
  scenario_nobody_at(&s->fair);
}

static struct {
  pkd_fair_mutex_t m;
  int users; /* under m */
} * short_fair;

static void uses_and_frees(void* arg) {
  int left;

  (void)arg;
  pkd_fair_mutex_lock(&short_fair->m);
  left = --short_fair->users;
  pkd_fair_mutex_unlock(&short_fair->m);
  if (left == 0)
    explore_free(short_fair);
}

static void fair_freed(int users) {
  start();
  short_fair = explore_need(sizeof *short_fair);
  explore_name(short_fair, sizeof *short_fair, "fair mutex");
  short_fair->users = users;
  spawn(uses_and_frees, users);
  explore_join();
  scenario_nobody_at(&short_fair->m);
}

static void uses_twice_inside(void* arg) {
  (void)arg;
  pkd_remutex_lock(&s->re);
  s->data++;
  pkd_remutex_lock(&s->re);
  s->data++;
  pkd_remutex_unlock(&s->re);
  s->data++;
  pkd_remutex_unlock(&s->re);
}

static void remutex(int threads) {
  start();
  spawn(uses_twice_inside, threads);
  explore_join();
  explore_assert(s->data == 3 * threads);
  explore_assert(!pkd_remutex_is_locked(&s->re));
  scenario_nobody_at(&s->re.mutex);
}

/* --- cells --------------------------------------------------------------- */

static void stores_pair(void* arg) {
  pair_t pair = {1, 1};

  if (arg != NULL)
    pair = (pair_t){2, 2};
  pkd_cell_store(&s->cell, &pair);
}

static void loads_pair(void* arg) {
  pair_t pair;

  (void)arg;
  pkd_cell_load(&s->cell, &pair);
  explore_assert(pair.left == pair.right);
}

static void adds_pair(void* arg) {
  pair_t seen;
  pair_t next;

  (void)arg;
  pkd_cell_load(&s->cell, &seen);
  do
    next = (pair_t){seen.left + 1, seen.right + 1};
  while (!pkd_cell_cas(&s->cell, &seen, &next));
}

static void cell(int writers) {
  start();
  spawn(loads_pair, 1);
  for (int i = 0; i < writers; i++)
    explore_spawn(stores_pair, i == 0 ? NULL : s);
  explore_join();
}

static odd_t odd_of(int n) {
  uint16_t part = (uint16_t)n;

  return (odd_t){{part, part, part, part, part}};
}

/* @return the number of which it is made */
static int whole(const odd_t* odd) {
  for (int i = 1; i < 5; i++)
    explore_assert(odd->part[i] == odd->part[0]);
  return odd->part[0];
}

static void stores_odd(void* arg) {
  odd_t odd = odd_of(1);

  (void)arg;
  pkd_cell_store(&s->odd, &odd);
}

/* Who loads and was disturbed by the first may be by the second. */
static void stores_odd_twice(void* arg) {
  odd_t odd = odd_of(2);

  stores_odd(arg);
  pkd_cell_store(&s->odd, &odd);
}

static void loads_odd(void* arg) {
  odd_t odd;

  (void)arg;
  pkd_cell_load(&s->odd, &odd);
  whole(&odd);
}

static void swaps_odd(void* arg) {
  odd_t odd = odd_of(explore_self());
  odd_t before;

  (void)arg;
  pkd_cell_swap(&s->odd, &odd, &before);
  s->found[explore_self()] = whole(&before);
}

static void odd_cell(int twice) {
  start();
  spawn(loads_odd, 1);
  spawn(twice ? stores_odd_twice : stores_odd, 1);
  explore_join();
}

static void odd_swapped(int unused) {
  (void)unused;
  start();
  spawn(loads_odd, 1);
  spawn(swaps_odd, 1);
  explore_join();
}

/* Each finds what the other has left, or the beginning. */
static void odd_swaps(int unused) {
  odd_t last;

  (void)unused;
  start();
  spawn(swaps_odd, 2);
  explore_join();
  pkd_cell_load(&s->odd, &last);
  if (whole(&last) == 1)
    explore_assert(s->found[1] == 2 && s->found[2] == 0);
  else
    explore_assert(s->found[1] == 0 && s->found[2] == 1);
}

/* What the one word points at comes with it, however it is read. */
static void publishes(void* arg) {
  int* news = &s->data;

  (void)arg;
  s->data = 1;
  pkd_cell_store(&s->word, &news);
}

static void follows(void* arg) {
  int* seen;

  (void)arg;
  pkd_cell_load(&s->word, &seen);
  explore_outcome(seen == NULL ? 0 : 1);
  if (seen != NULL)
    explore_assert(*seen == 1);
}

static void fails_and_follows(void* arg) {
  static int own;
  int* seen = NULL;
  int* mine = &own;
  bool changed = pkd_cell_cas(&s->word, &seen, &mine);

  (void)arg;
  explore_outcome(changed ? 0 : 1);
  if (!changed)
    explore_assert(*seen == 1);
}

static void cell_word(int swaps) {
  start();
  explore_spawn(publishes, NULL);
  explore_spawn(swaps ? fails_and_follows : follows, NULL);
  explore_join();
}

static void cell_adds(int threads) {
  pair_t pair;

  start();
  spawn(adds_pair, threads);
  explore_join();
  pkd_cell_load(&s->cell, &pair);
  explore_assert(pair.left == (uint64_t)threads && pair.right == pair.left);
}

const explore_scenario_t explore_locks[] = {
    {"sync/sem", sem, 0, OK, 0, WIDE},
    {"sync/sem-timed", sem, 1, OK, 3, LATE_NARROW},
    {"sync/sem-try", sem, 2, OK, 0, DEEP},
    {"sync/sem-weighted", sem_weighted, 0, OK, 0, WIDE},
    {"sync/sem-weighted-timed", sem_weighted, 1, OK, 3, LATE_NARROW},
    {"sync/sem-two-givers", sem_of_two_givers, 0, OK, 0, WIDE},
    {"sync/sem-two-givers-timed",
     sem_of_two_givers,
     1,
     OK,
     0,
     {.preemptions = 1, .timeouts = 1}},
    {"sync/sem-freed", sem_freed, 0, OK, 0, DEEP},
    {"sync/fair-mutex", fair, 0, OK, 0, DEEP},
    {"sync/fair-mutex-timed", fair, 1, OK, 3, LATE_NARROW},
    {"sync/fair-mutex-try", fair, 2, OK, 0, WIDE},
    {"sync/fair-mutex-freed", fair_freed, 3, OK, 0, WIDE},
    {"sync/remutex", remutex, 2, OK, 0, DEEP},
    {"sync/remutex-of-three", remutex, 3, OK, 0, WIDE},
    {"sync/cell", cell, 1, OK, 0, DEEP},
    {"sync/cell-two-writers", cell, 2, OK, 0, WIDE},
    {"sync/cell-odd", odd_cell, 0, OK, 0, DEEP},
    {"sync/cell-odd-twice", odd_cell, 1, OK, 0, DEEP},
    {"sync/cell-odd-swapped", odd_swapped, 0, OK, 0, DEEP},
    {"sync/cell-odd-swaps", odd_swaps, 0, OK, 0, DEEP},
    {"sync/cell-adds", cell_adds, 2, OK, 0, DEEP},
    {"sync/cell-word", cell_word, 0, OK, 3, DEEP},
    {"sync/cell-word-cas", cell_word, 1, OK, 3, DEEP},
    {.name = NULL},
};
