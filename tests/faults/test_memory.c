/* SPDX-License-Identifier: MIT
 *
 * test_memory.c - allocations that fail, each in turn.
 *
 * The program has its own malloc(), over libc's, so that the libraries' and
 * libuv's calls come here. Two things are shown: nothing but pkd_loop_attach()
 * asks for memory, on no path that takes, waits, is late, gives or cancels; and
 * an attach of which the k-th allocation fails, for every k, says UV_ENOMEM and
 * leaves nothing behind. */
#include "waits.h"

#include "async/kinds.h"

/* glibc lends its allocator by these names; a sanitizer has its own. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) &&                    \
    !defined(__SANITIZE_THREAD__)
#define CAN_FAIL 1
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef CAN_FAIL
#endif
#endif
#endif
#ifndef CAN_FAIL
#define CAN_FAIL 0
#endif

static int allocations; /* atomic; since the last fail_at() */
static int failing;     /* atomic; the one that fails; 0: none, -1: all */

static void fail_at(int k) {
  __atomic_store_n(&allocations, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&failing, k, __ATOMIC_RELAXED);
}

/* Stops failing. @return how many allocations there were */
static int allowed_again(void) {
  __atomic_store_n(&failing, 0, __ATOMIC_RELAXED);
  return __atomic_load_n(&allocations, __ATOMIC_RELAXED);
}

#if CAN_FAIL

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* block, size_t size);

#define EXPORTED __attribute__((visibility("default")))

static bool fails(void) {
  int which = __atomic_load_n(&failing, __ATOMIC_RELAXED);
  int k;

  if (which == 0)
    return false;
  k = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
  if (which != -1 && k != which)
    return false;
  errno = ENOMEM;
  return true;
}

EXPORTED void* malloc(size_t size) {
  return fails() ? NULL : __libc_malloc(size);
}

EXPORTED void* calloc(size_t count, size_t size) {
  return fails() ? NULL : __libc_calloc(count, size);
}

EXPORTED void* realloc(void* block, size_t size) {
  return fails() ? NULL : __libc_realloc(block, size);
}

#endif

/* --- no lock asks for memory ----------------------------------------------- */

/* The waits of a whole thread, of which the first may have the system set up what
 * is the thread's own. */
static void* wait_without_memory(void* arg) {
  struct waiting* w = arg;

  w->rc = w->kind->wait(pkd_after(MS));
  if (w->rc == -ETIMEDOUT)
    w->rc = w->kind->wait(w->deadline);
  __atomic_store_n(&w->ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

static void no_wait_asks_for_memory(void** state) {
  (void)state;
  if (!CAN_FAIL)
    skip();
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];
    struct waiting w = {.kind = kind, .deadline = PKD_FOREVER};

    kind->take(); /* may start a thread */
    assert_int_equal(pthread_create(&w.thread, NULL, wait_without_memory, &w),
                     0);
    fail_at(-1);
    WAIT_FOR(waiting_at(kind->key) >= 1);
    WAIT_FOR((kind->give(), w.ended != 0)); /* late or not, it is let through */
    if (allowed_again() != 0)
      fail_msg("%s asks for memory", kind->name);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.rc, 0);
  }
}

/* --- tasks ----------------------------------------------------------------- */

static pkd_loop_t loop;
static uv_loop_t uv;
static int answers, detached;

static void count_answer(pkd_req_t* req, int status) {
  (void)req;
  if (status >= 0 || status == UV_ECANCELED || status == UV_ETIMEDOUT)
    answers++;
}

static void count_detached(pkd_loop_t* gone) {
  (void)gone;
  detached++;
}

/* A task of each kind: granted, queued, late, cancelled. */
static int use_loop(void) {
  static pkd_async_mutex_t mutex;
  static pkd_async_event_t event;
  static pkd_async_keyed_t keyed;
  pkd_req_t holder = {0}, queued = {0}, late = {0}, cancelled = {0}, key = {0};
  int err = 0;

  answers = 0;
  err |= pkd_async_mutex_trylock(&holder, &mutex);
  err |= pkd_async_mutex_lock(&loop, &queued, &mutex, count_answer);
  err |= pkd_req_set_timeout(&late, 1);
  err |= pkd_async_event_wait(&loop, &late, &event, count_answer);
  err |= pkd_async_event_wait(&loop, &cancelled, &event, count_answer);
  err |= pkd_async_keyed_lock_u64(&loop, &key, &keyed, 9, count_answer);
  err |= pkd_req_cancel(&cancelled);
  err |= pkd_async_mutex_unlock(&holder, &mutex);
  uv_run(&uv, UV_RUN_DEFAULT); /* until nothing is pending */
  err |= pkd_async_mutex_unlock(&queued, &mutex);
  err |= pkd_async_keyed_unlock(&key, &keyed);
  return err != 0 || answers != 4;
}

static void tasks_ask_for_no_memory(void** state) {
  int err;

  (void)state;
  if (!CAN_FAIL)
    skip();
  assert_int_equal(uv_loop_init(&uv), 0);
  assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  uv_run(&uv, UV_RUN_NOWAIT); /* libuv sets itself up in its first turn */
  assert_int_equal(use_loop(), 0);
  fail_at(-1);
  err = use_loop();
  assert_int_equal(allowed_again(), 0);
  assert_int_equal(err, 0);
  assert_int_equal(pkd_loop_detach(&loop, NULL), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&uv), 0);
}

/* One is cancelled while it waits and one once it is granted, one is late, one gets
 * it; and a try, if there is one. */
static int use_kind(const struct kind* kind) {
  static struct asker askers[4];
  int wrong = 0;

  kinds_crowd = 5;
  kind->fresh();
  for (int i = 0; i < 4; i++) {
    asker_init(&askers[i], 0);
    askers[i].timeout = i == 1 ? 1 : PKD_NO_TIMEOUT;
    wrong += asker_start(kind, &askers[i]) != 0;
  }
  wrong += asker_cancel(kind, &askers[0]) != 0;
  wrong += asker_wait(&askers[0]) != UV_ECANCELED;
  wrong += asker_wait(&askers[1]) != UV_ETIMEDOUT;
  wrong += kind->give() != 0;
  wrong += asker_cancel(kind, &askers[2]) != (kind->final ? UV_EBUSY : 0);
  wrong += asker_wait(&askers[3]) != kind->good;
  wrong += asker_give_back(kind, &askers[3]) != 0;
  asker_wait(&askers[2]);
  asker_init(&askers[0], 0);
  if (kind->try_it != NULL && kind->try_it(&askers[0]) >= 0)
    wrong += asker_give_back(kind, &askers[0]) != 0;
  return wrong;
}

static void no_object_asks_for_memory(void** state) {
  static enum world one_loop = ONE_LOOP;
  void* world = &one_loop;

  (void)state;
  if (!CAN_FAIL)
    skip();
  for (unsigned i = 0; i < kind_count; i++) {
    int wrong;

    assert_int_equal(world_open(&world), 0);
    /* libuv sets itself up in its first turn, and its pool at the first work */
    assert_int_equal(use_kind(&kinds[i]), 0);
    fail_at(-1);
    wrong = use_kind(&kinds[i]);
    if (allowed_again() != 0)
      fail_msg("%s asks for memory", kinds[i].name);
    assert_int_equal(wrong, 0);
    settle();
    assert_int_equal(world_close(&world), 0);
  }
}

/* --- attach, with the k-th allocation failing ------------------------------ */

/* @return how many allocations it took, or would have */
static int attach_with(int k) {
  pkd_req_t req = {0};
  pkd_async_mutex_t mutex = PKD_ASYNC_MUTEX_INIT;
  int err;
  int count;

  memset(&loop, 0, sizeof loop);
  assert_int_equal(uv_loop_init(&uv), 0);
  fail_at(k);
  err = pkd_loop_attach(&loop, &uv);
  count = allowed_again();
  if (err != 0) {
    assert_int_equal(err, UV_ENOMEM);
    /* Nothing is left behind: the loop closes, the face is refused. */
    assert_int_equal(pkd_async_mutex_lock(&loop, &req, &mutex, count_answer),
                     UV_EINVAL);
    assert_int_equal(pkd_loop_detach(&loop, NULL), UV_EINVAL);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(pkd_loop_attach(&loop, &uv), 0);
  } else {
    assert_true(k == 0 || k > count);
  }
  assert_int_equal(use_loop(), 0);
  detached = 0;
  assert_int_equal(pkd_loop_detach(&loop, count_detached), 0);
  uv_run(&uv, UV_RUN_DEFAULT);
  assert_int_equal(detached, 1);
  assert_int_equal(uv_loop_close(&uv), 0);
  return count;
}

static void an_attach_without_memory_leaves_nothing_behind(void** state) {
  int needed;

  (void)state;
  if (!CAN_FAIL)
    skip();
  needed = attach_with(INT32_MAX); /* counts, and fails none */
  assert_true(needed >= 1);
  for (int k = 1; k <= needed; k++)
    attach_with(k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_wait_asks_for_memory),
      cmocka_unit_test(tasks_ask_for_no_memory),
      cmocka_unit_test(no_object_asks_for_memory),
      cmocka_unit_test(an_attach_without_memory_leaves_nothing_behind),
  };
  return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
