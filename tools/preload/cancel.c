/* SPDX-License-Identifier: MIT
 *
 * cancel.c - pthread_cancel() as a token of each thread.
 *
 * The C library interrupts its own waits; it does not know of ours. So each
 * thread has a token, to which those waits are tied that are cancellation points,
 * and pthread_cancel() fires it before it does what it always did. The wait ends
 * as any cancelled wait does: out of the queue, the mutex locked again. Only then
 * pthread_testcancel() unwinds the thread.
 *
 * First the token, then the C library: after that second step the thread may end
 * at any moment, and its memory with it. So a thread whose wait was cancelled
 * may have to wait for the second step. That has been made when no call is between
 * its two; whoever is still here then is on its way out already (a cleanup handler
 * that waits).
 *
 * The token of another thread is found without a list: static thread-local
 * memory lies at the same distance from the thread's descriptor in all threads,
 * and that descriptor is what glibc's pthread_t points to. */
#include "cancel.h"

#include "libc.h"

#include <errno.h>
#include <execinfo.h>
#include <stdbool.h>
#include <time.h>

#include "atomic.h"

struct mine {
  pkd_cancel_t token;
  bool
      spent; /* the thread's own: the token has ended one wait, and ends no more */
};

static _Thread_local struct mine mine;

/* How many calls are between their two steps. Atomic. */
static uint32_t between;

/* Of the child of a fork: who was between is not here. */
static void nobody_is_between(void) {
  pkd__store_relaxed(&between, 0); /* relaxed: the only thread */
}

__attribute__((constructor)) static void mend_after_fork(void) {
  pthread_atfork(NULL, NULL, nobody_is_between);
}

int pthread_cancel(pthread_t thread) {
  char* me = (char*)(uintptr_t)pthread_self();
  char* them = (char*)(uintptr_t)thread;
  struct mine* theirs = (struct mine*)(void*)(them + ((char*)&mine - me));
  void* frame;
  int state;
  int rc;

  /* Who cancels itself ends after both steps. */
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  /* Has the C library find its unwinder now, since it waits for the loader for
   * that, and who is cancelled has a mutex when it waits for us. */
  backtrace(&frame, 1);
  pkd__add_relaxed(&between, 1); /* relaxed: the token carries the order */
  pkd_cancel_fire(&theirs->token);
  rc = libc()->pthread_cancel(thread);
  /* (N1) release, pairs with (N2): the second step is made. */
  pkd__sub_release(&between, 1);
  pthread_setcancelstate(state, NULL);
  return rc;
}

const pkd_cancel_t* cancel_token(void) {
  return mine.spent ? NULL : &mine.token;
}

void cancel_act(void) {
  static const struct timespec moment = {0, 1000000};
  int saved = errno;
  bool made = false;
  int state;

  mine.spent = true;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  pthread_setcancelstate(state, NULL);
  while (state == PTHREAD_CANCEL_ENABLE && !made) {
    /* (N2) acquire, pairs with (N1). */
    made = pkd__load_acquire(&between) == 0;
    pthread_testcancel();
    if (!made)
      nanosleep(&moment, NULL);
  }
  errno = saved;
}
