/* SPDX-License-Identifier: MIT
 *
 * test_spurious.c - every call that waits, with sleeps that end for no reason all
 * the time: none of it shows. (The storms of tests/sync and tests/async run so
 * too, see meson.build.) */
#include "inject.h"
#include "waits.h"

enum { TIMES = 40 };

static void sleeps_that_end_for_no_reason_end_no_wait(void** state) {
  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];
    struct waiting w;
    unsigned long before;

    kind->take();
    start_waiting(&w, kind, PKD_FOREVER);
    before = injected();
    WAIT_FOR(injected() > before + TIMES); /* only this one sleeps */
    if (__atomic_load_n(&w.ended, __ATOMIC_ACQUIRE) != 0)
      fail_msg("%s: ended with %d", kind->name, w.rc);
    kind->give();
    if (join_waiting(&w) != 0)
      fail_msg("%s: %d", kind->name, w.rc);
  }
  all_is_as_it_was();
}

static void sleeps_that_end_for_no_reason_hasten_no_deadline(void** state) {
  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];
    pkd_deadline_t deadline;
    struct waiting w;

    kind->take();
    deadline = pkd_after(5 * MS);
    start_waiting(&w, kind, deadline);
    if (join_waiting(&w) != -ETIMEDOUT)
      fail_msg("%s: %d", kind->name, w.rc);
    assert_true(w.at >= deadline);
    kind->give();
  }
  all_is_as_it_was();
}

/* Many wait for one thing, and it is taken and given as they come. */
static void* wait_again_and_again(void* arg) {
  struct waiting* w = arg;

  for (int i = 0; i < TIMES && w->rc == 0; i++)
    w->rc = w->kind->wait(PKD_FOREVER);
  __atomic_store_n(&w->ended, 1, __ATOMIC_RELEASE);
  return NULL;
}

static void a_crowd_loses_nobody(void** state) {
  (void)state;
  for (size_t i = 0; i < wait_kind_count; i++) {
    const struct wait_kind* kind = &wait_kinds[i];
    struct waiting crowd[4];

    if (kind->sort != LOCK)
      continue;
    memset(crowd, 0, sizeof crowd);
    for (size_t k = 0; k < LENGTH(crowd); k++) {
      crowd[k].kind = kind;
      pthread_create(&crowd[k].thread, NULL, wait_again_and_again, &crowd[k]);
    }
    for (size_t k = 0; k < LENGTH(crowd); k++) {
      WAIT_FOR((kind->take(), kind->give(),
                __atomic_load_n(&crowd[k].ended, __ATOMIC_ACQUIRE) != 0));
      if (join_waiting(&crowd[k]) != 0)
        fail_msg("%s: %d", kind->name, crowd[k].rc);
    }
  }
  all_is_as_it_was();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sleeps_that_end_for_no_reason_end_no_wait),
      cmocka_unit_test(sleeps_that_end_for_no_reason_hasten_no_deadline),
      cmocka_unit_test(a_crowd_loses_nobody),
  };
  return cmocka_run_group_tests_name("spurious", tests, NULL, NULL);
}
