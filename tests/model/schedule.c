/* SPDX-License-Identifier: MIT
 *
 * schedule.c - the threads of one execution, and who runs next.
 *
 * A thread runs alone until its next operation that others could notice: an
 * atomic access, a sleep, a wake, a yield, its end. There the choice is made,
 * and whoever is chosen does its pending operation at once; without that rule
 * every switch would be counted twice. Plain accesses are no such points: in a
 * program without data races they cannot be noticed, and races are reported.
 *
 * A preemption is a switch away from a thread that could go on and did not ask
 * to yield. Bounding those, and leaving all other switches free, finds nearly
 * every bug with a bound of 2 or 3 (CHESS, PLDI 2007). */
#include "engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef enum what { RUN, TIME_OUT, WAKE_SPURIOUSLY } what_t;

typedef struct option {
  what_t what;
  int thread;
} option_t;

#define OPTIONS (3 * EX_THREADS)

ex_run_t ex;
explore_bounds_t ex_bounds;

static void reschedule(bool yields);

void ex_point(void) {
  ex_thread_t* self = ex_self();

  if (!ex.inside)
    return;
  if (self->fresh) {
    self->fresh = false;
    ex.steps++;
  } else {
    /* Who looks again and again at what does not change asks to yield. */
    reschedule(self->looks >= 2);
  }
}

void explore_yield(void) {
  if (!ex.inside)
    return;
  ex_self()->live = (uintptr_t)__builtin_frame_address(0);
  ex_event(3);
  reschedule(true);
  ex_self()->fresh = true;
}

bool explore_spurious(void) {
  if (ex.spent.spurious >= ex_bounds.spurious || explore_choose(2) == 0)
    return false;
  ex.spent.spurious++;
  return true;
}

int ex_sleep(uint32_t* word, uint32_t expected, uint64_t deadline) {
  ex_thread_t* self = ex_self();

  self->state = EX_PARKED;
  self->word = word;
  self->expected = expected;
  self->deadline = deadline;
  self->result = 0;
  self->looks = 0;
  self->look_pc = NULL;
  reschedule(false);
  self->fresh = true;
  return self->result;
}

bool ex_wake(const uint32_t* word) {
  int asleep[EX_THREADS];
  int count = 0;
  ex_thread_t* woken;

  for (int i = 0; i < ex.threads; i++)
    if (ex.thread[i].state == EX_PARKED && ex.thread[i].word == word)
      asleep[count++] = i;
  if (count == 0)
    return false;
  /* os.h promises that one is woken, not which */
  woken = &ex.thread[asleep[ex_search_pick(count, EX_ENVIRONMENT)]];
  woken->state = EX_RUNNING;
  woken->hash = ex_mix(woken->hash, ex_self()->hash);
  return true;
}

/* --- threads ------------------------------------------------------------- */

static void add_thread(void (*entry)(void* arg), void* arg) {
  int id = ex.threads;
  ex_thread_t* thread = &ex.thread[id];

  if (id == EX_THREADS)
    ex_fail(EXPLORE_CRASH, "more than %d threads", EX_THREADS);
  memset(thread, 0, sizeof *thread);
  thread->entry = entry;
  thread->arg = arg;
  thread->fresh = true;
  thread->hash = (uint64_t)id + 1;
  thread->priority = ex_search_priority();
  thread->live = UINTPTR_MAX;
  ex.threads++;
}

void ex_schedule_begin(void (*body)(void* arg), void* arg) {
  memset(&ex, 0, sizeof ex);
  ex.now = 1000000000;
  add_thread(body, arg);
  ex.thread[0].clock.at[0] = 1;
}

void explore_spawn(void (*entry)(void* arg), void* arg) {
  ex_thread_t* self = ex_self();
  int id = ex.threads;

  add_thread(entry, arg);
  ex.thread[id].clock = self->clock;
  ex.thread[id].clock.at[id] = 1;
  self->clock.at[ex.current]++; /* what follows is not the child's past */
  ex_fiber_make(id);
}

void explore_setup(void (*setup)(void* arg), void* arg) {
  int self = ex.current;
  int other = ex.threads - 1;

  if (ex.begun)
    ex_fail(EXPLORE_CRASH, "a setup, but somebody has run already");
  ex_fiber_swap_tls(self, other);
  ex.current = other;
  ex.inside = false;
  ex.quiet = true;
  setup(arg);
  ex.quiet = false;
  ex.inside = true;
  ex.current = self;
  ex_fiber_swap_tls(other, self);
}

void explore_join(void) {
  ex_self()->live = (uintptr_t)__builtin_frame_address(0);
  ex_self()->state = EX_JOINING;
  reschedule(false);
  ex_self()->fresh = true;
}

int explore_self(void) {
  return ex.current;
}

int explore_choose(int options) {
  int taken = ex_search_pick(options, EX_ENVIRONMENT);

  ex_event(77 + (uint64_t)taken);
  EX_TRACE(__builtin_return_address(0), "choose %d of %d", taken, options);
  return taken;
}

void ex_thread_main(void) {
  ex_thread_t* self = ex_self();

  self->entry(self->arg);
  self->state = EX_DONE;
  self->live = UINTPTR_MAX; /* nothing on its stack is alive */
  ex_event(99);
  EX_TRACE(NULL, "ends");
  reschedule(false);
  ex_leave(); /* nobody continues a thread that is done */
}

/* --- the choice ---------------------------------------------------------- */

static void end_joins(void) {
  for (int i = 0; i < ex.threads; i++) {
    bool all = ex.thread[i].state == EX_JOINING;
    for (int j = 1; j < ex.threads; j++)
      all = all && ex.thread[j].state == EX_DONE;
    if (!all)
      continue;
    ex.thread[i].state = EX_RUNNING;
    for (int j = 1; j < ex.threads; j++)
      ex_clock_join(&ex.thread[i].clock, &ex.thread[j].clock);
  }
}

static int add(option_t* options, int count, what_t what, int thread) {
  options[count].what = what;
  options[count].thread = thread;
  return count + 1;
}

/* All that may happen next; first comes going on as we are. */
static int collect(option_t* options, bool goes_on) {
  bool may_switch = !goes_on || ex.spent.preemptions < ex_bounds.preemptions;
  bool idle = !goes_on;
  int count = 0;

  if (goes_on)
    count = add(options, count, RUN, ex.current);
  for (int i = 0; i < ex.threads; i++)
    if (i != ex.current && ex.thread[i].state == EX_RUNNING) {
      idle = false;
      if (may_switch)
        count = add(options, count, RUN, i);
    }
  /* Nobody else can run: then a yield is no reason to stop. */
  if (idle && ex_self()->state == EX_RUNNING) {
    idle = false;
    count = add(options, count, RUN, ex.current);
  }
  for (int i = 0; i < ex.threads; i++) {
    ex_thread_t* thread = &ex.thread[i];
    if (thread->state != EX_PARKED)
      continue;
    if (thread->deadline != UINT64_MAX &&
        (idle || ex.spent.timeouts < ex_bounds.timeouts))
      count = add(options, count, TIME_OUT, i);
    if (ex.spent.spurious < ex_bounds.spurious)
      count = add(options, count, WAKE_SPURIOUSLY, i);
  }
  return count;
}

/* Nobody can go on: the end, or a deadlock. */
static void stop(void) {
  char who[300];
  int length = 0;
  bool done = true;
  bool lost = false;

  for (int i = 0; i < ex.threads; i++) {
    ex_thread_t* thread = &ex.thread[i];
    done = done && thread->state == EX_DONE;
    if (thread->state != EX_PARKED)
      continue;
    lost = lost || *thread->word != thread->expected;
    length += snprintf(who + length, sizeof who - (size_t)length,
                       "%s T%d sleeps on %s while it is %u, which is %u",
                       length > 0 ? "," : "", i,
                       ex_arena_name((uintptr_t)thread->word), thread->expected,
                       *thread->word);
    if (length > 250)
      break;
  }
  if (done)
    ex_leave();
  ex_fail(lost ? EXPLORE_LOST_WAKEUP : EXPLORE_DEADLOCK, "%s", who);
}

/* PCT (ASPLOS 2010): the highest priority runs; at a few random steps the
 * running thread drops below all others. The rest happens once in 16 times. */
static int pick_by_priority(const option_t* options, int count) {
  int best = -1;
  int other = -1;
  int others = 0;

  if (ex_search_drops(ex.steps))
    ex_self()->priority = -ex.steps;
  for (int i = 0; i < count; i++) {
    if (options[i].what != RUN) {
      others++;
      if (ex_search_chance(others))
        other = i;
    } else if (best < 0 || ex.thread[options[i].thread].priority >
                               ex.thread[options[best].thread].priority) {
      best = i;
    }
  }
  if (best < 0 || (other >= 0 && ex_search_chance(16)))
    best = other;
  ex_search_note(count, best);
  return best;
}

static uint64_t state_hash(bool goes_on) {
  uint64_t sum = 0;
  explore_bounds_t* spent = &ex.spent;
  uint64_t budget;

  for (int i = 0; i < ex.threads; i++)
    sum += ex_mix(ex.thread[i].hash,
                  (uint64_t)i * 8 + (uint64_t)ex.thread[i].state);
  budget = (uint64_t)spent->doubts << 48 | (uint64_t)spent->preemptions << 40 |
           (uint64_t)spent->stale << 32 | (uint64_t)spent->timeouts << 24 |
           (uint64_t)spent->spurious << 16 | (uint64_t)spent->jumps << 8 |
           (uint64_t)spent->failures;
  sum = ex_mix(sum, budget);
  sum = ex_mix(sum, ex.now);
  return ex_mix(sum, (uint64_t)ex.current * 2 + goes_on);
}

static void end_sleep(const option_t* chosen, bool idle) {
  ex_thread_t* thread = &ex.thread[chosen->thread];

  thread->state = EX_RUNNING;
  if (chosen->what == TIME_OUT) {
    if (!idle)
      ex.spent.timeouts++;
    thread->result = -ETIMEDOUT;
    if (thread->deadline > ex.now)
      ex.now = thread->deadline;
  } else {
    ex.spent.spurious++;
  }
  thread->hash = ex_mix(thread->hash, 5 + (uint64_t)chosen->what);
  EX_TRACE(NULL, "-- T%d %s", chosen->thread,
           chosen->what == TIME_OUT ? "times out" : "wakes for no reason");
}

static bool anyone_runs(void) {
  for (int i = 0; i < ex.threads; i++)
    if (ex.thread[i].state == EX_RUNNING)
      return true;
  return false;
}

static void reschedule(bool yields) {
  for (;;) {
    option_t options[OPTIONS];
    bool goes_on = ex_self()->state == EX_RUNNING && !yields;
    int count;
    int taken;

    if (++ex.steps > ex_bounds.steps)
      ex_fail(EXPLORE_LIVELOCK, "more than %d steps", ex_bounds.steps);
    end_joins();
    count = collect(options, goes_on);
    if (count == 0)
      stop();
    if (count > 1 && ex_search_seen(state_hash(goes_on))) {
      ex.pruned = true;
      ex_leave();
    }
    taken = ex_search_is_pct() ? pick_by_priority(options, count)
                               : ex_search_pick(count, EX_WHO);
    if (options[taken].what != RUN) {
      end_sleep(&options[taken], !anyone_runs());
      continue;
    }
    if (options[taken].thread != ex.current) {
      int from = ex.current;
      if (goes_on)
        ex.spent.preemptions++;
      EX_TRACE(NULL, "---- to T%d%s", options[taken].thread,
               goes_on ? " (preempted)" : "");
      ex.current = options[taken].thread;
      ex.begun = true;
      ex_fiber_switch(from, ex.current);
    }
    return;
  }
}
