/* SPDX-License-Identifier: MIT
 *
 * workloads.h - what is measured; one file each. */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

void work_mutex_alone(void);
void work_mutex_contended(void);
void work_mutex_wake(void);
void work_alone(void);
void work_fair(void);
void work_cond(void);
void work_lot(void);
void work_rwlock(void);
void work_sizes(void);
#ifdef BENCH_ASYNC
void work_async(void);
void work_locked(void);
void work_keyed(void);
#endif

#endif
