/* SPDX-License-Identifier: MIT
 *
 * guard.h - the ways to keep two transfers apart, one file each.
 *
 * A guard lets a transfer in by transfer_enter(), at once or later, and is
 * told by leave() when the transfer is over. One that does not let the loop
 * do the work in two calls may run it in its own way and end it itself. To
 * add a guard: its file, its line in guard.c, its name in the demo. */
#ifndef BANK_GUARD_H
#define BANK_GUARD_H

struct bank;
struct transfer;

struct guard {
  const char* name;               /* on the command line */
  const char* title;              /* for people */
  int (*open)(struct bank* bank); /* 0, or SQLite's code; NULL: nothing to do */
  void (*close)(void);
  void (*enter)(struct transfer* transfer);
  void (*leave)(struct transfer* transfer);
  /* The client is gone: end the transfer if it still waits, else do nothing. */
  void (*cancel)(struct transfer* transfer);
};

extern const struct guard guard_none;
extern const struct guard guard_pool;
extern const struct guard guard_async;
extern const struct guard guard_account;

/* NULL: no guard has this name. */
const struct guard* guard_find(const char* name);

#endif
