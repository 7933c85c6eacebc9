/* SPDX-License-Identifier: MIT
 *
 * parkade.hpp - the locks for threads under the names C++17 expects.
 *
 *   static parkade::mutex m;                    constant-initialized, one byte
 *   std::lock_guard<parkade::mutex> held(m);
 *
 * Each class is its C object and nothing more: the same size, no virtual function,
 * every member inline. So std::lock_guard, std::unique_lock, std::shared_lock and
 * std::scoped_lock (with its freedom from deadlock) work with them, at the price
 * of the C calls. c() is the C object, for the calls that have no counterpart
 * here; a C object can be shared between units in C and in C++.
 *
 *   class                       C                   named requirements
 *   mutex, fair_mutex           pkd_[fair_]mutex_t  TimedMutex
 *   recursive_mutex             pkd_remutex_t       TimedMutex, re-entrant
 *   shared_mutex                pkd_rwlock_t        SharedTimedMutex
 *   condition_variable          pkd_cond_t          for unique_lock of the first two
 *   semaphore                   pkd_sem_t           BasicLockable as one permit
 *
 * Not as in the standard: destroying is free, and a mutex may be destroyed by its
 * owner right after unlock(). Nothing here throws, but what a predicate throws.
 * For tasks of libuv loops: parkade/async.hpp. */
#ifndef PARKADE_PARKADE_HPP
#define PARKADE_PARKADE_HPP

#include <parkade/cond.h>
#include <parkade/fair_mutex.h>
#include <parkade/mutex.h>
#include <parkade/remutex.h>
#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <type_traits>

namespace parkade {

namespace detail {

/* The deadline a span from now; one that is over already gives the past. */
template <class Rep, class Period>
pkd_deadline_t after(const std::chrono::duration<Rep, Period>& span) noexcept {
  using seconds = std::chrono::duration<long double>;
  auto rest = seconds(span).count();

  if (!(rest > 0))
    return 0;
  if (rest > 1e9L)
    return PKD_FOREVER;
  return pkd_after(static_cast<uint64_t>(rest * 1e9L) + 1);
}

/* The deadline at a point of a clock; 0 if it has come. The distance from now is no
 * number of ticks if it is of centuries, as that of time_point::min(). */
template <class Clock, class Duration>
pkd_deadline_t at(const std::chrono::time_point<Clock, Duration>& when) {
  using seconds = std::chrono::duration<long double>;
  auto now = Clock::now();
  auto rest = seconds(when.time_since_epoch()).count() -
              seconds(now.time_since_epoch()).count();

  if (rest < -1)
    return 0;
  return rest > 1e9L ? PKD_FOREVER : after(when - now);
}

/* Calls `wait` with deadlines until it succeeds or the time has come by the clock
 * of `when`, which may have been set. */
template <class Clock, class Duration, class Wait>
bool until(const std::chrono::time_point<Clock, Duration>& when, Wait wait) {
  for (;;) {
    if (wait(at(when)) == 0)
      return true;
    if (at(when) == 0)
      return false;
  }
}

/* What all have in common: the C object, and that it stays where it is. */
template <class C> class object {
public:
  constexpr object() noexcept : c_() {}
  constexpr explicit object(const C& initial) noexcept : c_(initial) {}
  object(const object&) = delete;
  object& operator=(const object&) = delete;
  C* c() noexcept { return &c_; }

protected:
  C c_;
};

} // namespace detail

/** pkd_mutex_t, with the members of std::timed_mutex: lock, try_lock, try_lock_for,
 * try_lock_until, unlock. They block as the C calls do. */
class PKD_CAPABILITY("mutex") mutex : public detail::object<pkd_mutex_t> {
public:
  using detail::object<pkd_mutex_t>::object;
  void lock() noexcept PKD_ACQUIRE() PKD_NO_ANALYSIS { pkd_mutex_lock(&c_); }
  void unlock() noexcept PKD_RELEASE() PKD_NO_ANALYSIS {
    pkd_mutex_unlock(&c_);
  }
  /** Hands over to the oldest who is asleep for it, if there is one. */
  void unlock_fair() noexcept PKD_RELEASE() PKD_NO_ANALYSIS {
    pkd_mutex_unlock_fair(&c_);
  }
  bool try_lock() noexcept PKD_NO_ANALYSIS {
    return pkd_mutex_trylock(&c_) == 0;
  }
  template <class R, class P>
  bool try_lock_for(const std::chrono::duration<R, P>& span) noexcept {
    return pkd_mutex_lock_until(&c_, detail::after(span)) == 0;
  }
  template <class C, class D>
  bool try_lock_until(const std::chrono::time_point<C, D>& when) {
    return detail::until(when, [this](pkd_deadline_t deadline) {
      return pkd_mutex_lock_until(&c_, deadline);
    });
  }
};

/** pkd_fair_mutex_t: strictly in turn. Members as those of std::timed_mutex. */
class PKD_CAPABILITY("mutex") fair_mutex
    : public detail::object<pkd_fair_mutex_t> {
public:
  using detail::object<pkd_fair_mutex_t>::object;
  void lock() noexcept PKD_ACQUIRE() PKD_NO_ANALYSIS {
    pkd_fair_mutex_lock(&c_);
  }
  void unlock() noexcept PKD_RELEASE() PKD_NO_ANALYSIS {
    pkd_fair_mutex_unlock(&c_);
  }
  bool try_lock() noexcept PKD_NO_ANALYSIS {
    return pkd_fair_mutex_trylock(&c_) == 0;
  }
  template <class R, class P>
  bool try_lock_for(const std::chrono::duration<R, P>& span) noexcept {
    return pkd_fair_mutex_lock_until(&c_, detail::after(span)) == 0;
  }
  template <class C, class D>
  bool try_lock_until(const std::chrono::time_point<C, D>& when) {
    return detail::until(when, [this](pkd_deadline_t deadline) {
      return pkd_fair_mutex_lock_until(&c_, deadline);
    });
  }
};

/** pkd_remutex_t: its holder may lock it again. Members as those of
 * std::recursive_timed_mutex. */
class PKD_CAPABILITY_AGAIN("mutex") recursive_mutex
    : public detail::object<pkd_remutex_t> {
public:
  using detail::object<pkd_remutex_t>::object;
  void lock() noexcept PKD_ACQUIRE() PKD_NO_ANALYSIS { pkd_remutex_lock(&c_); }
  void unlock() noexcept PKD_RELEASE() PKD_NO_ANALYSIS {
    pkd_remutex_unlock(&c_);
  }
  bool try_lock() noexcept PKD_NO_ANALYSIS {
    return pkd_remutex_trylock(&c_) == 0;
  }
  template <class R, class P>
  bool try_lock_for(const std::chrono::duration<R, P>& span) noexcept {
    return pkd_remutex_lock_until(&c_, detail::after(span)) == 0;
  }
  template <class C, class D>
  bool try_lock_until(const std::chrono::time_point<C, D>& when) {
    return detail::until(when, [this](pkd_deadline_t deadline) {
      return pkd_remutex_lock_until(&c_, deadline);
    });
  }
};

/** pkd_rwlock_t, with the members of std::shared_timed_mutex. A shared owner must
 * not lock it shared again. */
class PKD_CAPABILITY("rwlock") shared_mutex
    : public detail::object<pkd_rwlock_t> {
public:
  using detail::object<pkd_rwlock_t>::object;
  /** Whom it prefers; by default readers and writers take turns. */
  constexpr explicit shared_mutex(pkd_rwlock_policy_t policy) noexcept
      : object(pkd_rwlock_t{0, static_cast<uint16_t>(policy), 0}) {}
  void lock() noexcept PKD_ACQUIRE() PKD_NO_ANALYSIS { pkd_rwlock_wrlock(&c_); }
  void unlock() noexcept PKD_RELEASE() PKD_NO_ANALYSIS {
    pkd_rwlock_wrunlock(&c_);
  }
  bool try_lock() noexcept PKD_NO_ANALYSIS {
    return pkd_rwlock_trywrlock(&c_) == 0;
  }
  template <class R, class P>
  bool try_lock_for(const std::chrono::duration<R, P>& span) noexcept {
    return pkd_rwlock_wrlock_until(&c_, detail::after(span)) == 0;
  }
  template <class C, class D>
  bool try_lock_until(const std::chrono::time_point<C, D>& when) {
    return detail::until(when, [this](pkd_deadline_t deadline) {
      return pkd_rwlock_wrlock_until(&c_, deadline);
    });
  }
  void lock_shared() noexcept PKD_ACQUIRE_SHARED() PKD_NO_ANALYSIS {
    pkd_rwlock_rdlock(&c_);
  }
  void unlock_shared() noexcept PKD_RELEASE_SHARED() PKD_NO_ANALYSIS {
    pkd_rwlock_rdunlock(&c_);
  }
  bool try_lock_shared() noexcept PKD_NO_ANALYSIS {
    return pkd_rwlock_tryrdlock(&c_) == 0;
  }
  template <class R, class P>
  bool try_lock_shared_for(const std::chrono::duration<R, P>& span) noexcept {
    return pkd_rwlock_rdlock_until(&c_, detail::after(span)) == 0;
  }
  template <class C, class D>
  bool try_lock_shared_until(const std::chrono::time_point<C, D>& when) {
    return detail::until(when, [this](pkd_deadline_t deadline) {
      return pkd_rwlock_rdlock_until(&c_, deadline);
    });
  }
  /** From the writer to a reader, with nobody between. */
  void downgrade() noexcept PKD_NO_ANALYSIS { pkd_rwlock_downgrade(&c_); }
};

/** pkd_cond_t, with the members of std::condition_variable, for a std::unique_lock
 * of mutex or of fair_mutex. All who wait at one at a time use the same mutex, which
 * is locked when a wait returns, however long that takes. */
class condition_variable : public detail::object<pkd_cond_t> {
public:
  using detail::object<pkd_cond_t>::object;
  /** @return whether somebody waited */
  bool notify_one() noexcept { return pkd_cond_signal(&c_) != 0; }
  /** @return how many waited */
  size_t notify_all() noexcept { return pkd_cond_broadcast(&c_); }

  void wait(std::unique_lock<mutex>& held) noexcept {
    pkd_cond_wait(&c_, held.mutex()->c());
  }
  void wait(std::unique_lock<fair_mutex>& held) noexcept {
    pkd_cond_wait_fair(&c_, held.mutex()->c());
  }
  template <class Mutex, class Predicate>
  void wait(std::unique_lock<Mutex>& held, Predicate predicate) {
    while (!predicate())
      wait(held);
  }
  template <class Mutex, class C, class D>
  std::cv_status wait_until(std::unique_lock<Mutex>& held,
                            const std::chrono::time_point<C, D>& when) {
    return wait_deadline(held, detail::at(when)) == 0
               ? std::cv_status::no_timeout
               : std::cv_status::timeout;
  }
  template <class Mutex, class C, class D, class Predicate>
  bool wait_until(std::unique_lock<Mutex>& held,
                  const std::chrono::time_point<C, D>& when,
                  Predicate predicate) {
    while (!predicate()) {
      if (wait_until(held, when) == std::cv_status::timeout &&
          detail::at(when) == 0)
        return predicate();
    }
    return true;
  }
  template <class Mutex, class R, class P>
  std::cv_status wait_for(std::unique_lock<Mutex>& held,
                          const std::chrono::duration<R, P>& span) {
    return wait_deadline(held, detail::after(span)) == 0
               ? std::cv_status::no_timeout
               : std::cv_status::timeout;
  }
  template <class Mutex, class R, class P, class Predicate>
  bool wait_for(std::unique_lock<Mutex>& held,
                const std::chrono::duration<R, P>& span, Predicate predicate) {
    pkd_deadline_t deadline = detail::after(span);

    while (!predicate()) {
      if (wait_deadline(held, deadline) != 0)
        return predicate();
    }
    return true;
  }

private:
  /* The C call may end without the lock; C++ wants it held. */
  template <class Mutex>
  int wait_deadline(std::unique_lock<Mutex>& held, pkd_deadline_t deadline) {
    int rc = wait_c(held.mutex()->c(), deadline);

    if (rc == PKD_ENOTHELD)
      held.mutex()->lock();
    return rc;
  }
  int wait_c(pkd_mutex_t* m, pkd_deadline_t deadline) noexcept {
    return pkd_cond_wait_until(&c_, m, deadline);
  }
  int wait_c(pkd_fair_mutex_t* m, pkd_deadline_t deadline) noexcept {
    return pkd_cond_wait_fair_until(&c_, m, deadline);
  }
};

/** pkd_sem_t: permits, any number at once, first in, first out; acquire, try_acquire,
 * try_acquire_for and release as those of std::counting_semaphore. lock, try_lock and
 * unlock are for one permit, for std::lock_guard and its kind. */
class semaphore : public detail::object<pkd_sem_t> {
public:
  /** Free permits to begin with. */
  constexpr explicit semaphore(uint32_t permits) noexcept
      : object(pkd_sem_t{permits * 2}) {}
  void acquire(uint32_t n = 1) noexcept { pkd_sem_acquire(&c_, n); }
  bool try_acquire(uint32_t n = 1) noexcept {
    return pkd_sem_tryacquire(&c_, n) == 0;
  }
  template <class R, class P>
  bool try_acquire_for(const std::chrono::duration<R, P>& span,
                       uint32_t n = 1) noexcept {
    return pkd_sem_acquire_until(&c_, n, detail::after(span)) == 0;
  }
  void release(uint32_t n = 1) noexcept { pkd_sem_release(&c_, n); }
  void lock() noexcept { acquire(); }
  void unlock() noexcept { release(); }
  bool try_lock() noexcept { return try_acquire(); }
};

static_assert(sizeof(mutex) == sizeof(pkd_mutex_t) &&
                  sizeof(fair_mutex) == sizeof(pkd_fair_mutex_t) &&
                  sizeof(recursive_mutex) == sizeof(pkd_remutex_t) &&
                  sizeof(shared_mutex) == sizeof(pkd_rwlock_t) &&
                  sizeof(condition_variable) == sizeof(pkd_cond_t) &&
                  sizeof(semaphore) == sizeof(pkd_sem_t),
              "a class is its C object");
static_assert(std::is_standard_layout<mutex>::value &&
                  std::is_trivially_destructible<mutex>::value,
              "and may lie where a C unit looks for one");

} // namespace parkade

#endif
