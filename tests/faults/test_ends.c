/* SPDX-License-Identifier: MIT
 *
 * test_ends.c - threads and processes that end in the wrong moment.
 *
 * No wait is a cancellation point: a thread that pthread_cancel() hits there goes
 * on waiting and ends at its next one. A thread that ends with a lock leaves it
 * held; nobody is surprised by anything else than that. A process may exit while
 * others wait. */
#include "waits.h"

/* --- pthread_cancel -------------------------------------------------------- */

static void* wait_then_end(void* arg) {
  wait_in_thread(arg);
  pthread_testcancel();
  return NULL;
}

static void start_mortal(struct waiting* w, const struct wait_kind* kind,
                         pkd_deadline_t deadline) {
  memset(w, 0, sizeof *w);
  w->kind = kind;
  w->deadline = deadline;
  w->rc = 12345;
  assert_int_equal(pthread_create(&w->thread, NULL, wait_then_end, w), 0);
}

static void join_cancelled(struct waiting* w, int rc) {
  void* result;

  pthread_join(w->thread, &result);
  if (result != PTHREAD_CANCELED || !w->ended || w->rc != rc)
    fail_msg("%s: a cancelled thread's wait gave %d", w->kind->name, w->rc);
}

static void a_cancelled_thread_waits_to_the_end(void** state) {
  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];
    struct waiting w;
    size_t before;

    kind->take();
    before = waiting_at(kind->key);
    start_mortal(&w, kind, PKD_FOREVER);
    WAIT_FOR(waiting_at(kind->key) > before);
    pthread_cancel(w.thread);
    kind->give();
    join_cancelled(&w, 0);
  }
  all_is_as_it_was();
}

static void a_cancelled_thread_waits_until_its_deadline(void** state) {
  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    struct waiting w;

    wait_kinds[i].take();
    start_mortal(&w, &wait_kinds[i], pkd_after(5 * MS));
    pthread_cancel(w.thread); /* before, while or after it waits */
    pthread_join(w.thread, NULL);
    wait_kinds[i].give();
  }
  all_is_as_it_was();
}

/* --- ends of threads ------------------------------------------------------- */

static void* take_and_end(void* kind) {
  ((const struct wait_kind*)kind)->take();
  return NULL;
}

static void what_a_thread_had_when_it_ended_is_still_held(void** state) {
  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];
    pthread_t thread;
    struct waiting w;

    /* A re-entrant mutex knows its thread and could not be given back. */
    if (kind->sort == CALLED || strcmp(kind->name, "remutex") == 0)
      continue;
    pthread_create(&thread, NULL, take_and_end, (void*)(uintptr_t)kind);
    pthread_join(thread, NULL);
    start_waiting(&w, kind, pkd_after(2 * MS));
    assert_int_equal(join_waiting(&w), -ETIMEDOUT);
    start_waiting(&w, kind, PKD_FOREVER);
    kind->give(); /* in another thread than the one that took it */
    assert_int_equal(join_waiting(&w), 0);
  }
  all_is_as_it_was();
}

/* --- the end of the process ------------------------------------------------ */

static void exit_while_all_wait(void) {
  struct waiting waiting[32];

  for (size_t i = 0; i < wait_kind_count; i++) {
    wait_kinds[i].take();
    start_waiting(&waiting[i], &wait_kinds[i],
                  i % 2 == 0 ? PKD_FOREVER : pkd_after(i * MS));
  }
  exit(17); /* destructors and atexit handlers run */
}

static void a_process_may_exit_while_threads_wait(void** state) {
  (void)state;
  if (PKD_TEST_SLOW)
    skip(); /* no threads in a child under ThreadSanitizer */
  for (unsigned i = 0; i < 10; i++)
    assert_int_equal(run_in_child(exit_while_all_wait), 17);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_cancelled_thread_waits_to_the_end),
      cmocka_unit_test(a_cancelled_thread_waits_until_its_deadline),
      cmocka_unit_test(what_a_thread_had_when_it_ended_is_still_held),
      cmocka_unit_test(a_process_may_exit_while_threads_wait),
  };
  return cmocka_run_group_tests_name("ends", tests, NULL, NULL);
}
