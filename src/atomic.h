/* SPDX-License-Identifier: MIT
 *
 * atomic.h - atomic operations whose name says their memory order.
 *
 * The only file that spells an order, but for the inline functions of public
 * headers, which cannot include it; so no order can be left to a default. Plain
 * integers and the compiler's builtins: public structs stay plain (C++ can include
 * them), and the explorer and ThreadSanitizer see each operation with its order.
 * There is no fence here and there will be none: both tools read the order on the
 * operation and misread fences. */
#ifndef PKD_ATOMIC_H
#define PKD_ATOMIC_H

#include <stdbool.h>

#define pkd__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define pkd__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define pkd__load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

#define pkd__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define pkd__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define pkd__store_seq_cst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

#define pkd__exchange_relaxed(p, v)                                            \
  __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define pkd__exchange_acquire(p, v)                                            \
  __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define pkd__exchange_release(p, v)                                            \
  __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define pkd__exchange_acq_rel(p, v)                                            \
  __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

#define pkd__add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define pkd__add_acquire(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQUIRE)
#define pkd__add_release(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELEASE)
#define pkd__add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define pkd__sub_relaxed(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELAXED)
#define pkd__sub_release(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_RELEASE)
#define pkd__sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define pkd__or_relaxed(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELAXED)
#define pkd__or_release(p, v) __atomic_fetch_or((p), (v), __ATOMIC_RELEASE)
#define pkd__and_relaxed(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELAXED)
#define pkd__and_release(p, v) __atomic_fetch_and((p), (v), __ATOMIC_RELEASE)

/* Compare and swap. On failure *old holds what was there, read relaxed: every
 * caller looks again before it believes anything. */
#define pkd__cas_relaxed(p, old, v)                                            \
  __atomic_compare_exchange_n((p), (old), (v), false, __ATOMIC_RELAXED,        \
                              __ATOMIC_RELAXED)
#define pkd__cas_acquire(p, old, v)                                            \
  __atomic_compare_exchange_n((p), (old), (v), false, __ATOMIC_ACQUIRE,        \
                              __ATOMIC_RELAXED)
#define pkd__cas_release(p, old, v)                                            \
  __atomic_compare_exchange_n((p), (old), (v), false, __ATOMIC_RELEASE,        \
                              __ATOMIC_RELAXED)
#define pkd__cas_acq_rel(p, old, v)                                            \
  __atomic_compare_exchange_n((p), (old), (v), false, __ATOMIC_ACQ_REL,        \
                              __ATOMIC_RELAXED)

#endif
