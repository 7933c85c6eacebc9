/* SPDX-License-Identifier: MIT
 *
 * cycle.c - rings of tasks that wait for each other, among watched requests.
 *
 * A snapshot first: what each request owns or awaits. Then, from each that waits,
 * a search in breadth: to those who own what it awaits, and on to all that their
 * tasks await, until the task is met where it began. Only requests further down
 * the list are passed, so each ring is found from its first member alone.
 * Requests go on meanwhile; so the steps of a ring are looked at once more before
 * it is reported.
 *
 * The lock of the list is taken first, the lot's under it (holds_up()), and never the
 * other way round. */
#include <parkade/async/cycle.h>

#include <parkade/mutex.h>

#include "engine.h"
#include "keyed.h"
#include "wheel.h"
#include "word/async_rwlock.h"

#include <pthread.h>
#include <uv.h>

#define SHOWN 16
#define MS UINT64_C(1000000)

static pkd_mutex_t lock;
static struct pkd__link watched = {&watched, &watched}; /* under lock */
static uint64_t walk;              /* under lock: number of the search */
static _Thread_local bool telling; /* with the lock held */

static const void* seen_of(const pkd_req_t* req, bool waiting);
static void snapshot(void);
static pkd_req_watch_t* search(pkd_req_watch_t* start);
static bool holds_up(const pkd_req_watch_t* owner,
                     const pkd_req_watch_t* watch);
static pkd_req_watch_t* go_on(pkd_req_watch_t* owner, pkd_req_watch_t* watch,
                              const pkd_req_watch_t* start,
                              pkd_req_watch_t* end);
static bool is_so_still(const pkd_req_watch_t* start,
                        const pkd_req_watch_t* last);
static void tell(const pkd_req_watch_t* start, const pkd_req_watch_t* last,
                 pkd_req_cycle_cb report, void* arg);

static pkd_req_watch_t* next_of(struct pkd__link* link) {
  char* next = (char*)link->next;

  return link->next == &watched
             ? NULL
             : (pkd_req_watch_t*)(next - offsetof(pkd_req_watch_t, link));
}

/* Another thread may have been changing the list: forwards it leads to all of them,
 * but for one who was just being put at the end. */
void pkd__cycle_forked(void) {
  struct pkd__link* link = &watched;

  if (telling) /* who forks in a report goes on with it */
    return;
  lock = (pkd_mutex_t)PKD_MUTEX_INIT;
  do {
    if (link->next == NULL)
      link->next = &watched;
    link->next->prev = link;
    link = link->next;
  } while (link != &watched);
}

int pkd_req_watch(pkd_req_watch_t* watch, pkd_req_t* req, const void* task,
                  const char* name) {
  int err = 0;

  if (watch == NULL || req == NULL || task == NULL)
    return UV_EINVAL;
  pkd_mutex_lock(&lock);
  if (watch->req != NULL) {
    err = UV_EALREADY;
  } else {
    watch->req = req;
    watch->task = task;
    watch->name = name;
    watch->since = pkd_now();
    pkd__list_append(&watched, &watch->link);
  }
  pkd_mutex_unlock(&lock);
  return err;
}

int pkd_req_unwatch(pkd_req_watch_t* watch) {
  int err = UV_EINVAL;

  if (watch == NULL)
    return UV_EINVAL;
  pkd_mutex_lock(&lock);
  if (watch->req != NULL) {
    pkd__list_remove(&watch->link);
    watch->req = NULL;
    err = 0;
  }
  pkd_mutex_unlock(&lock);
  return err;
}

size_t pkd_req_cycles(pkd_req_cycle_cb report, void* arg) {
  size_t count = 0;

  pkd_mutex_lock(&lock);
  snapshot();
  for (pkd_req_watch_t* watch = next_of(&watched); watch != NULL;
       watch = next_of(&watch->link)) {
    pkd_req_watch_t* last = watch->awaits == NULL ? NULL : search(watch);

    if (last == NULL || !is_so_still(watch, last))
      continue;
    count++;
    if (report != NULL)
      tell(watch, last, report, arg);
  }
  pkd_mutex_unlock(&lock);
  return count;
}

/* What it waits for, or owns: an address; of a key its name. NULL: nothing that
 * is followed. */
static const void* seen_of(const pkd_req_t* req, bool waiting) {
  /* (S5) acquire, pairs with (S1) and (S6) */
  uint32_t state = pkd__load_acquire(&req->waiter.state);
  enum pkd__kind kind = pkd__kind_of(state);
  enum pkd__step step = pkd__step_of(state);
  bool owns = step == PKD__OWNED;

  if (kind != PKD__KIND_MUTEX && kind != PKD__KIND_KEYED &&
      kind != PKD__KIND_RWLOCK)
    return NULL;
  /* Who climbs keeps what it has. */
  owns |=
      step == PKD__QUEUED && pkd__kept(pkd__face_of(kind), pkd__want(req)) != 0;
  return (waiting ? step == PKD__QUEUED : owns) ? pkd__object_of(req) : NULL;
}

static void snapshot(void) {
  uint64_t number = 0;

  for (pkd_req_watch_t* watch = next_of(&watched); watch != NULL;
       watch = next_of(&watch->link)) {
    watch->awaits = seen_of(watch->req, true);
    watch->owns = seen_of(watch->req, false);
    watch->number = number++;
    watch->passed = 0;
  }
  walk = 0;
}

/* @return the last of a ring, from which `from` leads back to the first; the owner
 *         of what it awaits is in start->by; or NULL */
static pkd_req_watch_t* search(pkd_req_watch_t* start) {
  pkd_req_watch_t* end = start;

  start->passed = ++walk;
  start->from = start->by = start->next = NULL;
  for (pkd_req_watch_t* watch = start; watch != NULL; watch = watch->next) {
    for (pkd_req_watch_t* owner = next_of(&watched); owner != NULL;
         owner = next_of(&owner->link)) {
      if (!holds_up(owner, watch))
        continue;
      if (owner->task == start->task) {
        start->by = owner;
        return watch;
      }
      end = go_on(owner, watch, start, end);
    }
  }
  return NULL;
}

/* Appends all that the owner's task awaits to those to be looked at. */
static pkd_req_watch_t* go_on(pkd_req_watch_t* owner, pkd_req_watch_t* watch,
                              const pkd_req_watch_t* start,
                              pkd_req_watch_t* end) {
  for (pkd_req_watch_t* next = next_of(&watched); next != NULL;
       next = next_of(&next->link)) {
    if (next->task != owner->task || next->awaits == NULL ||
        next->passed == walk || next->number < start->number)
      continue;
    next->passed = walk;
    next->from = watch;
    next->by = owner;
    next->next = NULL;
    end->next = next;
    end = next;
  }
  return end;
}

static bool is_so_still(const pkd_req_watch_t* start,
                        const pkd_req_watch_t* last) {
  const pkd_req_watch_t* owner = start->by;

  for (const pkd_req_watch_t* watch = last; watch != NULL;
       watch = watch->from) {
    if (seen_of(watch->req, true) != watch->awaits ||
        seen_of(owner->req, false) != watch->awaits || !holds_up(owner, watch))
      return false;
    owner = watch->by;
  }
  return true;
}

/* --- from who waits to who owns ---------------------------------------------- */

struct step {
  const pkd_req_t* waits;
  const pkd_req_t* owns;
  int met; /* how many of the two, in the queue */
  bool leads;
};

/* Can one be granted what it wants while the other has what it owns, or climbs to? */
static bool shares(const pkd_req_t* waits, const pkd_req_t* owns) {
  uint32_t wanted = pkd__want(waits) & 0xff;
  uint32_t owned = pkd__want(owns) & 0xff;

  return (wanted == PKD__ASYNC_READ && owned != PKD__ASYNC_WRITE) ||
         (wanted == PKD__ASYNC_UP && owned == PKD__ASYNC_READ);
}

/* Who waits for an rwlock waits for all who are before it, too. */
static pkd_unpark_op_t look_at_reader(void* arg, pkd_waiter_t* waiter) {
  struct step* step = arg;
  const pkd_req_t* req = pkd__req_of(waiter);

  /* relaxed: the lot's lock guards it while it is queued */
  if (req != step->waits && pkd__is_away(pkd__load_relaxed(&waiter->state)))
    return PKD_UNPARK_SKIP;
  step->leads = req != step->owns && !shares(req, step->owns);
  return step->leads || req == step->waits ? PKD_UNPARK_STOP : PKD_UNPARK_SKIP;
}

/* Of two keys the name may be one. They are in place while both stand there. */
static pkd_unpark_op_t look_at_key(void* arg, pkd_waiter_t* waiter) {
  struct step* step = arg;
  const pkd_req_t* req = pkd__req_of(waiter);

  step->met += req == step->waits || req == step->owns;
  if (step->met < 2)
    return PKD_UNPARK_SKIP;
  step->leads = pkd__same_key(step->waits, step->owns);
  return PKD_UNPARK_STOP;
}

/* Does `watch` wait until `owner` gives back what it owns? */
static bool holds_up(const pkd_req_watch_t* owner,
                     const pkd_req_watch_t* watch) {
  struct step step = {.waits = watch->req, .owns = owner->req};
  enum pkd__kind kind;

  if (owner->owns != watch->awaits || owner->req == watch->req)
    return false;
  /* relaxed: seen_of() has looked with acquire; what is looked at is looked at
   * again under the lot's lock */
  kind = pkd__kind_of(pkd__load_relaxed(&watch->req->waiter.state));
  if (kind != PKD__KIND_RWLOCK && kind != PKD__KIND_KEYED)
    return true;
  pkd_lot_unpark_filter(watch->awaits,
                        kind == PKD__KIND_KEYED ? look_at_key : look_at_reader,
                        NULL, &step);
  return step.leads;
}

/* --- the report --------------------------------------------------------------- */

static void tell(const pkd_req_watch_t* start, const pkd_req_watch_t* last,
                 pkd_req_cycle_cb report, void* arg) {
  pkd_req_wait_t waits[SHOWN];
  const pkd_req_watch_t* owner = start->by;
  pkd_deadline_t now = pkd_now();
  size_t length = 0;
  int cancel;

  for (const pkd_req_watch_t* watch = last; watch != NULL; watch = watch->from)
    length++;
  for (const pkd_req_watch_t* watch = last; watch != NULL;
       watch = watch->from) {
    if (--length < SHOWN)
      waits[length] = (pkd_req_wait_t){watch->task,
                                       watch->name,
                                       watch->req,
                                       watch->awaits,
                                       (now - watch->since) / MS,
                                       owner->name};
    owner = watch->by;
  }
  for (const pkd_req_watch_t* watch = last; watch != NULL; watch = watch->from)
    length++;
  /* With the list locked: a report that writes, say, must not end this thread. */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
  telling = true;
  report(arg, waits, length < SHOWN ? length : SHOWN);
  telling = false;
  pthread_setcancelstate(cancel, NULL);
}
