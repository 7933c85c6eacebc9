/* SPDX-License-Identifier: MIT
 *
 * tsan_abi.c - the hooks that instrumented code calls.
 *
 * gcc and clang turn every access of a file compiled with -fsanitize=thread
 * into a call of one of these. Linked without the sanitizer's runtime, they
 * come here: the shipped sources run unchanged under the explorer's scheduler.
 * gcc calls compare_exchange_strong and _weak, clang compare_exchange_val.
 *
 * The macros stamp out one function per width; there is no other way to write
 * two hundred functions whose names are given. */
#include "engine.h"

#define PC __builtin_return_address(0)
#define ADDRESS(p) ((uintptr_t)(p))
#define HOOK __attribute__((noinline)) void
#define HOOK_OF(type) __attribute__((noinline)) type

/* gcc adds flags above the order. */
#define ORDER(order) ((order)&7)

/* The frame of the hook begins where the living frames of the thread end. */
#define NOTE_FRAME()                                                           \
  do {                                                                         \
    if (ex.inside)                                                             \
      ex_self()->live = ADDRESS(__builtin_frame_address(0));                   \
  } while (0)

void __tsan_init(void);
void __tsan_func_entry(void* pc);
void __tsan_func_exit(void);
void __tsan_read_range(void* at, unsigned long size);
void __tsan_write_range(void* at, unsigned long size);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_init(void) {}
void __tsan_func_entry(void* pc) {
  (void)pc;
}
void __tsan_func_exit(void) {}

HOOK __tsan_read_range(void* at, unsigned long size) {
  ex_shadow_access(ADDRESS(at), size, 0, PC);
}

HOOK __tsan_write_range(void* at, unsigned long size) {
  ex_shadow_access(ADDRESS(at), size, EX_WRITE, PC);
}

HOOK __tsan_atomic_thread_fence(int order) {
  NOTE_FRAME();
  ex_fence(ORDER(order), PC);
}

void __tsan_atomic_signal_fence(int order) {
  (void)order;
}

#define PLAIN(name, bytes, kind)                                               \
  void __tsan_##name##bytes(void* at);                                         \
  HOOK __tsan_##name##bytes(void* at) {                                        \
    ex_shadow_access(ADDRESS(at), bytes, kind, PC);                            \
  }

#define PLAIN_WIDTH(bytes)                                                     \
  PLAIN(read, bytes, 0)                                                        \
  PLAIN(write, bytes, EX_WRITE)                                                \
  PLAIN(unaligned_read, bytes, 0)                                              \
  PLAIN(unaligned_write, bytes, EX_WRITE)                                      \
  PLAIN(volatile_read, bytes, 0)                                               \
  PLAIN(volatile_write, bytes, EX_WRITE)

PLAIN_WIDTH(1)
PLAIN_WIDTH(2)
PLAIN_WIDTH(4)
PLAIN_WIDTH(8)
PLAIN_WIDTH(16)

#define RMW(bits, type, name, op)                                              \
  type __tsan_atomic##bits##_##name(volatile type* at, type v, int order);     \
  HOOK_OF(type)                                                                \
  __tsan_atomic##bits##_##name(volatile type* at, type v, int order) {         \
    NOTE_FRAME();                                                              \
    return (type)ex_rmw(ADDRESS(at), bits / 8, op, v, ORDER(order), PC);       \
  }

#define CAS(bits, type, strength)                                              \
  int __tsan_atomic##bits##_compare_exchange_##strength(                       \
      volatile type* at, type* expected, type v, int order, int failure);      \
  HOOK_OF(int)                                                                 \
  __tsan_atomic##bits##_compare_exchange_##strength(                           \
      volatile type* at, type* expected, type v, int order, int failure) {     \
    uint64_t old = *expected;                                                  \
    NOTE_FRAME();                                                              \
    if (ex_cas(ADDRESS(at), bits / 8, &old, v, ORDER(order), ORDER(failure),   \
               PC))                                                            \
      return 1;                                                                \
    *expected = (type)old;                                                     \
    return 0;                                                                  \
  }

#define ATOMIC(bits, type)                                                     \
  type __tsan_atomic##bits##_load(const volatile type* at, int order);         \
  void __tsan_atomic##bits##_store(volatile type* at, type v, int order);      \
  type __tsan_atomic##bits##_compare_exchange_val(                             \
      volatile type* at, type expected, type v, int order, int failure);       \
  HOOK_OF(type)                                                                \
  __tsan_atomic##bits##_load(const volatile type* at, int order) {             \
    NOTE_FRAME();                                                              \
    return (type)ex_load(ADDRESS(at), bits / 8, ORDER(order), PC);             \
  }                                                                            \
  HOOK __tsan_atomic##bits##_store(volatile type* at, type v, int order) {     \
    NOTE_FRAME();                                                              \
    ex_store(ADDRESS(at), bits / 8, v, ORDER(order), PC);                      \
  }                                                                            \
  HOOK_OF(type)                                                                \
  __tsan_atomic##bits##_compare_exchange_val(volatile type* at, type expected, \
                                             type v, int order, int failure) { \
    uint64_t old = expected;                                                   \
    NOTE_FRAME();                                                              \
    ex_cas(ADDRESS(at), bits / 8, &old, v, ORDER(order), ORDER(failure), PC);  \
    return (type)old;                                                          \
  }                                                                            \
  CAS(bits, type, strong)                                                      \
  CAS(bits, type, weak)                                                        \
  RMW(bits, type, exchange, EX_SET)                                            \
  RMW(bits, type, fetch_add, EX_ADD)                                           \
  RMW(bits, type, fetch_sub, EX_SUB)                                           \
  RMW(bits, type, fetch_and, EX_AND)                                           \
  RMW(bits, type, fetch_or, EX_OR)                                             \
  RMW(bits, type, fetch_xor, EX_XOR)                                           \
  RMW(bits, type, fetch_nand, EX_NAND)

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)
