/* SPDX-License-Identifier: MIT
 *
 * slow_cancel.h - how long the C library's pthread_cancel() takes. */
#ifndef PKD_TEST_PRELOAD_SLOW_CANCEL_H
#define PKD_TEST_PRELOAD_SLOW_CANCEL_H

#include <pthread.h>

#define EXPORTED __attribute__((visibility("default")))

extern EXPORTED long cancel_takes_ms;

EXPORTED int pthread_cancel(pthread_t thread);

#endif
