/* SPDX-License-Identifier: MIT
 *
 * test.h - the one include of a test: cmocka with what it needs before it, and
 * the helpers of this folder. */
#ifndef PKD_TEST_H
#define PKD_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rng.h"
#include "threads.h"
#include "waitfor.h"
#include "watchdog.h"

/** The length of an array. */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/** Whether another program runs this one, an emulator or a loader: then it cannot
 * start itself anew, its memory is not all its own, and who is killed says more
 * than one line. tests/machines says so. */
#define WRAPPED (getenv("PKD_TEST_WRAPPED") != NULL)

/** Fewer rounds under ThreadSanitizer, which runs at a tenth of the pace. */
#if defined(__SANITIZE_THREAD__)
#define PKD_TEST_SLOW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PKD_TEST_SLOW 1
#endif
#endif
#ifndef PKD_TEST_SLOW
#define PKD_TEST_SLOW 0
#endif
#define ROUNDS(n) (PKD_TEST_SLOW ? (n) / 10 + 1 : (n))

#endif
