/* SPDX-License-Identifier: MIT
 *
 * samples.c - percentiles by nearest rank over sorted values.
 *
 * A run of seconds has some ten thousand latencies: they fit in memory, so
 * nothing needs to be estimated. */
#include "samples.h"

#include <stdlib.h>

static int compare(const void* a, const void* b);

void samples_add(struct samples* samples, uint64_t value) {
  if (samples->count == samples->capacity) {
    samples->capacity = samples->capacity == 0 ? 1024 : 2 * samples->capacity;
    samples->values =
        realloc(samples->values, samples->capacity * sizeof *samples->values);
    if (samples->values == NULL)
      abort(); /* as in must.h */
  }
  samples->values[samples->count++] = value;
}

uint64_t samples_percentile(struct samples* samples, double percent) {
  if (samples->count == 0)
    return 0;
  qsort(samples->values, samples->count, sizeof *samples->values, compare);
  size_t rank = (size_t)((double)samples->count * percent / 100.0);
  return samples->values[rank < samples->count ? rank : samples->count - 1];
}

void samples_free(struct samples* samples) {
  free(samples->values);
}

static int compare(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a;
  uint64_t y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}
