/* SPDX-License-Identifier: MIT
 *
 * base.h - what every header of Parkade shares: export, time, errors.
 *
 * Time is monotonic and in nanoseconds. A deadline is a point on that clock;
 * functions ending in _until take one, functions ending in _for take a span.
 *
 * An object is never NULL, unless a function says what that means: the calls for
 * threads do not look, and fault (those for loops answer UV_EINVAL).
 *
 * Errors are 0 or a negative errno, as in libuv (on Unix the numbers are the
 * same). errno itself is never set. */
#ifndef PARKADE_BASE_H
#define PARKADE_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/** The version these headers belong to. */
#define PKD_VERSION_MAJOR 0

/** See PKD_VERSION_MAJOR. */
#define PKD_VERSION_MINOR 1

/** See PKD_VERSION_MAJOR. */
#define PKD_VERSION_PATCH 0

#if defined(__GNUC__)
/** On a declaration: the library exports it. */
#define PKD_API __attribute__((visibility("default")))
#else
#error "Parkade needs the __atomic builtins and attributes of GCC or Clang"
#endif

/** The deadline passed and the lock is *not* held: what a wait that gives its
 * lock up and takes it again answers when the lock was not to be had in time. */
#define PKD_ENOTHELD (-ENOLCK)

/* A name of its own for each scoped section, so that sections can nest. */
#define PKD__JOIN(a, b) a##b
#define PKD__NAME(prefix, number) PKD__JOIN(prefix, number)

#ifdef __cplusplus
extern "C" {
#endif

/** A point on the clock of pkd_now(), in nanoseconds. */
typedef uint64_t pkd_deadline_t;

/** The deadline that never comes. */
#define PKD_FOREVER UINT64_MAX

/** What ends a wait from outside: see cancel.h. */
typedef struct pkd_cancel pkd_cancel_t;

/** The present, in nanoseconds of the monotonic clock.
 *
 * @return a time that never goes back; its zero means nothing
 * Blocks:    no
 * Threads:   any, signal handlers too */
PKD_API pkd_deadline_t pkd_now(void);

/** The deadline `ns` nanoseconds from now.
 *
 * @param ns  a span; one too long for the clock gives PKD_FOREVER
 * @return the deadline
 * Blocks:    no
 * Threads:   any, signal handlers too */
PKD_API pkd_deadline_t pkd_after(uint64_t ns);

/** A number that tells the calling thread from every other living thread.
 *
 * @return never 0; a number may return once its thread has ended
 * Blocks:    no
 * Threads:   any */
PKD_API uintptr_t pkd_thread_id(void);

#ifdef __cplusplus
}
#endif

#endif
