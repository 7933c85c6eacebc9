/* SPDX-License-Identifier: MIT
 *
 * cpp.cc - what parkade.hpp and async.hpp cost beside the C calls they stand on,
 * compiled together; and the objects of the C++ library for other rows. C++20. */
#include <parkade/async.hpp>
#include <parkade/parkade.hpp>

#include <exception>
#include <mutex>
#include <semaphore>
#include <shared_mutex>

extern "C" {
#include "../cpp.h"
}
#include "peer.h"

#define BODY(name, step)                                                       \
  void name(uint64_t count) {                                                  \
    for (uint64_t i = 0; i < count; i++) {                                     \
      step;                                                                    \
      __asm__ volatile("" ::: "memory");                                       \
    }                                                                          \
  }

/* --- threads --------------------------------------------------------------- */

static parkade::mutex mutex;
static parkade::shared_mutex shared;
static std::counting_semaphore<> semaphore(8);
static std::once_flag once;
static std::recursive_mutex recursive;

BODY(cpp_guard, std::lock_guard<parkade::mutex> held(mutex))
BODY(c_guard, pkd_mutex_lock(mutex.c()); pkd_mutex_unlock(mutex.c()))
BODY(cpp_shared, std::shared_lock<parkade::shared_mutex> held(shared))
BODY(c_shared, pkd_rwlock_rdlock(shared.c()); pkd_rwlock_rdunlock(shared.c()))
BODY(std_sem, semaphore.acquire(); semaphore.release())
BODY(std_once, std::call_once(once, [] {}))
BODY(std_re, recursive.lock(); recursive.unlock())

/* --- tasks ----------------------------------------------------------------- */

namespace {

/* A coroutine that nobody waits for. */
struct task {
  struct promise_type {
    task get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::terminate(); }
  };
};

task lock_all(pkd_loop_t& loop, uint64_t count, uint64_t* ns) {
  parkade::async_mutex lock;
  parkade::async_mutex::ticket_type ticket;
  uint64_t begin = bench_now();

  for (uint64_t i = 0; i < count; i++) {
    parkade::check(co_await lock.lock(loop, ticket));
    ticket.unlock();
  }
  *ns = bench_now() - begin;
}

} // namespace

uint64_t cpp_await(uint64_t count) {
  pkd_loop_t loop;
  uv_loop_t uv;
  uint64_t ns = 0;

  parkade::check(uv_loop_init(&uv));
  parkade::check(pkd_loop_attach(&loop, &uv));
  lock_all(loop, count, &ns);
  uv_run(&uv, UV_RUN_DEFAULT);
  parkade::check(pkd_loop_detach(&loop, nullptr));
  uv_run(&uv, UV_RUN_DEFAULT);
  parkade::check(uv_loop_close(&uv));
  return ns;
}
