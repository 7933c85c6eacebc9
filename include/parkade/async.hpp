/* SPDX-License-Identifier: MIT
 *
 * async.hpp - the locks for tasks of libuv loops, in C++17, and co_await in C++20.
 *
 *   parkade::async_mutex ledger;
 *
 *   task transfer(pkd_loop_t& loop, ...) {
 *     auto ticket = co_await ledger.lock(loop);       the loop goes on meanwhile
 *     co_await read_balance(...);                     any number of awaits
 *     co_await write_balance(...);
 *   }                                                 given back here
 *
 * A ticket owns what was asked for, and gives it back when it ends, on whichever
 * thread that is. It may be moved (pkd_req_transfer) and kept. The coroutine goes
 * on in a callback of the loop, in the order of grants, as every callback does.
 *
 * co_await parkade::yield(loop) lets the others of the loop go first.
 *
 * What can go wrong:
 *   - lock(loop) throws std::system_error where the C call, or its status, is
 *     negative: operation_canceled (cancelled, closed meanwhile, loop detached),
 *     timed_out, device_or_resource_busy, ... with nothing owned.
 *   - lock(loop, ticket) uses a ticket of yours, which stays in place, and
 *     co_await gives the status instead: it throws nothing. It saves the transfer,
 *     and cancel() of that ticket ends the wait, from any thread.
 *   - A last argument bounds the time in the queue, in milliseconds:
 *     co_await m.lock(loop, 5).
 *   - A coroutine that waits must not be destroyed: cancel it, and let it end. One
 *     that is destroyed all the same stops the program.
 *
 * The task type is yours: any that resumes from a callback. */
#ifndef PARKADE_ASYNC_HPP
#define PARKADE_ASYNC_HPP

#include <parkade/async.h>

#include <exception>
#include <system_error>
#include <utility>
#if defined(__cpp_impl_coroutine)
#include <coroutine>
#endif

namespace parkade {

/** Throws what a negative status says. Otherwise returns it. */
inline int check(int status) {
  if (status < 0)
    throw std::system_error(-status, std::generic_category(),
                            pkd_strerror(status));
  return status;
}

/** What a request owns of an `Object`, which says how it is given back. */
template <class Object> class ticket {
public:
  ticket() noexcept = default;
  ticket(ticket&& other) noexcept { take(other); }
  ticket& operator=(ticket&& other) noexcept {
    if (this != &other) {
      unlock();
      take(other);
    }
    return *this;
  }
  ~ticket() { unlock(); }

  /** Does it own something? */
  explicit operator bool() const noexcept { return object_ != nullptr; }
  /** An owner before left what is guarded in doubt; see PKD_POISONED. */
  bool poisoned() const noexcept { return poisoned_; }
  /** Gives back what it owns, if it owns something. */
  void unlock() noexcept {
    if (object_ != nullptr)
      std::exchange(object_, nullptr)->give_back(req_);
  }
  /** Ends the wait of a co_await that uses this ticket, as pkd_req_cancel(). */
  int cancel() noexcept { return pkd_req_cancel(&req_); }
  /** For the C calls. */
  pkd_req_t* c() noexcept { return &req_; }
  /** Says that c() has got, or lost, what it owns by a C call. */
  void owns(Object* object, int status = 0) noexcept {
    object_ = object;
    poisoned_ = status > 0;
  }

private:
  void take(ticket& other) noexcept {
    if (other.object_ != nullptr && pkd_req_transfer(&other.req_, &req_) == 0)
      owns(std::exchange(other.object_, nullptr), other.poisoned_);
  }

  pkd_req_t req_ = {};
  Object* object_ = nullptr;
  bool poisoned_ = false;
};

#if defined(__cpp_impl_coroutine)
namespace detail {

/* One wait: `start(loop, req, cb)` is the C call. Lives in the coroutine. */
template <class Object, class Start> class wait {
public:
  wait(pkd_loop_t& loop, Object& object, Start start, uint64_t ms) noexcept
      : loop_(&loop), object_(&object), start_(start), ms_(ms) {}
  wait(const wait&) = delete;
  wait& operator=(const wait&) = delete;
  ~wait() {
    if (waits_)
      std::terminate(); /* see the head of this file */
  }
  bool await_ready() const noexcept { return false; }

protected:
  /* @return false: the call was refused, with `status_` */
  bool begin(ticket<Object>& into, std::coroutine_handle<> self) noexcept {
    void* data = std::exchange(into.c()->data, this);

    into_ = &into;
    self_ = self;
    pkd_req_set_timeout(into.c(), ms_);
    waits_ = true;
    status_ = start_(loop_, into.c(), [](pkd_req_t* req, int status) {
      wait* w = static_cast<wait*>(req->data);

      w->status_ = status;
      w->waits_ = false;
      if (status >= 0)
        w->into_->owns(w->object_, status);
      w->self_.resume();
    });
    if (status_ != 0) {
      waits_ = false;
      into.c()->data = data; /* another wait's, if the ticket is in use */
    }
    return waits_;
  }

  int status_ = 0;

private:
  pkd_loop_t* loop_;
  Object* object_;
  Start start_;
  uint64_t ms_;
  ticket<Object>* into_ = nullptr;
  std::coroutine_handle<> self_;
  bool waits_ = false;
};

/* With a ticket of its own, which it gives away. */
template <class Object, class Start> class taking : public wait<Object, Start> {
public:
  using wait<Object, Start>::wait;
  bool await_suspend(std::coroutine_handle<> self) noexcept {
    return this->begin(own_, self);
  }
  ticket<Object> await_resume() {
    check(this->status_);
    return std::move(own_);
  }

private:
  ticket<Object> own_;
};

/* With a ticket of the caller's. */
template <class Object, class Start>
class filling : public wait<Object, Start> {
public:
  filling(pkd_loop_t& loop, Object& object, ticket<Object>& into, Start start,
          uint64_t ms) noexcept
      : wait<Object, Start>(loop, object, start, ms), theirs_(&into) {}
  bool await_suspend(std::coroutine_handle<> self) noexcept {
    return this->begin(*theirs_, self);
  }
  int await_resume() noexcept { return this->status_; }

private:
  ticket<Object>* theirs_;
};

template <class Object, class Start>
auto take(pkd_loop_t& loop, Object& object, Start start, uint64_t ms) noexcept {
  return taking<Object, Start>(loop, object, start, ms);
}
template <class Object, class Start>
auto fill(pkd_loop_t& loop, Object& object, ticket<Object>& into, Start start,
          uint64_t ms) noexcept {
  return filling<Object, Start>(loop, object, into, start, ms);
}

class pause {
public:
  explicit pause(pkd_loop_t& loop) noexcept : loop_(&loop) {}
  pause(const pause&) = delete;
  pause& operator=(const pause&) = delete;
  ~pause() {
    if (waits_)
      std::terminate(); /* see the head of this file */
  }
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> self) noexcept {
    self_ = self;
    req_.data = this;
    status_ = pkd_loop_yield(loop_, &req_, [](pkd_req_t* req, int status) {
      pause* p = static_cast<pause*>(req->data);

      p->status_ = status;
      p->waits_ = false;
      p->self_.resume();
    });
    waits_ = status_ == 0;
    return waits_;
  }
  int await_resume() const noexcept { return status_; }

private:
  pkd_loop_t* loop_;
  pkd_req_t req_ = {};
  std::coroutine_handle<> self_;
  int status_ = 0;
  bool waits_ = false;
};

} // namespace detail

/** pkd_loop_yield(); co_await gives the status, and throws nothing. */
inline auto yield(pkd_loop_t& loop) noexcept {
  return detail::pause(loop);
}
#endif

/** pkd_async_mutex_t. A ticket owns it. */
class async_mutex {
#if defined(__cpp_impl_coroutine)
  auto locks() noexcept {
    return [m = &c_](pkd_loop_t* loop, pkd_req_t* req, pkd_req_cb cb) {
      return pkd_async_mutex_lock(loop, req, m, cb);
    };
  }
#endif

public:
  using ticket_type = ticket<async_mutex>;
  constexpr async_mutex() noexcept = default;
  async_mutex(const async_mutex&) = delete;
  async_mutex& operator=(const async_mutex&) = delete;
  /** For the C calls. */
  pkd_async_mutex_t* c() noexcept {
    return &c_;
  }

  /** At once, or an empty ticket. */
  ticket_type try_lock() noexcept {
    ticket_type t;
    int status = pkd_async_mutex_trylock(t.c(), &c_);

    if (status >= 0)
      t.owns(this, status);
    return t;
  }
  /** For threads without a loop; throws what pkd_async_mutex_lock_blocking says. */
  ticket_type lock_blocking(pkd_deadline_t deadline = PKD_FOREVER) {
    ticket_type t;

    t.owns(this, check(pkd_async_mutex_lock_blocking(t.c(), &c_, deadline)));
    return t;
  }
  /** Who waits is told so, and newcomers are refused. */
  void close() noexcept {
    pkd_async_mutex_close(&c_);
  }
  void give_back(pkd_req_t& req) noexcept {
    pkd_async_mutex_unlock(&req, &c_);
  }

#if defined(__cpp_impl_coroutine)
  /** co_await gives a ticket, or throws; at most `ms` milliseconds in the queue. */
  auto lock(pkd_loop_t& loop, uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::take(loop, *this, locks(), ms);
  }
  /** co_await gives the status of pkd_async_mutex_lock() for `into`. */
  auto lock(pkd_loop_t& loop, ticket_type& into,
            uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::fill(loop, *this, into, locks(), ms);
  }

#endif

private:
  pkd_async_mutex_t c_ = PKD_ASYNC_MUTEX_INIT;
};

/** pkd_async_sem_t. A ticket gives back all the permits it has. */
class async_semaphore {
#if defined(__cpp_impl_coroutine)
  auto acquires(uint32_t n) noexcept {
    return [s = &c_, n](pkd_loop_t* loop, pkd_req_t* req, pkd_req_cb cb) {
      return pkd_async_sem_acquire(loop, req, s, n, cb);
    };
  }
#endif

public:
  using ticket_type = ticket<async_semaphore>;
  /** `max`: what the permits may never exceed; 0: not fixed. */
  constexpr explicit async_semaphore(uint32_t permits,
                                     uint32_t max = 0) noexcept
      : c_ PKD_ASYNC_SEM_INIT(permits, max) {}
  async_semaphore(const async_semaphore&) = delete;
  async_semaphore& operator=(const async_semaphore&) = delete;
  /** For the C calls. */
  pkd_async_sem_t* c() noexcept {
    return &c_;
  }

  /** At once, or an empty ticket. */
  ticket_type try_acquire(uint32_t n = 1) noexcept {
    ticket_type t;

    if (pkd_async_sem_try_acquire(t.c(), &c_, n) == 0)
      t.owns(this);
    return t;
  }
  /** For threads without a loop; throws what pkd_async_sem_acquire_blocking() says. */
  ticket_type acquire_blocking(uint32_t n = 1,
                               pkd_deadline_t deadline = PKD_FOREVER) {
    ticket_type t;

    t.owns(this,
           check(pkd_async_sem_acquire_blocking(t.c(), &c_, n, deadline)));
    return t;
  }
  /** Who waits is told so, and newcomers are refused. */
  void close() noexcept {
    pkd_async_sem_close(&c_);
  }
  void give_back(pkd_req_t& req) noexcept {
    pkd_async_sem_release(&req, &c_, pkd_async_sem_owned(&req, &c_));
  }

#if defined(__cpp_impl_coroutine)
  /** co_await gives a ticket, or throws; at most `ms` milliseconds in the queue. */
  auto acquire(pkd_loop_t& loop, uint32_t n = 1,
               uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::take(loop, *this, acquires(n), ms);
  }
  /** co_await gives the status of pkd_async_sem_acquire() for `into`. */
  auto acquire(pkd_loop_t& loop, ticket_type& into, uint32_t n = 1,
               uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::fill(loop, *this, into, acquires(n), ms);
  }

#endif

private:
  pkd_async_sem_t c_;
};

/** pkd_async_rwlock_t. A ticket gives back whatever it holds, in any mode. */
class async_shared_mutex {
#if defined(__cpp_impl_coroutine)
  template <auto start> auto call() noexcept {
    return [l = &c_](pkd_loop_t* loop, pkd_req_t* req, pkd_req_cb cb) {
      return start(loop, req, l, cb);
    };
  }
#endif

public:
  using ticket_type = ticket<async_shared_mutex>;
  constexpr async_shared_mutex() noexcept = default;
  async_shared_mutex(const async_shared_mutex&) = delete;
  async_shared_mutex& operator=(const async_shared_mutex&) = delete;
  /** For the C calls. */
  pkd_async_rwlock_t* c() noexcept {
    return &c_;
  }

  /** Who waits is told so, and newcomers are refused. */
  void close() noexcept {
    pkd_async_rwlock_close(&c_);
  }
  void give_back(pkd_req_t& req) noexcept {
    pkd_async_rwlock_unlock(&req, &c_);
  }
  /** From the writer, or the upgradable reader, to a reader. */
  void downgrade(ticket_type& held) {
    check(pkd_async_rwlock_downgrade(held.c(), &c_));
  }

#if defined(__cpp_impl_coroutine)
  /** As the writer: co_await gives a ticket, or throws. */
  auto lock(pkd_loop_t& loop, uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::take(loop, *this, call<pkd_async_rwlock_wrlock>(), ms);
  }
  /** As the writer: co_await gives the status for `into`. */
  auto lock(pkd_loop_t& loop, ticket_type& into,
            uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::fill(loop, *this, into, call<pkd_async_rwlock_wrlock>(), ms);
  }
  /** As a reader: co_await gives a ticket, or throws. */
  auto lock_shared(pkd_loop_t& loop, uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::take(loop, *this, call<pkd_async_rwlock_rdlock>(), ms);
  }
  /** As a reader: co_await gives the status for `into`. */
  auto lock_shared(pkd_loop_t& loop, ticket_type& into,
                   uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::fill(loop, *this, into, call<pkd_async_rwlock_rdlock>(), ms);
  }
  /** As the reader who may upgrade: co_await gives a ticket, or throws. */
  auto lock_upgradable(pkd_loop_t& loop,
                       uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::take(loop, *this, call<pkd_async_rwlock_uplock>(), ms);
  }
  /** Makes the reader or upgradable reader `held` the writer; co_await gives the
   * status. Negative: it holds what it held. */
  auto upgrade(pkd_loop_t& loop, ticket_type& held,
               uint64_t ms = PKD_NO_TIMEOUT) noexcept {
    return detail::fill(loop, *this, held, call<pkd_async_rwlock_upgrade>(),
                        ms);
  }

#endif

private:
  pkd_async_rwlock_t c_ = PKD_ASYNC_RWLOCK_INIT;
};

} // namespace parkade

#endif
