/* SPDX-License-Identifier: MIT
 *
 * deadlock_ring.c - who holds what, and who waits for whom, in a ring.
 *
 * The thread that is about to sleep asks: of all who wait, who cannot go on? It
 * starts from everybody and strikes out whoever waits for somebody that can run
 * (for a semaphore: if one of its holders can), until nothing changes. If it is
 * among the rest and a way along the waiting leads back to it, it closes a ring.
 * All of this is under one lock, the guard, so nobody notes or strikes out
 * meanwhile: the threads of the ring can get no further than where they are. */
#include "deadlock.h"

#include "bucket.h"

enum { SEMS = 256 };

struct pkd__record pkd__records[PKD__RECORDS];
size_t pkd__records_used;

/* Semaphores by how they were released: by a thread that had acquired, by one
 * that had not. Both: not a lock. */
static struct {
  const void* object;
  bool by_holder, by_stranger;
} sems[SEMS];

/* --- what a thread holds --------------------------------------------------------- */

bool pkd__watch_conflict(unsigned wanted, unsigned held, bool again) {
  switch (held) {
  case PKD__WATCH_SHARED:
    return wanted == PKD__WATCH_EXCLUSIVE || wanted == PKD__WATCH_UPGRADE ||
           (wanted == PKD__WATCH_SHARED && again);
  case PKD__WATCH_UPGRADABLE:
    return wanted == PKD__WATCH_EXCLUSIVE || wanted == PKD__WATCH_UPGRADABLE ||
           wanted == PKD__WATCH_UPGRADE;
  default:
    return true;
  }
}

struct pkd__hold* pkd__find_hold(struct pkd__record* r, const void* object,
                                 unsigned mode) {
  for (uint32_t i = r->count; i-- != 0;)
    if (r->held[i].object == object && (mode == 0 || r->held[i].mode == mode))
      return &r->held[i];
  return NULL;
}

void pkd__add_hold(struct pkd__record* r, const struct pkd__hold* hold) {
  struct pkd__hold* old = NULL;

  if (hold->kind == PKD__WATCH_REMUTEX || hold->kind == PKD__WATCH_SEM)
    old = pkd__find_hold(r, hold->object, 0);
  if (old != NULL) {
    old->count++;
  } else if (r->count == PKD__HOLDS) {
    pkd__watch_missed();
  } else {
    r->held[r->count++] = *hold;
  }
}

void pkd__remove_hold(struct pkd__record* r, struct pkd__hold* hold) {
  if (--hold->count != 0)
    return;
  for (; hold + 1 < r->held + r->count; hold++)
    *hold = hold[1];
  r->count--;
}

void pkd__ring_clear(void) {
  for (size_t i = 0; i < SEMS; i++)
    sems[i].object = NULL;
}

/* --- semaphores ------------------------------------------------------------------ */

void pkd__note_release(const void* sem, bool by_holder) {
  for (size_t i = 0; i < SEMS; i++) {
    if (sems[i].object == NULL)
      sems[i].object = sem;
    if (sems[i].object != sem)
      continue;
    *(by_holder ? &sems[i].by_holder : &sems[i].by_stranger) = true;
    return;
  }
  pkd__watch_missed();
}

static bool is_used_as_lock(const void* sem) {
  for (size_t i = 0; i < SEMS && sems[i].object != NULL; i++)
    if (sems[i].object == sem)
      return sems[i].by_holder && !sems[i].by_stranger;
  return false;
}

/* --- who waits for whom ----------------------------------------------------------- */

static bool sleeps(const struct pkd__record* r) {
  struct pkd__bucket* bucket;
  bool queued;

  if (r->joins != 0)
    return true;
  if (r->waiter == NULL)
    return false;
  bucket = pkd__bucket_lock_of(r->waiter);
  queued = pkd__queued(r->waiter);
  pkd__bucket_unlock(bucket);
  return queued;
}

/* What a sleeper wants: what it said it would take, if it sleeps there (a rwlock
 * has more addresses than one); else whatever is at that address. */
static struct pkd__hold wish_of(const struct pkd__record* r) {
  struct pkd__hold wish = {.mode = PKD__WATCH_EXCLUSIVE};
  uintptr_t at = (uintptr_t)pkd__key_of(r->waiter);
  uintptr_t wanted = (uintptr_t)r->wanted.object;
  uintptr_t length = 1;

  if (r->wanted.kind == PKD__WATCH_RWLOCK)
    length = 8;
  else if (r->wanted.kind == PKD__WATCH_REMUTEX)
    length = 16;
  if (wanted != 0 && at >= wanted && at - wanted < length)
    return r->wanted;
  wish.object = (const void*)at;
  return wish;
}

/* Must `r`, which wants `wish`, wait for `other`? *held: why, NULL if it merely
 * stands behind it or joins it. */
static bool waits_for(const struct pkd__record* r, const struct pkd__hold* wish,
                      struct pkd__record* other,
                      const struct pkd__hold** held) {
  *held = NULL;
  if (r->joins != 0)
    return other->thread == r->joins;
  for (uint32_t i = 0; i < other->count; i++) {
    *held = &other->held[i];
    if ((*held)->object == wish->object &&
        pkd__watch_conflict(wish->mode, (*held)->mode, false) &&
        !(other == r && wish->mode == PKD__WATCH_UPGRADE))
      return true;
  }
  *held = NULL;
  /* A plain reader stands behind a writer that came before it. */
  return wish->kind == PKD__WATCH_RWLOCK &&
         (wish->mode == PKD__WATCH_SHARED ||
          wish->mode == PKD__WATCH_UPGRADABLE) &&
         other != r && other->waiter != NULL && other->since < r->since &&
         other->wanted.object == wish->object &&
         other->wanted.mode == PKD__WATCH_EXCLUSIVE;
}

/* Can `r` not go on while the stuck stay stuck? */
static bool stays_stuck(const struct pkd__record* r) {
  struct pkd__hold wish = {0};
  bool any = false, all = true;

  if (r->joins == 0)
    wish = wish_of(r);
  for (size_t i = 0; i < pkd__records_used; i++) {
    const struct pkd__hold* held;

    if (pkd__records[i].thread != 0 &&
        waits_for(r, &wish, &pkd__records[i], &held)) {
      any = any || pkd__records[i].stuck;
      all = all && pkd__records[i].stuck;
    }
  }
  if (wish.kind == PKD__WATCH_SEM)
    return any && all && is_used_as_lock(wish.object);
  return any;
}

static void find_the_stuck(void) {
  bool changed = true;

  for (size_t i = 0; i < pkd__records_used; i++) {
    pkd__records[i].stuck =
        pkd__records[i].thread != 0 && sleeps(&pkd__records[i]);
    pkd__records[i].seen = false;
  }
  while (changed) {
    changed = false;
    for (size_t i = 0; i < pkd__records_used; i++)
      if (pkd__records[i].stuck && !stays_stuck(&pkd__records[i])) {
        pkd__records[i].stuck = false;
        changed = true;
      }
  }
}

/* A way along the waiting from `r` to `mine`, among the stuck. The steps are
 * written on the way back, so the last thread's comes first. */
static bool find_ring(struct pkd__record* mine, struct pkd__record* r,
                      unsigned depth, struct pkd__finding* finding) {
  struct pkd__hold wish = {0};
  const struct pkd__hold* held;

  if (r->joins == 0)
    wish = wish_of(r);
  r->seen = true;
  for (size_t i = 0; i < pkd__records_used; i++) {
    struct pkd__record* next = &pkd__records[i];
    pkd_deadlock_step_t* step = &finding->steps[depth];

    if (!next->stuck || !waits_for(r, &wish, next, &held))
      continue;
    if (next != mine && (next->seen || depth + 1 == PKD__RING_MAX))
      continue;
    step->thread = r->thread;
    step->kind = r->joins != 0 ? "thread" : pkd__watch_name(wish.kind);
    step->wants = wish.object;
    step->want_file = r->joins != 0 ? NULL : wish.site.file;
    step->want_line = wish.site.line;
    /* what the next one keeps is told in its own step; mine is the first */
    step = &finding->steps[next == mine ? 0 : depth + 1];
    step->holds = held == NULL ? NULL : held->object;
    step->held_file = held == NULL ? NULL : held->site.file;
    step->held_line = held == NULL ? 0 : held->site.line;
    if (next == mine) {
      finding->count = depth + 1;
      return true;
    }
    if (find_ring(mine, next, depth + 1, finding))
      return true;
  }
  return false;
}

void pkd__ring_look(struct pkd__record* mine, struct pkd__finding* finding) {
  find_the_stuck();
  if (mine->stuck) {
    finding->verdict = PKD_DEADLOCK_CERTAIN;
    find_ring(mine, mine, 0, finding);
  }
}
