// SPDX-License-Identifier: MIT
//
// throws.cc - a user of the installed libparkade, in C++: an exception may pass
// through an initialiser and out of a section.
//
// The library is C, but it is compiled so that unwinding runs its cleanups. An
// initialiser that throws has failed: the next caller initialises, one who waits
// already included. A section that is left by a throw is unlocked.
#include <parkade/fair_mutex.h>
#include <parkade/lot.h>
#include <parkade/mutex.h>
#include <parkade/once.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>

#include <atomic>
#include <cstdio>
#include <stdexcept>
#include <thread>

static pkd_once_t once;
static std::atomic<bool> entered, go_on;
static int wrong;

#define EXPECT(fact)                                                           \
  do {                                                                         \
    if (!(fact)) {                                                             \
      std::printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #fact);           \
      wrong++;                                                                 \
    }                                                                          \
  } while (0)

template <typename F> static bool throws(F call) {
  try {
    call();
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

static void fail() {
  throw std::runtime_error("no database");
}

static int fail_when_told(void*) {
  entered = true;
  while (!go_on)
    std::this_thread::yield();
  throw std::runtime_error("no database");
}

static int succeed(void* runs) {
  ++*static_cast<int*>(runs);
  return 0;
}

static void an_initialiser_that_throws_leaves_it_to_the_next() {
  int runs = 0;

  EXPECT(throws([] { pkd_once_call(&once, fail); }));
  EXPECT(!pkd_once_is_done(&once));
  EXPECT(throws([] { pkd_once_call(&once, fail); }));
  EXPECT(pkd_once_try(&once, succeed, &runs) == 0);
  EXPECT(pkd_once_try(&once, succeed, &runs) == 0);
  EXPECT(runs == 1 && pkd_once_is_done(&once));
}

static void who_waits_for_an_initialiser_that_throws_is_the_next() {
  bool thrown = false;
  int runs = 0, rc = 99;

  once = PKD_ONCE_INIT;
  std::thread first([&] {
    thrown = throws([] { pkd_once_try(&once, fail_when_told, NULL); });
  });
  while (!entered)
    std::this_thread::yield();
  std::thread second([&] { rc = pkd_once_try(&once, succeed, &runs); });
  while (pkd_lot_for_each(&once, NULL, NULL) == 0)
    std::this_thread::yield();
  go_on = true;
  first.join();
  second.join();
  EXPECT(thrown && rc == 0 && runs == 1);
}

static void a_section_that_is_left_by_a_throw_is_unlocked() {
  static pkd_mutex_t mutex;
  static pkd_fair_mutex_t fair;
  static pkd_remutex_t re;
  static pkd_rwlock_t rwlock;

  EXPECT(throws([] { PKD_WITH_MUTEX(&mutex) fail(); }));
  EXPECT(throws([] { PKD_WITH_FAIR_MUTEX(&fair) fail(); }));
  EXPECT(throws([] { PKD_WITH_REMUTEX(&re) fail(); }));
  EXPECT(throws([] { PKD_WITH_RDLOCK(&rwlock) fail(); }));
  EXPECT(throws([] { PKD_WITH_UPLOCK(&rwlock) fail(); }));
  EXPECT(throws([] { PKD_WITH_WRLOCK(&rwlock) fail(); }));
  EXPECT(!pkd_mutex_is_locked(&mutex));
  EXPECT(!pkd_fair_mutex_is_locked(&fair));
  EXPECT(!pkd_remutex_is_locked(&re));
  EXPECT(!pkd_rwlock_is_locked(&rwlock));
}

int main() {
  an_initialiser_that_throws_leaves_it_to_the_next();
  who_waits_for_an_initialiser_that_throws_is_the_next();
  a_section_that_is_left_by_a_throw_is_unlocked();
  return wrong == 0 ? 0 : 1;
}
