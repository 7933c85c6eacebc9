/* SPDX-License-Identifier: MIT
 *
 * tokens.c - each worker has a token that ends its waits, and others fire it.
 *
 * All stand beneath the token of the leg, which the main thread fires in some
 * legs. A token is only fired, closed and made anew under its guard, so it is
 * in place while somebody fires it. */
#include "soak.h"

#include <pthread.h>
#include <string.h>

static pkd_cancel_t leg_token;

static struct {
  pthread_mutex_t guard;
  pkd_cancel_t token;
  bool open; /* the worker's: it is beneath the leg's */
} slots[WORKERS];

void tokens_init(void) {
  for (unsigned i = 0; i < WORKERS; i++)
    pthread_mutex_init(&slots[i].guard, NULL);
}

void tokens_open(bool fired_soon) {
  memset(&leg_token, 0, sizeof leg_token);
  MUST(pkd_cancel_init(&leg_token, NULL,
                       fired_soon ? pkd_after(50 * MS) : PKD_FOREVER) == 0);
}

void tokens_fire_all(void) {
  pkd_cancel_fire(&leg_token);
}

/* One that is fired serves no more: the next wait gets another. */
const pkd_cancel_t* token_of(struct self* self) {
  pkd_cancel_t* token = &slots[self->number].token;

  if (slots[self->number].open && !pkd_cancel_is_fired(token))
    return token;
  token_close(self);
  pthread_mutex_lock(&slots[self->number].guard);
  pkd_cancel_init(token, &leg_token,
                  chance(self, 2) == 0 ? PKD_FOREVER
                                       : pkd_after(chance(self, 20 * MS)));
  slots[self->number].open = true;
  pthread_mutex_unlock(&slots[self->number].guard);
  return token;
}

void token_close(struct self* self) {
  if (!slots[self->number].open)
    return;
  pthread_mutex_lock(&slots[self->number].guard);
  pkd_cancel_close(&slots[self->number].token);
  slots[self->number].open = false;
  pthread_mutex_unlock(&slots[self->number].guard);
}

void fire_somebody(struct self* self) {
  unsigned which = (unsigned)chance(self, WORKERS);

  pthread_mutex_lock(&slots[which].guard);
  if (slots[which].open)
    self->fires += (uint64_t)pkd_cancel_fire(&slots[which].token);
  pthread_mutex_unlock(&slots[which].guard);
}

void tokens_check(void) {
  for (unsigned i = 0; i < WORKERS; i++)
    MUST(!slots[i].open);
}
