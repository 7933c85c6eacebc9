/* SPDX-License-Identifier: MIT
 *
 * wheel.h - when does a wait end by itself? A hierarchical timing wheel.
 *
 * Six levels of 64 slots; a slot of level l spans 64^l milliseconds. A link lies
 * at the highest level at which its deadline and the present differ, in the slot
 * that its deadline spells there. So whatever lies at a level lies in the future
 * of that level's slot of the present, the lowest occupied level has the next
 * deadline, and a link moves down at most five times before it is due. Insert
 * and remove cost the same with one and with a million links; nothing is
 * allocated. All of it belongs to one thread. */
#ifndef PKD_ASYNC_WHEEL_H
#define PKD_ASYNC_WHEEL_H

#include <parkade/async/req.h>

#include <stdbool.h>

#ifndef PKD_WHEEL_LEVELS /* the build may ask for less */
#define PKD_WHEEL_LEVELS 6
#endif
#define PKD__WHEEL_SLOTS 64
#define PKD__WHEEL_NEVER UINT64_MAX

struct pkd__wheel {
  uint64_t now; /* milliseconds; everything before it was handed out */
  uint64_t occupied[PKD_WHEEL_LEVELS]; /* bit: the slot is not empty */
  struct pkd__link slot[PKD_WHEEL_LEVELS][PKD__WHEEL_SLOTS];
  struct pkd__link due; /* reached, and not handed out yet */
};

/** @return the deadline of a link, as it was inserted */
typedef uint64_t (*pkd__deadline_cb)(const struct pkd__wheel* wheel,
                                     const struct pkd__link* link);

void pkd__wheel_init(struct pkd__wheel* wheel, uint64_t now);

/** Tells a wheel that is empty the present: it may have slept for weeks. */
static inline void pkd__wheel_set(struct pkd__wheel* wheel, uint64_t now) {
  wheel->now = now;
}

/** Inserts a link that is in no list; `deadline` at most 2^35 ahead (with six levels:
 * less than half of what all levels span). */
void pkd__wheel_insert(struct pkd__wheel* wheel, struct pkd__link* link,
                       uint64_t deadline);

/** Removes a link that was inserted and not handed out; or takes any link out of
 * any other list, which is how those are kept that have no deadline. */
void pkd__wheel_remove(struct pkd__wheel* wheel, struct pkd__link* link);

/** Moves on to `now`, if that is later, and hands out one link whose deadline has
 * come, removed; NULL when there is no more. */
struct pkd__link* pkd__wheel_expire(struct pkd__wheel* wheel, uint64_t now,
                                    pkd__deadline_cb deadline_of);

/** Appends all links to `list`. */
void pkd__wheel_empty(struct pkd__wheel* wheel, struct pkd__link* list);

/** When to call pkd__wheel_expire next: never later than the first deadline, at
 * times earlier; PKD__WHEEL_NEVER if it is empty. */
uint64_t pkd__wheel_next(const struct pkd__wheel* wheel);

/* --- lists ----------------------------------------------------------------- */

static inline void pkd__list_init(struct pkd__link* list) {
  list->next = list->prev = list;
}

static inline bool pkd__list_empty(const struct pkd__link* list) {
  return list->next == list;
}

static inline void pkd__list_append(struct pkd__link* list,
                                    struct pkd__link* link) {
  link->next = list;
  link->prev = list->prev;
  list->prev->next = link;
  list->prev = link;
}

static inline void pkd__list_remove(struct pkd__link* link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
}

#endif
