/* SPDX-License-Identifier: MIT
 *
 * kinds.h - every asynchronous object behind one face, for what holds for all.
 *
 * A kind is an object and one way to wait for it: to read an rwlock is one, to
 * write it another. There is one object of each kind at a time; `fresh` makes it
 * new, and so that whoever asks for it has to wait until `give`. An asker waits
 * once, at its place in its world (actors.h): in the callback of a loop or in a
 * thread that blocks. It records, the main thread asserts. */
#ifndef PKD_TEST_KINDS_H
#define PKD_TEST_KINDS_H

#include "actors.h"

/** One who waits, with room for whatever that takes. Its request is in here, so
 * it must stay in place while that is in use. */
struct asker {
  pkd_req_t req; /* first: an answer finds its asker */
  pkd_many_t many;
  pkd_many_item_t items[2];
  pkd_work_t work;

  enum place place;
  uint64_t timeout;            /* ms, or PKD_NO_TIMEOUT */
  void (*then)(struct asker*); /* runs where the answer arrives, or NULL */
  atomic_int status;           /* NOT_YET until the answer */
  atomic_int answers;
  atomic_bool ran; /* its work function was called: it cannot be cancelled */
  int order;       /* 1 for the first answer in this world, then 2 ... */
  int started;
  pthread_t thread;
  bool has_thread;
};

/** How the object goes to those who wait. */
enum turn {
  ONE_BY_ONE, /* the next gets it when one gives it back */
  ALL_AT_ONCE /* a give is for all who wait */
};

struct kind {
  const char* name;
  enum turn turn;
  bool final; /* a grant cannot be cancelled, delivered or not */
  bool calls; /* each who waits needs a give of its own: nothing is handed on */
  int good;   /* the status of success */

  void (*fresh)(void);
  int (*start)(pkd_loop_t* loop, struct asker* asker);
  int (*try_it)(struct asker* asker); /* NULL: cannot be tried */
  int (*block)(struct asker* asker, pkd_deadline_t deadline);
  int (*give)(void);                     /* @return 0 */
  int (*give_back)(struct asker* asker); /* NULL: nothing is owned after it */
  int (*cancel)(struct asker* asker);    /* NULL: by its request, anywhere */
  size_t (*waiting)(void);               /* how many wait */
  int (*close)(void);                    /* NULL: has none */
  int (*destroy)(void);                  /* NULL: has none */
};

/** More than will wait at one object; at most 128. Counts from the next `fresh`. */
extern unsigned kinds_crowd;

extern const struct kind kinds[];
extern const unsigned kind_count;

/** What a test runs in. */
struct cell {
  enum world world; /* first: world_open() looks there */
  const struct kind* kind;
};

/** The kind that this test, of cmocka's state, is about. */
const struct kind* kind_of(void** state);

/** The nth asker of this world, idle, at its place. */
void asker_init(struct asker* asker, unsigned number);

/** Its answer has come, where this is called. */
void asker_told(struct asker* asker, int status);

/** Starts it; returns when it has its answer, or waits, or was refused.
 * @return what the start returned */
int asker_start(const struct kind* kind, struct asker* asker);

/** The nth asker of this world, started, waits. */
void asker_queue(const struct kind* kind, struct asker* asker, unsigned number);

/** Turns loop A until the answer has come. @return the status */
int asker_wait(struct asker* asker);

/** Cancels it, where that is allowed. */
int asker_cancel(const struct kind* kind, struct asker* asker);

/** Lets it go to whoever waits; on the main thread. */
void give(const struct kind* kind);

/** Gives back what it owns, if anything, on the calling thread. @return 0, or what
 * giving back returned */
int asker_give_back(const struct kind* kind, struct asker* asker);

/** A test, of which kinds it is, and in which worlds. */
struct every_test {
  const char* name;
  CMUnitTestFunction run;
  bool (*is_of)(const struct kind* kind); /* NULL: of all */
  unsigned worlds;                        /* bits, 1 << enum world */
};

/** Runs each of `tests` for each of its kinds, in each of its worlds. For main(). */
int run_for_every_kind(const char* group, const struct every_test* tests,
                       unsigned count);

#define IN_ALL_WORLDS                                                          \
  (1u << ONE_LOOP | 1u << TWO_LOOPS | 1u << LOOP_AND_THREADS)

#define SOME(test, is_of, worlds)                                              \
  { #test, test, is_of, worlds }
#define EVERY(test) SOME(test, NULL, IN_ALL_WORLDS)
#define EVERY_ALONE(test) SOME(test, NULL, 1u << ONE_LOOP)

#endif
