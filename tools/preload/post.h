/* SPDX-License-Identifier: MIT
 *
 * post.h - a release that a signal handler may call. */
#ifndef PKD_PRELOAD_POST_H
#define PKD_PRELOAD_POST_H

#include <parkade/sem.h>

/** pkd_sem_release(s, 1), from anywhere.
 *
 * @return 0; -EOVERFLOW */
int post(pkd_sem_t* s);

#endif
