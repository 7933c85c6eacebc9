// SPDX-License-Identifier: MIT
//
// lib.rs - the peers that are written in Rust, in the tables of peer.h.

mod body;
mod sync;
mod tasks;

extern "C" {
    pub fn bench_now() -> u64;
}
