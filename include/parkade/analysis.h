/* SPDX-License-Identifier: MIT
 *
 * analysis.h - what the locks tell clang's -Wthread-safety and ThreadSanitizer.
 *
 * clang -Wthread-safety then finds, when your program is compiled, data touched
 * without its lock, locks left held and locks taken twice:
 *
 *   static pkd_mutex_t m;
 *   static int total PKD_GUARDED_BY(m);
 *   static void add(int n) PKD_REQUIRES(m);
 *
 * ThreadSanitizer learns of the locks for threads, and of tokens, from the inline
 * functions of these headers, in the unit that includes them: a program built with
 * -fsanitize=thread needs no instrumented build of this library for them. (What
 * the lot orders, and the tasks of two loops, it sees only in an instrumented one.)
 *
 * A build of the library that is instrumented itself shows its bare atomics, and is
 * used with PKD_TSAN_ANNOTATE defined as 0, as its pkg-config and CMake files do: a
 * note "this is a lock" would hide an order that is wrong, and hides from
 * ThreadSanitizer all that goes on inside, of which it then sees one half only. */
#ifndef PARKADE_ANALYSIS_H
#define PARKADE_ANALYSIS_H

#include <parkade/base.h>

/* --- clang -Wthread-safety ------------------------------------------------- */

/* Not in a unit that is watched for deadlocks (deadlock.h): the analysis does not
 * recognise a lock behind the macros that tell from where it is taken. */
#if defined(__clang__) && !defined(PKD_DEADLOCK)
#define PKD__ANALYSIS(attribute) __attribute__((attribute))
#else
#define PKD__ANALYSIS(attribute)
#endif

/** On a struct: this is a lock, called `name` in warnings. */
#define PKD_CAPABILITY(name) PKD__ANALYSIS(capability(name))
#if defined(__clang__) && defined(__has_attribute)
#if __has_attribute(reentrant_capability)
#define PKD__AGAIN PKD__ANALYSIS(reentrant_capability)
#endif
#endif
#ifndef PKD__AGAIN
#define PKD__AGAIN
#endif
/** The same, and its holder may lock it again. (Before clang 21 the analysis does
 * not know of that, and warns where one function does so by plain calls.) */
#define PKD_CAPABILITY_AGAIN(name) PKD_CAPABILITY(name) PKD__AGAIN
/** On a variable or a field: touch it only with the lock held. */
#define PKD_GUARDED_BY(lock) PKD__ANALYSIS(guarded_by(lock))
/** On a pointer: touch what it points at only with the lock held. */
#define PKD_PT_GUARDED_BY(lock) PKD__ANALYSIS(pt_guarded_by(lock))
/** On a function: call it with these locks held for writing. */
#define PKD_REQUIRES(...) PKD__ANALYSIS(requires_capability(__VA_ARGS__))

/** On a function: call it with these locks held for reading at least. */
#define PKD_REQUIRES_SHARED(...)                                               \
  PKD__ANALYSIS(requires_shared_capability(__VA_ARGS__))
/** On a function: do not call it with these locks held. */
#define PKD_EXCLUDES(...) PKD__ANALYSIS(locks_excluded(__VA_ARGS__))
/** On a function: it returns with the lock held for writing. */
#define PKD_ACQUIRE(...) PKD__ANALYSIS(acquire_capability(__VA_ARGS__))

/** On a function: it returns with the lock held for reading. */
#define PKD_ACQUIRE_SHARED(...)                                                \
  PKD__ANALYSIS(acquire_shared_capability(__VA_ARGS__))
/** As PKD_ACQUIRE, if and only if it returns 0. */
#define PKD_TRY_ACQUIRE(...)                                                   \
  PKD__ANALYSIS(try_acquire_capability(0, __VA_ARGS__))

/** As PKD_ACQUIRE_SHARED, if and only if it returns 0. */
#define PKD_TRY_ACQUIRE_SHARED(...)                                            \
  PKD__ANALYSIS(try_acquire_shared_capability(0, __VA_ARGS__))
/** On a function: it gives up a lock that is held for writing. */
#define PKD_RELEASE(...) PKD__ANALYSIS(release_capability(__VA_ARGS__))

/** On a function: it gives up a lock that is held for reading. */
#define PKD_RELEASE_SHARED(...)                                                \
  PKD__ANALYSIS(release_shared_capability(__VA_ARGS__))
/** On a function: believe from here on that the lock is held for writing. */
#define PKD_ASSERT_HELD(...) PKD__ANALYSIS(assert_capability(__VA_ARGS__))

/** On a function: believe from here on that the lock is held for reading. */
#define PKD_ASSERT_HELD_SHARED(...)                                            \
  PKD__ANALYSIS(assert_shared_capability(__VA_ARGS__))
/** On a function: do not look into its body. */
#define PKD_NO_ANALYSIS PKD__ANALYSIS(no_thread_safety_analysis)

/* A scope that holds a lock. The cleanup attribute unlocks on every way out; the
 * analysis, which knows nothing of that attribute, is told by `held` that within
 * the block the lock is held, and so looks at the expression `lock` once more. */
#define PKD__WITH(type, enter, leave, held, lock)                              \
  PKD__WITH_AS(type, enter, leave, held, lock,                                 \
               PKD__NAME(pkd__scope_, __COUNTER__))
#define PKD__WITH_AS(type, enter, leave, held, lock, scope)                    \
  for (type scope __attribute__((cleanup(leave))) = enter(lock); !scope.left;  \
       scope.left = 1)                                                         \
  PKD__WITH_HELD(held, lock, PKD__NAME(scope, _))
#if defined(__clang__)
#define PKD__WITH_HELD(held, lock, once)                                       \
  for (int once = held(lock); once; once = 0)
#else
#define PKD__WITH_HELD(held, lock, once)
#endif

/* --- ThreadSanitizer ------------------------------------------------------- */

#if !defined(PKD_TSAN_ANNOTATE) && !defined(PKD_BUILDING)
#if defined(__SANITIZE_THREAD__)
#define PKD_TSAN_ANNOTATE 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PKD_TSAN_ANNOTATE 1
#endif
#endif
#endif

#ifndef PKD_TSAN_ANNOTATE
/** 1: this unit tells ThreadSanitizer of the locks; set by -fsanitize=thread. */
#define PKD_TSAN_ANNOTATE 0
#endif

#if PKD_TSAN_ANNOTATE
#include <sanitizer/tsan_interface.h>
/* The bit that says a lock is held for reading. */
#define PKD__TSAN_READ __tsan_mutex_read_lock
/* Around a call that locks; it cannot fail. */
#define PKD__TSAN_LOCKING(lock, read) __tsan_mutex_pre_lock((lock), (read))
#define PKD__TSAN_LOCKED(lock, read) __tsan_mutex_post_lock((lock), (read), 0)
/* Around a call that may not get the lock; got: nonzero if it did. */
#define PKD__TSAN_TRYING(lock, read)                                           \
  __tsan_mutex_pre_lock((lock), (read) | __tsan_mutex_try_lock)
#define PKD__TSAN_TRIED(lock, read, got)                                       \
  __tsan_mutex_post_lock((lock),                                               \
                         (read) | __tsan_mutex_try_lock |                      \
                             ((got) ? 0u : __tsan_mutex_try_lock_failed),      \
                         0)
/* Around a call that unlocks. The second touches no memory of the lock. */
#define PKD__TSAN_UNLOCKING(lock, read)                                        \
  ((void)__tsan_mutex_pre_unlock((lock), (read)))
#define PKD__TSAN_UNLOCKED(lock, read) __tsan_mutex_post_unlock((lock), (read))
/* After a call that sees, before one that shows, what others do. */
#define PKD__TSAN_SAW(object) __tsan_acquire(object)
#define PKD__TSAN_SHOWS(object) __tsan_release(object)
/* After a wait that a token may have ended: it sees what its firer did. */
#define PKD__TSAN_CANCELLED(rc, cancel) pkd__cancel_saw((rc), (cancel))
/* What a call may do in place of its slow path, after it has shown what it had to.
 * Not here: of an atomic after that, which is no part of what was shown, those who
 * free the object know nothing. */
#define PKD__TSAN_INLINE(fast) 0
#else
#define PKD__TSAN_READ 0
#define PKD__TSAN_LOCKING(lock, read) ((void)0)
#define PKD__TSAN_LOCKED(lock, read) ((void)0)
#define PKD__TSAN_TRYING(lock, read) ((void)0)
#define PKD__TSAN_TRIED(lock, read, got) ((void)0)
#define PKD__TSAN_UNLOCKING(lock, read) ((void)0)
#define PKD__TSAN_UNLOCKED(lock, read) ((void)0)
#define PKD__TSAN_SAW(object) ((void)0)
#define PKD__TSAN_SHOWS(object) ((void)0)
#define PKD__TSAN_CANCELLED(rc, cancel) ((void)0)
#define PKD__TSAN_INLINE(fast) (fast)
#endif

#if PKD_TSAN_ANNOTATE
#include <parkade/cancel.h>
#endif

#endif
