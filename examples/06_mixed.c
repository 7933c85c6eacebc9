/* SPDX-License-Identifier: MIT
 *
 * 06_mixed.c - four threads and two loops, one mutex and one condition.
 *
 * A bakery. Two bakers put numbered loaves on a small shelf; two assistants,
 * threads like them, take them off, and so do customers, the tasks of two loops.
 * Who finds the shelf empty waits for the condition: threads block, tasks leave a
 * callback, and all stand in the same queue. Waiting gives the mutex up. Each loaf
 * calls the one who has waited longest, and that one has the mutex again and looks
 * again, as with any condition. (Bakers wait for room by a plain semaphore, which
 * whoever takes a loaf releases, on a loop's thread as well: that does not block.)
 */
#include <parkade/async/cond.h>
#include <parkade/async/mutex.h>
#include <parkade/barrier.h>
#include <parkade/sem.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum {
  BAKERS = 2,
  ASSISTANTS = 2,
  LOOPS = 2,
  CUSTOMERS = 3,
  LOAVES = 500,
  ROOM = 4
};

/* Nobody begins before everybody is there. */
static pkd_barrier_t opening = PKD_BARRIER_INIT(BAKERS + ASSISTANTS + LOOPS);

static pkd_async_mutex_t mutex;
static pkd_async_cond_t filled; /* with the mutex */
static pkd_sem_t room = PKD_SEM_INIT(ROOM);
static struct {
  int loaf[ROOM];
  int loaves;
  int bakers; /* still at work */
  int inside; /* never above 1 */
  int crowded;
} shelf = {.bakers = BAKERS}; /* under mutex */

static void must(int err) {
  if (err == 0)
    return;
  fprintf(stderr, "06_mixed: %s\n", pkd_strerror(err));
  exit(1); /* nobody cancels or closes here */
}

/* ---- the section: mutex held --------------------------------------------- */

static void enter(void) {
  shelf.crowded |= shelf.inside++ != 0;
}

static void leave(void) {
  shelf.inside--;
}

/* A loaf for one; the end of all work for all. */
static void put(int loaf) {
  shelf.loaf[shelf.loaves++] = loaf;
  if (pkd_async_cond_signal(&filled) < 0)
    exit(1);
}

static void go_home(void) {
  if (--shelf.bakers == 0 && pkd_async_cond_broadcast(&filled) < 0)
    exit(1);
}

/* Returns a loaf, 0: there is none just now, or -1: nor will there be. */
static int take(void) {
  if (shelf.loaves == 0)
    return shelf.bakers == 0 ? -1 : 0;
  must(pkd_sem_release(&room, 1));
  return shelf.loaf[--shelf.loaves];
}

/* ---- threads ------------------------------------------------------------- */

struct thread {
  uv_thread_t id;
  int first; /* a baker's first loaf */
  int taken; /* an assistant's, and their sum */
  long sum;
};

static void come(pkd_req_t* ticket) {
  must(pkd_async_mutex_lock_blocking(ticket, &mutex, PKD_FOREVER));
  enter();
}

static void go(pkd_req_t* ticket) {
  leave();
  must(pkd_async_mutex_unlock(ticket, &mutex));
}

static void bake(void* arg) {
  const struct thread* baker = arg;
  pkd_req_t ticket = {0};
  pkd_barrier_wait(&opening);
  for (int baked = 0; baked < LOAVES; baked++) {
    pkd_sem_acquire(&room, 1);
    come(&ticket);
    put(baker->first + baked);
    if (baked == LOAVES - 1)
      go_home();
    go(&ticket);
  }
}

static void serve(void* arg) {
  struct thread* assistant = arg;
  pkd_req_t ticket = {0};
  int loaf = 0;
  pkd_barrier_wait(&opening);
  while (loaf >= 0) {
    come(&ticket);
    while ((loaf = take()) == 0) {
      leave();
      must(pkd_async_cond_wait_blocking(&ticket, &filled, &mutex, PKD_FOREVER));
      enter();
    }
    go(&ticket);
    if (loaf > 0) {
      assistant->taken++;
      assistant->sum += loaf;
    }
  }
}

/* ---- tasks --------------------------------------------------------------- */

struct side {
  uv_thread_t id;
  uv_loop_t uv;
  pkd_loop_t locks;
  int customers; /* still here */
  int taken;
  long sum;
};

struct customer {
  struct side* side;
  pkd_req_t req;     /* waits for the mutex or the condition, then owns it */
  uv_timer_t choose; /* holds the mutex over a turn of the loop */
};

static void on_mutex(pkd_req_t* req, int status);
static void on_chosen(uv_timer_t* timer);

static void come_in(struct customer* customer) {
  customer->req.data = customer;
  must(pkd_async_mutex_lock(&customer->side->locks, &customer->req, &mutex,
                            on_mutex));
}

/* From the door, and from every wait for a loaf: the mutex is ours. */
static void on_mutex(pkd_req_t* req, int status) {
  struct customer* customer = req->data;
  must(status);
  enter();
  must(uv_timer_start(&customer->choose, on_chosen, 0, 0));
}

static void on_chosen(uv_timer_t* timer) {
  struct customer* customer = timer->data;
  struct side* side = customer->side;
  int loaf = take();
  leave();
  if (loaf == 0) { /* gives the mutex up; the loop goes on */
    must(pkd_async_cond_wait(&side->locks, &customer->req, &filled, &mutex,
                             on_mutex));
    return;
  }
  must(pkd_async_mutex_unlock(&customer->req, &mutex));
  if (loaf > 0) {
    side->taken++;
    side->sum += loaf;
    come_in(customer);
    return;
  }
  uv_close((uv_handle_t*)timer, NULL);
  if (--side->customers == 0)
    must(pkd_loop_detach(&side->locks, NULL));
}

/* A loop is attached by the thread that runs it. */
static void run_side(void* arg) {
  struct side* side = arg;
  struct customer customers[CUSTOMERS] = {{0}};
  must(uv_loop_init(&side->uv));
  must(pkd_loop_attach(&side->locks, &side->uv));
  side->customers = CUSTOMERS;
  for (int i = 0; i < CUSTOMERS; i++) {
    customers[i].side = side;
    must(uv_timer_init(&side->uv, &customers[i].choose));
    customers[i].choose.data = &customers[i];
    come_in(&customers[i]);
  }
  pkd_barrier_wait(&opening); /* the one time this thread may stand still */
  uv_run(&side->uv, UV_RUN_DEFAULT);
  must(uv_loop_close(&side->uv));
}

int main(void) {
  static struct thread bakers[BAKERS];
  static struct thread assistants[ASSISTANTS];
  static struct side sides[LOOPS];
  int taken = 0;
  long sum = 0;
  const long all = (long)BAKERS * LOAVES; /* loaves 1 .. all */

  for (int i = 0; i < LOOPS; i++)
    must(uv_thread_create(&sides[i].id, run_side, &sides[i]));
  for (int i = 0; i < ASSISTANTS; i++)
    must(uv_thread_create(&assistants[i].id, serve, &assistants[i]));
  for (int i = 0; i < BAKERS; i++) {
    bakers[i].first = 1 + i * LOAVES;
    must(uv_thread_create(&bakers[i].id, bake, &bakers[i]));
  }
  for (int i = 0; i < BAKERS; i++)
    uv_thread_join(&bakers[i].id);
  for (int i = 0; i < ASSISTANTS; i++) {
    uv_thread_join(&assistants[i].id);
    taken += assistants[i].taken;
    sum += assistants[i].sum;
  }
  printf("%d loaves taken by threads", taken);
  for (int i = 0; i < LOOPS; i++) {
    uv_thread_join(&sides[i].id);
    printf(", %d by loop %d", sides[i].taken, i + 1);
    taken += sides[i].taken;
    sum += sides[i].sum;
  }
  printf("\n");
  return taken == all && sum == all * (all + 1) / 2 && shelf.loaves == 0 &&
                 !shelf.crowded
             ? 0
             : 1;
}
