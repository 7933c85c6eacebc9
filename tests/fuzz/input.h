/* SPDX-License-Identifier: MIT
 *
 * input.h - a fuzzer's bytes, read as choices.
 *
 * Where they end, every choice is 0: so a shorter input is a prefix of what a
 * longer one does, and a crash can be made smaller. */
#ifndef PKD_FUZZ_INPUT_H
#define PKD_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input {
  const uint8_t* bytes;
  size_t left;
};

/** libFuzzer's entry; replay.c calls it as well. */
int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t length);

/** @return 0 .. limit - 1; `limit` is at most 256 */
static inline unsigned input_below(struct input* in, unsigned limit) {
  if (in->left == 0)
    return 0;
  in->left--;
  return *in->bytes++ % limit;
}

#endif
