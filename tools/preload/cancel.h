/* SPDX-License-Identifier: MIT
 *
 * cancel.h - pthread_cancel() as a token of each thread. */
#ifndef PKD_PRELOAD_CANCEL_H
#define PKD_PRELOAD_CANCEL_H

#include <parkade/cancel.h>

/** What ends a wait of the calling thread that is a cancellation point; or NULL. */
const pkd_cancel_t* cancel_token(void);

/** A wait ended with -ECANCELED, and all is as the cleanup handlers are to find
 * it. Does not return, unless the thread does not want to be cancelled now. */
void cancel_act(void);

#endif
