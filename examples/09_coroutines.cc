/* SPDX-License-Identifier: MIT
 *
 * 09_coroutines.cc - C++20 coroutines on plain libuv: money moves between two
 * accounts in a database that takes its time, and none is lost.
 *
 * Each transfer reads both balances, decides, and writes both, which are four
 * trips to the database. A mutex held across co_await keeps the transfers apart,
 * and the loop runs on meanwhile: nothing blocks, and the clock ticks. */
#include <parkade/async.hpp>

#include <cstdio>

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

/* One trip to the database: a timer, in the coroutine that awaits it. */
struct trip {
  uv_loop_t* loop;
  uv_timer_t timer;
  std::coroutine_handle<> self;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) noexcept {
    self = waiting;
    uv_timer_init(loop, &timer);
    timer.data = this;
    uv_timer_start(
        &timer,
        [](uv_timer_t* t) {
          uv_close((uv_handle_t*)t, [](uv_handle_t* handle) {
            static_cast<trip*>(handle->data)->self.resume();
          });
        },
        1, 0);
  }
  void await_resume() const noexcept {}
};

struct bank {
  uv_loop_t* uv = uv_default_loop();
  pkd_loop_t loop = {};
  parkade::async_mutex ledger;
  long balance[2] = {1000, 1000};
  int done = 0;
};

static const int transfers = 40;

static task transfer(bank& b, int from, long amount) {
  auto ticket = co_await b.ledger.lock(b.loop);

  co_await trip{b.uv, {}, {}};
  long left = b.balance[from];
  co_await trip{b.uv, {}, {}};
  long right = b.balance[1 - from];
  co_await trip{b.uv, {}, {}};
  b.balance[from] = left - amount;
  co_await trip{b.uv, {}, {}};
  b.balance[1 - from] = right + amount;
  if (++b.done == transfers)
    pkd_loop_detach(&b.loop, nullptr);
}

int main() {
  bank b;

  if (pkd_loop_attach(&b.loop, b.uv) != 0)
    return 2;
  for (int i = 0; i < transfers; i++)
    transfer(b, i % 2, i);
  uv_run(b.uv, UV_RUN_DEFAULT);
  std::printf("%d transfers, %ld in all\n", b.done,
              b.balance[0] + b.balance[1]);
  return b.done == transfers && b.balance[0] + b.balance[1] == 2000 ? 0 : 1;
}
