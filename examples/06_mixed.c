/* SPDX-License-Identifier: MIT
 *
 * 06_mixed.c - four threads and two loops, one mutex and its conditions.
 *
 * A bakery. Two bakers put numbered loaves on a small shelf; two assistants,
 * threads like them, take them off, and so do customers, the tasks of two
 * loops. Who finds the shelf full or empty waits: threads block, tasks leave a
 * callback, and all stand in the same queues.
 *
 * A condition is an event that says "it is worth to look". It changes only
 * under the mutex, together with what it tells of. So nobody has to hold the
 * mutex to wait for it, and no news is missed: who comes late finds it set. As
 * with any condition, to be woken is no promise: whoever wakes takes the mutex
 * and looks again. */
#include <parkade/async/event.h>
#include <parkade/async/mutex.h>
#include <parkade/barrier.h>

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
static struct {
  pkd_async_event_t room;  /* set while there is */
  pkd_async_event_t bread; /* set while there is, or will not be any more */
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

/* Returns whether there was room. */
static int put(int loaf) {
  if (shelf.loaves == ROOM)
    return 0;
  shelf.loaf[shelf.loaves++] = loaf;
  must(pkd_async_event_set(&shelf.bread));
  if (shelf.loaves == ROOM)
    must(pkd_async_event_clear(&shelf.room));
  return 1;
}

static void go_home(void) {
  if (--shelf.bakers == 0)
    must(pkd_async_event_set(&shelf.bread));
}

/* Returns a loaf, 0: there is none just now, or -1: nor will there be. */
static int take(void) {
  if (shelf.loaves == 0)
    return shelf.bakers == 0 ? -1 : 0;
  int loaf = shelf.loaf[--shelf.loaves];
  must(pkd_async_event_set(&shelf.room));
  if (shelf.loaves == 0 && shelf.bakers != 0)
    must(pkd_async_event_clear(&shelf.bread));
  return loaf;
}

/* ---- threads ------------------------------------------------------------- */

struct thread {
  uv_thread_t id;
  int first; /* a baker's first loaf */
  int taken; /* an assistant's, and their sum */
  long sum;
};

/* Waits for the condition, then takes the mutex. */
static void come(pkd_async_event_t* condition, pkd_req_t* ticket) {
  must(pkd_async_event_wait_blocking(ticket, condition, PKD_FOREVER));
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
  int baked = 0;
  pkd_barrier_wait(&opening);
  while (baked < LOAVES) {
    come(&shelf.room, &ticket);
    baked += put(baker->first + baked);
    if (baked == LOAVES)
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
    come(&shelf.bread, &ticket);
    loaf = take();
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
  pkd_req_t req;     /* waits for the event, then owns the mutex */
  uv_timer_t choose; /* holds the mutex over a turn of the loop */
};

static void on_bread(pkd_req_t* req, int status);
static void on_mutex(pkd_req_t* req, int status);
static void on_chosen(uv_timer_t* timer);

static void look_out(struct customer* customer) {
  customer->req.data = customer;
  must(pkd_async_event_wait(&customer->side->locks, &customer->req,
                            &shelf.bread, on_bread));
}

static void on_bread(pkd_req_t* req, int status) {
  const struct customer* customer = req->data;
  must(status);
  must(pkd_async_mutex_lock(&customer->side->locks, req, &mutex, on_mutex));
}

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
  must(pkd_async_mutex_unlock(&customer->req, &mutex));
  if (loaf > 0) {
    side->taken++;
    side->sum += loaf;
  }
  if (loaf >= 0) {
    look_out(customer);
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
    look_out(&customers[i]);
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

  must(pkd_async_event_set(&shelf.room));
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
