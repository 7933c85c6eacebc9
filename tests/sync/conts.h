/* SPDX-License-Identifier: MIT
 *
 * conts.h - continuations that take notes, for the tests of the lot that need no
 * thread but their own. */
#ifndef PKD_TEST_CONTS_H
#define PKD_TEST_CONTS_H

#include "kit.h"

enum { MANY = 200 };

struct cont {
  pkd_waiter_t waiter; /* first: wake() gets its address */
  unsigned woken;      /* how often */
  unsigned turn;       /* which wake of all it was */
  uint64_t token;
};

static struct cont conts[MANY];
static unsigned turns;
static char here, there; /* two addresses */

static inline void note_wake(pkd_waiter_t* waiter) {
  struct cont* cont = (struct cont*)waiter;

  cont->woken++;
  cont->turn = turns++;
  cont->token = waiter->token;
}

static inline int start(void** state) {
  memset(conts, 0, sizeof conts);
  turns = 0;
  for (unsigned i = 0; i < MANY; i++)
    conts[i].waiter.wake = note_wake;
  (void)state;
  return 0;
}

static inline int finish_empty(void** state) {
  (void)state;
  return pkd_lot_for_each(NULL, NULL, NULL) == 0 ? 0 : -1;
}

static inline void queue(const void* key, unsigned first, unsigned count) {
  for (unsigned i = first; i < first + count; i++)
    assert_int_equal(pkd_lot_enqueue(key, &conts[i].waiter, NULL, NULL), 0);
}

/* --- who waits at an address, as a string of numbers ----------------------- */

struct roll {
  const void* key;
  char text[64];
};

static inline void add_to_roll(void* arg, const void* key,
                               pkd_waiter_t* waiter) {
  struct roll* roll = arg;
  size_t len = strlen(roll->text);

  if (key == roll->key && len < sizeof roll->text - 5)
    snprintf(roll->text + len, sizeof roll->text - len, "%d ",
             (int)((struct cont*)waiter - conts));
}

#define assert_waiting(address, names)                                         \
  do {                                                                         \
    struct roll roll_ = {(address), ""};                                       \
    pkd_lot_for_each((address), add_to_roll, &roll_);                          \
    assert_string_equal(roll_.text, names);                                    \
  } while (0)

/* --- callbacks that take notes --------------------------------------------- */

struct note {
  unsigned calls;
  const void* key;
  int was_last;
  pkd_unpark_result_t result;
  uint64_t token;              /* finish returns it */
  const char* ops;             /* decide answers these in turn */
  pkd_requeue_op_t requeue_op; /* choose answers this */
  pkd_waiter_t* shown[16];
  unsigned shown_count;
};

static inline uint64_t note_finish(void* arg,
                                   const pkd_unpark_result_t* result) {
  struct note* note = arg;

  note->calls++;
  note->result = *result;
  return note->token;
}

static inline void note_removed(void* arg, const void* key, int was_last) {
  struct note* note = arg;

  note->calls++;
  note->key = key;
  note->was_last = was_last;
}

static inline pkd_unpark_op_t note_decide(void* arg, pkd_waiter_t* waiter) {
  struct note* note = arg;

  note->shown[note->shown_count] = waiter;
  switch (note->ops[note->shown_count++]) {
  case 'w':
    return PKD_UNPARK_WAKE;
  case 't':
    return PKD_UNPARK_TAKE;
  case 'f':
    return PKD_UNPARK_FRONT;
  case 's':
    return PKD_UNPARK_SKIP;
  default:
    return PKD_UNPARK_STOP;
  }
}

static inline pkd_requeue_op_t note_choose(void* arg, pkd_waiter_t* oldest) {
  struct note* note = arg;

  note->shown[note->shown_count++] = oldest;
  return note->requeue_op;
}

#endif
