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
 * may have to wait for the second step; it comes at once, unless it came long ago
 * and the thread is on its way out already (a cleanup handler that waits).
 *
 * The token of another thread is found without a list: static thread-local
 * memory lies at the same distance from the thread's descriptor in all threads,
 * and that descriptor is what glibc's pthread_t points to. */
#include "cancel.h"

#include "libc.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "atomic.h"

struct mine {
  pkd_cancel_t token;
  bool
      spent; /* the thread's own: the token has ended one wait, and ends no more */
};

static _Thread_local struct mine mine;

int pthread_cancel(pthread_t thread) {
  char* me = (char*)(uintptr_t)pthread_self();
  char* them = (char*)(uintptr_t)thread;
  struct mine* theirs = (struct mine*)(void*)(them + ((char*)&mine - me));

  pkd_cancel_fire(&theirs->token);
  return libc()->pthread_cancel(thread);
}

const pkd_cancel_t* cancel_token(void) {
  return mine.spent ? NULL : &mine.token;
}

void cancel_act(void) {
  static const struct timespec moment = {0, 1000000};
  int saved = errno;
  int state;

  mine.spent = true;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  pthread_setcancelstate(state, NULL);
  /* A tenth of a second is ages for the second step. Who is still here has been
   * cancelled before, and runs its cleanup handlers. */
  for (int i = 0; state == PTHREAD_CANCEL_ENABLE && i < 100; i++) {
    pthread_testcancel();
    nanosleep(&moment, NULL);
  }
  errno = saved;
}
