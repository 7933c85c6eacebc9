/* SPDX-License-Identifier: MIT
 *
 * askers.c - those who ask for an object of any kind, at their place in a world:
 * in the callback of a loop, or in a thread that blocks. */
#include "kinds.h"

struct errand {
  const struct kind* kind;
  struct asker* asker;
  int result;
};

const struct kind* kind_of(void** state) {
  return ((const struct cell*)*state)->kind;
}

void asker_init(struct asker* asker, unsigned number) {
  memset(asker, 0, sizeof *asker);
  asker->place = place_of(number);
  asker->timeout = PKD_NO_TIMEOUT;
  asker->status = NOT_YET;
}

void asker_told(struct asker* asker, int status) {
  void (*then)(struct asker*) = asker->then;

  asker->order = next_order();
  asker->answers++;
  asker->status = status;
  if (then != NULL)
    then(asker); /* which may free it */
}

static void start_here(void* arg) {
  struct errand* errand = arg;
  struct asker* asker = errand->asker;

  if (asker->timeout != PKD_NO_TIMEOUT)
    pkd_req_set_timeout(&asker->req, asker->timeout);
  errand->result =
      errand->kind->start(asker->place == LOOP_A ? &loop_a : &loop_b, asker);
}

static void* block_here(void* arg) {
  struct errand errand = *(struct errand*)arg;
  struct asker* asker = errand.asker;
  pkd_deadline_t deadline = asker->timeout == PKD_NO_TIMEOUT
                                ? PKD_FOREVER
                                : pkd_after(asker->timeout * 1000000);

  free(arg);
  asker_told(asker, errand.kind->block(asker, deadline));
  return NULL;
}

struct search {
  const struct asker* asker;
  bool found;
};

static void find_asker(void* arg, const void* address, pkd_waiter_t* waiter) {
  struct search* search = arg;

  (void)address;
  search->found |= waiter == &search->asker->req.waiter ||
                   waiter == &search->asker->items[0].req.waiter;
}

static bool is_queued(const struct asker* asker) {
  struct search search = {asker, false};

  pkd_lot_for_each(NULL, find_asker, &search);
  return search.found;
}

int asker_start(const struct kind* kind, struct asker* asker) {
  struct errand errand = {kind, asker, 0};
  struct errand* own;

  asker->status = NOT_YET;
  if (asker->place == LOOP_A) {
    start_here(&errand);
  } else if (asker->place == LOOP_B) {
    on_loop_b(start_here, &errand);
  } else {
    own = malloc(sizeof *own);
    *own = errand;
    asker->has_thread = true;
    pthread_create(&asker->thread, NULL, block_here, own);
    WAIT_FOR(asker->status != NOT_YET || is_queued(asker));
  }
  asker->started = errand.result;
  return errand.result;
}

void asker_queue(const struct kind* kind, struct asker* asker,
                 unsigned number) {
  asker_init(asker, number);
  assert_int_equal(asker_start(kind, asker), 0);
  assert_int_equal(asker->status, NOT_YET);
}

int asker_wait(struct asker* asker) {
  WAIT_FOR((turn_a(), asker->status != NOT_YET));
  if (asker->has_thread)
    pthread_join(asker->thread, NULL);
  asker->has_thread = false;
  return asker->status;
}

static void cancel_here(void* arg) {
  struct errand* errand = arg;

  errand->result = errand->kind->cancel(errand->asker);
}

int asker_cancel(const struct kind* kind, struct asker* asker) {
  struct errand errand = {kind, asker, 0};

  if (kind->cancel == NULL)
    return pkd_req_cancel(&asker->req);
  if (asker->place == LOOP_B)
    on_loop_b(cancel_here, &errand);
  else
    cancel_here(&errand);
  return errand.result;
}

void give(const struct kind* kind) {
  assert_int_equal(kind->give(), 0);
}

int asker_give_back(const struct kind* kind, struct asker* asker) {
  return kind->give_back == NULL ? 0 : kind->give_back(asker);
}

/* --- all tests for all kinds in all worlds ------------------------------------------ */

enum { MOST = 64, MOST_KINDS = 32, WORLDS = 3 };

int run_for_every_kind(const char* group, const struct every_test* tests,
                       unsigned count) {
  static const char* const worlds_named[WORLDS] = {"one loop", "two loops",
                                                   "loop and threads"};
  static struct cell cells[MOST_KINDS][WORLDS];
  static struct CMUnitTest units[MOST * MOST_KINDS * WORLDS];
  static char names[LENGTH(units)][120];
  unsigned n = 0;

  assert_in_range(count, 1, MOST);
  assert_in_range(kind_count, 1, MOST_KINDS);
  for (unsigned t = 0; t < count; t++) {
    for (unsigned k = 0; k < kind_count; k++) {
      if (tests[t].is_of != NULL && !tests[t].is_of(&kinds[k]))
        continue;
      for (unsigned w = 0; w < WORLDS; w++) {
        if ((tests[t].worlds >> worlds[w] & 1) == 0)
          continue;
        cells[k][w] = (struct cell){worlds[w], &kinds[k]};
        snprintf(names[n], sizeof names[n], "%s [%s, %s]", tests[t].name,
                 kinds[k].name, worlds_named[w]);
        units[n] = (struct CMUnitTest){names[n], tests[t].run, world_open,
                                       world_close, &cells[k][w]};
        n++;
      }
    }
  }
  return _cmocka_run_group_tests(group, units, n, NULL, NULL);
}
