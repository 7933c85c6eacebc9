/* SPDX-License-Identifier: MIT
 *
 * test_rwlock_phases.c - how many turns of the other side one waits for, once past
 * its due: one. Measured from outside: who is in looks at the queue and at the
 * clock, and counts who comes in.
 *
 * A lock finds out that somebody is past its due when it is given up, and then it
 * may rely for a quarter of a millisecond on a writer that is on its way. Hence
 * what is demanded: when one has stood at the head of the queue for longer than
 * that, past its due, and then somebody has let go, the turn is the other side's. */
#include "kit.h"

#include <parkade/mutex.h>
#include <parkade/rwlock.h>

enum { READERS = 3, WRITERS = 3, HOLD_US = 20, RUN_MS = 500 };
enum { READ = 0, WRITE = 3 }; /* the modes, as the lock's waiters have them */

#define TRUST (300 * MS / 1000)

/* What stands in the queue. */
struct line {
  const pkd_waiter_t* head; /* past its due; NULL: it is not, or nobody */
  uint64_t head_mode;
  unsigned readers;
  bool any;
};

static void note_waiter(void* arg, const void* key, pkd_waiter_t* waiter) {
  struct line* line = arg;
  uint32_t age = pkd_lot_due(pkd_now()) - waiter->due;

  (void)key;
  if (!line->any && waiter->due != 0 && age < UINT32_C(0xe0000000)) {
    line->head = waiter;
    line->head_mode = waiter->token & 7;
  }
  line->any = true;
  line->readers += (waiter->token & 7) == READ;
}

static struct line look(const pkd_rwlock_t* l) {
  struct line line = {0};

  pkd_lot_for_each(l, note_waiter, &line);
  return line;
}

struct play {
  pkd_rwlock_t l;
  unsigned stop;   /* atomic */
  unsigned reads;  /* atomic; turns of readers since the last writer */
  unsigned writes; /* atomic; turns of writers, in all */
  unsigned late;   /* who came though it was the other side's turn; atomic */
  unsigned overdue;
  /* under l, held for writing: the head, past its due, with readers in line */
  const pkd_waiter_t* head;
  pkd_deadline_t head_since;
  bool must; /* the last writer's unlock must have let readers in */
  /* under notes */
  pkd_mutex_t notes;
  pkd_deadline_t writer_since; /* a writer is at the head, past its due */
  pkd_deadline_t given_up;     /* a reader has left since, and it was time */
  unsigned since_writes;
};

static void stay_in(void) {
  pkd_deadline_t end = pkd_after(HOLD_US * 1000);

  while (pkd_now() < end) {
  }
}

/* --- writers, one after the other --------------------------------------------- */

static void write_once(struct play* p) {
  struct line line;
  bool readers_came;

  pkd_rwlock_wrlock(&p->l);
  count_up(&p->writes);
  readers_came = __atomic_exchange_n(&p->reads, 0, __ATOMIC_RELAXED) != 0;
  if (p->must && !readers_came)
    count_up(&p->late);
  stay_in();
  line = look(&p->l);
  if (line.head == NULL || line.readers == 0) {
    p->head = NULL;
  } else if (line.head != p->head || readers_came) {
    p->overdue++;
    p->head = line.head;
    p->head_since = pkd_now();
  }
  p->must = p->head != NULL && pkd_now() - p->head_since > TRUST;
  pkd_rwlock_wrunlock(&p->l);
}

/* --- readers beside each other ------------------------------------------------- */

static void came_in(struct play* p, pkd_deadline_t called, unsigned writes) {
  PKD_WITH_MUTEX(&p->notes) {
    if (p->given_up != 0 && called > p->given_up && p->since_writes == writes)
      count_up(&p->late);
  }
}

/* @return is it time that a writer came in? */
static bool note_line(struct play* p, unsigned writes) {
  struct line line = look(&p->l);
  pkd_deadline_t now = pkd_now();
  bool time = false;

  PKD_WITH_MUTEX(&p->notes) {
    if (line.head == NULL || line.head_mode != WRITE) {
      p->writer_since = p->given_up = 0;
    } else if (p->writer_since == 0 || p->since_writes != writes) {
      p->overdue++;
      p->writer_since = now;
      p->given_up = 0;
      p->since_writes = writes;
    }
    time = p->writer_since != 0 && now - p->writer_since > TRUST;
  }
  return time;
}

static void read_once(struct play* p) {
  pkd_deadline_t called = pkd_now();
  unsigned writes;
  bool time;

  pkd_rwlock_rdlock(&p->l);
  writes = count_of(&p->writes);
  __atomic_fetch_add(&p->reads, 1, __ATOMIC_RELAXED);
  came_in(p, called, writes);
  stay_in();
  time = note_line(p, writes);
  pkd_rwlock_rdunlock(&p->l);
  if (!time)
    return;
  PKD_WITH_MUTEX(&p->notes) {
    if (p->writer_since != 0 && p->since_writes == writes && p->given_up == 0)
      p->given_up = pkd_now();
  }
}

/* --- the plays ----------------------------------------------------------------- */

static void mix(void* arg, unsigned number) {
  struct play* p = arg;

  if (number == 0) {
    for (unsigned i = 0; i < RUN_MS; i++)
      pause_us(1000);
    count_up(&p->stop);
  }
  while (count_of(&p->stop) == 0) {
    if (number <= WRITERS)
      write_once(p);
    else
      read_once(p);
  }
}

static void past_its_due_one_waits_for_one_turn_of_the_others(void** state) {
  struct play p = {.late = 0};

  (void)state;
  team_run(1 + WRITERS + READERS, mix, &p);
  print_message("%u writers; %u times one was past its due\n", p.writes,
                p.overdue);
  assert_int_equal(p.late, 0);
  assert_int_equal(p.l.word, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(past_its_due_one_waits_for_one_turn_of_the_others),
  };
  return cmocka_run_group_tests_name("rwlock phases", tests, NULL, NULL);
}
