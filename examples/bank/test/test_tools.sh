#!/bin/sh
# SPDX-License-Identifier: MIT
#
# test_tools.sh - redis-cli types at the bank, redis-benchmark loads it.
set -eu

build=${1:?usage: test_tools.sh DIRECTORY}
command -v redis-cli >/dev/null && command -v redis-benchmark >/dev/null || {
  echo 'redis-cli and redis-benchmark are not installed'
  exit 77
}
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT

echo 'open from nine to five' >"$work/notice"
mkfifo "$work/out"
"$build/bank-server" --guard pool --database "$work/bank.db" \
  --notice "$work/notice" --opening 1000000 >"$work/out" &
server=$!
read -r line <"$work/out"
port=${line##*:}

expect() { # the reply to the words after the first is the first
  wanted=$1
  shift
  reply=$(redis-cli -p "$port" "$@")
  [ "$reply" = "$wanted" ] || {
    echo "$*: expected '$wanted', got '$reply'"
    exit 1
  }
}

expect PONG PING
expect OK TRANSFER 1 2 500
expect 999500 BALANCE 1
expect 1000500 BALANCE 2
expect 'open from nine to five' NOTICE
expect "ERR the amount is not a number 'x'" TRANSFER 1 2 x
expect 12 COMMAND COUNT

# Typed, several on one connection, as in a terminal.
typed=$(printf 'PING\nTRANSFER 2 1 500\nBALANCE 1\n' | redis-cli -p "$port")
[ "$typed" = "$(printf 'PONG\nOK\n1000000')" ] || {
  echo "typed: got '$typed'"
  exit 1
}

redis-benchmark -p "$port" -t ping -n 2000 -q >"$work/log"
redis-benchmark -p "$port" -n 500 -c 20 -P 4 -q TRANSFER 3 4 1 >>"$work/log"
if grep -i -e error -e warning "$work/log"; then
  exit 1
fi
expect 999500 BALANCE 3
expect 1000500 BALANCE 4
expect 1000000000 TOTAL

kill "$server"
wait "$server"
