/* SPDX-License-Identifier: MIT
 *
 * thread_token.c - a thread that is parked and unparked by its handle.
 *
 * The thread's place is a variable of its own. While the thread lives, a note
 * lies in the lot's queue at that address; it says which thread it is and is
 * never woken. Unpark looks for the note and leaves the token under the lot's
 * lock of the address; the end of the thread takes the note away under the same
 * lock. So the token is never left in the memory of a thread that has gone, and
 * one that lives at the same address later has another number. */
#include <parkade/thread.h>

#include <parkade/cancel.h>

#include "atomic.h"
#include "bucket.h"
#include "os/os.h"

enum { TOKEN = 1, CANCELLED = 2 };

static _Thread_local struct place {
  pkd_waiter_t note;   /* queued at its own address; token: the number */
  pkd_parker_t parker; /* word: TOKEN, and CANCELLED while a cancel is on */
  uint64_t number;     /* 0: not noted yet */
  bool ended;
  struct pkd__exit_note exit;
} here;

static uint64_t threads; /* atomic; how many numbers were given */

/* --- the note ---------------------------------------------------------------- */

static void forget_thread(struct pkd__exit_note* note) {
  (void)note;
  pkd_lot_remove(&here.note, NULL, NULL);
  here.ended = true;
}

static void note(void) {
  here.note = (pkd_waiter_t){0};
  here.note.token = here.number;
  pkd_lot_enqueue(&here, &here.note, NULL, NULL);
}

/* In the child of a fork the lot is empty, and the thread that forked lives on: who
 * has its handle may be the first to use it there. */
static void note_again(void) {
  if (here.number != 0 && !here.ended)
    note();
}

__attribute__((constructor(101))) static void note_again_at_fork(void) {
  pkd__note_again_at_fork(note_again);
}

/* @return false: this thread has no place */
static bool note_thread(void) {
  if (here.ended)
    return false;
  if (here.number != 0)
    return true;
  here.exit.leave = forget_thread;
  if (pkd__os_at_thread_exit(&here.exit) != 0)
    return false;
  here.number = pkd__add_relaxed(&threads, 1) + 1; /* relaxed: just a number */
  note();
  return true;
}

pkd_thread_t pkd_thread_self(void) {
  pkd_thread_t self = {NULL, 0};

  if (note_thread()) {
    self.place = &here;
    self.number = here.number;
  }
  return self;
}

/* --- unpark ------------------------------------------------------------------ */

struct unpark {
  uint64_t number;
  uint32_t* word; /* NULL: no such thread */
  uint32_t old;
};

/* Of a thread that has gone the memory may have become a lock, for which somebody
 * waits with a number of his own. But whoever waits can be woken; a note cannot. */
static bool is_note_of(uint64_t number, const pkd_waiter_t* waiter) {
  return waiter->wake == NULL && waiter->token == number;
}

/* Under the lot's lock: the thread cannot end here. */
static pkd_unpark_op_t leave_token(void* arg, pkd_waiter_t* waiter) {
  struct unpark* unpark = arg;
  struct place* place = (struct place*)waiter; /* the note is its first field */

  if (is_note_of(unpark->number, waiter)) {
    unpark->word = &place->parker.word;
    /* (T1) release, pairs with (T2): what we did before, for who takes it. */
    unpark->old = pkd__or_release(unpark->word, TOKEN);
  }
  return PKD_UNPARK_STOP;
}

int pkd__thread_unpark(pkd_thread_t thread) {
  struct unpark unpark = {thread.number, NULL, 0};

  if (thread.number == 0)
    return -ESRCH;
  pkd_lot_unpark_filter(thread.place, leave_token, NULL, &unpark);
  if (unpark.word == NULL)
    return -ESRCH;
  if (unpark.old == 0)
    pkd__os_wake(unpark.word); /* an address; the thread may be gone by now */
  return 0;
}

/* --- park -------------------------------------------------------------------- */

struct cancel {
  pkd_cancel_link_t link; /* first: fire() gets its address */
  uint32_t* word;
};

static void cancel_park(pkd_cancel_link_t* link) {
  uint32_t* word = ((struct cancel*)link)->word;

  /* (T1): who was cancelled sees what led to it. The parker's thread waits in
   * unlink until this has returned. */
  pkd__or_release(word, CANCELLED);
  pkd__os_wake(word);
}

static int park(pkd_deadline_t deadline) {
  uint32_t old;
  int rc = pkd_parker_sleep(&here.parker, deadline);

  /* (T2) acquire, pairs with (T1). */
  old = pkd__exchange_acquire(&here.parker.word, 0);
  if ((old & TOKEN) != 0)
    return 0;
  return (old & CANCELLED) != 0 ? -ECANCELED : rc;
}

int pkd__thread_park(const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  struct cancel tie = {{{0}, cancel_park, NULL, {0}}, &here.parker.word};
  pkd_deadline_t limit = pkd_cancel_deadline(cancel);
  int rc;

  if (!note_thread())
    return -ESRCH;
  if (cancel == NULL)
    return park(deadline);
  if (pkd_cancel_link(cancel, &tie.link) != 0)
    return park(0) == 0 ? 0 : -ECANCELED;
  rc = park(deadline < limit ? deadline : limit);
  if (pkd_cancel_unlink(&tie.link) != 0) {
    /* Fired, perhaps after we had left: no mark of it may stay behind.
     * relaxed: only this thread takes marks away, a token stays a token. */
    pkd__and_relaxed(&here.parker.word, (uint32_t)~CANCELLED);
  }
  return rc == -ETIMEDOUT && limit <= deadline ? -ECANCELED : rc;
}
