/* SPDX-License-Identifier: MIT
 *
 * rng.h - chance that can be had again: xorshift64*, seeded and printed.
 *
 * A test with chance in it calls rng_seed_of(argc, argv) once; that prints the
 * seed, so that a failure in a log can be run again with --seed or PKD_SEED.
 * What the threads' interleaving adds to chance, no seed brings back. */
#ifndef PKD_TEST_RNG_H
#define PKD_TEST_RNG_H

#include <stdint.h>

/** A stream of numbers. One per thread: it is not shared. */
typedef struct rng {
  uint64_t state; /* never 0 */
} rng_t;

/** The seed of this run, printed: `--seed N` among the arguments, else the
 * environment's PKD_SEED, else a new one each time. */
uint64_t rng_seed_of(int argc, char** argv);

/** The stream with this number (a thread's, say) of this seed. */
rng_t rng_stream(uint64_t seed, unsigned number);

/** The next number. */
uint64_t rng_next(rng_t* rng);

/** The next number, less than `limit`, which is not 0. */
uint64_t rng_below(rng_t* rng, uint64_t limit);

#endif
