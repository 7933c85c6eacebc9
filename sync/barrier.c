/* SPDX-License-Identifier: MIT
 *
 * barrier.c - pkd_barrier_t: who has arrived is who is queued.
 *
 * Arriving and queueing are one step under the lot's lock of the address; so is
 * giving up; and so are opening and dequeuing all who wait. Hence `arrived` is
 * the length of the queue, no round needs a number, and nobody of a round looks
 * at the barrier after it opened: any of them may free it.
 *
 * The lot's lock also orders what the parties did: each arrival takes it after
 * the one before. */
#include <parkade/barrier.h>

#include <parkade/lot.h>

#include <stdbool.h>

static bool is_last(const pkd_barrier_t* b) {
  return b->arrived + 1 >= b->parties;
}

/* Under the lot's lock. @return nonzero to wait */
static int arrive(void* arg) {
  pkd_barrier_t* b = arg;

  if (is_last(b))
    return 0;
  b->arrived++;
  return 1;
}

static void gave_up(void* arg, const void* key, int was_last) {
  pkd_barrier_t* b = arg;

  (void)key;
  (void)was_last;
  b->arrived--;
}

struct opening {
  pkd_barrier_t* b;
  bool opened;
};

static pkd_unpark_op_t let_go(void* arg, pkd_waiter_t* waiter) {
  const struct opening* o = arg;

  (void)waiter;
  return is_last(o->b) ? PKD_UNPARK_WAKE : PKD_UNPARK_STOP;
}

/* Under the lot's lock, with all who waited dequeued if we are the last. */
static uint64_t open_up(void* arg, const pkd_unpark_result_t* result) {
  struct opening* o = arg;

  (void)result;
  o->opened = is_last(o->b);
  if (o->opened)
    o->b->arrived = 0;
  return 0;
}

int pkd__barrier_wait(pkd_barrier_t* b, const pkd_cancel_t* cancel,
                      pkd_deadline_t deadline) {
  struct opening o = {b, false};
  pkd_park_t how = {0};
  int rc;

  how.validate = arrive;
  how.timed_out = gave_up;
  how.arg = b;
  how.cancel = cancel;
  for (;;) {
    rc = pkd_lot_park(b, &how, deadline, NULL);
    if (rc != -EAGAIN)
      return rc;
    /* The last, unless somebody gives up before we look again. */
    pkd_lot_unpark_filter(b, let_go, open_up, &o);
    if (o.opened)
      return 1;
  }
}
