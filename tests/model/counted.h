/* SPDX-License-Identifier: MIT
 *
 * counted.h - in a build with coverage only, before all of an explored source:
 * what an execution that is given up has not reached is not to count.
 *
 * The explorer leaves a thread where it stands when an execution is over, inside
 * an atomic operation. Counters are on some edges of a function; the others are
 * reckoned from what flows in and out, and a call may swallow some of it: that
 * has an edge of its own. A built-in has none, so who stays in it would be
 * counted further down. Hence a call after each, in the same block. */
#ifndef PKD_MODEL_COUNTED_H
#define PKD_MODEL_COUNTED_H

__attribute__((noipa, unused, no_profile_instrument_function,
               no_sanitize("thread"))) static void
went_on(void) {}

#define PKD_WENT_ON(operation)                                                 \
  __extension__({                                                              \
    __auto_type result = operation;                                            \
    went_on();                                                                 \
    result;                                                                    \
  })

#define __atomic_load_n(...) PKD_WENT_ON(__atomic_load_n(__VA_ARGS__))
#define __atomic_exchange_n(...) PKD_WENT_ON(__atomic_exchange_n(__VA_ARGS__))
#define __atomic_fetch_add(...) PKD_WENT_ON(__atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) PKD_WENT_ON(__atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_or(...) PKD_WENT_ON(__atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_and(...) PKD_WENT_ON(__atomic_fetch_and(__VA_ARGS__))
#define __atomic_compare_exchange_n(...)                                       \
  PKD_WENT_ON(__atomic_compare_exchange_n(__VA_ARGS__))
#define __atomic_store_n(...)                                                  \
  __extension__({                                                              \
    __atomic_store_n(__VA_ARGS__);                                             \
    went_on();                                                                 \
  })

#endif
