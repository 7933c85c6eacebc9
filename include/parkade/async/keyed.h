/* SPDX-License-Identifier: MIT
 *
 * async/keyed.h - one mutex per key: per account, user or path.
 *
 * A keyed mutex is a name space: any byte string or number is a mutex in it, and
 * costs nothing while nobody holds or awaits it. No table to size, nothing to
 * allocate or to clean up, and two keys never block each other: a key is looked
 * up by its value, not by the slot of its hash.
 *
 *   static pkd_async_keyed_t accounts;      // all-zero is ready
 *   pkd_async_keyed_lock_u64(&loop, &req, &accounts, account, have_it);
 *   ...
 *   pkd_async_keyed_unlock(&req, &accounts);
 *
 * Strictly first in, first out per key, tasks and blocking threads in one queue.
 * A request holds one key. To hold two, ask for both at once (many.h); or use two
 * requests, and take keys always in the same order.
 *
 * The request itself is what is remembered of a held key, so it must stay in
 * place until the unlock. A key of up to PKD_ASYNC_KEY_INLINE bytes is copied
 * into it; the bytes of a longer one must stay in place and unchanged, too.
 *
 * In the child of a fork nobody holds a key. */
#ifndef PARKADE_ASYNC_KEYED_H
#define PARKADE_ASYNC_KEYED_H

#include <parkade/async/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How long a key may be to be copied. */
#define PKD_ASYNC_KEY_INLINE 24

/** The longest key, in bytes. */
#define PKD_ASYNC_KEY_MAX (UINT32_C(1) << 30)

/** All-zero is ready. It belongs to no loop and needs no end; free its memory
 * when nobody holds or awaits a key of it. */
typedef struct pkd_async_keyed {
  uint32_t closed; /* private, atomic */
} pkd_async_keyed_t;

/** Ready: nobody holds a key. */
#define PKD_ASYNC_KEYED_INIT                                                   \
  { 0 }

/** Asks for the mutex `key`; the answer is `cb` on the loop.
 *
 * @param req     idle; the library's from a return of 0 until `cb` runs
 * @param key     `length` bytes, of any value; NULL only with a length of 0
 * @param length  at most PKD_ASYNC_KEY_MAX
 * @param cb      status 0: `req` holds the key, one unlock is owed
 *                UV_ECANCELED (pkd_req_cancel, close, detach), UV_ETIMEDOUT: not
 * @return 0
 *         UV_EALREADY   `req` waits already, undisturbed
 *         UV_EBUSY      `req` owns something; or its timeout is 0 and the key is
 *                       held
 *         UV_ESHUTDOWN  `keyed` is closed, or the loop is detached
 *         UV_EINVAL     an argument is NULL, the key too long, or the loop was
 *                       never attached
 * Blocks:    no
 * Threads:   the loop's
 * Order:     acquire; pairs with the unlock before
 * Memory:    allocates nothing
 * Fairness:  first in, first out per key */
PKD_API int pkd_async_keyed_lock(pkd_loop_t* loop, pkd_req_t* req,
                                 pkd_async_keyed_t* keyed, const void* key,
                                 size_t length, pkd_req_cb cb);

/** Takes the mutex `key`, `length` bytes, for `req`, if nobody holds it. No
 * callback.
 *
 * @return 0, UV_EBUSY, UV_EALREADY, UV_ESHUTDOWN, UV_EINVAL as
 *         pkd_async_keyed_lock
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_keyed_trylock(pkd_req_t* req, pkd_async_keyed_t* keyed,
                                    const void* key, size_t length);

/** As pkd_async_keyed_lock(), in the calling thread, in the same queue.
 *
 * @param deadline  absolute, pkd_now(); PKD_FOREVER never comes
 * @return 0, UV_ETIMEDOUT, UV_ECANCELED, UV_ESHUTDOWN, UV_EALREADY, UV_EBUSY,
 *         UV_EINVAL; PKD_EDEADLK: this thread has a loop to run (see loop.h)
 * Blocks:    yes
 * Threads:   any that has no attached loop */
PKD_API int pkd_async_keyed_lock_blocking(pkd_req_t* req,
                                          pkd_async_keyed_t* keyed,
                                          const void* key, size_t length,
                                          pkd_deadline_t deadline);

/** Gives back the key that `req` holds, to the one who has waited longest.
 *
 * @return 0
 *         UV_EPERM   `req` holds no key of `keyed`; nothing changed
 *         UV_EINVAL  an argument is NULL
 * Blocks:    no
 * Threads:   any
 * Order:     release; pairs with the next lock of the key */
PKD_API int pkd_async_keyed_unlock(pkd_req_t* req, pkd_async_keyed_t* keyed);

/** Ends all waits for keys of `keyed` with UV_ECANCELED, by their callbacks or as
 * what their blocking calls return; newcomers get UV_ESHUTDOWN from now on. Those
 * who hold keys keep them, and may still give them back; so do those to whom a key
 * was granted but not delivered yet.
 *
 * @return 0, or UV_EINVAL for NULL
 * Cost:      as nothing says where they wait, it looks everywhere: a millisecond or
 *            a few, even if nobody waits, and more in proportion to all requests of
 *            the process that hold or await a key, of whichever keyed mutex
 * Blocks:    no
 * Threads:   any */
PKD_API int pkd_async_keyed_close(pkd_async_keyed_t* keyed);

/** pkd_async_keyed_lock() with a number for a key. */
static inline int pkd_async_keyed_lock_u64(pkd_loop_t* loop, pkd_req_t* req,
                                           pkd_async_keyed_t* keyed,
                                           uint64_t key, pkd_req_cb cb) {
  return pkd_async_keyed_lock(loop, req, keyed, &key, sizeof key, cb);
}

/** pkd_async_keyed_trylock() with a number for a key. */
static inline int pkd_async_keyed_trylock_u64(pkd_req_t* req,
                                              pkd_async_keyed_t* keyed,
                                              uint64_t key) {
  return pkd_async_keyed_trylock(req, keyed, &key, sizeof key);
}

/** pkd_async_keyed_lock_blocking() with a number for a key. */
static inline int pkd_async_keyed_lock_blocking_u64(pkd_req_t* req,
                                                    pkd_async_keyed_t* keyed,
                                                    uint64_t key,
                                                    pkd_deadline_t deadline) {
  return pkd_async_keyed_lock_blocking(req, keyed, &key, sizeof key, deadline);
}

#ifdef __cplusplus
}
#endif

#endif
