/* SPDX-License-Identifier: MIT
 *
 * guard_none.c - no guard, the first classic mistake.
 *
 * "A loop is one thread, so my callbacks need no lock." True for data that is
 * not left alone between two callbacks. Here another transfer reads the same
 * balance while this one waits for its write, and one of the two is lost. */
#include "guard.h"
#include "transfer.h"

static void enter(struct transfer* transfer) {
  transfer_enter(transfer);
}

static void leave(struct transfer* transfer) {
  (void)transfer;
}

static void cancel(struct transfer* transfer) {
  (void)transfer;
}

const struct guard guard_none = {
    .name = "none",
    .title = "none",
    .enter = enter,
    .leave = leave,
    .cancel = cancel,
};
