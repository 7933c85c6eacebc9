/* SPDX-License-Identifier: MIT
 *
 * keyed_walk.c - where requests for keys stand: anywhere in the lot.
 *
 * A keyed mutex has no list of them, and a loop none of the keys that it was
 * granted: they stand in the lot, under as many names as there are keys. So the lot
 * is walked, part by part: under the lock of a part the names are noted at which
 * one stands who is wanted, then each name is visited by itself. */
#include "engine.h"
#include "keyed.h"

#define NAMES 32u /* noted under one hold of the lot's lock */

struct search {
  bool (*wanted)(const void* arg, const pkd_req_t* req);
  const void* arg;
  unsigned count;
  const void* name[NAMES];
};

static int note(void* arg, const void* name, pkd_waiter_t* waiter);

void pkd__keyed_walk(bool (*wanted)(const void* arg, const pkd_req_t* req),
                     void (*visit)(void* arg, const void* name), void* arg) {
  struct search search = {.wanted = wanted, .arg = arg};
  unsigned part = 0;

  while (pkd__lot_visit(part, note, &search)) {
    for (unsigned i = 0; i < search.count; i++)
      visit(arg, search.name[i]);
    part += search.count < NAMES; /* full: there may be more of them */
    search.count = 0;
  }
}

/* Anything may wait in the lot. A request is known by its `wake`, and who stands
 * at a name by its kind, or by none, if it has asked for a key without waiting. Of
 * other queues the first is enough. */
static int note(void* arg, const void* name, pkd_waiter_t* waiter) {
  struct search* search = arg;
  uint32_t state;

  if (search->count == NAMES || waiter->wake != pkd__woken_by_stranger)
    return 0;
  /* relaxed: the lot's lock guards it while it is queued */
  state = pkd__load_relaxed(&waiter->state);
  if (state != PKD__IDLE && pkd__kind_of(state) != PKD__KIND_KEYED)
    return 0;
  if (!search->wanted(search->arg, pkd__req_of(waiter)))
    return 1;
  search->name[search->count++] = name;
  return 0;
}
