/* SPDX-License-Identifier: MIT
 *
 * keyed.h - a table of keys that are held, as work_keyed.c measures it. */
#ifndef BENCH_KEYED_H
#define BENCH_KEYED_H

#include <stdint.h>

struct keyed_body {
  void (*begin)(uint64_t keys); /* takes that many */
  /* `count` times gives one of them back and takes it again */
  void (*run)(uint64_t keys, uint64_t count);
  void (*end)(uint64_t keys);
};

/* peers/keyed_map.cc */
extern const struct keyed_body keyed_map;

/** The ith key: no table has them in order. */
static inline uint64_t keyed_key(uint64_t i) {
  return (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/** A number that is not to be foreseen (xorshift, Marsaglia); the same ones for
 * all. */
static inline uint64_t keyed_next(uint64_t* state) {
  uint64_t x = *state;

  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}

#endif
