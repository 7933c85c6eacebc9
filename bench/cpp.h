/* SPDX-License-Identifier: MIT
 *
 * cpp.h - what peers/cpp.cc has: loops of `count` operations. */
#ifndef BENCH_CPP_H
#define BENCH_CPP_H

#include <stdint.h>

void cpp_guard(uint64_t count);  /* std::lock_guard<parkade::mutex> */
void c_guard(uint64_t count);    /* the same in C calls */
void cpp_shared(uint64_t count); /* std::shared_lock<parkade::shared_mutex> */
void c_shared(uint64_t count);
void std_sem(uint64_t count); /* std::counting_semaphore */
void std_once(uint64_t count);
void std_re(uint64_t count);
/** co_await of a free async mutex, and its unlock. @return nanoseconds */
uint64_t cpp_await(uint64_t count);

#endif
