/* SPDX-License-Identifier: MIT
 *
 * seeded/async.c - a toy mutex whose waiters are requests of event loops, right
 * and wrong in three ways.
 *
 * Each thread is a loop with a mailbox. A loop is told of mail by a flag and a
 * count that are relaxed, as libuv's are: they order nothing. */
#include "../explore.h"

#include "atomic.h"
#include "os/os.h"

enum { RIGHT, CANCEL_DROPS_GRANT, CANCEL_PEEKS, RELAXED_MAIL };

typedef enum state { QUEUED, GRANTED, DEAD } state_t;

typedef struct loop loop_t;

typedef struct request {
  struct request* next;      /* in the queue */
  struct request* next_mail; /* in the mailbox */
  loop_t* loop;
  state_t state; /* under the lock of the queue */
  int fired;
} request_t;

struct loop {
  uint32_t descriptor; /* of the kernel: how many sends since the last look */
  uint32_t pending;    /* libuv's flag that swallows repeated sends */
  request_t* mail;
  int outstanding;
  request_t request;
};

#define LOOPS 3

static int bug;
static loop_t loops[LOOPS];
static uint32_t queue_lock;
static int held;
static request_t* head;
static int counter;
static int granted;

static void lock_queue(void) {
  uint32_t seen = 0;

  if (pkd__cas_acquire(&queue_lock, &seen, 1))
    return;
  while (pkd__exchange_acquire(&queue_lock, 2) != 0)
    pkd__os_wait(&queue_lock, 2, UINT64_MAX);
}

static void unlock_queue(void) {
  if (pkd__exchange_release(&queue_lock, 0) == 2)
    pkd__os_wake(&queue_lock);
}

static void send(loop_t* loop) {
  uint32_t zero = 0;

  if (pkd__load_relaxed(&loop->pending) != 0 ||
      !pkd__cas_relaxed(&loop->pending, &zero, 1))
    return;
  pkd__add_relaxed(&loop->descriptor, 1);
  pkd__os_wake(&loop->descriptor);
}

static void post(request_t* request) {
  loop_t* loop = request->loop;
  request_t* first = pkd__load_relaxed(&loop->mail);

  do
    request->next_mail = first;
  while (!pkd__cas_release(&loop->mail, &first, request));
  send(loop);
}

/* @return true if the lock is ours at once */
static bool start(request_t* request) {
  request_t** end = &head;

  lock_queue();
  if (!held) {
    held = 1;
    unlock_queue();
    return true;
  }
  while (*end != NULL)
    end = &(*end)->next;
  *end = request;
  unlock_queue();
  return false;
}

static void release(void) {
  request_t* request;

  lock_queue();
  request = head;
  if (request == NULL) {
    held = 0;
  } else {
    head = request->next;
    request->state = GRANTED;
    post(request);
  }
  unlock_queue();
}

/* @return true if the request is dead and owns nothing */
static bool cancel(request_t* request) {
  if (bug == CANCEL_PEEKS && request->state == GRANTED)
    return false;
  lock_queue();
  if (bug != CANCEL_DROPS_GRANT && request->state == GRANTED) {
    unlock_queue();
    return false;
  }
  for (request_t** at = &head; *at != NULL; at = &(*at)->next)
    if (*at == request) {
      *at = request->next;
      break;
    }
  request->state = DEAD;
  unlock_queue();
  return true;
}

static void use_and_release(void) {
  counter++;
  granted++;
  release();
}

static void deliver(loop_t* loop) {
  request_t* request = bug == RELAXED_MAIL
                           ? pkd__exchange_relaxed(&loop->mail, NULL)
                           : pkd__exchange_acquire(&loop->mail, NULL);

  while (request != NULL) {
    request_t* next = request->next_mail;
    loop->outstanding--;
    if (request->state != DEAD) {
      request->fired++;
      use_and_release();
    }
    request = next;
  }
}

static void turn(loop_t* loop) {
  while (pkd__load_relaxed(&loop->descriptor) == 0)
    pkd__os_wait(&loop->descriptor, 0, UINT64_MAX);
  pkd__exchange_relaxed(&loop->descriptor, 0);
  if (pkd__exchange_relaxed(&loop->pending, 0) != 0)
    deliver(loop);
}

static void run_loop(void* arg) {
  loop_t* loop = arg;
  request_t* request = &loop->request;

  request->loop = loop;
  if (start(request)) {
    request->fired++;
    use_and_release();
  } else {
    loop->outstanding++;
  }
  while (loop->outstanding > 0) {
    if (!request->fired && explore_choose(2) && cancel(request)) {
      request->fired++;
      loop->outstanding--;
    } else {
      turn(loop);
    }
  }
  explore_assert(request->fired == 1);
}

static void three_loops(int with) {
  bug = with;
  for (int i = 0; i < LOOPS; i++)
    explore_spawn(run_loop, &loops[i]);
  explore_join();
  explore_assert(counter == granted);
  explore_assert(!held && head == NULL);
}

#define BOUNDS                                                                 \
  { .preemptions = 2, .stale = 1 }

const explore_scenario_t explore_seeded_async[] = {
    {"seeded/async-is-right", three_loops, RIGHT, EXPLORE_OK, 0, BOUNDS},
    {"seeded/async-cancel-drops-grant", three_loops, CANCEL_DROPS_GRANT,
     EXPLORE_ASSERTION, 0, BOUNDS},
    {"seeded/async-cancel-peeks", three_loops, CANCEL_PEEKS, EXPLORE_RACE, 0,
     BOUNDS},
    {"seeded/async-relaxed-mail", three_loops, RELAXED_MAIL, EXPLORE_RACE, 0,
     BOUNDS},
    {.name = NULL},
};
