/* SPDX-License-Identifier: MIT
 *
 * samples.h - every latency of a run, kept whole, so percentiles are exact. */
#ifndef BANK_SAMPLES_H
#define BANK_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. */
struct samples {
  uint64_t* values;
  size_t count;
  size_t capacity;
};

void samples_add(struct samples* samples, uint64_t value);

/* The value that `percent` of all are not above; sorts. 0 without samples. */
uint64_t samples_percentile(struct samples* samples, double percent);

void samples_free(struct samples* samples);

#endif
