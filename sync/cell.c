/* SPDX-License-Identifier: MIT
 *
 * cell.c - cells too big for one machine word. The counter in front is drawn in
 * word/cell.h.
 *
 * Why a copy that is accepted is whole, without a fence: each piece of the value
 * is stored with release and loaded with acquire. A reader that loads a piece of
 * a later change therefore sees, in its last look at the counter, at least the
 * lock that was taken before that piece was stored: not the number it began with.
 * And the acquire of its first look shows it every piece of the change that set
 * that number. (With relaxed pieces the last look could be ahead of them. On
 * x86 all of these are plain moves.)
 *
 * A reader that was disturbed PATIENCE times takes the lock and copies under it,
 * so writers cannot starve it. Nobody holds the lock but for a copy, so waiting
 * is spinning first; everybody who sleeps is woken at the end of the change that
 * was in the way, in the step that rewrites the counter. That is also the last
 * touch. */
#include <parkade/cell.h>

#include <parkade/lot.h>

#include <string.h>

#include "atomic.h"
#include "spin.h"
#include "word/cell.h"

_Static_assert(PKD__CELL_LOCKED == 1 && PKD__CELL_PARKED == 2 &&
                   PKD__CELL_VERSION == 4,
               "the header counts as the word");

/* How often a reader is disturbed before it shuts writers out. */
#define PATIENCE 8u

/* --- copying ---------------------------------------------------------------- */

/* Whole pieces first: a copy of four bytes is one move, one of "up to four" a
 * call. */
static void copy_out(const uint32_t* pieces, void* out, size_t size) {
  unsigned char* to = out;
  size_t at;
  uint32_t piece;

  for (at = 0; at + 4 <= size; at += 4) {
    /* (V1) acquire, pairs with (V2): with a piece of a later value comes the
     * number under which it is written, so the look at it afterwards tells. */
    piece = pkd__load_acquire(&pieces[at / 4]);
    memcpy(to + at, &piece, 4);
  }
  if (at < size) {
    piece = pkd__load_acquire(&pieces[at / 4]); /* (V1) */
    memcpy(to + at, &piece, size - at);
  }
}

static void copy_in(uint32_t* pieces, const void* in, size_t size) {
  const unsigned char* from = in;
  size_t at;
  uint32_t piece = 0;

  for (at = 0; at + 4 <= size; at += 4) {
    memcpy(&piece, from + at, 4);
    /* (V2) release, pairs with (V1). */
    pkd__store_release(&pieces[at / 4], piece);
  }
  if (at < size) {
    piece = 0;
    memcpy(&piece, from + at, size - at);
    pkd__store_release(&pieces[at / 4], piece); /* (V2) */
  }
}

/* --- the lock of those who change it ---------------------------------------- */

static int still_locked(void* counter) {
  uint32_t* word = counter;
  uint32_t old = pkd__load_relaxed(word); /* relaxed: the exchange decides */

  while (!pkd__cell_is_quiet(old)) {
    /* relaxed: the lot's lock orders the queue */
    if ((old & PKD__CELL_PARKED) != 0 ||
        pkd__cas_relaxed(word, &old, pkd__cell_waited(old)))
      return 1;
  }
  return 0;
}

/* A change is under way: lets it come to its end. */
static void wait_a_little(const uint32_t* word, pkd__spin_t* spin) {
  pkd_park_t how = {0};

  if (pkd__spin(spin))
    return;
  how.validate = still_locked;
  how.arg = (void*)(uintptr_t)word; /* only written while a writer writes */
  pkd_lot_park(word, &how, PKD_FOREVER, NULL);
  *spin = (pkd__spin_t)PKD__SPIN_INIT;
}

static void lock(uint32_t* word) {
  pkd__spin_t spin = PKD__SPIN_INIT;

  for (;;) {
    uint32_t old = pkd__load_relaxed(word); /* relaxed: the exchange decides */

    /* (V3) acquire, pairs with (V4): the value as the last change left it. */
    if (!pkd__cell_is_quiet(old))
      wait_a_little(word, &spin);
    else if (pkd__cas_acquire(word, &old, pkd__cell_locked(old)))
      return;
  }
}

struct end {
  uint32_t* word;
  bool changed;
};

static pkd_unpark_op_t wake_all(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_WAKE;
}

/* Under the lot's lock. */
static uint64_t rewrite(void* arg, const pkd_unpark_result_t* result) {
  const struct end* end = arg;
  /* relaxed: only the holder, which we are, and this lock change it */
  uint32_t old = pkd__load_relaxed(end->word);

  (void)result;
  /* (V4) release, pairs with (V3) and (V5). */
  pkd__store_release(end->word, pkd__cell_ended(old, end->changed));
  return 0;
}

static void unlock(uint32_t* word, bool changed) {
  struct end end = {word, changed};
  uint32_t old = pkd__load_relaxed(word); /* relaxed: the exchange decides */

  /* (V4) */
  if ((old & PKD__CELL_PARKED) != 0 ||
      !pkd__cas_release(word, &old, pkd__cell_ended(old, changed)))
    pkd_lot_unpark_filter(word, wake_all, rewrite, &end);
}

/* --- the calls --------------------------------------------------------------- */

/* @return true if `out` is a whole value; false: a change was in the way */
static bool copy_undisturbed(const uint32_t* word, void* out, size_t size) {
  /* (V5) acquire, pairs with (V4): the value that belongs to this number. */
  uint32_t before = pkd__load_acquire(word);

  if (!pkd__cell_is_quiet(before))
    return false;
  copy_out(word + 1, out, size);
  /* relaxed: the acquires of the copy, (V1), keep it behind them */
  return pkd__load_relaxed(word) == before;
}

void pkd__cell_load_long(const uint32_t* word, void* out, size_t size) {
  pkd__spin_t spin = PKD__SPIN_INIT;
  uint32_t* writable = (uint32_t*)(uintptr_t)word;

  for (unsigned i = 0; i < PATIENCE; i++) {
    if (copy_undisturbed(word, out, size))
      return;
    /* relaxed: a hint */
    if (!pkd__cell_is_quiet(pkd__load_relaxed(word)))
      wait_a_little(word, &spin);
  }
  lock(writable); /* writers are about: shared memory is being written anyway */
  copy_out(word + 1, out, size);
  unlock(writable, false);
}

void pkd__cell_swap_long(uint32_t* word, const void* in, void* out,
                         size_t size) {
  unsigned char piece[64];

  lock(word);
  if (out == NULL)
    copy_in(word + 1, in, size);
  for (size_t at = 0; out != NULL && at < size; at += sizeof piece) {
    size_t length = size - at < sizeof piece ? size - at : sizeof piece;

    /* Piece by piece, since `in` and `out` may be one. */
    copy_out(word + 1 + at / 4, piece, length);
    copy_in(word + 1 + at / 4, (const unsigned char*)in + at, length);
    memcpy((unsigned char*)out + at, piece, length);
  }
  unlock(word, true);
}

void pkd__cell_end_long(uint32_t* word) {
  unlock(word, true);
}

int pkd__cell_cas_long(uint32_t* word, void* expected, const void* desired,
                       size_t size) {
  unsigned char* want = expected;
  bool same = true;

  lock(word);
  for (size_t at = 0; at < size && same; at += 4) {
    /* relaxed: under the lock */
    uint32_t piece = pkd__load_relaxed(&word[1 + at / 4]);

    same = memcmp(&piece, want + at, size - at < 4 ? size - at : 4) == 0;
  }
  if (same)
    copy_in(word + 1, desired, size);
  else
    copy_out(word + 1, expected, size);
  unlock(word, same);
  return same;
}
