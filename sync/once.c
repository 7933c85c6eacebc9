/* SPDX-License-Identifier: MIT
 *
 * once.c - the slow paths of pkd_once_t. The byte is drawn in word/once.h.
 *
 * A waiter is queued in the step that finds the initializer running and says so
 * in the byte; the end of the initializer rewrites the byte in the step that
 * dequeues. So nobody sleeps past the end. After a failure one waiter is woken:
 * it tries, and whatever comes of that wakes the next.
 *
 * Each run lies in a queue of the lot too, under a key of its own: that is how a
 * thread that is about to wait learns that it would wait for itself. The queue
 * is a note and no more: nobody is ever woken from it.
 *
 * The step that ends the run is the last touch of the byte. */
#include <parkade/once.h>

#include <parkade/lot.h>

#include "atomic.h"
#include "hook.h"
#include "os/os.h"
#include "panic.h"
#include "word/once.h"

/* One thread in the initializer of one once; in its frame. */
struct run {
  pkd_waiter_t note; /* first: queued at `runs` */
  const pkd_once_t* once;
  uintptr_t thread;
  pkd_once_t* owed; /* whose end is to be announced */
  bool success;
};

static char runs; /* a key; its address is all of it */

/* --- the end of a run ------------------------------------------------------- */

static pkd_unpark_op_t wake_all(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_WAKE;
}

/* Under the lot's lock. */
static uint64_t rewrite(void* arg, const pkd_unpark_result_t* result) {
  const struct run* run = arg;

  /* (O2) release, pairs with (O1). Nobody else writes the byte while R is set,
   * but for P, which is ours under this lock. */
  pkd__store_release(&run->owed->word,
                     pkd__once_ended(run->success, result->have_more != 0));
  return 0;
}

/* However init() was left: by return, by an exception or by the end of the thread;
 * see end_lost_runs for the last. */
static void end_run(struct run* run) {
  uint8_t running = PKD__ONCE_RUNNING;

  const struct pkd__hooks* hooks = pkd__hooked();

  if (__builtin_expect(hooks != NULL, 0))
    hooks->once_ends(run->once);
  pkd_lot_remove(&run->note, NULL, NULL);
  /* (O2) */
  if (pkd__cas_release(&run->owed->word, &running,
                       pkd__once_ended(run->success, false)))
    return;
  if (run->success)
    pkd_lot_unpark_filter(run->owed, wake_all, rewrite, run);
  else
    pkd_lot_unpark_one(run->owed, rewrite, run);
}

static void find_run_of_thread(void* arg, const void* key,
                               pkd_waiter_t* waiter) {
  struct run** found = arg;
  struct run* run = (struct run*)waiter;

  (void)key;
  if (run->thread == pkd_thread_id())
    *found = run;
}

/* The thread ends, and its frames were not unwound: those initializers did not
 * return. Nobody else ends its runs, so what is found stays. */
static void end_lost_runs(void) {
  struct run* run;

  do {
    run = NULL;
    pkd_lot_for_each(&runs, find_run_of_thread, &run);
    if (run != NULL)
      end_run(run);
  } while (run != NULL);
}

static int run_init(pkd_once_t* once, pkd_once_cb init, void* arg) {
  struct run run __attribute__((cleanup(end_run))) = {
      .once = once, .thread = pkd_thread_id(), .owed = once};
  const struct pkd__hooks* hooks = pkd__hooked();
  int rc;

  if (__builtin_expect(hooks != NULL, 0))
    hooks->once_runs(once);
  pkd_lot_enqueue(&runs, &run.note, NULL, NULL);
  pkd__os_at_lost_frames(end_lost_runs);
  rc = init(arg);
  run.success = rc == 0;
  return rc;
}

/* --- waiting for it --------------------------------------------------------- */

static void find_own_run(void* arg, const void* key, pkd_waiter_t* waiter) {
  const struct run* run = (const struct run*)waiter;
  struct run* wanted = arg;

  (void)key;
  if (run->once == wanted->once && run->thread == wanted->thread)
    wanted->success = true;
}

static bool is_running_here(const pkd_once_t* once) {
  struct run wanted = {.once = once, .thread = pkd_thread_id()};

  pkd_lot_for_each(&runs, find_own_run, &wanted);
  return wanted.success;
}

static int still_running(void* arg) {
  uint8_t* word = &((pkd_once_t*)arg)->word;
  uint8_t old = pkd__load_relaxed(word); /* relaxed: the exchange decides */

  while (pkd__once_is_running(old)) {
    /* relaxed: the lot's lock orders the queue */
    if (pkd__once_is_waited(old) ||
        pkd__cas_relaxed(word, &old, pkd__once_waited(old)))
      return 1;
  }
  return 0;
}

static void gave_up(void* arg, const void* key, int was_last) {
  (void)key;
  /* relaxed: under the lot's lock, the only place where P changes */
  if (was_last)
    pkd__and_relaxed(&((pkd_once_t*)arg)->word, (uint8_t)~PKD__ONCE_PARKED);
}

int pkd__once_try_slow(pkd_once_t* once, pkd_once_cb init, void* arg,
                       const pkd_cancel_t* cancel, pkd_deadline_t deadline) {
  pkd_park_t how = {0};
  int rc = 0;

  how.validate = still_running;
  how.timed_out = gave_up;
  how.arg = once;
  how.cancel = cancel;
  for (;;) {
    /* (O1) acquire, pairs with (O2). */
    uint8_t old = pkd__load_acquire(&once->word);

    if (pkd__once_is_done(old))
      return 0;
    if (!pkd__once_is_running(old)) {
      /* (O1) acquire, pairs with (O2): what a failed run left behind */
      if (pkd__cas_acquire(&once->word, &old, pkd__once_started(old)))
        return run_init(once, init, arg);
      continue;
    }
    if (rc == -ETIMEDOUT || rc == -ECANCELED)
      return rc;
    if (is_running_here(once))
      return -EDEADLK;
    rc = pkd_lot_park(once, &how, deadline, NULL);
    how.front = 1; /* woken and too late: the place is kept */
  }
}

static int run_plain(void* init) {
  (*(void (**)(void))init)();
  return 0;
}

void pkd__once_call_slow(pkd_once_t* once, void (*init)(void)) {
  if (pkd__once_try_slow(once, run_plain, &init, NULL, PKD_FOREVER) != 0)
    pkd__panic("pkd_once_call", once,
               "is called by its own initializer, which would wait for itself");
}
