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

#endif
