#!/bin/sh
# SPDX-License-Identifier: MIT
#
# build.sh CARGO SOURCE PRIVATE OUTPUT - the Rust peers as one static library,
# from the crates that Debian installs. Cargo wants to write beside its
# Cargo.toml, so it gets a copy.
set -eu
cargo=$1 source=$2 private=$3 output=$4

mkdir -p "$private/.cargo"
cp -R "$source/Cargo.toml" "$source/src" "$private"
cat > "$private/.cargo/config.toml" <<'EOF'
[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
EOF
out=$(realpath "$output")
cd "$private"
"$cargo" build --quiet --release --offline
cp target/release/libbench_peers.a "$out"
