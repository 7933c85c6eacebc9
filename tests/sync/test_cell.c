/* SPDX-License-Identifier: MIT
 *
 * test_cell.c - PKD_CELL: whole values only, of any size, and nothing written by
 * those who only read. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "kit.h"

#include <parkade/cell.h>

#include <sys/mman.h>

/* --- every size -------------------------------------------------------------- */

/* Each run of the formatter would move one more X to a line of its own. */
/* clang-format off */
#define SIZES(X)                                                               \
  X(1) X(2) X(3) X(4) X(5) X(7) X(8) X(9) X(12) X(13) X(16) X(24) X(40) X(63)  \
  X(64) X(65) X(128) X(200)
/* clang-format on */

#define ONE_SIZE(n)                                                            \
  static void check_##n(void) {                                                \
    struct bytes {                                                             \
      unsigned char at[n];                                                     \
    } a, b, out;                                                               \
    PKD_CELL(struct bytes) cell;                                               \
                                                                               \
    assert_true(sizeof cell <= sizeof a + 8);                                  \
    memset(&cell, 0, sizeof cell);                                             \
    memset(&b, 0, sizeof b);                                                   \
    pkd_cell_load(&cell, &out);                                                \
    assert_memory_equal(&out, &b, n);                                          \
    for (int i = 0; i < n; i++)                                                \
      a.at[i] = (unsigned char)(i + 1);                                        \
    pkd_cell_store(&cell, &a);                                                 \
    pkd_cell_load(&cell, &out);                                                \
    assert_memory_equal(&out, &a, n);                                          \
    b.at[(n)-1] = 99;                                                          \
    pkd_cell_swap(&cell, &b, &out);                                            \
    assert_memory_equal(&out, &a, n);                                          \
    out = b;                                                                   \
    out.at[(n)-1] = 98; /* wrong in the last byte only */                      \
    assert_int_equal(pkd_cell_cas(&cell, &out, &a), 0);                        \
    assert_memory_equal(&out, &b, n);                                          \
    assert_int_equal(pkd_cell_cas(&cell, &out, &a), 1);                        \
    assert_memory_equal(&out, &b, n);                                          \
    pkd_cell_swap(&cell, &out, &out);                                          \
    assert_memory_equal(&out, &a, n);                                          \
    pkd_cell_load(&cell, &out);                                                \
    assert_memory_equal(&out, &b, n);                                          \
  }
SIZES(ONE_SIZE)

static void values_of_every_size_are_kept_whole(void** state) {
  (void)state;
#define CALL(n) check_##n();
  SIZES(CALL)
}

/* --- many threads ------------------------------------------------------------ */

struct five {
  uint64_t a, b, c, d, sum; /* sum = a + b + c + d */
};

typedef PKD_CELL(struct five) five_cell_t;

struct play {
  five_cell_t cell;
  unsigned torn, readers_left;
  uint64_t swapped_in[4], swapped_out[4];
};

static struct five five_of(uint64_t n) {
  struct five v = {n, n * 3, n ^ 0xffff, n << 7, 0};

  v.sum = v.a + v.b + v.c + v.d;
  return v;
}

static void read_or_write(void* arg, unsigned number) {
  struct play* p = arg;
  struct five v;

  if (number < 2) {
    for (unsigned i = 0; i < ROUNDS(200000); i++) {
      pkd_cell_load(&p->cell, &v);
      if (v.sum != v.a + v.b + v.c + v.d)
        count_up(&p->torn);
    }
    __atomic_sub_fetch(&p->readers_left, 1, __ATOMIC_ACQ_REL);
    return;
  }
  for (uint64_t n = number; count_of(&p->readers_left) != 0; n += 7) {
    v = five_of(n);
    pkd_cell_store(&p->cell, &v);
  }
}

static void readers_never_see_half_a_value(void** state) {
  struct play p = {.readers_left = 2};

  (void)state;
  team_run(4, read_or_write, &p);
  assert_int_equal(p.torn, 0);
}

static void swap_many(void* arg, unsigned number) {
  struct play* p = arg;

  for (unsigned i = 0; i < ROUNDS(50000); i++) {
    struct five in = five_of(i * 4 + number), out;

    pkd_cell_swap(&p->cell, &in, &out);
    p->swapped_in[number] += in.sum;
    p->swapped_out[number] += out.sum;
  }
}

static void swaps_lose_and_double_nothing(void** state) {
  struct play p = {.torn = 0};
  uint64_t in = 0, out = 0;
  struct five last;

  (void)state;
  team_run(4, swap_many, &p);
  for (int i = 0; i < 4; i++) {
    in += p.swapped_in[i];
    out += p.swapped_out[i];
  }
  pkd_cell_load(&p.cell, &last);
  assert_true(in == out + last.sum);
}

static void add_by_cas(void* arg, unsigned number) {
  struct play* p = arg;

  (void)number;
  for (unsigned i = 0; i < ROUNDS(20000); i++) {
    struct five seen, next;

    pkd_cell_load(&p->cell, &seen);
    do {
      next = seen;
      next.a++;
      next.sum += 2;
    } while (!pkd_cell_cas(&p->cell, &seen, &next));
  }
}

static void compare_exchange_counts_exactly(void** state) {
  struct play p = {.torn = 0};
  struct five v;

  (void)state;
  team_run(4, add_by_cas, &p);
  pkd_cell_load(&p.cell, &v);
  assert_true(v.a == 4u * ROUNDS(20000));
  assert_true(v.sum == 8u * ROUNDS(20000));
  assert_int_equal(p.cell.pkd__word[0] & 3, 0); /* quiet, no queue */
}

struct pair {
  uint16_t x, y; /* y = ~x */
};

typedef PKD_CELL(struct pair) pair_cell_t;

struct small_play {
  pair_cell_t cell;
  unsigned torn, readers_left;
};

static void read_or_write_small(void* arg, unsigned number) {
  struct small_play* p = arg;
  struct pair v;

  if (number == 0) {
    for (unsigned i = 0; i < ROUNDS(200000); i++) {
      pkd_cell_load(&p->cell, &v);
      if ((v.x ^ v.y) != 0xffff)
        count_up(&p->torn);
    }
    __atomic_sub_fetch(&p->readers_left, 1, __ATOMIC_ACQ_REL);
    return;
  }
  for (uint16_t n = 0; count_of(&p->readers_left) != 0; n++) {
    v.x = n;
    v.y = (uint16_t)~n;
    pkd_cell_store(&p->cell, &v);
  }
}

static void small_values_are_one_atomic_word(void** state) {
  struct small_play p = {.readers_left = 1};
  struct pair first = {0, 0xffff};

  (void)state;
  assert_int_equal(sizeof p.cell, sizeof(uintptr_t));
  pkd_cell_store(&p.cell, &first);
  team_run(2, read_or_write_small, &p);
  assert_int_equal(p.torn, 0);
}

/* --- readers write nothing ---------------------------------------------------- */

static void loads_work_in_memory_that_cannot_be_written(void** state) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  five_cell_t* cell = mmap(NULL, page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct five in = five_of(11), out;

  (void)state;
  assert_true(cell != MAP_FAILED);
  pkd_cell_store(cell, &in);
  assert_int_equal(mprotect(cell, page, PROT_READ), 0);
  for (int i = 0; i < 1000; i++)
    pkd_cell_load(cell, &out); /* a write would be a SIGSEGV */
  assert_memory_equal(&in, &out, sizeof in);
  munmap(cell, page);
}

/* What a store publishes beside the value: the cell orders it. */
struct mail {
  PKD_CELL(struct five) letter;
  int enclosed; /* plain */
  int received;
};

static void send_or_receive(void* arg, unsigned number) {
  struct mail* m = arg;
  struct five v = five_of(5);

  if (number == 0) {
    m->enclosed = 17;
    pkd_cell_store(&m->letter, &v);
    return;
  }
  do {
    pkd_cell_load(&m->letter, &v);
  } while (v.sum == 0);
  m->received = m->enclosed;
}

static void a_load_sees_what_came_before_the_store(void** state) {
  (void)state;
  for (int i = 0; i < ROUNDS(300); i++) {
    struct mail m;

    memset(&m, 0, sizeof m);
    team_run(2, send_or_receive, &m);
    assert_int_equal(m.received, 17);
  }
}

/* A store that waits for a writer that is stopped sleeps; the end of the change
 * wakes it. The stopped writer is played by hand: bit 0 of the counter. */
static void store_one(void* arg, unsigned number) {
  five_cell_t* cell = arg;
  struct five v = five_of(number + 1);

  if (number % 2 == 0)
    pkd_cell_store(cell, &v);
  else
    pkd_cell_load(cell, &v);
}

static pkd_unpark_op_t wake_all(void* arg, pkd_waiter_t* waiter) {
  (void)arg;
  (void)waiter;
  return PKD_UNPARK_WAKE;
}

static uint64_t end_the_change(void* arg, const pkd_unpark_result_t* result) {
  five_cell_t* cell = arg;

  (void)result;
  __atomic_store_n(&cell->pkd__word[0], 4, __ATOMIC_RELEASE);
  return 0;
}

static void whoever_waits_for_a_change_is_woken_at_its_end(void** state) {
  five_cell_t cell;
  struct five zero, want;
  struct crew crew;

  (void)state;
  memset(&cell, 0, sizeof cell);
  memset(&zero, 0, sizeof zero);
  memset(&want, 0, sizeof want);
  __atomic_store_n(&cell.pkd__word[0], 1, __ATOMIC_RELEASE);
  crew_start(&crew, 6, store_one, &cell);
  WAIT_FOR(waiting_at(&cell) == 6);
  assert_int_equal(cell.pkd__word[0], 3);
  pkd_lot_unpark_filter(&cell, wake_all, end_the_change, &cell);
  crew_join(&crew);
  assert_int_equal(cell.pkd__word[0] & 3, 0);
  pkd_cell_load(&cell, &want);
  assert_true(want.sum != zero.sum);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_of_every_size_are_kept_whole),
      cmocka_unit_test(readers_never_see_half_a_value),
      cmocka_unit_test(swaps_lose_and_double_nothing),
      cmocka_unit_test(compare_exchange_counts_exactly),
      cmocka_unit_test(small_values_are_one_atomic_word),
      cmocka_unit_test(loads_work_in_memory_that_cannot_be_written),
      cmocka_unit_test(a_load_sees_what_came_before_the_store),
      cmocka_unit_test(whoever_waits_for_a_change_is_woken_at_its_end),
  };
  return cmocka_run_group_tests_name("cell", tests, NULL, NULL);
}
