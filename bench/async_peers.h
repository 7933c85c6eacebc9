/* SPDX-License-Identifier: MIT
 *
 * async_peers.h - who is there among the libraries for tasks. */
#ifndef BENCH_ASYNC_PEERS_H
#define BENCH_ASYNC_PEERS_H

#include "async_peer.h"

extern const struct async_peer async_parkade;
extern const struct async_peer async_parkade_overtaking; /* .mixed only */
uint64_t async_parkade_mixed(uint64_t ms, uint64_t* longest);
uint64_t async_parkade_wake(uint64_t count);
uint64_t async_uv_send_wake(uint64_t count);
extern const struct async_peer async_fifo;    /* floor */
extern const struct async_peer async_uv_send; /* floor */
#ifdef BENCH_RUST
extern const struct async_peer async_tokio;
extern const struct async_peer async_async_lock;
/** Bytes of a mutex, a wait for it, a semaphore, a rwlock; 0: it has none. */
void bench_rust_sizes(double* tokio, double* async_lock);
#endif

#endif
