/* SPDX-License-Identifier: MIT
 *
 * soak.c - all locks, worker threads and loops mixed, by chance, for long.
 *
 *   soak [--minutes N | --seconds N] [--seed N] [--pace PERCENT]
 *        [--yield-to FILE] [--figures FILE]
 *
 * Legs of a quarter of a second. After each everybody stands still, and then
 * every word must be free, the lot empty, every counter what was counted, and
 * every object ready to be destroyed; so a wake-up that was lost shows within
 * the leg, and no later unlock hides it. Memory is sampled there, too. A wait
 * that takes a minute ends the process with the name of the lock.
 *
 * For a machine that others use: --pace leaves so much of the time to the legs,
 * and the rest is slept away at the standstills; --yield-to makes no legs while
 * that file is there, and makes up for it at the end. --figures writes them in
 * the form of tests/results/README.md. */
#include "soak.h"

#include "support/rendezvous.h"
#include "support/watchdog.h"

#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#ifndef PKD_SOAK_WATCHED
#define PKD_SOAK_WATCHED 0 /* a sanitizer keeps memory of its own */
#endif

#define LEG (250 * MS)
#define STUCK (60 * SECOND)

#define AS_TEXT(name, text) text,
const char* const kind_names[KIND_COUNT] = {KINDS(AS_TEXT)};

struct self actors[ACTORS];
uint64_t guarded[GUARDED];
uint64_t leg_ends;
bool over;

static struct rendezvous place;
static uint64_t seed, legs, failures, slept;
static const char* first_failure;

/* What the process takes, at a standstill. */
struct memory {
  uint64_t resident; /* bytes, as the system counts them */
  uint64_t heap;     /* bytes that malloc has given out */
};

static struct memory settled, highest, last;

/* --- what the parts use ------------------------------------------------------ */

void meet(void) {
  rendezvous_meet(&place);
}

bool leg_is_over(void) {
  return pkd_now() >= leg_ends;
}

uint64_t chance(struct self* self, uint64_t below) {
  return rng_below(&self->rng, below);
}

static void sleep_for(uint64_t ns) {
  struct timespec span = {(time_t)(ns / SECOND), (long)(ns % SECOND)};

  nanosleep(&span, NULL);
}

void linger(struct self* self) {
  switch (chance(self, 16)) {
  case 0:
    sleep_for(chance(self, 200 * US));
    break;
  case 1:
  case 2:
  case 3:
    sched_yield();
    break;
  default:
    break;
  }
}

pkd_deadline_t soon(struct self* self) {
  switch (chance(self, 16)) {
  case 0:
    return 0;
  case 1:
    return pkd_after(chance(self, 5 * MS));
  default:
    return pkd_after(chance(self, 200 * US));
  }
}

void expect_fact(struct self* self, bool fact, const char* text) {
  if (fact)
    return;
  if (self->wrong++ == 0)
    self->first_wrong = text;
}

void wait_begins(struct self* self, enum kind kind, const void* object) {
  __atomic_store_n(&self->kind, (unsigned)kind, __ATOMIC_RELAXED);
  __atomic_store_n(&self->object, object, __ATOMIC_RELAXED);
  __atomic_store_n(&self->since, pkd_now(), __ATOMIC_RELEASE);
}

void wait_ends(struct self* self, int rc) {
  uint64_t took = pkd_now() - self->since;

  __atomic_store_n(&self->since, 0, __ATOMIC_RELAXED);
  count_wait(self, (enum kind)self->kind, rc, took);
}

/* The codes of libuv are those of the system. */
void count_wait(struct self* self, enum kind kind, int rc, uint64_t took) {
  struct count* count = &self->counts[kind];

  count->asked++;
  count->granted += rc >= 0;
  count->late += rc == -ETIMEDOUT || rc == PKD_ENOTHELD;
  count->cancelled += rc == -ECANCELED;
  count->refused +=
      rc < 0 && rc != -ETIMEDOUT && rc != -ECANCELED && rc != PKD_ENOTHELD;
  if (took > count->longest)
    count->longest = took;
}

void write_guarded(struct self* self, unsigned which) {
  guarded[which]++;
  self->entered[which]++;
}

/* Twice: a writer in between would show. */
void read_guarded(struct self* self, unsigned which) {
  const volatile uint64_t* counter = &guarded[which];
  uint64_t before = *counter;

  linger(self);
  EXPECT(self, *counter == before);
}

void must_hold(bool fact, const char* text) {
  if (fact)
    return;
  fprintf(stderr, "leg %" PRIu64 ": does not hold: %s\n", legs, text);
  if (failures++ == 0)
    first_failure = text;
}

/* --- workers ---------------------------------------------------------------- */

static void* worker_main(void* arg) {
  struct self* self = arg;

  for (meet(); !over; meet()) {
    locks_begin_leg(self);
    while (!leg_is_over()) {
      switch (chance(self, 16)) {
      case 0:
        tasks_block(self);
        break;
      case 1:
        loops_disturb(self);
        break;
      default:
        locks_do(self);
      }
    }
    locks_end_leg(self);
    meet();
  }
  return NULL;
}

/* --- legs ------------------------------------------------------------------- */

static void look_for_the_stuck(void) {
  bool stuck = loops_look(STUCK);

  for (unsigned i = 0; i < WORKERS; i++) {
    struct self* self = &actors[i];
    uint64_t since = __atomic_load_n(&self->since, __ATOMIC_ACQUIRE);

    if (since == 0 || pkd_now() < since + STUCK)
      continue;
    fprintf(stderr, "worker %u: %s at %p for %" PRIu64 " s, %zu wait there\n",
            i, kind_names[__atomic_load_n(&self->kind, __ATOMIC_RELAXED)],
            __atomic_load_n(&self->object, __ATOMIC_RELAXED),
            (pkd_now() - since) / SECOND,
            pkd_lot_for_each(__atomic_load_n(&self->object, __ATOMIC_RELAXED),
                             NULL, NULL));
    stuck = true;
  }
  if (stuck)
    raise(SIGALRM); /* the watchdog prints all stacks */
}

/* Stands for the main thread while it waits for the end of a leg: whoever does
 * not come is stuck. */
static void* watch(void* arg) {
  (void)arg;
  for (;;) {
    sleep_for(SECOND);
    look_for_the_stuck();
  }
  return NULL;
}

static void run_leg(rng_t* rng) {
  bool fire = rng_below(rng, 4) == 0;
  bool close = rng_below(rng, 3) == 0;

  locks_open();
  tasks_open();
  tokens_open(fire);
  leg_ends = pkd_now() + LEG;
  meet();
  sleep_for(rng_below(rng, LEG));
  if (fire)
    tokens_fire_all();
  if (close)
    tasks_close_one(rng);
  meet();
  tasks_drained();
}

/* A thread that has a handle has a note in the lot, at the note's own address;
 * everything else that is queued there now was forgotten. */
static void look_at_waiter(void* arg, const void* key, pkd_waiter_t* waiter) {
  if (key == waiter) {
    ++*(unsigned*)arg;
    return;
  }
  fprintf(stderr, "still queued: %p at %p\n", (void*)waiter, key);
}

static void check_standstill(void) {
  unsigned notes = 0;
  size_t queued = pkd_lot_for_each(NULL, look_at_waiter, &notes);

  MUST(queued == WORKERS && notes == WORKERS);
  locks_check();
  tokens_check();
  tasks_check();
  for (unsigned which = 0; which < GUARDED; which++) {
    uint64_t entered = 0;

    for (unsigned i = 0; i < ACTORS; i++)
      entered += actors[i].entered[which];
    MUST(guarded[which] == entered);
  }
  for (unsigned i = 0; i < ACTORS; i++)
    if (actors[i].wrong != 0)
      must_hold(false, actors[i].first_wrong);
  legs++;
}

/* --- memory ----------------------------------------------------------------- */

static struct memory measure(void) {
  struct memory now = {0, 0};
  unsigned long pages = 0;
  FILE* from = fopen("/proc/self/statm", "r");

  if (from != NULL) {
    if (fscanf(from, "%*u %lu", &pages) != 1)
      pages = 0;
    fclose(from);
  }
  now.resident = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
#if defined(__GLIBC__)
#if __GLIBC_PREREQ(2, 33)
  now.heap = mallinfo2().uordblks;
#endif
#endif
  return now;
}

static void sample_memory(bool settling) {
  last = measure();
  if (settling || legs == 1)
    settled = highest = last;
  if (last.resident > highest.resident)
    highest.resident = last.resident;
  if (last.heap > highest.heap)
    highest.heap = last.heap;
}

/* Flat: what a leg allocates it gives back. The system's pages may be touched
 * late, so they have some room; a leak of a few bytes per leg passes it within
 * the hour. */
static void judge_memory(void) {
#if !PKD_SOAK_WATCHED
  MUST(last.heap <= settled.heap + 64 * 1024);
  if (getenv("PKD_TEST_WRAPPED") == NULL)
    MUST(last.resident <= settled.resident + 4 * 1024 * 1024);
#endif
}

/* --- figures ---------------------------------------------------------------- */

static struct count sum_of(enum kind kind) {
  struct count sum = {0, 0, 0, 0, 0, 0};

  for (unsigned i = 0; i < ACTORS; i++) {
    const struct count* one = &actors[i].counts[kind];

    sum.asked += one->asked;
    sum.granted += one->granted;
    sum.late += one->late;
    sum.cancelled += one->cancelled;
    sum.refused += one->refused;
    if (one->longest > sum.longest)
      sum.longest = one->longest;
  }
  return sum;
}

static void print_figures(FILE* to, uint64_t took) {
  struct count all = {0, 0, 0, 0, 0, 0};
  uint64_t fires = 0, detached = 0;

  for (unsigned kind = 0; kind < KIND_COUNT; kind++) {
    struct count one = sum_of((enum kind)kind);

    fprintf(to,
            "row %s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %" PRIu64
            " | %" PRIu64 " | %.1f\n",
            kind_names[kind], one.asked, one.granted, one.late, one.cancelled,
            one.refused, (double)one.longest / (double)MS);
    all.asked += one.asked;
    all.late += one.late;
    all.cancelled += one.cancelled;
    if (one.longest > all.longest)
      all.longest = one.longest;
  }
  for (unsigned i = 0; i < ACTORS; i++) {
    fires += actors[i].fires;
    detached += actors[i].detached;
  }
  fprintf(to, "head waits | asked | granted | timed out | cancelled | refused");
  fprintf(to, " | longest, ms\n");
  fprintf(to, "figure %.1f minutes\n", (double)took / (60.0 * (double)SECOND));
  fprintf(to, "figure %" PRIu64 " waits\n", all.asked);
  fprintf(to, "figure %" PRIu64 " cancelled\n", all.cancelled);
  fprintf(to, "figure %" PRIu64 " timed out\n", all.late);
  fprintf(to, "figure %" PRIu64 " standstills\n", legs);
  fprintf(to, "figure %" PRIu64 " tokens fired\n", fires);
  fprintf(to, "figure %" PRIu64 " loops detached under load\n", detached);
  fprintf(to, "figure %.1f ms the longest wait\n",
          (double)all.longest / (double)MS);
  fprintf(to, "figure %" PRIu64 " KiB resident when settled\n",
          settled.resident / 1024);
  fprintf(to, "figure %" PRIu64 " KiB resident at the end\n",
          last.resident / 1024);
  fprintf(to, "figure %" PRIu64 " bytes of heap when settled\n", settled.heap);
  fprintf(to, "figure %" PRIu64 " bytes of heap at the end\n", last.heap);
  fprintf(to, "figure %" PRIu64 " failures\n", failures);
  fprintf(to, "note Seed %" PRIu64 "; %d workers, %d loops, legs of %d ms.\n",
          seed, WORKERS, LOOPS, (int)(LEG / MS));
  fprintf(to, "note Of the time %.0f %% was slept away at the standstills.\n",
          100.0 * (double)slept / (double)took);
  if (first_failure != NULL)
    fprintf(to, "note The first that did not hold: %s\n", first_failure);
}

/* --- the run ---------------------------------------------------------------- */

struct options {
  uint64_t span;
  unsigned pace;
  const char* yield_to;
  const char* figures;
};

static struct options parse(int argc, char** argv) {
  struct options options = {3 * SECOND, 100, NULL, NULL};

  for (int i = 1; i + 1 < argc; i += 2) {
    const char* value = argv[i + 1];

    if (strcmp(argv[i], "--minutes") == 0)
      options.span = strtoull(value, NULL, 10) * 60 * SECOND;
    else if (strcmp(argv[i], "--seconds") == 0)
      options.span = strtoull(value, NULL, 10) * SECOND;
    else if (strcmp(argv[i], "--pace") == 0)
      options.pace = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(argv[i], "--yield-to") == 0)
      options.yield_to = value;
    else if (strcmp(argv[i], "--figures") == 0)
      options.figures = value;
  }
  if (options.pace == 0 || options.pace > 100)
    options.pace = 100;
  return options;
}

/* @return how long it slept */
static uint64_t rest(const struct options* options, uint64_t leg) {
  uint64_t pause = leg * (100 - options->pace) / options->pace;
  uint64_t yielded = 0;

  sleep_for(pause);
  while (options->yield_to != NULL && access(options->yield_to, F_OK) == 0) {
    watchdog_set((unsigned)(2 * STUCK / SECOND)); /* they may take long */
    sleep_for(SECOND);
    yielded += SECOND;
  }
  slept += pause + yielded;
  return yielded;
}

static void tell(uint64_t began) {
  printf("%3" PRIu64 " min, %" PRIu64 " standstills, %" PRIu64
         " KiB resident, %" PRIu64 " bytes of heap\n",
         (pkd_now() - began) / (60 * SECOND), legs, last.resident / 1024,
         last.heap);
}

/* The first twentieth is for the memory to settle. */
static void run_all(const struct options* options) {
  rng_t rng = rng_stream(seed, ACTORS);
  uint64_t began = pkd_now();
  uint64_t told = began;
  uint64_t end = began + options->span;

  while (failures == 0 && pkd_now() < end) {
    uint64_t leg_began = pkd_now();

    run_leg(&rng);
    check_standstill();
    sample_memory(pkd_now() < began + options->span / 20);
    if (pkd_now() >= told + 60 * SECOND) {
      told = pkd_now();
      tell(began);
    }
    end += rest(options, pkd_now() - leg_began);
    watchdog_set((unsigned)(2 * STUCK / SECOND));
  }
  judge_memory();
}

int main(int argc, char** argv) {
  struct options options = parse(argc, argv);
  pthread_t threads[ACTORS], watcher;
  uint64_t began;

  watchdog_set((unsigned)(2 * STUCK / SECOND));
  seed = rng_seed_of(argc, argv);
  rendezvous_init(&place, ACTORS + 1);
  tokens_init();
  began = pkd_now();
  for (unsigned i = 0; i < ACTORS; i++) {
    actors[i].number = i;
    actors[i].rng = rng_stream(seed, i);
    pthread_create(&threads[i], NULL, i < WORKERS ? worker_main : loop_main,
                   &actors[i]);
  }
  pthread_create(&watcher, NULL, watch, NULL);
  run_all(&options);
  over = true;
  meet();
  for (unsigned i = 0; i < ACTORS; i++)
    pthread_join(threads[i], NULL);
  print_figures(stdout, pkd_now() - began);
  if (options.figures != NULL) {
    FILE* to = fopen(options.figures, "w");

    if (to != NULL) {
      print_figures(to, pkd_now() - began);
      failures += fclose(to) != 0;
    } else {
      failures++;
    }
  }
  return failures != 0;
}
