/* SPDX-License-Identifier: MIT
 *
 * scenario_keyed.c - a keyed mutex under exploration: closed, against who comes,
 * waits, is granted, cancelled or late just then, and against who frees it as soon
 * as the last has been told; and granted to a loop that is late for it.
 *
 * Where it is closed, a ticket holds the key before anybody runs. So who waits is
 * told of the close, unless somebody gives the key back. */
#include "scenario.h"

#include <parkade/async/keyed.h>
#include <parkade/async/many.h>

#include "../../async/grant.h"

#include <string.h>

#define KEY 7

typedef struct task {
  uv_loop_t uv;
  pkd_loop_t loop;
  pkd_req_t req;
  pkd_many_t many;
  pkd_many_item_t items[2];
  int answers;
  int status;
  int cancel_rc;
} task_t;

static pkd_async_keyed_t* keyed;
static pkd_req_t* ticket; /* holds the key at first */
static task_t* tasks[2];
static int counter; /* under the key */

static void start(void) {
  keyed = explore_need(sizeof *keyed);
  ticket = explore_need(sizeof *ticket);
  explore_name(keyed, sizeof *keyed, "keyed");
  explore_name(ticket, sizeof *ticket, "ticket");
}

static void hold(void* arg) {
  (void)arg;
  explore_assert(pkd_async_keyed_trylock_u64(ticket, keyed, KEY) == 0);
}

static void attach(void* arg) {
  task_t* task = arg;

  uv_loop_init(&task->uv);
  pkd_loop_attach(&task->loop, &task->uv);
}

static void spawn(int which, void (*entry)(void* arg), bool has_loop) {
  static const char* const names[] = {"task1", "task2"};
  task_t* task = tasks[which] = explore_need(sizeof *task);

  explore_name(task, sizeof *task, names[which]);
  task->req.data = task->many.data = task;
  task->cancel_rc = UV_EINVAL;
  explore_spawn(entry, task);
  if (has_loop)
    explore_setup(attach, task);
}

static void closes(void* arg) {
  (void)arg;
  explore_assert(pkd_async_keyed_close(keyed) == 0);
}

static void gives_back(void* arg) {
  (void)arg;
  counter++;
  explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
}

/* What has become of it: granted, told of the close, refused, late. */
static void end(task_t* task, int status) {
  task->answers++;
  task->status = status;
  explore_outcome(status == 0              ? 0
                  : status == UV_ECANCELED ? 1
                  : status == UV_ESHUTDOWN ? 2
                  : status == UV_ETIMEDOUT ? 3
                                           : 4);
  if (status != 0)
    return;
  counter++;
  explore_assert(pkd_async_keyed_unlock(&task->req, keyed) == 0);
}

static void answer(pkd_req_t* req, int status) {
  end(req->data, status);
}

static bool begin(task_t* task) {
  int rc =
      pkd_async_keyed_lock_u64(&task->loop, &task->req, keyed, KEY, answer);

  if (rc != 0)
    end(task, rc);
  return rc == 0;
}

static void loop_waits(void* arg) {
  task_t* task = arg;

  begin(task);
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == 1);
}

static void loop_cancels(void* arg) {
  task_t* task = arg;

  if (begin(task)) {
    if (explore_choose(2) == 1)
      uv_run(&task->uv, UV_RUN_NOWAIT);
    task->cancel_rc = pkd_req_cancel(&task->req);
  }
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == 1);
  explore_assert(task->cancel_rc != 0 || task->status == UV_ECANCELED);
}

static void thread_waits(void* arg) {
  task_t* task = arg;

  end(task,
      pkd_async_keyed_lock_blocking_u64(&task->req, keyed, KEY, PKD_FOREVER));
}

static void thread_waits_a_while(void* arg) {
  task_t* task = arg;

  end(task, pkd_async_keyed_lock_blocking_u64(&task->req, keyed, KEY, SOON));
}

/* Nobody waits, nobody comes in any more, and who holds the key gives it back. Who
 * was told or refused may ask again. */
static void finish(bool given) {
  pkd_req_t* late = explore_need(sizeof *late);

  explore_join();
  explore_assert(pkd_lot_for_each(NULL, NULL, NULL) == !given);
  if (!given)
    explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
  explore_assert(pkd_async_keyed_trylock_u64(late, keyed, KEY) == UV_ESHUTDOWN);
  explore_assert(pkd_async_keyed_trylock_u64(&tasks[0]->req, keyed, KEY) ==
                 UV_ESHUTDOWN);
}

/* One who waits, or comes; one who closes. */
static void one(int how) {
  static void (*const who[])(void*) = {loop_waits, thread_waits, loop_cancels,
                                       thread_waits_a_while};

  start();
  spawn(0, who[how], who[how] == loop_waits || who[how] == loop_cancels);
  explore_setup(hold, NULL);
  explore_spawn(closes, NULL);
  finish(false);
}

/* The same, while the key is given back. */
static void given_back(int how) {
  static void (*const who[])(void*) = {loop_waits, thread_waits, loop_cancels};

  start();
  spawn(0, who[how], who[how] != thread_waits);
  explore_setup(hold, NULL);
  explore_spawn(closes, NULL);
  explore_spawn(gives_back, NULL);
  finish(true);
}

/* Several in one queue, or several who close. */
static void several(int how) {
  start();
  spawn(0, loop_waits, true);
  explore_setup(hold, NULL);
  if (how == 0)
    spawn(1, thread_waits, false);
  else
    explore_spawn(closes, NULL);
  explore_spawn(closes, NULL);
  finish(false);
}

/* --- gone with the last --------------------------------------------------- */

/* Told of the close, it is the last who knows the keyed mutex. */
static void loop_frees(void* arg) {
  task_t* task = arg;

  loop_waits(task);
  explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
  explore_free(keyed);
}

/* Another is made in its place, which the close has nothing to do with. */
static void loop_makes_another(void* arg) {
  task_t* task = arg;

  loop_waits(task);
  explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
  memset(keyed, 0, sizeof *keyed);
  hold(NULL);
  explore_assert(begin(task));
  uv_run(&task->uv, UV_RUN_NOWAIT);
  explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == 2 && task->status == 0);
}

/* The closer has to have begun: nobody may call who does not keep it in place. */
static void gone(int remade) {
  start();
  spawn(0, remade ? loop_makes_another : loop_frees, true);
  explore_setup(hold, NULL);
  explore_spawn(closes, NULL);
  explore_join();
  explore_assert(pkd_lot_for_each(NULL, NULL, NULL) == 0);
}

/* --- several keys at once -------------------------------------------------- */

static void answer_many(pkd_many_t* many, int status) {
  task_t* task = many->data;

  task->answers++;
  task->status = status;
}

/* One of the two keys is held. */
static void loop_wants_two(void* arg) {
  static const uint64_t key = KEY, other = KEY + 1;
  task_t* task = arg;
  int rc;

  task->items[0].take = pkd_take_key(keyed, &other, sizeof other);
  task->items[1].take = pkd_take_key(keyed, &key, sizeof key);
  rc = pkd_many_lock(&task->loop, &task->many, task->items, 2, PKD_NO_TIMEOUT,
                     answer_many);
  if (rc != 0)
    answer_many(&task->many, rc);
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == 1);
  explore_outcome(task->status == UV_ECANCELED   ? 1
                  : task->status == UV_ESHUTDOWN ? 2
                                                 : 4);
}

static void two_keys(int unused) {
  (void)unused;
  start();
  spawn(0, loop_wants_two, true);
  explore_setup(hold, NULL);
  explore_spawn(closes, NULL);
  finish(false);
}

/* --- a loop that is late --------------------------------------------------- */

/* As in scenario_grant.c: to the watchdog each grant is overdue, so the loop is
 * stuck wherever a switch holds it up. */
static void watches(void* arg) {
  (void)arg;
  pkd__grants_look(pkd_now() + 1000000000);
}

static pkd_req_t* started; /* atomic */
static int uses;           /* atomic: how many were given the key */

static void use(void) {
  counter++;
  __atomic_add_fetch(&uses, 1, __ATOMIC_RELAXED);
}

static void use_late(pkd_req_t* req, int status) {
  task_t* task = req->data;

  task->answers++;
  task->status = status;
  explore_assert(status == 0 || status == UV_ECANCELED);
  if (status != 0)
    return;
  use();
  explore_assert(pkd_async_keyed_unlock(req, keyed) == 0);
}

static void ask_late(task_t* task, pkd_req_t* req) {
  explore_assert(
      pkd_async_keyed_lock_u64(&task->loop, req, keyed, KEY, use_late) == 0);
}

static void run_late(task_t* task, int answers) {
  uv_run(&task->uv, UV_RUN_DEFAULT);
  explore_assert(task->answers == answers);
}

static void late_loop(void* arg) {
  task_t* task = arg;

  ask_late(task, &task->req);
  __atomic_store_n(&started, &task->req, __ATOMIC_RELEASE);
  run_late(task, 1);
}

static void late_loop_twice(void* arg) {
  task_t* task = arg;

  task->items[0].req.data = task;
  ask_late(task, &task->req);
  ask_late(task, &task->items[0].req);
  run_late(task, 2);
}

/* Has the key at once, and yet its time counts: a grant may be taken back. */
static void late_loop_has_time(void* arg) {
  task_t* task = arg;

  explore_assert(pkd_req_set_timeout(&task->req, 1000) == 0);
  ask_late(task, &task->req);
  run_late(task, 1);
}

static void late_loop_detaches(void* arg) {
  task_t* task = arg;

  ask_late(task, &task->req);
  explore_assert(pkd_loop_detach(&task->loop, NULL) == 0);
  run_late(task, 1);
  explore_assert(task->status == UV_ECANCELED);
}

static void late_loop_meets_close(void* arg) {
  task_t* task = arg;
  int rc =
      pkd_async_keyed_lock_u64(&task->loop, &task->req, keyed, KEY, use_late);

  explore_assert(rc == 0 || rc == UV_ESHUTDOWN);
  if (rc == 0)
    run_late(task, 1);
  explore_outcome(rc != 0 ? 2 : task->status == 0 ? 0 : 1);
}

static void on_time(void* arg) {
  pkd_req_t req = {0};

  (void)arg;
  explore_assert(
      pkd_async_keyed_lock_blocking_u64(&req, keyed, KEY, PKD_FOREVER) == 0);
  use();
  explore_assert(pkd_async_keyed_unlock(&req, keyed) == 0);
}

static void on_time_tries(void* arg) {
  pkd_req_t req = {0};
  int rc = pkd_async_keyed_trylock_u64(&req, keyed, KEY);

  (void)arg;
  explore_outcome(rc == 0);
  if (rc != 0)
    return;
  use();
  explore_assert(pkd_async_keyed_unlock(&req, keyed) == 0);
}

static void on_time_hands_over(void* arg) {
  pkd_req_t req = {0}, heir = {0};

  (void)arg;
  explore_assert(
      pkd_async_keyed_lock_blocking_u64(&req, keyed, KEY, PKD_FOREVER) == 0);
  use();
  explore_assert(pkd_req_transfer(&req, &heir) == 0);
  explore_assert(pkd_async_keyed_unlock(&heir, keyed) == 0);
}

static void on_time_gives(void* arg) {
  (void)arg;
  use();
  explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
}

static void on_time_cancels(void* arg) {
  pkd_req_t* req = __atomic_load_n(&started, __ATOMIC_ACQUIRE);
  int rc = req == NULL ? UV_EINVAL : pkd_req_cancel(req);

  (void)arg;
  tasks[0]->cancel_rc = rc;
  explore_outcome(rc == 0 ? 0 : rc == UV_EBUSY ? 1 : 2);
}

static void be_impatient(void* arg) {
  task_t* task = arg;

  attach(arg);
  explore_assert(pkd_loop_set_grant_timeout(&task->loop, 1) == 0);
}

static void spawn_late(int which, void (*entry)(void* arg)) {
  spawn(which, entry, false);
  explore_setup(be_impatient, tasks[which]);
}

static void (*const lates[])(void*) = {
    late_loop, late_loop_twice, late_loop_detaches, late_loop_meets_close,
    late_loop_has_time};
static void (*const others[])(void*) = {
    NULL,          on_time,         on_time_tries, on_time_hands_over,
    on_time_gives, on_time_cancels, closes,        late_loop};

/* Which loop, tens; who else, ones; hundreds: and a thread as well. */
static void late(int code) {
  void (*other)(void*) = others[code % 10];

  start();
  spawn_late(0, lates[code / 10 % 10]);
  explore_spawn(watches, NULL);
  if (other == late_loop)
    spawn_late(1, other);
  else if (other != NULL)
    explore_spawn(other, NULL);
  if (other == on_time_gives)
    explore_setup(hold, NULL);
  if (code >= 100)
    explore_spawn(on_time, NULL);
  explore_join();
  if (other == on_time_cancels)
    explore_assert((tasks[0]->cancel_rc == 0) ==
                   (tasks[0]->status == UV_ECANCELED));
  explore_assert(counter == uses);
  explore_assert(pkd__away == 0);
  explore_assert(pkd_lot_for_each(NULL, NULL, NULL) == 0);
}

/* --- a key that is not copied ------------------------------------------------ */

static const char long_key[PKD_ASYNC_KEY_INLINE + 8];

/* It was granted the key; that was taken back, and another has it now. */
static void was_late(void* arg) {
  task_t* task = arg;

  be_impatient(arg);
  explore_assert(pkd_async_keyed_lock(&task->loop, &task->req, keyed, long_key,
                                      sizeof long_key, answer) == 0);
  watches(NULL);
  explore_assert(
      pkd_async_keyed_trylock(ticket, keyed, long_key, sizeof long_key) == 0);
}

static void loop_runs(void* arg) {
  run_late(arg, 1);
}

/* Sent away just when its loop has come to it and looks at the queue for it. */
static void long_key_closed(int unused) {
  (void)unused;
  start();
  spawn(0, loop_runs, false);
  explore_setup(was_late, tasks[0]);
  explore_spawn(closes, NULL);
  explore_join();
  explore_assert(tasks[0]->status == UV_ECANCELED);
  explore_assert(pkd__away == 0);
  explore_assert(pkd_async_keyed_unlock(ticket, keyed) == 0);
  explore_assert(pkd_lot_for_each(NULL, NULL, NULL) == 0);
}

const explore_scenario_t explore_keyed[] = {
    {"keyed/close-loop", one, 0, OK, 6, DEEP},
    {"keyed/close-thread", one, 1, OK, 6, DEEP},
    {"keyed/close-cancel", one, 2, OK, 6, DEEP},
    {"keyed/close-timed", one, 3, OK, 14, LATE_WIDE},
    {"keyed/close-given-loop", given_back, 0, OK, 7, NARROW},
    {"keyed/close-given-thread", given_back, 1, OK, 7, NARROW},
    {"keyed/close-given-cancel", given_back, 2, OK, 7, NARROW},
    {"keyed/close-both", several, 0, OK, 6, NARROW},
    {"keyed/close-twice", several, 1, OK, 6, NARROW},
    {"keyed/close-freed", gone, 0, OK, 6, DEEP},
    {"keyed/close-remade", gone, 1, OK, 7, DEEP},
    {"keyed/close-two-keys", two_keys, 0, OK, 6, WIDE},
    {"keyed/late", late, 0, OK, 0, DEEP},
    {"keyed/late-twice", late, 10, OK, 0, WIDE},
    {"keyed/late-and-thread", late, 1, OK, 0, NARROW},
    {"keyed/late-and-try", late, 2, OK, 3, NARROW},
    {"keyed/late-with-time", late, 42, OK, 3, NARROW},
    {"keyed/late-and-handed-over", late, 3, OK, 0, NARROW},
    {"keyed/late-given", late, 4, OK, 0, NARROW},
    {"keyed/late-given-and-thread", late, 104, OK, 0, FLAT},
    {"keyed/late-cancel", late, 5, OK, 7, WIDE},
    {"keyed/late-cancel-with-thread", late, 105, OK, 7, FLAT},
    {"keyed/late-close", late, 36, OK, 7, WIDE},
    {"keyed/late-close-long", long_key_closed, 0, OK, 2, WIDE},
    {"keyed/late-two-loops", late, 7, OK, 0, NARROW},
    {"keyed/late-detach", late, 20, OK, 0, WIDE},
    {"keyed/late-detach-with-thread", late, 21, OK, 0, NARROW},
    {.name = NULL},
};
