/* SPDX-License-Identifier: MIT
 *
 * litmus.c - the explorer's own examination: small programs whose outcomes
 * under the C11 model are known from the literature.
 *
 * Each marks the outcomes it sees as a set of bits and expects exactly the
 * allowed set; forbidden ones must not appear, allowed ones must. Two are
 * known limits of the method and stand here so that nobody believes otherwise:
 * load buffering and 2+2W are allowed by C11 and not explored.
 *
 * The only file besides src/atomic.h that spells memory orders: they are its
 * subject. */
#include "explore.h"

#define RELAXED __ATOMIC_RELAXED
#define ACQUIRE __ATOMIC_ACQUIRE
#define RELEASE __ATOMIC_RELEASE
#define SEQ_CST __ATOMIC_SEQ_CST

#define LOAD(p, order) __atomic_load_n((p), (order))
#define STORE(p, v, order) __atomic_store_n((p), (v), (order))

/* Which orders a test uses. */
enum { WEAK, RELEASE_ACQUIRE, SEQUENTIAL, FENCED };

static uint32_t x;
static uint32_t y;
static uint32_t announced;
static uint32_t gate;
static uint32_t r[4];
static int data;
static int orders;

static uint32_t load(uint32_t* at) {
  switch (orders) {
  case SEQUENTIAL:
    return LOAD(at, SEQ_CST);
  case RELEASE_ACQUIRE:
    return LOAD(at, ACQUIRE);
  default:
    return LOAD(at, RELAXED);
  }
}

static void store(uint32_t* at, uint32_t value) {
  switch (orders) {
  case SEQUENTIAL:
    STORE(at, value, SEQ_CST);
    break;
  case RELEASE_ACQUIRE:
    STORE(at, value, RELEASE);
    break;
  default:
    STORE(at, value, RELAXED);
  }
}

static void full_fence(void) {
  if (orders == FENCED)
    __atomic_thread_fence(SEQ_CST);
}

/* Store buffering: both may miss the other's store. */
static void sb_left(void* arg) {
  (void)arg;
  store(&x, 1);
  full_fence();
  r[0] = load(&y);
}

static void sb_right(void* arg) {
  (void)arg;
  store(&y, 1);
  full_fence();
  r[1] = load(&x);
}

static void store_buffering(int with) {
  orders = with;
  explore_spawn(sb_left, NULL);
  explore_spawn(sb_right, NULL);
  explore_join();
  explore_outcome((int)(r[0] * 2 + r[1]));
}

/* Message passing: y says that x is ready. */
static void mp_send(void* arg) {
  (void)arg;
  STORE(&x, 1, RELAXED);
  if (orders == FENCED)
    __atomic_thread_fence(RELEASE);
  store(&y, 1);
}

static void mp_receive(void* arg) {
  (void)arg;
  r[0] = load(&y);
  if (orders == FENCED)
    __atomic_thread_fence(ACQUIRE);
  r[1] = LOAD(&x, RELAXED);
}

static void message_passing(int with) {
  orders = with;
  explore_spawn(mp_send, NULL);
  explore_spawn(mp_receive, NULL);
  explore_join();
  explore_outcome((int)(r[0] * 2 + r[1]));
}

/* Coherence: two reads of one location never go back. */
static void co_write(void* arg) {
  (void)arg;
  STORE(&x, 1, RELAXED);
  STORE(&x, 2, RELAXED);
}

static void co_read(void* arg) {
  (void)arg;
  r[0] = LOAD(&x, RELAXED);
  r[1] = LOAD(&x, RELAXED);
}

static void coherence(int with) {
  (void)with;
  explore_spawn(co_write, NULL);
  explore_spawn(co_read, NULL);
  explore_join();
  explore_outcome((int)(r[0] * 3 + r[1]));
}

/* Two writers, two readers: do the readers agree on the order? */
static void iriw_write_x(void* arg) {
  (void)arg;
  store(&x, 1);
}

static void iriw_write_y(void* arg) {
  (void)arg;
  store(&y, 1);
}

static void iriw_read_xy(void* arg) {
  (void)arg;
  r[0] = load(&x);
  r[1] = load(&y);
}

static void iriw_read_yx(void* arg) {
  (void)arg;
  r[2] = load(&y);
  r[3] = load(&x);
}

static void iriw(int with) {
  orders = with;
  explore_spawn(iriw_write_x, NULL);
  explore_spawn(iriw_write_y, NULL);
  explore_spawn(iriw_read_xy, NULL);
  explore_spawn(iriw_read_yx, NULL);
  explore_join();
  explore_outcome((int)(r[0] * 8 + r[1] * 4 + r[2] * 2 + r[3]));
}

/* Load buffering: each reads the other's later store. Not explored. */
static void lb_left(void* arg) {
  (void)arg;
  r[0] = LOAD(&y, RELAXED);
  STORE(&x, 1, RELAXED);
}

static void lb_right(void* arg) {
  (void)arg;
  r[1] = LOAD(&x, RELAXED);
  STORE(&y, 1, RELAXED);
}

static void load_buffering(int with) {
  (void)with;
  explore_spawn(lb_left, NULL);
  explore_spawn(lb_right, NULL);
  explore_join();
  explore_outcome((int)(r[0] * 2 + r[1]));
}

/* 2+2W: both first stores win. Not explored. */
static void ww_left(void* arg) {
  (void)arg;
  STORE(&x, 1, RELAXED);
  STORE(&y, 2, RELAXED);
}

static void ww_right(void* arg) {
  (void)arg;
  STORE(&y, 1, RELAXED);
  STORE(&x, 2, RELAXED);
}

static void two_plus_two_writes(int with) {
  (void)with;
  explore_spawn(ww_left, NULL);
  explore_spawn(ww_right, NULL);
  explore_join();
  explore_outcome(LOAD(&x, RELAXED) == 1 && LOAD(&y, RELAXED) == 1);
}

/* A relaxed read-modify-write carries a release on. */
static void rs_publish(void* arg) {
  (void)arg;
  data = 1;
  STORE(&x, 1, RELEASE);
}

static void rs_count(void* arg) {
  (void)arg;
  __atomic_fetch_add(&x, 1, RELAXED);
}

static void rs_consume(void* arg) {
  (void)arg;
  if (LOAD(&x, ACQUIRE) == 2)
    r[0] = (uint32_t)data;
}

static void release_sequence(int with) {
  (void)with;
  explore_spawn(rs_publish, NULL);
  explore_spawn(rs_count, NULL);
  explore_spawn(rs_consume, NULL);
  explore_join();
}

/* What is done after a release is not released by it. */
static void late_publish(void* arg) {
  (void)arg;
  STORE(&x, 1, RELEASE);
  data = 1;
}

static void late_consume(void* arg) {
  (void)arg;
  if (LOAD(&x, ACQUIRE) == 1)
    r[0] = (uint32_t)data;
}

static void late_release(int with) {
  (void)with;
  explore_spawn(late_publish, NULL);
  explore_spawn(late_consume, NULL);
  explore_join();
}

/* A compare-and-swap that fails may have read an old value. */
static void cas_send(void* arg) {
  (void)arg;
  STORE(&x, 1, RELAXED);
  STORE(&y, 1, RELEASE);
}

static void cas_receive(void* arg) {
  uint32_t seven = 7;

  (void)arg;
  r[0] = LOAD(&y, RELAXED);
  if (!__atomic_compare_exchange_n(&x, &seven, 8, false, SEQ_CST, RELAXED))
    r[1] = seven;
}

static void failing_cas(int with) {
  (void)with;
  explore_spawn(cas_send, NULL);
  explore_spawn(cas_receive, NULL);
  explore_join();
  explore_outcome((int)(r[0] * 2 + r[1]));
}

/* Dekker's pattern, the heart of every park: the waiter announces itself and
 * looks again, the waker publishes and looks for waiters. */
int pkd__os_wait(uint32_t* word, uint32_t expected, uint64_t deadline);
void pkd__os_wake(uint32_t* word);

static void dekker_wait(void* arg) {
  (void)arg;
  store(&announced, 1);
  full_fence();
  if (load(&x) == 0)
    pkd__os_wait(&gate, 0, UINT64_MAX);
}

static void dekker_wake(void* arg) {
  (void)arg;
  store(&x, 1);
  full_fence();
  if (load(&announced) != 0) {
    STORE(&gate, 1, SEQ_CST);
    pkd__os_wake(&gate);
  }
}

static void dekker_park(int with) {
  orders = with;
  explore_spawn(dekker_wait, NULL);
  explore_spawn(dekker_wake, NULL);
  explore_join();
}

/* Two that are too polite for ever. */
static void polite(void* arg) {
  uint32_t* mine = arg == NULL ? &x : &y;
  uint32_t* theirs = arg == NULL ? &y : &x;

  for (;;) {
    STORE(mine, 1, SEQ_CST);
    if (LOAD(theirs, SEQ_CST) == 0)
      break;
    STORE(mine, 0, SEQ_CST);
    explore_yield();
  }
  STORE(mine, 0, SEQ_CST);
}

static void politeness(int with) {
  (void)with;
  explore_spawn(polite, NULL);
  explore_spawn(polite, &data);
  explore_join();
}

/* A frame that has returned: nobody writes over it, and it is still found. */
static uint32_t* published;

static __attribute__((noinline)) void lend_frame(void) {
  uint32_t mine = 0;

  __atomic_store_n(&published, &mine, RELEASE);
}

static void frame_owner(void* arg) {
  (void)arg;
  lend_frame();
  explore_yield();
}

static void frame_user(void* arg) {
  uint32_t* theirs = __atomic_load_n(&published, ACQUIRE);

  (void)arg;
  if (theirs != NULL)
    STORE(theirs, 1, RELAXED);
}

static void returned_frame(int with) {
  (void)with;
  explore_spawn(frame_owner, NULL);
  explore_spawn(frame_user, NULL);
  explore_join();
}

/* Freed memory, touched in order: no race, and still wrong. */
static void freed_block(int with) {
  uint32_t* block = explore_need(sizeof *block);

  (void)with;
  STORE(block, 1, RELAXED);
  explore_free(block);
  STORE(block, 2, RELAXED);
}

/* Bytes of one word do not race with each other; the same byte does. */
static struct {
  uint8_t left;
  uint8_t right;
} pair;

static void write_left(void* arg) {
  (void)arg;
  pair.left = 1;
}

static void write_right(void* arg) {
  (void)arg;
  pair.right = 1;
}

static void bytes(int both_left) {
  explore_spawn(write_left, NULL);
  explore_spawn(both_left ? write_left : write_right, NULL);
  explore_join();
  explore_outcome(pair.left + pair.right); /* or nobody needs the writes */
}

#define ALL                                                                    \
  { .preemptions = EXPLORE_UNBOUNDED, .stale = EXPLORE_UNBOUNDED }
#define ORDERLY                                                                \
  { .preemptions = EXPLORE_UNBOUNDED, .every = true }
#define ONE_STALE                                                              \
  { .preemptions = EXPLORE_UNBOUNDED, .stale = 1 }
#define FEW_STEPS                                                              \
  { .preemptions = EXPLORE_UNBOUNDED, .steps = 300 }

#define OK EXPLORE_OK

/* IRIW's forbidden outcome is 1,0,1,0: bit 10. */
#define IRIW_ALL 0xffff
#define IRIW_AGREED (0xffff & ~(1 << 10))

const explore_scenario_t explore_litmus[] = {
    /* 4!/(2!2!) and 6!/(2!2!) interleavings, exactly: counts.txt */
    {"litmus/sb-interleavings", store_buffering, WEAK, OK, 0xe, ORDERLY},
    {"litmus/iriw-interleavings", iriw, WEAK, OK, IRIW_AGREED, ORDERLY},
    {"litmus/sb-rel-acq", store_buffering, RELEASE_ACQUIRE, OK, 0xf, ALL},
    {"litmus/sb-seq-cst", store_buffering, SEQUENTIAL, OK, 0xe, ALL},
    {"litmus/sb-fences", store_buffering, FENCED, OK, 0xe, ALL},
    {"litmus/mp-relaxed", message_passing, WEAK, OK, 0xf, ALL},
    {"litmus/mp-rel-acq", message_passing, RELEASE_ACQUIRE, OK, 0xb, ALL},
    {"litmus/mp-fences", message_passing, FENCED, OK, 0xb, ALL},
    {"litmus/coherence", coherence, 0, OK, 0x137, ALL},
    {"litmus/iriw-rel-acq", iriw, RELEASE_ACQUIRE, OK, IRIW_ALL, ALL},
    {"litmus/iriw-seq-cst", iriw, SEQUENTIAL, OK, IRIW_AGREED, ALL},
    {"litmus/lb-is-not-explored", load_buffering, 0, OK, 0x7, ALL},
    {"litmus/2+2w-is-not-explored", two_plus_two_writes, 0, OK, 0x1, ALL},
    {"litmus/release-sequence", release_sequence, 0, OK, 0, ALL},
    {"litmus/late-release", late_release, 0, EXPLORE_RACE, 0, ALL},
    {"litmus/failing-cas-reads-old", failing_cas, 0, OK, 0xf, ALL},
    {"litmus/dekker-rel-acq-in-order", dekker_park, RELEASE_ACQUIRE, OK, 0,
     ORDERLY},
    {"litmus/dekker-rel-acq", dekker_park, RELEASE_ACQUIRE, EXPLORE_DEADLOCK, 0,
     ONE_STALE},
    {"litmus/dekker-seq-cst", dekker_park, SEQUENTIAL, OK, 0, ALL},
    {"litmus/dekker-fences", dekker_park, FENCED, OK, 0, ALL},
    {"litmus/polite-livelock", politeness, 0, EXPLORE_LIVELOCK, 0, FEW_STEPS},
    {"litmus/returned-frame", returned_frame, 0, EXPLORE_DEAD_MEMORY, 0,
     ORDERLY},
    {"litmus/freed-block", freed_block, 0, EXPLORE_DEAD_MEMORY, 0, ORDERLY},
    {"litmus/two-bytes-of-a-word", bytes, 0, OK, 0x4, ORDERLY},
    {"litmus/one-byte-of-a-word", bytes, 1, EXPLORE_RACE, 0, ORDERLY},
    {.name = NULL},
};
