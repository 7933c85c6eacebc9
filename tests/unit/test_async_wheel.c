/* SPDX-License-Identifier: MIT
 *
 * test_async_wheel.c - the timing wheel against the obvious way to do it. */
#include "../../async/wheel.h"

#include "support/test.h"

struct entry {
  struct pkd__link link; /* first: the wheel hands out its address */
  uint64_t deadline;
  bool inside;
};

static struct pkd__wheel wheel;

static uint64_t deadline_of(const struct pkd__wheel* unused,
                            const struct pkd__link* link) {
  (void)unused;
  return ((const struct entry*)link)->deadline;
}

static void insert(struct entry* entry, uint64_t deadline) {
  entry->deadline = deadline;
  entry->inside = true;
  pkd__wheel_insert(&wheel, &entry->link, deadline);
}

static void an_empty_wheel_has_no_next_time(void** state) {
  (void)state;
  memset(&wheel, 0xff, sizeof wheel); /* whatever was there before */
  pkd__wheel_init(&wheel, 17);
  assert_true(pkd__wheel_next(&wheel) == PKD__WHEEL_NEVER);
  assert_null(pkd__wheel_expire(&wheel, 1000000, deadline_of));
  assert_true(wheel.now == 1000000);
}

static void time_does_not_go_back(void** state) {
  (void)state;
  pkd__wheel_init(&wheel, 17);
  assert_null(pkd__wheel_expire(&wheel, 16, deadline_of));
  assert_true(wheel.now == 17);
}

static void a_link_comes_at_its_deadline_and_not_before(void** state) {
  static const uint64_t spans[] = {1,    63,   64,    65,      4095,
                                   4096, 4097, 99999, 1 << 24, 2147483648u};
  static const uint64_t starts[] = {0,  1,    63,
                                    64, 4095, (UINT64_C(1) << 36) - 1};

  (void)state;
  for (size_t s = 0; s < LENGTH(starts); s++) {
    for (size_t i = 0; i < LENGTH(spans); i++) {
      struct entry entry;
      uint64_t deadline = starts[s] + spans[i];

      pkd__wheel_init(&wheel, starts[s]);
      insert(&entry, deadline);
      assert_true(pkd__wheel_next(&wheel) <= deadline);
      assert_null(pkd__wheel_expire(&wheel, deadline - 1, deadline_of));
      assert_true(pkd__wheel_next(&wheel) == deadline);
      assert_ptr_equal(pkd__wheel_expire(&wheel, deadline, deadline_of),
                       &entry.link);
      assert_null(pkd__wheel_expire(&wheel, deadline, deadline_of));
      assert_true(pkd__wheel_next(&wheel) == PKD__WHEEL_NEVER);
    }
  }
}

static void a_removed_link_does_not_come(void** state) {
  struct entry a, b;

  (void)state;
  pkd__wheel_init(&wheel, 0);
  insert(&a, 100);
  insert(&b, 101); /* in the same slot */
  pkd__wheel_remove(&wheel, &a.link);
  assert_ptr_equal(pkd__wheel_expire(&wheel, 200, deadline_of), &b.link);
  insert(&a, 5000);
  pkd__wheel_remove(&wheel, &a.link);
  assert_true(pkd__wheel_next(&wheel) == PKD__WHEEL_NEVER);
}

/* Those without a deadline are in lists of their own, and leave the same way. */
static void a_link_of_another_list_leaves_the_wheel_alone(void** state) {
  static struct pkd__wheel before;
  static struct pkd__link lists[2 * PKD__WHEEL_SLOTS];
  struct entry entry;
  struct pkd__link link;

  (void)state;
  pkd__wheel_init(&wheel, 0);
  insert(&entry, 100);
  before = wheel;
  for (size_t i = 0; i < LENGTH(lists); i++) {
    pkd__list_init(&lists[i]);
    pkd__list_append(&lists[i], &link);
    pkd__wheel_remove(&wheel, &link);
    assert_true(pkd__list_empty(&lists[i]));
    assert_memory_equal(&wheel, &before, sizeof wheel);
  }
}

static void a_past_deadline_comes_at_once(void** state) {
  struct entry entry;

  (void)state;
  pkd__wheel_init(&wheel, 50);
  insert(&entry, 50);
  assert_true(pkd__wheel_next(&wheel) == 50);
  assert_ptr_equal(pkd__wheel_expire(&wheel, 50, deadline_of), &entry.link);
}

static void emptying_gathers_all_links(void** state) {
  struct entry entries[100];
  struct pkd__link list;
  int count = 0;

  (void)state;
  pkd__wheel_init(&wheel, 3);
  pkd__list_init(&list);
  for (uint64_t i = 0; i < 100; i++)
    insert(&entries[i], i * i * i);
  pkd__wheel_empty(&wheel, &list);
  for (struct pkd__link* l = list.next; l != &list; l = l->next)
    count++;
  assert_int_equal(count, 100);
  assert_true(pkd__wheel_next(&wheel) == PKD__WHEEL_NEVER);
}

/* Time moves in jumps; whatever is due comes, nothing else does. */
static void chance_finds_no_difference_to_a_list(void** state) {
  enum { MANY = 200 };
  static struct entry entries[MANY];
  rng_t rng = rng_stream(*(uint64_t*)*state, 0);
  uint64_t now = rng_below(&rng, 1 << 20);

  pkd__wheel_init(&wheel, now);
  for (int round = 0; round < 20000; round++) {
    struct entry* entry = &entries[rng_below(&rng, MANY)];
    struct pkd__link* link;

    if (entry->inside && rng_below(&rng, 2) == 0) {
      pkd__wheel_remove(&wheel, &entry->link);
      entry->inside = false;
    } else if (!entry->inside) {
      insert(entry, now + rng_below(&rng, UINT64_C(1) << rng_below(&rng, 24)));
    }
    if (rng_below(&rng, 4) != 0)
      continue;
    now += rng_below(&rng, UINT64_C(1) << rng_below(&rng, 20));
    while ((link = pkd__wheel_expire(&wheel, now, deadline_of)) != NULL) {
      assert_true(((struct entry*)link)->deadline <= now);
      ((struct entry*)link)->inside = false;
    }
    for (int i = 0; i < MANY; i++)
      assert_true(!entries[i].inside || entries[i].deadline > now);
  }
}

int main(int argc, char** argv) {
  uint64_t seed = rng_seed_of(argc, argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_wheel_has_no_next_time),
      cmocka_unit_test(time_does_not_go_back),
      cmocka_unit_test(a_link_comes_at_its_deadline_and_not_before),
      cmocka_unit_test(a_removed_link_does_not_come),
      cmocka_unit_test(a_link_of_another_list_leaves_the_wheel_alone),
      cmocka_unit_test(a_past_deadline_comes_at_once),
      cmocka_unit_test(emptying_gathers_all_links),
      cmocka_unit_test_prestate(chance_finds_no_difference_to_a_list, &seed),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
