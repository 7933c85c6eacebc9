/* SPDX-License-Identifier: MIT
 *
 * scenario_rwlock.c - pkd_rwlock_t under exploration.
 *
 * The plain value is what the lock guards: the race detector proves who excludes
 * whom and that the orders are enough, also of an upgrade and a downgrade; the
 * sum proves that no write was lost, the end that the word is free again and
 * nobody is left in the queue. A waiter whom nobody would wake is a deadlock. */
#include "scenario.h"

#include <parkade/rwlock.h>
#include <parkade/sem.h>

#include <errno.h>

typedef struct shared {
  pkd_rwlock_t l;
  int value;  /* under l */
  int writes; /* under l */
  int done[4];
  pkd_sem_t has_read;
} shared_t;

static shared_t* s;
static int seen;

static void look(void) {
  seen = s->value;
}

static void change(void) {
  s->value++;
  s->done[explore_self() - 1]++;
}

/* --- what a thread does ---------------------------------------------------- */

static void reads(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_rdlock(&s->l);
  value = s->value;
  pkd_rwlock_rdunlock(&s->l);
  explore_assert(value >= 0);
}

static void reads_fair(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_rdlock(&s->l);
  value = s->value;
  pkd_rwlock_rdunlock_fair(&s->l);
  explore_assert(value >= 0);
}

static void reads_again(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_rdlock(&s->l);
  value = s->value;
  pkd_rwlock_rdlock_recursive(&s->l);
  explore_assert(value == s->value);
  pkd_rwlock_rdunlock(&s->l);
  pkd_rwlock_rdunlock(&s->l);
}

static void reads_or_leaves(void* arg) {
  int rc = pkd_rwlock_rdlock_until(&s->l, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == -ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  explore_assert(s->value >= 0);
  pkd_rwlock_rdunlock(&s->l);
}

static void writes(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&s->l);
  change();
  pkd_rwlock_wrunlock(&s->l);
}

static void writes_twice(void* arg) {
  writes(arg);
  writes(arg);
}

static void writes_then_reads_alone(void* arg) {
  writes(arg);
  reads(arg);
}

static void writes_fair(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&s->l);
  change();
  pkd_rwlock_wrunlock_fair(&s->l);
}

static void writes_or_leaves(void* arg) {
  int rc = pkd_rwlock_wrlock_until(&s->l, SOON);

  (void)arg;
  explore_assert(rc == 0 || rc == -ETIMEDOUT);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc != 0)
    return;
  change();
  pkd_rwlock_wrunlock(&s->l);
}

static void tries_to_write(void* arg) {
  (void)arg;
  if (pkd_rwlock_trywrlock(&s->l) != 0)
    return;
  change();
  pkd_rwlock_wrunlock(&s->l);
}

static void writes_then_reads(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_wrlock(&s->l);
  change();
  value = s->value;
  pkd_rwlock_downgrade(&s->l);
  explore_assert(s->value == value);
  pkd_rwlock_rdunlock(&s->l);
}

static void writes_then_upgradable(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_wrlock(&s->l);
  change();
  value = s->value;
  pkd_rwlock_downgrade_to_up(&s->l);
  explore_assert(s->value == value);
  pkd_rwlock_upunlock(&s->l);
}

static void upgradable(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_uplock(&s->l);
  value = s->value;
  explore_assert(value == s->value);
  pkd_rwlock_upunlock(&s->l);
}

/* What upgradable holders keep from each other, though readers are there. */
static void changes_under_up(void* arg) {
  (void)arg;
  pkd_rwlock_uplock(&s->l);
  change();
  pkd_rwlock_upunlock(&s->l);
}

static void changes_under_up_fair(void* arg) {
  (void)arg;
  pkd_rwlock_uplock(&s->l);
  change();
  pkd_rwlock_upunlock_fair(&s->l);
}

static void passes_up_on(void* arg) {
  (void)arg;
  pkd_rwlock_uplock(&s->l);
  change();
  pkd_rwlock_updowngrade(&s->l);
  pkd_rwlock_rdunlock(&s->l);
}

/* In vain, with a reader that stays. */
static void gives_up_writing(void* arg) {
  (void)arg;
  explore_assert(pkd_rwlock_wrlock_until(&s->l, SOON) == -ETIMEDOUT);
}

static void upgrades(void* arg) {
  int value;

  (void)arg;
  pkd_rwlock_uplock(&s->l);
  value = s->value;
  pkd_rwlock_upgrade(&s->l);
  explore_assert(value == s->value); /* nobody came between */
  change();
  pkd_rwlock_wrunlock(&s->l);
}

static void upgrades_or_leaves(void* arg) {
  int rc;

  (void)arg;
  pkd_rwlock_uplock(&s->l);
  rc = pkd_rwlock_upgrade_until(&s->l, SOON);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0) {
    change();
    pkd_rwlock_wrunlock(&s->l);
  } else {
    pkd_rwlock_updowngrade(&s->l);
    pkd_rwlock_rdunlock(&s->l);
  }
}

static void reader_upgrades(void* arg) {
  int value;
  int rc;

  (void)arg;
  pkd_rwlock_rdlock(&s->l);
  value = s->value;
  rc = pkd_rwlock_rdupgrade(&s->l);
  explore_assert(value == s->value);
  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0) {
    change();
    pkd_rwlock_wrunlock(&s->l);
  } else {
    explore_assert(rc == -EDEADLK);
    pkd_rwlock_rdunlock(&s->l);
  }
}

/* --- who meets whom -------------------------------------------------------- */

typedef void (*role_t)(void* arg);

static const role_t plans[][4] = {
    {reads, writes},
    {reads, reads, writes},
    {reads, writes, writes},
    {reads_fair, writes_fair, reads},
    {reads_again, writes, reads},
    {reads_or_leaves, writes, reads},
    {writes_or_leaves, reads, reads},
    {writes_or_leaves, writes, reads},
    {writes_then_reads, reads, writes},
    {writes_then_upgradable, reads, writes},
    {upgrades, reads, writes},
    {upgrades, upgrades, reads},
    {upgrades, upgradable, writes},
    {upgrades_or_leaves, reads, reads},
    {upgrades_or_leaves, reads, writes},
    {reader_upgrades, reader_upgrades, reads},
    {tries_to_write, reads, writes},
    {writes_or_leaves, reads_or_leaves, reads, writes},
    {writes_twice, writes, writes},
    {writes_then_reads_alone, writes, writes_or_leaves},
    {writes_twice, writes, upgrades},
    {upgrades, reads_again, reads},
    {upgrades, reads_again, writes},
    {upgrades_or_leaves, reads_again, reads_again},
    {passes_up_on, passes_up_on, changes_under_up},
};

static void meet(int plan, uint32_t policy) {
  int done = 0;

  s = explore_need(sizeof *s);
  s->l.policy = policy;
  explore_name(&s->l, sizeof s->l, "rwlock");
  explore_name(&s->value, sizeof s->value, "value");
  for (int i = 0; i < 4 && plans[plan][i] != NULL; i++)
    explore_spawn(plans[plan][i], NULL);
  explore_join();
  look();
  for (int i = 0; i < 4; i++)
    done += s->done[i];
  explore_assert(seen == done);
  explore_assert(s->l.word == 0);
  scenario_nobody_at(&s->l);
}

static void by_phases(int plan) {
  meet(plan, PKD_RWLOCK_PHASES);
}

static void readers_first(int plan) {
  meet(plan, PKD_RWLOCK_PREFER_READERS);
}

static void writers_first(int plan) {
  meet(plan, PKD_RWLOCK_PREFER_WRITERS);
}

/* The writer frees the lock as soon as it has it: the reader whose unlock let it
 * in, and perhaps looks into the queue by address, must not touch it. */
static void reads_briefly(void* arg) {
  pkd_rwlock_t* l = arg;

  pkd_rwlock_rdlock(l);
  s->done[0] = 1;
  pkd_rwlock_rdunlock(l);
}

static void frees_when_written(void* arg) {
  pkd_rwlock_t* l = arg;
  int done;

  pkd_rwlock_wrlock(l);
  done = s->done[0];
  pkd_rwlock_wrunlock(l);
  if (done)
    explore_free(l);
}

static void is_upgradable_briefly(void* arg) {
  pkd_rwlock_t* l = arg;

  pkd_rwlock_uplock(l);
  s->done[0] = 1;
  pkd_rwlock_upunlock(l);
}

/* A writer that was late once is queued while the other leaves, who looks into the
 * queue for it, and needs nobody to get the lock afterwards. */
static void frees_when_late(void* arg) {
  pkd_rwlock_t* l = arg;
  int rc = pkd_rwlock_wrlock_until(l, SOON);

  explore_outcome(rc == 0 ? 0 : 1);
  if (rc == 0)
    pkd_rwlock_wrunlock(l);
  frees_when_written(l);
}

static void freed(void (*leaves)(void* arg), void (*frees)(void* arg)) {
  pkd_rwlock_t* l = explore_need(sizeof *l);

  s = explore_need(sizeof *s);
  explore_name(l, sizeof *l, "rwlock");
  explore_spawn(leaves, l);
  explore_spawn(frees, l);
  explore_join();
  scenario_nobody_at(l);
}

static void freed_by_the_writer(int arg) {
  (void)arg;
  freed(reads_briefly, frees_when_written);
}

static void freed_by_a_late_writer(int upgradable_left) {
  freed(upgradable_left ? is_upgradable_briefly : reads_briefly,
        frees_when_late);
}

/* A read that may enter is not put to sleep: this writer keeps a share, which lets
 * a recursive read pass any writer, until such a read has been. */
static void writes_then_waits_for_a_read(void* arg) {
  (void)arg;
  pkd_rwlock_wrlock(&s->l);
  change();
  pkd_rwlock_downgrade(&s->l);
  pkd_sem_acquire(&s->has_read, 1);
  pkd_rwlock_rdunlock(&s->l);
}

static void reads_recursively_and_tells(void* arg) {
  (void)arg;
  pkd_rwlock_rdlock_recursive(&s->l);
  explore_assert(s->value >= 0);
  pkd_rwlock_rdunlock(&s->l);
  pkd_sem_release(&s->has_read, 1);
}

static void recursive_is_awaited(int arg) {
  (void)arg;
  s = explore_need(sizeof *s);
  explore_name(&s->l, sizeof s->l, "rwlock");
  explore_spawn(writes_then_waits_for_a_read, NULL);
  explore_spawn(reads_recursively_and_tells, NULL);
  explore_spawn(writes, NULL);
  explore_join();
  explore_assert(s->value == 2);
  scenario_nobody_at(&s->l);
}

/* The same of a plain read beside an upgradable holder, though both waited for a
 * writer to leave, the one before the other. No writer comes later: the read would
 * have to wait for that one. */
static void ends_writing(void* arg) {
  (void)arg;
  pkd_rwlock_wrunlock(&s->l);
}

static void is_upgradable_until_a_read(void* arg) {
  (void)arg;
  pkd_rwlock_uplock(&s->l);
  pkd_sem_acquire(&s->has_read, 1);
  pkd_rwlock_upunlock(&s->l);
}

static void reads_and_tells(void* arg) {
  reads(arg);
  pkd_sem_release(&s->has_read, 1);
}

static void read_is_awaited(int others) {
  s = explore_need(sizeof *s);
  explore_name(&s->l, sizeof s->l, "rwlock");
  pkd_rwlock_wrlock(&s->l);
  explore_spawn(ends_writing, NULL);
  explore_spawn(is_upgradable_until_a_read, NULL);
  explore_spawn(reads_and_tells, NULL);
  if (others)
    explore_spawn(upgradable, NULL);
  explore_join();
  explore_assert(s->l.word == 0);
  scenario_nobody_at(&s->l);
}

/* And of one who would be upgradable beside a reader. */
static void reads_until_an_upgradable(void* arg) {
  (void)arg;
  pkd_rwlock_rdlock(&s->l);
  pkd_sem_acquire(&s->has_read, 1);
  pkd_rwlock_rdunlock(&s->l);
}

static void is_upgradable_and_tells(void* arg) {
  (void)arg;
  pkd_rwlock_uplock(&s->l);
  pkd_rwlock_upunlock(&s->l);
  pkd_sem_release(&s->has_read, 1);
}

static void up_is_awaited(int unused) {
  (void)unused;
  s = explore_need(sizeof *s);
  explore_name(&s->l, sizeof s->l, "rwlock");
  pkd_rwlock_wrlock(&s->l);
  explore_spawn(ends_writing, NULL);
  explore_spawn(reads_until_an_upgradable, NULL);
  explore_spawn(is_upgradable_and_tells, NULL);
  explore_join();
  explore_assert(s->l.word == 0);
  scenario_nobody_at(&s->l);
}

/* Upgradable holders one after the other, while somebody reads all the time: the
 * one who leaves gives up its share and wakes the next, or looks for one and finds
 * only a writer, who must not come in yet. */
static void up_beside_a_reader(int writer) {
  int changed = 0;

  s = explore_need(sizeof *s);
  explore_name(&s->l, sizeof s->l, "rwlock");
  pkd_rwlock_rdlock(&s->l);
  explore_spawn(writer ? changes_under_up_fair : changes_under_up, NULL);
  explore_spawn(writer ? gives_up_writing : changes_under_up, NULL);
  explore_spawn(changes_under_up, NULL);
  explore_join();
  for (int i = 0; i < 3; i++)
    changed += s->done[i];
  explore_assert(s->value == changed);
  pkd_rwlock_rdunlock(&s->l);
  scenario_nobody_at(&s->l);
}

const explore_scenario_t explore_rwlock[] = {
    {"rwlock/read-write", by_phases, 0, OK, 0, {.preemptions = 5, .stale = 1}},
    {"rwlock/two-readers", by_phases, 1, OK, 0, {.preemptions = 3}},
    {"rwlock/two-readers-due",
     by_phases,
     1,
     OK,
     0,
     {.preemptions = 2, .jumps = 2}},
    {"rwlock/two-writers", by_phases, 2, OK, 0, {.preemptions = 3}},
    {"rwlock/two-writers-due",
     by_phases,
     2,
     OK,
     0,
     {.preemptions = 2, .jumps = 2}},
    {"rwlock/three-up-beside-a-reader", up_beside_a_reader, 0, OK, 0, WIDE},
    {"rwlock/three-up-beside-a-reader-due",
     up_beside_a_reader,
     0,
     OK,
     0,
     {.preemptions = 2, .jumps = 2}},
    {"rwlock/fair-up-beside-a-reader", up_beside_a_reader, 1, OK, 0,
     LATE_NARROW},
    {"rwlock/stale", by_phases, 1, OK, 0, WIDE},
    {"rwlock/fair", by_phases, 3, OK, 0, NARROW},
    {"rwlock/recursive", by_phases, 4, OK, 0, NARROW},
    {"rwlock/reader-leaves", by_phases, 5, OK, 3, LATE_NARROW},
    {"rwlock/writer-leaves", by_phases, 6, OK, 3, LATE_NARROW},
    {"rwlock/one-writer-leaves", by_phases, 7, OK, 3, LATE_NARROW},
    {"rwlock/downgrade", by_phases, 8, OK, 0, NARROW},
    {"rwlock/downgrade-to-up", by_phases, 9, OK, 0, NARROW},
    {"rwlock/upgrade", by_phases, 10, OK, 0, NARROW},
    {"rwlock/two-upgrades", by_phases, 11, OK, 0, NARROW},
    {"rwlock/up-passed-on", by_phases, 24, OK, 0, NARROW},
    {"rwlock/upgradable-waits", by_phases, 12, OK, 0, NARROW},
    {"rwlock/upgrader-leaves", by_phases, 13, OK, 3, LATE_NARROW},
    {"rwlock/upgrader-leaves-a-writer", by_phases, 14, OK, 3, LATE_NARROW},
    {"rwlock/two-readers-upgrade", by_phases, 15, OK, 3, NARROW},
    {"rwlock/try-write", by_phases, 16, OK, 0, NARROW},
    {"rwlock/four", by_phases, 17, OK, 3, {.preemptions = 1, .timeouts = 1}},
    {"rwlock/doubt", by_phases, 18, OK, 0, {.preemptions = 2, .doubts = 2}},
    {"rwlock/doubt-due",
     by_phases,
     18,
     OK,
     0,
     {.preemptions = 2, .jumps = 1, .doubts = 1}},
    {"rwlock/doubt-reader",
     by_phases,
     19,
     OK,
     3,
     {.preemptions = 2, .timeouts = 1, .doubts = 1}},
    {"rwlock/doubt-upgrade",
     by_phases,
     20,
     OK,
     0,
     {.preemptions = 2, .doubts = 1}},
    {"rwlock/recursive-meets-upgrade", by_phases, 21, OK, 0, NARROW},
    {"rwlock/recursive-meets-upgrade-and-writer", by_phases, 22, OK, 0, NARROW},
    {"rwlock/recursive-meets-upgrade-due",
     by_phases,
     22,
     OK,
     0,
     {.preemptions = 1, .jumps = 2}},
    {"rwlock/recursive-meets-upgrader-who-leaves", by_phases, 23, OK, 3,
     LATE_NARROW},
    {"rwlock/prefer-readers-recursive-upgrade", readers_first, 22, OK, 0,
     NARROW},
    {"rwlock/spurious", by_phases, 2, OK, 0, {.preemptions = 1, .spurious = 1}},
    {"rwlock/prefer-readers", readers_first, 2, OK, 0, NARROW},
    {"rwlock/prefer-readers-leaves",
     readers_first,
     7,
     OK,
     3,
     {.preemptions = 1, .timeouts = 1}},
    {"rwlock/prefer-writers", writers_first, 2, OK, 0, NARROW},
    {"rwlock/prefer-writers-leaves",
     writers_first,
     7,
     OK,
     3,
     {.preemptions = 1, .timeouts = 1}},
    {"rwlock/prefer-writers-upgrade", writers_first, 10, OK, 0, NARROW},
    {"rwlock/freed-by-the-writer",
     freed_by_the_writer,
     0,
     OK,
     0,
     {.preemptions = 5, .stale = 1}},
    {"rwlock/freed-by-the-writer-due",
     freed_by_the_writer,
     0,
     OK,
     0,
     {.preemptions = 3, .jumps = 2}},
    {"rwlock/freed-by-a-late-writer",
     freed_by_a_late_writer,
     0,
     OK,
     3,
     {.preemptions = 3, .timeouts = 1, .stale = 1}},
    {"rwlock/freed-by-a-late-writer-after-up",
     freed_by_a_late_writer,
     1,
     OK,
     3,
     {.preemptions = 3, .timeouts = 1, .stale = 1}},
    {"rwlock/recursive-is-awaited", recursive_is_awaited, 0, OK, 0, NARROW},
    {"rwlock/read-is-awaited", read_is_awaited, 0, OK, 0, NARROW},
    {"rwlock/up-is-awaited", up_is_awaited, 0, OK, 0, NARROW},
    {"rwlock/read-is-awaited-by-two",
     read_is_awaited,
     1,
     OK,
     0,
     {.preemptions = 1}},
    {NULL, NULL, 0, OK, 0, {0}}};
