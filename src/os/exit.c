/* SPDX-License-Identifier: MIT
 *
 * exit.c - the end of a thread, as os.h promises it: POSIX keys.
 *
 * glibc unwinds the stack of a thread that is cancelled as an exception would:
 * what has to be done on leaving a frame is done. musl and Apple's library call
 * the destructors in a frame on top of those that were left; so whatever is
 * owed for them can still be read then.
 *
 * The system goes round the destructors of a thread several times. Ours puts
 * itself back until the last round but one, so that destructors of the program
 * still find the thread as it was. */
#include "os/os.h"

#include <limits.h>
#include <pthread.h>
#include <stddef.h>

#ifndef PTHREAD_DESTRUCTOR_ITERATIONS
#define PTHREAD_DESTRUCTOR_ITERATIONS 4
#endif

static pthread_key_t key;
static pthread_once_t key_ready = PTHREAD_ONCE_INIT;
static int no_key;

static void leave(void* first) {
  struct pkd__exit_note* note = first;

  if (++note->rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1) {
    pthread_setspecific(key, note);
    return;
  }
  while (note != NULL) {
    struct pkd__exit_note* next = note->next;

    note->leave(note);
    note = next;
  }
}

static void make_key(void) {
  no_key = pthread_key_create(&key, leave);
}

int pkd__os_at_thread_exit(struct pkd__exit_note* note) {
  pthread_once(&key_ready, make_key);
  if (no_key != 0)
    return -no_key;
  note->next = pthread_getspecific(key);
  note->rounds = note->next == NULL ? 0 : note->next->rounds;
  return -pthread_setspecific(key, note);
}

int pkd__os_forbid_cancel(void) {
  int before;

  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  return before;
}

void pkd__os_allow_cancel(int before) {
  pthread_setcancelstate(before, NULL);
}

#if defined(__GLIBC__)

void pkd__os_at_lost_frames(void (*give_back)(void)) {
  (void)give_back;
}

#else

static _Thread_local struct {
  struct pkd__exit_note note; /* first: leave_lost() gets its address */
  void (*leave)(void);
} lost;

static void leave_lost(struct pkd__exit_note* note) {
  (void)note;
  lost.leave();
}

void pkd__os_at_lost_frames(void (*give_back)(void)) {
  if (lost.leave != NULL)
    return;
  lost.note.leave = leave_lost;
  /* Without the memory for a key a cancelled thread is not made up for. */
  if (pkd__os_at_thread_exit(&lost.note) == 0)
    lost.leave = give_back;
}

#endif
