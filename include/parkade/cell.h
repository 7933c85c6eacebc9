/* SPDX-License-Identifier: MIT
 *
 * cell.h - PKD_CELL(T): a value that is read and written whole.
 *
 * The data-critical section as one call: copy a struct in, copy it out.
 *
 *   typedef PKD_CELL(struct rates) rates_cell_t;
 *   static rates_cell_t rates;                zeroed memory holds a zeroed T
 *
 *   pkd_cell_load(&rates, &mine);             a copy, never half of one
 *   pkd_cell_store(&rates, &mine);
 *   pkd_cell_swap(&rates, &next, &previous);
 *   while (!pkd_cell_cas(&rates, &seen, &next)) next = improve(seen);
 *
 * A T no bigger than a machine word is one atomic word: never a lock, never a
 * wait. A bigger one has a counter in front: a reader copies, looks whether the
 * counter has moved, and copies again if so; where nobody writes it touches
 * shared memory only to read it, so readers on many processors do not slow each
 * other. A reader that writers disturb again and again shuts them out once.
 * Writers exclude each other. Nothing here runs code of yours, so no call takes
 * longer than a few copies, unless a writer loses its processor in one.
 *
 * T is any type that may be copied by memcpy, in C++ a trivially copyable one,
 * without bit-fields of its own to be kept apart: compare-exchange compares the
 * bytes of T, padding too (zero the structs you pass with memset). A cell
 * is sizeof(T) and at most 8 bytes more, and so aligned that it may be copied
 * word by word.
 *
 * In the child of a fork a change that another thread of the parent was making never
 * ends: fork while nobody changes a cell that the child uses (one of a machine word
 * is no matter).
 *
 * Source: the sequence lock of Linux, with the orders of Boehm's "Can seqlocks get
 * along with programming language memory models?". */
#ifndef PARKADE_CELL_H
#define PARKADE_CELL_H

#include <parkade/analysis.h>
#include <parkade/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One machine word, and how many 32-bit words hold a T: one machine word, or the
 * counter and then T in pieces of 32 bits. */
typedef uintptr_t pkd__cell_word_t __attribute__((may_alias));
#define PKD__CELL_IS_WORD(size) ((size) <= sizeof(uintptr_t))
#define PKD__CELL_WORDS(size)                                                  \
  (PKD__CELL_IS_WORD(size) ? sizeof(uintptr_t) / 4 : 1 + ((size) + 3) / 4)
#define PKD__CELL_ALIGN(size) (PKD__CELL_IS_WORD(size) ? sizeof(uintptr_t) : 4)

/** A cell for a T. Zeroed = a zeroed T. For a name to give to functions, make it
 * a typedef: two uses of PKD_CELL(T) are two types. */
#define PKD_CELL(T)                                                            \
  union {                                                                      \
    uint32_t pkd__word[PKD__CELL_WORDS(sizeof(T))]                             \
        __attribute__((aligned(PKD__CELL_ALIGN(sizeof(T)))));                  \
    __typeof__(T)* pkd__type __attribute__((packed, aligned(4)));              \
  }

/* `pointer`, which must point at the T of the cell or to a const one. */
#define PKD__CELL_A(cell, pointer) (1 ? (pointer) : (cell)->pkd__type)
#define PKD__CELL_SIZE(cell) sizeof(*(cell)->pkd__type)

/* The long paths. Use the macros below. */
PKD_API void pkd__cell_load_long(const uint32_t* word, void* out, size_t size);
PKD_API void pkd__cell_swap_long(uint32_t* word, const void* in, void* out,
                                 size_t size);
PKD_API int pkd__cell_cas_long(uint32_t* word, void* expected,
                               const void* desired, size_t size);
PKD_API void pkd__cell_end_long(uint32_t* word);

/* The long paths once more, where nobody is in the way, for a size that the
 * compiler knows: then a piece is one move. The proof stands in sync/cell.c, the
 * counter in src/word/cell.h: bit 0 locked, bit 1 a queue, and above it the
 * version. */
static inline int pkd__cell_load_fast(const uint32_t* word, void* out,
                                      size_t size) {
  unsigned char* to = (unsigned char*)out;
  /* (V5) acquire, pairs with (V4): the value that belongs to this number. */
  uint32_t before = __atomic_load_n(word, __ATOMIC_ACQUIRE);
  size_t at;

  if ((before & 1) != 0)
    return 0;
  for (at = 0; at < size; at += 4) {
    /* (V1) acquire, pairs with (V2): see sync/cell.c. */
    uint32_t piece = __atomic_load_n(word + 1 + at / 4, __ATOMIC_ACQUIRE);
    __builtin_memcpy(to + at, &piece, size - at < 4 ? size - at : 4);
  }
  return __atomic_load_n(word, __ATOMIC_RELAXED) == before;
}

static inline int pkd__cell_store_fast(uint32_t* word, const void* in,
                                       size_t size) {
  const unsigned char* from = (const unsigned char*)in;
  uint32_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
  size_t at;

  /* (V3) acquire, pairs with (V4): the value as the last change left it. */
  if ((old & 3) != 0 ||
      !__atomic_compare_exchange_n(word, &old, old | 1, 0, __ATOMIC_ACQUIRE,
                                   __ATOMIC_RELAXED))
    return 0;
  for (at = 0; at < size; at += 4) {
    uint32_t piece = 0;
    __builtin_memcpy(&piece, from + at, size - at < 4 ? size - at : 4);
    /* (V2) release, pairs with (V1). */
    __atomic_store_n(word + 1 + at / 4, piece, __ATOMIC_RELEASE);
  }
  old |= 1;
  /* (V4) release, pairs with (V3) and (V5). */
  if (!__atomic_compare_exchange_n(word, &old, old + 3, 0, __ATOMIC_RELEASE,
                                   __ATOMIC_RELAXED))
    pkd__cell_end_long(word); /* somebody waits */
  return 1;
}

static inline pkd__cell_word_t pkd__cell_pack(const void* in, size_t size) {
  pkd__cell_word_t word = 0;
  __builtin_memcpy(&word, in, size);
  return word;
}

static inline void pkd__cell_load(const uint32_t* word, void* out,
                                  size_t size) {
  if (PKD__CELL_IS_WORD(size)) {
    /* (W1) acquire, pairs with (W2) */
    pkd__cell_word_t value = __atomic_load_n(
        (const pkd__cell_word_t*)(const void*)word, __ATOMIC_ACQUIRE);
    __builtin_memcpy(out, &value, size);
  } else {
    if (!pkd__cell_load_fast(word, out, size))
      pkd__cell_load_long(word, out, size);
    PKD__TSAN_SAW((void*)(uintptr_t)word);
  }
}

static inline void pkd__cell_store(uint32_t* word, const void* in,
                                   size_t size) {
  if (PKD__CELL_IS_WORD(size)) {
    /* (W2) release, pairs with (W1) */
    __atomic_store_n((pkd__cell_word_t*)(void*)word, pkd__cell_pack(in, size),
                     __ATOMIC_RELEASE);
  } else {
    PKD__TSAN_SHOWS(word);
    if (!PKD__TSAN_INLINE(pkd__cell_store_fast(word, in, size)))
      pkd__cell_swap_long(word, in, NULL, size);
  }
}

static inline void pkd__cell_swap(uint32_t* word, const void* in, void* out,
                                  size_t size) {
  if (PKD__CELL_IS_WORD(size)) {
    /* (W1) (W2): pairs with either of another call */
    pkd__cell_word_t old =
        __atomic_exchange_n((pkd__cell_word_t*)(void*)word,
                            pkd__cell_pack(in, size), __ATOMIC_ACQ_REL);
    __builtin_memcpy(out, &old, size);
  } else {
    PKD__TSAN_SHOWS(word);
    pkd__cell_swap_long(word, in, out, size);
    PKD__TSAN_SAW(word);
  }
}

static inline int pkd__cell_cas(uint32_t* word, void* expected,
                                const void* desired, size_t size) {
  int done;

  if (PKD__CELL_IS_WORD(size)) {
    pkd__cell_word_t old = pkd__cell_pack(expected, size);
    pkd__cell_word_t next = pkd__cell_pack(desired, size);
    /* (W1) (W2): pairs with either of another call; a failure tells a value
     * too */
    if (__atomic_compare_exchange_n((pkd__cell_word_t*)(void*)word, &old, next,
                                    0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
      return 1;
    __builtin_memcpy(expected, &old, size);
    return 0;
  }
  PKD__TSAN_SHOWS(word);
  done = pkd__cell_cas_long(word, expected, desired, size);
  PKD__TSAN_SAW(word);
  return done;
}

/** Copies the value of `cell` to *out.
 *
 * @param cell  a PKD_CELL(T)*, const or not; may be evaluated twice
 * @param out   a T*
 * Blocks:    no; waits for a change under way, a few copies at most (if the
 *            thread that makes it is preempted: until it runs again)
 * Threads:   any; not from signal handlers, unless T fits a machine word
 * Order:     acquire; pairs with the store of the value */
#define pkd_cell_load(cell, out)                                               \
  pkd__cell_load((cell)->pkd__word, PKD__CELL_A(cell, out),                    \
                 PKD__CELL_SIZE(cell))

/** Makes *in the value of `cell`.
 *
 * @param cell  a PKD_CELL(T)*
 * @param in    a T* or const T*
 * Otherwise as pkd_cell_load. Order: release. */
#define pkd_cell_store(cell, in)                                               \
  pkd__cell_store((cell)->pkd__word, PKD__CELL_A(cell, in),                    \
                  PKD__CELL_SIZE(cell))

/** Makes *in the value of `cell` and copies what it was to *out, in one step.
 *
 * @param in, out  may be the same T
 * Otherwise as pkd_cell_load. Order: acquire and release. */
#define pkd_cell_swap(cell, in, out)                                           \
  pkd__cell_swap((cell)->pkd__word, PKD__CELL_A(cell, in),                     \
                 PKD__CELL_A(cell, out), PKD__CELL_SIZE(cell))

/** Makes *desired the value of `cell` if it is *expected, in one step.
 *
 * @param expected  a T*; gets the value that was found if that was another
 * @param desired   a T* or const T*
 * @return 1 done; 0 not: *expected tells what is there
 * Otherwise as pkd_cell_load. Order: acquire and release if done, else acquire. */
#define pkd_cell_cas(cell, expected, desired)                                  \
  pkd__cell_cas((cell)->pkd__word, PKD__CELL_A(cell, expected),                \
                PKD__CELL_A(cell, desired), PKD__CELL_SIZE(cell))

#ifdef __cplusplus
}
#endif

#endif
