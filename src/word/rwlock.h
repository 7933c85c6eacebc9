/* SPDX-License-Identifier: MIT
 *
 * rwlock.h - the word of pkd_rwlock_t: its picture and its moves.
 *
 *   31                5   4   3   2   1   0
 *  +--------------------+---+---+---+---+---+
 *  |      readers       | K | Q | P | U | H |   all zero = free
 *  +--------------------+---+---+---+---+---+
 *   readers  how many hold it for reading, and those of the fast path who are
 *            just finding out, by H or P, that they may not: such a one takes
 *            itself off again, and wakes as if it had held it.
 *   H HELD   for writing, or by one who passes it on. Never wrong.
 *   U UPGRADABLE  held by one reader who may become the writer; not counted among
 *            the readers. Never wrong.
 *   P PENDING  a writer or an upgrader waits; new readers do not enter. May be
 *            cleared too early by anybody who gets or passes on the lock: a writer
 *            that is awake sets it again, and for one that sleeps there is K, or
 *            the holder of H, who looks into the queue. May be set too long only
 *            by a writer that is giving up, until it has looked into the queue,
 *            and in the child of a fork.
 *   Q QUEUED  somebody is queued here. Changed only under the lot's lock of the
 *            address, where it is exact; too long in the child of a fork.
 *   K WAKING  a writer was woken to compete and has neither got the lock nor gone
 *            back to sleep: nobody else need be woken, and a reader who sees that
 *            it has been so for long may set P for it. Cleared by woken writers
 *            only, perhaps too early (one wake more); too long in the child of a
 *            fork.
 *
 *   who                enters when                       and makes
 *   reader             not H, not P                      readers + 1
 *   recursive reader   not H; P does not matter while    readers + 1
 *                        readers or U are there
 *   upgradable         not H, P, U                       U
 *   writer             not H, U, no readers              H, P cleared
 *   upgrader (has U)   no readers                        H for U, P cleared
 *   Who may not enter and sleeps sets Q, a writer or upgrader P as well.
 *
 *   leaving            looks into the queue when Q and
 *   last reader        U (an upgrader may wait), or not K
 *   other readers      never, but for the last line
 *   upgradable         no readers and not K; or readers and not P
 *   writer             not K; it keeps H until it has passed the lock on
 *   At times one looks in spite of K, and a reader that leaves others behind if not
 *   P, lest a woken writer that gets no processor keeps those asleep waiting; then
 *   two may be on their way.
 *   tests/unit/test_word_rwlock.c walks these rows. */
#ifndef PKD_WORD_RWLOCK_H
#define PKD_WORD_RWLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
  PKD__RW_HELD = 1,
  PKD__RW_UPGRADABLE = 2,
  PKD__RW_PENDING = 4,
  PKD__RW_QUEUED = 8,
  PKD__RW_WAKING = 16,
  PKD__RW_READER = 32
};

/* So many readers are refused, long before the count runs over: the rest is for
 * those who are finding out. */
#define PKD__RW_READERS_MAX (UINT32_C(1) << 26)

/** A time in the sixteen bits beside the word: units of 16 us, for spans below a
 * second. */
static inline uint16_t pkd__rw_stamp(uint64_t ns) {
  return (uint16_t)(ns >> 14);
}

/** Was a writer that was woken then under way for too long, now? 100 us are some
 * times what a wake costs, and much less than the time slice for which readers
 * can keep it from a processor. */
static inline bool pkd__rw_is_late(uint16_t woken, uint64_t now) {
  return (uint16_t)(pkd__rw_stamp(now) - woken) > 6;
}

/** How somebody wants the lock. */
enum pkd__rw_mode {
  PKD__RW_READ,
  PKD__RW_RECURSIVE,
  PKD__RW_UP,
  PKD__RW_WRITE,
  PKD__RW_UPGRADE
};

/** Is one who has it so counted among the readers? */
static inline bool pkd__rw_is_counted(enum pkd__rw_mode mode) {
  return mode == PKD__RW_READ || mode == PKD__RW_RECURSIVE;
}

static inline uint32_t pkd__rw_readers(uint32_t word) {
  return word / PKD__RW_READER;
}

static inline bool pkd__rw_is(uint32_t word, uint32_t bits) {
  return (word & bits) != 0;
}

/** Nobody has it in any way. */
static inline bool pkd__rw_is_free(uint32_t word) {
  return pkd__rw_readers(word) == 0 &&
         !pkd__rw_is(word, PKD__RW_HELD | PKD__RW_UPGRADABLE);
}

/** May one enter now? */
static inline bool pkd__rw_may(uint32_t word, enum pkd__rw_mode mode) {
  switch (mode) {
  case PKD__RW_READ:
    return !pkd__rw_is(word, PKD__RW_HELD | PKD__RW_PENDING);
  case PKD__RW_RECURSIVE:
    return !pkd__rw_is(word, PKD__RW_HELD) &&
           (!pkd__rw_is(word, PKD__RW_PENDING) ||
            pkd__rw_is(word, PKD__RW_UPGRADABLE) || pkd__rw_readers(word) != 0);
  case PKD__RW_UP:
    return !pkd__rw_is(word,
                       PKD__RW_HELD | PKD__RW_PENDING | PKD__RW_UPGRADABLE);
  case PKD__RW_WRITE:
    return pkd__rw_is_free(word);
  case PKD__RW_UPGRADE:
  default:
    return pkd__rw_readers(word) == 0;
  }
}

/** After one has entered who might. */
static inline uint32_t pkd__rw_entered(uint32_t word, enum pkd__rw_mode mode,
                                       bool waker) {
  uint32_t writer = word & ~(uint32_t)PKD__RW_PENDING;

  if (waker)
    writer &= ~(uint32_t)PKD__RW_WAKING;
  switch (mode) {
  case PKD__RW_READ:
  case PKD__RW_RECURSIVE:
    return word + PKD__RW_READER;
  case PKD__RW_UP:
    return word | PKD__RW_UPGRADABLE;
  case PKD__RW_WRITE:
    return writer | PKD__RW_HELD;
  case PKD__RW_UPGRADE:
  default:
    return (writer & ~(uint32_t)PKD__RW_UPGRADABLE) | PKD__RW_HELD;
  }
}

/** Does one who waits like this keep new readers out? */
static inline bool pkd__rw_pends(enum pkd__rw_mode mode, bool prefer_readers) {
  return mode == PKD__RW_UPGRADE || (mode == PKD__RW_WRITE && !prefer_readers);
}

/** After one has queued. */
static inline uint32_t pkd__rw_queued(uint32_t word, bool pends, bool waker) {
  if (waker)
    word &= ~(uint32_t)PKD__RW_WAKING;
  return word | PKD__RW_QUEUED | (pends ? PKD__RW_PENDING : 0);
}

/** A reader has left `word` behind; does somebody have to look into the queue? */
static inline bool pkd__rw_reader_must_wake(uint32_t word, bool trust_waking) {
  if (!pkd__rw_is(word, PKD__RW_QUEUED))
    return false;
  if (pkd__rw_readers(word) != 0)
    return !trust_waking && !pkd__rw_is(word, PKD__RW_PENDING);
  return pkd__rw_is(word, PKD__RW_UPGRADABLE) || !trust_waking ||
         !pkd__rw_is(word, PKD__RW_WAKING);
}

/** The same after U was given up. */
static inline bool pkd__rw_up_must_wake(uint32_t word, bool trust_waking) {
  if (pkd__rw_readers(word) == 0)
    return pkd__rw_reader_must_wake(word, trust_waking);
  return (word & (PKD__RW_QUEUED | PKD__RW_PENDING)) == PKD__RW_QUEUED;
}

/** Must the writer pass the lock on through the queue? */
static inline bool pkd__rw_writer_must_wake(uint32_t word, bool trust_waking) {
  return pkd__rw_is(word, PKD__RW_QUEUED) &&
         !(trust_waking && pkd__rw_is(word, PKD__RW_WAKING));
}

/** H given up for `keep`: nothing, U or a reader. Readers come first now, unless
 * writers are preferred. */
static inline uint32_t pkd__rw_released(uint32_t word, uint32_t keep,
                                        bool prefer_writers) {
  word &= ~(uint32_t)PKD__RW_HELD;
  if (!prefer_writers)
    word &= ~(uint32_t)PKD__RW_PENDING;
  return word + keep;
}

/** H passed on: `add` is what those hold who were let in, and what is kept; more
 * says whether the queue goes on, pending whether a writer is in it. */
static inline uint32_t pkd__rw_passed(uint32_t word, uint32_t add, bool pending,
                                      bool waking, bool more) {
  word &= ~(uint32_t)(PKD__RW_HELD | PKD__RW_PENDING | PKD__RW_QUEUED);
  return (word + add) | (pending ? PKD__RW_PENDING : 0) |
         (waking ? PKD__RW_WAKING : 0) | (more ? PKD__RW_QUEUED : 0);
}

#endif
