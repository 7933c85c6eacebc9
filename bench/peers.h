/* SPDX-License-Identifier: MIT
 *
 * peers.h - the peers that this build has. PEERS is made by meson: one X(table)
 * for each that was found; MISSING: X(name, package) for each that was not. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench_peers.h"
#include "peer.h"

#define X(table) extern const struct peer table;
BENCH_PEERS
#undef X

extern const struct peer peer_two_rmw;

/** All peers, Parkade first, NULL last; floors are not among them. */
extern const struct peer* const bench_peers[];

#endif
