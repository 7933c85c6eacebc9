/* SPDX-License-Identifier: MIT
 *
 * stuck.h - loop B is stalled, and what it was granted is taken back.
 *
 * It is stalled by the test, for as long as the test likes, so that no test depends
 * on when the grant is taken back. Before an order of answers is looked at, loop B
 * has all the patience it needs again. */
#ifndef PKD_TEST_STUCK_H
#define PKD_TEST_STUCK_H

#include "actors.h"

/** A grant timeout, in ms, that a stalled loop is soon over. */
#define SHORT 5

/** Sets the grant timeout of loop B, in ms; 0 is none. */
void be_patient(uint64_t ms);

pkd_loop_grants_t grants_of_b(void);

/** Waits until so many grants of loop B were taken back. */
void await_revoked(uint64_t count);

/** Loop B goes on, without a grant timeout, and has come to all it was posted. */
void wake_b(void);

#endif
