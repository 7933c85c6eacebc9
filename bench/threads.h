/* SPDX-License-Identifier: MIT
 *
 * threads.h - n threads that start together, and the clock they share. */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_MAX_THREADS = 64 };

/** Runs body(parts + i * stride) in n threads, released together.
 *
 * @param ms    0: they end by themselves; otherwise *stop is set after that long
 * @return wall nanoseconds from the release to the end of the last one */
uint64_t threads_run(unsigned n, void (*body)(void*), void* parts,
                     size_t stride, unsigned ms, uint32_t* stop);

/** For the calling thread: what threads_sleeps() looks at; close() it. */
int threads_watch(void);

/** Does the thread that called threads_watch() sleep just now? */
int threads_sleeps(int watch);

/** The median; sorts. */
uint64_t bench_median(uint64_t* ns, unsigned count);

/** Starts a thread that sleeps until the program ends. glibc's locks do without
 * atomic instructions while there is one thread, where nobody needs a lock. */
void threads_company(void);

#endif
