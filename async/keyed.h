/* SPDX-License-Identifier: MIT
 *
 * keyed.h - the halves of a keyed call, for who starts one by itself. */
#ifndef PKD_ASYNC_KEYED_H
#define PKD_ASYNC_KEYED_H

#include <parkade/async/keyed.h>
#include <parkade/async/sem.h>

/** Copies the key into a request that may be started, and touches no other.
 * @return 0 or what the lock functions return */
int pkd__keyed_prepare(pkd_req_t* req, pkd_async_keyed_t* keyed,
                       const void* key, size_t length);

/** The address under which requests for the key stand in the lot. */
void* pkd__keyed_name(const pkd_async_keyed_t* keyed, const void* key,
                      size_t length);

/** Can `n` permits of `sem` ever be had? @return 0 or UV_EINVAL */
int pkd__sem_check(const pkd_async_sem_t* sem, uint32_t n);

#endif
