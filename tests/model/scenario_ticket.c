/* SPDX-License-Identifier: MIT
 *
 * scenario_ticket.c - one ticket, shown by two threads at once.
 *
 * Either may be right, and only one of them is: the other is told that it owns
 * nothing, and has changed nothing. What was given back goes to who waits for it,
 * once; what was handed over is the heir's. */
#include "scenario.h"

#include <parkade/async/keyed.h>
#include <parkade/async/mutex.h>
#include <parkade/async/rwlock.h>
#include <parkade/async/sem.h>

enum { MUTEX, SEM, RWLOCK, KEYED };

typedef struct show {
  int number;
  bool hands_over;
  pkd_req_t heir;
  int rc;
} show_t;

typedef struct shared {
  pkd_async_mutex_t m;
  pkd_async_sem_t sem;
  pkd_async_rwlock_t lock;
  pkd_async_keyed_t keyed;
  pkd_req_t ticket;
  show_t show[2];
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req[2];
  int answers;
} shared_t;

static shared_t* s;
static int kind;

static int take(pkd_req_t* req) {
  switch (kind) {
  case MUTEX:
    return pkd_async_mutex_trylock(req, &s->m);
  case SEM:
    return pkd_async_sem_try_acquire(req, &s->sem, 2);
  case RWLOCK:
    return pkd_async_rwlock_trywrlock(req, &s->lock);
  default:
    return pkd_async_keyed_trylock_u64(req, &s->keyed, 7);
  }
}

static int wait_for(pkd_req_t* req) {
  switch (kind) {
  case MUTEX:
    return pkd_async_mutex_lock_blocking(req, &s->m, PKD_FOREVER);
  case SEM:
    return pkd_async_sem_acquire_blocking(req, &s->sem, 2, PKD_FOREVER);
  case RWLOCK:
    return pkd_async_rwlock_wrlock_blocking(req, &s->lock, PKD_FOREVER);
  default:
    return pkd_async_keyed_lock_blocking_u64(req, &s->keyed, 7, PKD_FOREVER);
  }
}

static int give(pkd_req_t* req) {
  switch (kind) {
  case MUTEX:
    return pkd_async_mutex_unlock(req, &s->m);
  case SEM:
    return pkd_async_sem_release(req, &s->sem, 2);
  case RWLOCK:
    return pkd_async_rwlock_unlock(req, &s->lock);
  default:
    return pkd_async_keyed_unlock(req, &s->keyed);
  }
}

static void shows(void* arg) {
  show_t* show = arg;

  if (!show->hands_over) {
    show->rc = give(&s->ticket);
  } else {
    show->rc = pkd_req_transfer(&s->ticket, &show->heir);
    if (show->rc == 0)
      explore_assert(give(&show->heir) == 0);
  }
  if (show->rc == 0)
    explore_outcome(show->number);
}

static void waits(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(wait_for(&req) == 0);
  explore_assert(give(&req) == 0);
}

/* Two tasks wait for the mutex before anybody runs. */
static void gives_back(pkd_req_t* req, int status) {
  explore_assert(status == 0);
  s->answers++;
  explore_assert(give(req) == 0);
}

static void queue_up(void* arg) {
  (void)arg;
  uv_loop_init(&s->uv);
  pkd_loop_attach(&s->loop, &s->uv);
  for (int i = 0; i < 2; i++)
    explore_assert(
        pkd_async_mutex_lock(&s->loop, &s->req[i], &s->m, gives_back) == 0);
}

static void loop_waits(void* arg) {
  (void)arg;
  uv_run(&s->uv, UV_RUN_DEFAULT);
  explore_assert(s->answers == 2);
}

/* Which kind, ones; how many of the two hand it over, tens; hundreds: and who waits,
 * nobody, a thread or two tasks. */
static void twice(int code) {
  pkd_req_t* late;

  s = explore_need(sizeof *s);
  late = explore_need(sizeof *late);
  explore_name(&s->ticket, sizeof s->ticket, "ticket");
  kind = code % 10;
  pkd_async_sem_init(&s->sem, 2, 2);
  explore_assert(take(&s->ticket) == 0);
  for (int i = 0; i < 2; i++) {
    s->show[i].number = i;
    s->show[i].hands_over = i < code / 10 % 10;
    explore_spawn(shows, &s->show[i]);
  }
  if (code / 100 == 1)
    explore_spawn(waits, NULL);
  if (code / 100 == 2) {
    explore_spawn(loop_waits, NULL);
    explore_setup(queue_up, NULL);
  }
  explore_join();
  explore_assert(s->show[0].rc + s->show[1].rc == UV_EPERM);
  explore_assert(s->show[0].rc == 0 || s->show[1].rc == 0);
  explore_assert(take(late) == 0);
  explore_assert(give(late) == 0);
  explore_assert(pkd_lot_for_each(NULL, NULL, NULL) == 0);
}

const explore_scenario_t explore_ticket[] = {
    {"ticket/mutex", twice, MUTEX, OK, 3, WIDE},
    {"ticket/mutex-handed-over", twice, 10 + MUTEX, OK, 3, WIDE},
    {"ticket/mutex-and-waiter", twice, 100 + MUTEX, OK, 3, NARROW},
    {"ticket/mutex-handed-over-and-waiter", twice, 110 + MUTEX, OK, 3, NARROW},
    {"ticket/mutex-and-tasks", twice, 200 + MUTEX, OK, 3, NARROW},
    {"ticket/permits", twice, SEM, OK, 3, WIDE},
    {"ticket/permits-and-waiter", twice, 100 + SEM, OK, 3, NARROW},
    {"ticket/rwlock", twice, RWLOCK, OK, 3, WIDE},
    {"ticket/rwlock-and-waiter", twice, 100 + RWLOCK, OK, 3, NARROW},
    {"ticket/rwlock-handed-over", twice, 10 + RWLOCK, OK, 3, WIDE},
    {"ticket/key", twice, KEYED, OK, 3, WIDE},
    {"ticket/key-handed-over", twice, 10 + KEYED, OK, 3, WIDE},
    {"ticket/key-handed-over-twice", twice, 20 + KEYED, OK, 3, WIDE},
    {"ticket/key-and-waiter", twice, 100 + KEYED, OK, 3, NARROW},
    {"ticket/key-handed-over-and-waiter", twice, 110 + KEYED, OK, 3, NARROW},
    {.name = NULL},
};
