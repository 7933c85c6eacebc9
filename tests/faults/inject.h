/* SPDX-License-Identifier: MIT
 *
 * inject.h - sleeps that end for no reason, on real threads.
 *
 * The system calls in which a waiter sleeps are allowed to return early: a futex
 * by EINTR, by a wake meant for the address's former owner, or just so; a
 * condition too. They seldom do. A program linked with inject.c has its own
 * syscall(), pthread_cond_wait() and pthread_cond_timedwait() in their place, which
 * do so all the time; the library, unchanged, calls those. */
#ifndef PKD_TEST_INJECT_H
#define PKD_TEST_INJECT_H

/** How many sleeps ended for no reason so far. */
unsigned long injected(void);

#endif
