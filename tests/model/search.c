/* SPDX-License-Identifier: MIT
 *
 * search.c - which choice is taken.
 *
 * An execution is its list of choices: {how many options, which was taken}. A
 * choice with one option is none and is not in the list. Depth first keeps the
 * list from one execution to the next, changes its last entry that has options
 * left and cuts what follows; when there is no such entry, every execution
 * within the bounds has been seen. Option 0 is the usual one (go on with the
 * thread that runs, read the newest value), so that the first execution is the
 * one without interference and a schedule string ends in zeros, which are not
 * printed.
 *
 * A replayed prefix must meet the options it met before. If it does not, the
 * explored code read something that is not modelled (time, an address, memory
 * of the last execution): an error of its own, EXPLORE_CHANGED.
 *
 * The cache: two executions whose threads have the same histories (what each
 * did and saw, in which order per location) have come to the same state; with
 * the same budget left the same futures follow, and the second is cut there.
 * That saves a factor of 2 to 200, and the more the fewer are forgotten: the table
 * grows with what it holds, as long as there is memory. A state is known by a
 * 64-bit hash, so a collision could hide executions; with a million states the odds
 * are one in eighteen million, with a hundred million one in two thousand. */
#include "engine.h"

#include <stdlib.h>

#define CHOICES 4096
#define CACHE_BITS 16 /* at first */
#define DROPS 8

typedef struct choice {
  uint8_t options;
  uint8_t taken;
} choice_t;

static ex_options_t opt;
static choice_t choices[CHOICES];
static int depth; /* choices made in this execution */
static int fixed; /* choices that this execution has to repeat */
static bool started;
static int longest; /* steps of the longest execution, for PCT */
static int drops[DROPS];
static uint64_t rng;
static const char* replay;
static uint64_t* cache;
static int cache_bits;
static uint64_t cached;
static char text[CHOICES + 1];

static uint64_t draw(void) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return rng;
}

static void cache_begin(void) {
  free(cache);
  cache = NULL;
  cached = 0;
  if (!opt.cache)
    return;
  cache_bits = CACHE_BITS;
  cache = calloc((size_t)1 << cache_bits, sizeof *cache);
  if (cache == NULL)
    abort();
}

/* @return where the state is, or where its place would be */
static uint64_t* cache_find(uint64_t state) {
  uint64_t mask = ((uint64_t)1 << cache_bits) - 1;
  uint64_t i = state >> 1 & mask; /* the last bit is set in each */

  while (cache[i] != 0 && cache[i] != state)
    i = (i + 1) & mask;
  return &cache[i];
}

/* Between two executions, for in one nothing may be allocated behind its back. */
static void cache_grow(void) {
  uint64_t* old = cache;
  uint64_t size = (uint64_t)1 << cache_bits;

  if (cached < size / 4)
    return;
  cache = calloc(2 * size, sizeof *cache);
  if (cache == NULL) {
    cache = old;
    return;
  }
  cache_bits++;
  for (uint64_t i = 0; i < size; i++)
    if (old[i] != 0)
      *cache_find(old[i]) = old[i];
  free(old);
}

void ex_search_begin(const ex_options_t* options) {
  opt = *options;
  rng = ex_mix(opt.seed, 1) | 1;
  depth = fixed = longest = 0;
  started = false;
  cache_begin();
}

/* Depth first: the last choice with an option left. */
static bool backtrack(void) {
  int last = depth - 1;

  while (last >= 0 && choices[last].taken + 1 >= choices[last].options)
    last--;
  if (last < 0)
    return false;
  choices[last].taken++;
  fixed = last + 1;
  return true;
}

bool ex_search_next(void) {
  if (started && (opt.mode == EX_REPLAY || opt.mode == EX_BYTES))
    return false;
  if (started && opt.mode == EX_DFS && !backtrack())
    return false;
  if (cache != NULL)
    cache_grow();
  if (ex.steps > longest)
    longest = ex.steps;
  if (opt.mode == EX_PCT)
    for (int i = 0; i < opt.depth - 1 && i < DROPS; i++)
      drops[i] = 1 + (int)(draw() % (uint64_t)(longest > 0 ? longest : 40));
  replay = opt.schedule;
  depth = 0;
  started = true;
  return true;
}

static int digit(char c) {
  return c >= 'a' ? c - 'a' + 10 : c - '0';
}

static int first_visit(int options, ex_choice_t what) {
  switch (opt.mode) {
  case EX_REPLAY: {
    int taken = replay != NULL && *replay != '\0' ? digit(*replay++) : 0;
    if (taken >= 0 && taken < options)
      return taken;
    ex_fail(EXPLORE_CHANGED,
            "the schedule does not fit: choice %d has %d "
            "options",
            depth, options);
  }
  case EX_BYTES:
    if (opt.length == 0)
      return 0;
    opt.length--;
    return *opt.bytes++ % options;
  case EX_RANDOM:
  case EX_PCT:
    /* old values are rare in life, and too many of them hide the rest */
    if (what == EX_WHICH_STORE && draw() % 4 != 0)
      return 0;
    return (int)(draw() % (uint64_t)options);
  case EX_DFS:
    break;
  }
  return 0;
}

int ex_search_pick(int options, ex_choice_t what) {
  int taken;

  if (options == 1)
    return 0;
  if (opt.mode == EX_DFS && depth < fixed) {
    taken = choices[depth].taken;
    if (choices[depth].options != options)
      ex_fail(EXPLORE_CHANGED, "choice %d had %d options, now it has %d", depth,
              choices[depth].options, options);
  } else {
    taken = first_visit(options, what);
  }
  ex_search_note(options, taken);
  return taken;
}

void ex_search_note(int options, int taken) {
  if (options == 1)
    return;
  if (depth == CHOICES)
    ex_fail(EXPLORE_LIVELOCK, "more than %d choices", CHOICES);
  choices[depth].options = (uint8_t)options;
  choices[depth].taken = (uint8_t)taken;
  depth++;
}

bool ex_search_is_pct(void) {
  return opt.mode == EX_PCT;
}

int ex_search_priority(void) {
  return opt.mode == EX_PCT ? (int)(draw() % 1000) : 0;
}

bool ex_search_drops(int step) {
  for (int i = 0; i < opt.depth - 1 && i < DROPS; i++)
    if (drops[i] == step)
      return true;
  return false;
}

bool ex_search_chance(int one_in) {
  return draw() % (uint64_t)one_in == 0;
}

bool ex_search_seen(uint64_t state) {
  uint64_t* place;

  if (cache == NULL || opt.mode != EX_DFS || depth < fixed)
    return false;
  place = cache_find(state | 1);
  if (*place != 0)
    return true;
  if (cached < ((uint64_t)1 << cache_bits) / 2) {
    *place = state | 1;
    cached++;
  }
  return false;
}

const char* ex_search_schedule(void) {
  int end = 0;

  for (int i = 0; i < depth; i++) {
    int taken = choices[i].taken;
    text[i] = (char)(taken < 10 ? '0' + taken : 'a' + taken - 10);
    if (taken != 0)
      end = i + 1;
  }
  text[end] = '\0';
  return text;
}
