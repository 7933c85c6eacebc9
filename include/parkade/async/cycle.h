/* SPDX-License-Identifier: MIT
 *
 * async/cycle.h - do tasks wait for each other in a ring?
 *
 * One task holds x and waits for y, another, on another loop, holds y and waits for
 * x: nothing blocks, both loops go on, and neither answer ever comes. The library
 * knows requests, not tasks. So a program that looks for this says which requests
 * belong together, and asks, say from a timer or when somebody complains:
 *
 *   pkd_req_watch(&task->watch[0], &task->x, task, "transfer 7: from");
 *   pkd_req_watch(&task->watch[1], &task->y, task, "transfer 7: to");
 *   ...
 *   pkd_req_cycles(print, NULL);  // print(NULL, waits, 2)
 *
 * A program that takes its locks in one order, or all at once (many.h), has none
 * of these. Costs nothing to those that are not watched. */
#ifndef PARKADE_ASYNC_CYCLE_H
#define PARKADE_ASYNC_CYCLE_H

#include <parkade/async/req.h>

#ifdef __cplusplus
extern "C" {
#endif

/** That a request is watched. Yours; all-zero; in place until pkd_req_unwatch(). */
typedef struct pkd__watched {
  /* private, under the lock of all that are watched */
  pkd_req_t* req;
  const void* task;
  const char* name;
  uint64_t since;
  struct pkd__link link;
  /* as last seen */
  const void* awaits;
  const void* owns;
  uint64_t number;           /* its place in the list */
  uint64_t passed;           /* number of the search that came by here ... */
  struct pkd__watched* next; /* ... and has this one to look at next */
  struct pkd__watched* from; /* ... from here */
  struct pkd__watched* by;   /* ... for this one owns what `from` awaits */
} pkd_req_watch_t;

/** One who waits in a ring. */
typedef struct pkd_req_wait {
  const void* task; /* as given to pkd_req_watch() */
  const char* name; /* ... of the request that waits */
  const pkd_req_t* req;
  const void* object; /* that it waits for; of a key a name, not an address */
  uint64_t watched;   /* for how many milliseconds `req` has been watched */
  const char*
      owner; /* the name of the request that owns `object`: it belongs to
                         the task of the next in the ring */
} pkd_req_wait_t;

/** Told of one ring: waits[0] waits for what the task of waits[1] owns, and the
 * last for what that of waits[0] owns. Runs with the list of the watched locked:
 * must not watch, unwatch or look for rings. The thread cannot be cancelled
 * meanwhile.
 *
 * @param waits  valid during the call; at most 16 are shown */
typedef void (*pkd_req_cycle_cb)(void* arg, const pkd_req_wait_t* waits,
                                 size_t count);

/** Watches `req`, before or after its start, until pkd_req_unwatch().
 *
 * @param watch  in no use
 * @param req    stays in place while it is watched
 * @param task   whose request it is: any address that the requests of one task
 *               have in common. A task that waits does not release anything
 * @param name   for the report; may be NULL; stays in place
 * @return 0; UV_EALREADY: `watch` is in use; UV_EINVAL: an argument is NULL
 * Blocks:    no (a short lock)
 * Threads:   any */
PKD_API int pkd_req_watch(pkd_req_watch_t* watch, pkd_req_t* req,
                          const void* task, const char* name);

/** Watches it no more. @return 0; UV_EINVAL: it was not watched
 * Blocks:    no (a short lock)
 * Threads:   any */
PKD_API int pkd_req_unwatch(pkd_req_watch_t* watch);

/** Looks for rings among the watched: of mutexes, keys of a keyed mutex and
 * rwlocks. Permits of a semaphore are not followed, for another may release some.
 * What is reported was seen twice; a timeout may still end such a ring by itself.
 *
 * @param report  called for each ring; of rings that share a request, for one at
 *                least; may be NULL
 * @return how many those are
 * Blocks:    no; looks at each of the watched for each that waits, and into the
 *            queue of an rwlock or a key that one of them owns
 * Threads:   any */
PKD_API size_t pkd_req_cycles(pkd_req_cycle_cb report, void* arg);

#ifdef __cplusplus
}
#endif

#endif
