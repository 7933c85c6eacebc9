/* SPDX-License-Identifier: MIT
 *
 * once.c - pthread_once: pkd_once_t, in the first byte of the four.
 *
 * A child of a fork may find that another thread of its parent was at the
 * initializer. That thread is not here and will never end it; POSIX wants it to
 * be run anew. So the other three bytes say in which generation a run began, and
 * a run of an earlier one is taken for none. The number is written while nobody
 * runs, by one exchange of all four bytes, so that it never comes to stand beside
 * a run that it does not belong to. */
#include "layout.h"

#include <errno.h>
#include <string.h>

#include "atomic.h"
#include "word/once.h"

static uint32_t generation; /* how many forks ago; written in the child alone */

static void new_generation(void) {
  generation++;
}

__attribute__((constructor)) static void count_forks(void) {
  pthread_atfork(NULL, NULL, new_generation);
}

/* The four bytes, as they lie there. */
union both {
  uint32_t all;
  struct {
    pkd_once_t once;
    uint8_t number[3];
  } part;
};

static void number(union both* word) {
  for (unsigned i = 0; i < 3; i++)
    word->part.number[i] = (uint8_t)(generation >> (8 * i));
}

static bool is_of_another(const union both* word) {
  union both now = *word;

  number(&now);
  return now.all != word->all;
}

/* Afterwards: done, running in this process, or free with our number. */
static void claim(uint32_t* all) {
  union both old;

  old.all = pkd__load_relaxed(all); /* relaxed: the exchange decides */
  while (!pkd__once_is_done(old.part.once.word) && is_of_another(&old)) {
    union both ours = old;

    if (pkd__once_is_running(old.part.once.word))
      ours.part.once.word = 0;
    number(&ours);
    /* relaxed: says nothing of what an initializer did */
    if (pkd__cas_relaxed(all, &old.all, ours.all))
      return;
  }
}

static int run(void* init) {
  (*(void (**)(void))init)();
  return 0;
}

int pthread_once(pthread_once_t* object, void (*init)(void)) {
  pkd_once_t* once = (pkd_once_t*)(void*)object;

  if (pkd_once_is_done(once))
    return 0;
  claim((uint32_t*)(void*)object);
  return -pkd_once_try(once, run, &init);
}
