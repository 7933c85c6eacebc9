/* SPDX-License-Identifier: MIT
 *
 * grant.c - grants are noted, met by their loop, or taken back; grant.h draws
 * the states.
 *
 * Taking back is a step under the lot's lock of the object, and of the home
 * inside: take_back() is sure that the request is still in the list before it
 * touches it, and then changes state, word and queue at once. Until it has given
 * back what was granted, that keeps the object in place. */
#include "grant.h"

#include "keyed.h"
#include "queue.h"

#include <errno.h>

uint32_t pkd__away;

struct revocation {
  struct pkd__home* home;
  pkd_waiter_t* waiter; /* or NULL; not to be touched unless in the list */
  const void* key;
  bool bound; /* it stays in the list */
};

struct look {
  pkd_deadline_t now;
  pkd_deadline_t next;
};

static void append(struct pkd__home* home, pkd_waiter_t* waiter);
static void unlist(struct pkd__home* home, pkd_waiter_t* waiter);
static void forget(struct pkd__home* home, pkd_waiter_t* waiter);
static void meet(struct pkd__home* home, pkd_req_t* req);
static int come_to(void* arg);
static int come_back(void* arg);
static void look_at(void* arg, struct pkd__home* home);
static bool next_overdue(struct pkd__home* home, struct look* look,
                         struct revocation* revocation);
static int take_back(void* arg);
static bool give_back(pkd_req_t* req);

static void count_away(int by) {
  /* relaxed: the lot's lock orders it, see grant.h */
  pkd__add_relaxed(&pkd__away, (uint32_t)by);
}

/* --- noted ----------------------------------------------------------------- */

static bool is_bound(const pkd_req_t* req) {
  /* relaxed: its kind stays what it is while it is noted */
  return pkd__grant_is_bound(
      pkd__face_of(pkd__kind_of(pkd__load_relaxed(&req->waiter.state))), req);
}

void pkd__grant_note(struct pkd__home* home, pkd_req_t* req) {
  pkd_waiter_t* waiter = &req->waiter;
  /* relaxed: set by who calls this; or a cancel came since */
  uint32_t state = pkd__load_relaxed(&waiter->state);
  const struct pkd__face* face = pkd__face_of(pkd__kind_of(state));

  if (pkd__step_of(state) != PKD__GRANTED ||
      !pkd__grant_revocable(pkd__grant_of(state)))
    return;
  uv_mutex_lock(&home->lock);
  if (face->in_lot == NULL) {
    append(home, waiter);
  } else {
    if (home->keys++ == 0)
      home->keys_since = pkd_lot_due(pkd_now());
    home->keys_new++;
    /* relaxed: as there */
    pkd__store_relaxed(&waiter->due, home->number);
  }
  uv_mutex_unlock(&home->lock);
}

/* Under the home's lock. */
static void append(struct pkd__home* home, pkd_waiter_t* waiter) {
  /* relaxed: the lock orders it; who looks without has been posted it */
  pkd__store_relaxed(&waiter->due, pkd_lot_due(pkd_now()));
  waiter->child[0] = NULL;
  waiter->child[1] = home->newest;
  if (home->newest == NULL)
    home->oldest = waiter;
  else
    home->newest->child[0] = waiter;
  home->newest = waiter;
  home->undelivered++;
}

/* Under the home's lock. */
static void unlist(struct pkd__home* home, pkd_waiter_t* waiter) {
  pkd_waiter_t* younger = waiter->child[0];
  pkd_waiter_t* older = waiter->child[1];

  *(older == NULL ? &home->oldest : &older->child[0]) = younger;
  *(younger == NULL ? &home->newest : &younger->child[1]) = older;
  home->undelivered--;
}

/* It is noted no more. Under the home's lock. */
static void forget(struct pkd__home* home, pkd_waiter_t* waiter) {
  /* relaxed: its kind stays what it is while it is noted */
  enum pkd__kind kind = pkd__kind_of(pkd__load_relaxed(&waiter->state));

  if (kind != PKD__KIND_KEYED) {
    unlist(home, waiter);
  } else {
    home->keys--;
    home->keys_since = pkd_lot_due(pkd_now());
    if (home->keys_new > home->keys)
      home->keys_new = home->keys;
  }
  /* (G1) release, pairs with (G2). The last touch, for the loop may look without
   * the lock; and if the watchdog took it out, with it comes the state. */
  pkd__store_release(&waiter->due, 0);
}

/* --- met ------------------------------------------------------------------- */

bool pkd__grant_met_noted(struct pkd__home* home, pkd_req_t* req) {
  pkd_waiter_t* waiter = &req->waiter;
  const void* key = pkd__object_of(req);
  const struct pkd__in_lot* in_lot;
  uint32_t state;

  /* (G2) acquire, pairs with (G1); that it was set came with the mail */
  if (pkd__load_acquire(&waiter->due) != 0) {
    bool bound = is_bound(req);

    if (bound)
      uv_mutex_lock(&home->retreat);
    meet(home, req);
    if (bound)
      uv_mutex_unlock(&home->retreat);
  }
  /* (S2) acquire, pairs with (S1) */
  state = pkd__load_acquire(&waiter->state);
  /* relaxed: who set it had one in the list that is still to be met; there, the
   * lock or the state has brought it */
  if (pkd__load_relaxed(&home->stuck))
    pkd__store_relaxed(&home->stuck, false);
  if (!pkd__is_away(state))
    return true;
  pkd__home_wait_again(home, req);
  if (pkd_lot_remove_if(waiter, come_back, req, NULL, NULL) == -ENOENT)
    return true; /* another end came meanwhile */
  in_lot = pkd__face_of(pkd__kind_of(state))->in_lot;
  return in_lot != NULL ? in_lot->dispatch_to(req) : pkd__dispatch_to(key, req);
}

static void meet(struct pkd__home* home, pkd_req_t* req) {
  struct revocation met = {.home = home, .waiter = &req->waiter};

  /* relaxed: its kind is what it was when it was posted. Who holds a key is in
   * the lot, which may be looking at `due`. */
  if (pkd__kind_of(pkd__load_relaxed(&req->waiter.state)) == PKD__KIND_KEYED)
    pkd_lot_enqueue(pkd__object_of(req), &req->waiter, come_to, &met);
  else
    come_to(&met);
}

/* It is noted no more. Of a key under the lot's lock. */
static int come_to(void* arg) {
  struct revocation* met = arg;

  uv_mutex_lock(&met->home->lock);
  /* relaxed: under the lock that guards it */
  if (pkd__load_relaxed(&met->waiter->due) != 0)
    forget(met->home, met->waiter);
  uv_mutex_unlock(&met->home->lock);
  return 0; /* it stays where it is */
}

/* Under the lot's lock: `req` is queued, and so it is away still. */
static int come_back(void* arg) {
  pkd_req_t* req = arg;
  /* relaxed: the lot's lock guards it */
  enum pkd__kind kind = pkd__kind_of(pkd__load_relaxed(&req->waiter.state));

  /* (S6) release, pairs with (S5) */
  pkd__store_release(&req->waiter.state, pkd__state(PKD__QUEUED, kind));
  count_away(-1);
  return 0; /* it stays where it is */
}

/* --- put off, taken back --------------------------------------------------- */

void pkd__grant_put_off(pkd_req_t* req, enum pkd__kind kind) {
  count_away(1);
  /* (S1) release, pairs with (S2) and (S5) */
  pkd__store_release(&req->waiter.state, pkd__state_away(kind));
}

void pkd__grant_ended(uint32_t state) {
  if (pkd__is_away(state))
    count_away(-1);
}

pkd_deadline_t pkd__grants_look(pkd_deadline_t now) {
  struct look look = {now, PKD_FOREVER};

  pkd__registry_each(look_at, &look);
  return look.next;
}

/* The youngest first: each goes to the head of its queue, so those of one object
 * stand there as they stood before. Keys have never left their places. */
static void look_at(void* arg, struct pkd__home* home) {
  struct look* look = arg;
  struct revocation revocation = {.home = home};
  bool overdue;

  uv_mutex_lock(&home->retreat);
  while ((overdue = next_overdue(home, look, &revocation)) &&
         revocation.waiter != NULL) {
    if (revocation.bound)
      pkd__grant_retreat(home, pkd__req_of(revocation.waiter));
    else if (pkd_lot_enqueue_front(revocation.key, revocation.waiter, take_back,
                                   &revocation) == 0)
      pkd__dispatch(revocation.key);
  }
  if (overdue) {
    /* What is noted from here on is for the next walk. */
    uv_mutex_lock(&home->lock);
    home->keys_new = 0;
    uv_mutex_unlock(&home->lock);
    pkd__keyed_take_back(home);
  }
  uv_mutex_unlock(&home->retreat);
}

/* Who has only begun to ask for several will give up by himself. Who climbs keeps
 * what he has and is told: to begin anew, he might have to wait for ever. */
void pkd__grant_retreat(struct pkd__home* home, pkd_req_t* req) {
  size_t granted =
      pkd__many_has(req) ? pkd__many_retreat(req) : pkd_req_cancel(req) == 0;

  uv_mutex_lock(&home->lock);
  home->revoked += granted;
  uv_mutex_unlock(&home->lock);
  meet(home, req);
}

/* Is the home stuck? Then the youngest grant in its list, if there is one; or when
 * it may be. */
static bool next_overdue(struct pkd__home* home, struct look* look,
                         struct revocation* revocation) {
  /* relaxed: a setting, which counts from now on */
  uint64_t patience = pkd__load_relaxed(&home->patience) * UINT64_C(1000000);
  pkd_deadline_t end = look->now + patience;
  bool stuck = false;

  if (patience == 0)
    return false;
  uv_mutex_lock(&home->lock);
  if (home->oldest != NULL || home->keys_new != 0) {
    uint64_t lain = pkd__grants_lain(home, look->now);

    /* relaxed: under the lock that guards it */
    stuck = lain >= patience || pkd__load_relaxed(&home->stuck);
    end -= stuck ? 0 : lain;
    revocation->waiter = home->newest;
    if (home->newest != NULL) {
      revocation->key = pkd__key_of(home->newest);
      revocation->bound = is_bound(pkd__req_of(home->newest));
    }
  }
  if (stuck)
    pkd__store_relaxed(&home->stuck, true); /* relaxed: see pkd__grant_met */
  uv_mutex_unlock(&home->lock);
  if (end < look->next)
    look->next = end;
  return stuck;
}

static uint64_t lain_since(uint32_t since, pkd_deadline_t now) {
  int32_t age = (int32_t)(pkd_lot_due(now) - since);

  return age < 0 ? 0 : (uint64_t)age << PKD__DUE_TICK;
}

uint64_t pkd__grants_lain(const struct pkd__home* home, pkd_deadline_t now) {
  uint64_t lain = 0;
  uint64_t keys = 0;

  if (home->oldest != NULL)
    /* relaxed: under the lock that guards it */
    lain = lain_since(pkd__load_relaxed(&home->oldest->due), now);
  if (home->keys != 0)
    keys = lain_since(home->keys_since, now);
  return lain > keys ? lain : keys;
}

/* Under the lot's lock of the key. */
static int take_back(void* arg) {
  const struct revocation* revocation = arg;
  struct pkd__home* home = revocation->home;
  pkd_waiter_t* waiter = revocation->waiter;
  bool taken = false;

  uv_mutex_lock(&home->lock);
  if (home->newest == waiter && pkd__key_of(waiter) == revocation->key) {
    taken = give_back(pkd__req_of(waiter));
    home->revoked += taken;
    /* If it was not taken back, it may be gone after this. */
    forget(home, waiter);
  }
  uv_mutex_unlock(&home->lock);
  return taken;
}

/* Under both locks, in the list still. A closed object keeps its owners:
 * nobody waits there, nor will.
 * @return false: it was cancelled, or is to stay granted */
static bool give_back(pkd_req_t* req) {
  /* (S5) acquire, pairs with (S1) */
  uint32_t state = pkd__load_acquire(&req->waiter.state);
  enum pkd__kind kind = pkd__kind_of(state);
  const struct pkd__face* face = pkd__face_of(kind);
  void* object = pkd__object_of(req);
  uint64_t word;

  if (pkd__step_of(state) != PKD__GRANTED ||
      (pkd__word(face, object) & face->closed) != 0)
    return false;
  /* (S4) either this takes it back, or a cancel */
  if (!pkd__cas_acq_rel(&req->waiter.state, &state, pkd__state_away(kind)))
    return false;
  count_away(1);
  /* Its patience is over: it may never have begun to wait, but has waited enough. */
  if (face->overtakes != 0)
    req->extra[2] = 0;
  do {
    word = pkd__word(face, object);
  } while (!pkd__word_cas(face, object, word,
                          face->left(word, pkd__want(req)) | face->queued));
  return true;
}

bool pkd__grant_take_key(struct pkd__home* home, pkd_req_t* req, bool stays) {
  bool taken = false;

  uv_mutex_lock(&home->lock);
  if (pkd__grant_is_key_of(home, req)) {
    taken = !stays;
    home->revoked += taken;
    if (taken)
      pkd__grant_put_off(req, PKD__KIND_KEYED);
    forget(home, &req->waiter);
  }
  uv_mutex_unlock(&home->lock);
  return taken;
}
