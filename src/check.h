/* SPDX-License-Identifier: MIT
 *
 * check.h - the invariant of a bucket's queues, as a function.
 *
 * What queue.h says in words. Built with -Dchecks=true every bucket is checked
 * whenever its lock is let go, so a broken queue stops the program at the call
 * that broke it and not where somebody stumbles later. */
#ifndef PKD_CHECK_H
#define PKD_CHECK_H

#include <parkade/lot.h>

/** Looks at the queues of a bucket, under its lock: at all of them unless they
 * are many, at all who wait unless it is a crowd.
 *
 * @param root    the head at the top of the bucket's tree, or NULL
 * @param bucket  the bucket's number in the table
 * @return NULL if all is well; otherwise what is wrong */
const char* pkd__queues_fault(const pkd_waiter_t* root, unsigned bucket);

#endif
