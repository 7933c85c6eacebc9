/* SPDX-License-Identifier: MIT
 *
 * keyed_map.cc - the usual keyed lock: std::unordered_map from each key that is
 * held to who holds it, under a std::mutex. Its nodes are allocated and freed. */
#include <cstdlib>
#include <memory>
#include <mutex>
#include <unordered_map>

extern "C" {
#include "../keyed.h"
}

namespace {

struct table {
  std::mutex mutex;
  std::unordered_map<uint64_t, uint64_t> held;
};

std::unique_ptr<table> all;

void take(uint64_t i) {
  std::lock_guard<std::mutex> guard(all->mutex);

  if (!all->held.emplace(keyed_key(i), i).second)
    std::abort();
}

void give_back(uint64_t i) {
  std::lock_guard<std::mutex> guard(all->mutex);

  if (all->held.erase(keyed_key(i)) != 1)
    std::abort();
}

void begin(uint64_t keys) {
  all = std::make_unique<table>();
  for (uint64_t i = 0; i < keys; i++)
    take(i);
}

void run(uint64_t keys, uint64_t count) {
  uint64_t random = 1;

  for (uint64_t n = 0; n < count; n++) {
    uint64_t i = keyed_next(&random) % keys;

    give_back(i);
    take(i);
  }
}

void end(uint64_t) {
  all.reset();
}

} // namespace

extern "C" {
const struct keyed_body keyed_map = {begin, run, end};
}
