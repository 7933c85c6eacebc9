/* SPDX-License-Identifier: MIT
 *
 * mutex_tokens.h - how a sleeper of the mutex's queue learns what woke it.
 *
 * The condition moves its waiters into that queue, so both files speak this. */
#ifndef PKD_MUTEX_TOKENS_H
#define PKD_MUTEX_TOKENS_H

#include <parkade/mutex.h>

enum pkd__mutex_token {
  PKD__TOKEN_NONE,
  PKD__TOKEN_WAKER,  /* compete for it: you are the designated waker (bit W) */
  PKD__TOKEN_HANDOFF /* it is yours already */
};

/** Locks after a sleep that ended with `token`. Otherwise
 * pkd_mutex_lock_cancellable; `cancel` may be NULL. */
int pkd__mutex_lock_woken(pkd_mutex_t* m, const pkd_cancel_t* cancel,
                          pkd_deadline_t deadline, uint64_t token);

/** Told that a waiter left the mutex's queue by itself. A pkd_removed_cb. */
void pkd__mutex_gave_up(void* m, const void* key, int was_last);

#endif
