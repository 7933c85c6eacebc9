/* SPDX-License-Identifier: MIT
 *
 * test_cxx_locks.cc - parkade.hpp with what C++17's library does with locks. */
#include <parkade/barrier.h>
#include <parkade/latch.h>
#include <parkade/parkade.hpp>
#include <parkade/sem.h>

#include <shared_mutex>
#include <thread>
#include <vector>

extern "C" {
#include "support/test.h"
}

using namespace std::chrono_literals;

/* The named requirements, as far as a compiler sees them. */
template <class L, class = void> struct is_lockable : std::false_type {};
template <class L>
struct is_lockable<L, std::void_t<decltype(std::declval<L&>().lock()),
                                  decltype(std::declval<L&>().unlock())>>
    : std::is_same<bool, decltype(std::declval<L&>().try_lock())> {};

template <class L, class = void> struct is_timed : std::false_type {};
template <class L>
struct is_timed<L, std::void_t<decltype(std::declval<L&>().try_lock_for(1ms)),
                               decltype(std::declval<L&>().try_lock_until(
                                   std::chrono::steady_clock::now()))>>
    : is_lockable<L> {};

template <class L, class = void> struct is_shared : std::false_type {};
template <class L>
struct is_shared<
    L, std::void_t<decltype(std::declval<L&>().lock_shared()),
                   decltype(std::declval<L&>().unlock_shared()),
                   decltype(std::declval<L&>().try_lock_shared()),
                   decltype(std::declval<L&>().try_lock_shared_for(1ms))>>
    : is_timed<L> {};

template <class L>
constexpr bool stays = !std::is_copy_constructible<L>::value &&
                       !std::is_move_constructible<L>::value &&
                       !std::is_copy_assignable<L>::value &&
                       std::is_nothrow_default_constructible<L>::value;

static_assert(is_timed<parkade::mutex>::value && stays<parkade::mutex>, "");
static_assert(is_timed<parkade::fair_mutex>::value &&
                  stays<parkade::fair_mutex>,
              "");
static_assert(is_timed<parkade::recursive_mutex>::value &&
                  stays<parkade::recursive_mutex>,
              "");
static_assert(is_shared<parkade::shared_mutex>::value &&
                  stays<parkade::shared_mutex>,
              "");
static_assert(!is_shared<parkade::mutex>::value, "the check can fail");
static_assert(is_lockable<parkade::semaphore>::value, "");

/* Constant-initialized: usable before any constructor has run. */
static parkade::mutex early;
static int before_main = [] {
  std::lock_guard<parkade::mutex> held(early);
  return 1;
}();

template <class Mutex> static void count_in_threads() {
  Mutex m;
  long total = 0;
  std::vector<std::thread> threads;

  for (int i = 0; i < 4; i++)
    threads.emplace_back([&] {
      for (int n = 0; n < 5000; n++) {
        std::lock_guard<Mutex> held(m);
        total++;
      }
    });
  for (auto& t : threads)
    t.join();
  assert_int_equal(total, 4 * 5000);
}

static void each_excludes_under_a_lock_guard(void**) {
  assert_int_equal(before_main, 1);
  count_in_threads<parkade::mutex>();
  count_in_threads<parkade::fair_mutex>();
  count_in_threads<parkade::recursive_mutex>();
  count_in_threads<parkade::shared_mutex>();
}

template <class Mutex> static void time_out() {
  Mutex m;
  std::unique_lock<Mutex> held(m);

  std::thread([&] {
    auto soon = std::chrono::system_clock::now() + 20ms;
    std::unique_lock<Mutex> other(m, std::try_to_lock);
    bool got = other.owns_lock();

    got = got || other.try_lock_for(20ms) || other.try_lock_until(soon) ||
          other.try_lock_until(std::chrono::steady_clock::now() - 1s);
    if (got || std::chrono::system_clock::now() < soon)
      abort();
  }).join();
  held.unlock();
  assert_true(held.try_lock_for(std::chrono::hours::max()));
}

static void a_timed_lock_gives_up_by_its_clock(void**) {
  time_out<parkade::mutex>();
  time_out<parkade::fair_mutex>();
  time_out<parkade::recursive_mutex>();
  time_out<parkade::shared_mutex>();
}

/* Points so far away that their distance from now is no number of ticks. */
static void the_ends_of_time_are_points_of_time(void**) {
  using clock = std::chrono::steady_clock;
  using hours =
      std::chrono::time_point<std::chrono::system_clock, std::chrono::hours>;
  parkade::mutex m;
  parkade::condition_variable never;
  std::unique_lock<parkade::mutex> held(m);
  auto stays = [] { return false; };

  assert_false(m.try_lock_until(clock::time_point::min()));
  assert_false(m.try_lock_until(hours::min()));
  assert_false(never.wait_until(held, clock::time_point::min(), stays));
  assert_true(never.wait_until(held, hours::min()) == std::cv_status::timeout);
  std::thread other([&] {
    if (!m.try_lock_until(hours::max()))
      abort();
    m.unlock();
  });
  std::this_thread::sleep_for(5ms);
  held.unlock();
  other.join();
}

static void scoped_locks_of_two_do_not_deadlock(void**) {
  parkade::mutex a;
  parkade::shared_mutex b;
  long total = 0;
  std::thread other([&] {
    for (int i = 0; i < 5000; i++) {
      std::scoped_lock both(a, b);
      total++;
    }
  });

  for (int i = 0; i < 5000; i++) {
    std::scoped_lock both(b, a);
    total++;
  }
  other.join();
  assert_int_equal(total, 10000);
}

static void shared_locks_share(void**) {
  parkade::shared_mutex m;
  bool read = false, wrote = true;
  std::shared_lock<parkade::shared_mutex> here(m);

  std::thread([&] {
    std::shared_lock<parkade::shared_mutex> there(m, 1min);
    read = there.owns_lock();
    wrote = m.try_lock();
  }).join();
  assert_true(read);
  assert_false(wrote);
  here.unlock();
  m.lock();
  m.downgrade();
  assert_true(m.try_lock_shared());
  m.unlock_shared();
  m.unlock_shared();
}

static void a_recursive_one_is_locked_again(void**) {
  parkade::recursive_mutex m;
  std::lock_guard<parkade::recursive_mutex> once(m);
  std::lock_guard<parkade::recursive_mutex> twice(m);

  assert_int_equal(pkd_remutex_depth(m.c()), 2);
}

template <class Mutex> static void converse() {
  Mutex m;
  parkade::condition_variable changed;
  int turn = 0;
  std::thread other([&] {
    for (int i = 0; i < 500; i++) {
      std::unique_lock<Mutex> held(m);
      changed.wait(held, [&] { return turn % 2 == 1; });
      turn++;
      changed.notify_all();
    }
  });

  for (int i = 0; i < 500; i++) {
    std::unique_lock<Mutex> held(m);
    if (!changed.wait_for(held, 10min, [&] { return turn % 2 == 0; }))
      break;
    turn++;
    changed.notify_one();
  }
  other.join();
  assert_int_equal(turn, 1000);
}

static void a_condition_works_with_unique_lock(void**) {
  converse<parkade::mutex>();
  converse<parkade::fair_mutex>();
}

static void a_timed_wait_ends_with_the_mutex_held(void**) {
  parkade::mutex m;
  parkade::condition_variable never;
  std::unique_lock<parkade::mutex> held(m);
  auto soon = std::chrono::system_clock::now() + 20ms;

  assert_true(never.wait_for(held, 1ms) == std::cv_status::timeout);
  assert_true(pkd_mutex_is_locked(m.c()));
  assert_false(never.wait_until(held, soon, [] { return false; }));
  assert_true(std::chrono::system_clock::now() >= soon);
  assert_true(pkd_mutex_is_locked(m.c()));
  /* and while another keeps the mutex past the deadline */
  parkade::semaphore taken(0);
  std::thread other([&] {
    m.lock();
    taken.release();
    std::this_thread::sleep_for(30ms);
    m.unlock();
  });
  while (!taken.try_acquire())
    assert_true(never.wait_for(held, 10ms) == std::cv_status::timeout);
  assert_true(held.owns_lock() && pkd_mutex_is_locked(m.c()));
  other.join();
}

static void what_comes_at_the_deadline_has_come(void**) {
  using clock = std::chrono::steady_clock;
  parkade::mutex m;
  parkade::condition_variable never;
  std::unique_lock<parkade::mutex> held(m);
  auto soon = clock::now() + 2ms;
  auto has_come = [&] { return clock::now() >= soon; };

  assert_true(never.wait_until(held, soon, has_come));
  soon = clock::now() + 2ms;
  assert_true(never.wait_for(held, 2ms, has_come));
}

static void a_semaphore_counts(void**) {
  parkade::semaphore s(2);
  std::lock_guard<parkade::semaphore> one(s);

  assert_true(s.try_acquire());
  assert_false(s.try_acquire());
  assert_false(s.try_acquire_for(1ms, 1));
  s.release();
}

/* C++ does not narrow in an initializer what is no constant. */
static void a_number_of_any_type_starts_what_counts(void**) {
  int few = before_main + 1;
  pkd_barrier_t barrier = PKD_BARRIER_INIT(few);
  pkd_latch_t latch = PKD_LATCH_INIT(few);
  pkd_sem_t sem = PKD_SEM_INIT(few);

  assert_int_equal(pkd_barrier_wait_for(&barrier, 0), -ETIMEDOUT);
  assert_int_equal(pkd_latch_count(&latch), 2);
  assert_int_equal(pkd_sem_tryacquire(&sem, 3), -EBUSY);
}

int main() {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_excludes_under_a_lock_guard),
      cmocka_unit_test(a_timed_lock_gives_up_by_its_clock),
      cmocka_unit_test(the_ends_of_time_are_points_of_time),
      cmocka_unit_test(scoped_locks_of_two_do_not_deadlock),
      cmocka_unit_test(shared_locks_share),
      cmocka_unit_test(a_recursive_one_is_locked_again),
      cmocka_unit_test(a_condition_works_with_unique_lock),
      cmocka_unit_test(a_timed_wait_ends_with_the_mutex_held),
      cmocka_unit_test(what_comes_at_the_deadline_has_come),
      cmocka_unit_test(a_semaphore_counts),
      cmocka_unit_test(a_number_of_any_type_starts_what_counts),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
