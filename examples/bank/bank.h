/* SPDX-License-Identifier: MIT
 *
 * bank.h - the whole server in one struct: what its two loops share.
 *
 * `options` and `guard` are read-only once the loops run; each of the others
 * carries the lock that guards it. */
#ifndef BANK_BANK_H
#define BANK_BANK_H

#include "database.h"
#include "guard.h"
#include "stats.h"
#include "teller.h"

enum { TELLERS = 2 };

struct options {
  const char* database;
  const char* notice; /* the file NOTICE reads */
  const char* guard;
  int port;
  int64_t accounts;
  int64_t opening;      /* each account's first balance */
  unsigned patience_ms; /* how long half a command may lie about */
};

struct bank {
  struct options options;
  const struct guard* guard;
  struct stats stats;
  struct database database;
  struct teller tellers[TELLERS];
};

#endif
