/* SPDX-License-Identifier: MIT
 *
 * wheel.c - the timing wheel of one loop; wheel.h says how it works. */
#include "wheel.h"

#define BITS 6
#define TOP (PKD_WHEEL_LEVELS - 1)

static void place(struct pkd__wheel* wheel, struct pkd__link* link,
                  uint64_t deadline);
static uint64_t next_slot(const struct pkd__wheel* wheel, unsigned* level,
                          unsigned* slot);

void pkd__wheel_init(struct pkd__wheel* wheel, uint64_t now) {
  wheel->now = now;
  pkd__list_init(&wheel->due);
  for (unsigned l = 0; l < PKD_WHEEL_LEVELS; l++) {
    wheel->occupied[l] = 0;
    for (unsigned s = 0; s < PKD__WHEEL_SLOTS; s++)
      pkd__list_init(&wheel->slot[l][s]);
  }
}

void pkd__wheel_insert(struct pkd__wheel* wheel, struct pkd__link* link,
                       uint64_t deadline) {
  place(wheel, link, deadline);
}

void pkd__wheel_remove(struct pkd__wheel* wheel, struct pkd__link* link) {
  struct pkd__link* head = link->next;
  uintptr_t n;

  pkd__list_remove(link);
  if (!pkd__list_empty(head))
    return;
  /* It was the only one, so `head` is its list. If that is a slot, its bit is
   * cleared, lest the loop wakes for an empty slot. */
  n = ((uintptr_t)head - (uintptr_t)wheel->slot) / sizeof *head;
  if (n < PKD_WHEEL_LEVELS * PKD__WHEEL_SLOTS)
    wheel->occupied[n / PKD__WHEEL_SLOTS] &=
        ~(UINT64_C(1) << n % PKD__WHEEL_SLOTS);
}

struct pkd__link* pkd__wheel_expire(struct pkd__wheel* wheel, uint64_t now,
                                    pkd__deadline_cb deadline_of) {
  while (pkd__list_empty(&wheel->due)) {
    unsigned level = 0;
    unsigned slot = 0;
    uint64_t start = next_slot(wheel, &level, &slot);
    struct pkd__link* list;

    if (start > now) {
      if (now > wheel->now)
        wheel->now = now;
      return NULL;
    }
    wheel->now = start;
    wheel->occupied[level] &= ~(UINT64_C(1) << slot);
    list = &wheel->slot[level][slot];
    while (!pkd__list_empty(list)) {
      struct pkd__link* link = list->next;

      pkd__list_remove(link);
      place(wheel, link, deadline_of(wheel, link));
    }
  }
  struct pkd__link* first = wheel->due.next;
  pkd__list_remove(first);
  return first;
}

static void pour(struct pkd__link* from, struct pkd__link* into) {
  while (!pkd__list_empty(from)) {
    struct pkd__link* link = from->next;

    pkd__list_remove(link);
    pkd__list_append(into, link);
  }
}

void pkd__wheel_empty(struct pkd__wheel* wheel, struct pkd__link* list) {
  for (unsigned l = 0; l < PKD_WHEEL_LEVELS; l++) {
    wheel->occupied[l] = 0;
    for (unsigned s = 0; s < PKD__WHEEL_SLOTS; s++)
      pour(&wheel->slot[l][s], list);
  }
  pour(&wheel->due, list);
}

uint64_t pkd__wheel_next(const struct pkd__wheel* wheel) {
  unsigned level = 0;
  unsigned slot = 0;

  if (!pkd__list_empty(&wheel->due))
    return wheel->now;
  return next_slot(wheel, &level, &slot);
}

/* Puts a link where its deadline belongs, as seen from the present. */
static void place(struct pkd__wheel* wheel, struct pkd__link* link,
                  uint64_t deadline) {
  uint64_t differ = deadline ^ wheel->now;
  unsigned level = 0;
  unsigned slot;

  if (deadline <= wheel->now) {
    pkd__list_append(&wheel->due, link);
    return;
  }
  while (level < TOP && differ >> (BITS * (level + 1)) != 0)
    level++;
  slot = (unsigned)(deadline >> (BITS * level)) % PKD__WHEEL_SLOTS;
  wheel->occupied[level] |= UINT64_C(1) << slot;
  pkd__list_append(&wheel->slot[level][slot], link);
}

/* The occupied slot that begins first, and when that is. */
static uint64_t next_slot(const struct pkd__wheel* wheel, unsigned* level,
                          unsigned* slot) {
  for (unsigned l = 0; l < PKD_WHEEL_LEVELS; l++) {
    uint64_t bits = wheel->occupied[l];
    uint64_t present = wheel->now >> (BITS * l);
    unsigned here = (unsigned)present % PKD__WHEEL_SLOTS;
    unsigned ahead;

    if (bits == 0)
      continue;
    /* Rotated, so that the slot of the present is bit 0. Only at the top level
     * can the slots after it have lower numbers. */
    if (here != 0)
      bits = bits >> here | bits << (PKD__WHEEL_SLOTS - here);
    ahead = (unsigned)__builtin_ctzll(bits);
    *level = l;
    *slot = (here + ahead) % PKD__WHEEL_SLOTS;
    return (present + ahead) << (BITS * l);
  }
  return PKD__WHEEL_NEVER;
}
