/* SPDX-License-Identifier: MIT
 *
 * rng.c - chance that can be had again: xorshift64*, seeded and printed. */
#include "rng.h"

#include "waitfor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

static uint64_t number_of(const char* text);

uint64_t rng_seed_of(int argc, char** argv) {
  const char* text = getenv("PKD_SEED");
  uint64_t seed = (waitfor_now() ^ (uint64_t)getpid() << 32) % 1000000000;

  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--seed") == 0)
      text = i + 1 < argc ? argv[i + 1] : "";
  }
  if (text != NULL)
    seed = number_of(text);
  printf("seed %" PRIu64 "\n", seed);
  fflush(stdout);
  return seed;
}

/* Neighbouring seeds and numbers must not give neighbouring streams. */
rng_t rng_stream(uint64_t seed, unsigned number) {
  uint64_t mixed = (seed + 1) * GOLDEN + number;
  rng_t rng;

  mixed = (mixed ^ (mixed >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
  mixed = (mixed ^ (mixed >> 32)) * UINT64_C(0x94d049bb133111eb);
  rng.state = mixed == 0 ? GOLDEN : mixed;
  return rng;
}

uint64_t rng_next(rng_t* rng) {
  rng->state ^= rng->state >> 12;
  rng->state ^= rng->state << 25;
  rng->state ^= rng->state >> 27;
  return rng->state * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t rng_below(rng_t* rng, uint64_t limit) {
  return rng_next(rng) % limit;
}

/* A seed that is not a number must not quietly become another. */
static uint64_t number_of(const char* text) {
  char* end;
  uint64_t number = strtoull(text, &end, 10);

  if (end == text || *end != '\0') {
    fprintf(stderr, "rng.c: '%s' is no seed\n", text);
    exit(2);
  }
  return number;
}
