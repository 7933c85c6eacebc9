/* SPDX-License-Identifier: MIT
 *
 * lot.h - what the lot offers inside libparkade beside parkade/lot.h. */
#ifndef PKD_LOT_INTERNAL_H
#define PKD_LOT_INTERNAL_H

#include <parkade/lot.h>

#include <stdbool.h>

/** pkd_lot_enqueue and pkd_lot_enqueue_front in one. */
int pkd__lot_enqueue(const void* key, pkd_waiter_t* waiter,
                     pkd_validate_cb validate, void* arg, bool front);

/** Is a waiter's `due` over at `now`, a pkd_lot_due() too? What is ahead is so by
 * little, a patience; what is past may be so by hours. Hence the circle of 32 bits
 * is cut unevenly: an eighth of it is ahead. */
static inline bool pkd__due_by(uint32_t due, uint32_t now) {
  return due != 0 && now - due < UINT32_C(0xe0000000);
}

#endif
