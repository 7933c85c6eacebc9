/* SPDX-License-Identifier: MIT
 *
 * keyed.h - the halves of a keyed call, and what keys have to do with the lot. */
#ifndef PKD_ASYNC_KEYED_H
#define PKD_ASYNC_KEYED_H

#include <parkade/async/keyed.h>
#include <parkade/async/sem.h>

#include <stdbool.h>

/** Copies the key into a request that may be started, and touches no other.
 * @return 0 or what the lock functions return */
int pkd__keyed_prepare(pkd_req_t* req, pkd_async_keyed_t* keyed,
                       const void* key, size_t length);

/** Copies a key into a request, or its address, if it is long. */
void pkd__key_set(pkd_req_t* req, const pkd_async_keyed_t* keyed,
                  const void* key, size_t length);

/** Are two requests, which stand or stood in one queue, for the same key? */
bool pkd__same_key(const pkd_req_t* a, const pkd_req_t* b);

/** The address under which requests for the key stand in the lot. */
void* pkd__keyed_name(const pkd_async_keyed_t* keyed, const void* key,
                      size_t length);

/** Walks the lot, part by part. Calls `visit` with each name of a key at which
 * somebody stands who is `wanted`; after that nobody there must be so. `wanted` runs
 * under the lot's lock of the name, `visit` without. */
void pkd__keyed_walk(bool (*wanted)(const void* arg, const pkd_req_t* req),
                     void (*visit)(void* arg, const void* name), void* arg);

/** Takes back all keys that lie undelivered in a home that is stuck. */
void pkd__keyed_take_back(struct pkd__home* home);

/** Can `n` permits of `sem` ever be had? @return 0 or UV_EINVAL */
int pkd__sem_check(const pkd_async_sem_t* sem, uint32_t n);

#endif
