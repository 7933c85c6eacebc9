/* SPDX-License-Identifier: MIT
 *
 * test_cxx_async.cc - async.hpp: tickets, and coroutines that wait for locks. */
#include <parkade/async.hpp>

#include <functional>
#include <string>
#include <thread>

extern "C" {
#include "support/test.h"
}

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

struct world {
  uv_loop_t uv;
  pkd_loop_t loop = {};
  std::string log;

  world() {
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  }
  /* Runs what was started, and what that starts; nothing may be left. */
  void run() { uv_run(&uv, UV_RUN_DEFAULT); }
  ~world() {
    if (pkd_loop_detach(&loop, nullptr) != 0)
      abort();
    run();
    if (uv_loop_close(&uv) != 0)
      abort();
  }
};

/* The name of what a negative status throws. */
static std::string name_of(const std::system_error& error) {
  return pkd_err_name(-error.code().value());
}

static task append(world& w, parkade::async_mutex& m, char name, int turns) {
  for (int i = 0; i < turns; i++) {
    auto held = co_await m.lock(w.loop);

    w.log += name;
  }
}

static void coroutines_take_turns(void**) {
  world w;
  parkade::async_mutex m;

  append(w, m, 'a', 3);
  append(w, m, 'b', 3);
  assert_string_equal(w.log.c_str(), ""); /* nothing runs inside a call */
  w.run();
  assert_string_equal(w.log.c_str(), "ababab");
  assert_false(pkd_async_mutex_is_locked(m.c()));
}

static task ask(world& w, parkade::async_mutex& m, uint64_t ms) {
  try {
    auto held = co_await m.lock(w.loop, ms);

    w.log += "locked";
  } catch (const std::system_error& error) {
    w.log += name_of(error) + " ";
  }
}

static void what_goes_wrong_is_thrown(void**) {
  world w;
  parkade::async_mutex m;
  auto held = m.try_lock();

  assert_true(bool(held));
  assert_false(bool(m.try_lock()));
  ask(w, m, 0); /* refused at once */
  ask(w, m, 5); /* late */
  w.run();
  ask(w, m, PKD_NO_TIMEOUT); /* closed while it waits */
  m.close();
  w.run();
  ask(w, m, PKD_NO_TIMEOUT); /* closed before */
  assert_string_equal(w.log.c_str(), "EBUSY ETIMEDOUT ECANCELED ESHUTDOWN ");
}

static task fill(world& w, parkade::async_mutex& m,
                 parkade::ticket<parkade::async_mutex>& into, int* status) {
  *status = co_await m.lock(w.loop, into);
  w.log += bool(into) ? "held " : "empty ";
}

static void a_ticket_of_ones_own_can_be_cancelled(void**) {
  world w;
  parkade::async_mutex m;
  auto held = m.try_lock();
  parkade::ticket<parkade::async_mutex> mine;
  int status = 77, again = 77;

  fill(w, m, mine, &status);
  fill(w, m, mine, &again); /* in use: refused, the first goes on */
  assert_int_equal(again, UV_EALREADY);
  assert_int_equal(mine.cancel(), 0);
  w.run();
  assert_int_equal(status, UV_ECANCELED);
  held.unlock();
  fill(w, m, mine, &status);
  w.run();
  assert_int_equal(status, 0);
  assert_string_equal(w.log.c_str(), "empty empty held ");
}

static void a_ticket_moves_and_gives_back_once(void**) {
  parkade::async_mutex m;
  auto a = m.try_lock();
  parkade::ticket<parkade::async_mutex> b = std::move(a);

  assert_false(bool(a));
  assert_true(bool(b));
  assert_true(pkd_async_mutex_is_locked(m.c()));
  std::thread([c = std::move(b)]() mutable { c.unlock(); }).join();
  assert_false(pkd_async_mutex_is_locked(m.c()));
  assert_true(bool(a = m.try_lock()));
  a = parkade::ticket<parkade::async_mutex>();
  assert_false(pkd_async_mutex_is_locked(m.c()));
}

static task throw_inside(world& w, parkade::async_mutex& m) {
  try {
    auto held = co_await m.lock(w.loop);

    throw 1;
  } catch (int) {
    w.log += pkd_async_mutex_is_locked(m.c()) ? "locked" : "free";
  }
}

static void an_exception_gives_back(void**) {
  world w;
  parkade::async_mutex m;

  throw_inside(w, m);
  w.run();
  assert_string_equal(w.log.c_str(), "free");
}

static task doubt(world& w, parkade::async_mutex& m) {
  auto held = co_await m.lock(w.loop);

  w.log += held.poisoned() ? "doubtful " : "sound ";
  if (held.poisoned())
    pkd_async_mutex_mend(held.c(), m.c());
}

static void a_ticket_says_that_its_mutex_is_poisoned(void**) {
  world w;
  parkade::async_mutex m;
  auto held = m.try_lock();

  held.owns(nullptr);
  pkd_async_mutex_unlock_poisoned(held.c(), m.c());
  doubt(w, m);
  w.run();
  doubt(w, m);
  w.run();
  assert_string_equal(w.log.c_str(), "doubtful sound ");
}

static task use(world& w, parkade::async_semaphore& s, uint32_t n, char name) {
  auto held = co_await s.acquire(w.loop, n);
  uint32_t owned = pkd_async_sem_owned(held.c(), s.c());

  w.log += name + std::to_string(owned);
}

static void a_semaphore_gets_all_its_permits_back(void**) {
  world w;
  parkade::async_semaphore s(3, 3);

  use(w, s, 2, 'a');
  use(w, s, 3, 'b');
  use(w, s, 1, 'c');
  w.run();
  assert_string_equal(w.log.c_str(), "a2b3c1");
  assert_int_equal(pkd_async_sem_available(s.c()), 3);
  auto held = s.try_acquire(2);
  assert_int_equal(pkd_async_sem_available(s.c()), 1);
  std::thread([&s] { s.acquire_blocking(1); }).join();
  assert_int_equal(pkd_async_sem_available(s.c()), 1);
}

static task read_then_write(world& w, parkade::async_shared_mutex& m) {
  auto held = co_await m.lock_upgradable(w.loop);

  w.log += 'u';
  if (co_await m.upgrade(w.loop, held) == 0)
    w.log += 'w';
  m.downgrade(held);
  w.log += 'd';
}

static task read(world& w, parkade::async_shared_mutex& m) {
  auto held = co_await m.lock_shared(w.loop);

  w.log += 'r';
}

static task write(world& w, parkade::async_shared_mutex& m) {
  auto held = co_await m.lock(w.loop);

  w.log += 'W';
}

static void a_reader_is_upgraded_once_the_others_have_left(void**) {
  world w;
  parkade::async_shared_mutex m;

  read(w, m);
  read_then_write(w, m);
  read(w, m);
  write(w, m);
  w.run();
  assert_string_equal(w.log.c_str(), "rurwdW");
}

static task step(world& w, char name, int turns) {
  for (int i = 0; i < turns; i++) {
    if (co_await parkade::yield(w.loop) != 0)
      w.log += '!';
    w.log += name;
  }
}

static void a_coroutine_lets_the_others_go_first(void**) {
  world w;

  step(w, 'a', 2);
  step(w, 'b', 2);
  assert_string_equal(w.log.c_str(), "");
  w.run();
  assert_string_equal(w.log.c_str(), "abab");
  step(w, 'c', 1);
  assert_int_equal(pkd_loop_detach(&w.loop, nullptr), 0);
  step(w, 'd', 1); /* refused, so at once */
  assert_string_equal(w.log.c_str(), "abab!d");
  w.run();
  assert_string_equal(w.log.c_str(), "abab!d!c");
  assert_int_equal(pkd_loop_attach(&w.loop, &w.uv), 0);
}

int main() {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(coroutines_take_turns),
      cmocka_unit_test(what_goes_wrong_is_thrown),
      cmocka_unit_test(a_ticket_of_ones_own_can_be_cancelled),
      cmocka_unit_test(a_ticket_moves_and_gives_back_once),
      cmocka_unit_test(an_exception_gives_back),
      cmocka_unit_test(a_ticket_says_that_its_mutex_is_poisoned),
      cmocka_unit_test(a_semaphore_gets_all_its_permits_back),
      cmocka_unit_test(a_reader_is_upgraded_once_the_others_have_left),
      cmocka_unit_test(a_coroutine_lets_the_others_go_first),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
